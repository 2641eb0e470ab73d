// Making bodies of graphs, and graphs of bodies.
#pragma once
#include <span>

#include <weft/ir/graph/graph.h>
#include <weft/ir/ops/body.h>

namespace weft {

/// The graph as a body: nodes that no output needs are dropped. Throws Error when it has states or updates, and when bodies are more than kMaxBodyDepth deep or, counted wherever they are held, have more than kMaxBodySize
/// nodes.
BodyRef make_body(Graph);

/// The function that computes `outputs` from `inputs`, which are called a0, a1, …. Throws InternalError when it needs
/// an input of the graph that is not among them.
BodyRef outline(const Graph&, std::string name, std::span<const ValueId> inputs, std::span<const ValueId> outputs);

/// Adds what `body`, of as many inputs, computes from `inputs`; its results. What its nodes hold stays held.
std::vector<ValueId> insert(Graph& into, const Graph& body, std::span<const ValueId> inputs);

std::vector<ValueId> input_ids(const Graph&);
std::vector<ValueId> output_ids(const Graph&);
bool has_scan(const Graph&);  ///< those in bodies do not count

/// The bodies that nodes of the graph hold, and those in them: each once, before those that hold it.
std::vector<BodyRef> bodies_of(const Graph&);

/// Rebuilds bodies with f(Graph) -> Graph, those in a body first, each once.
class BodyRewriter {
 public:
  using Rewrite = std::function<Graph(const Graph&)>;
  explicit BodyRewriter(Rewrite f) : f_(std::move(f)) {}
  Attrs operator()(Attrs);  ///< with its bodies rewritten

 private:
  Rewrite f_;
  std::unordered_map<const Body*, BodyRef> done_;
};

/// A copy in which the bodies that nodes hold, those in a body first, are what f makes of them, which takes and gives the
/// same types. Groups stay.
Graph rewrite_bodies(const Graph&, const BodyRewriter::Rewrite& f);

}  // namespace weft

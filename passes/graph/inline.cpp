// One walk, which goes into each body where it is held.
#include "passes/graph/inline.h"

#include <unordered_map>

#include "ir/graph/body.h"
#include "ir/graph/build.h"

namespace weft {
namespace {

class Inliner {
 public:
  Inliner(Graph& into, std::int64_t loop_turns) : g_(into), loop_turns_(loop_turns) {}

  bool expands(const Node& n) const {
    const bool stays = n.op == Op::scan && n.attrs.scalar(Attr::length) >= loop_turns_;
    return !n.attrs.bodies.empty() && !stays;
  }

  /// The results of a node that holds bodies, whose operands are in the graph that is made.
  std::vector<ValueId> expand(const Node& n, std::span<const ValueId> map) {
    std::vector<ValueId> operands;
    for (ValueId v : n.operands) operands.push_back(map[v]);
    Builder b{g_, n.locs};
    return info(n.op).control.expand(
        b, operands, n.attrs, [&](const Body& f, std::span<const ValueId> inputs) { return insert(*f.graph, inputs); });
  }

 private:
  std::vector<ValueId> insert(const Graph& body, std::span<const ValueId> inputs) {
    visited_ += static_cast<std::int64_t>(body.size()) + 1;  // equal nodes are one: what there is in the end may be little
    if (visited_ > kMaxBodySize)
      fail("@{} has more than {} nodes with those of the functions that it calls", g_.name, kMaxBodySize);
    std::vector<ValueId> map(body.size(), kNoValue);
    std::unordered_map<ValueId, std::vector<ValueId>> tuples;
    for (std::size_t i = 0; i < inputs.size(); ++i) map[body.inputs()[i].id] = inputs[i];
    for (ValueId id = 0; id < body.size(); ++id) {
      const Node& n = body[id];
      if (n.op == Op::input) continue;
      if (const auto tuple = n.op == Op::result ? tuples.find(n.operands[0]) : tuples.end(); tuple != tuples.end())
        map[id] = tuple->second[n.attrs.index()];
      else if (expands(n))
        tuples[id] = expand(n, map);
      else
        map[id] = copy_node(g_, n, map);
    }
    std::vector<ValueId> results;
    for (const Output& o : body.outputs()) results.push_back(map[o.id]);
    return results;
  }

  Graph& g_;
  const std::int64_t loop_turns_;
  std::int64_t visited_ = 0;  // nodes of bodies
};

}  // namespace

Graph inline_bodies(const Graph& g, std::int64_t loop_turns) {
  bool has_bodies = false;
  for (ValueId id = 0; id < g.size(); ++id) has_bodies = has_bodies || info(g[id].op).cls == OpClass::control;
  if (!has_bodies) return g;
  Rewriter rw(g);
  Inliner inliner(rw.graph(), loop_turns);
  std::unordered_map<ValueId, std::vector<ValueId>> tuples;
  for (ValueId id : rw.live()) {
    const Node& n = g[id];
    if (const auto tuple = n.op == Op::result ? tuples.find(n.operands[0]) : tuples.end(); tuple != tuples.end())
      rw.set(id, tuple->second[n.attrs.index()]);
    else if (inliner.expands(n))
      tuples[id] = inliner.expand(n, rw.map());
    else
      rw.copy(id);
  }
  return rw.finish();
}

}  // namespace weft

// Building the nodes of a graph.
#pragma once
#include <weft/ir/graph/graph.h>
#include <weft/ir/ops/node_builder.h>

namespace weft {

struct Builder final : NodeBuilder {
  Graph& g;

  Builder(Graph& graph, LocSet where = {}) : NodeBuilder(where), g(graph) {}
  const Type& type(ValueId a) const override { return g[a].type; }
  NodeView node(ValueId a) const override { return {g[a].op, g[a].operands, g[a].attrs}; }

 private:
  ValueId add_node(Op o, std::vector<ValueId> operands, Attrs a, std::optional<Type> t) override {
    return g.add(o, std::move(operands), std::move(a), std::move(t), locs);
  }
};

}  // namespace weft

// One operand of one scan after the other; what becomes an operand then is looked at in turn.
#include "passes/graph/sink.h"

#include <algorithm>
#include <optional>

#include "ir/graph/body.h"
#include "ir/graph/build.h"
#include "passes/graph/rules.h"
#include "passes/graph/stored_values.h"

namespace weft {
namespace {

constexpr int kCheap = 4;  // instructions that the turns of several scans may repeat

class Sinking {
 public:
  explicit Sinking(const Graph& g) : g_(g), uses_(users(g)), is_result_(g.size()), sinks_(g.size()), rw_(g) {
    for (const Output& o : g.outputs()) is_result_[o.id] = true;
    for (const Update& u : g.updates()) is_result_[u.value] = true;
    // Users have higher numbers.
    for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;) {
      const bool by_scans = std::ranges::all_of(uses_[v], [&](ValueId u) { return g[u].op == Op::scan || sinks_[u]; });
      sinks_[v] =
          by_scans && !is_result_[v] && is_elementwise(g[v].op) && info(g[v].op).cost <= kCheap && sliced_operand(v);
    }
  }

  Graph run() {
    for (const ValueId id : rw_.live()) {
      if (g_[id].op != Op::scan) {
        rw_.copy(id);
        continue;
      }
      Node n = g_[id];
      const auto carries = static_cast<std::size_t>(n.attrs.scalar(Attr::carries));
      for (std::size_t i = carries; i < carries + static_cast<std::size_t>(n.attrs.scalar(Attr::slices));)
        if (!sink(n, i)) ++i;
      rw_.set(id, copy_node(rw_.graph(), n, rw_.map()));
    }
    return remove_dead(rw_.finish());
  }

 private:
  bool is_repeated(ValueId v) const {
    return splat_of(g_, v) != kNoValue || (g_[v].op == Op::broadcast && !g_[v].attrs[Attr::axes].contains(0));
  }

  /// The one operand of an elementwise value that is not repeated.
  std::optional<ValueId> sliced_operand(ValueId v) const {
    std::optional<ValueId> sliced;
    for (const ValueId o : g_[v].operands) {
      if (is_repeated(o)) continue;
      if (sliced && *sliced != o) return {};
      sliced = o;
    }
    return sliced;
  }

  /// Replaces slice i of the scan by one of an operand of the value, the op in the body.
  bool sink(Node& n, std::size_t i) const {
    const ValueId v = n.operands[i];
    if (!sinks_[v]) return false;
    const std::optional<ValueId> sliced = sliced_operand(v);
    const Graph& old = *n.attrs.bodies[0]->graph;
    Graph body;
    body.name = old.name;
    std::vector<ValueId> map(old.size(), kNoValue);
    const Shape row = old[old.inputs()[i].id].type.shape;
    ValueId slice = kNoValue;
    for (std::size_t j = 0; j < old.inputs().size(); ++j) {
      const Input& in = old.inputs()[j];
      const Type type = j == i ? Type{g_[*sliced].type.dtype, row} : old[in.id].type;
      (j == i ? slice : map[in.id]) = body.input(in.name, type, InputKind::data, old[in.id].locs);
    }
    n.operands[i] = *sliced;
    Builder b{body, g_[v].locs};
    std::vector<ValueId> operands;
    for (const ValueId o : g_[v].operands) {
      if (o == *sliced) {
        operands.push_back(slice);
      } else if (const ValueId splat = splat_of(g_, o); splat != kNoValue) {
        operands.push_back(b.broadcast(body.constant(g_[splat].attrs.literal->reshaped({}), g_[splat].locs), row, {}));
      } else {
        const ValueId source = g_[o].operands[0];
        Dims axes = g_[o].attrs[Attr::axes];
        for (int a = 0; a < axes.rank(); ++a) --axes[a];
        std::string name = old.inputs()[i].name + "_";
        while (body.find_input(name) != kNoValue) name += '_';
        operands.push_back(b.broadcast(body.input(name, g_[source].type, InputKind::data, g_[source].locs), row, axes));
        n.operands.push_back(source);
      }
    }
    const Node& op = g_[v];
    map[old.inputs()[i].id] = body.add(op.op, std::move(operands), op.attrs, Type{op.type.dtype, row}, op.locs);
    for (ValueId id = 0; id < old.size(); ++id)
      if (map[id] == kNoValue) map[id] = copy_node(body, old[id], map);
    for (const Output& o : old.outputs()) body.output(o.name, map[o.id]);
    n.attrs.bodies = {make_body(std::move(body))};
    return true;
  }

  const Graph& g_;
  const std::vector<std::vector<ValueId>> uses_;
  std::vector<bool> is_result_, sinks_;  // sinks: scans alone read it, or what sinks itself
  Rewriter rw_;
};

}  // namespace

Graph sink_into_loops(const Graph& g) { return has_scan(g) ? Sinking(g).run() : g; }

}  // namespace weft

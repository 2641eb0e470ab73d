// Constant folding through the op table's `eval`, under the flushed subnormals of the numerics contract.
#include "passes/graph/fold.h"

#include <cstring>

#include "ir/graph/build.h"
#include "ir/ops/sum_order.h"
#include "passes/graph/rules.h"

namespace weft {
namespace {

constexpr std::int64_t kMaxFolded = 4096;  // elements

bool is_uniform(const Array& a) {
  const std::size_t size = size_of(a.dtype());
  for (std::size_t at = size; at < a.bytes(); at += size)
    if (std::memcmp(a.data(), a.data() + at, size) != 0) return false;
  return true;
}

Array evaluate(Op op, const std::vector<Array>& operands, const Attrs& attrs, const Type& type) {
  const FlushSubnormals flush;
  return info(op).eval({op, operands, attrs, type});
}

Array literal(const Graph& g, ValueId id) {
  const Node& n = g[id];
  if (n.op == Op::constant) return *n.attrs.literal;
  return evaluate(n.op, {*g[n.operands[0]].attrs.literal}, n.attrs, n.type);  // a splat
}

}  // namespace

ValueId fold_node(Graph& g, ValueId id, LocSet locs) {
  const Node& n = g[id];  // not used after a node is added
  if (n.op == Op::constant) {
    if (n.type.shape.empty() || n.attrs.literal->size() == 0 || !is_uniform(*n.attrs.literal)) return kNoValue;
    const Shape shape = n.type.shape;
    const Array& value = *n.attrs.literal;
    const Array one = value.reshaped({value.size()}).rows(0, 1).reshaped({});
    return Builder{g, locs}.broadcast(g.constant(one, locs), shape, {});
  }
  if (n.operands.empty() || info(n.op).cls == OpClass::control) return kNoValue;

  bool all_splats = true;
  for (ValueId v : n.operands) {
    const bool splat = splat_of(g, v) != kNoValue;
    all_splats &= splat;
    if (!splat && !g.is_constant(v)) return kNoValue;
  }
  for (ValueId v : n.operands) locs |= g[v].locs;
  if (is_elementwise(n.op) && all_splats && !n.type.shape.empty()) {
    std::vector<Array> scalars;
    for (ValueId v : n.operands) scalars.push_back(g[splat_of(g, v)].attrs.literal->reshaped({}));
    const Shape shape = n.type.shape;
    const ValueId value = g.constant(evaluate(n.op, scalars, n.attrs, {n.type.dtype, {}}), locs);
    return Builder{g, locs}.broadcast(value, shape, {});
  }

  if (!is_static(n.type.shape) || element_count(n.type.shape) > kMaxFolded) return kNoValue;
  // A broadcast is as small as it can be, unless it repeats nothing.
  if (n.op == Op::broadcast &&
      (all_splats || element_count(g[n.operands[0]].type.shape) != element_count(n.type.shape)))
    return kNoValue;
  std::vector<Array> operands;
  for (ValueId v : n.operands) {
    if (!is_static(g[v].type.shape) || element_count(g[v].type.shape) > kMaxFolded) return kNoValue;
    operands.push_back(literal(g, v));
  }
  return g.constant(evaluate(n.op, operands, n.attrs, n.type), locs);
}

Graph fold(const Graph& old) {
  Rewriter rw(old);
  for (ValueId id : rw.live()) {
    const ValueId copy = rw.copy(id);
    const ValueId folded = fold_node(rw.graph(), copy, old[id].locs);
    if (folded != kNoValue) rw.set(id, folded);
  }
  return remove_dead(rw.finish());
}

}  // namespace weft

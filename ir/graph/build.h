// Shorthand for passes and tests that build graph nodes: every call adds one node with the builder's provenance.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// Operands of elementwise calls must have equal shapes and dtypes; `like()` makes constants that do.
struct Builder {
  Graph& g;
  LocSet locs;

  ValueId op(Op o, std::vector<ValueId> operands, Attrs a = {}, std::optional<Type> t = {}) { return g.add(o, std::move(operands), std::move(a), std::move(t), locs); }
  ValueId add(ValueId a, ValueId b) { return op(Op::add, {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return op(Op::sub, {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return op(Op::mul, {a, b}); }
  ValueId div(ValueId a, ValueId b) { return op(Op::div, {a, b}); }
  ValueId neg(ValueId a) { return op(Op::neg, {a}); }
  ValueId select(ValueId p, ValueId a, ValueId b) { return op(Op::select, {p, a, b}); }
  ValueId convert(ValueId a, DType t) { return type(a).dtype == t ? a : op(Op::convert, {a}, {}, Type{t, type(a).shape}); }
  ValueId scalar(DType t, double v) { return g.constant(Array::filled({t, {}}, v), locs); }
  /// `v` in the dtype and shape of `a` (a broadcast scalar).
  ValueId like(ValueId a, double v) { return fill(type(a), v); }
  ValueId fill(Type t, double v) { return broadcast(scalar(t.dtype, v), t.shape, {}); }
  /// Input dimension i of `a` becomes dimension axes[i] of `shape`; the others repeat.
  ValueId broadcast(ValueId a, const Shape& shape, const Dims& axes) {
    return type(a).shape == shape ? a : op(Op::broadcast, {a}, {{axes}, {}}, Type{type(a).dtype, shape});
  }
  ValueId reshape(ValueId a, const Shape& shape) { return type(a).shape == shape ? a : op(Op::reshape, {a}, {}, Type{type(a).dtype, shape}); }
  ValueId transpose(ValueId a, const Dims& perm) { return perm == Dims::iota(perm.rank()) ? a : op(Op::transpose, {a}, {{perm}, {}}); }
  ValueId reduce(Op o, ValueId a, int axis) { return op(o, {a}, {{Dims{axis}}, {}}); }
  ValueId contract(ValueId a, ValueId b, const Dims& lhs, const Dims& rhs, const Dims& lhs_batch = {}, const Dims& rhs_batch = {}) {
    return op(Op::contract, {a, b}, {{lhs, rhs, lhs_batch, rhs_batch}, {}});
  }
  const Type& type(ValueId a) const { return g[a].type; }
};

}  // namespace weft

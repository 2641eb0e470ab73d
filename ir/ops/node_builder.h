// Building nodes, one call a node: what gradients, passes and tests write graphs with.
#pragma once
#include <weft/ir/base/loc.h>
#include <weft/ir/ops/op.h>

namespace weft {

/// What a node is, beside its type.
struct NodeView {
  Op op;
  std::vector<ValueId> operands;
  Attrs attrs;
};

/// Operands of elementwise calls must have equal shapes and dtypes; `like()` makes constants that do. Every node has the
/// builder's provenance.
class NodeBuilder {
 public:
  explicit NodeBuilder(LocSet where) : locs(where) {}

  /// Adds a node, or finds the equal one. Throws Error as Graph::add does.
  ValueId op(Op o, std::vector<ValueId> operands, Attrs a = {}, std::optional<Type> t = {}) {
    return add_node(o, std::move(operands), std::move(a), std::move(t));
  }
  virtual const Type& type(ValueId) const = 0;
  virtual NodeView node(ValueId) const = 0;

  ValueId constant(Array value) {
    const Type t = value.type();
    return op(Op::constant, {}, Attrs::value(std::move(value)), t);
  }
  ValueId add(ValueId a, ValueId b) { return op(Op::add, {a, b}); }
  ValueId sub(ValueId a, ValueId b) { return op(Op::sub, {a, b}); }
  ValueId mul(ValueId a, ValueId b) { return op(Op::mul, {a, b}); }
  ValueId div(ValueId a, ValueId b) { return op(Op::div, {a, b}); }
  ValueId neg(ValueId a) { return op(Op::neg, {a}); }
  ValueId select(ValueId p, ValueId a, ValueId b) { return op(Op::select, {p, a, b}); }
  ValueId convert(ValueId a, DType t) {
    return type(a).dtype == t ? a : op(Op::convert, {a}, {}, Type{t, type(a).shape});
  }
  ValueId scalar(DType t, double v) { return constant(Array::filled({t, {}}, v)); }
  /// `v` in the dtype and shape of `a` (a broadcast scalar).
  ValueId like(ValueId a, double v) { return fill(type(a), v); }
  ValueId fill(Type t, double v) { return broadcast(scalar(t.dtype, v), t.shape, {}); }
  /// Input dimension i of `a` becomes dimension axes[i] of `shape`; the others repeat.
  ValueId broadcast(ValueId a, const Shape& shape, const Dims& axes) {
    return type(a).shape == shape ? a : op(Op::broadcast, {a}, {{Attr::axes, axes}}, Type{type(a).dtype, shape});
  }
  ValueId reshape(ValueId a, const Shape& shape) {
    return type(a).shape == shape ? a : op(Op::reshape, {a}, {}, Type{type(a).dtype, shape});
  }
  ValueId transpose(ValueId a, const Dims& perm) {
    return perm == Dims::iota(perm.rank()) ? a : op(Op::transpose, {a}, {{Attr::perm, perm}});
  }
  ValueId slice(ValueId a, const Dims& start, const Dims& limit, const Dims& stride) {
    return op(Op::slice, {a}, {{Attr::start, start}, {Attr::limit, limit}, {Attr::stride, stride}});
  }
  /// `interior`: none where it is empty.
  ValueId pad(ValueId a, ValueId value, const Dims& low, const Dims& high, const Dims& interior = {}) {
    const Dims none = Dims::filled(interior.rank(), 0);
    return op(Op::pad, {a, value},
              {{Attr::low, low}, {Attr::high, high}, {Attr::interior, interior == none ? Dims{} : interior}});
  }
  /// stride, dilation: 1 where they are empty.
  ValueId window(ValueId a, const Dims& axes, const Dims& size, const Dims& stride = {}, const Dims& dilation = {}) {
    const auto written = [](const Dims& steps) { return steps == Dims::filled(steps.rank(), 1) ? Dims{} : steps; };
    return op(Op::window, {a},
              {{Attr::axes, axes}, {Attr::size, size}, {Attr::stride, written(stride)}, {Attr::dilation, written(dilation)}});
  }
  ValueId reduce(Op o, ValueId a, int axis) { return op(o, {a}, Attrs::axis(axis)); }
  /// The sum of `x` over `axes` (in increasing order), which disappear. Runs of adjacent axes are merged into one first.
  ValueId sum(ValueId x, const Dims& axes);
  ValueId contract(ValueId a, ValueId b, const Dims& lhs, const Dims& rhs, const Dims& lhs_batch = {},
                   const Dims& rhs_batch = {}) {
    return op(Op::contract, {a, b},
              {{Attr::lhs, lhs}, {Attr::rhs, rhs}, {Attr::lhs_batch, lhs_batch}, {Attr::rhs_batch, rhs_batch}});
  }

  LocSet locs;

 protected:
  ~NodeBuilder() = default;
  virtual ValueId add_node(Op, std::vector<ValueId> operands, Attrs, std::optional<Type>) = 0;
};

}  // namespace weft

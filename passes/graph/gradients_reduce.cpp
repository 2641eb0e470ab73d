// Gradients of reductions and contractions.
#include "passes/graph/gradients.h"

namespace weft {
namespace {

int axis_of(const GradientArgs& a) { return static_cast<int>(a.attrs.dims[0][0]); }

/// `v`, which lacks the reduced axis, repeated along it to the shape of the reduction's operand.
ValueId along_axis(Builder& b, const GradientArgs& a, ValueId v) {
  const Shape shape = b.type(a.operands[0]).shape;
  Dims axes = Dims::iota(shape.rank());
  axes.erase(axis_of(a));
  return b.broadcast(v, shape, axes);
}

/// Moves x by `by` elements along `axis` (to higher indices when positive); ones are shifted in.
ValueId shift(Builder& b, ValueId x, int axis, std::int64_t by) {
  const Type t = b.type(x);
  Dims start = Dims::filled(t.shape.rank(), 0), limit = t.shape, low = start, high = start;
  (by > 0 ? limit[axis] : start[axis]) -= by;
  (by > 0 ? low : high)[axis] = std::abs(by);
  const ValueId kept = b.op(Op::slice, {x}, {{start, limit, Dims::filled(t.shape.rank(), 1)}, {}});
  return b.op(Op::pad, {kept, b.scalar(t.dtype, 1)}, {{low, high}, {}});
}

/// y[i] = the product of the elements before i (direction 1) or after i (direction -1), in log2(extent) steps.
ValueId exclusive_product(Builder& b, ValueId x, int axis, std::int64_t direction) {
  const std::int64_t extent = b.type(x).shape[axis];
  ValueId p = shift(b, x, axis, direction);
  for (std::int64_t by = 1; by < extent - 1; by *= 2) p = b.mul(p, shift(b, p, axis, by * direction));
  return p;
}

Dims free_axes(int rank, const Dims& contracted, const Dims& batch) {
  Dims free;
  for (int i = 0; i < rank; ++i)
    if (!contracted.contains(i) && !batch.contains(i)) free.push_back(i);
  return free;
}

}  // namespace

ValueId grad::reduce_sum(Builder& b, const GradientArgs& a, std::size_t) { return along_axis(b, a, a.g); }

/// dx[i] = g * (product before i) * (product after i): right where elements are zero, and, being products of views of
/// x, differentiable again.
ValueId grad::reduce_prod(Builder& b, const GradientArgs& a, std::size_t) {
  const ValueId x = a.operands[0];
  const int axis = axis_of(a);
  const std::int64_t extent = b.type(x).shape[axis];
  if (extent == kBatch)
    fail("{}: grad of reduce_prod over the batch axis of {} needs a bound batch size", b.locs.str(),
         to_string(b.type(x)));
  const ValueId g = along_axis(b, a, a.g);
  if (extent < 2) return g;
  return b.mul(g, b.mul(exclusive_product(b, x, axis, 1), exclusive_product(b, x, axis, -1)));
}

/// The gradient goes to the elements that equal the extreme, in equal parts.
ValueId grad::reduce_extreme(Builder& b, const GradientArgs& a, std::size_t) {
  const ValueId x = a.operands[0];
  const ValueId chosen = b.op(Op::eq, {x, along_axis(b, a, a.y)});
  const ValueId count = b.reduce(Op::reduce_sum, b.convert(chosen, b.type(a.g).dtype), axis_of(a));
  return b.select(chosen, along_axis(b, a, b.div(a.g, count)), b.like(x, 0));
}

/// z[b, m, n] = sum over k of x[b, m, k] y[b, k, n]:
///   dx[b, m, k] = sum over n of g[b, m, n] y[b, k, n],   dy[b, k, n] = sum over m of x[b, m, k] g[b, m, n],
/// each transposed from the axis order of its contraction to that of the operand.
ValueId grad::contract(Builder& b, const GradientArgs& a, std::size_t i) {
  const Dims &lhs = a.attrs.dims[0], &rhs = a.attrs.dims[1], &lb = a.attrs.dims[2], &rb = a.attrs.dims[3];
  const ValueId x = a.operands[0], y = a.operands[1];
  const Dims m = free_axes(b.type(x).shape.rank(), lhs, lb), n = free_axes(b.type(y).shape.rank(), rhs, rb);
  const int batch = lb.rank();
  Dims g_batch = Dims::iota(batch), g_m, g_n;
  for (int j = 0; j < m.rank(); ++j) g_m.push_back(batch + j);
  for (int j = 0; j < n.rank(); ++j) g_n.push_back(batch + m.rank() + j);

  // order[p]: the operand's axis that axis p of the contraction's result is. The contracted axes of the other operand
  // come out in its own axis order; `mine` and `other` pair them up.
  const bool left = i == 0;
  const Dims &mine = left ? lhs : rhs, &other = left ? rhs : lhs;
  Dims order = left ? lb : rb, k_order;
  for (int axis = 0; axis < kMaxRank; ++axis)
    for (int j = 0; j < other.rank(); ++j)
      if (other[j] == axis) k_order.push_back(mine[j]);
  auto append = [&](const Dims& axes) {
    for (std::int64_t axis : axes) order.push_back(axis);
  };
  ValueId d;
  if (left) {
    d = b.contract(a.g, y, g_n, n, g_batch, rb);
    append(m), append(k_order);
  } else {
    d = b.contract(x, a.g, m, g_m, lb, g_batch);
    append(k_order), append(n);
  }
  Dims perm = order;
  for (int p = 0; p < order.rank(); ++p) perm[static_cast<int>(order[p])] = p;
  return b.transpose(d, perm);
}

}  // namespace weft

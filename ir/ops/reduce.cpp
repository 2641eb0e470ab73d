// Reductions. The order of every fold is part of the numerics contract (ir/README.md): a function of the extent and of
// whether the axis is the last one, never of how a program is run.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ir/base/strided.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

namespace weft {
using namespace infer;
namespace {

/// One fold: its op, its identity, and where it is cut.
template <class T>
struct Fold {
  Op op;
  T identity;
  ReduceOrder order;
  T operator()(T x, T y) const { return apply_binary(op, x, y); }
};

/// One run of n elements from x on, `step` apart, in order.
template <class T>
T fold_run(const Fold<T>& f, const T* x, std::int64_t step, std::int64_t n) {
  T acc = f.identity;
  for (std::int64_t i = 0; i < n; ++i) acc = f(acc, x[i * step]);
  return acc;
}

/// One chunk of n elements from x on, `step` apart: its runs, in order.
template <class T>
T fold_in_order(const Fold<T>& f, const T* x, std::int64_t step, std::int64_t n) {
  T total = f.identity;
  for (std::int64_t i = 0; i < n; i += f.order.run)
    total = f(total, fold_run(f, x + i * step, step, std::min(f.order.run, n - i)));
  return total;
}

/// One chunk of n adjacent elements: stripes by index mod kReduceStripes, then a halving tree.
template <class T>
T fold_striped(const Fold<T>& f, const T* x, std::int64_t n) {
  const Fold<T> stripe{f.op, f.identity, {f.order.run / kReduceStripes, f.order.chunk / kReduceStripes}};
  std::array<T, kReduceStripes> s;
  for (std::int64_t i = 0; i < kReduceStripes; ++i)
    s[static_cast<std::size_t>(i)] = fold_in_order(stripe, x + i, kReduceStripes, ceil_div(n - i, kReduceStripes));
  for (std::size_t half = kReduceStripes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) s[i] = f(s[i], s[i + half]);
  return s[0];
}

/// The results of chunks: neighbours in pairs, then neighbours of what that gives, until one is left.
template <class T>
T fold_tree(const Fold<T>& f, std::vector<T> x) {
  if (x.empty()) return f.identity;
  while (x.size() > 1) {
    for (std::size_t i = 0; i + 1 < x.size(); i += 2) x[i / 2] = f(x[i], x[i + 1]);
    if (x.size() % 2 != 0) x[x.size() / 2] = x.back();
    x.resize((x.size() + 1) / 2);
  }
  return x[0];
}

template <class T>
T fold(Op reduce, const T* x, const AroundAxis& s, bool last) {
  const Fold<T> f{fold_op(reduce), reduce_identity<T>(reduce), last ? kStripedOrder : sequential_order(s.extent)};
  std::vector<T> chunks;
  for (std::int64_t begin = 0; begin < s.extent; begin += f.order.chunk) {
    const std::int64_t n = std::min(f.order.chunk, s.extent - begin);
    chunks.push_back(last ? fold_striped(f, x + begin, n) : fold_in_order(f, x + begin * s.inner, s.inner, n));
  }
  return fold_tree(f, std::move(chunks));
}

/// y[outer, inner] = f(address of x[outer, 0, inner]).
template <class T, class R, class F>
void for_each_fold(const Array& x, Array& y, const AroundAxis& s, F&& f) {
  const T* from = x.as<T>().data();
  R* to = y.as<R>().data();
  for (std::int64_t outer = 0; outer < s.outer; ++outer)
    for (std::int64_t inner = 0; inner < s.inner; ++inner) *to++ = f(from + outer * s.extent * s.inner + inner);
}

/// `v`, which lacks the reduced axis, repeated along it to the shape of the reduction's operand.
ValueId along_axis(NodeBuilder& b, const GradientArgs& a, ValueId v) {
  const Shape shape = b.type(a.operands[0]).shape;
  Dims axes = Dims::iota(shape.rank());
  axes.erase(a.attrs.axis());
  return b.broadcast(v, shape, axes);
}

/// Moves x by `by` elements along `axis` (to higher indices when positive); ones are shifted in.
ValueId shift(NodeBuilder& b, ValueId x, int axis, std::int64_t by) {
  const Type t = b.type(x);
  Dims start = Dims::filled(t.shape.rank(), 0), limit = t.shape, low = start, high = start;
  (by > 0 ? limit[axis] : start[axis]) -= by;
  (by > 0 ? low : high)[axis] = std::abs(by);
  const ValueId kept = b.slice(x, start, limit, Dims::filled(t.shape.rank(), 1));
  return b.pad(kept, b.scalar(t.dtype, 1), low, high);
}

/// y[i] = the product of the elements before i (direction 1) or after i (direction -1), in log2(extent) steps.
ValueId exclusive_product(NodeBuilder& b, ValueId x, int axis, std::int64_t direction) {
  const std::int64_t extent = b.type(x).shape[axis];
  ValueId p = shift(b, x, axis, direction);
  for (std::int64_t by = 1; by < extent - 1; by *= 2) p = b.mul(p, shift(b, p, axis, by * direction));
  return p;
}

}  // namespace

Type infer::reduce(const InferArgs& a) {
  const Type& x = a.operands[0];
  require_dtype(a, x.dtype);
  return {x.dtype, without(x.shape, axis_of(a, x.shape.rank()))};
}

Array eval::reduce(const EvalArgs& a) {
  Array y(a.result);
  if (y.size() == 0) return y;
  const Shape& shape = a.operands[0].shape();
  const int axis = a.attrs.axis();
  const AroundAxis s(shape, axis);
  visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_fold<T, T>(a.operands[0], y, s, [&](const T* x) { return fold(a.op, x, s, axis == shape.rank() - 1); });
  });
  return y;
}

Type infer::arg_reduce(const InferArgs& a) {
  const Type& x = a.operands[0];
  const int axis = axis_of(a, x.shape.rank());
  if (x.shape[axis] == 0) fail("axis {} of {} is empty, so it has no largest or smallest element", axis, to_string(x));
  if (x.shape[axis] > INT32_MAX) fail("axis {} of {} is too long for an i32 index", axis, to_string(x));
  return {i32, infer::reduce(a).shape};
}

Array eval::arg_reduce(const EvalArgs& a) {
  Array y(a.result);
  if (y.size() == 0) return y;
  const Shape& shape = a.operands[0].shape();
  const int axis = a.attrs.axis();
  const AroundAxis s(shape, axis);
  const Op better = *info(a.op).traits.better;
  visit_dtype(a.operands[0].dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_fold<T, std::int32_t>(a.operands[0], y, s, [&](const T* x) {
      std::int64_t best = 0;
      for (std::int64_t i = 1; i < s.extent; ++i)
        if (apply_compare(better, x[i * s.inner], x[best * s.inner])) best = i;
      return static_cast<std::int32_t>(best);
    });
  });
  return y;
}

ValueId grad::reduce_sum(NodeBuilder& b, const GradientArgs& a, std::size_t) { return along_axis(b, a, a.g); }

/// dx[i] = g * (product before i) * (product after i): right where elements are zero, and, being products of views of
/// x, differentiable again.
ValueId grad::reduce_prod(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const ValueId x = a.operands[0];
  const int axis = a.attrs.axis();
  const std::int64_t extent = b.type(x).shape[axis];
  if (is_symbol(extent))
    fail("{}: grad of reduce_prod over the {} axis of {} needs a bound {}", b.locs.str(),
         extent == kBatch ? "batch" : "unbound", to_string(b.type(x)), extent == kBatch ? "batch size" : "extent");
  const ValueId g = along_axis(b, a, a.g);
  if (extent < 2) return g;
  return b.mul(g, b.mul(exclusive_product(b, x, axis, 1), exclusive_product(b, x, axis, -1)));
}

/// The gradient goes to the elements that equal the extreme, in equal parts.
ValueId grad::reduce_extreme(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const ValueId x = a.operands[0];
  const ValueId chosen = b.op(Op::eq, {x, along_axis(b, a, a.y)});
  const ValueId count = b.reduce(Op::reduce_sum, b.convert(chosen, b.type(a.g).dtype), a.attrs.axis());
  return b.select(chosen, along_axis(b, a, b.div(a.g, count)), b.like(x, 0));
}

}  // namespace weft

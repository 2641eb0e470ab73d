// Reference semantics of the reductions. The order of every fold is part of the numerics contract (ir/README.md):
// a function of the extent and of whether the axis is the last one, never of how a program is run.
#include <algorithm>
#include <array>

#include "ir/eval.h"
#include "ir/scalar.h"
#include "ir/strided.h"

namespace weft::eval {
namespace {

/// One chunk of n elements from x on, `step` apart, in order.
template <class T>
T fold_in_order(Op op, const T* x, std::int64_t step, std::int64_t n, T identity) {
  T acc = identity;
  for (std::int64_t i = 0; i < n; ++i) acc = apply_binary(op, acc, x[i * step]);
  return acc;
}

/// One chunk of n adjacent elements: stripes by index mod kReduceStripes, then a halving tree.
template <class T>
T fold_striped(Op op, const T* x, std::int64_t n, T identity) {
  std::array<T, kReduceStripes> s;
  s.fill(identity);
  for (std::int64_t i = 0; i < n; ++i) {
    T& stripe = s[static_cast<std::size_t>(i % kReduceStripes)];
    stripe = apply_binary(op, stripe, x[i]);
  }
  for (std::size_t half = kReduceStripes / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) s[i] = apply_binary(op, s[i], s[i + half]);
  return s[0];
}

template <class T>
T fold(Op reduce, const T* x, const AroundAxis& f, bool last) {
  const Op op = fold_op(reduce);
  T total = reduce_identity<T>(reduce);
  const std::int64_t most = reduce_chunk(f.extent, last);
  for (std::int64_t begin = 0; begin < f.extent; begin += most) {
    const std::int64_t n = std::min(most, f.extent - begin);
    const T* chunk = x + begin * f.inner;
    const T identity = reduce_identity<T>(reduce);
    const T result = last ? fold_striped(op, chunk, n, identity) : fold_in_order(op, chunk, f.inner, n, identity);
    total = begin == 0 ? result : apply_binary(op, total, result);
  }
  return total;
}

/// y[outer, inner] = f(address of x[outer, 0, inner]).
template <class T, class R, class F>
void for_each_fold(const Array& x, Array& y, const AroundAxis& s, F&& f) {
  const T* from = x.as<T>().data();
  R* to = y.as<R>().data();
  for (std::int64_t outer = 0; outer < s.outer; ++outer)
    for (std::int64_t inner = 0; inner < s.inner; ++inner) *to++ = f(from + outer * s.extent * s.inner + inner);
}

}  // namespace

Array reduce(const EvalArgs& a) {
  Array y(a.result);
  if (y.size() == 0) return y;
  const Shape& shape = a.operands[0].shape();
  const int axis = static_cast<int>(a.attrs.dims[0][0]);
  const AroundAxis s(shape, axis);
  visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for_each_fold<T, T>(a.operands[0], y, s, [&](const T* x) { return fold(a.op, x, s, axis == shape.rank() - 1); });
  });
  return y;
}

Array arg_reduce(const EvalArgs& a) {
  Array y(a.result);
  if (y.size() == 0) return y;
  const Shape& shape = a.operands[0].shape();
  const int axis = static_cast<int>(a.attrs.dims[0][0]);
  const AroundAxis s(shape, axis);
  const Op better = a.op == Op::arg_max ? Op::gt : Op::lt;
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

}  // namespace weft::eval

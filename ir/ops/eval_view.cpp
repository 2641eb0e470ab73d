// Reference semantics of the ops that move elements: each is a walk over a strided view, or a lookup by index.
#include <algorithm>

#include "ir/base/strided.h"
#include "ir/ops/eval.h"
#include "ir/ops/scalar.h"

namespace weft::eval {
namespace {

/// Copies x into y, whose element for x's index is at start + sum of index[d] * strides[d].
void place(const Array& x, Array& y, std::int64_t start, const Dims& strides) {
  visit_dtype(x.dtype(), [&](auto zero) {
    const auto* from = x.as<decltype(zero)>().data();
    auto* to = y.as<decltype(zero)>().data();
    for_each_offset(x.shape(), start, strides, [&](std::int64_t i, std::int64_t offset) { to[offset] = from[i]; });
  });
}

std::vector<std::int64_t> indices(const Array& k) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(k.size()));
  visit_dtype(k.dtype(), [&](auto zero) { std::ranges::copy(k.as<decltype(zero)>(), values.begin()); });
  return values;
}

}  // namespace

Array broadcast(const EvalArgs& a) {
  const Array& x = a.operands[0];
  if (element_count(a.result.shape) == 0) return Array(a.result);
  const Dims x_strides = row_major_strides(x.shape());
  Dims strides = Dims::filled(a.result.shape.rank(), 0);
  for (int i = 0; i < x.shape().rank(); ++i)
    if (x.shape()[i] != 1) strides[static_cast<int>(a.attrs.dims[0][i])] = x_strides[i];
  return strided_copy(x, a.result.shape, 0, strides);
}

Array reshape(const EvalArgs& a) { return a.operands[0].reshaped(a.result.shape); }

Array transpose(const EvalArgs& a) {
  if (element_count(a.result.shape) == 0) return Array(a.result);
  const Dims x_strides = row_major_strides(a.operands[0].shape());
  Dims strides;
  for (std::int64_t d : a.attrs.dims[0]) strides.push_back(x_strides[static_cast<int>(d)]);
  return strided_copy(a.operands[0], a.result.shape, 0, strides);
}

Array slice(const EvalArgs& a) {
  if (element_count(a.result.shape) == 0) return Array(a.result);
  const Dims &start = a.attrs.dims[0], &stride = a.attrs.dims[2];
  const Dims x_strides = row_major_strides(a.operands[0].shape());
  Dims strides = Dims::filled(x_strides.rank(), 0);
  std::int64_t first = 0;
  for (int d = 0; d < x_strides.rank(); ++d) {
    first += start[d] * x_strides[d];
    if (a.result.shape[d] > 1) strides[d] = stride[d] * x_strides[d];  // a lone element's stride may be huge
  }
  return strided_copy(a.operands[0], a.result.shape, first, strides);
}

Array pad(const EvalArgs& a) {
  const Array &x = a.operands[0], &v = a.operands[1];
  Array y(a.result);
  if (y.size() == 0) return y;
  visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::ranges::fill(y.as<T>(), v.item<T>());
  });
  const Dims y_strides = row_major_strides(a.result.shape);
  std::int64_t first = 0;
  for (int d = 0; d < y_strides.rank(); ++d) first += a.attrs.dims[0][d] * y_strides[d];
  place(x, y, first, y_strides);
  return y;
}

Array concat(const EvalArgs& a) {
  Array y(a.result);
  if (y.size() == 0) return y;
  const int axis = static_cast<int>(a.attrs.dims[0][0]);
  const Dims y_strides = row_major_strides(a.result.shape);
  std::int64_t at = 0;
  for (const Array& x : a.operands) {
    place(x, y, at * y_strides[axis], y_strides);
    at += x.shape()[axis];
  }
  return y;
}

Array gather(const EvalArgs& a) {
  const Array& x = a.operands[0];
  Array y(a.result);
  if (y.size() == 0 || x.size() == 0) return y;  // zeros: every index is out of an empty axis's range
  const AroundAxis s(x.shape(), static_cast<int>(a.attrs.dims[0][0]));
  const std::vector<std::int64_t> k = indices(a.operands[1]);
  visit_dtype(x.dtype(), [&](auto zero) {
    const auto* from = x.as<decltype(zero)>().data();
    auto* to = y.as<decltype(zero)>().data();
    for (std::int64_t outer = 0; outer < s.outer; ++outer)
      for (std::int64_t index : k)
        for (std::int64_t inner = 0; inner < s.inner; ++inner, ++to)
          if (0 <= index && index < s.extent) *to = from[(outer * s.extent + index) * s.inner + inner];
  });
  return y;
}

Array scatter_add(const EvalArgs& a) {
  const Array &x = a.operands[0], &u = a.operands[2];
  Array z = x.clone();
  if (z.size() == 0) return z;
  const AroundAxis s(x.shape(), static_cast<int>(a.attrs.dims[0][0]));
  const std::vector<std::int64_t> k = indices(a.operands[1]);
  visit_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* from = u.as<T>().data();
      T* to = z.as<T>().data();
      for (std::int64_t outer = 0; outer < s.outer; ++outer)
        for (std::int64_t index : k)
          for (std::int64_t inner = 0; inner < s.inner; ++inner, ++from)
            if (0 <= index && index < s.extent) {
              T& element = to[(outer * s.extent + index) * s.inner + inner];
              element = apply_binary(Op::add, element, *from);
            }
    }
  });
  return z;
}

}  // namespace weft::eval

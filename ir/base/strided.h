// Row-major walks over strided views and around an axis, for the evaluation of ops.
#pragma once
#include <weft/ir/base/array.h>

namespace weft {

/// Calls f(i, offset) for the i-th index of `shape` in row-major order, offset = start + sum of index[d] * strides[d].
template <class F>
void for_each_offset(const Shape& shape, std::int64_t start, const Dims& strides, F&& f) {
  const std::int64_t count = element_count(shape);
  Dims index = Dims::filled(shape.rank(), 0);
  std::int64_t offset = start;
  for (std::int64_t i = 0; i < count; ++i) {
    f(i, offset);
    for (int d = shape.rank() - 1; d >= 0; --d) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= index[d] * strides[d];
      index[d] = 0;
    }
  }
}

/// y of `shape` with y[index] = x's element at offset start + sum of index[d] * strides[d].
inline Array strided_copy(const Array& x, const Shape& shape, std::int64_t start, const Dims& strides) {
  Array y(Type{x.dtype(), shape});
  visit_dtype(x.dtype(), [&](auto zero) {
    const auto* from = x.as<decltype(zero)>().data();
    auto* to = y.as<decltype(zero)>().data();
    for_each_offset(shape, start, strides, [&](std::int64_t i, std::int64_t offset) { to[i] = from[offset]; });
  });
  return y;
}

/// A shape seen as [outer, extent, inner] around an axis. For tensors that are not empty, but for `extent` itself.
struct AroundAxis {
  std::int64_t outer = 1, extent, inner = 1;
  AroundAxis(const Shape& shape, int axis) : extent(shape[axis]) {
    for (int d = 0; d < axis; ++d) outer *= shape[d];
    for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape[d];
  }
};

}  // namespace weft

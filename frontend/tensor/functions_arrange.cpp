// Functions that take tensors apart, repeat and rearrange elements, and those of matrices and images that do so.
#include <algorithm>
#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/functions.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// The extent of an axis (not negative), which must be known.
std::int64_t known_extent(const Tensor& x, int axis) {
  const std::int64_t n = x.shape()[axis];
  if (is_symbol(n)) type_error({x}, fmt::format("axis {} has an unbound extent; expected a known one", axis));
  return n;
}

/// x repeated along a new axis at `axis`, which is then merged with the one after it, or (`after`) before it.
Tensor repeated(const Tensor& x, int axis, std::int64_t times, bool after) {
  const std::int64_t n = known_extent(x, axis);
  Shape wide = x.shape(), shape = x.shape();
  const int at = after ? axis + 1 : axis;
  wide.insert(at, times);
  shape[axis] = n * times;
  return reshape(spread(x, wide, other_axes(wide.rank(), {at})), shape);
}

/// "column - row" compared with k for each element of the last two axes of a shape: op is one of lt, le, …
Tensor band(const std::shared_ptr<Trace>& trace, Op op, const Shape& shape, std::int64_t k) {
  GraphScope graph(trace);
  return binary(op, iota(i64, shape, -1) - iota(i64, shape, -2), k);
}

void require_matrices(const Tensor& x) {
  check_operands({x});
  if (x.rank() < 2) type_error({x}, fmt::format("rank {}; expected matrices in the last two axes", x.rank()));
}

/// x between the batch and the channels at the sizes given, and whether those are as many.
void require_image(const Tensor& x, const Dims& size) {
  check_operands({x});
  if (x.rank() < 3 || size.rank() != x.rank() - 2)
    type_error({x}, fmt::format("{} for rank {}; expected [batch, …, channels] and a size for each axis between",
                                counted(size.rank(), "size"), x.rank()));
  for (int i = 0; i < size.rank(); ++i) {
    if (size[i] < 1) type_error({x}, fmt::format("size {}; expected at least 1 each", list_text(size)));
    if (known_extent(x, i + 1) < 1) type_error({x}, fmt::format("axis {} has no elements to choose from", i + 1));
  }
}

std::int64_t checked_block(const Tensor& x, std::int64_t block) {
  check_operands({x});
  if (x.rank() != 4) type_error({x}, fmt::format("rank {}; expected [batch, height, width, channels]", x.rank()));
  if (block < 1) type_error({x}, fmt::format("block {}; expected at least 1", block));
  return block;
}

void require_divides(const Tensor& x, int axis, std::int64_t by) {
  if (const std::int64_t n = known_extent(x, axis); n % by != 0)
    type_error({x}, fmt::format("axis {} has extent {}; expected a multiple of {}", axis, n, by));
}

}  // namespace

std::vector<Tensor> split(const Tensor& x, std::int64_t parts, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  const int at = resolve_axis(x, axis, x.rank());
  if (parts < 1) type_error({x}, fmt::format("{} parts; expected at least 1", parts));
  require_divides(x, at, parts);
  const std::int64_t size = x.shape()[at] / parts;
  std::vector<Tensor> result;
  for (std::int64_t k = 0; k < parts; ++k) result.push_back(slice(x, at, k * size, (k + 1) * size));
  return result;
}

std::vector<Tensor> split_at(const Tensor& x, const Dims& places, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  const int at = resolve_axis(x, axis, x.rank());
  const std::int64_t n = known_extent(x, at);
  Dims ends = places;
  ends.push_back(n);
  std::vector<Tensor> result;
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    if (end < begin || end > n)
      type_error({x}, fmt::format("places {} do not ascend from 0 to {}", list_text(places), n));
    result.push_back(slice(x, at, begin, end));
    begin = end;
  }
  return result;
}

std::vector<Tensor> unstack(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  const int at = resolve_axis(x, axis, x.rank());
  std::vector<Tensor> result;
  for (std::int64_t k = 0; k < known_extent(x, at); ++k) result.push_back(squeeze(slice(x, at, k, k + 1), at));
  return result;
}

Tensor tile(const Tensor& x, const Dims& times, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  if (times.rank() != x.rank())
    type_error({x}, fmt::format("times {} for rank {}; expected one for each axis", list_text(times), x.rank()));
  Tensor y = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (times[axis] < 0) type_error({x}, fmt::format("times {}; expected at least 0 each", list_text(times)));
    if (times[axis] != 1) y = repeated(y, axis, times[axis], false);
  }
  return y;
}

Tensor repeat(const Tensor& x, std::int64_t times, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  if (times < 0) type_error({x}, fmt::format("{} times; expected at least 0", times));
  return repeated(x, resolve_axis(x, axis, x.rank()), times, true);
}

Tensor roll(const Tensor& x, std::int64_t shift, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  const int at = resolve_axis(x, axis, x.rank());
  const std::int64_t n = known_extent(x, at), by = n == 0 ? 0 : (shift % n + n) % n;
  return by == 0 ? x : concat({slice(x, at, n - by, n), slice(x, at, 0, n - by)}, at);
}

Tensor swapaxes(const Tensor& x, int a, int b, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  Dims perm = Dims::iota(x.rank());
  std::swap(perm[resolve_axis(x, a, x.rank())], perm[resolve_axis(x, b, x.rank())]);
  return transpose(x, perm);
}

Tensor moveaxis(const Tensor& x, int from, int to, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  const int source = resolve_axis(x, from, x.rank()), target = resolve_axis(x, to, x.rank());
  Dims perm = other_axes(x.rank(), {source});
  perm.insert(target, source);
  return transpose(x, perm);
}

Tensor tril(const Tensor& x, std::int64_t k, std::source_location where) {
  LocScope scope(where);
  require_matrices(x);
  return weft::where(band(x.trace(), Op::le, x.shape(), k), x, 0);
}

Tensor triu(const Tensor& x, std::int64_t k, std::source_location where) {
  LocScope scope(where);
  require_matrices(x);
  return weft::where(band(x.trace(), Op::ge, x.shape(), k), x, 0);
}

// In a matrix as one row of elements, a diagonal has every (columns + 1)st.
Tensor diagonal(const Tensor& x, std::int64_t k, int rows, int columns, std::source_location where) {
  LocScope scope(where);
  require_matrices(x);
  const int r = resolve_axis(x, rows, x.rank()), c = resolve_axis(x, columns, x.rank());
  if (r == c) type_error({x}, fmt::format("axis {} is both that of rows and that of columns", r));
  const std::int64_t height = known_extent(x, r), width = known_extent(x, c);
  const std::int64_t length = std::min(height - std::max<std::int64_t>(-k, 0), width - std::max<std::int64_t>(k, 0));
  if (length < 1) type_error({x}, fmt::format("there is no diagonal {} in [{},{}]", k, height, width));
  Dims perm = other_axes(x.rank(), {r, c});
  Shape flat;
  for (const std::int64_t axis : perm) flat.push_back(x.shape()[static_cast<int>(axis)]);
  flat.push_back(height * width);
  perm.push_back(r);
  perm.push_back(c);
  const std::int64_t start = k < 0 ? -k * width : k;
  return slice(reshape(transpose(x, perm), flat), -1, start, start + (length - 1) * (width + 1) + 1, width + 1);
}

Tensor trace(const Tensor& x, std::int64_t k, int rows, int columns, std::source_location where) {
  LocScope scope(where);
  return sum(diagonal(x, k, rows, columns), -1);
}

Tensor diag(const Tensor& x, std::int64_t k, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  if (x.rank() == 2) return diagonal(x, k);
  if (x.rank() != 1) type_error({x}, fmt::format("rank {}; expected a vector or a matrix", x.rank()));
  const std::int64_t n = known_extent(x, 0), size = n + std::abs(k);
  const Tensor longer = pad(x, {0}, {size - n}, 0);
  return weft::where(band(x.trace(), Op::eq, {size, size}, k), spread(longer, {size, size}, {k < 0 ? 1 : 0}), 0);
}

Tensor eye(std::int64_t rows, std::int64_t columns, std::int64_t k, DType dtype, std::source_location where) {
  LocScope scope(where);
  check_count("eye", "rows", rows, 0);
  return astype(band(current_trace(), Op::eq, {rows, columns < 0 ? rows : columns}, k), dtype);
}

Tensor linspace(double start, double stop, std::int64_t count, DType dtype, std::source_location where) {
  LocScope scope(where);
  check_number("linspace", "start", start, Domain::finite);
  check_number("linspace", "stop", stop, Domain::finite);
  check_count("linspace", "count", count);
  if (!is_float(dtype)) fail("{}linspace: the dtype is {}; expected f32 or f64", where_prefix(), name(dtype));
  const Array values = located("linspace", [&] { return Array(Type{f64, {count}}); });
  for (std::int64_t k = 0; k < count; ++k) {
    const double t = count == 1 ? 0 : static_cast<double>(k) / static_cast<double>(count - 1);
    values.as<double>()[static_cast<std::size_t>(k)] = start * (1 - t) + stop * t;
  }
  return constant(values.converted(dtype));
}

Tensor take_along_axis(const Tensor& x, const Tensor& indices, int axis, std::source_location where) {
  LocScope scope(where);
  check_operands({x, indices});
  const int at = resolve_axis(x, axis, x.rank());
  const std::int64_t n = known_extent(x, at);
  if (!is_integer(indices.dtype())) type_error({x, indices}, "indices must be integers; convert with astype(x, i32)");
  bool fits = indices.rank() == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == at || indices.shape()[i] == x.shape()[i];
  if (!fits) type_error({x, indices}, fmt::format("expected indices with the extents of x but for axis {}", at));
  const Tensor k = indices.dtype() == u8 ? astype(indices, i32) : indices;
  Shape pairs = k.shape();  // each index beside each element of the axis
  pairs.insert(at + 1, n);
  GraphScope graph(x.trace());
  const Tensor chosen = spread(k, pairs, other_axes(pairs.rank(), {at + 1})) == iota(k.dtype(), pairs, at + 1);
  const Tensor elements = spread(x, pairs, other_axes(pairs.rank(), {at}));
  return astype(sum(weft::where(chosen, elements, 0), at + 1), x.dtype());
}

Tensor depth_to_space(const Tensor& x, std::int64_t block, std::source_location where) {
  LocScope scope(where);
  const std::int64_t b = checked_block(x, block), h = known_extent(x, 1), w = known_extent(x, 2);
  require_divides(x, 3, b * b);
  const std::int64_t c = x.shape()[3] / (b * b), n = x.shape()[0];
  return reshape(transpose(reshape(x, {n, h, w, b, b, c}), {0, 1, 3, 2, 4, 5}), {n, h * b, w * b, c});
}

Tensor space_to_depth(const Tensor& x, std::int64_t block, std::source_location where) {
  LocScope scope(where);
  const std::int64_t b = checked_block(x, block), c = known_extent(x, 3);
  require_divides(x, 1, b);
  require_divides(x, 2, b);
  const std::int64_t n = x.shape()[0], h = x.shape()[1] / b, w = x.shape()[2] / b;
  return reshape(transpose(reshape(x, {n, h, b, w, b, c}), {0, 1, 3, 2, 4, 5}), {n, h, w, b * b * c});
}

Tensor resize_nearest(const Tensor& x, const Dims& size, std::source_location where) {
  LocScope scope(where);
  require_image(x, size);
  Tensor y = x;
  for (int i = 0; i < size.rank(); ++i) {
    const std::int64_t n = x.shape()[i + 1];
    if (size[i] == n) continue;
    std::vector<std::int32_t> nearest;
    for (std::int64_t k = 0; k < size[i]; ++k)
      nearest.push_back(static_cast<std::int32_t>((2 * k + 1) * n / (2 * size[i])));
    y = gather(y, literal(x.trace(), Array::from<std::int32_t>(nearest, {size[i]})), i + 1);
  }
  return y;
}

// Along each axis, a contraction with the matrix of weights.
Tensor resize_linear(const Tensor& x, const Dims& size, std::source_location where) {
  LocScope scope(where);
  require_image(x, size);
  Tensor y = x;
  for (int i = 0; i < size.rank(); ++i) {
    const std::int64_t n = x.shape()[i + 1], m = size[i];
    if (m == n) continue;
    std::vector<double> weights(static_cast<std::size_t>(n * m), 0);
    for (std::int64_t k = 0; k < m; ++k) {
      const double centre = (static_cast<double>(k) + 0.5) * static_cast<double>(n) / static_cast<double>(m) - 0.5;
      const double place = std::clamp(centre, 0.0, static_cast<double>(n - 1));
      const auto below = static_cast<std::int64_t>(place), above = std::min(below + 1, n - 1);
      const double part = place - static_cast<double>(below);
      weights[static_cast<std::size_t>(below * m + k)] += 1 - part;
      weights[static_cast<std::size_t>(above * m + k)] += part;
    }
    const Tensor matrix = literal(x.trace(), Array::from<double>(weights, {n, m}).converted(x.dtype()));
    y = moveaxis(contract(y, matrix, {i + 1}, {0}), -1, i + 1);
  }
  return y;
}

}  // namespace weft

// A convolution is a contraction with windows, pooling a reduction of them.
#include "frontend/tensor/windows.h"

#include <algorithm>
#include <limits>

#include "frontend/tensor/node.h"

namespace weft {
namespace {

constexpr std::int64_t kMostStep = std::int64_t{1} << 24;  // of sizes, strides and dilations

/// The windows along each spatial axis of an input [batch, spatial…, channels], and the padding around it.
struct Spatial {
  int rank;
  Dims size, stride, dilation, low, high;
  std::int64_t span(int i) const { return (size[i] - 1) * dilation[i] + 1; }
  Dims axes() const {
    Dims all;
    for (int i = 0; i < rank; ++i) all.push_back(i + 1);
    return all;
  }
};

Dims one_for_each(const Tensor& x, std::string_view what, const Dims& list, int rank, const Dims& otherwise,
                  std::int64_t least = 1) {
  if (list.empty()) return otherwise;
  if (list.rank() != 1 && list.rank() != rank)
    type_error({x}, fmt::format("{} is {}; expected {} entries, one for each spatial axis, or one for all", what,
                                list_text(list), rank));
  Dims all;
  for (int i = 0; i < rank; ++i) all.push_back(list[list.rank() == 1 ? 0 : i]);
  for (const std::int64_t v : all)
    if (v < least || v > kMostStep)
      type_error({x}, fmt::format("{} is {}; expected {} to {}", what, list_text(list), least, kMostStep));
  return all;
}

int spatial_rank(const Tensor& x) {
  check_operands({x});
  const int rank = x.rank() - 2;
  if (rank < 1 || rank > 3) type_error({x}, "expected [batch, 1 to 3 spatial axes, channels]");
  for (int i = 1; i <= rank + 1; ++i)
    if (is_symbol(x.shape()[i])) type_error({x}, fmt::format("axis {} is unbound; expected only the batch to be", i));
  return rank;
}

Spatial spatial(const Tensor& x, const Dims& size, const Dims& stride, const Dims& dilation, const Padding& padding,
                const Dims& default_stride) {
  const int rank = spatial_rank(x);
  const Dims one = Dims::filled(rank, 1), none = Dims::filled(rank, 0);
  Spatial s{rank, size, {}, {}, none, none};
  s.stride = one_for_each(x, "stride", stride, rank, default_stride.empty() ? one : default_stride);
  s.dilation = one_for_each(x, "dilation", dilation, rank, one);
  if (padding.kind == Padding::given) {
    s.low = one_for_each(x, "the padding before", padding.low, rank, none, 0);
    s.high = one_for_each(x, "the padding behind", padding.high, rank, none, 0);
  }
  const bool causal = padding.kind == Padding::causal;
  for (int i = 0; i < rank && (causal || padding.kind == Padding::same); ++i) {
    const std::int64_t n = x.shape()[i + 1], windows = (n + s.stride[i] - 1) / s.stride[i];
    const std::int64_t more = std::max<std::int64_t>(0, (windows - 1) * s.stride[i] + s.span(i) - n);
    s.low[i] = causal ? more : more / 2, s.high[i] = more - s.low[i];
  }
  return s;
}

/// Around the spatial axes alone; `between`: elements between neighbours.
Tensor pad_around(const Tensor& x, const Dims& low, const Dims& high, const Number& value, const Dims& between = {}) {
  const int rank = low.rank();
  Dims l{0}, h{0}, b{0};
  for (int i = 0; i < rank; ++i)
    l.push_back(low[i]), h.push_back(high[i]), b.push_back(between.empty() ? 0 : between[i]);
  l.push_back(0), h.push_back(0), b.push_back(0);
  const Dims none = Dims::filled(l.rank(), 0);
  if (l == none && h == none && b == none) return x;
  return node(Op::pad, {x, scalar_like(x, value)},
              {{Attr::low, l}, {Attr::high, h}, {Attr::interior, b == none ? Dims{} : b}});
}

/// [batch, spatial…, channels…] -> [batch, windows…, channels…, size…].
Tensor windows_of(const Tensor& x, const Spatial& s) { return window(x, s.axes(), s.size, s.stride, s.dilation); }

Dims leading(const Shape& shape, int count) { return Dims(std::span(shape.begin(), static_cast<std::size_t>(count))); }

void check_weight(const Tensor& x, const Tensor& w, int rank, std::string_view expected) {
  check_operands({x, w});
  if (w.rank() != rank + 2) type_error({x, w}, fmt::format("the weight has {} axes; expected {}", w.rank(), expected));
  for (const std::int64_t extent : w.shape())
    if (extent < 1)
      type_error({x, w}, fmt::format("the weight has no elements, or an unbound axis; expected {}", expected));
  if (x.dtype() != w.dtype())
    type_error({x, w},
               fmt::format("dtypes differ: {} and {}; convert one with astype()", name(x.dtype()), name(w.dtype())));
}

Spatial of_conv(const Tensor& x, const Tensor& w, const ConvOptions& o, std::string_view expected) {
  const int rank = spatial_rank(x);
  check_weight(x, w, rank, expected);
  return spatial(x, leading(w.shape(), rank), o.stride, o.dilation, o.padding, {});
}

/// The windows that pooling takes.
Spatial of_pool(const Tensor& x, const Dims& size, const PoolOptions& o) {
  const int rank = spatial_rank(x);
  if (size.empty()) type_error({x}, "the size of the windows is missing");
  const Dims all = one_for_each(x, "size", size, rank, {});
  const Spatial s = spatial(x, all, o.stride, o.dilation, o.padding, all);
  for (int i = 0; i < rank; ++i)
    if (std::max(s.low[i], s.high[i]) >= s.span(i))
      type_error(
          {x}, fmt::format("padding of {} before and {} behind along spatial axis {}: a window of {} lies in it whole",
                           s.low[i], s.high[i], i, s.span(i)));
  return s;
}

/// Each window's axis behind that of its number, as windows side by side lie in x, and all in front of the channels,
/// which a register holds neighbours of; then folded, the innermost first.
Tensor fold_windows(Tensor y, int rank, Tensor (*fold)(const Tensor&, int axis)) {
  Dims perm{0};
  for (int i = 0; i < rank; ++i) perm.push_back(1 + i), perm.push_back(rank + 2 + i);
  perm.push_back(rank + 1);
  y = transpose(y, perm);
  for (int i = rank; i-- > 0;) y = fold(y, 2 * i + 2);
  return y;
}

Tensor sum_of(const Tensor& x, int axis) { return sum(x, axis); }
Tensor max_of(const Tensor& x, int axis) { return max(x, axis); }

}  // namespace

Tensor conv(const Tensor& x, const Tensor& w, const ConvOptions& o, std::source_location where) {
  LocScope scope(where);
  const Spatial s = of_conv(x, w, o, "[size…, channels / groups, filters]");
  const std::int64_t channels = x.shape().back(), filters = w.shape().back();
  if (o.groups < 1 || channels % o.groups != 0 || filters % o.groups != 0)
    type_error({x, w},
               fmt::format("{} groups; expected a divisor of {} channels and {} filters", o.groups, channels, filters));
  const std::int64_t depth = channels / o.groups;
  if (w.shape()[s.rank] != depth)
    type_error({x, w}, fmt::format("the weight is for {} channels; expected {}", w.shape()[s.rank], depth));
  const Tensor padded = pad_around(x, s.low, s.high, 0);
  if (o.groups == 1) {
    Dims lhs;
    for (int i = 0; i < s.rank; ++i) lhs.push_back(s.rank + 2 + i);
    lhs.push_back(s.rank + 1);
    return contract(windows_of(padded, s), w, lhs, Dims::iota(s.rank + 1));
  }
  if (s.rank > 2)
    type_error({x, w}, fmt::format("{} groups of an input with {} spatial axes; expected at most 2", o.groups, s.rank));
  Shape split = padded.shape();
  split[s.rank + 1] = o.groups;
  split.push_back(depth);
  Shape by_group = leading(w.shape(), s.rank + 1);
  by_group.push_back(o.groups), by_group.push_back(filters / o.groups);
  Dims lhs;
  for (int i = 0; i < s.rank; ++i) lhs.push_back(s.rank + 3 + i);
  lhs.push_back(s.rank + 2);
  const Tensor y = contract(windows_of(reshape(padded, split), s), reshape(w, by_group), lhs, Dims::iota(s.rank + 1),
                            {s.rank + 1}, {s.rank + 1});  // [groups, batch, windows…, filters / groups]
  Dims perm;
  for (int i = 0; i <= s.rank; ++i) perm.push_back(i + 1);
  perm.push_back(0), perm.push_back(s.rank + 2);
  const Tensor last = transpose(y, perm);
  Shape joined = leading(last.shape(), s.rank + 1);
  joined.push_back(filters);
  return reshape(last, joined);
}

Tensor conv_transpose(const Tensor& x, const Tensor& w, const ConvOptions& o, std::source_location where) {
  LocScope scope(where);
  const Spatial s = of_conv(x, w, o, "[size…, filters, channels]");
  if (o.groups != 1) type_error({x, w}, fmt::format("{} groups; expected 1", o.groups));
  if (o.padding.kind == Padding::causal) type_error({x, w}, "causal padding; expected valid, same or numbers");
  if (w.shape().back() != x.shape().back())
    type_error({x, w}, fmt::format("the weight is for {} channels; expected {}", w.shape().back(), x.shape().back()));
  Dims low, high, between, cut_low, cut_high;
  bool cuts = false;
  for (int i = 0; i < s.rank; ++i) {
    const std::int64_t n = x.shape()[i + 1], whole = (n - 1) * s.stride[i] + s.span(i);
    std::int64_t extent = whole - s.low[i] - s.high[i], first = s.low[i];
    if (o.padding.kind == Padding::same) {
      extent = n * s.stride[i];
      first = std::max<std::int64_t>(0, whole - extent) / 2;
    }
    if (n < 1 || extent < 1) type_error({x, w}, fmt::format("nothing is left of spatial axis {}", i));
    // What y[first, first + extent) needs: `before` zeros, elements a stride apart, then as many as the windows reach.
    const std::int64_t before = s.span(i) - 1 - first, behind = extent + first - (n - 1) * s.stride[i] - 1;
    low.push_back(std::max<std::int64_t>(0, before)), high.push_back(std::max<std::int64_t>(0, behind));
    cut_low.push_back(std::max<std::int64_t>(0, -before)), cut_high.push_back(std::max<std::int64_t>(0, -behind));
    between.push_back(s.stride[i] - 1);
    cuts |= before < 0 || behind < 0;
  }
  Tensor spread_out = pad_around(x, low, high, 0, between);
  if (cuts)
    for (int i = 0; i < s.rank; ++i)
      spread_out = slice(spread_out, i + 1, cut_low[i], spread_out.shape()[i + 1] - cut_high[i]);
  Spatial dense = s;
  dense.stride = Dims::filled(s.rank, 1);
  Dims lhs, rhs = Dims::iota(s.rank);
  for (int i = 0; i < s.rank; ++i) lhs.push_back(s.rank + 2 + i);
  lhs.push_back(s.rank + 1), rhs.push_back(s.rank + 1);
  const Tensor turned = node(Op::reverse, {w}, {{Attr::axes, Dims::iota(s.rank)}});
  return contract(windows_of(spread_out, dense), turned, lhs, rhs);
}

Tensor depthwise_conv(const Tensor& x, const Tensor& w, const ConvOptions& o, std::source_location where) {
  LocScope scope(where);
  const Spatial s = of_conv(x, w, o, "[size…, channels, multiplier]");
  if (o.groups != 1) type_error({x, w}, fmt::format("{} groups; expected 1", o.groups));
  const std::int64_t channels = x.shape().back(), multiplier = w.shape().back();
  if (w.shape()[s.rank] != channels)
    type_error({x, w}, fmt::format("the weight is for {} channels; expected {}", w.shape()[s.rank], channels));
  const Tensor y = windows_of(pad_around(x, s.low, s.high, 0), s);  // [batch, windows…, channels, size…]
  // One multiply-add for each place in a window, along neighbouring channels: there is nothing to share between them.
  std::int64_t places = 1;
  for (const std::int64_t k : s.size) places *= k;
  const Tensor rows = reshape(w, {places, channels, multiplier});
  Shape out = leading(y.shape(), s.rank + 2);
  out.push_back(multiplier);
  Tensor total;
  for (std::int64_t place = 0; place < places; ++place) {
    Tensor at = y;
    std::int64_t left = place;
    for (int i = s.rank; i-- > 0; left /= s.size[i])
      at = slice(at, s.rank + 2 + i, left % s.size[i], left % s.size[i] + 1);
    const Tensor seen = spread(reshape(at, leading(y.shape(), s.rank + 2)), out, Dims::iota(s.rank + 2));
    const Tensor filter = reshape(slice(rows, 0, place, place + 1), {channels, multiplier});
    const Tensor weighted = spread(filter, out, {s.rank + 1, s.rank + 2});
    total = total.defined() ? fma(seen, weighted, total) : seen * weighted;
  }
  Shape joined = leading(out, s.rank + 1);
  joined.push_back(channels * multiplier);
  return reshape(total, joined);
}

Tensor max_pool(const Tensor& x, const Sizes& size, const PoolOptions& o, std::source_location where) {
  LocScope scope(where);
  const Spatial s = of_pool(x, size, o);
  const Number least = visit_dtype(x.dtype(), [](auto zero) -> Number {
    using T = decltype(zero);
    if constexpr (std::is_floating_point_v<T>)
      return -std::numeric_limits<double>::infinity();
    else
      return static_cast<std::int64_t>(std::numeric_limits<T>::lowest());
  });
  return fold_windows(windows_of(pad_around(x, s.low, s.high, least), s), s.rank, max_of);
}

Tensor avg_pool(const Tensor& x, const Sizes& size, const PoolOptions& o, std::source_location where) {
  LocScope scope(where);
  const Spatial s = of_pool(x, size, o);
  const auto total = [&](const Tensor& of) {
    return fold_windows(windows_of(pad_around(of, s.low, s.high, 0), s), s.rank, sum_of);
  };
  if (!is_float(x.dtype())) type_error({x}, "takes f32 and f64; convert with astype(x, f32)");
  const Tensor sums = total(x);
  const Dims none = Dims::filled(s.rank, 0);
  if (s.low == none && s.high == none) {
    double count = 1;
    for (const std::int64_t k : s.size) count *= static_cast<double>(k);
    return sums * (1 / count);
  }
  GraphScope graph(x.trace());
  Shape one = x.shape();
  one[0] = 1, one[s.rank + 1] = 1;
  return sums / total(full(x.dtype(), one, 1));
}

Tensor l2_pool(const Tensor& x, const Sizes& size, const PoolOptions& o, std::source_location where) {
  LocScope scope(where);
  const Spatial s = of_pool(x, size, o);
  return sqrt(fold_windows(windows_of(pad_around(square(x), s.low, s.high, 0), s), s.rank, sum_of));
}

Tensor window(const Tensor& x, const Dims& axes, const Dims& size, const Dims& stride, const Dims& dilation,
              std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  if (x.rank() + axes.rank() > kMaxRank)
    type_error({x}, fmt::format("{} windows of {} axes; expected at most {} in all", axes.rank(), x.rank(), kMaxRank));
  Dims list;
  for (const std::int64_t axis : axes) list.push_back(axis < 0 ? axis + x.rank() : axis);
  const auto steps = [](const Dims& given) { return given == Dims::filled(given.rank(), 1) ? Dims{} : given; };
  return node(
      Op::window, {x},
      {{Attr::axes, list}, {Attr::size, size}, {Attr::stride, steps(stride)}, {Attr::dilation, steps(dilation)}});
}

Tensor flip(const Tensor& x, const Axes& axes, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  Dims list;
  for (const int axis : axes.resolve(x)) list.push_back(axis);
  return node(Op::reverse, {x}, {{Attr::axes, list}});
}

}  // namespace weft

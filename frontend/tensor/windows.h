// Windows that slide along axes, and what is made of them: convolution and pooling, after Keras, channels last.
#pragma once
#include <weft/frontend/tensor/functions.h>

namespace weft {

/// One number for each spatial axis, {3, 5}, or one for all, 3.
struct Sizes : Dims {
  using Dims::Dims;
  Sizes(const Dims& list) : Dims(list) {}
  Sizes(std::int64_t all) : Dims{all} {}
};

/// What is added around the spatial axes before windows are taken: nothing, `same` (as much as gives ceil(extent / stride)
/// windows, the smaller half in front), `causal` (as much, all of it in front: a window ends at its own place), or as
/// many elements as given before and behind each axis: lists as Sizes are, or one number for both sides of all.
struct Padding {
  enum Kind : std::uint8_t { valid, same, causal, given };
  Padding(Kind padding = valid) : kind(padding) {}
  Padding(std::int64_t around) : Padding({around}, {around}) {}
  Padding(Dims before, Dims behind) : kind(given), low(std::move(before)), high(std::move(behind)) {}

  Kind kind;
  Dims low, high;
};

/// Stride and dilation are at least 1, and 1 by default.
struct ConvOptions {
  Sizes stride = {}, dilation = {};
  Padding padding = Padding::valid;
  std::int64_t groups = 1;  ///< channels and filters are cut into as many; each filter sees its group's channels
};

/// The cross-correlation y[b, o…, f] = sum over k…, c of x[b, o * stride + k * dilation…, c] w[k…, c, f]:
/// x [batch, 1 to 3 spatial axes, channels], w [size…, channels / groups, filters] -> [batch, …, filters].
Tensor conv(const Tensor& x, const Tensor& w, const ConvOptions& options = {}, WEFT_HERE);

/// The transpose of conv() in x: x [batch, …, channels], w [size…, filters, channels] -> [batch, …, filters], whose
/// spatial extents are (n - 1) * stride + the window's span, or n * stride where the padding is `same`. Of padding that
/// is given, that much is cut off. One group.
Tensor conv_transpose(const Tensor& x, const Tensor& w, const ConvOptions& options = {}, WEFT_HERE);

/// Each channel with filters of its own: x [batch, …, channels], w [size…, channels, multiplier] ->
/// [batch, …, channels * multiplier]; filter j of channel c comes out at c * multiplier + j. One group.
Tensor depthwise_conv(const Tensor& x, const Tensor& w, const ConvOptions& options = {}, WEFT_HERE);

/// No window may lie in the padding alone.
struct PoolOptions {
  Sizes stride = {};  ///< by default the size: windows side by side
  Sizes dilation = {};
  Padding padding = Padding::valid;
};

/// The largest element of each window, [batch, …, channels] -> [batch, …, channels]. Padding never wins. Where several
/// are largest, the rows of the window that have one share the gradient equally, then the elements of each row.
Tensor max_pool(const Tensor& x, const Sizes& size, const PoolOptions& options = {}, WEFT_HERE);
/// The mean of each window's elements, those of padding not counted. f32 and f64.
Tensor avg_pool(const Tensor& x, const Sizes& size, const PoolOptions& options = {}, WEFT_HERE);
/// The square root of the sum of squares of each window; its gradient where all are 0 is NaN, as that of sqrt(0) is inf.
Tensor l2_pool(const Tensor& x, const Sizes& size, const PoolOptions& options = {}, WEFT_HERE);

/// y[…, o, …, k] = x[…, o * stride + k * dilation, …] along each of `axes` (negative: from the end), which the other lists
/// have an entry for each of: all windows that fit. Their axes k come
/// last, in the order of `axes`. Nothing is copied.
Tensor window(const Tensor& x, const Dims& axes, const Dims& size, const Dims& stride = {}, const Dims& dilation = {},
              WEFT_HERE);
/// x backwards along `axes`.
Tensor flip(const Tensor& x, const Axes& axes = {}, WEFT_HERE);

}  // namespace weft

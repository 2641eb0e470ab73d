// Layers around the functions of frontend/tensor/windows.h.
#include "frontend/nn/convolution.h"

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// The axes between the first and the last.
std::vector<int> spatial_axes(const Tensor& x, std::string_view layer) {
  if (x.rank() < 3) type_error_of(layer, {x}, "expected [batch, spatial axes, channels]");
  std::vector<int> axes;
  for (int i = 1; i + 1 < x.rank(); ++i) axes.push_back(i);
  return axes;
}

}  // namespace

Convolution::Convolution(std::string kind, int spatial, std::int64_t filters, Sizes size, Activation activation,
                         ConvLayerOptions options, const std::source_location& where)
    : Layer(kind, options.name, where),
      spatial_(spatial),
      filters_(filters),
      activation_(std::move(activation)),
      options_(std::move(options)) {
  const LocScope scope(where);
  check_count(kind, kind == "DepthwiseConv2D" ? "multiplier" : "filters", filters_);
  if (size.rank() != 1 && size.rank() != spatial)
    fail("{}{}: size is {}; expected {} entries, or one for all", where_prefix(), kind, list_text(size), spatial);
  for (int i = 0; i < spatial; ++i) size_.push_back(size[size.rank() == 1 ? 0 : i]);
  for (const std::int64_t k : size_)
    if (k < 1) fail("{}{}: size is {}; expected 1 or more", where_prefix(), kind, list_text(size));
  if (options_.groups != 1 && kind != fmt::format("Conv{}D", spatial))
    fail("{}{}: groups is {}; expected 1", where_prefix(), kind, options_.groups);
  callable(options_.weight_init, kind + ": weight_init", where);
  callable(options_.bias_init, kind + ": bias_init", where);
}

Tensor Convolution::run(const Tensor& x, int channel_axis, std::int64_t outputs, const Shaped& shape,
                        const Convolved& convolved) {
  enter(x);
  if (x.rank() != spatial_ + 2)
    type_error_of(name(), {x}, fmt::format("expected {} axes, [batch, {} spatial, channels]", spatial_ + 2, spatial_));
  const std::int64_t channels = x.shape().back();
  if (is_symbol(channels) || channels < 1) type_error_of(name(), {x}, "expected channels in the last axis");
  if (!built()) {
    weight("weight", shape(channels), options_.weight_init);
    if (options_.use_bias) weight("bias", {outputs}, options_.bias_init);
  }
  const Tensor w = parameters()[0];
  const std::int64_t built_for = w.shape()[channel_axis] * (channel_axis == spatial_ ? options_.groups : 1);
  if (built_for != channels)
    type_error_of(name(), {x, w},
                  fmt::format("the layer was built for {} channels and is given {}", built_for, channels));
  const ConvOptions how{options_.stride, options_.dilation, options_.padding, options_.groups};
  Tensor y;
  {
    const UserScope call;  // errors name the layer, not the function that it calls
    const BuiltinScope builtin(name());
    y = convolved(x, w, how);
  }
  if (options_.use_bias) y = y + parameters()[1];
  return called({x}, activation_(y));
}

template <int N>
Tensor Conv<N>::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return run(
      x, N, filters_,
      [&](std::int64_t channels) {
        const std::int64_t groups = options_.groups;
        if (groups < 1 || channels % groups != 0 || filters_ % groups != 0)
          type_error_of(
              name(), {x},
              fmt::format("{} groups; expected a divisor of {} channels and {} filters", groups, channels, filters_));
        Shape s = size_;
        s.push_back(channels / groups), s.push_back(filters_);
        return s;
      },
      [](const Tensor& in, const Tensor& w, const ConvOptions& how) { return conv(in, w, how); });
}

template <int N>
Tensor ConvTranspose<N>::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return run(
      x, N + 1, filters_,
      [&](std::int64_t channels) {
        Shape s = size_;
        s.push_back(filters_), s.push_back(channels);
        return s;
      },
      [](const Tensor& in, const Tensor& w, const ConvOptions& how) { return conv_transpose(in, w, how); });
}

template class Conv<1>;
template class Conv<2>;
template class Conv<3>;
template class ConvTranspose<1>;
template class ConvTranspose<2>;
template class ConvTranspose<3>;

Tensor DepthwiseConv2D::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  const std::int64_t outputs = x.defined() && x.rank() > 0 ? x.shape().back() * filters_ : filters_;
  return run(
      x, 2, outputs,
      [&](std::int64_t channels) {
        Shape s = size_;
        s.push_back(channels), s.push_back(filters_);
        return s;
      },
      [](const Tensor& in, const Tensor& w, const ConvOptions& how) { return depthwise_conv(in, w, how); });
}

MaxPool::MaxPool(Sizes size, PoolOptions options, std::string name, std::source_location where)
    : Layer("MaxPool", std::move(name), where), size_(std::move(size)), options_(std::move(options)) {}

Tensor MaxPool::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, max_pool(x, size_, options_));
}

AvgPool::AvgPool(Sizes size, PoolOptions options, std::string name, std::source_location where)
    : Layer("AvgPool", std::move(name), where), size_(std::move(size)), options_(std::move(options)) {}

Tensor AvgPool::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, avg_pool(x, size_, options_));
}

GlobalMaxPool::GlobalMaxPool(std::string name, std::source_location where)
    : Layer("GlobalMaxPool", std::move(name), where) {}

Tensor GlobalMaxPool::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, max(x, spatial_axes(x, name())));
}

GlobalAvgPool::GlobalAvgPool(std::string name, std::source_location where)
    : Layer("GlobalAvgPool", std::move(name), where) {}

Tensor GlobalAvgPool::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, mean(x, spatial_axes(x, name())));
}

}  // namespace weft

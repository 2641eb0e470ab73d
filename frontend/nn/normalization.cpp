// Normalisation over elementwise ops and means.
#include "frontend/nn/normalization.h"

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// x scale + offset, of those that are there.
Tensor affine(const Tensor& x, const Tensor& scale, const Tensor& offset) {
  Tensor y = x;
  if (scale.defined()) y = y * scale;
  if (offset.defined()) y = y + offset;
  return y;
}

std::vector<int> all_axes_but_last(const Tensor& x) {
  std::vector<int> axes;
  for (int a = 0; a + 1 < x.rank(); ++a) axes.push_back(a);
  return axes;
}

/// Error unless x is [batch, .., channels] of known channels, as many as the layer was built for.
void check_channels(const Layer& layer, const Tensor& x) {
  if (x.rank() < 2 || is_symbol(x.shape().back()))
    type_error_of(layer.name(), {x}, "expected a batch axis and channels, [batch, .., channels]");
  if (layer.parameters().empty() && layer.states().empty()) return;
  const Tensor& own = layer.parameters().empty() ? layer.states()[0] : layer.parameters()[0];
  if (const std::int64_t built = own.shape()[0]; built != x.shape().back())
    type_error_of(layer.name(), {x},
                  fmt::format("the layer was built for {} channels and is given {}", built, x.shape().back()));
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& scale, double epsilon, std::source_location where) {
  LocScope scope(where);
  check_number("rms_norm", "epsilon", epsilon, Domain::not_negative);
  const std::vector<int> last = Axes(-1).resolve(x);
  return affine(x * spread_back(rsqrt(mean(square(x), -1) + epsilon), x, last), scale, {});
}

// Over [batch, .., groups, channels / groups], all axes but the batch and the groups.
Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& scale, const Tensor& offset, double epsilon,
                  std::source_location where) {
  LocScope scope(where);
  check_count("group_norm", "groups", groups);
  check_number("group_norm", "epsilon", epsilon, Domain::not_negative);
  if (x.rank() < 2 || is_symbol(x.shape().back()) || x.shape().back() % groups != 0 || x.rank() == kMaxRank)
    type_error({x}, fmt::format("expected [batch, .., channels], at most {} axes and channels that {} divides",
                                kMaxRank - 1, groups));
  Shape split = x.shape();
  split[x.rank() - 1] = x.shape().back() / groups;
  split.insert(x.rank() - 1, groups);
  std::vector<int> axes;
  for (int a = 1; a <= x.rank(); ++a)
    if (a != x.rank() - 1) axes.push_back(a);
  const Tensor parts = reshape(x, split);
  const Tensor centred = parts - mean(parts, axes, true);
  return affine(reshape(centred * rsqrt(mean(square(centred), axes, true) + epsilon), x.shape()), scale, offset);
}

BatchNorm::BatchNorm(BatchNormOptions options, std::source_location where)
    : Layer("BatchNorm", options.name, where), options_(std::move(options)) {
  const LocScope scope(where);
  check_number("BatchNorm", "momentum", options_.momentum, Domain::fraction);
  check_number("BatchNorm", "epsilon", options_.epsilon, Domain::not_negative);
}

Tensor BatchNorm::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  check_channels(*this, x);
  if (x.dtype() != f32) type_error_of(name(), {x}, "expected f32");
  const Shape channels{x.shape().back()};
  if (!built()) {
    if (options_.scale) weight("scale", channels, ones());
    if (options_.offset) weight("offset", channels, zeros());
    state("mean", Array(Type{f32, channels}));
    state("variance", Array::filled({f32, channels}, 1));
  }
  const std::vector<int> axes = all_axes_but_last(x);
  const Tensor batch_mean = mean(x, axes), batch_variance = variance(x, axes);
  const auto keep = [&](const Tensor& running, const Tensor& batch) {
    update(running, options_.momentum * running + (1 - options_.momentum) * batch);
    return weft::where(training(running), batch, running);
  };
  const Tensor centre = keep(states()[0], batch_mean), spread = keep(states()[1], batch_variance);
  Tensor factor = rsqrt(spread + options_.epsilon);
  if (options_.scale) factor = factor * parameters()[0];
  return called({x}, affine((x - centre) * factor, {}, options_.offset ? parameters().back() : Tensor()));
}

RMSNorm::RMSNorm(double epsilon, std::string name, std::source_location where)
    : Layer("RMSNorm", std::move(name), where), epsilon_(epsilon) {
  const LocScope scope(where);
  check_number("RMSNorm", "epsilon", epsilon, Domain::not_negative);
}

Tensor RMSNorm::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  check_channels(*this, x);
  if (!built()) weight("scale", {x.shape().back()}, ones());
  return called({x}, rms_norm(x, parameters()[0], epsilon_));
}

GroupNorm::GroupNorm(std::int64_t groups, double epsilon, std::string name, std::source_location where)
    : Layer("GroupNorm", std::move(name), where), groups_(groups), epsilon_(epsilon) {
  const LocScope scope(where);
  check_count("GroupNorm", "groups", groups);
  check_number("GroupNorm", "epsilon", epsilon, Domain::not_negative);
}

Tensor GroupNorm::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  check_channels(*this, x);
  if (x.shape().back() % groups_ != 0)
    type_error_of(name(), {x}, fmt::format("expected channels that {} groups divide", groups_));
  if (!built()) {
    weight("scale", {x.shape().back()}, ones());
    weight("offset", {x.shape().back()}, zeros());
  }
  return called({x}, group_norm(x, groups_, parameters()[0], parameters()[1], epsilon_));
}

}  // namespace weft

// Normalisation: layers and the functions below them. LayerNorm is in layers.h.
#pragma once
#include <weft/frontend/nn/layers.h>

namespace weft {

/// x / sqrt(mean(x^2) + epsilon) * scale over the last axis (Zhang, Sennrich 2019); scale [extent] may be undefined.
Tensor rms_norm(const Tensor& x, const Tensor& scale = {}, double epsilon = 1e-6, WEFT_HERE);
/// x [batch, .., channels] with the elements of each sample in each of `groups` equal ranges of channels brought to mean
/// 0 and variance 1, then scaled and shifted (Wu, He 2018); scale and offset [channels] may be undefined.
Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& scale = {}, const Tensor& offset = {},
                  double epsilon = 1e-3, WEFT_HERE);

struct BatchNormOptions {
  double momentum = 0.99;  ///< in [0, 1]: what the running statistics keep of themselves in a step
  double epsilon = 1e-3;   ///< added to the variance; finite and 0 or more
  bool scale = true, offset = true;
  std::string name = "";
};

/// Brings each channel of [batch, .., channels] to mean 0 and variance 1, then scales and shifts (Ioffe, Szegedy 2015):
/// in training by the statistics of the batch, with the population variance, elsewhere by the running ones, which are
/// states: mean and variance, [channels], and become momentum * running + (1 - momentum) * batch in each step.
/// Parameters: scale and offset, [channels]. Frozen (set_trainable(false)), it keeps its running statistics, and
/// normalises by them in training too. A momentum of 0.99 wants hundreds of steps; take less for few.
class BatchNorm : public Layer {
 public:
  explicit BatchNorm(BatchNormOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  BatchNormOptions options_;
};

/// rms_norm() as a layer. Parameter: scale, [extent of the last axis].
class RMSNorm : public Layer {
 public:
  explicit RMSNorm(double epsilon = 1e-6, std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  double epsilon_;
};

/// group_norm() as a layer. Parameters: scale and offset, [channels]. groups >= 1, and it divides the channels.
class GroupNorm : public Layer {
 public:
  explicit GroupNorm(std::int64_t groups, double epsilon = 1e-3, std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  std::int64_t groups_;
  double epsilon_;
};

}  // namespace weft

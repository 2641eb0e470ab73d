// Convolutional layers and pooling, channels last, after Keras.
#pragma once
#include <weft/frontend/nn/layers.h>
#include <weft/frontend/tensor/windows.h>

namespace weft {

struct ConvLayerOptions {
  Sizes stride = {}, dilation = {};  ///< at least 1; by default 1
  Padding padding = Padding::valid;
  std::int64_t groups = 1;  ///< more than 1 in Conv alone
  bool use_bias = true;
  Initializer weight_init = glorot_uniform();
  Initializer bias_init = zeros();
  std::string name = "";
};

/// What convolutional layers have in common: the spatial axes, a weight, a bias, an activation.
class Convolution : public Layer {
 protected:
  Convolution(std::string kind, int spatial, std::int64_t filters, Sizes size, Activation activation,
              ConvLayerOptions options, const std::source_location& where);
  /// activation(convolved + bias), for the weight made as `shape` of x's channels says, when first called.
  using Shaped = std::function<Shape(std::int64_t channels)>;
  using Convolved = std::function<Tensor(const Tensor& x, const Tensor& w, const ConvOptions&)>;
  Tensor run(const Tensor& x, int channel_axis, std::int64_t outputs, const Shaped& shape, const Convolved& convolved);

  int spatial_;
  std::int64_t filters_;
  Dims size_;
  Activation activation_;
  ConvLayerOptions options_;
};

/// y = activation(conv(x, weight) + bias): [batch, N spatial axes, channels] -> [batch, …, filters]. Parameters: weight
/// [size…, channels / groups, filters], bias [filters].
template <int N>
class Conv : public Convolution {
 public:
  explicit Conv(std::int64_t filters, Sizes size, Activation activation = {}, ConvLayerOptions options = {}, WEFT_HERE)
      : Convolution("Conv" + std::to_string(N) + "D", N, filters, std::move(size), std::move(activation),
                    std::move(options), where) {}
  Tensor operator()(const Tensor& x, WEFT_HERE);
};
using Conv1D = Conv<1>;
using Conv2D = Conv<2>;
using Conv3D = Conv<3>;

/// conv_transpose() as a layer. Parameters: weight [size…, filters, channels], bias [filters].
template <int N>
class ConvTranspose : public Convolution {
 public:
  explicit ConvTranspose(std::int64_t filters, Sizes size, Activation activation = {}, ConvLayerOptions options = {},
                         WEFT_HERE)
      : Convolution("Conv" + std::to_string(N) + "DTranspose", N, filters, std::move(size), std::move(activation),
                    std::move(options), where) {}
  Tensor operator()(const Tensor& x, WEFT_HERE);
};
using Conv1DTranspose = ConvTranspose<1>;
using Conv2DTranspose = ConvTranspose<2>;
using Conv3DTranspose = ConvTranspose<3>;

/// depthwise_conv() of two spatial axes as a layer. Parameters: weight [height, width, channels, multiplier], bias
/// [channels * multiplier].
class DepthwiseConv2D : public Convolution {
 public:
  explicit DepthwiseConv2D(Sizes size, std::int64_t multiplier = 1, Activation activation = {},
                           ConvLayerOptions options = {}, WEFT_HERE)
      : Convolution("DepthwiseConv2D", 2, multiplier, std::move(size), std::move(activation), std::move(options), where) {}
  explicit DepthwiseConv2D(std::int64_t size, std::int64_t multiplier = 1, Activation activation = {},
                           ConvLayerOptions options = {}, WEFT_HERE)
      : DepthwiseConv2D(Sizes(size), multiplier, std::move(activation), std::move(options), where) {}
  Tensor operator()(const Tensor& x, WEFT_HERE);
};

/// max_pool() as a layer, of 1 to 3 spatial axes. (Of two constructors, MaxPool({2}) takes the second one.)
class MaxPool : public Layer {
 public:
  explicit MaxPool(Sizes size, PoolOptions options = {}, std::string name = "", WEFT_HERE);
  explicit MaxPool(std::int64_t size, PoolOptions options = {}, std::string name = "", WEFT_HERE)
      : MaxPool(Sizes(size), std::move(options), std::move(name), where) {}
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  Sizes size_;
  PoolOptions options_;
};

/// avg_pool() as a layer.
class AvgPool : public Layer {
 public:
  explicit AvgPool(Sizes size, PoolOptions options = {}, std::string name = "", WEFT_HERE);
  explicit AvgPool(std::int64_t size, PoolOptions options = {}, std::string name = "", WEFT_HERE)
      : AvgPool(Sizes(size), std::move(options), std::move(name), where) {}
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  Sizes size_;
  PoolOptions options_;
};

/// The largest element, or the mean, of each channel: [batch, …, channels] -> [batch, channels].
class GlobalMaxPool : public Layer {
 public:
  explicit GlobalMaxPool(std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);
};
class GlobalAvgPool : public Layer {
 public:
  explicit GlobalAvgPool(std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);
};

}  // namespace weft

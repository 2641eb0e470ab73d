// The reference models of the commands `weft train`, `bench` and `dump`.
#pragma once
#include <span>
#include <string_view>

#include <weft/frontend/train/model.h>

namespace weft {

/// A reference model: its name, a line on it, and how to build it (compiled, for samples of its kind; parameters from
/// `seed`).
struct BuiltinModel {
  std::string_view name, about;
  double gflop;  ///< of one training step of `batch` samples: 2 for each multiply-add of the contractions, those
                 ///< with the zeros around images included
  Model (*make)(std::uint64_t seed, const TrainOptions&);
  std::int64_t batch = 128;  ///< samples of a step, unless somebody says otherwise
  std::int64_t window = 0;   ///< 0: a sample is one of MNIST's, u8[784] and a label; else so many tokens, and those that follow
  std::int64_t tokens = 0;   ///< their vocabulary

  /// The types of `samples` samples: of x, of y.
  std::pair<Type, Type> types(std::int64_t samples) const;
  /// Samples to measure with: MNIST's, or windows of a made-up text of tokens.
  Dataset data() const;
};
std::span<const BuiltinModel> builtin_models();
/// Error that lists the models when there is none of that name.
const BuiltinModel& builtin_model(std::string_view name);

/// 784-512-256-10, relu, softmax cross-entropy, Adam 1e-3 (epsilon 1e-7), accuracy; Glorot weights, zero biases.
Model mlp(std::uint64_t seed = 0, const TrainOptions& options = {.loss = softmax_cross_entropy, .metrics = {accuracy}});

/// 3x3 convolutions to 32 and 64 channels (relu, valid), the largest of 2x2, a relu layer of 128, 10 scores; trained as mlp
/// is.
Model cnn(std::uint64_t seed = 0, const TrainOptions& options = {.loss = softmax_cross_entropy, .metrics = {accuracy}});

/// An image as 28 rows of 28 through an LSTM of 128 units, whose last state gives the 10 scores; trained as mlp is.
Model lstm(std::uint64_t seed = 0, const TrainOptions& options = {.loss = softmax_cross_entropy, .metrics = {accuracy}});

/// A vision transformer: 49 patches of 4x4 in width 64 with learned positions, 2 pre-norm blocks (4 heads, a gelu layer of
/// 256), norm, the mean of the patches, 10 scores; trained as mlp is.
Model vit(std::uint64_t seed = 0, const TrainOptions& options = {.loss = softmax_cross_entropy, .metrics = {accuracy}});

/// The Gpt of 65 tokens, context 128, 4 blocks of 4 heads and width 128; its loss is that of every next token.
Model gpt(std::uint64_t seed = 0, const TrainOptions& options = {.loss = softmax_cross_entropy, .metrics = {accuracy}});

}  // namespace weft

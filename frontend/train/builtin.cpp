// The reference models.
#include "frontend/train/builtin.h"

#include <cmath>

#include "frontend/nn/convolution.h"
#include "frontend/nn/recurrent.h"
#include "frontend/train/gpt.h"
#include "runtime/data/text.h"

namespace weft {
namespace {

constexpr BuiltinModel kModels[] = {
    {"mlp", "784-512-256-10, relu, Adam 1e-3", 0.308, mlp},
    {"cnn", "3x3 to 32, 3x3 to 64, relu, max pool 2, 128 relu, 10", 9.632, cnn},
    {"lstm", "28 rows of 28, LSTM(128), the last state, 10", 1.616, lstm},
    {"vit", "49 patches of 4x4, width 64, 2 blocks of 4 heads, 10", 4.198, vit},
    {"gpt", "128 of 65 tokens, width 128, 4 blocks of 4 heads", 22.753, gpt, 32, 128, 65},
};
constexpr std::int64_t kMeasuredWindows = 1024;

}  // namespace

std::span<const BuiltinModel> builtin_models() { return kModels; }

const BuiltinModel& builtin_model(std::string_view name) {
  std::string names;
  for (const BuiltinModel& m : kModels) {
    if (m.name == name) return m;
    names += (names.empty() ? "" : ", ") + std::string(m.name);
  }
  fail("there is no model '{}'; there is {}", name, names);
}

std::pair<Type, Type> BuiltinModel::types(std::int64_t samples) const {
  if (window == 0) return {{u8, {samples, data::kImagePixels}}, {i32, {samples}}};
  return {{i32, {samples, window}}, {i32, {samples, window}}};
}

// The tokens repeat in a pattern that a model can learn: each is a function of the two before it.
Dataset BuiltinModel::data() const {
  if (window == 0) return data::mnist({.test_count = 1, .quiet = true}).train;
  Array text(Type{i32, {kMeasuredWindows * window + 1}});
  const auto t = text.as<std::int32_t>();
  for (std::size_t i = 0; i < t.size(); ++i)
    t[i] = static_cast<std::int32_t>(
        (i < 2 ? std::int64_t(i) : 3 * std::int64_t{t[i - 1]} + t[i - 2] + std::int64_t(i % 7)) % tokens);
  return data::next_token_windows(text, window);
}

Model mlp(std::uint64_t seed, const TrainOptions& options) {
  GraphScope graph;
  set_seed(seed);
  Tensor image = input(f32, {784}, "image");
  Tensor h = Dense(512, relu)(image);
  h = Dense(256, relu)(h);
  Model model(image, Dense(10)(h));
  model.compile(options);
  return model;
}

Model cnn(std::uint64_t seed, const TrainOptions& options) {
  GraphScope graph;
  set_seed(seed);
  const Tensor image = input(f32, {784}, "image");
  Tensor h = Conv2D(32, 3, relu)(reshape(image, {-1, 28, 28, 1}));
  h = MaxPool(2)(Conv2D(64, 3, relu)(h));
  Model model(image, Dense(10)(Dense(128, relu)(flatten(h))));
  model.compile(options);
  return model;
}

Model lstm(std::uint64_t seed, const TrainOptions& options) {
  GraphScope graph;
  set_seed(seed);
  const Tensor image = input(f32, {784}, "image");
  Model model(image, Dense(10)(LSTM(128)(reshape(image, {-1, 28, 28}))));
  model.compile(options);
  return model;
}

namespace {

constexpr int kWidth = 64, kHeads = 4, kPatches = 49;

/// Attention of each patch to all, [batch, patches, width] -> the same.
Tensor self_attention(const Tensor& x) {
  const Tensor all = reshape(Dense(3 * kWidth, {}, {.name = "qkv"})(x), {-1, kPatches, 3 * kHeads, kWidth / kHeads});
  const Tensor by_head = transpose(all, {0, 2, 1, 3});  // [batch, 3 * heads, patches, width / heads]
  const auto part = [&](int i) { return slice(by_head, 1, i * kHeads, (i + 1) * kHeads); };
  const Tensor scores = matmul(part(0), transpose(part(1), {0, 1, 3, 2})) * (1 / std::sqrt(double(kWidth / kHeads)));
  const Tensor mixed = transpose(matmul(softmax(scores), part(2)), {0, 2, 1, 3});
  return Dense(kWidth, {}, {.name = "mix"})(reshape(mixed, {-1, kPatches, kWidth}));
}

}  // namespace

Model vit(std::uint64_t seed, const TrainOptions& options) {
  GraphScope graph;
  set_seed(seed);
  const Tensor image = input(f32, {784}, "image");
  const Tensor patches = reshape(transpose(reshape(image, {-1, 7, 4, 7, 4}), {0, 1, 3, 2, 4}), {-1, kPatches, 16});
  Tensor x =
      Dense(kWidth)(patches) + parameter({kPatches, kWidth}, normal(0, 1 / std::sqrt(double(kWidth))), "positions");
  for (int block = 0; block < 2; ++block) {
    x = x + self_attention(LayerNorm(1e-5)(x));
    x = x + Dense(kWidth)(Dense(4 * kWidth, gelu)(LayerNorm(1e-5)(x)));
  }
  Model model(image, Dense(10)(mean(LayerNorm(1e-5)(x), 1)));
  model.compile(options);
  return model;
}

Model gpt(std::uint64_t seed, const TrainOptions& options) {
  GraphScope graph;
  set_seed(seed);
  Gpt net;
  const Tensor tokens = input(i32, {net.options().context}, "tokens");
  Model model(tokens, net(tokens));
  model.compile(options);
  return model;
}

}  // namespace weft

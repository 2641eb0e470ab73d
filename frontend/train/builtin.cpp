// The reference models.
#include "frontend/train/builtin.h"

#include <algorithm>

namespace weft {
namespace {

constexpr BuiltinModel kModels[] = {
    {"mlp", "784-512-256-10, relu, Adam 1e-3", 0.308, mlp},
};
constexpr std::string_view kLater[] = {"cnn", "lstm", "vit"};

}  // namespace

std::span<const BuiltinModel> builtin_models() { return kModels; }

const BuiltinModel& builtin_model(std::string_view name) {
  std::string names;
  for (const BuiltinModel& m : kModels) {
    if (m.name == name) return m;
    names += (names.empty() ? "" : ", ") + std::string(m.name);
  }
  if (std::find(std::begin(kLater), std::end(kLater), name) != std::end(kLater))
    fail("model '{}' is not yet built in; there is {}", name, names);
  fail("there is no model '{}'; there is {}", name, names);
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

}  // namespace weft

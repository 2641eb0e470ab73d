// What a model holds and does not train: states, and parameters that the loss does not depend on.
#include <unistd.h>

#include <filesystem>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Centred {
  Tensor x = input(f32, {3}, "x");
  Tensor centre = state(f({1, 2, 3}, {3}), "centre"), unused = state(f({1}, {1}), "unused");
  Model model{x, Dense(2)((x - centre) * Dense(3)(state(f({2, 2, 2}, {1, 3})) + x * 0))};
};

const std::pair<const char*, Optimizer> kOptimizers[] = {
    {"SGD", SGD{0.01}},
    {"momentum", SGD{.learning_rate = 0.01, .momentum = 0.9}},
    {"RMSprop", RMSprop{.learning_rate = 0.01, .momentum = 0.5}},
    {"Adagrad", Adagrad{0.01}},
    {"Adam", Adam{0.01}},
    {"AdamW", AdamW{.learning_rate = 0.01, .weight_decay = 0.5}},
};

}  // namespace

TEST_CASE("states of a model are saved, loaded, set with the weights and shown in the summary") {
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("weft_held_values_{}", getpid())).string();
  GraphScope graph;
  Centred first;
  REQUIRE(first.model.parameter_count() == 20);
  require_parts(first.model.summary(false), {"centre (State)", "(3)", "state (State)", "(1, 3)", "20 parameters",
                                             "6 numbers in states, which are saved and not trained"});
  REQUIRE(first.model.summary(false).find("unused") == std::string::npos);
  first.centre.set_value(f({4, 5, 6}, {3}));
  first.model.compile({.optimizer = Adam{0.1}, .loss = mse});
  const Array rows = normal(0, 1)({6, 3}, 1, 0);
  first.model.fit(rows, Array(Type{f32, {6, 2}}), {.batch_size = 2, .epochs = 2, .verbose = 0});
  REQUIRE(first.centre.value().same_bits(f({4, 5, 6}, {3})));
  REQUIRE(first.model.weights().at("centre").same_bits(f({4, 5, 6}, {3})));
  first.model.save(path);
  REQUIRE(load_safetensors(path).find("centre")->same_bits(f({4, 5, 6}, {3})));
  REQUIRE(load_safetensors(path).find("unused") == nullptr);
  for (const bool compiled : {false, true}) {
    GraphScope own;
    state(f({0}, {1}));  // takes the name "state", which is another's in this graph
    Centred second;
    if (compiled) second.model.compile({.optimizer = Adam{0.1}, .loss = mse});
    REQUIRE_FALSE(second.model.predict(rows).same_bits(first.model.predict(rows)));
    second.model.load(path);
    REQUIRE(second.model.predict(rows).same_bits(first.model.predict(rows)));
    GraphScope another;
    Centred third;
    third.model.set_weights(first.model.weights());
    REQUIRE(third.model.predict(rows).same_bits(first.model.predict(rows)));
  }
  std::filesystem::remove(path);
}

TEST_CASE("parameters that the loss does not depend on are left alone, with their slots, by every optimiser") {
  for (const auto& [optimizer_name, optimizer] : kOptimizers)
    for (const double clip : {0.0, 0.5}) {
      GraphScope graph;
      CAPTURE(optimizer_name, clip);
      const Tensor x = input(f32, {3}, "x");
      Dense base(4, tanh), whole(3);
      const Tensor stopped = stop_gradient(base(x));
      const Tensor through = x * astype(astype(3 * whole(x), i32), f32);  // no gradient passes an integer
      Model model(x, Dense(2)(stopped) + Dense(2)(through));
      model.compile({.optimizer = optimizer, .loss = mse, .clip_norm = clip, .clip_value = clip});
      const auto before = model.weights();
      model.fit(normal(0, 1)({8, 3}, 1, 0), normal(0, 1)({8, 2}, 1, 1), {.batch_size = 4, .epochs = 3, .verbose = 0});
      for (const auto& [name, value] : model.weights()) {
        const bool frozen = name.starts_with("dense.") || name.starts_with("dense_1.");
        CAPTURE(name);
        REQUIRE(value.same_bits(before.at(name)) == frozen);
      }
    }
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x");
  Model model(x, stop_gradient(Dense(2)(x)));
  model.compile({.optimizer = AdamW{}, .loss = mse});
  require_reported(
      {FAILS(model.fit(Array(Type{f32, {2, 3}}), Array(Type{f32, {2, 2}}), {.batch_size = 2, .verbose = 0}),
             "held_values_test.cpp:", "the loss depends on no parameter: there is nothing to train")});
}

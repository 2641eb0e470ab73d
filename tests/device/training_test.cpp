// Training on the device under test: the bits of the CPU, after every step, however many steps a call has.
#include <weft/weft.h>

#include <cmath>

#include "catch.h"
#include "device_under_test.h"

using namespace weft;

namespace {

Backend device_backend() {
  const char* name = std::getenv("WEFT_TEST_DEVICE");
  return name && std::string_view(name) == "cuda" ? Backend::cuda : Backend::emulator;
}

/// Images of 28x28 bytes whose label is which of ten bands of rows is bright.
Dataset bands(std::int64_t count) {
  Dataset d{Array({u8, {count, 28, 28}}), Array({i32, {count}})};
  for (std::int64_t s = 0; s < count; ++s) {
    const std::int64_t label = s * 7 % 10;
    d.y.as<std::int32_t>()[static_cast<std::size_t>(s)] = static_cast<std::int32_t>(label);
    for (std::int64_t p = 0; p < 784; ++p)
      d.x.as<std::uint8_t>()[static_cast<std::size_t>(s * 784 + p)] =
          static_cast<std::uint8_t>((p / 79 == label ? 150 : 0) + (s * 31 + p * 17) % 90);
  }
  return d;
}

struct Trained {
  History history;
  std::map<std::string, Array> weights;
  std::string scores;
  Array predictions;
};

Trained train(const std::function<Model()>& make, Backend backend, const Optimizer& optimizer, const Dataset& data,
              FitOptions fit, bool persistent = false) {
  GraphScope graph;
  set_seed(3);
  Model model = make();
  model.compile({.optimizer = optimizer,
                 .loss = softmax_cross_entropy,
                 .metrics = {accuracy},
                 .backend = backend,
                 .check = backend == Backend::emulator,
                 .persistent = persistent});
  fit.verbose = 0;
  Trained t;
  t.history = model.fit(data, fit);
  t.weights = model.weights();
  t.scores = model.evaluate(data).str();
  t.predictions = model.predict(data.x.rows(0, 50));
  return t;
}

void require_same(const Trained& a, const Trained& b) {
  CHECK(a.history.values == b.history.values);
  CHECK(a.scores == b.scores);
  CHECK(a.predictions.same_bits(b.predictions));
  REQUIRE(a.weights.size() == b.weights.size());
  for (const auto& [name, value] : a.weights) {
    INFO(name);
    CHECK(value.same_bits(b.weights.at(name)));
  }
}

Model small_mlp() {
  const Tensor image = input(f32, {784}, "image");
  return Model(image, Dense(10)(Dropout(0.1)(Dense(33, relu)(image))));
}

}  // namespace

TEST_CASE("an MLP trains on the device as on the CPU, with every optimiser") {
  const Dataset data = bands(150);
  const Optimizer optimizers[] = {SGD{.learning_rate = 0.1, .momentum = 0.9}, Adam{step_decay(0.01, 0.5, 2)},
                                  AdamW{cosine_decay(0.02, 9)}};
  for (const Optimizer& optimizer : optimizers) {
    const FitOptions fit{.batch_size = 32, .epochs = 2, .validation_split = 0.1};
    const Trained cpu = train(small_mlp, Backend::cpu, optimizer, data, fit);
    for (const bool persistent : {false, true})
      require_same(train(small_mlp, device_backend(), optimizer, data, fit, persistent), cpu);
    struct EachStep {
      void on_step_end(FitRun& run) { CHECK(std::isfinite(run.loss)); }
    };
    FitOptions each = fit;
    each.callbacks = {EachStep{}};  // one call a step
    require_same(train(small_mlp, device_backend(), optimizer, data, each), cpu);
  }
}

TEST_CASE("the reference mlp trains on the device as on the CPU") {
  const Dataset data = bands(160);
  const auto make = [] {
    const Tensor image = input(f32, {784}, "image");
    return Model(image, Dense(10)(Dense(256, relu)(Dense(512, relu)(image))));
  };
  const FitOptions fit{.batch_size = 128, .epochs = 1};
  const Trained cpu = train(make, Backend::cpu, Adam{1e-3}, data, fit);
  for (const bool persistent : {false, true})
    require_same(train(make, device_backend(), Adam{1e-3}, data, fit, persistent), cpu);
}

TEST_CASE("a run of many steps on the device ends at the step that is asked for") {
  for (const std::int64_t last : {0, 1, 2, 6, 13, 18}) {
    std::vector<Array> states;
    for (const auto& [backend, persistent] :
         {std::pair{Backend::cpu, false}, {device_backend(), false}, {device_backend(), true}}) {
      GraphScope graph;
      const Tensor x = placeholder(f32, {40}, "x"), w = state(Array::filled({f32, {40}}, 0.5), "w");
      const Executable exe =
          compile({sum(w * x)}, {.updates = {{w, tanh(w * x + 0.1)}}, .backend = backend, .persistent = persistent});
      Array xs({f32, {19, 40}});
      for (std::int64_t i = 0; i < xs.size(); ++i)
        xs.as<float>()[static_cast<std::size_t>(i)] = std::sin(static_cast<float>(i));
      const StepResults r =
          exe.run_steps(19, {per_step(xs)}, {.after = [&](std::int64_t s, const auto&) { return s < last; }});
      CHECK(r.steps == last + 1);
      states.push_back(exe.state("w").clone());
      states.push_back(r.outputs[0]);
    }
    for (std::size_t i = 2; i < states.size(); ++i) CHECK(states[i].same_bits(states[i % 2]));
  }
}

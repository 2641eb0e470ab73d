// The least model there is to train, for tests of fit().
#pragma once
#include "support.h"

namespace weft::test {

/// y = 2 x - 1 with a single weight and bias: batches can be followed by hand.
struct Line {
  GraphScope graph;
  Tensor x = input(f32, {1}, "x");
  Model model{x, Dense(1, {}, {.weight_init = zeros()})(x)};
  Array xs, ys;

  explicit Line(std::int64_t n, const Optimizer& optimizer = SGD{0.1}, std::vector<Metric> metrics = {})
      : xs(Type{f32, {n, 1}}), ys(Type{f32, {n, 1}}) {
    model.compile({.optimizer = optimizer, .loss = mse, .metrics = std::move(metrics)});
    for (std::int64_t k = 0; k < n; ++k) {
      xs.as<float>()[static_cast<std::size_t>(k)] = static_cast<float>(k) / static_cast<float>(n);
      ys.as<float>()[static_cast<std::size_t>(k)] = 2 * static_cast<float>(k) / static_cast<float>(n) - 1;
    }
  }
  History fit(FitOptions o) {
    o.verbose = 0;
    return model.fit(xs, ys, o);
  }
};

/// A callback that does one thing at the end of each step.
struct AtStep {
  std::function<void(FitRun&)> act;
  void on_step_end(FitRun& run) { act(run); }
};

}  // namespace weft::test

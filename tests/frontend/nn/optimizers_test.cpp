// Each optimiser for several steps against a scalar implementation of its equations; schedules; clipping; initialisers.
#include <functional>

#include "frontend/train/model_impl.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr float kEps = 1e-7f;

/// The scalar state of a reference optimiser for one weight.
struct Reference {
  float w = 0, m = 0, v = 0;
  double p1 = 1, p2 = 1;
};

struct Row {
  const char* name;
  Optimizer optimizer;
  std::function<void(Reference&, float g)> step;  // in f32, in the order of the equations
  float initial_slot;
};

void adam(Reference& r, float g, double lr) {
  r.p1 *= 0.9, r.p2 *= 0.999;
  const float rate = static_cast<float>(lr * std::sqrt(1 - r.p2) / (1 - r.p1));
  r.m = 0.9f * r.m + static_cast<float>(1 - 0.9) * g;
  r.v = 0.999f * r.v + static_cast<float>(1 - 0.999) * (g * g);
  r.w -= rate * r.m / (std::sqrt(r.v) + kEps);
}

const Row kRows[] = {
    {"SGD", SGD{0.1}, [](Reference& r, float g) { r.w -= 0.1f * g; }, 0},
    {"momentum", SGD{.learning_rate = 0.1, .momentum = 0.9},
     [](Reference& r, float g) { r.m = 0.9f * r.m - 0.1f * g, r.w += r.m; }, 0},
    {"Nesterov", SGD{.learning_rate = 0.1, .momentum = 0.9, .nesterov = true},
     [](Reference& r, float g) { r.m = 0.9f * r.m - 0.1f * g, r.w = r.w + 0.9f * r.m - 0.1f * g; }, 0},
    {"RMSprop", RMSprop{0.01},
     [](Reference& r, float g) {
       r.v = 0.9f * r.v + static_cast<float>(1 - 0.9) * (g * g), r.w -= 0.01f * g / std::sqrt(r.v + kEps);
     },
     0},
    {"RMSprop momentum", RMSprop{.learning_rate = 0.01, .momentum = 0.5},
     [](Reference& r, float g) {
       r.v = 0.9f * r.v + static_cast<float>(1 - 0.9) * (g * g), r.m = 0.5f * r.m + 0.01f * g / std::sqrt(r.v + kEps),
       r.w -= r.m;
     },
     0},
    {"Adagrad", Adagrad{0.05}, [](Reference& r, float g) { r.v += g * g, r.w -= 0.05f * g / std::sqrt(r.v + kEps); },
     0.1f},
    {"Adam", Adam{1e-2}, [](Reference& r, float g) { adam(r, g, 1e-2); }, 0},
    {"AdamW", AdamW{.learning_rate = 1e-2, .weight_decay = 0.1},
     [](Reference& r, float g) {
       const float decayed = r.w - 1e-2f * 0.1f * r.w;
       r.w = decayed;
       adam(r, g, 1e-2);
     },
     0},
};

}  // namespace

TEST_CASE("optimisers follow their equations in f32") {
  const std::vector<std::vector<float>> gradients = {
      {0.5f, -2.f, 1e-3f}, {0.25f, 1.f, 0.f}, {-4.f, 0.1f, 3e-3f}, {1.f, 1.f, -1.f}};
  for (Backend backend : {Backend::interpreter, Backend::cpu, Backend::emulator})
    for (const Row& row : kRows) {
      DYNAMIC_SECTION(row.name << " " << name(backend)) {
        GraphScope graph;
        const Tensor w = parameter({3}, uniform(-1, 1), "w"), g = placeholder(f32, {3}, "g");
        const Tensor rate = state(Array::scalar(static_cast<float>(row.optimizer.learning_rate()(0))), "rate");
        std::vector<Reference> reference;
        for (double v : doubles(w.value())) reference.push_back({.w = static_cast<float>(v), .v = row.initial_slot});
        OptimizerStep step(rate, "optimizer");
        step.begin(w);
        std::vector<Assignment> updates = {{w, row.optimizer(step, w, g)}};
        updates.insert(updates.end(), step.assignments().begin(), step.assignments().end());
        const Executable exe = compile({}, {.updates = updates, .backend = backend});
        for (const std::vector<float>& values : gradients) {
          exe({f(values, {3})});
          for (std::size_t k = 0; k < 3; ++k) {
            row.step(reference[k], values[k]);
            CAPTURE(k, w.value().str(), reference[k].w);
            REQUIRE(close(w.value().at(static_cast<std::int64_t>(k)), reference[k].w, 3e-7));
          }
        }
      }
    }
}

TEST_CASE("under a constant gradient every step of Adam is the learning rate") {
  GraphScope graph;
  const Tensor w = state(Array::scalar(0.0f), "w"), rate = state(Array::scalar(1.0f), "rate");
  OptimizerStep step(rate, "optimizer");
  step.begin(w);
  std::vector<Assignment> updates = {{w, Adam{.learning_rate = 1, .epsilon = 0}(step, w, constant(1.0)) - w}};
  updates.insert(updates.end(), step.assignments().begin(), step.assignments().end());
  const Executable exe = compile({}, {.updates = updates});  // w becomes its own change; the moments are off by 2e-6
  for (int t = 1; t <= 1000; ++t) {
    exe({});
    CAPTURE(t);
    REQUIRE(w.value().item<float>() == Approx(-1).epsilon(3e-6));
  }
}

TEST_CASE("schedules") {
  const RateSchedule fixed = 0.5, steps = step_decay(1, 0.1, 10), cosine = cosine_decay(2, 100, 1),
                     warm = warm_up(4, step_decay(1, 0.5, 8)),
                     mine = [](std::int64_t step) { return 1.0 / static_cast<double>(1 + step); };
  struct Row {
    const RateSchedule& schedule;
    std::int64_t step;
    double want;
  };
  const Row rows[] = {
      {fixed, 0, 0.5}, {fixed, 1000, 0.5}, {steps, 9, 1},    {steps, 10, 0.1},  {steps, 25, 0.01},
      {cosine, 0, 2},  {cosine, 50, 1.5},  {cosine, 100, 1}, {cosine, 1000, 1}, {warm, 0, 0.25},
      {warm, 3, 1},    {warm, 7, 1},       {warm, 8, 0.5},   {mine, 3, 0.25},
  };
  for (const Row& r : rows) {
    CAPTURE(r.step);
    REQUIRE(r.schedule(r.step) == Approx(r.want));
  }
}

TEST_CASE("clip_by_norm scales all gradients by one factor, and leaves short ones alone") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2}, "a"), b = placeholder(f32, {1, 1}, "b");
  const std::vector<Array> in = {f({3, 0}, {2}), f({4}, {1, 1})};
  const auto clipped = clip_by_norm({a, b}, 1), kept = clip_by_norm({a, b}, 10);
  require_close(run(clipped[0], in), {0.6, 0});
  require_close(run(clipped[1], in), {0.8});
  require_close(run(kept[0], in), {3, 0});
  require_close(run(clip_by_norm({a}, 1)[0], {f({0, 0}, {2})}), {0, 0});
  // Squares of these overflow, or underflow to 0.
  require_close(run(clipped[0], {f({3e30f, 0}, {2}), f({4e30f}, {1, 1})}), {0.6, 0});
  require_close(run(clip_by_norm({a}, 1e-3)[0], {f({3e38f, 3e38f}, {2})}), {0.000707106781, 0.000707106781}, 1e-9);
  require_close(run(1e30 * clip_by_norm({a}, 1e-30)[0], {f({3e-25f, 4e-25f}, {2})}), {0.6, 0.8});
  require_close(run(clip_by_norm({a}, 1)[0], {f({HUGE_VALF, 1}, {2})}), {HUGE_VAL, 1});
  require_close(run(clip_by_norm({a}, 1)[0], {f({NAN, 1}, {2})}), {NAN, 1});
}

TEST_CASE("initialisers have the stated limits and moments, and depend on seed and stream alone") {
  const Shape shape{200, 300};
  struct Row {
    const char* name;
    Initializer init;
    double mean, stddev, limit;
  };
  const double glorot = std::sqrt(6.0 / 500), he = std::sqrt(6.0 / 200);
  const Row rows[] = {
      {"zeros", zeros(), 0, 0, 0},
      {"ones", ones(), 1, 0, 1},
      {"constant", constant_value(2.5), 2.5, 0, 2.5},
      {"uniform", uniform(1, 3), 2, 2 / std::sqrt(12), 3},
      {"normal", normal(1, 2), 1, 2, 1e9},
      {"truncated normal", truncated_normal(0, 0.5), 0, 0.5 * 0.8796, 1},
      {"glorot uniform", glorot_uniform(), 0, glorot / std::sqrt(3), glorot},
      {"glorot normal", glorot_normal(), 0, std::sqrt(2.0 / 500), 2.2739 * std::sqrt(2.0 / 500)},
      {"he uniform", he_uniform(), 0, he / std::sqrt(3), he},
      {"he normal", he_normal(), 0, std::sqrt(2.0 / 200), 2.2739 * std::sqrt(2.0 / 200)},
  };
  for (const Row& r : rows) {
    DYNAMIC_SECTION(r.name) {
      const Array a = r.init(shape, 7, 0);
      REQUIRE(a.type() == Type{f32, shape});
      double mean = 0, square = 0, limit = 0;
      for (double v : doubles(a)) mean += v, square += v * v, limit = std::max(limit, std::abs(v));
      mean /= 60000;
      REQUIRE(mean == Approx(r.mean).margin(0.02 * r.stddev + 1e-9));
      REQUIRE(std::sqrt(std::max(0.0, square / 60000 - mean * mean)) == Approx(r.stddev).epsilon(0.02).margin(1e-6));
      REQUIRE(limit <= r.limit * 1.0001);
      REQUIRE(a.same_bits(r.init(shape, 7, 0)));
      if (r.stddev > 0) {
        REQUIRE(!a.same_bits(r.init(shape, 8, 0)));
        REQUIRE(!a.same_bits(r.init(shape, 7, 1)));
      }
    }
  }
  // Fans of a scalar, a vector and a stack of filters.
  REQUIRE(std::abs(glorot_uniform()({}, 1, 0).at(0)) <= std::sqrt(3.0));
  for (double v : doubles(he_uniform()({50}, 1, 0))) REQUIRE(std::abs(v) <= std::sqrt(6.0 / 50));
  for (double v : doubles(he_uniform()({3, 3, 8, 4}, 1, 0))) REQUIRE(std::abs(v) <= std::sqrt(6.0 / 72));
}

TEST_CASE("parameters of a graph draw from streams of their own, and repeat under a seed") {
  auto make = [](std::uint64_t seed) {
    GraphScope graph;
    set_seed(seed);
    const Tensor a = parameter({5}), b = parameter({5});
    return std::pair{a.value(), b.value()};
  };
  const auto [a, b] = make(3);
  REQUIRE(!a.same_bits(b));
  REQUIRE(a.same_bits(make(3).first));
  REQUIRE(!a.same_bits(make(4).first));
}

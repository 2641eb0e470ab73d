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

namespace {

/// A weight [2, 3] and what its optimiser keeps, in double.
struct Matrix {
  std::vector<double> w, m, v;
  double product = 1;
  int t = 0;
};
using Gradient = std::vector<double>;

double root_mean_square(const std::vector<double>& x) {
  double s = 0;
  for (double e : x) s += e * e;
  return std::sqrt(s / static_cast<double>(x.size()));
}

/// m and v of Adam, without their corrections.
void follow(Matrix& a, const Gradient& g, double beta1, double beta2) {
  ++a.t;
  for (std::size_t k = 0; k < g.size(); ++k) {
    a.m[k] = beta1 * a.m[k] + (1 - beta1) * g[k];
    a.v[k] = beta2 * a.v[k] + (1 - beta2) * g[k] * g[k];
  }
}

/// m: the means of the two rows; v: of the three columns.
void adafactor(Matrix& a, const Gradient& g, double lr, double clip) {
  const double fresh = std::pow(++a.t, -0.8);
  for (std::size_t k = 0; k < 2; ++k) a.m[k] *= 1 - fresh;
  for (std::size_t k = 0; k < 3; ++k) a.v[k] *= 1 - fresh;
  for (std::size_t k = 0; k < 6; ++k) {
    a.m[k / 3] += fresh * (g[k] * g[k] + 1e-30) / 3;
    a.v[k % 3] += fresh * (g[k] * g[k] + 1e-30) / 2;
  }
  std::vector<double> u;
  for (std::size_t k = 0; k < 6; ++k) u.push_back(g[k] / std::sqrt(a.m[k / 3] * a.v[k % 3] / ((a.m[0] + a.m[1]) / 2)));
  const double rate = std::max(root_mean_square(a.w), 1e-3) * std::min(lr, 1 / std::sqrt(a.t)) /
                      std::max(1.0, root_mean_square(u) / clip);
  for (std::size_t k = 0; k < 6; ++k) a.w[k] -= rate * u[k];
}

struct FurtherRow {
  const char* name;
  Optimizer optimizer;
  void (*step)(Matrix&, const Gradient&);
};

const FurtherRow kFurther[] = {
    {"Adamax", Adamax{.learning_rate = 0.02},
     [](Matrix& a, const Gradient& g) {
       ++a.t;
       for (std::size_t k = 0; k < g.size(); ++k) {
         a.m[k] = 0.9 * a.m[k] + 0.1 * g[k];
         a.v[k] = std::max(0.999 * a.v[k], std::abs(g[k]));
         a.w[k] -= 0.02 / (1 - std::pow(0.9, a.t)) * a.m[k] / (a.v[k] + 1e-7);
       }
     }},
    {"Nadam", Nadam{.learning_rate = 0.02},
     [](Matrix& a, const Gradient& g) {
       follow(a, g, 0.9, 0.999);
       const auto beta = [](int t) { return 0.9 * (1 - 0.5 * std::pow(0.96, t)); };
       a.product *= beta(a.t);
       for (std::size_t k = 0; k < g.size(); ++k) {
         const double n =
             beta(a.t + 1) * a.m[k] / (1 - a.product * beta(a.t + 1)) + (1 - beta(a.t)) * g[k] / (1 - a.product);
         a.w[k] -= 0.02 * n / (std::sqrt(a.v[k] / (1 - std::pow(0.999, a.t))) + 1e-7);
       }
     }},
    {"Adadelta", Adadelta{.learning_rate = 1, .epsilon = 1e-6},
     [](Matrix& a, const Gradient& g) {
       for (std::size_t k = 0; k < g.size(); ++k) {
         a.v[k] = 0.95 * a.v[k] + 0.05 * g[k] * g[k];
         const double d = std::sqrt(a.m[k] + 1e-6) / std::sqrt(a.v[k] + 1e-6) * g[k];
         a.m[k] = 0.95 * a.m[k] + 0.05 * d * d;
         a.w[k] -= d;
       }
     }},
    {"Lion", Lion{.learning_rate = 0.02, .weight_decay = 0.1},
     [](Matrix& a, const Gradient& g) {
       for (std::size_t k = 0; k < g.size(); ++k) {
         const double c = 0.9 * a.m[k] + 0.1 * g[k];
         a.w[k] -= 0.02 * ((c > 0) - (c < 0) + 0.1 * a.w[k]);
         a.m[k] = 0.99 * a.m[k] + 0.01 * g[k];
       }
     }},
    {"LAMB", LAMB{.learning_rate = 0.02, .weight_decay = 0.1},
     [](Matrix& a, const Gradient& g) {
       follow(a, g, 0.9, 0.999);
       std::vector<double> r;
       for (std::size_t k = 0; k < g.size(); ++k)
         r.push_back(a.m[k] / (1 - std::pow(0.9, a.t)) / (std::sqrt(a.v[k] / (1 - std::pow(0.999, a.t))) + 1e-7) +
                     0.1 * a.w[k]);
       const double trust = root_mean_square(a.w) / root_mean_square(r);
       for (std::size_t k = 0; k < g.size(); ++k) a.w[k] -= 0.02 * trust * r[k];
     }},
    {"Adafactor", Adafactor{.learning_rate = 0.9}, [](Matrix& a, const Gradient& g) { adafactor(a, g, 0.9, 1); }},
    {"Adafactor, slow and tight", Adafactor{.learning_rate = 0.01, .clip = 0.5},
     [](Matrix& a, const Gradient& g) { adafactor(a, g, 0.01, 0.5); }},
};

}  // namespace

TEST_CASE("further optimisers follow the formulas of their papers, on a matrix") {
  const std::vector<std::vector<float>> gradients = {{0.5f, -2.f, 1e-3f, 1.f, 0.25f, -1.f},
                                                     {0.25f, 1.f, 0.f, -0.5f, 1.f, 1e-4f},
                                                     {-4.f, 0.1f, 3e-3f, 2.f, -1.f, 1.f},
                                                     {1.f, 1.f, -1.f, 0.125f, 3.f, -2.f}};
  for (const Backend backend : {Backend::interpreter, Backend::cpu})
    for (const FurtherRow& row : kFurther) {
      DYNAMIC_SECTION(row.name << " " << name(backend)) {
        GraphScope graph;
        const Tensor w = parameter({2, 3}, uniform(-1, 1), "w"), g = placeholder(f32, {2, 3}, "g");
        const Tensor rate = state(Array::scalar(static_cast<float>(row.optimizer.learning_rate()(0))), "rate");
        Matrix reference{doubles(w.value()), Gradient(6, 0), Gradient(6, 0)};
        OptimizerStep step(rate, "optimizer");
        step.begin(w);
        std::vector<Assignment> updates = {{w, row.optimizer(step, w, g)}};
        updates.insert(updates.end(), step.assignments().begin(), step.assignments().end());
        const Executable exe = compile({}, {.updates = updates, .backend = backend});
        for (const std::vector<float>& values : gradients) {
          exe({f(values, {2, 3})});
          row.step(reference, Gradient(values.begin(), values.end()));
          require_close(w.value(), reference.w, 2e-6);
        }
      }
    }
}

TEST_CASE("Adafactor keeps a number for each row and column of a matrix, and one for each element of a vector") {
  GraphScope graph;
  const Tensor w = parameter({4, 5}, ones(), "w"), b = parameter({5}, ones(), "b"),
               rate = state(Array::scalar(0.1f), "rate");
  OptimizerStep step(rate, "optimizer");
  std::vector<Assignment> updates;
  for (const Tensor& p : {w, b}) {
    step.begin(p);
    updates.push_back({p, Adafactor{}(step, p, 2 * p)});
  }
  std::int64_t kept = 0;
  for (const Assignment& a : step.assignments()) kept += element_count(a.state.shape());
  CHECK(kept == 4 + 5 + 5 + 1);
  updates.insert(updates.end(), step.assignments().begin(), step.assignments().end());
  compile({},
          {.updates = updates})({});  // every element of g / sqrt(v) is 1, and so is min(1 / sqrt(t), …) once capped
  require_close(w.value(), std::vector<double>(20, 0.9));
  require_close(b.value(), std::vector<double>(5, 0.9));
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
                     warm = warm_up(4, step_decay(1, 0.5, 8)), smooth = exponential_decay(1, 0.01, 10),
                     line = polynomial_decay(2, 10, 1), curve = polynomial_decay(3, 10, 1, 2),
                     parts = piecewise({2, 5}, {1, 0.5, 0.25}), cycle = one_cycle(1, 100, 0.5, 10, 100),
                     fall = one_cycle(1, 10, 0), climb = one_cycle(1, 10, 1),
                     mine = [](std::int64_t step) { return 1.0 / static_cast<double>(1 + step); };
  struct Row {
    const RateSchedule& schedule;
    std::int64_t step;
    double want;
  };
  const Row rows[] = {
      {fixed, 0, 0.5},   {fixed, 1000, 0.5}, {steps, 9, 1},       {steps, 10, 0.1},   {steps, 25, 0.01},
      {cosine, 0, 2},    {cosine, 50, 1.5},  {cosine, 100, 1},    {cosine, 1000, 1},  {warm, 0, 0.25},
      {smooth, 0, 1},    {smooth, 5, 0.1},   {smooth, 20, 1e-4},  {line, 0, 2},       {line, 5, 1.5},
      {line, 99, 1},     {curve, 5, 1.5},    {curve, 10, 1},      {parts, 0, 1},      {parts, 1, 1},
      {parts, 2, 0.5},   {parts, 4, 0.5},    {parts, 5, 0.25},    {parts, 900, 0.25}, {cycle, 0, 0.1},
      {cycle, 25, 0.55}, {cycle, 50, 1},     {cycle, 75, 0.5005}, {cycle, 100, 1e-3}, {cycle, 900, 1e-3},
      {fall, 0, 1},      {fall, 10, 4e-6},   {climb, 0, 0.04},    {climb, 10, 1},     {climb, 900, 1},
      {warm, 3, 1},      {warm, 7, 1},       {warm, 8, 0.5},      {mine, 3, 0.25},
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

// Random streams: those of parameters, calls, steps, seeds and data sets never meet, are uniform or normal, and do not
// depend on what else a process has built.
#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>

#include "runtime/data/random.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr std::int64_t kWords = 4096;  // of each stream
constexpr std::uint64_t kSeed = 42;

/// The chance of a value as far from 0 as z, of a standard normal.
double two_sided(double z) { return std::erfc(std::abs(z) / std::sqrt(2.0)); }

/// The upper tail of chi-square, by Wilson and Hilferty's normal approximation.
double chi_square_tail(double x, double freedom) {
  const double c = 2 / (9 * freedom), z = (std::cbrt(x / freedom) - (1 - c)) / std::sqrt(c);
  return 0.5 * std::erfc(z / std::sqrt(2.0));
}

/// The chance of Kolmogorov and Smirnov's distance being that large, for values of a distribution function at a sample.
double kolmogorov(std::vector<double> u) {
  std::ranges::sort(u);
  const auto n = static_cast<double>(u.size());
  double d = 0;
  for (std::size_t i = 0; i < u.size(); ++i)
    d = std::max({d, static_cast<double>(i + 1) / n - u[i], u[i] - static_cast<double>(i) / n});
  const double t = d * (std::sqrt(n) + 0.12 + 0.11 / std::sqrt(n));
  double p = 0;
  for (int k = 1; k <= 100; ++k) p += (k % 2 ? 2 : -2) * std::exp(-2.0 * k * k * t * t);
  return std::clamp(p, 0.0, 1.0);
}

double chi_square_of_bins(const std::vector<double>& u, int bins) {
  std::vector<double> count(static_cast<std::size_t>(bins));
  for (double v : u) ++count[std::min(static_cast<std::size_t>(v * bins), count.size() - 1)];
  const double want = static_cast<double>(u.size()) / bins;
  double x = 0;
  for (double c : count) x += (c - want) * (c - want) / want;
  return chi_square_tail(x, bins - 1);
}

double normal_distribution(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

/// The words that random call `call` of a function of several draws at a step.
std::vector<std::uint32_t> words_of(const Executable& draw, std::int64_t step, std::size_t call) {
  draw.set_state(std::string(kStepName), Array::scalar(step));
  const auto bits = draw()[call];
  std::vector<std::uint32_t> words;
  for (std::int32_t w : bits.as<std::int32_t>()) words.push_back(static_cast<std::uint32_t>(w));
  return words;
}

/// Streams of every kind under one seed, and random calls under another.
std::map<std::string, std::vector<std::uint32_t>> all_streams() {
  std::map<std::string, std::vector<std::uint32_t>> streams;
  for (std::uint64_t parameter = 0; parameter < 6; ++parameter) {
    // 2^24 u is a whole number and the rest of the word is not seen: compare the upper 24 bits of all streams.
    const Array u = uniform(0, 1)({kWords}, kSeed, parameter);
    auto& words = streams[fmt::format("parameter {}", parameter)];
    for (float v : u.as<float>()) words.push_back(static_cast<std::uint32_t>(std::min(v * 0x1p32, 0x1.fffffep31)));
  }
  for (std::uint64_t seed : {kSeed, kSeed + 1, kSeed + 0x9e3779b97f4a7c15}) {
    GraphScope graph;
    set_seed(seed);
    std::vector<NamedTensor> calls;
    for (int call = 0; call < 4; ++call) calls.emplace_back(random_bits({kWords}));
    const Executable draw = compile(calls, {.backend = Backend::interpreter});
    for (std::int64_t step : {0, 1, 2, 5})
      for (std::size_t call = 0; call < calls.size(); ++call)
        streams[fmt::format("seed {} call {} step {}", seed, call, step)] = words_of(draw, step, call);
  }
  for (const Purpose purpose : {Purpose::permutation, Purpose::train_digit, Purpose::test_digit})
    for (std::uint64_t index : {0, 1}) {
      RandomStream stream(kSeed, purpose, index);
      auto& words = streams[fmt::format("data {} {}", static_cast<std::uint32_t>(purpose), index)];
      for (std::int64_t i = 0; i < kWords; ++i) words.push_back(stream.bits());
    }
  return streams;
}

}  // namespace

TEST_CASE("streams of parameters, calls, steps, seeds and data never meet, and are not correlated") {
  const auto streams = all_streams();
  REQUIRE(streams.size() == 6 + 48 + 6);
  std::map<std::string, std::vector<double>> centred;
  std::map<std::uint32_t, int> seen;
  int repeated = 0;
  for (const auto& [name, words] : streams) {
    for (std::uint32_t w : words) {
      centred[name].push_back((w * 0x1p-32 - 0.5) * std::sqrt(12.0));
      repeated += seen[w >> 8]++ > 0;
    }
  }
  // Of n words in 2^24 cells about n^2 / 2^25 fall into one that is taken; a shared stream would add 4096.
  const double n = static_cast<double>(streams.size() * kWords), expected = n * n / 0x1p25;
  CAPTURE(repeated, expected);
  REQUIRE(std::abs(repeated - expected) < 6 * std::sqrt(expected));

  double worst = 1, pairs = 0;
  for (auto a = centred.begin(); a != centred.end(); ++a)
    for (auto b = std::next(a); b != centred.end(); ++b, ++pairs) {
      const double r = std::inner_product(a->second.begin(), a->second.end(), b->second.begin(), 0.0);
      const double p = two_sided(r / std::sqrt(static_cast<double>(kWords)));
      CAPTURE(a->first, b->first, p);
      REQUIRE(p > 1e-6);
      worst = std::min(worst, p);
    }
  CAPTURE(worst, pairs);
  REQUIRE(worst * pairs > 1e-2);  // the smallest of so many
}

TEST_CASE("uniform and normal numbers have their distributions, in graphs and as initial values") {
  GraphScope graph;
  set_seed(7);
  const Shape shape{1 << 16};
  const auto drawn = compile(
      {random_uniform(shape), random_uniform(shape, -3, 5), random_normal(shape), random_normal(shape, 10, 0.25)})();
  auto mapped = [](const Array& a, auto f) {
    std::vector<double> u;
    for (double v : doubles(a)) u.push_back(f(v));
    return u;
  };
  const auto same = [](double v) { return v; };
  const std::map<std::string, std::vector<double>> samples = {
      {"uniform", mapped(drawn[0], same)},
      {"uniform -3 5", mapped(drawn[1], [](double v) { return (v + 3) / 8; })},
      {"normal", mapped(drawn[2], normal_distribution)},
      {"normal 10 0.25", mapped(drawn[3], [](double v) { return normal_distribution((v - 10) * 4); })},
      {"initial uniform", mapped(uniform(0, 1)(shape, 1, 2), same)},
      {"initial normal", mapped(normal(0, 1)(shape, 1, 3), normal_distribution)},
      {"initial truncated normal", mapped(truncated_normal(0, 1)(shape, 1, 4),
                                          [](double v) {
                                            const double low = normal_distribution(-2);
                                            return (normal_distribution(v) - low) / (1 - 2 * low);
                                          })},
  };
  for (const auto& [name, u] : samples) {
    const double chi = chi_square_of_bins(u, 256), ks = kolmogorov(u);
    INFO(name << ": chi-square p = " << chi << ", Kolmogorov-Smirnov p = " << ks);
    CHECK(chi > 1e-3);
    CHECK(chi < 0.9999);
    CHECK(ks > 1e-3);
  }
}

TEST_CASE("a uniform number is never its upper bound, nor below its lower one") {
  const double tiny = std::numeric_limits<float>::min(), subnormal = 1e-40, next = std::nextafter(1.f, 2.f);
  const std::pair<double, double> ranges[] = {
      {0, 1},          {100, 101},           {-101, -100},      {0, tiny},      {0, subnormal},
      {-subnormal, 0}, {-tiny, tiny},        {1, next},         {0.7, 0.9},     {-1, 1},
      {0, 0.1},        {-1e30, 1e30},        {-3.4e38, 3.4e38}, {3e38, 3.4e38}, {1e7, 1e7 + 3},
      {-1e-30, 1e-30}, {16777216, 16777220},
  };
  for (const auto& [low, high] : ranges) {
    GraphScope graph;
    const Array a = compile({random_uniform({1 << 18}, low, high)})()[0];
    double least = HUGE_VAL, most = -HUGE_VAL, mean = 0;
    for (double v : doubles(a))
      least = std::min(least, v), most = std::max(most, v), mean += v / static_cast<double>(a.size());
    CAPTURE(low, high, least, most, mean);
    REQUIRE(least >= low);
    REQUIRE(most < high);
    // The mean of 2^18 numbers, within six of its deviations, the spacing of floats, and what is flushed to zero.
    const double ulp = std::nextafter(static_cast<float>(std::max(std::abs(low), std::abs(high))), HUGE_VALF) -
                       static_cast<float>(std::max(std::abs(low), std::abs(high)));
    REQUIRE(std::abs(mean - (low / 2 + high / 2)) <= 6 * (high / 2 - low / 2) / std::sqrt(3.0 * 0x1p18) + ulp + tiny);
  }
  GraphScope graph;
  REQUIRE(run(random_uniform({3}, 0.5, 0.5)).same_bits(f({0.5, 0.5, 0.5}, {3})));
  run(random_uniform({1000}, 100, 101));
  run(random_uniform({1000}, -3e38, 3e38));
  require_reported({
      MISTAKE(random_uniform({2}, 1.25 + 1e-9, 1.25 + 2e-9),
              "random_uniform: there is no f32 in [1.250000001, 1.250000002)"),
      MISTAKE(random_uniform({2}, NAN, 1), "expected a finite value of f32"),
      MISTAKE(random_uniform({2}, 0, 1e39), "expected a finite value of f32"),
  });
}

TEST_CASE("the first dropout mask has nothing to do with the initial weights") {
  GraphScope graph;
  const Tensor x = input(f32, {100});
  Dense dense(50);
  Model m(x, dense(Dropout(0.5)(x)));
  m.compile({.optimizer = SGD{1.0}, .loss = Loss([](const Tensor& p, const Tensor&) { return sum(p, 1); })});
  const Array before = m.weights().at("dense.weight");
  m.fit(Array::filled({f32, {50, 100}}, 1), Array::filled({f32, {50, 50}}, 0),
        {.batch_size = 50, .epochs = 1, .shuffle = false, .verbose = 0});
  const Array after = m.weights().at("dense.weight");
  int equal = 0;  // features whose mask kept as many elements as there are negative weights: by chance about 11 of 100
  for (int k = 0; k < 100; ++k) {
    int negative = 0;
    for (int b = 0; b < 50; ++b) negative += before.at(b * 100 + k) < 0;
    equal += std::abs(negative + (after.at(k * 50) - before.at(k * 50)) / 2 * 50) < 0.5;
  }
  REQUIRE(equal < 30);
}

TEST_CASE("set_seed starts anew: the same numbers, however often and after whatever") {
  GraphScope graph;
  auto draw = [] {
    set_seed(42);
    const Tensor w = parameter({4}, normal()), v = parameter({4}, uniform());
    std::vector<Array> all{w.value(), v.value()};
    const Executable exe = compile({random_uniform({4}), random_normal({4})}, {.backend = Backend::interpreter});
    for (int call = 0; call < 2; ++call)
      for (const Array& a : exe()) all.push_back(a);
    return all;
  };
  const std::vector<Array> first = draw();
  random_bits({8});
  parameter({3}, uniform());
  const std::vector<Array> second = draw();
  REQUIRE(first.size() == 6);
  for (std::size_t k = 0; k < first.size(); ++k) {
    CAPTURE(k);
    REQUIRE(first[k].same_bits(second[k]));
    for (std::size_t j = 0; j < k; ++j) REQUIRE_FALSE(first[k].same_bits(first[j]));
  }
}

TEST_CASE("a model with dropout trains to the same bits whatever else its graph holds, and after load()") {
  struct Net {
    std::optional<Model> model;
    Net() {
      set_seed(5);
      const Tensor x = input(f32, {6});
      model.emplace(x, Dense(2)(Dropout(0.3)(Dense(8, relu)(Dropout(0.2)(x)))));
      model->compile({.optimizer = Adam{0.01}, .loss = Loss("noisy", [](const Tensor& p, const Tensor& t) {
                                                 return mse(p + random_normal(p.shape(), 0, 0.1), t);
                                               })});
    }
    void fit(int epochs) {
      model->fit(normal(0, 1)({40, 6}, 1, 0), normal(0, 1)({40, 2}, 1, 1),
                 {.batch_size = 16, .epochs = epochs, .seed = 3, .verbose = 0});
    }
    std::map<std::string, Array> result() const { return model->weights(); }
  };
  auto require_same = [](const Net& a, const Net& b) {
    const auto want = b.result();
    for (const auto& [name, value] : a.result()) {
      CAPTURE(name);
      REQUIRE(value.same_bits(want.at(name)));
    }
  };
  GraphScope alone;
  Net straight;
  straight.fit(4);

  const std::string path = (std::filesystem::temp_directory_path() / "weft_random_streams.safetensors").string();
  GraphScope crowded;
  Net other;
  other.fit(3);
  Net second;  // the graph has other dropouts, steps and evaluations behind it
  second.model->evaluate(normal(0, 1)({4, 6}, 1, 0), normal(0, 1)({4, 2}, 1, 1));
  other.fit(1);
  second.model->compile({.optimizer = Adam{0.01}, .loss = Loss("noisy", [](const Tensor& p, const Tensor& t) {
                                                    return mse(p + random_normal(p.shape(), 0, 0.1), t);
                                                  })});
  second.fit(2);
  other.fit(1);
  second.model->save(path);
  Net third;
  third.model->load(path);
  second.fit(2);
  require_same(second, straight);
  third.fit(2);
  require_same(third, straight);
  std::filesystem::remove(path);
}

TEST_CASE("a function draws from the states that it is given") {
  GraphScope graph;
  const Tensor seed = state(Array::scalar(std::int64_t{9}), "my.seed"),
               step = state(Array::scalar(std::int64_t{3}), "my.step"), r = random_bits({8}), s = random_bits({8});
  const Executable own = compile({r, s}, {.seed = seed, .step = step}), shared = compile({r, s});
  const auto drawn = own();
  REQUIRE(own.state("my.step").item<std::int64_t>() == 4);
  REQUIRE(shared.state("weft.step").item<std::int64_t>() == 0);
  shared.set_state("weft.seed", Array::scalar(std::int64_t{9}));
  shared.set_state("weft.step", Array::scalar(std::int64_t{3}));
  REQUIRE(shared()[0].same_bits(drawn[0]));
  // A function of the second call alone numbers it from 0.
  shared.set_state("weft.step", Array::scalar(std::int64_t{3}));
  REQUIRE(compile({s})()[0].same_bits(drawn[0]));
  require_reported({
      MISTAKE(compile({r}, {.step = placeholder(i64, {})}), "compile:", "stands for weft.step and is no state i64[]"),
      MISTAKE(compile({r}, {.seed = state(f({1}, {}))}), "compile:", "stands for weft.seed and is no state i64[]"),
  });
}

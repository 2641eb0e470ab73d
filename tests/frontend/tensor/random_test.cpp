// Random tensors and dropout: distribution, independence of calls, repeatability, and the step counter.
#include <set>

#include "ir/base/philox.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Moments {
  double mean = 0, variance = 0, low = HUGE_VAL, high = -HUGE_VAL;
};

Moments moments(const Array& a) {
  Moments m;
  for (double v : doubles(a))
    m.mean += v / static_cast<double>(a.size()), m.low = std::min(m.low, v), m.high = std::max(m.high, v);
  for (double v : doubles(a)) m.variance += (v - m.mean) * (v - m.mean) / static_cast<double>(a.size());
  return m;
}

}  // namespace

TEST_CASE("random tensors have the moments of their distributions") {
  GraphScope graph;
  const Shape shape{100, 100};
  const auto out = compile({random_uniform(shape), random_uniform(shape, -2, 4), random_normal(shape),
                            random_normal(shape, 3, 0.5), astype(random_bernoulli(shape, 0.3), f32)},
                           {.backend = Backend::interpreter})();
  const Moments u = moments(out[0]), v = moments(out[1]), z = moments(out[2]), w = moments(out[3]), p = moments(out[4]);
  REQUIRE(u.low >= 0);
  REQUIRE(u.high < 1);
  REQUIRE(u.mean == Approx(0.5).margin(0.02));
  REQUIRE(u.variance == Approx(1.0 / 12).margin(0.005));
  REQUIRE(v.low >= -2);
  REQUIRE(v.high < 4);
  REQUIRE(v.mean == Approx(1).margin(0.1));
  REQUIRE(z.mean == Approx(0).margin(0.05));
  REQUIRE(z.variance == Approx(1).margin(0.05));
  REQUIRE(w.mean == Approx(3).margin(0.03));
  REQUIRE(w.variance == Approx(0.25).margin(0.02));
  REQUIRE(p.mean == Approx(0.3).margin(0.02));
}

TEST_CASE("calls differ, steps differ, seeds differ; the same run repeats") {
  auto draw = [](std::uint64_t seed, int calls) {
    GraphScope graph;
    set_seed(seed);
    const Tensor a = random_bits({16}), b = random_bits({16});
    REQUIRE(!a.same(b));
    const Executable exe = compile({a, b}, {.backend = Backend::interpreter});
    std::vector<Array> all;
    for (int k = 0; k < calls; ++k)
      for (const Array& x : exe()) all.push_back(x);
    return all;
  };
  const std::vector<Array> first = draw(1, 3), again = draw(1, 3), other = draw(2, 3);
  std::set<std::int32_t> distinct;
  for (std::size_t k = 0; k < first.size(); ++k) {
    REQUIRE(first[k].same_bits(again[k]));
    REQUIRE(!first[k].same_bits(other[k]));
    for (double v : doubles(first[k])) distinct.insert(static_cast<std::int32_t>(v));
  }
  REQUIRE(distinct.size() == 96);
}

TEST_CASE("random numbers are the same bits compiled") {
  GraphScope graph;
  run(random_bits({3, 5}));
  run(random_uniform({37}, -1, 1));
  run(random_normal({2, 19}));
}

TEST_CASE("only a function that draws advances the step counter, and it can be set back") {
  GraphScope graph;
  const Tensor r = random_uniform({4});
  const Executable draw = compile({r}, {.backend = Backend::interpreter}),
                   plain = compile({constant(1)}, {.backend = Backend::interpreter});
  plain();
  REQUIRE(draw.state("weft.step").item<std::int64_t>() == 0);
  const Array first = draw()[0];
  REQUIRE(draw.state("weft.step").item<std::int64_t>() == 1);
  REQUIRE(!draw()[0].same_bits(first));
  draw.set_state("weft.step", Array::scalar(std::int64_t{0}));
  REQUIRE(draw()[0].same_bits(first));
}

TEST_CASE("dropout zeroes at its rate and scales the rest in training, and is the identity otherwise") {
  GraphScope graph;
  const Tensor x = input(f32, {1000}, "x"), y = dropout(x, 0.25);
  const Array ones = Array::filled({f32, {10, 1000}}, 1);
  const Executable infer = compile({y}, {.backend = Backend::interpreter}),
                   train = compile({y}, {.backend = Backend::interpreter, .training = true});
  REQUIRE(infer({ones})[0].same_bits(ones));
  REQUIRE(infer.graph(10).size() == 1);  // nothing is left of it but the input
  const Array dropped = train({ones})[0];
  int zeros = 0;
  for (double v : doubles(dropped)) {
    REQUIRE((v == 0 || v == double(static_cast<float>(1 / 0.75))));
    zeros += v == 0;
  }
  REQUIRE(zeros == Approx(2500).margin(200));
  REQUIRE(!train({ones})[0].same_bits(dropped));
  // The gradient is the mask.
  const auto g = compile({y, grad(sum(y), {x})[0]}, {.backend = Backend::interpreter, .training = true})({ones});
  REQUIRE(g[0].same_bits(g[1]));
  REQUIRE(dropout(x, 0).same(x));
}

TEST_CASE("initial values depend on the seed, the stream and the position alone") {
  constexpr std::uint64_t kSeed = 0x500000007, kStream = 0x300000009;
  for (const Initializer& init : {uniform(0, 1), normal(), truncated_normal(), glorot_uniform()}) {
    const Array all = init({1000}, kSeed, kStream);
    CHECK(init({1000}, kSeed, kStream).same_bits(all));
    CHECK_FALSE(init({1000}, kSeed + 1, kStream).same_bits(all));
    CHECK_FALSE(init({1000}, kSeed, kStream + 1).same_bits(all));
  }
  for (const Initializer& init : {uniform(0, 1), normal(), truncated_normal()})
    CHECK(init({70}, kSeed, kStream).same_bits(init({1000}, kSeed, kStream).rows(0, 70)));
  const Array u = uniform(0, 1)({70}, kSeed, kStream);
  for (std::uint32_t i = 0; i < 70; ++i)
    CHECK(u.as<float>()[i] == static_cast<float>(philox4x32({i, 0, 9, 3}, {7, 5})[0] * 0x1p-32));
}

TEST_CASE("distributions at the ends of the random bits") {
  GraphScope graph;
  const Tensor bits = placeholder(i32, {4}, "bits");
  // 0, the most, and their neighbours (the low 8 bits do not count).
  const Array ends = i({0, -1, 256, -257}, {4});
  /// The tensor with all its random bits replaced by `ends`.
  const auto at_ends = [&](const Tensor& t) {
    std::vector<Substitution> with;
    for (ValueId id = 0; id < t.trace()->graph.size(); ++id)
      if (t.trace()->graph[id].op == Op::random) with.push_back({Tensor(t.trace(), id), bits});
    return doubles(run(astype(substitute({t}, with)[0], f64), {ends}, {bits}));
  };
  CHECK(at_ends(random_bernoulli({4}, 0)) == std::vector<double>{0, 0, 0, 0});
  CHECK(at_ends(random_bernoulli({4}, 1)) == std::vector<double>{1, 1, 1, 1});
  CHECK(at_ends(random_bernoulli({4}, 0x1p-24)) == std::vector<double>{1, 0, 0, 0});
  CHECK(at_ends(random_bernoulli({4}, 1 - 0x1p-24)) == std::vector<double>{1, 0, 1, 1});
  CHECK(at_ends(random_uniform({4})) == std::vector<double>{0, 1 - 0x1p-24, 0x1p-24, 1 - 0x1p-23});
  const std::vector<double> normal = at_ends(random_normal({4}));
  for (const double z : normal) CHECK(std::abs(z) < 6);
  CHECK(normal[0] == Approx(std::sqrt(48 * std::log(2.0))).epsilon(1e-6));  // u = 2^-24, v = 0
  CHECK(normal[1] == 0);                                                    // u = 1
}

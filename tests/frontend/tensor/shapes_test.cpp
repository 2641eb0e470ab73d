// Reductions, products and functions that move elements, on small arrays worked out by hand.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

const std::vector<float> kSix = {1, 5, 2, -4, 3, 6};  // [[1, 5, 2], [-4, 3, 6]]

struct Row {
  const char* name;
  Tensor (*build)(const Tensor&);
  Shape shape;
  std::vector<double> want;
};

}  // namespace

TEST_CASE("reductions") {
  const double log_all = 6 + std::log(std::exp(-5) + std::exp(-1) + std::exp(-4) + std::exp(-10) + std::exp(-3) + 1);
  const Row rows[] = {
      {"sum", [](const Tensor& x) { return sum(x); }, {}, {13}},
      {"sum 0", [](const Tensor& x) { return sum(x, 0); }, {3}, {-3, 8, 8}},
      {"sum -1", [](const Tensor& x) { return sum(x, -1); }, {2}, {8, 5}},
      {"sum {0,1}",
       [](const Tensor& x) {
         return sum(x, {0, 1});
       },
       {},
       {13}},
      {"sum {}", [](const Tensor& x) { return sum(x, std::vector<int>{}); }, {2, 3}, {1, 5, 2, -4, 3, 6}},
      {"sum keepdims", [](const Tensor& x) { return sum(x, 1, true); }, {2, 1}, {8, 5}},
      {"sum all keepdims", [](const Tensor& x) { return sum(x, {}, true); }, {1, 1}, {13}},
      {"sum of bool", [](const Tensor& x) { return sum(x > 2); }, {}, {3}},
      {"mean", [](const Tensor& x) { return mean(x); }, {}, {13.0 / 6}},
      {"mean 0", [](const Tensor& x) { return mean(x, 0); }, {3}, {-1.5, 4, 4}},
      {"mean of bool", [](const Tensor& x) { return mean(x > 2); }, {}, {0.5}},
      {"prod", [](const Tensor& x) { return prod(x); }, {}, {-720}},
      {"prod 1", [](const Tensor& x) { return prod(x, 1); }, {2}, {10, -72}},
      {"max", [](const Tensor& x) { return max(x); }, {}, {6}},
      {"max 0 keepdims", [](const Tensor& x) { return max(x, 0, true); }, {1, 3}, {1, 5, 6}},
      {"min 1", [](const Tensor& x) { return min(x, 1); }, {2}, {1, -4}},
      {"variance", [](const Tensor& x) { return variance(x, 1); }, {2}, {26.0 / 9, 158.0 / 9}},
      {"variance all", [](const Tensor& x) { return variance(x, {}, true); }, {1, 1}, {91.0 / 6 - 169.0 / 36}},
      {"logsumexp", [](const Tensor& x) { return logsumexp(x); }, {}, {log_all}},
      {"logsumexp keepdims",
       [](const Tensor& x) {
         return logsumexp(1000 + x, {0, 1}, true);
       },
       {1, 1},
       {1000 + log_all}},
      {"argmax", [](const Tensor& x) { return argmax(x); }, {2}, {1, 2}},
      {"argmax 0", [](const Tensor& x) { return argmax(x, 0); }, {3}, {0, 0, 1}},
      {"argmin", [](const Tensor& x) { return argmin(x, 1); }, {2}, {0, 0}},
      {"extent", [](const Tensor& x) { return extent(x, 1); }, {}, {3}},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      GraphScope graph;
      const Tensor x = placeholder(f32, {2, 3}, "x");
      const Array got = run(row.build(x), {f(kSix, {2, 3})}, {x});
      REQUIRE(got.shape() == row.shape);
      require_close(got, row.want, 1e-6);
    }
  }
}

TEST_CASE("functions that move elements") {
  const Row rows[] = {
      {"reshape",
       [](const Tensor& x) {
         return reshape(x, {3, 2});
       },
       {3, 2},
       {1, 5, 2, -4, 3, 6}},
      {"reshape -1", [](const Tensor& x) { return reshape(x, {-1}); }, {6}, {1, 5, 2, -4, 3, 6}},
      {"reshape {3,-1}",
       [](const Tensor& x) {
         return reshape(x, {3, -1});
       },
       {3, 2},
       {1, 5, 2, -4, 3, 6}},
      {"flatten",
       [](const Tensor& x) {
         return flatten(reshape(x, {2, 3, 1}));
       },
       {2, 3},
       {1, 5, 2, -4, 3, 6}},
      {"transpose", [](const Tensor& x) { return transpose(x); }, {3, 2}, {1, -4, 5, 3, 2, 6}},
      {"transpose perm",
       [](const Tensor& x) {
         return transpose(reshape(x, {1, 2, 3}), {2, 0, -2});
       },
       {3, 1, 2},
       {1, -4, 5, 3, 2, 6}},
      {"expand_dims", [](const Tensor& x) { return expand_dims(x, -1); }, {2, 3, 1}, {1, 5, 2, -4, 3, 6}},
      {"expand_dims 0", [](const Tensor& x) { return expand_dims(x, 0); }, {1, 2, 3}, {1, 5, 2, -4, 3, 6}},
      {"squeeze",
       [](const Tensor& x) {
         return squeeze(reshape(x, {1, 2, 1, 3}));
       },
       {2, 3},
       {1, 5, 2, -4, 3, 6}},
      {"squeeze 2",
       [](const Tensor& x) {
         return squeeze(reshape(x, {1, 2, 1, 3}), 2);
       },
       {1, 2, 3},
       {1, 5, 2, -4, 3, 6}},
      {"broadcast_to",
       [](const Tensor& x) {
         return broadcast_to(slice(x, 0, 0, 1), {2, 3});
       },
       {2, 3},
       {1, 5, 2, 1, 5, 2}},
      {"concat",
       [](const Tensor& x) {
         return concat({x, x}, 0);
       },
       {4, 3},
       {1, 5, 2, -4, 3, 6, 1, 5, 2, -4, 3, 6}},
      {"concat -1",
       [](const Tensor& x) {
         return concat({x, slice(x, 1, 0, 1)});
       },
       {2, 4},
       {1, 5, 2, 1, -4, 3, 6, -4}},
      {"stack",
       [](const Tensor& x) {
         return stack({x, -x});
       },
       {2, 2, 3},
       {1, 5, 2, -4, 3, 6, -1, -5, -2, 4, -3, -6}},
      {"stack -1",
       [](const Tensor& x) {
         return stack({x, -x}, -1);
       },
       {2, 3, 2},
       {1, -1, 5, -5, 2, -2, -4, 4, 3, -3, 6, -6}},
      {"slice", [](const Tensor& x) { return slice(x, 1, 1, 3); }, {2, 2}, {5, 2, 3, 6}},
      {"slice from the end", [](const Tensor& x) { return slice(x, -1, -2, -1); }, {2, 1}, {5, 3}},
      {"slice stride", [](const Tensor& x) { return slice(x, 1, 0, 3, 2); }, {2, 2}, {1, 2, -4, 6}},
      {"pad",
       [](const Tensor& x) {
         return pad(x, {0, 1}, {1, 0}, 9);
       },
       {3, 4},
       {9, 1, 5, 2, 9, -4, 3, 6, 9, 9, 9, 9}},
      {"gather",
       [](const Tensor& x) {
         return gather(x, constant(i({1, 0, 1}, {3})));
       },
       {3, 3},
       {-4, 3, 6, 1, 5, 2, -4, 3, 6}},
      {"gather out of range",
       [](const Tensor& x) {
         return take(x, constant(i({2, -1, 5}, {3})), 1);
       },
       {2, 3},
       {2, 0, 0, 6, 0, 0}},
      {"scatter_add",
       [](const Tensor& x) {
         return scatter_add(x, constant(i({1, 1}, {2})), x);
       },
       {2, 3},
       {1, 5, 2, -7, 11, 14}},
      {"one_hot",
       [](const Tensor&) {
         return one_hot(constant(i({2, 0, 3}, {3})), 3);
       },
       {3, 3},
       {0, 0, 1, 1, 0, 0, 0, 0, 0}},
      {"iota",
       [](const Tensor&) {
         return iota(i32, {2, 3}, -1);
       },
       {2, 3},
       {0, 1, 2, 0, 1, 2}},
      {"arange", [](const Tensor&) { return arange(4, f32); }, {4}, {0, 1, 2, 3}},
      {"full", [](const Tensor&) { return full(i64, {2}, 7); }, {2}, {7, 7}},
      {"zeros_like", [](const Tensor& x) { return zeros_like(x); }, {2, 3}, {0, 0, 0, 0, 0, 0}},
      {"ones_like", [](const Tensor& x) { return ones_like(slice(x, 0, 0, 1)); }, {1, 3}, {1, 1, 1}},
      {"astype", [](const Tensor& x) { return astype(x / 2, i32); }, {2, 3}, {0, 2, 1, -2, 1, 3}},
      {"isnan", [](const Tensor& x) { return isnan(sqrt(x)); }, {2, 3}, {0, 0, 0, 1, 0, 0}},
      {"softmax",
       [](const Tensor& x) { return softmax(where(x > 2, x, -HUGE_VAL)); },
       {2, 3},
       {0, 1, 0, 0, 1 / (1 + std::exp(3)), 1 / (1 + std::exp(-3))}},
      {"softmax 0",
       [](const Tensor& x) { return softmax(x, 0); },
       {2, 3},
       {1 / (1 + std::exp(-5)), 1 / (1 + std::exp(-2)), 1 / (1 + std::exp(4)), 1 / (1 + std::exp(5)),
        1 / (1 + std::exp(2)), 1 / (1 + std::exp(-4))}},
      {"log_softmax", [](const Tensor& x) { return log_softmax(100 * x, 0); }, {2, 3}, {0, 0, -400, -500, -200, 0}},
      {"layer_norm",
       [](const Tensor& x) { return layer_norm(x, {}, {}, 0); },
       {2, 3},
       {-5 / std::sqrt(26), 7 / std::sqrt(26), -2 / std::sqrt(26), -17 / std::sqrt(158), 4 / std::sqrt(158),
        13 / std::sqrt(158)}},
      {"layer_norm scale",
       [](const Tensor& x) { return layer_norm(x, constant(f({0, 2, 1}, {3})), constant(f({1, 0, 3}, {3})), 0); },
       {2, 3},
       {1, 14 / std::sqrt(26), 3 - 2 / std::sqrt(26), 1, 8 / std::sqrt(158), 3 + 13 / std::sqrt(158)}},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      GraphScope graph;
      const Tensor x = placeholder(f32, {2, 3}, "x");
      const Array got = run(row.build(x), {f(kSix, {2, 3})}, {x});
      REQUIRE(got.shape() == row.shape);
      require_close(got, row.want, 1e-6);
    }
  }
}

TEST_CASE("matmul follows NumPy for every pair of ranks") {
  struct Case {
    Shape a, b, out;
  };
  const Case cases[] = {
      {{3}, {3}, {}},
      {{2, 3}, {3}, {2}},
      {{3}, {3, 4}, {4}},
      {{2, 3}, {3, 4}, {2, 4}},
      {{5, 2, 3}, {3, 4}, {5, 2, 4}},
      {{5, 2, 3}, {3}, {5, 2}},
      {{3}, {5, 3, 4}, {5, 4}},
      {{2, 3}, {5, 3, 4}, {5, 2, 4}},
      {{5, 2, 3}, {5, 3, 4}, {5, 2, 4}},
      {{6, 1, 2, 3}, {5, 3, 4}, {6, 5, 2, 4}},
      {{1, 2, 3}, {5, 3, 4}, {5, 2, 4}},
  };
  auto ramp = [](const Shape& s, int step) {
    std::vector<float> v;
    for (std::int64_t k = 0; k < element_count(s); ++k) v.push_back(static_cast<float>((k * step + 3) % 11 - 5));
    return f(v, s);
  };
  for (const Case& c : cases) {
    GraphScope graph;
    CAPTURE(to_string(c.a), to_string(c.b));
    const Tensor a = placeholder(f32, c.a, "a"), b = placeholder(f32, c.b, "b");
    const Array x = ramp(c.a, 4), y = ramp(c.b, 7), got = run(matmul(a, b), {x, y});
    REQUIRE(got.shape() == c.out);
    // Everything as [batch, m, k] x [batch, k, n], missing axes as extent 1 (integers: sums are exact).
    const std::int64_t k = c.a.back(), m = c.a.rank() > 1 ? c.a[c.a.rank() - 2] : 1,
                       n = c.b.rank() > 1 ? c.b.back() : 1;
    const std::int64_t batches = got.size() / (m * n);
    const std::int64_t na = x.size() / (m * k), nb = y.size() / (k * n);
    std::vector<double> want;
    for (std::int64_t q = 0; q < batches; ++q)
      for (std::int64_t r = 0; r < m; ++r)
        for (std::int64_t s = 0; s < n; ++s) {
          const std::int64_t qa = na == 6 ? q / 5 : q % na, qb = q % nb;
          double total = 0;
          for (std::int64_t t = 0; t < k; ++t) total += x.at((qa * m + r) * k + t) * y.at((qb * k + t) * n + s);
          want.push_back(total);
        }
    require_close(got, want, 0);
  }
}

TEST_CASE("contract sums named axes and shares batch axes") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2, 3}, "a"), b = placeholder(f32, {2, 3}, "b");
  const std::vector<Array> in = {f(kSix, {2, 3}), f({1, 2, 3, 4, 5, 6}, {2, 3})};
  require_close(run(contract(a, b, {1}, {1}), in), {17, 41, 20, 35});
  require_close(run(contract(a, b, {1}, {1}, {0}, {0}), in), {17, 35});
  require_close(run(contract(a, b, {0, 1}, {0, 1}), in), {52});
}

TEST_CASE("the batch extent passes through shapes and is known when compiled") {
  GraphScope graph;
  const Tensor x = input(f32, {2, 3}, "x");
  REQUIRE(x.shape() == Shape{kBatch, 2, 3});
  REQUIRE(reshape(x, {-1, 6}).shape() == Shape{kBatch, 6});
  REQUIRE(matmul(x, constant(f({1, 2, 3}, {3}))).shape() == Shape{kBatch, 2});
  REQUIRE(transpose(x, {1, 0, 2}).shape() == Shape{2, kBatch, 3});
  const Executable mean_row = compile({mean(x, 0), extent(x, 0)}, {.backend = Backend::interpreter});
  for (std::int64_t n : {1, 2, 5}) {
    const auto out = mean_row({Array::filled({f32, {n, 2, 3}}, 4)});
    require_close(out[0], {4, 4, 4, 4, 4, 4});
    REQUIRE(out[1].item<float>() == static_cast<float>(n));
  }
}

TEST_CASE("fma rounds once") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {1}, "a"), b = placeholder(f32, {1}, "b"), c = placeholder(f32, {}, "c");
  const float e = 0x1p-13f;
  REQUIRE(run(fma(a, b, c), {f({1 + e}, {1}), f({1 - e}, {1}), f({-1}, {})}).at(0) == -0x1p-26);
}

TEST_CASE("a function of several unbound extents is compiled for those that it is called with") {
  GraphScope graph;
  const std::int64_t time = symbol("time");
  const Tensor x = placeholder(f32, {kBatch, time, 2}, "x"), w = placeholder(f32, {time}, "w");
  const Tensor y = sum(x * reshape(w, {1, time, 1}), 1) + mean(x);
  const Executable exe = compile({y}, {.backend = Backend::interpreter}), compiled = compile({y});
  CHECK_THROWS_WITH(compiled.dump(Stage::optimized),
                    Catch::Matchers::ContainsSubstring("has unbound extents ?, ?time and has not"));
  CHECK(compiled.dump(Stage::graph).find("f32[?,?time,2]") != std::string::npos);
  for (const auto& [batch, steps] : {std::pair{2, 3}, {1, 5}, {2, 3}, {4, 1}}) {
    std::vector<float> values, weights(static_cast<std::size_t>(steps), 0.5f);
    for (int k = 0; k < batch * steps * 2; ++k) values.push_back(static_cast<float>(k));
    const std::vector<Array> in{f(values, {batch, steps, 2}), f(weights, {steps})};
    CHECK(compiled(in)[0].same_bits(exe(in)[0]));
    CHECK(compiled.output_types()[0] == Type{f32, {batch, 2}});
  }
  CHECK(compiled.output_types({{kBatch, 7}, {time, 2}})[0] == Type{f32, {7, 2}});
  CHECK_THROWS_WITH(compiled.prepare(7), Catch::Matchers::ContainsSubstring("needs an extent for ?time too"));
  CHECK_THROWS_WITH(compiled.prepare({{kBatch, 7}, {symbol("other"), 2}}),
                    Catch::Matchers::ContainsSubstring("has no extent ?other"));
  CHECK_THROWS_WITH(compiled({f({1, 2, 3, 4}, {1, 2, 2}), f({1, 2, 3}, {3})}),
                    Catch::Matchers::ContainsSubstring("extent ?time = 3 differs from 2 of input 'x'"));
  CHECK_THROWS_WITH(Model(x, x),
                    Catch::Matchers::ContainsSubstring("extents other than the batch are known in a model"));
}

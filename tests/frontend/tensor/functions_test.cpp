// Every function of the DSL against plain C++ arithmetic, on the interpreter and compiled.
#include <numeric>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

const std::vector<float> kValues = {-2.5f, -1.f, -0.5f, -0.001f, 0.f, 0.001f, 0.25f, 0.5f, 1.f, 1.5f, 2.f, 20.f};

double numeric_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct UnaryRow {
  const char* name;
  Tensor (*build)(const Tensor&);
  double (*expected)(double);
};

const UnaryRow kUnary[] = {
    {"neg", [](const Tensor& x) { return -x; }, [](double x) { return -x; }},
    {"abs", [](const Tensor& x) { return abs(x); }, [](double x) { return std::abs(x); }},
    {"sign", [](const Tensor& x) { return sign(x); }, [](double x) { return double((x > 0) - (x < 0)); }},
    {"floor", [](const Tensor& x) { return floor(x); }, [](double x) { return std::floor(x); }},
    {"ceil", [](const Tensor& x) { return ceil(x); }, [](double x) { return std::ceil(x); }},
    {"round", [](const Tensor& x) { return round(x); }, [](double x) { return std::nearbyint(x); }},
    {"sqrt", [](const Tensor& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }},
    {"rsqrt", [](const Tensor& x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); }},
    {"square", [](const Tensor& x) { return square(x); }, [](double x) { return x * x; }},
    {"reciprocal", [](const Tensor& x) { return reciprocal(x); }, [](double x) { return 1 / x; }},
    {"exp", [](const Tensor& x) { return exp(x); }, [](double x) { return std::exp(x); }},
    {"expm1", [](const Tensor& x) { return expm1(x); }, [](double x) { return std::expm1(x); }},
    {"log", [](const Tensor& x) { return log(x); }, [](double x) { return std::log(x); }},
    {"log1p", [](const Tensor& x) { return log1p(x); }, [](double x) { return std::log1p(x); }},
    {"sin", [](const Tensor& x) { return sin(x); }, [](double x) { return std::sin(x); }},
    {"cos", [](const Tensor& x) { return cos(x); }, [](double x) { return std::cos(x); }},
    {"tanh", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); }},
    {"erf", [](const Tensor& x) { return erf(x); }, [](double x) { return std::erf(x); }},
    {"stop_gradient", [](const Tensor& x) { return stop_gradient(x); }, [](double x) { return x; }},
    {"pow 0", [](const Tensor& x) { return pow(x, 0); }, [](double) { return 1.0; }},
    {"pow 1", [](const Tensor& x) { return pow(x, 1); }, [](double x) { return x; }},
    {"pow 2", [](const Tensor& x) { return pow(x, 2); }, [](double x) { return x * x; }},
    {"pow 5", [](const Tensor& x) { return pow(x, 5); }, [](double x) { return std::pow(x, 5); }},
    {"pow -3", [](const Tensor& x) { return pow(x, -3); }, [](double x) { return 1 / (x * x * x); }},
    {"pow 0.5", [](const Tensor& x) { return pow(x, 0.5); }, [](double x) { return std::sqrt(x); }},
    {"pow 1.5", [](const Tensor& x) { return pow(abs(x), 1.5); }, [](double x) { return std::pow(std::abs(x), 1.5); }},
    {"clip", [](const Tensor& x) { return clip(x, -1, 1.5); },
     [](double x) { return std::min(std::max(x, -1.0), 1.5); }},
    {"x + 1", [](const Tensor& x) { return x + 1; }, [](double x) { return x + 1; }},
    {"2 - x", [](const Tensor& x) { return 2 - x; }, [](double x) { return 2 - x; }},
    {"3 * x", [](const Tensor& x) { return 3.0 * x; }, [](double x) { return 3 * x; }},
    {"x / 4", [](const Tensor& x) { return x / 4; }, [](double x) { return x / 4; }},
    {"1 / x", [](const Tensor& x) { return 1.f / x; }, [](double x) { return 1 / x; }},
    {"maximum", [](const Tensor& x) { return maximum(x, 0.3); }, [](double x) { return std::max(x, double(0.3f)); }},
    {"minimum", [](const Tensor& x) { return minimum(0.3, x); }, [](double x) { return std::min(x, double(0.3f)); }},
    {"where", [](const Tensor& x) { return weft::where(x > 0, x, 7); }, [](double x) { return x > 0 ? x : 7; }},
    {"linear", [](const Tensor& x) { return linear(x); }, [](double x) { return x; }},
    {"relu", [](const Tensor& x) { return relu(x); }, [](double x) { return std::max(x, 0.0); }},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }, [](double x) { return x > 0 ? x : 0.01 * x; }},
    {"leaky_relu 0.3", [](const Tensor& x) { return leaky_relu(x, 0.3); },
     [](double x) { return x > 0 ? x : 0.3 * x; }},
    {"elu", [](const Tensor& x) { return elu(x); }, [](double x) { return x > 0 ? x : std::expm1(x); }},
    {"elu 0.5", [](const Tensor& x) { return elu(x, 0.5); }, [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); }},
    {"sigmoid", [](const Tensor& x) { return sigmoid(x); }, numeric_sigmoid},
    {"silu", [](const Tensor& x) { return silu(x); }, [](double x) { return x * numeric_sigmoid(x); }},
    {"softplus", [](const Tensor& x) { return softplus(x); }, [](double x) { return std::log1p(std::exp(x)); }},
    {"gelu", [](const Tensor& x) { return gelu(x); },
     [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2))); }},
    {"gelu_tanh", [](const Tensor& x) { return gelu_tanh(x); },
     [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
};

}  // namespace

TEST_CASE("elementwise functions and activations equal their equations") {
  for (const UnaryRow& row : kUnary) {
    DYNAMIC_SECTION(row.name) {
      GraphScope graph;
      const Tensor x = input(f32, {}, "x");
      std::vector<double> want;
      for (float v : kValues) want.push_back(row.expected(v));
      require_close(run(row.build(x), {f(kValues, {12})}, {x}), want);
    }
  }
}

TEST_CASE("gradients of activations equal finite differences") {
  const std::vector<double> points = {-30, -3, -0.7, -0.1, 0.2, 0.9, 2.5, 30};  // away from kinks
  for (const UnaryRow& row : kUnary) {
    const std::string name = row.name;
    if (name == "sign" || name == "floor" || name == "ceil" || name == "round" || name == "stop_gradient") continue;
    DYNAMIC_SECTION(name) {
      GraphScope graph;
      const Tensor x = placeholder(f64, {8}, "x");
      const Tensor g = grad(sum(row.build(x)), {x})[0];
      const Array at = Array::from<double>(points, {8});
      const Array got = run(g, {at}, {x});
      for (std::size_t k = 0; k < points.size(); ++k) {
        const double h = 1e-5, p = points[k];
        const double want = (row.expected(p + h) - row.expected(p - h)) / (2 * h);
        if (!std::isfinite(want)) continue;  // outside of the function's domain
        CAPTURE(p, got.at(static_cast<std::int64_t>(k)), want);
        REQUIRE(close(got.at(static_cast<std::int64_t>(k)), want, 1e-5));
      }
    }
  }
}

TEST_CASE("gradients stay finite where naive formulas overflow") {
  GraphScope graph;
  const Tensor x = input(f32, {}, "x");
  const std::vector<float> at = {-200, -100, 0, 100, 200};
  for (Tensor (*fn)(const Tensor&, std::source_location) : {sigmoid, silu, softplus, gelu, gelu_tanh, tanh}) {
    const Array g = run(grad(sum(fn(x, std::source_location::current())), {x})[0], {f(at, {5})});
    for (double v : doubles(g)) REQUIRE(std::isfinite(v));
  }
  REQUIRE(run(grad(sum(softplus(x)), {x})[0], {f({0}, {1})}).item<float>() == 0.5f);
  REQUIRE(run(grad(sum(elu(x)), {x})[0], {f({-200}, {1})}).item<float>() == Approx(0).margin(1e-6));
}

TEST_CASE("functions near zero do not cancel") {
  GraphScope graph;
  const Tensor x = input(f32, {}, "x");
  for (float v : {1e-7f, -1e-7f, 3e-4f, -2e-2f}) {
    REQUIRE(close(run(expm1(x), {f({v}, {1})}).at(0) / std::expm1(v), 1, 4e-7));
    REQUIRE(close(run(log1p(x), {f({v}, {1})}).at(0) / std::log1p(v), 1, 4e-7));
  }
  REQUIRE(run(log1p(x), {f({-1}, {1})}).at(0) == -HUGE_VAL);
  REQUIRE(run(expm1(x), {f({100}, {1})}).at(0) == HUGE_VAL);
  REQUIRE(run(expm1(x), {f({-100}, {1})}).at(0) == -1);
}

TEST_CASE("binary operators broadcast like NumPy") {
  struct Row {
    const char* name;
    Shape a, b, out;
    std::vector<double> sum;
  };
  const Row rows[] = {
      {"equal", {2, 2}, {2, 2}, {2, 2}, {0, 2, 4, 6}},
      {"scalar", {2, 2}, {}, {2, 2}, {0, 1, 2, 3}},
      {"row", {2, 3}, {3}, {2, 3}, {0, 2, 4, 3, 5, 7}},
      {"column", {2, 3}, {2, 1}, {2, 3}, {0, 1, 2, 4, 5, 6}},
      {"outer", {2, 1}, {1, 3}, {2, 3}, {0, 1, 2, 1, 2, 3}},
      {"more axes", {3}, {2, 1, 3}, {2, 1, 3}, {0, 2, 4, 3, 5, 7}},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      GraphScope graph;
      auto counting = [](const Shape& s) {
        std::vector<float> v(static_cast<std::size_t>(element_count(s)));
        std::iota(v.begin(), v.end(), 0.f);
        return f(v, s);
      };
      const Tensor a = placeholder(f32, row.a, "a"), b = placeholder(f32, row.b, "b");
      const Array got = run(a + b, {counting(row.a), counting(row.b)});
      REQUIRE(got.shape() == row.out);
      require_close(got, row.sum);
    }
  }
}

TEST_CASE("integer, bool and comparison operators") {
  GraphScope graph;
  const Tensor a = placeholder(i32, {4}, "a"), b = placeholder(i32, {4}, "b");
  const std::vector<Array> in = {i({7, -7, 5, 12}, {4}), i({2, 2, 5, 10}, {4})};
  struct Row {
    Tensor t;
    std::vector<double> want;
  };
  const Row rows[] = {
      {a + b, {9, -5, 10, 22}},    {a - b, {5, -9, 0, 2}}, {a * b, {14, -14, 25, 120}},
      {a / b, {3, -3, 1, 1}},      {a % b, {1, -1, 0, 2}}, {a & b, {2, 0, 5, 8}},
      {a | b, {7, -5, 5, 14}},     {a ^ b, {5, -5, 0, 6}}, {a << 1, {14, -14, 10, 24}},
      {abs(a) >> 1, {3, 3, 2, 6}}, {~a, {-8, 6, -6, -13}}, {a == b, {0, 0, 1, 0}},
      {a != b, {1, 1, 0, 1}},      {a < b, {0, 1, 0, 0}},  {a <= b, {0, 1, 1, 0}},
      {a > b, {1, 0, 0, 1}},       {a >= b, {1, 0, 1, 1}}, {(a > b) & (a > 10), {0, 0, 0, 1}},
      {~(a > b), {0, 1, 1, 0}},    {2 < a, {1, 0, 1, 1}},
  };
  for (std::size_t k = 0; k < std::size(rows); ++k) {
    CAPTURE(k, rows[k].t.str());
    require_close(run(rows[k].t, in, {a, b}), rows[k].want);
  }
}

TEST_CASE("odd functions keep the sign of a zero", "[functions]") {
  Tensor (*const functions[])(const Tensor&, std::source_location) = {sin,   tan,   asin, atan,  sinh,
                                                                      asinh, atanh, cbrt, trunc, softsign};
  for (const auto& f_of : functions) {
    GraphScope graph;
    const Tensor x = placeholder(f32, {2}, "x");
    const Array y = run(f_of(x, std::source_location::current()), {f({-0.0f, 0.0f}, {2})});
    CAPTURE(&f_of - functions);
    CHECK((y.at(0) == 0 && std::signbit(y.at(0))));
    CHECK((y.at(1) == 0 && !std::signbit(y.at(1))));
  }
  GraphScope graph;
  const Tensor y = placeholder(f32, {4}, "y"), x = placeholder(f32, {4}, "x");
  const Array angles = run(atan2(y, x), {f({-0.0f, -0.0f, 0.0f, -0.0f}, {4}), f({1, -0.0f, 0.0f, 0.0f}, {4})});
  CHECK(std::signbit(angles.at(0)));
  CHECK(angles.at(1) == -3.14159274101257324);
  CHECK(!std::signbit(angles.at(2)));
  CHECK(std::signbit(angles.at(3)));
}

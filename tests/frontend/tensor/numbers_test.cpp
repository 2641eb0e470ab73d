// Numbers beside tensors: every place that takes one keeps all bits of an integer, and refuses what the dtype has not.
#include <limits>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr std::int64_t kOdd = 9007199254740993;  // 2^53 + 1: no f64
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(), kMax = std::numeric_limits<std::int64_t>::max();

Array i64s(const std::vector<std::int64_t>& values) {
  return Array::from<std::int64_t>(values, {static_cast<std::int64_t>(values.size())});
}

/// Every way to give a number to a function of an i64[1] tensor, and what it computes.
struct Use {
  const char* name;
  std::function<Tensor(const Tensor& x, const Number& n)> tensor;
  std::function<std::int64_t(std::int64_t x, std::int64_t n)> value;
};

template <class F>
auto with_operand(F f) {  // operators take an Operand, which is made from an arithmetic type
  return [f](const Tensor& x, const Number& n) { return f(x, Operand(*n.as<std::int64_t>())); };
}

Tensor as_i64(const Tensor& x) { return astype(x, i64); }

const Use kUses[] = {
    {"+", with_operand([](auto& x, auto n) { return x + n; }), [](auto x, auto n) { return x + n; }},
    {"number -", with_operand([](auto& x, auto n) { return n - x; }), [](auto x, auto n) { return n - x; }},
    {"&", with_operand([](auto& x, auto n) { return x & n; }), [](auto x, auto n) { return x & n; }},
    {"|", with_operand([](auto& x, auto n) { return x | n; }), [](auto x, auto n) { return x | n; }},
    {"^", with_operand([](auto& x, auto n) { return x ^ n; }), [](auto x, auto n) { return x ^ n; }},
    {"%", with_operand([](auto& x, auto n) { return x % n; }), [](auto x, auto n) { return x % n; }},
    {"/", with_operand([](auto& x, auto n) { return n / x; }), [](auto x, auto n) { return n / x; }},
    {"==", with_operand([](auto& x, auto n) { return as_i64(x == n); }), [](auto x, auto n) { return x == n; }},
    {"!=", with_operand([](auto& x, auto n) { return as_i64(x != n); }), [](auto x, auto n) { return x != n; }},
    {"<", with_operand([](auto& x, auto n) { return as_i64(x < n); }), [](auto x, auto n) { return x < n; }},
    {"<=", with_operand([](auto& x, auto n) { return as_i64(x <= n); }), [](auto x, auto n) { return x <= n; }},
    {">", with_operand([](auto& x, auto n) { return as_i64(x > n); }), [](auto x, auto n) { return x > n; }},
    {">=", with_operand([](auto& x, auto n) { return as_i64(x >= n); }), [](auto x, auto n) { return x >= n; }},
    {"maximum", with_operand([](auto& x, auto n) { return maximum(x, n); }),
     [](auto x, auto n) { return std::max(x, n); }},
    {"minimum", with_operand([](auto& x, auto n) { return minimum(n, x); }),
     [](auto x, auto n) { return std::min(x, n); }},
    {"where", with_operand([](auto& x, auto n) { return weft::where(x < 0, x, n); }),
     [](auto x, auto n) { return x < 0 ? x : n; }},
    {"clip", [](auto& x, auto& n) { return clip(x, n, n); }, [](auto, auto n) { return n; }},
    {"constant", [](auto& x, auto& n) { return x * 0 + constant(n, i64); }, [](auto, auto n) { return n; }},
    {"full", [](auto& x, auto& n) { return x * 0 + full(i64, {1}, n); }, [](auto, auto n) { return n; }},
    {"pad", [](auto& x, auto& n) { return slice(pad(x, {1}, {0}, n), 0, 0, 1); }, [](auto, auto n) { return n; }},
    {"Array::filled",
     [](auto& x, auto& n) {
       return x * 0 + constant(Array::filled({i64, {1}}, n));
     },
     [](auto, auto n) { return n; }},
};

}  // namespace

TEST_CASE("every place that takes a number keeps all bits of an integer") {
  for (const Use& use : kUses)
    for (const std::int64_t n : {kOdd, -kOdd, (std::int64_t{1} << 62) - 1, kMax, kMin + 1, std::int64_t{3}})
      for (const std::int64_t x : {std::int64_t{5}, std::int64_t{-7}, kOdd, kOdd + 1}) {
        const auto wraps = [](std::int64_t a, std::int64_t b) {
          return (a < 0) == (b < 0) && std::abs(a) > kMax - std::abs(b);
        };
        if (use.name[0] == '+' && wraps(x, n)) continue;
        if (use.name[0] == 'n' && wraps(n, -x)) continue;
        GraphScope graph;
        const Tensor t = placeholder(i64, {1}, "x");
        CAPTURE(use.name, n, x);
        const Array got = compile({use.tensor(t, n)}, {.inputs = {t}, .backend = Backend::interpreter})({i64s({x})})[0];
        REQUIRE(got.item<std::int64_t>() == use.value(x, n));
      }
  GraphScope graph;
  const Tensor t = placeholder(i64, {1}, "x");
  REQUIRE(run((t & ((std::int64_t{1} << 62) - 1)) + kOdd, {i64s({5})}).item<std::int64_t>() == kOdd + 5);
}

TEST_CASE("a number that is no value of the dtype is refused at the user's line") {
  GraphScope graph;
  const Tensor l = placeholder(i64, {1}, "l"), k = placeholder(i32, {1}, "k"), b = placeholder(u8, {1}, "b"),
               p = placeholder(boolean, {1}, "p"), x = placeholder(f32, {1}, "x"), d = placeholder(f64, {1}, "d");
  const std::uint64_t beyond = std::uint64_t{1} << 63;
  require_reported({
      MISTAKE(l + beyond, "the number 9223372036854775808 is not a value of i64"),
      MISTAKE(l + 0x1p63, "is not a value of i64"),
      MISTAKE(l == 0.5, "the number 0.5 is not a value of i64; convert the tensor"),
      MISTAKE(k + 2147483648, "the number 2147483648 is not a value of i32"),
      MISTAKE(k + 1e30, "the number 1e+30 is not a value of i32"),
      MISTAKE(k * NAN, "the number nan is not a value of i32"),
      MISTAKE(b + 256, "the number 256 is not a value of u8"),
      MISTAKE(b > -1, "the number -1 is not a value of u8"),
      MISTAKE(p == 2, "the number 2 is not a value of bool"),
      MISTAKE(x * 1e300, "the number 1e+300 is not a value of f32"),
      MISTAKE(constant(kOdd, i32), "the number 9007199254740993 is not a value of i32"),
      MISTAKE(full(i32, {2}, -0.25), "the number -0.25 is not a value of i32"),
      MISTAKE(pad(b, {1}, {1}, 300), "the number 300 is not a value of u8"),
      MISTAKE(clip(k, 0.5, 2), "the number 0.5 is not a value of i32"),
      MISTAKE(clip(l, kOdd, kOdd - 1), "clip: low 9007199254740993 is above high 9007199254740992"),
      MISTAKE(clip(x, NAN, 1), "clip: low nan is above high 1"),
      FAILS(Array::filled({i32, {2}}, 2.5), "the number 2.5 is not a value of i32"),
  });
  // The ends of each range, infinities and NaN of floats.
  REQUIRE(Array::filled({i64, {}}, -0x1p63).item<std::int64_t>() == kMin);
  REQUIRE(Array::filled({i64, {}}, std::uint64_t{beyond - 1}).item<std::int64_t>() == kMax);
  REQUIRE(Array::filled({i32, {}}, 2147483647.0).item<std::int32_t>() == 2147483647);
  REQUIRE(Array::filled({u8, {}}, 255).item<std::uint8_t>() == 255);
  REQUIRE(Array::filled({boolean, {}}, true).item<bool>());
  REQUIRE(Array::filled({f32, {}}, HUGE_VAL).item<float>() == HUGE_VALF);
  REQUIRE(std::isnan(Array::filled({f64, {}}, NAN).item<double>()));
  REQUIRE(Array::filled({f32, {}}, 16777217).item<float>() == 16777216.f);
  REQUIRE(Array::filled({f64, {}}, 1e300).item<double>() == 1e300);
}

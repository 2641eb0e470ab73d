// The elementary functions of ir/approx.h: error bounds against a wider reference, special values, symmetry and
// monotony. The f32 sweep takes every 1021st of the 2^32 floats; WEFT_EXHAUSTIVE=1 takes all of them and prints the
// largest errors.
#include <cmath>
#include <cstdlib>
#include <limits>

#include "catch.h"
#include "ir/eval.h"
#include "ir/native_fma.h"
#include "ir/philox.h"
#include "ir/scalar.h"

using namespace weft;

namespace {

/// One function: its references, and what ir/approx.h states of it.
struct Function {
  Op op;
  double (*f64_reference)(double);  // for f32: double is wide enough, and several times faster than long double
  long double (*wide_reference)(long double);
  double ulps_f32, ulps_f64;
  double limit_f32 = HUGE_VAL, limit_f64 = HUGE_VAL;  // the errors hold for |x| <= limit
};
const Function kFunctions[] = {
    {Op::exp, std::exp, std::exp, 0.92, 1},
    {Op::log, std::log, std::log, 0.94, 1.3},
    {Op::sin, std::sin, std::sin, 1.55, 1.6, 0x1p17, 0x1p30},
    {Op::cos, std::cos, std::cos, 1.55, 1.6, 0x1p17, 0x1p30},
    {Op::tanh, std::tanh, std::tanh, 1.82, 2.1},
    {Op::erf, std::erf, std::erf, 1, 1.3},
};

bool exhaustive() { return std::getenv("WEFT_EXHAUSTIVE") != nullptr; }

/// |y - reference| in units of T's last place at the reference; infinite where no rounding could explain y.
template <class T, class Wide>
double ulp_error(T y, Wide reference) {
  using Limits = std::numeric_limits<T>;
  const Wide size = std::fabs(reference);
  if (std::isnan(reference) || std::isnan(y)) return std::isnan(reference) && std::isnan(y) ? 0 : HUGE_VAL;
  if (size < Limits::min()) return y == 0 || std::fabs(y) == Limits::min() ? 0 : HUGE_VAL;
  if (std::isinf(y)) return size > Limits::max() ? 0 : HUGE_VAL;
  if (std::isinf(reference)) return HUGE_VAL;
  const Wide ulp = std::ldexp(Wide{1}, std::ilogb(reference) - (Limits::digits - 1));
  return static_cast<double>(std::fabs(static_cast<Wide>(y) - reference) / ulp);
}

struct Worst {
  double ulps = 0, x = 0;
  void add(double e, double at) {
    if (e > ulps) ulps = e, x = at;
  }
};

Worst sweep_f32(const Function& f) {
  Worst worst;
  with_native_fma([&] {
    const std::uint64_t step = exhaustive() ? 1 : 1021;
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += step) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      if (std::fabs(x) > f.limit_f32) continue;
      worst.add(ulp_error(apply_unary(f.op, x), f.f64_reference(flush_subnormal(x))), x);
    }
  });
  return worst;
}

/// Random mantissas under every exponent, most of them where the functions are not all but constant.
Worst sweep_f64(const Function& f) {
  Worst worst;
  with_native_fma([&] {
    for (std::uint32_t exponent = 0; exponent < 2047; ++exponent) {
      const bool dense = exponent > 1023 - 30 && exponent < 1023 + 32;
      const std::uint32_t count = (dense ? 4000 : 40) * (exhaustive() ? 100 : 1);
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto r = philox4x32({i, exponent, 0, 0}, {1, 2});
        const std::uint64_t mantissa = (std::uint64_t{r[0]} << 20) ^ (r[1] & 0xfffff), sign = r[2] & 1;
        const double x = std::bit_cast<double>(sign << 63 | std::uint64_t{exponent} << 52 | mantissa);
        if (std::fabs(x) > f.limit_f64) continue;
        worst.add(ulp_error(apply_unary(f.op, x), f.wide_reference(flush_subnormal(x))), x);
      }
    }
  });
  return worst;
}

template <class T>
std::vector<T> samples() {
  std::vector<T> v;
  for (double x : {0.0,  1e-300, 1e-40, 1e-38, 1e-30,  1e-10,   0.001, 0.1, 0.3,  0.5,  0.7,   0.99,
                   1.0,  1.01,   1.5,   2.0,   3.0,    3.14159, 4.0,   5.9, 6.1,  9.0,  10.0,  19.0,
                   21.0, 88.0,   100.0, 700.0, 1234.5, 1e5,     1e6,   1e9, 1e20, 3e38, 1e300, HUGE_VAL})
    v.push_back(static_cast<T>(x));
  return v;
}

template <class T>
bool same(T a, T b) {
  return Array::scalar(a).same_bits(Array::scalar(b));
}

}  // namespace

TEST_CASE("the elementary functions keep to their stated errors in f32") {
  const FlushSubnormals flush;
  for (const Function& f : kFunctions) {
    const Worst w = sweep_f32(f);
    INFO(name(f.op) << ": " << w.ulps << " ulp at " << w.x);
    CHECK(w.ulps <= f.ulps_f32);
    if (exhaustive()) WARN(name(f.op) << " f32: " << w.ulps << " ulp at " << w.x);
  }
}

TEST_CASE("the elementary functions keep to their stated errors in f64") {
  const FlushSubnormals flush;
  for (const Function& f : kFunctions) {
    const Worst w = sweep_f64(f);
    INFO(name(f.op) << ": " << w.ulps << " ulp at " << w.x);
    CHECK(w.ulps <= f.ulps_f64);
    if (exhaustive()) WARN(name(f.op) << " f64: " << w.ulps << " ulp at " << w.x);
  }
}

TEMPLATE_TEST_CASE("the elementary functions at special values", "", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const FlushSubnormals flush;
  const T inf = Limits::infinity(), nan = Limits::quiet_NaN(), tiny = Limits::min(), largest = Limits::max();
  const T subnormal = std::bit_cast<T>(typename ScalarMachine<T>::I{1});
  const T limit = sizeof(T) == 4 ? 0x1p17 : 0x1p30;
  struct Row {
    Op op;
    T x, y;
  };
  const Row rows[] = {
      {Op::exp, 0, 1},
      {Op::exp, -T{0}, 1},
      {Op::exp, subnormal, 1},
      {Op::exp, inf, inf},
      {Op::exp, -inf, 0},
      {Op::exp, largest, inf},
      {Op::exp, -largest, 0},
      {Op::exp, sizeof(T) == 4 ? T(88.73) : T(709.79), inf},
      {Op::exp, sizeof(T) == 4 ? T(-87.34) : T(-708.4), 0},  // e^x is subnormal
      {Op::log, 1, 0},
      {Op::log, 0, -inf},
      {Op::log, -T{0}, -inf},
      {Op::log, subnormal, -inf},
      {Op::log, -subnormal, -inf},
      {Op::log, -tiny, nan},
      {Op::log, -1, nan},
      {Op::log, -inf, nan},
      {Op::log, inf, inf},
      {Op::sin, 0, 0},
      {Op::sin, subnormal, 0},
      {Op::sin, tiny, tiny},
      {Op::sin, inf, nan},
      {Op::sin, std::nextafter(limit, inf), 0},  // beyond the range: as for 0
      {Op::sin, largest, 0},
      {Op::cos, 0, 1},
      {Op::cos, subnormal, 1},
      {Op::cos, inf, nan},
      {Op::cos, -inf, nan},
      {Op::cos, std::nextafter(limit, inf), 1},
      {Op::cos, largest, 1},
      {Op::tanh, 0, 0},
      {Op::tanh, subnormal, 0},
      {Op::tanh, tiny, tiny},
      {Op::tanh, 20, 1},
      {Op::tanh, largest, 1},
      {Op::tanh, inf, 1},
      {Op::erf, 0, 0},
      {Op::erf, subnormal, 0},
      {Op::erf, 6, 1},
      {Op::erf, largest, 1},
      {Op::erf, inf, 1},
  };
  for (const Row& r : rows) {
    INFO(name(r.op) << " of " << r.x << " is " << apply_unary(r.op, r.x) << ", expected " << r.y);
    CHECK(same(apply_unary(r.op, r.x), r.y));
  }
  for (const Function& f : kFunctions) {
    INFO(name(f.op));
    using I = typename ScalarMachine<T>::I;
    for (I payload : {I{0}, I{1}, I{0x1ff}, I{0x3fffff}})  // with bits that land in an exponent when shifted
      for (T n : {nan, -nan}) CHECK(std::isnan(apply_unary(f.op, std::bit_cast<T>(std::bit_cast<I>(n) | payload))));
  }
}

TEMPLATE_TEST_CASE("sin, tanh and erf are odd and cos is even, to the bit", "", float, double) {
  using T = TestType;
  const FlushSubnormals flush;
  for (T x : samples<T>())
    for (Op op : {Op::sin, Op::tanh, Op::erf, Op::cos}) {
      INFO(name(op) << " of " << x);
      const T y = apply_unary(op, x);
      CHECK(same(apply_unary(op, -x), op == Op::cos ? y : -y));
      CHECK((std::isnan(y) || std::fabs(y) <= 1));
    }
}

TEMPLATE_TEST_CASE("exp, log, tanh and erf do not fall between samples", "", float, double) {
  // Neighbouring floats may swap by an ulp; a fall across a wider step would be a seam between two pieces.
  using T = TestType;
  const FlushSubnormals flush;
  for (Op op : {Op::exp, Op::log, Op::tanh, Op::erf}) {
    const T from = op == Op::log ? T(0.01) : T(-20), to = op == Op::log ? T(100) : T(20), step = T(1) / 1024;
    for (T x = from; x < to; x += step) {
      if (apply_unary(op, x) <= apply_unary(op, x + step)) continue;
      INFO(name(op) << " falls after " << x);
      CHECK(false);
    }
  }
}

TEST_CASE("sin and cos stay within [-1, 1] in all of f32") {
  const FlushSubnormals flush;
  bool within = true;
  with_native_fma([&] {
    for (std::uint64_t bits = 0; bits < 0x7f800000; bits += 509) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      within &= std::fabs(apply_unary(Op::sin, x)) <= 1 && std::fabs(apply_unary(Op::cos, x)) <= 1;
    }
  });
  CHECK(within);
}

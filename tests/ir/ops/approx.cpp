// The elementary functions of ir/approx*.h: error bounds against MPFR, special values, symmetry and monotony. For f32
// the reference is libm in f64, which is 29 bits wider than the result, on every 1021st of the 2^32 floats, and MPFR on
// fewer; for f64 it is MPFR. WEFT_EXHAUSTIVE=1 takes all 2^32 floats, a hundred times as many f64, and prints the
// largest errors: WEFT_EXHAUSTIVE=1 build/bin/test_ir "[ulps]".
#include <mpfr.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "catch.h"
#include "ir/base/native_fma.h"
#include "ir/base/philox.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

using namespace weft;

namespace {

/// A number of 140 bits: 2 * 53, and enough for what cancels in the compositions below.
class Wide {
 public:
  Wide() { mpfr_init2(v, 140); }
  explicit Wide(double x) : Wide() { mpfr_set_d(v, x, MPFR_RNDN); }
  ~Wide() { mpfr_clear(v); }
  Wide(const Wide&) = delete;
  Wide& operator=(const Wide&) = delete;

  mpfr_t v;
};

double logistic(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
int mpfr_logistic(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {  // 1 / (1 + e^-x)
  mpfr_neg(y, x, r);
  mpfr_exp(y, y, r);
  mpfr_add_ui(y, y, 1, r);
  return mpfr_ui_div(y, 1, y, r);
}
double soft_plus(double x) { return (x < 0 ? 0 : x) + std::log1p(std::exp(-std::fabs(x))); }
int mpfr_soft_plus(mpfr_t y, const mpfr_t x, mpfr_rnd_t r) {
  if (mpfr_cmp_ui(x, 1000) > 0) return mpfr_set(y, x, r);
  mpfr_exp(y, x, r);
  return mpfr_log1p(y, y, r);
}

/// One function: its references, and the errors that ir/approx*.h state of it.
struct Function {
  Op op;
  double (*f64)(double);
  int (*wide)(mpfr_t, const mpfr_t, mpfr_rnd_t);
  double ulps_f32, ulps_f64;
};
const Function kFunctions[] = {
    {Op::exp, std::exp, mpfr_exp, 0.92, 1},
    {Op::expm1, std::expm1, mpfr_expm1, 1.5, 1.8},
    {Op::log, std::log, mpfr_log, 0.94, 1.3},
    {Op::log1p, std::log1p, mpfr_log1p, 1.6, 1.8},
    {Op::sin, std::sin, mpfr_sin, 1.55, 1.6},
    {Op::cos, std::cos, mpfr_cos, 1.55, 1.6},
    {Op::atan, std::atan, mpfr_atan, 2.2, 2.2},
    {Op::tanh, std::tanh, mpfr_tanh, 1.82, 2.1},
    {Op::sigmoid, logistic, mpfr_logistic, 2.4, 2.4},
    {Op::softplus, soft_plus, mpfr_soft_plus, 2, 2.2},
    {Op::erf, std::erf, mpfr_erf, 1, 1.3},
};
constexpr double kPowUlpsF32 = 0.7, kPowUlpsF64 = 0.7;

bool exhaustive() { return std::getenv("WEFT_EXHAUSTIVE") != nullptr; }

/// |y - reference| in units of T's last place at the reference; infinite where no rounding could explain y.
template <class T>
double ulp_error(T y, const mpfr_t reference) {
  using Limits = std::numeric_limits<T>;
  if (mpfr_nan_p(reference) || std::isnan(y)) return mpfr_nan_p(reference) && std::isnan(y) ? 0 : HUGE_VAL;
  if (mpfr_zero_p(reference) || (!mpfr_inf_p(reference) && mpfr_get_exp(reference) < Limits::min_exponent))
    return y == 0 || std::fabs(y) == Limits::min() ? 0 : HUGE_VAL;
  const bool large = mpfr_inf_p(reference) || mpfr_get_exp(reference) > Limits::max_exponent;
  if (std::isinf(y)) return large || mpfr_cmpabs(reference, Wide(Limits::max()).v) > 0 ? 0 : HUGE_VAL;
  if (large && mpfr_inf_p(reference)) return HUGE_VAL;
  Wide off(y);
  mpfr_sub(off.v, off.v, reference, MPFR_RNDN);
  mpfr_mul_2si(off.v, off.v, Limits::digits - mpfr_get_exp(reference), MPFR_RNDN);
  return std::fabs(mpfr_get_d(off.v, MPFR_RNDN));
}

/// The same with a reference that is exact to 2^-29 ulp of f32.
double ulp_error(float y, double reference) {
  using Limits = std::numeric_limits<float>;
  const double size = std::fabs(reference);
  if (std::isnan(reference) || std::isnan(y)) return std::isnan(reference) && std::isnan(y) ? 0 : HUGE_VAL;
  if (size < Limits::min()) return y == 0 || std::fabs(y) == Limits::min() ? 0 : HUGE_VAL;
  if (std::isinf(y)) return size > Limits::max() ? 0 : HUGE_VAL;
  if (std::isinf(reference)) return HUGE_VAL;
  return std::fabs(y - reference) / std::ldexp(1.0, std::ilogb(reference) - (Limits::digits - 1));
}

struct Worst {
  double ulps = 0, x = 0, y = 0;
  void add(double e, double at, double with = 0) {
    if (e > ulps) ulps = e, x = at, y = with;
  }
};

/// Every `step`-th float, against f64 or MPFR.
template <bool wide>
Worst sweep_f32(const Function& f, std::uint64_t step) {
  Worst worst;
  with_native_fma([&] {
    Wide reference;
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += step) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits)), y = apply_unary(f.op, x);
      if constexpr (wide) {
        f.wide(reference.v, Wide(flush_subnormal(x)).v, MPFR_RNDN);
        worst.add(ulp_error(y, reference.v), x);
      } else {
        worst.add(ulp_error(y, f.f64(flush_subnormal(x))), x);
      }
    }
  });
  return worst;
}

/// Random bits number i of stream s.
std::uint64_t random_bits(std::uint32_t i, std::uint32_t s) {
  const auto r = philox4x32({i, s, 0, 0}, {1, 2});
  return std::uint64_t{r[0]} << 32 | r[1];
}

/// Random mantissas under every exponent, most of them where the functions are not all but constant.
Worst sweep_f64(const Function& f) {
  Worst worst;
  Wide reference;
  for (std::uint32_t exponent = 0; exponent < 2047; ++exponent) {
    const bool dense = exponent > 1023 - 30 && exponent < 1023 + 32;
    const std::uint32_t count = (dense ? 600 : 12) * (exhaustive() ? 100 : 1);
    for (std::uint32_t i = 0; i < count; ++i) {
      constexpr std::uint64_t kExponent = std::uint64_t{2047} << 52;
      const double x = std::bit_cast<double>((random_bits(i, exponent) & ~kExponent) | std::uint64_t{exponent} << 52);
      f.wide(reference.v, Wide(flush_subnormal(x)).v, MPFR_RNDN);
      worst.add(ulp_error(apply_unary(f.op, x), reference.v), x);
    }
  }
  return worst;
}

/// Pairs for pow: any bits; bases of all sizes and near 1, of both signs, with exponents whose power is of any size.
template <class T>
std::pair<T, T> operands_of_pow(std::uint32_t i) {
  using I = typename ScalarMachine<T>::I;
  const std::uint64_t a = random_bits(i, 5000), b = random_bits(i, 5001);
  if (i % 4 == 0) return {std::bit_cast<T>(static_cast<I>(a)), std::bit_cast<T>(static_cast<I>(b))};
  auto unit = [](std::uint64_t r) { return std::ldexp(static_cast<double>(r >> 11), -52) - 1; };  // -1 to 1
  constexpr double kExponents = std::numeric_limits<T>::max_exponent;
  const T x = static_cast<T>(std::exp2(unit(a) * (i % 4 == 1 ? kExponents : i % 4 == 2 ? 1 : 0x1p-10)));
  const T y = static_cast<T>(unit(b) * 1.05 * kExponents / std::log2(static_cast<double>(x)));
  return i & 64 ? std::pair{-x, std::nearbyint(y)} : std::pair{x, y};
}

void check_bound(const char* what, Op op, const Worst& w, double bound) {
  INFO(name(op) << " " << what << ": " << w.ulps << " ulp at " << w.x << ", " << w.y);
  CHECK(w.ulps <= bound);
  if (exhaustive()) WARN(name(op) << " " << what << ": " << w.ulps << " ulp at " << w.x << ", " << w.y);
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

TEST_CASE("every function of the op table has its reference and its errors") {
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    INFO(name(op));
    CHECK(is_function(op) ==
          (op == Op::pow || std::ranges::any_of(kFunctions, [&](const auto& f) { return f.op == op; })));
  }
}

TEST_CASE("the elementary functions keep to their stated errors in f32", "[ulps]") {
  const FlushSubnormals flush;
  for (const Function& f : kFunctions) {
    check_bound("f32", f.op, sweep_f32<false>(f, exhaustive() ? 1 : 1021), f.ulps_f32);
    check_bound("f32 (MPFR)", f.op, sweep_f32<true>(f, exhaustive() ? 2048 - 1 : 65536 * 4 - 1), f.ulps_f32);
  }
}

TEST_CASE("the elementary functions keep to their stated errors in f64", "[ulps]") {
  const FlushSubnormals flush;
  for (const Function& f : kFunctions) check_bound("f64", f.op, sweep_f64(f), f.ulps_f64);
}

TEST_CASE("pow keeps to its stated errors", "[ulps]") {
  const FlushSubnormals flush;
  const std::uint32_t times = exhaustive() ? 1000 : 1;
  Worst narrow;
  with_native_fma([&] {
    for (std::uint32_t i = 0; i < 1000000 * times; ++i) {
      const auto [x, y] = operands_of_pow<float>(i);
      const double reference = std::pow(double{flush_subnormal(x)}, double{flush_subnormal(y)});
      narrow.add(ulp_error(apply_binary(Op::pow, x, y), reference), x, y);
    }
  });
  check_bound("f32", Op::pow, narrow, kPowUlpsF32);
  Worst wide;
  Wide reference;
  for (std::uint32_t i = 0; i < 40000 * times; ++i) {
    const auto [x, y] = operands_of_pow<double>(i);
    mpfr_pow(reference.v, Wide(flush_subnormal(x)).v, Wide(flush_subnormal(y)).v, MPFR_RNDN);
    wide.add(ulp_error(apply_binary(Op::pow, x, y), reference.v), x, y);
  }
  check_bound("f64", Op::pow, wide, kPowUlpsF64);
}

TEMPLATE_TEST_CASE("pow at special values is as IEEE 754 and C99 have it", "", float, double) {
  using T = TestType;
  const FlushSubnormals flush;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const T tiny = std::numeric_limits<T>::min(), largest = std::numeric_limits<T>::max();
  const T whole = sizeof(T) == 4 ? 0x1p23 : 0x1p52;  // from here on all floats are whole, from twice that even
  std::vector<T> values{0, tiny, tiny / 2, T(0.3), T(0.5), 1, T(1.5), 2, 3, 4, 101, largest, inf};
  for (T step : {-T(1.5), -T(1), -T(0.5), T(0), T(1)})
    values.insert(values.end(), {whole + step, 2 * whole + 2 * step});
  for (T near : {std::nextafter(T(1), T(0)), std::nextafter(T(1), T(2))}) values.push_back(near);
  for (std::size_t i = values.size(); i-- > 0;) values.push_back(-values[i]);
  values.push_back(nan);
  for (T x : values)
    for (T y : values) {
      const T found = apply_binary(Op::pow, x, y);
      Wide wide;
      mpfr_pow(wide.v, Wide(flush_subnormal(x)).v, Wide(flush_subnormal(y)).v, MPFR_RNDN);
      INFO("pow(" << x << ", " << y << ") is " << found << ", expected " << mpfr_get_d(wide.v, MPFR_RNDN));
      CHECK(ulp_error(found, wide.v) <= 1);
      CHECK((std::isnan(found) || std::signbit(found) == (mpfr_signbit(wide.v) != 0)));
    }
}

TEMPLATE_TEST_CASE("the elementary functions at special values", "", float, double) {
  using T = TestType;
  using Limits = std::numeric_limits<T>;
  const FlushSubnormals flush;
  const T inf = Limits::infinity(), nan = Limits::quiet_NaN(), tiny = Limits::min(), largest = Limits::max();
  const T subnormal = std::bit_cast<T>(typename ScalarMachine<T>::I{1});
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
      {Op::expm1, 0, 0},
      {Op::expm1, -T{0}, -T{0}},
      {Op::expm1, subnormal, 0},
      {Op::expm1, -subnormal, -T{0}},
      {Op::expm1, tiny, tiny},
      {Op::expm1, -tiny, -tiny},
      {Op::expm1, inf, inf},
      {Op::expm1, largest, inf},
      {Op::expm1, -inf, -1},
      {Op::expm1, -largest, -1},
      {Op::log1p, 0, 0},
      {Op::log1p, -T{0}, -T{0}},
      {Op::log1p, subnormal, 0},
      {Op::log1p, -subnormal, -T{0}},
      {Op::log1p, tiny, tiny},
      {Op::log1p, -tiny, -tiny},
      {Op::log1p, -1, -inf},
      {Op::log1p, std::nextafter(T{-1}, -inf), nan},
      {Op::log1p, -inf, nan},
      {Op::log1p, inf, inf},
      {Op::sigmoid, 0, T(0.5)},
      {Op::sigmoid, subnormal, T(0.5)},
      {Op::sigmoid, inf, 1},
      {Op::sigmoid, largest, 1},
      {Op::sigmoid, -inf, 0},
      {Op::sigmoid, -largest, 0},
      {Op::softplus, inf, inf},
      {Op::softplus, largest, largest},
      {Op::softplus, -inf, 0},
      {Op::softplus, -largest, 0},
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
      {Op::cos, 0, 1},
      {Op::cos, subnormal, 1},
      {Op::cos, inf, nan},
      {Op::cos, -inf, nan},
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

TEMPLATE_TEST_CASE("sin, atan, tanh and erf are odd and cos is even, to the bit", "", float, double) {
  using T = TestType;
  const FlushSubnormals flush;
  for (T x : samples<T>())
    for (Op op : {Op::sin, Op::atan, Op::tanh, Op::erf, Op::cos}) {
      INFO(name(op) << " of " << x);
      const T y = apply_unary(op, x);
      CHECK(same(apply_unary(op, -x), op == Op::cos ? y : -y));
      CHECK((std::isnan(y) || std::fabs(y) <= (op == Op::atan ? T(0x1.921fb6p+0) : T(1))));
    }
}

TEMPLATE_TEST_CASE("functions that grow do not fall between samples", "", float, double) {
  // Neighbouring floats may swap by an ulp; a fall across a wider step would be a seam between two pieces.
  using T = TestType;
  const FlushSubnormals flush;
  for (Op op : {Op::exp, Op::expm1, Op::log, Op::log1p, Op::atan, Op::tanh, Op::sigmoid, Op::softplus, Op::erf}) {
    const T from = op == Op::log     ? T(0.01)
                   : op == Op::log1p ? T(-0.99)
                                     : T(-20),
            to = op == Op::log ? T(100) : T(20), step = T(1) / 1024;
    for (T x = from; x < to; x += step) {
      if (apply_unary(op, x) <= apply_unary(op, x + step)) continue;
      INFO(name(op) << " falls after " << x);
      CHECK(false);
    }
  }
}

TEST_CASE("sin and cos of the numbers nearest to multiples of pi/2") {
  // 6381956970095103 * 2^797 is the f64 nearest to one, relative to its size; 16367173 * 2^72 the f32.
  const FlushSubnormals flush;
  Wide reference;
  for (const Function& f : kFunctions) {
    if (f.op != Op::sin && f.op != Op::cos) continue;
    const double x = std::ldexp(6381956970095103.0, 797);
    f.wide(reference.v, Wide(x).v, MPFR_RNDN);
    CHECK(ulp_error(apply_unary(f.op, x), reference.v) <= f.ulps_f64);
    const float y = std::ldexp(16367173.0F, 72);
    f.wide(reference.v, Wide(y).v, MPFR_RNDN);
    CHECK(ulp_error(apply_unary(f.op, y), reference.v) <= f.ulps_f32);
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

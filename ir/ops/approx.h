// exp, expm1, log, log1p, atan, tanh, sigmoid, softplus and erf, each written once for every device; sin and cos are in
// ir/ops/approx_trig.h, pow is in ir/ops/approx_pow.h.
//
// A function here is a template over a *machine* M, which supplies IEEE arithmetic: plain floats (ScalarMachine in
// ir/ops/scalar.h, the reference) or an emitter of vector code (codegen/). As the operations and their order are the same
// text, so are the bits. There are no tables, branches or int-float conversions in it: everything vectorises on every
// target.
//
// clang-format off
// The machine concept:
//   static constexpr bool is_f64         f64 if true, else f32
//   F, I, B                              a float, an integer as wide, a truth value (they may be the same C++ type)
//   F f(double c)      I i(int64 c)      constants: c, exact in F or rounded once to it; the low bits of c
//   F add(F, F)  sub  mul  div           correctly rounded; subnormal operands and results flush to zero of their sign
//   F fma(F a, F b, F c)                 a * b + c, rounded once; flushes likewise
//   F abs(F)           F neg(F)          clears, flips the sign bit
//   B lt(F, F)         B le(F, F)        ordered: false when an operand is NaN; subnormals compare as zero
//   F select(B, F, F)                    moves bits
//   I bits(F)          F from_bits(I)    reinterpretation
//   I iadd(I, I) isub  iand  ixor        wrapping integer arithmetic
//   I shl(I, int)      I shr(I, int)     shifts by a constant; shr shifts zeros in
//   B is_zero(I)                         x == 0
//   array<F, 2> rarely(B p, array<F, 2> usual, body)   body() where p, else `usual`; body is run only if p holds for
//                                        some element, on all of them
// clang-format on
//
// Subnormals count as zero of their sign, as inputs and as results. A NaN gives a NaN. The stated errors are the
// bounds that tests/ir/ops/approx.cpp holds them to: for f32 on all 2^32 inputs, for f64 on dense samples; one ulp is the
// distance between the two floats nearest to the true result. scripts/fit_approx.py computed the polynomials.
#pragma once
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace weft::approx {

/// Constants of one precision. Polynomials are lowest degree first.
template <bool is_f64>
struct Constants;

template <>
struct Constants<false> {  // f32
  static constexpr int mantissa_bits = 23;
  static constexpr std::int64_t sign_bit = std::int64_t{1} << 31;
  static constexpr double round_magic = 0x1.8p23;
  static constexpr double log2e = 0x1.715476p+0;
  static constexpr double ln2[] = {0x1.62e43p-1, -0x1.05c61p-29};
  static constexpr double two_over_pi = 0x1.45f306p-1;
  static constexpr double half_pi[] = {0x1.921fb6p+0, -0x1.777a5cp-25, -0x1.ee59dap-50};
  static constexpr double smallest_normal = 0x1p-126;
  static constexpr double exp_lowest = -0x1.5d589ep+6, exp_highest = 0x1.62e42ep+6;
  static constexpr double tanh_is_one = 10, erf_is_one = 4;
  static constexpr double expm1_lowest = -20, expm1_highest = 89;
  static constexpr double exp[] = {0x1p-1, 0x1.55548ap-3, 0x1.5554e4p-5, 0x1.123e38p-7, 0x1.6d5156p-10};
  static constexpr double log[] = {-0x1p-1,       0x1.5555p-2,    -0x1.ffff6ap-3, 0x1.99d268p-3, -0x1.55884ep-3,
                                   0x1.1eb8dep-3, -0x1.f56284p-4, 0x1.1ee68ap-3,  -0x1.03037ap-3};
  static constexpr double sin[] = {-0x1.555544p-3, 0x1.1106dap-7, -0x1.99262ap-13};
  static constexpr double cos[] = {-0x1p-1, 0x1.55554ap-5, -0x1.6c0c24p-10, 0x1.99e5c8p-16};
  static constexpr double atan[] = {-0x1.555548p-2, 0x1.999128p-3, -0x1.23ae5ap-3, 0x1.b194ecp-4, -0x1.f062aep-5};
  static constexpr double erf_small[] = {0x1.06eba8p-3, -0x1.81274p-2,   0x1.ce2d5p-4,  -0x1.b7fe8ep-6,
                                         0x1.542deep-8, -0x1.a5099ep-11, 0x1.4c2f4cp-14};
  static constexpr double erf_large[] = {-0x1.d97fcp+0, -0x1.51c99ep+1,  -0x1.afaec8p-1, -0x1.53a78p-5,
                                         0x1.423cd8p-7, -0x1.d4e9bep-10, 0x1.728538p-13};
};

template <>
struct Constants<true> {  // f64
  static constexpr int mantissa_bits = 52;
  static constexpr std::int64_t sign_bit = INT64_MIN;
  static constexpr double round_magic = 0x1.8p52;
  static constexpr double log2e = 0x1.71547652b82fep+0;
  static constexpr double ln2[] = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
  static constexpr double two_over_pi = 0x1.45f306dc9c883p-1;
  static constexpr double half_pi[] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110};
  static constexpr double smallest_normal = 0x1p-1022;
  static constexpr double exp_lowest = -0x1.6232bdd7abcd2p+9, exp_highest = 0x1.62e42fefa39efp+9;
  static constexpr double tanh_is_one = 20, erf_is_one = 6;
  static constexpr double expm1_lowest = -40, expm1_highest = 710;
  static constexpr double exp[] = {0x1.000000000000cp-1,  0x1.555555555555cp-3,  0x1.555555554fdf9p-5,
                                   0x1.111111110e9e9p-7,  0x1.6c16c1860b85p-10,  0x1.a01a01b44ed79p-13,
                                   0x1.a01995abb34cdp-16, 0x1.71ddee552f203p-19, 0x1.28b106a442964p-22,
                                   0x1.af6eb812d8a52p-26};
  static constexpr double log[] = {-0x1p-1,
                                   0x1.5555555555535p-2,
                                   -0x1.fffffffffffc6p-3,
                                   0x1.99999999a0692p-3,
                                   -0x1.555555555b98ep-3,
                                   0x1.249249209578ep-3,
                                   -0x1.fffffff890b54p-4,
                                   0x1.c71c74170788bp-4,
                                   -0x1.99999bc614b75p-4,
                                   0x1.745cb4d68af68p-4,
                                   -0x1.5554f84295a5fp-4,
                                   0x1.3b1dc83b5b629p-4,
                                   -0x1.249bdd9137a8cp-4,
                                   0x1.1068ce487b04cp-4,
                                   -0x1.febf7f3e5f722p-5,
                                   0x1.efc7525246cb7p-5,
                                   -0x1.d460abb76d63cp-5,
                                   0x1.55fd1dadf933ep-5,
                                   -0x1.4450089a576c3p-5,
                                   0x1.5c311a6bfffa6p-4,
                                   -0x1.4cdd590a9863fp-4};
  static constexpr double sin[] = {-0x1.5555555555555p-3, 0x1.111111111108bp-7,   -0x1.a01a01a006e3bp-13,
                                   0x1.71de3a4039176p-19, -0x1.ae643d83694eap-26, 0x1.6114dbc77d154p-33,
                                   -0x1.a57d7d3eeffe3p-41};
  static constexpr double cos[] = {-0x1p-1,
                                   0x1.555555555554ap-5,
                                   -0x1.6c16c16c14e2cp-10,
                                   0x1.a01a019c62da7p-16,
                                   -0x1.27e4f7d2e990dp-22,
                                   0x1.1ee9c76e712f8p-29,
                                   -0x1.8f9c0fe672385p-37};
  static constexpr double atan[] = {-0x1.5555555555554p-2, 0x1.99999999995bcp-3,  -0x1.2492492471fb3p-3,
                                    0x1.c71c71b5e75aep-4,  -0x1.745d148f016b4p-4, 0x1.3b136ae1cc8b7p-4,
                                    -0x1.110c478ab4619p-4, 0x1.e16f050dbdfeep-5,  -0x1.ab6c0b3eb306fp-5,
                                    0x1.70ac22b3f75eap-5,  -0x1.11ab92fd47ef9p-5, 0x1.efd749fcbb81p-7};
  static constexpr double erf_small[] = {0x1.06eba8214db69p-3,   -0x1.812746b037a02p-2,  0x1.ce2f21a043b39p-4,
                                         -0x1.b82ce312c904p-6,   0x1.565bcd17e78b1p-8,   -0x1.c02db5bf44215p-11,
                                         0x1.f9a35d6154cf9p-14,  -0x1.f4d6e39d4c49fp-17, 0x1.ba29d078221cbp-20,
                                         -0x1.622465af90574p-23, 0x1.11289c19070a9p-26,  -0x1.fbaaf1883688p-30,
                                         0x1.46d476713e659p-32,  -0x1.371953252d2fdp-35};
  static constexpr double erf_large[] = {-0x1.d97fbf27aa2a2p+0,  -0x1.51c9b0006c198p+1,  -0x1.afabc11a31e18p-1,
                                         -0x1.5477f090c09e7p-5,  0x1.48c9d20218713p-7,   -0x1.033f3492558d5p-9,
                                         0x1.f1a6d147fb1d8p-13,  0x1.b9fda00dc477fp-16,  -0x1.c9e2ece23c24bp-16,
                                         0x1.48d90adbed8cdp-17,  -0x1.2f9e3a2b7e552p-19, 0x1.432267cdf9505p-22,
                                         0x1.ae1f5b6ced8cfp-28,  -0x1.cb2e09a2ad3c3p-27, 0x1.ab06bb444b8a7p-29,
                                         -0x1.83203ab893735p-32, 0x1.28b407d23b1efp-36};
};

/// c[0] + c[1] x + c[2] x^2 + … by Horner's rule: one fma a degree.
template <class M, std::size_t N>
typename M::F polynomial(M& m, typename M::F x, const double (&c)[N]) {
  auto y = m.f(c[N - 1]);
  for (std::size_t k = N - 1; k-- > 0;) y = m.fma(y, x, m.f(c[k]));
  return y;
}

/// x, negated where the sign bit of `sign` is set (all its other bits are 0).
template <class M>
typename M::F flip_sign(M& m, typename M::F x, typename M::I sign) {
  return m.from_bits(m.ixor(m.bits(x), sign));
}

template <class M>
typename M::I sign_of(M& m, typename M::I x) {
  return m.iand(x, m.i(Constants<M::is_f64>::sign_bit));
}

/// Bit `k` of x at the place of the sign bit.
template <class M>
typename M::I bit_as_sign(M& m, typename M::I x, int k) {
  return sign_of(m, m.shl(x, (M::is_f64 ? 63 : 31) - k));
}

/// |x| with the sign of `sign`.
template <class M>
typename M::F copy_sign(M& m, typename M::F x, typename M::F sign) {
  return flip_sign(m, m.abs(x), sign_of(m, m.bits(sign)));
}

/// x = n ln2 + r with |r| <= ln2 / 2: e^x = 2^n e^r.
template <class M>
struct ExpReduction {
  typename M::F r, n;
  typename M::I exponent;  // n, at the place of a float's exponent: adding it to a float's bits multiplies by 2^n
};

/// Adding round_magic = 1.5 * 2^mantissa_bits to a number rounds to an integer, which then is in the low bits of the
/// sum.
template <class M>
ExpReduction<M> reduce_exp(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  auto shifted = m.fma(x, m.f(C::log2e), m.f(C::round_magic));
  auto n = m.sub(shifted, m.f(C::round_magic));
  auto r = m.fma(n, m.f(-C::ln2[0]), x);  // exact
  return {m.fma(n, m.f(-C::ln2[1]), r), n, m.shl(m.bits(shifted), C::mantissa_bits)};
}

/// e^r for |r| <= ln2 / 2.
template <class M>
typename M::F exp_of_rest(M& m, typename M::F r) {
  auto q = polynomial(m, r, Constants<M::is_f64>::exp);
  return m.fma(m.fma(q, r, m.f(1)), r, m.f(1));  // 1 + r + q r^2
}

/// e^x where it is a normal number; meaningless elsewhere.
template <class M>
typename M::F exp_in_range(M& m, typename M::F x) {
  auto [r, n, exponent] = reduce_exp(m, x);
  return m.from_bits(m.iadd(m.bits(exp_of_rest(m, r)), exponent));
}

/// e^x. 0 below ln(smallest normal), inf above ln(largest). Error <= 0.92 ulp (f32), 1 ulp (f64).
template <class M>
typename M::F exp(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  auto y = m.select(m.le(m.f(C::exp_lowest), x), exp_in_range(m, x), m.f(0));
  return m.select(m.le(x, m.f(C::exp_highest)), y, m.add(x, m.f(HUGE_VAL)));  // NaN + inf = NaN
}

/// e^x - 1, of the sign of x. Error <= 1.5 ulp (f32), 1.8 ulp (f64).
template <class M>
typename M::F expm1(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  auto t = m.select(m.lt(x, m.f(C::expm1_lowest)), m.f(C::expm1_lowest), x);
  t = m.select(m.lt(m.f(C::expm1_highest), t), m.f(C::expm1_highest), t);
  auto [r, n, exponent] = reduce_exp(m, t);
  auto expm1_r = m.fma(m.mul(r, r), polynomial(m, r, C::exp), r);
  auto half = m.from_bits(m.iadd(m.bits(m.f(0.5)), exponent));    // 2^(n - 1): 2^n may overflow
  auto y = m.fma(half, expm1_r, m.sub(half, m.f(0.5)));           // (2^n e^r - 1) / 2
  y = m.select(m.lt(m.abs(x), m.f(0.25)), expm1_r, m.add(y, y));  // n = 0, and half a result may be subnormal
  return copy_sign(m, y, x);
}

/// x = 2^n (1 + f) with least <= 1 + f < 2 least.
template <class M>
struct LogReduction {
  typename M::F n, f;
  typename M::I exponent;  // n + exponent_bias, at the place of a float's exponent; below it, other bits
};

template <bool is_f64>
inline constexpr std::int64_t exponent_bias = is_f64 ? 1024 : 128;
template <bool is_f64>
inline constexpr std::int64_t two_thirds = is_f64 ? 0x3fe5555555555555 : 0x3f2aaaaa;  // the bits of 2/3

/// For normal x > 0. `least` is given by its bits.
template <class M>
LogReduction<M> reduce_log(M& m, typename M::F x, std::int64_t least) {
  using C = Constants<M::is_f64>;
  // Taking the bits of `least` from those of x leaves n in the place of the exponent (plus a bias, which keeps it
  // positive) and, below it, the mantissa of 1 + f counted from that of `least`.
  constexpr std::int64_t bias = exponent_bias<M::is_f64>;
  auto biased = m.isub(m.bits(x), m.i(least - (bias << C::mantissa_bits)));
  auto mantissa = m.iand(biased, m.i((std::int64_t{1} << C::mantissa_bits) - 1));
  auto f = m.sub(m.from_bits(m.iadd(mantissa, m.i(least))), m.f(1));
  auto magic = m.bits(m.f(C::round_magic));  // with an integer in its low bits: round_magic plus that integer
  auto n = m.sub(m.from_bits(m.iadd(m.shr(biased, C::mantissa_bits), magic)), m.f(C::round_magic + bias));
  return {n, f, biased};
}

/// ln(1 + f) for -1/3 <= f <= 1/3.
template <class M>
typename M::F log_of_rest(M& m, typename M::F f) {
  return m.fma(m.mul(f, f), polynomial(m, f, Constants<M::is_f64>::log), f);  // f + q f^2
}

/// ln x. -inf for 0, NaN below. Error <= 0.94 ulp (f32), 1.3 ulp (f64).
template <class M>
typename M::F log(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  auto [n, f, exponent] = reduce_log(m, x, two_thirds<M::is_f64>);
  auto y = m.fma(n, m.f(C::ln2[0]), log_of_rest(m, f));
  auto zero_or_less = m.select(m.lt(x, m.f(0)), m.f(NAN), m.f(-HUGE_VAL));
  y = m.select(m.lt(x, m.f(C::smallest_normal)), zero_or_less, y);
  return m.select(m.lt(x, m.f(HUGE_VAL)), y, m.mul(x, x));  // inf and NaN
}

/// ln(1 + x), of the sign of x. -inf for -1, NaN below. Error <= 1.6 ulp (f32), 1.8 ulp (f64).
template <class M>
typename M::F log1p(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  // u + c = 1 + x exactly; u = 2^n (1 + f) as in log, so that ln(1 + x) = n ln2 + ln(1 + (f + c / 2^n)).
  auto u = m.add(x, m.f(1));
  auto rest = m.sub(u, m.f(1));
  auto c = m.add(m.sub(m.f(1), m.sub(u, rest)), m.sub(x, rest));
  auto [n, f, exponent] = reduce_log(m, u, two_thirds<M::is_f64>);
  constexpr std::int64_t one = (M::is_f64 ? 1023 : 127) + exponent_bias<M::is_f64>;
  auto scale =
      m.from_bits(m.isub(m.i(one << C::mantissa_bits), m.iand(exponent, m.i(-(std::int64_t{1} << C::mantissa_bits)))));
  f = m.add(f, m.select(m.lt(x, m.f(C::round_magic)), m.mul(c, scale), m.f(0)));
  auto y = copy_sign(m, m.fma(n, m.f(C::ln2[0]), log_of_rest(m, f)), x);
  y = m.select(m.le(x, m.f(-1)), m.select(m.lt(x, m.f(-1)), m.f(NAN), m.f(-HUGE_VAL)), y);
  return m.select(m.lt(x, m.f(HUGE_VAL)), y, m.mul(x, x));  // inf and NaN
}

/// tanh x, odd, |tanh x| <= 1. Error <= 1.82 ulp (f32), 2.1 ulp (f64).
template <class M>
typename M::F tanh(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  auto ax = m.abs(x);
  ax = m.select(m.lt(m.f(C::tanh_is_one), ax), m.f(C::tanh_is_one), ax);
  auto [r, n, exponent] = reduce_exp(m, m.add(ax, ax));
  auto expm1_r = m.fma(m.mul(r, r), polynomial(m, r, C::exp), r);
  auto half = m.from_bits(m.iadd(m.bits(m.f(0.5)), exponent));
  auto h = m.fma(half, expm1_r, m.sub(half, m.f(0.5)));  // (e^(2|x|) - 1) / 2, so that tanh |x| = h / (1 + h)
  // = s - s^2 / (1 + h) for s = h and for s = 1: with the lesser, the quotient's rounding errors count for less.
  auto s = m.select(m.le(m.f(1), h), m.f(1), h);
  auto y = m.fma(m.neg(s), m.div(s, m.add(m.f(1), h)), s);
  return flip_sign(m, y, sign_of(m, m.bits(x)));
}

/// e^-|x|; 0 where that is subnormal.
template <class M>
typename M::F exp_of_minus_magnitude(M& m, typename M::F x) {
  auto t = m.neg(m.abs(x));
  auto [r, n, exponent] = reduce_exp(m, t);
  auto scale = m.from_bits(m.iadd(m.bits(m.f(1)), exponent));
  auto e = m.mul(scale, exp_of_rest(m, r));  // a product keeps a NaN
  return m.select(m.lt(t, m.f(Constants<M::is_f64>::exp_lowest)), m.f(0), e);
}

/// The logistic function 1 / (1 + e^-x). Error <= 2.4 ulp (f32), 2.4 ulp (f64).
template <class M>
typename M::F sigmoid(M& m, typename M::F x) {
  auto e = exp_of_minus_magnitude(m, x);
  return m.div(m.select(m.lt(x, m.f(0)), e, m.f(1)), m.add(m.f(1), e));
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). Error <= 2 ulp (f32), 2.2 ulp (f64).
template <class M>
typename M::F softplus(M& m, typename M::F x) {
  auto e = exp_of_minus_magnitude(m, x);
  auto large = m.lt(m.f(1.0 / 3), e);  // ln(1 + e) = ln2 + ln(1 + (e - 1) / 2)
  auto y = log_of_rest(m, m.select(large, m.mul(m.sub(e, m.f(1)), m.f(0.5)), e));
  y = m.add(y, m.select(large, m.f(Constants<M::is_f64>::ln2[0]), m.f(0)));
  return m.add(m.select(m.lt(m.f(0), x), x, m.f(0)), y);
}

/// arctan x, odd, |arctan x| <= pi/2. Error <= 2.2 ulp.
/// arctan a = arctan b + arctan r with r = (a - b) / (1 + a b), for a = |x| and the nearest of b = 0, 1 and infinity, so
/// that |r| <= tan(pi/8).
template <class M>
typename M::F atan(M& m, typename M::F x) {
  using F = typename M::F;
  using C = Constants<M::is_f64>;
  const F a = m.abs(x), one = m.f(1), zero = m.f(0);
  const auto at_0 = m.lt(a, m.f(0.4142135623730950)), at_1 = m.lt(a, m.f(2.414213562373095));
  const auto choose = [&](F of_0, F of_1, F of_infinity) { return m.select(at_0, of_0, m.select(at_1, of_1, of_infinity)); };
  const F r = m.div(choose(a, m.sub(a, one), m.f(-1)), choose(one, m.add(a, one), a));
  const F high = choose(zero, m.f(C::half_pi[0] / 2), m.f(C::half_pi[0]));
  const F low = choose(zero, m.f(C::half_pi[1] / 2), m.f(C::half_pi[1]));
  const F z = m.mul(r, r);
  const F y = m.add(high, m.add(r, m.fma(m.mul(r, z), polynomial(m, z, C::atan), low)));
  return m.from_bits(m.ixor(m.bits(y), m.iand(m.bits(x), m.i(C::sign_bit))));
}

/// erf x, odd, |erf x| <= 1. Error <= 1 ulp (f32), 1.3 ulp (f64).
template <class M>
typename M::F erf(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  auto ax = m.abs(x);
  auto small = m.fma(ax, polynomial(m, m.mul(ax, ax), C::erf_small), ax);
  auto t = m.select(m.lt(ax, m.f(C::erf_is_one)), ax, m.f(C::erf_is_one));
  auto large = m.sub(m.f(1), exp_in_range(m, polynomial(m, m.sub(t, m.f(1)), C::erf_large)));  // 1 - e^ln(erfc(t))
  return flip_sign(m, m.select(m.le(m.f(1), ax), large, small), sign_of(m, m.bits(x)));
}

}  // namespace weft::approx

// pow, written once for every device on the machine of ir/ops/approx.h: x^y = 2^(y log2 x), with log2 x as a sum of two
// floats so that the exponent, which may be some hundreds or thousands, keeps enough digits behind its point.
#pragma once
#include <weft/ir/ops/approx.h>
#include <weft/ir/ops/approx_pair.h>

namespace weft::approx {

template <bool is_f64>
struct PowConstants;

template <>
struct PowConstants<false> {  // f32
  static constexpr std::int64_t half_sqrt2 = 0x3f3504f3;
  static constexpr double two_over_ln2[] = {0x1.715476p+1, 0x1.4ae0cp-25};
  static constexpr double ln2[] = {0x1.62e43p-1, -0x1.05c61p-29};
  static constexpr double atanh_first[][2] = {{0x1.555556p-2, -0x1.555556p-27}};  // 1/3
  static constexpr double atanh[] = {0x1.999998p-3, 0x1.2493acp-3, 0x1.c644ap-4, 0x1.8feeb6p-4};
  static constexpr double exp2[] = {0x1.ebfbep-3,   0x1.c6b08ep-5,  0x1.3b2a48p-7,
                                    0x1.5d86f8p-10, 0x1.4424b4p-13, 0x1.0112ccp-16};
  static constexpr double largest_y = 0x1p32, largest_exponent = 128.25, all_whole = 0x1p23;
};

template <>
struct PowConstants<true> {  // f64
  static constexpr std::int64_t half_sqrt2 = 0x3fe6a09e667f3bcd;
  static constexpr double two_over_ln2[] = {0x1.71547652b82fep+1, 0x1.777d0ffda0d24p-55};
  static constexpr double ln2[] = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
  static constexpr double atanh_first[][2] = {{0x1.5555555555555p-2, 0x1.5555555555555p-56},    // 1/3
                                              {0x1.999999999999ap-3, -0x1.999999999999ap-57}};  // 1/5
  static constexpr double atanh[] = {0x1.2492492492488p-3, 0x1.c71c71c71f5ccp-4, 0x1.745d174320b95p-4,
                                     0x1.3b13b2907279fp-4, 0x1.1110aca6ef37ep-4, 0x1.e20603a84b3f5p-5,
                                     0x1.ab4323e41f1c2p-5, 0x1.c0d02ab309128p-5};
  static constexpr double exp2[] = {0x1.ebfbdff82c58fp-3,  0x1.c6b08d704a0c8p-5,  0x1.3b2ab6fba4d8p-7,
                                    0x1.5d87fe78a3698p-10, 0x1.430912f8a939p-13,  0x1.ffcbfc70ecca7p-17,
                                    0x1.62c0216375ce2p-20, 0x1.b524e460086bfp-24, 0x1.e4d200f88cd71p-28,
                                    0x1.e9f7dc3d862a1p-32, 0x1.c0e3d832240c7p-36};
  static constexpr double largest_y = 0x1p64, largest_exponent = 1024.25, all_whole = 0x1p52;
};

/// log2 x for normal x > 0; exactly 0 for 1.
template <class M>
Pair<M> log2_pair(M& m, typename M::F x) {
  using P = PowConstants<M::is_f64>;
  auto [n, f, exponent] = reduce_log(m, x, P::half_sqrt2);
  // ln(1 + f) = 2 atanh s = 2 s (1 + z/3 + z^2/5 + …), s = f / (2 + f), z = s^2 <= 0.0295.
  auto d = two_sum(m, m.f(2), f);
  auto inverse = m.div(m.f(1), d.high);
  auto s_high = m.mul(f, inverse);
  auto remainder = m.fma(m.neg(s_high), d.low, m.fma(m.neg(s_high), d.high, f));
  Pair<M> s{s_high, m.mul(remainder, inverse)};
  auto z = product(m, s, s);
  constexpr std::size_t kFirst = std::size(P::atanh_first);
  Pair<M> p{m.mul(z.high, polynomial(m, z.high, P::atanh)), m.f(0)};
  for (std::size_t k = kFirst; k-- > 0;) p = product(m, z, sum(m, pair(m, P::atanh_first[k]), p));
  auto t = product(m, pair(m, P::two_over_ln2), s);
  auto y = sum(m, t, product(m, t, p));
  return sum(m, {n, m.f(0)}, y);
}

/// 2^(e.high + e.low): 0 where that is subnormal, inf where it is too large, also where e.high is infinite.
template <class M>
typename M::F exp2_of_pair(M& m, Pair<M> e) {
  using C = Constants<M::is_f64>;
  using P = PowConstants<M::is_f64>;
  const auto limit = m.f(P::largest_exponent);
  auto low = m.select(m.le(m.abs(e.high), limit), e.low, m.f(0));
  auto high = m.select(m.lt(e.high, m.neg(limit)), m.neg(limit), e.high);
  high = m.select(m.lt(limit, high), limit, high);
  auto shifted = m.add(high, m.f(C::round_magic));
  auto [r, r_low] = two_sum(m, m.sub(high, m.sub(shifted, m.f(C::round_magic))), low);
  auto u = product(m, {r, r_low}, pair(m, P::ln2));  // 2^r = 1 + u + q r^2
  auto [one, rest] = two_sum(m, m.f(1), u.high);
  auto y = m.add(one, m.add(rest, m.fma(m.mul(r, r), polynomial(m, r, P::exp2), u.low)));
  // 2^n in two steps, neither of which leaves the normal numbers unless the result does.
  auto positive = m.lt(m.f(0), high);
  auto first = m.bits(m.select(positive, m.f(0.5), m.f(2)));
  auto scale = m.from_bits(m.iadd(first, m.shl(m.bits(shifted), C::mantissa_bits)));
  return m.mul(m.mul(y, scale), m.select(positive, m.f(2), m.f(0.5)));
}

/// x^y with the special cases of C99 and IEEE 754: 1 for y = 0 and for x = 1, whatever the other is; NaN for a finite
/// x < 0 unless y is whole, and then of the sign of (-1)^y; a zero or infinite x keeps its sign for odd y.
/// Error <= 0.7 ulp (f32), 0.7 ulp (f64).
template <class M>
typename M::F pow(M& m, typename M::F x, typename M::F y) {
  using C = Constants<M::is_f64>;
  using P = PowConstants<M::is_f64>;
  const auto zero = m.f(0), one = m.f(1), inf = m.f(HUGE_VAL), all_whole = m.f(P::all_whole);
  auto ax = m.abs(x), ay = m.abs(y);

  auto log = log2_pair(m, ax);
  log.high = m.select(m.lt(ax, m.f(C::smallest_normal)), m.f(-HUGE_VAL), log.high);
  log.high = m.select(m.lt(ax, inf), log.high, ax);  // inf and NaN
  // Beyond largest_y every power of a number other than 1 is 0 or inf; there products must not overflow.
  auto t = m.select(m.lt(m.f(P::largest_y), ay), copy_sign(m, m.f(P::largest_y), y), y);
  auto high = m.mul(t, log.high);
  auto z = exp2_of_pair(m, {high, m.fma(t, log.low, m.fma(t, log.high, m.neg(high)))});

  // Whether y is whole and odd: from all_whole on all floats are whole, and from twice that even.
  auto least = m.select(m.lt(ay, m.f(2 * P::all_whole)), ay, m.f(2 * P::all_whole));
  auto unit = m.select(m.lt(least, all_whole), all_whole, zero);
  auto shifted = m.add(least, unit);
  auto whole = m.is_zero(m.isub(m.bits(m.sub(shifted, unit)), m.bits(least)));
  auto odd = m.select(whole, m.from_bits(bit_as_sign(m, m.bits(shifted), 0)), zero);
  z = flip_sign(m, z, m.iand(m.bits(odd), m.bits(x)));
  auto no_power = m.select(m.lt(x, zero), m.f(NAN), z);
  no_power = m.select(m.lt(m.f(-HUGE_VAL), x), no_power, z);
  z = m.select(whole, z, no_power);
  z = m.select(m.lt(ay, m.f(C::smallest_normal)), one, z);
  return m.select(m.is_zero(m.isub(m.bits(x), m.bits(one))), one, z);
}

}  // namespace weft::approx

// sin and cos, written once for every device on the machine of ir/ops/approx.h: of small arguments by Cody and Waite's
// reduction, of large ones by Payne and Hanek's.
#pragma once
#include <algorithm>
#include <type_traits>

#include <weft/ir/ops/approx.h>
#include <weft/ir/ops/approx_pair.h>

namespace weft::approx {

/// Row g of `windows` is 2/pi * 2^(bits_per_window g - shift) modulo 4 as a sum of four floats, the first of which is a
/// multiple of 2^(1 - mantissa_bits): the digits of 2/pi that matter to numbers from 2^(g bits_per_window) times
/// trig_limit on. Times a whole number, what is missing is a multiple of 4. scripts/fit_approx.py computed them.
template <bool is_f64>
struct TrigConstants;

template <>
struct TrigConstants<false> {  // f32
  static constexpr int bits_per_window = 14, limit_exponent = 17;
  static constexpr double windows[][4] = {{0x1.45f4p-7, -0x1.f246c6p-24, -0x1.df56bp-49, -0x1.ec5418p-77},
                                          {-0x1.067c9p+0, -0x1.b1bbeap-24, -0x1.ac07b2p-49, 0x1.5f47d4p-74},
                                          {0x1.b7272p-1, 0x1.054a8p-24, -0x1.ec5418p-49, 0x1.f534dep-74},
                                          {0x1.c882a8p-1, -0x1.603d8ap-24, -0x1.05c15ap-49, 0x1.377036p-74},
                                          {0x1.529fcp-2, 0x1.3abe9p-25, -0x1.596448p-51, 0x1.b6c52cp-79},
                                          {0x1.fc2758p+0, -0x1.70565ap-27, 0x1.dc0db6p-52, 0x1.4acc9ep-79},
                                          {0x1.d5f47cp+0, 0x1.4d377p-24, 0x1.b6c52cp-51, -0x1.9b0ef2p-76},
                                          {0x1.1f534cp+0, 0x1.dc0db6p-24, 0x1.4acc9ep-51, 0x1.0e4108p-78}};
};

template <>
struct TrigConstants<true> {  // f64
  static constexpr int bits_per_window = 42, limit_exponent = 30;
  static constexpr double windows[][4] = {
      {0x1.45f306ep-23, -0x1.b1bbead603d8bp-54, 0x1.f47d4d377036ep-108, -0x1.d6a66c3bc6fbep-162},
      {0x1.b727220a94fep-3, 0x1.3abe8fa9a6eep-55, 0x1.b6c52b3278872p-109, 0x1.07f9458eaf7afp-166},
      {-0x1.80f62a0b82b2cp+0, -0x1.11f924eb53362p-53, 0x1.0e4107f9458ebp-108, -0x1.0a21d4f246dc9p-165},
      {0x1.34ddc0db6295ap+0, -0x1.b0ef1bef806bap-54, -0x1.c5421443a9e49p-108, 0x1.2371d2126e97p-163},
      {-0x1.a99b0ef1bef8p+0, -0x1.ae9c5421443aap-54, 0x1.b7246e3a424ddp-110, 0x1.700324977504fp-165},
      {0x1.fe5163abdebcp-4, -0x1.d4f246dc8e2dfp-55, 0x1.374b801924bbbp-110, -0x1.f62e6de301e21p-164},
      {-0x1.443a9e48db92p-2, 0x1.d2126e9700325p-53, -0x1.a22bec5cdbc6p-107, -0x1.e214e34ed658cp-162},
      {0x1.b8e909374b8p-2, 0x1.924bba8274648p-54, 0x1.cfe1deb1cb12ap-108, -0x1.63045df7282b4p-162},
      {-0x1.ff9b6d115f63p-2, 0x1.921cfe1deb1cbp-54, 0x1.29a73ee88235fp-110, 0x1.4baed1213a672p-164},
      {0x1.3a32439fc3bd8p-1, -0x1.c69dacb1822fp-53, 0x1.1afa975da2427p-107, 0x1.338e04d68befdp-161},
      {-0x1.0a71a76b2c608p-1, -0x1.77dca0ad144bbp-54, -0x1.ec598e3f652e8p-108, -0x1.037d8cdc538dp-163},
      {-0x1.822efb9415a28p-1, -0x1.2edec598e3f65p-54, -0x1.741037d8cdc54p-109, 0x1.cc1a99cfa4e42p-163},
      {0x1.75da24274ce38p-1, 0x1.35a2fbf209cc9p-57, -0x1.4e33e566305b2p-113, 0x1.08bf177bf2507p-167},
      {0x1.c7026b45f7e42p+0, -0x1.8cdc538cf9599p-53, 0x1.f49c845f8bbep-108, -0x1.b5f13801da001p-162},
      {-0x1.bec66e29c67c8p-2, -0x1.66305b1bdd03ap-53, -0x1.081b5f13801dap-108, -0x1.0fd33f8086877p-173},
      {0x1.835339f49c846p+0, -0x1.d1081b5f13802p-58, 0x1.2fffbc0b301fep-113, -0x1.a1dce94beb25cp-169},
      {-0x1.ee81d1081b5f2p+0, 0x1.8ffc4bffef02dp-53, -0x1.fc04343b9d298p-108, 0x1.4da3eda6cfd9ep-163},
      {-0x1.7c4e007680022p+0, 0x1.6603fbcbc462dp-58, 0x1.a0a6d1f6d367fp-112, -0x1.86c1a7b24585dp-167},
      {-0x1.0fd33f808688p-5, 0x1.18b5a0a6d1f6dp-54, 0x1.b3f6793e584dcp-109, -0x1.61738132c3403p-163},
      {-0x1.a1dce94beb25cp-1, -0x1.25930261b069fp-57, 0x1.b74f463f669e6p-112, -0x1.5d28ad8453814p-172},
      {0x1.b47db4d9fb3cap+0, -0x1.a7b24585ce04dp-57, 0x1.3cbfd45aea4f7p-111, 0x1.63f5f2f8bd9e8p-165},
      {0x1.e4f96136e9e8cp-1, 0x1.fb34f2ff516bbp-55, -0x1.b08a7028341d1p-109, 0x1.9e839cfbc5295p-163},
      {-0x1.738132c3402cp-3, 0x1.6ba93dd63f5f3p-53, -0x1.d0985f18c10ebp-111, -0x1.6b68aca025027p-165},
      {-0x1.5d28ad845382p-4, 0x1.7cbe2f67a0e74p-53, -0x1.0eb5ada2b2809p-109, -0x1.0277039517bd5p-163}};
};

/// Up to here in magnitude the quick reduction serves; T is float or double.
template <class T>
inline constexpr T trig_limit = static_cast<T>(std::int64_t{1} << TrigConstants<sizeof(T) == 8>::limit_exponent);

/// x less the nearest multiple of 4, for |x| <= 2^bound: exactly, from multiples of a larger power of two down.
template <class M>
typename M::F modulo_4(M& m, typename M::F x, int bound) {
  constexpr int bits = Constants<M::is_f64>::mantissa_bits;
  while (bound > 1) {
    const int grid = std::max(2, bound - bits + 1);
    const auto magic = m.f(std::ldexp(1.5, grid + bits));  // whose last place is 2^grid
    x = m.sub(x, m.sub(m.add(x, magic), magic));
    bound = grid - 1;
  }
  return x;
}

/// |x| = n pi/2 + r with |r| <= pi/4, or a little more: r, and `shifted` with n modulo 4 in its low bits.
template <class M>
std::array<typename M::F, 2> reduce_large_trig(M& m, typename M::F ax) {
  using C = Constants<M::is_f64>;
  using T = TrigConstants<M::is_f64>;
  constexpr int bits = C::mantissa_bits, whole = bits - T::limit_exponent, w = T::bits_per_window;
  typename M::F c[5];  // the window's four parts, and what makes a whole number of ax, 2^bits to 2^(bits + w)
  for (int part = 0; part < 4; ++part) c[part] = m.f(T::windows[0][part]);
  c[4] = m.f(std::ldexp(1, whole));
  for (int g = 1; g < static_cast<int>(std::size(T::windows)); ++g) {
    auto here = m.le(m.f(std::ldexp(1, T::limit_exponent + g * w)), ax);
    for (int part = 0; part < 4; ++part) c[part] = m.select(here, m.f(T::windows[g][part]), c[part]);
    c[4] = m.select(here, m.f(std::ldexp(1, whole - g * w)), c[4]);
  }
  const auto x = m.mul(ax, c[4]);
  // x times each part, as pairs. The first is exact, and stays so modulo 4; of the second, so does the high half.
  const auto p0 = product_of(m, x, c[0]), p1 = product_of(m, x, c[1]), p2 = product_of(m, x, c[2]);
  auto t = m.add(modulo_4(m, p0.high, bits + 1 + w + 1), modulo_4(m, p0.low, w + 1));
  auto turn = exact_sum(m, modulo_4(m, t, 3), modulo_4(m, p1.high, w));
  const auto shifted = m.add(turn.high, m.f(C::round_magic));
  turn = exact_sum(m, m.sub(turn.high, m.sub(shifted, m.f(C::round_magic))), turn.low);
  for (auto part : {p1.low, p2.high, p2.low, m.mul(x, c[3])}) {
    auto [high, low] = exact_sum(m, turn.high, part);
    turn = two_sum(m, high, m.add(turn.low, low));
  }
  const auto r = product(m, turn, Pair<M>{m.f(C::half_pi[0]), m.f(C::half_pi[1])});
  return {m.add(r.high, r.low), shifted};
}

/// |x| = n pi/2 + r with |r| <= pi/4: sin r, cos r, and n in the low bits of `quadrant`.
template <class M>
struct TrigReduction {
  typename M::F sin, cos;
  typename M::I quadrant;
};

template <class M>
TrigReduction<M> reduce_trig(M& m, typename M::F x) {
  using C = Constants<M::is_f64>;
  const auto ax = m.abs(x);
  auto shifted = m.fma(ax, m.f(C::two_over_pi), m.f(C::round_magic));
  auto n = m.sub(shifted, m.f(C::round_magic));
  auto r = m.fma(n, m.f(-C::half_pi[0]), ax);  // exact up to 2^limit_exponent
  r = m.fma(n, m.f(-C::half_pi[1]), r);
  r = m.fma(n, m.f(-C::half_pi[2]), r);
  const auto large = m.lt(m.f(trig_limit<std::conditional_t<M::is_f64, double, float>>), ax);
  const auto reduced = m.rarely(large, {r, shifted}, [&] { return reduce_large_trig(m, ax); });
  r = reduced[0];
  auto z = m.mul(r, r);
  return {m.fma(m.mul(r, z), polynomial(m, z, C::sin), r), m.fma(z, polynomial(m, z, C::cos), m.f(1)),
          m.bits(reduced[1])};
}

/// sin x, odd. Error <= 1.55 ulp (f32), 1.6 ulp (f64). NaN for inf.
template <class M>
typename M::F sin(M& m, typename M::F x) {
  auto [sin_r, cos_r, quadrant] = reduce_trig(m, x);
  auto y = m.select(m.is_zero(m.iand(quadrant, m.i(1))), sin_r, cos_r);
  return flip_sign(m, y, m.ixor(sign_of(m, m.bits(x)), bit_as_sign(m, quadrant, 1)));
}

/// cos x, even. Error as for sin. NaN for inf.
template <class M>
typename M::F cos(M& m, typename M::F x) {
  auto [sin_r, cos_r, quadrant] = reduce_trig(m, x);
  auto y = m.select(m.is_zero(m.iand(quadrant, m.i(1))), cos_r, sin_r);
  return flip_sign(m, y, bit_as_sign(m, m.iadd(quadrant, m.i(1)), 1));
}

}  // namespace weft::approx

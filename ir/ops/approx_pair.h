// Arithmetic on sums of two floats, which carry about twice as many digits, on the machine of ir/ops/approx.h.
#pragma once

namespace weft::approx {

/// high + low, |low| at most about an ulp of high.
template <class M>
struct Pair {
  typename M::F high, low;
};

/// a + b exactly, where |a| >= |b| or a = 0.
template <class M>
Pair<M> two_sum(M& m, typename M::F a, typename M::F b) {
  auto high = m.add(a, b);
  return {high, m.sub(b, m.sub(high, a))};
}

/// a + b exactly.
template <class M>
Pair<M> exact_sum(M& m, typename M::F a, typename M::F b) {
  auto high = m.add(a, b);
  auto of_b = m.sub(high, a);
  return {high, m.add(m.sub(a, m.sub(high, of_b)), m.sub(b, of_b))};
}

/// a * b exactly, unless the low half is subnormal.
template <class M>
Pair<M> product_of(M& m, typename M::F a, typename M::F b) {
  auto high = m.mul(a, b);
  return {high, m.fma(a, b, m.neg(high))};
}

template <class M>
Pair<M> product(M& m, Pair<M> x, Pair<M> y) {
  auto [high, low] = product_of(m, x.high, y.high);
  return {high, m.fma(x.high, y.low, m.fma(x.low, y.high, low))};
}

/// x + y, where |x| >= |y| or x = 0.
template <class M>
Pair<M> sum(M& m, Pair<M> x, Pair<M> y) {
  auto [high, low] = two_sum(m, x.high, y.high);
  return {high, m.add(low, m.add(x.low, y.low))};
}

template <class M>
Pair<M> pair(M& m, const double (&c)[2]) {
  return {m.f(c[0]), m.f(c[1])};
}

}  // namespace weft::approx

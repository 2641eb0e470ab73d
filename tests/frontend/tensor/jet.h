// Multi-precision references: Real, a number of MPFR's with value semantics, and Jet, a Real with its first and second
// derivative along one operand. A reference is written once, over Jets, in the plainest closed form that does not
// cancel.
#pragma once
#include <mpfr.h>

#include <utility>

namespace weft::test {

/// 320 bits: six times what f64 has, so that a subtraction in a reference may lose the digits of five.
class Real {
 public:
  Real(double x = 0) {
    mpfr_init2(v_, 320);
    mpfr_set_d(v_, x, MPFR_RNDN);
  }
  Real(const Real& o) : Real() { mpfr_set(v_, o.v_, MPFR_RNDN); }
  Real(Real&& o) noexcept : Real() { mpfr_swap(v_, o.v_); }
  Real& operator=(Real o) {
    mpfr_swap(v_, o.v_);
    return *this;
  }
  ~Real() { mpfr_clear(v_); }
  double to_double() const { return mpfr_get_d(v_, MPFR_RNDN); }
  bool is_nan() const { return mpfr_nan_p(v_) != 0; }
  bool is_zero() const { return mpfr_zero_p(v_) != 0; }
  /// e where 2^e <= |x| < 2^(e + 1).
  long exponent() const { return mpfr_get_exp(v_) - 1; }

  using Unary = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
  using Binary = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_srcptr, mpfr_rnd_t);
  Real apply(Unary f) const {
    Real y;
    f(y.v_, v_, MPFR_RNDN);
    return y;
  }
  Real apply(Binary f, const Real& b) const {
    Real y;
    f(y.v_, v_, b.v_, MPFR_RNDN);
    return y;
  }
  friend Real operator+(const Real& a, const Real& b) { return a.apply(mpfr_add, b); }
  friend Real operator-(const Real& a, const Real& b) { return a.apply(mpfr_sub, b); }
  friend Real operator*(const Real& a, const Real& b) { return a.apply(mpfr_mul, b); }
  friend Real operator/(const Real& a, const Real& b) { return a.apply(mpfr_div, b); }
  friend Real operator-(const Real& a) {
    return a.apply([](auto y, auto x, auto r) { return mpfr_neg(y, x, r); });
  }
  friend bool operator<(const Real& a, const Real& b) { return mpfr_less_p(a.v_, b.v_) != 0; }
  friend bool operator==(const Real& a, const Real& b) { return mpfr_equal_p(a.v_, b.v_) != 0; }

 private:
  mpfr_t v_;
};

inline Real abs(const Real& x) { return x < 0 ? -x : x; }
inline Real exp(const Real& x) { return x.apply(mpfr_exp); }
inline Real expm1(const Real& x) { return x.apply(mpfr_expm1); }
inline Real log(const Real& x) { return x.apply(mpfr_log); }
inline Real log1p(const Real& x) { return x.apply(mpfr_log1p); }
inline Real sqrt(const Real& x) { return x.apply(mpfr_sqrt); }
inline Real sin(const Real& x) { return x.apply(mpfr_sin); }
inline Real cos(const Real& x) { return x.apply(mpfr_cos); }
inline Real tanh(const Real& x) { return x.apply(mpfr_tanh); }
inline Real atan(const Real& x) { return x.apply(mpfr_atan); }
inline Real tan(const Real& x) { return x.apply(mpfr_tan); }
inline Real asin(const Real& x) { return x.apply(mpfr_asin); }
inline Real acos(const Real& x) { return x.apply(mpfr_acos); }
inline Real atan2(const Real& y, const Real& x) { return y.apply(mpfr_atan2, x); }
inline Real sinh(const Real& x) { return x.apply(mpfr_sinh); }
inline Real cosh(const Real& x) { return x.apply(mpfr_cosh); }
inline Real asinh(const Real& x) { return x.apply(mpfr_asinh); }
inline Real acosh(const Real& x) { return x.apply(mpfr_acosh); }
inline Real atanh(const Real& x) { return x.apply(mpfr_atanh); }
inline Real exp2(const Real& x) { return x.apply(mpfr_exp2); }
inline Real cbrt(const Real& x) { return x.apply(mpfr_cbrt); }
inline Real floor(const Real& x) {
  return x.apply([](mpfr_ptr y, mpfr_srcptr v, mpfr_rnd_t) { return mpfr_floor(y, v); });
}
inline Real erf(const Real& x) { return x.apply(mpfr_erf); }
inline Real erfc(const Real& x) { return x.apply(mpfr_erfc); }
inline Real pi() {
  return Real().apply([](mpfr_ptr y, mpfr_srcptr, mpfr_rnd_t r) { return mpfr_const_pi(y, r); });
}
inline Real sigmoid(const Real& x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

/// f, f' and f'' at a point.
struct Jet {
  Real v, d, dd;
  Jet(double x = 0) : v(x) {}
  Jet(Real x) : v(std::move(x)) {}
  Jet(Real x, Real first, Real second) : v(std::move(x)), d(std::move(first)), dd(std::move(second)) {}
};

/// f(u), from f and its derivatives at u.v.
inline Jet chain(const Jet& u, const Real& f, const Real& f1, const Real& f2) {
  return {f, f1 * u.d, f2 * u.d * u.d + f1 * u.dd};
}
inline Jet operator-(const Jet& a) { return {-a.v, -a.d, -a.dd}; }
inline Jet operator+(const Jet& a, const Jet& b) { return {a.v + b.v, a.d + b.d, a.dd + b.dd}; }
inline Jet operator-(const Jet& a, const Jet& b) { return a + -b; }
inline Jet operator*(const Jet& a, const Jet& b) {
  return {a.v * b.v, a.d * b.v + a.v * b.d, a.dd * b.v + 2 * (a.d * b.d) + a.v * b.dd};
}
inline Jet reciprocal(const Jet& x) {
  const Real r = 1 / x.v;
  return chain(x, r, -(r * r), 2 * (r * r * r));
}
inline Jet operator/(const Jet& a, const Jet& b) { return a * reciprocal(b); }
inline bool operator<(const Jet& a, const Jet& b) { return a.v < b.v; }
inline Jet max(const Jet& a, const Jet& b) { return a < b ? b : a; }
inline Jet min(const Jet& a, const Jet& b) { return a < b ? a : b; }
inline Jet abs(const Jet& x) { return x < 0 ? -x : x; }

inline Jet exp(const Jet& x) {
  const Real y = exp(x.v);
  return chain(x, y, y, y);
}
inline Jet expm1(const Jet& x) { return chain(x, expm1(x.v), exp(x.v), exp(x.v)); }
inline Jet log(const Jet& x) { return chain(x, log(x.v), 1 / x.v, -1 / (x.v * x.v)); }
inline Jet log1p(const Jet& x) {
  const Real r = 1 / (1 + x.v);
  return chain(x, log1p(x.v), r, -(r * r));
}
inline Jet sqrt(const Jet& x) {
  const Real y = sqrt(x.v);
  return chain(x, y, 1 / (2 * y), -1 / (4 * y * x.v));
}
inline Jet sin(const Jet& x) { return chain(x, sin(x.v), cos(x.v), -sin(x.v)); }
inline Jet cos(const Jet& x) { return chain(x, cos(x.v), -sin(x.v), -cos(x.v)); }
inline Jet sigmoid(const Jet& x) {
  const Real s = sigmoid(x.v), c = sigmoid(-x.v);
  return chain(x, s, s * c, s * c * -tanh(x.v / 2));
}
/// log(1 + e^x).
inline Jet softplus(const Jet& x) {
  const Real s = sigmoid(x.v), c = sigmoid(-x.v), y = x.v < 0 ? log1p(exp(x.v)) : x.v + log1p(exp(-x.v));
  return chain(x, y, s, s * c);
}
inline Jet tanh(const Jet& x) {
  const Real y = tanh(x.v), slope = 4 * sigmoid(2 * x.v) * sigmoid(-2 * x.v);
  return chain(x, y, slope, -2 * y * slope);
}
inline Jet atan(const Jet& x) {
  const Real slope = 1 / (1 + x.v * x.v);
  return chain(x, atan(x.v), slope, -2 * x.v * slope * slope);
}
inline Jet tan(const Jet& x) {
  const Real y = tan(x.v), slope = 1 + y * y;
  return chain(x, y, slope, 2 * y * slope);
}
inline Jet asin(const Jet& x) {
  const Real r = 1 / sqrt((1 - x.v) * (1 + x.v));
  return chain(x, asin(x.v), r, x.v * r * r * r);
}
inline Jet acos(const Jet& x) {
  const Jet y = asin(x);
  return {acos(x.v), -y.d, -y.dd};
}
/// For x other than 0.
inline Jet atan2(const Jet& y, const Jet& x) {
  const Jet r = atan(y / x);
  return {atan2(y.v, x.v), r.d, r.dd};
}
inline Jet sinh(const Jet& x) { return chain(x, sinh(x.v), cosh(x.v), sinh(x.v)); }
inline Jet cosh(const Jet& x) { return chain(x, cosh(x.v), sinh(x.v), cosh(x.v)); }
inline Jet asinh(const Jet& x) {
  const Real r = 1 / sqrt(1 + x.v * x.v);
  return chain(x, asinh(x.v), r, -x.v * r * r * r);
}
inline Jet acosh(const Jet& x) {
  const Real r = 1 / sqrt((x.v - 1) * (x.v + 1));
  return chain(x, acosh(x.v), r, -x.v * r * r * r);
}
inline Jet atanh(const Jet& x) {
  const Real r = 1 / ((1 - x.v) * (1 + x.v));
  return chain(x, atanh(x.v), r, 2 * x.v * r * r);
}
inline Jet exp2(const Jet& x) {
  const Real y = exp2(x.v), ln2 = log(Real(2));
  return chain(x, y, y * ln2, y * ln2 * ln2);
}
inline Jet cbrt(const Jet& x) {
  const Real y = cbrt(x.v);
  return chain(x, y, y / (3 * x.v), -2 * y / (9 * x.v * x.v));
}
inline Jet erf(const Jet& x) {
  const Real slope = 2 * exp(-x.v * x.v) / sqrt(pi());
  return chain(x, erf(x.v), slope, -2 * x.v * slope);
}
inline Jet erfc(const Jet& x) {
  const Real slope = -2 * exp(-x.v * x.v) / sqrt(pi());
  return chain(x, erfc(x.v), slope, -2 * x.v * slope);
}
/// x^y for a constant y.
inline Jet pow(const Jet& x, double y) {
  auto power = [&](double n) { return x.v.apply(mpfr_pow, n); };
  return chain(x, power(y), y * power(y - 1), y * (y - 1) * power(y - 2));
}

}  // namespace weft::test

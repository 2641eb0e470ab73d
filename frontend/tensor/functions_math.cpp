// Elementwise functions that are made of others: trigonometric, hyperbolic and their inverses, roots and logarithms,
// and the quotients and remainders that round down. Each is in a form that keeps its digits wherever the function is
// finite, as do its gradient and that one's; what a select does not take is kept finite, lest 0 times infinity occur.
#include <cmath>

#include "frontend/tensor/functions.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

constexpr double kInfinity = HUGE_VAL;
constexpr double kPi = 3.14159265358979323846, kHalfPi = 1.57079632679489661923, kLn2 = 0.69314718055994530942,
                 kLn10 = 2.30258509299404568402;
constexpr double kLarge = 0x1p30;  // x^2 + 1 is x^2 from here on, and far from overflow, in f32 and f64

Tensor select(const Tensor& p, const Operand& a, const Operand& b) { return weft::where(p, a, b); }

/// Whether the sign bit is set, of a zero too.
Tensor is_negative(const Tensor& x) { return select(x == 0, 1 / x, x) < 0; }

/// |x|, with the gradient 1 at 0: of an odd function of x, 0 is no kink.
Tensor magnitude(const Tensor& x) { return select(x < 0, -x, x); }

/// From f(|x|), f(x) for an odd f with f(x) = x near 0: -0 stays -0.
Tensor odd(const Tensor& x, const Tensor& y) { return select(x < 0, -y, select(x == 0, x, y)); }

/// r = asin(x) up to |x| = 1/2; beyond (`far`), r = asin(sqrt((1 - |x|) / 2)), so that asin |x| = pi/2 - 2 r. By
/// asin s = atan(s / sqrt(1 - s^2)). At |x| = 1, r is that root itself: the derivatives are infinite, not NaN.
struct Arc {
  Tensor far, r;
};
Arc arc(const Tensor& x) {
  const Tensor a = abs(x), far = a >= 0.5, end = a == 1, rest = 0.5 * (1 - a);
  const Tensor square = select(far, rest, x * x);
  const Tensor s = select(far, sqrt(select(far & ~end, rest, 0.25)), x);
  return {far, select(end, sqrt(select(end, rest, 0.25)), atan(s / sqrt(1 - square)))};
}

/// Where sinh and cosh overflow for certain, and e^|x / 2| might: there powers of x stand in, whose derivatives are
/// infinite too.
Tensor overflows(const Tensor& x) { return abs(x) > (x.dtype() == f64 ? 1418 : 176); }

/// 2 sinh(x / 2): the two terms have one sign. And 2 cosh(x / 2) - 2.
Tensor twice_sinh_half(const Tensor& x) { return expm1(0.5 * x) - expm1(-0.5 * x); }
Tensor twice_cosh_half_less_2(const Tensor& x) { return expm1(0.5 * x) + expm1(-0.5 * x); }

}  // namespace

Tensor tan(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return sin(x) / cos(x);
}

Tensor asin(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const auto [far, r] = arc(x);
  const Tensor y = kHalfPi - 2 * r;
  return select(far, select(x < 0, -y, y), r);
}

Tensor acos(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const auto [far, r] = arc(x);
  return select(far, select(x < 0, kPi - 2 * r, 2 * r), kHalfPi - r);
}

// By atan of the ratio that is at most 1: y / x, or x / y, which is that of the angle to the y axis.
Tensor atan2(const Operand& y, const Operand& x, std::source_location where) {
  LocScope scope(where);
  const auto [b, a] = unify(y, x);
  check_floats({b, a});
  const Tensor steep = abs(b) > abs(a), diagonal = (abs(a) == kInfinity) & (abs(b) == kInfinity);
  const auto unit = [](const Tensor& t) { return select(t < 0, -1.0, ones_like(t)); };
  const Tensor over = select(diagonal, unit(b), select(steep, a, b));
  const Tensor under = select(diagonal, unit(a), select(steep, b, a));
  const Tensor r = atan(over / select(under == 0, 1, under));
  const Tensor half = select(is_negative(b), -kHalfPi, scalar_like(b, kHalfPi));
  return select(steep, half - r, select(is_negative(a), r + 2 * half, r));
}

Tensor sinh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const Tensor far = overflows(x), near = select(far, 0, x), big = select(far, x, 1);
  const Tensor y = twice_sinh_half(near) * (1 + 0.5 * twice_cosh_half_less_2(near));  // 2 sinh(x / 2) cosh(x / 2)
  return select(far, big * big * big * kInfinity, y);
}

Tensor cosh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const Tensor far = overflows(x), big = select(far, x, 1), s = twice_sinh_half(select(far, 0, x));
  return select(far, big * big * kInfinity, 1 + 0.5 * s * s);
}

Tensor asinh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const Tensor a = magnitude(x), large = a > kLarge, u = select(large, 1, a), square = u * u;
  const Tensor y = log1p(u + square / (1 + sqrt(1 + square)));
  return odd(x, select(large, log(select(large, a, 1)) + kLn2, y));
}

// With t = x - 1: log1p(t + sqrt(t (t + 2))). At t = 0 that is sqrt(2 t), of which the derivatives are infinite, not
// NaN.
Tensor acosh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const Tensor t = x - 1, large = x > kLarge, end = t == 0, u = select(large | end, 1, t);
  const Tensor y = log1p(u + sqrt(u) * sqrt(u + 2));
  return select(large, log(select(large, x, 1)) + kLn2, select(end, sqrt(2 * select(end, t, 1)), y));
}

// The two terms have one sign.
Tensor atanh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return 0.5 * (log1p(x) - log1p(-x));
}

Tensor exp2(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return pow(scalar_like(x, 2), x);
}

Tensor log2(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return log(x) / kLn2;
}

Tensor log10(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return log(x) / kLn10;
}

// e^(log(a) / 3), which has the derivatives, times the factor by which one step of Newton's method corrects it, which
// is 1 but for rounding. At 0 a square root stands in, whose derivatives are infinite too.
Tensor cbrt(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const Tensor a = magnitude(x), regular = (a > 0) & (a < kInfinity), u = select(regular, a, 1);
  const Tensor e = exp(log(u) / 3), factor = stop_gradient(1 + (u / (e * e) / e - 1) / 3);
  const Tensor edge = select(x == 0, sqrt(select(x == 0, x, 1)), stop_gradient(a));
  const Tensor y = select(regular, e * factor, edge);
  return select(x < 0, -y, y);
}

// In units of the larger one: no square overflows.
Tensor hypot(const Operand& x, const Operand& y, std::source_location where) {
  LocScope scope(where);
  const auto [a, b] = unify(x, y);
  check_floats({a, b});
  const Tensor p = abs(a), q = abs(b), steep = q > p, infinite = (p == kInfinity) | (q == kInfinity);
  const Tensor top = select(steep, b, a), low = select(steep, a, b);
  const Tensor ratio = select(infinite, 0, low) / select(infinite | (top == 0), 1, top);
  return select(infinite, select(p == kInfinity, p, q), abs(top) * sqrt(1 + ratio * ratio));
}

Tensor trunc(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return select(x < 0, ceil(x), floor(x));
}

Tensor isfinite(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  return is_float(x.dtype()) ? abs(x) < kInfinity : x == x;
}

Tensor isinf(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  return is_float(x.dtype()) ? abs(x) == kInfinity : x != x;
}

namespace {

struct Division {
  Tensor quotient, remainder;
};

/// The quotient rounded down and the remainder, of the sign of y. The quotient of floats may have been rounded up to
/// an integer; the remainder, whose first form is exact, tells.
Division floor_division(const Operand& a, const Operand& b) {
  const auto [x, y] = unify(a, b);
  if (x.dtype() == boolean) type_error({x, y}, "does not take bool; convert with astype(x, i32)");
  if (!is_float(x.dtype())) {
    const Tensor q = x / y, r = x % y, above = (r != 0) & (y != 0) & ((r < 0) ^ (y < 0));
    return {select(above, q - 1, q), select(above, r + y, r)};
  }
  const Tensor q = floor(x / y), r = fma(-q, select(abs(y) == kInfinity, 0, y), x);
  const Tensor above = (r != 0) & ((r < 0) ^ (y < 0));
  return {select(above, q - 1, q), select(above, r + y, r)};
}

}  // namespace

Tensor floor_divide(const Operand& x, const Operand& y, std::source_location where) {
  LocScope scope(where);
  return floor_division(x, y).quotient;
}

Tensor floor_mod(const Operand& x, const Operand& y, std::source_location where) {
  LocScope scope(where);
  return floor_division(x, y).remainder;
}

}  // namespace weft

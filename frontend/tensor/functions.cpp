// Elementwise functions and reductions.
#include "frontend/tensor/functions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

Tensor unary(Op op, const Tensor& x, const std::source_location& where) {
  LocScope scope(where, name(op));
  return node(op, {x});
}

/// x^n for n >= 0 by repeated squaring.
Tensor whole_power(const Tensor& x, int n) {
  if (n == 0) return ones_like(x);
  Tensor result, square = x;
  for (;; n >>= 1, square = square * square) {
    if (n & 1) result = result.defined() ? result * square : square;
    if (n <= 1) return result;
  }
}

/// y, which is x without the axes, with extents of 1 for them if asked to.
Tensor kept(const Tensor& y, const Tensor& x, const std::vector<int>& axes, bool keepdims) {
  if (!keepdims) return y;
  Shape shape = x.shape();
  for (int axis : axes) shape[axis] = 1;
  return spread(y, shape, other_axes(x.rank(), axes));
}

/// Reductions share this frame: fold the axes with `op`, then put them back with extent 1 if asked to.
Tensor reduced(Op op, const Tensor& x, const Axes& axes, bool keepdims) {
  check_operands({x});
  const std::vector<int> list = axes.resolve(x);
  return kept(reduce_axes(op, x, list), x, list, keepdims);
}

/// A reduction of truth values.
Tensor reduced_bool(Op op, const Tensor& x, const Axes& axes, bool keepdims) {
  check_operands({x});
  if (x.dtype() != boolean) type_error({x}, "takes bool; compare first, as in x != 0");
  return reduced(op, x, axes, keepdims);
}

/// y[i] = x[0] op … op x[i] along the axis: after the turn of `shift`, each y[i] has the last 2 shift elements.
Tensor scanned(Op op, const Tensor& x, int axis, const Number& neutral) {
  check_operands({x});
  const int at = resolve_axis(x, axis, x.rank());
  const std::int64_t n = x.shape()[at];
  if (is_symbol(n)) type_error({x}, fmt::format("axis {} has an unbound extent; expected a known one", at));
  const Dims none = Dims::filled(x.rank(), 0);
  Tensor y = x.dtype() == boolean ? astype(x, i32) : x;
  for (std::int64_t shift = 1; shift < n; shift *= 2) {
    Dims low = none;
    low[at] = shift;
    y = node(op, {pad(slice(y, at, 0, n - shift), low, none, neutral), y});
  }
  return y;
}

/// The number of elements along the axes, a scalar of x's dtype.
Tensor count(const Tensor& x, const std::vector<int>& axes) {
  double known = 1;
  Tensor unknown;
  for (int axis : axes) {
    if (!is_symbol(x.shape()[axis])) {
      known *= static_cast<double>(x.shape()[axis]);
    } else {
      const Tensor n = extent(x, axis, x.dtype());
      unknown = unknown.defined() ? unknown * n : n;
    }
  }
  const Tensor k = scalar_like(x, known);
  return !unknown.defined() ? k : known == 1 ? unknown : unknown * k;
}

Tensor as_float(const Tensor& x) {
  check_operands({x});
  if (x.dtype() == boolean) return astype(x, f32);
  if (!is_float(x.dtype())) type_error({x}, "takes f32, f64 or bool; convert with astype(x, f32)");
  return x;
}

}  // namespace

std::vector<int> Axes::resolve(const Tensor& x) const {
  std::vector<int> axes;
  if (all_)
    for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  for (int axis : list_) axes.push_back(resolve_axis(x, axis, x.rank()));
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) type_error({x}, "names an axis twice");
  return axes;
}

Tensor abs(const Tensor& x, std::source_location where) { return unary(Op::abs, x, where); }
Tensor sign(const Tensor& x, std::source_location where) { return unary(Op::sign, x, where); }
Tensor floor(const Tensor& x, std::source_location where) { return unary(Op::floor, x, where); }
Tensor ceil(const Tensor& x, std::source_location where) { return unary(Op::ceil, x, where); }
Tensor round(const Tensor& x, std::source_location where) { return unary(Op::round, x, where); }
Tensor sqrt(const Tensor& x, std::source_location where) { return unary(Op::sqrt, x, where); }
Tensor exp(const Tensor& x, std::source_location where) { return unary(Op::exp, x, where); }
Tensor expm1(const Tensor& x, std::source_location where) { return unary(Op::expm1, x, where); }
Tensor log(const Tensor& x, std::source_location where) { return unary(Op::log, x, where); }
Tensor log1p(const Tensor& x, std::source_location where) { return unary(Op::log1p, x, where); }
Tensor sin(const Tensor& x, std::source_location where) { return unary(Op::sin, x, where); }
Tensor cos(const Tensor& x, std::source_location where) { return unary(Op::cos, x, where); }
Tensor atan(const Tensor& x, std::source_location where) { return unary(Op::atan, x, where); }
Tensor tanh(const Tensor& x, std::source_location where) { return unary(Op::tanh, x, where); }
Tensor erf(const Tensor& x, std::source_location where) { return unary(Op::erf, x, where); }
Tensor stop_gradient(const Tensor& x, std::source_location where) { return unary(Op::stop_gradient, x, where); }

Tensor rsqrt(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return 1 / sqrt(x);
}

Tensor square(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return x * x;
}

Tensor reciprocal(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return 1 / x;
}

Tensor isnan(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return x != x;
}

Tensor pow(const Tensor& x, const Operand& y, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  if (y.is_number()) {
    const double p = y.number();
    if (!is_float(x.dtype()) && !(p == std::floor(p) && p >= 0 && p <= 64))
      type_error(
          {x},
          fmt::format("{} is no exponent of {}; expected a whole number from 0 to 64, or convert with astype(x, f64)",
                      plain_nan(p), name(x.dtype())));
    if (p == 0.5) return sqrt(x);
    if (p == -1) return 1 / x;
    // Products of more factors are less accurate than the op. Integers have no such op.
    if (p == std::floor(p) && p >= 0 && p <= (is_float(x.dtype()) ? 4 : 64)) return whole_power(x, static_cast<int>(p));
  }
  return binary(Op::pow, {x, where}, y);
}

Tensor clip(const Tensor& x, const Number& low, const Number& high, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  const Tensor least = scalar_like(x, low), most = scalar_like(x, high);
  const bool ordered = visit_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return *low.as<T>() <= *high.as<T>();
  });
  if (!ordered) type_error({x}, fmt::format("low {} is above high {}", low.str(), high.str()));
  return minimum(maximum(x, least), most);
}

Tensor fma(const Tensor& a, const Tensor& b, const Tensor& c, std::source_location where) {
  LocScope scope(where);
  check_operands({a, b, c});
  const Shape shape = broadcast_shape({a, b, c});
  return node(Op::fma, {spread_trailing(a, shape), spread_trailing(b, shape), spread_trailing(c, shape)});
}

Tensor astype(const Tensor& x, DType dtype, std::source_location where) {
  LocScope scope(where);
  if (x.dtype() == dtype) return x;
  return node(Op::convert, {x}, {}, Type{dtype, x.shape()});
}

Tensor sum(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  return reduced(Op::reduce_sum, x.dtype() == boolean ? astype(x, i32) : x, axes, keepdims);
}

Tensor prod(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  return reduced(Op::reduce_prod, x, axes, keepdims);
}

Tensor max(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  return reduced(Op::reduce_max, x, axes, keepdims);
}

Tensor min(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  return reduced(Op::reduce_min, x, axes, keepdims);
}

Tensor mean(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  const Tensor y = as_float(x);
  return sum(y, axes, keepdims) / count(y, axes.resolve(y));
}

Tensor variance(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  const Tensor y = as_float(x);
  return mean(square(y - spread_back(mean(y, axes), y, axes.resolve(y))), axes, keepdims);
}

Tensor stddev(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  const Tensor v = variance(x, axes, keepdims), none = v == 0;
  return weft::where(none, 0, sqrt(weft::where(none, 1, v)));
}

// Of order 2 in units of the largest element, so that no square overflows; where that is 0, infinite or NaN, it is the
// norm.
Tensor norm(const Tensor& x, double order, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  const Tensor y = as_float(x);
  if (order == 1) return sum(abs(y), axes, keepdims);
  if (order == HUGE_VAL) return max(abs(y), axes, keepdims);
  if (order != 2) type_error({x}, fmt::format("order {} is none; expected 1, 2 or infinity", plain_nan(order)));
  const std::vector<int> list = axes.resolve(y);
  const Tensor top = stop_gradient(max(abs(y), axes)), usable = (top > 0) & (top < HUGE_VAL);
  const Tensor unit = weft::where(usable, top, 1);
  const Tensor squares = sum(square(y / spread_back(unit, y, list)), axes);
  return kept(weft::where(usable, unit * sqrt(weft::where(usable, squares, 1)), top), y, list, keepdims);
}

Tensor any(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  return reduced_bool(Op::reduce_max, x, axes, keepdims);
}

Tensor all(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  return reduced_bool(Op::reduce_min, x, axes, keepdims);
}

Tensor cumsum(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  return scanned(Op::add, x, axis, 0);
}

Tensor cumprod(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  return scanned(Op::mul, x, axis, 1);
}

// The shift is finite, so that rows of -inf alone, and rows with inf, have their limits.
Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdims, std::source_location where) {
  LocScope scope(where);
  const double largest = x.dtype() == f64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  auto shift = [&](bool keep) { return stop_gradient(clip(max(x, axes, keep), -largest, largest)); };
  const Tensor shifted = x - spread_back(shift(false), x, axes.resolve(x));
  return log(sum(exp(shifted), axes, keepdims)) + shift(keepdims);
}

Tensor argmax(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  return node(Op::arg_max, {x}, Attrs::axis(resolve_axis(x, axis, x.rank())));
}

Tensor argmin(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  return node(Op::arg_min, {x}, Attrs::axis(resolve_axis(x, axis, x.rank())));
}

Tensor extent(const Tensor& x, int axis, DType dtype, std::source_location where) {
  LocScope scope(where);
  return astype(node(Op::size, {x}, Attrs::axis(resolve_axis(x, axis, x.rank()))), dtype);
}

Tensor layer_norm(const Tensor& x, const Tensor& scale, const Tensor& offset, double epsilon,
                  std::source_location where) {
  LocScope scope(where);
  check_number("layer_norm", "epsilon", epsilon, Domain::not_negative);
  const std::vector<int> last = Axes(-1).resolve(x);
  const Tensor centred = x - spread_back(mean(x, -1), x, last);
  const Tensor inverse = rsqrt(mean(square(centred), -1) + epsilon);
  Tensor y = centred * spread_back(inverse, x, last);
  if (scale.defined()) y = y * scale;
  if (offset.defined()) y = y + offset;
  return y;
}

}  // namespace weft

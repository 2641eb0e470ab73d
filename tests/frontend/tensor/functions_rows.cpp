// Rows of the function table: reductions, products, normalisation and losses, each on a few elements of a row.
#include <algorithm>
#include <cmath>

#include "function_table.h"

namespace weft::test {
namespace {

using X = const std::vector<Tensor>&;
using O = const Operands&;
using P = std::span<const double>;

constexpr double inf = HUGE_VAL;
const double nan = std::nan("");

// Building blocks of rows: the operands as a matrix [n, count], and column 0 of one.
Tensor columns(X x, std::size_t first, std::size_t count) {
  return stack({x.begin() + static_cast<std::ptrdiff_t>(first), x.begin() + static_cast<std::ptrdiff_t>(first + count)},
               1);
}
Tensor row(X x) { return columns(x, 0, x.size()); }
Tensor first_of(const Tensor& y) { return squeeze(slice(y, 1, 0, 1), 1); }
Tensor last_of(const Tensor& y) { return squeeze(slice(y, 1, y.shape()[1] - 1, y.shape()[1]), 1); }
Tensor label_0(X x) { return astype(0 * x[0], i32); }

// Quantities that errors are measured by.
Real one(O) { return 1; }
Real largest(O o) {
  Real m;
  for (const Jet& x : o.x)
    if (m < abs(x.v)) m = abs(x.v);
  return m;
}
Real absolute_sum(O o) {
  Real s;
  for (const Jet& x : o.x) s = s + abs(x.v);
  return s;
}

Jet total(O o) {
  Jet s;
  for (const Jet& x : o.x) s = s + x;
  return s;
}
/// log(e^a + e^b + …) of the first `count` operands; shifted by the largest, as e^1e37 is too large for MPFR too.
Jet logsumexp_of(O o, std::size_t count) {
  Real top = o[0].v;
  for (std::size_t i = 1; i < count; ++i)
    if (top < o[i].v) top = o[i].v;
  Jet s;
  for (std::size_t i = 0; i < count; ++i) s = s + exp(o[i] - top);
  return log(s) + top;
}
Jet mean_of(O o) { return total(o) / Jet(static_cast<double>(o.x.size())); }
Jet variance_of(O o) {
  const Jet m = mean_of(o);
  Jet s;
  for (const Jet& x : o.x) s = s + (x - m) * (x - m);
  return s / Jet(static_cast<double>(o.x.size()));
}
/// p (1 - log p) of the first element: the argument of e^x is rounded, so its error grows with |x|.
Real entropy_of_first(O o) {
  const Jet l = o[0] - logsumexp_of(o, o.x.size());
  return exp(l.v) * (1 - l.v);
}
/// The same of the operand that is differentiated.
Real entropy_along(O o) {
  for (const Jet& x : o.x)
    if (x.d == 1) {
      const Jet l = x - logsumexp_of(o, o.x.size());
      return exp(l.v) * (1 - l.v);
    }
  return 0;
}

Operands negated(O o) {
  Operands n = o;
  for (Jet& x : n.x) x = -x;
  return n;
}
Real entropy_of_negated(O o) { return entropy_of_first(negated(o)); }
Jet norm_of(O o) {
  Jet s;
  for (const Jet& x : o.x) s = s + x * x;
  return sqrt(s);
}

bool within(P x, double low, double high) {
  for (double v : x)
    if (!(low <= std::abs(v) && std::abs(v) <= high)) return false;
  return true;
}
bool moderate(P x) { return within(x, 1e-9, 1e9); }
bool distinct(P x) {
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (x[i] == x[j]) return false;
  return true;
}
bool no_overflow(P x) { return within(x, 0, 1e37); }
/// Moderate, and apart in comparison with their size.
bool spread_out(P x) {
  double top = 0;
  for (double v : x) top = std::max(top, std::abs(v));
  return moderate(x) && 4 * (std::ranges::max(x) - std::ranges::min(x)) > top;
}

// clang-format off
std::vector<FunctionRow> reduction_rows() {
  return {
    {"sum", "sum(x), 3 elements", 3, [](X x) { return sum(row(x), -1); }, total, {1.5, "sum |x|", absolute_sum}, {0}, {0}, "no overflow", no_overflow,
     {{{inf, 1, 2}, inf, 1, 0}, {{inf, -inf, 2}, nan, 1, 0}}},
    {"mean", "mean(x), 3 elements", 3, [](X x) { return mean(row(x), -1); }, mean_of, {2, "mean |x|", [](O o) { return absolute_sum(o) / 3; }}, {0.5}, {0}, "the sum does not overflow", no_overflow,
     {{{inf, 1, 2}, inf, 1.0 / 3, 0}}},
    {"prod", "prod(x), 3 elements", 3, [](X x) { return prod(row(x), -1); }, [](O o) { return o[0] * o[1] * o[2]; }, {1.5}, {1}, {0}, "partial products neither overflow nor underflow", moderate,
     {{{0, 2, 3}, 0, 6, 0}, {{0, 0, 3}, 0, 0, 0}}},
    {"max", "max(x), 3 elements", 3, [](X x) { return max(row(x), -1); }, [](O o) { return max(max(o[0], o[1]), o[2]); }, {0}, {0}, {0}, "all", distinct,
     {{{2, 2, 1}, 2, 0.5, 0}, {{2, 2, 1}, 2, 0, 0, 2}, {{2, 2, 2}, 2, 1.0 / 3, 0}, {{inf, inf, 1}, inf, 0.5, 0}, {{-inf, -inf, -inf}, -inf, 1.0 / 3, 0}}},
    {"min", "min(x), 3 elements", 3, [](X x) { return min(row(x), -1); }, [](O o) { return min(min(o[0], o[1]), o[2]); }, {0}, {0}, {0}, "all", distinct,
     {{{1, 1, 2}, 1, 0.5, 0}, {{1, 1, 2}, 1, 0, 0, 2}, {{-inf, -inf, 1}, -inf, 0.5, 0}}},
    {"variance", "variance(x), 3 elements", 3, [](X x) { return variance(row(x), -1); }, variance_of,
     {4, "variance + u max x^2", [](O o) { return variance_of(o).v + largest(o) * largest(o) * (o.dtype == f32 ? 0x1p-24 : 0x1p-53); }},
     {2, "max |x|", largest}, {0.5, "1", one}, "max |x| < 1e18", [](P x) { return within(x, 0, 1e18); },
     {{{5, 5, 5}, 0, 0, 4.0 / 9}, {{1e8, 1e8, 1e8}, 0, 0, 4.0 / 9}}, 2},
    {"stddev", "stddev(x), 3 elements", 3, [](X x) { return stddev(row(x), -1); }, [](O o) { return sqrt(variance_of(o)); },
     {2.5}, {1.5, "1", one}, {2, "1 / stddev", [](O o) { return 1 / sqrt(variance_of(o).v); }}, "max |x| < 4 (max x - min x); partial results neither overflow nor underflow", spread_out,
     {{{5, 5, 5}, 0, 0, 0}}},
    {"norm", "norm(x, 1), 3 elements", 3, [](X x) { return norm(row(x), 1, -1); }, [](O o) { return abs(o[0]) + abs(o[1]) + abs(o[2]); }, {1.5}, {0}, {0}, "no overflow", moderate,
     {{{0, 1, -2}, 3, 0, 0}, {{-inf, 1, 2}, inf, -1, 0}}},
    {"norm", "norm(x, 2), 3 elements", 3, [](X x) { return norm(row(x), 2, -1); }, norm_of, {2.5}, {2, "1", one}, {6, "1 / norm", [](O o) { return 1 / norm_of(o).v; }}, "partial results of derivatives neither overflow nor underflow", moderate,
     {{{0, 0, 0}, 0, 0, 0}, {{2e38, 1e38, 2e38}, 3e38, 2.0 / 3, kFree}, {{2e-36, 4e-36, 4e-36}, 6e-36, 1.0 / 3, kFree}, {{inf, 1, 2}, inf, kFree, kFree}, {{nan, 1, 2}, nan, kFree, kFree}}},
    {"norm", "norm(x, inf), 3 elements", 3, [](X x) { return norm(row(x), HUGE_VAL, -1); }, [](O o) { return max(max(abs(o[0]), abs(o[1])), abs(o[2])); }, {0}, {0}, {0}, "all",
     [](P x) { return distinct(std::vector<double>{std::abs(x[0]), std::abs(x[1]), std::abs(x[2])}); }, {{{-inf, 1, 2}, inf, -1, 0}}},
    {"cumsum", "cumsum(x)[2], 3 elements", 3, [](X x) { return last_of(cumsum(row(x))); }, total, {1.5, "sum |x|", absolute_sum}, {0}, {0}, "no overflow", no_overflow,
     {{{inf, 1, 2}, inf, 1, 0}, {{1, -inf, inf}, nan, 1, 0}}},
    {"cumprod", "cumprod(x)[2], 3 elements", 3, [](X x) { return last_of(cumprod(row(x))); }, [](O o) { return o[0] * o[1] * o[2]; }, {1.5}, {1}, {0}, "partial products neither overflow nor underflow", moderate,
     {{{0, 2, 3}, 0, 6, 0}, {{0, 0, 3}, 0, 0, 0}}},
    {"logsumexp", "logsumexp(x), 3 elements", 3, [](X x) { return logsumexp(row(x), -1); }, [](O o) { return logsumexp_of(o, 3); },
     {2, "1", one}, {3, "p (1 - log p)", entropy_along}, {3, "p (1 - log p)", entropy_along}, "all", no_overflow,
     {{{-inf, -inf, -inf}, -inf, nan, nan}, {{inf, 0, 1}, inf, nan, nan}, {{inf, 0, 1}, inf, 0, kFree, 1}, {{-inf, 0, 0}, 0.69314718055994530942, 0, 0}, {{-inf, 0, 0}, 0.69314718055994530942, 0.5, 0.25, 1}, {{inf, inf, -inf}, inf, kFree, kFree}}, 10},
    {"softmax", "softmax(x)[0], 3 elements", 3, [](X x) { return first_of(softmax(row(x))); }, [](O o) { return exp(o[0] - logsumexp_of(o, 3)); },
     {4, "p (1 - log p)", entropy_of_first}, {4, "p (1 - log p)", entropy_of_first}, {4, "p (1 - log p)", entropy_of_first}, "all", no_overflow,
     {{{-inf, 0, 0}, 0, 0, 0}, {{0, -inf, 0}, 0.5, 0.25, 0}, {{0, -inf, 0}, 0.5, 0, 0, 1}, {{-inf, -inf, -inf}, nan, nan, nan}}, 10},
    {"softmin", "softmin(x)[0], 3 elements", 3, [](X x) { return first_of(softmin(row(x))); }, [](O o) { return exp(-o[0] - logsumexp_of(negated(o), 3)); },
     {4, "p (1 - log p)", entropy_of_negated}, {4, "p (1 - log p)", entropy_of_negated}, {4, "p (1 - log p)", entropy_of_negated}, "all", no_overflow,
     {{{inf, 0, 0}, 0, 0, 0}}, 10},
    {"log_softmax", "log_softmax(x)[0], 3 elements", 3, [](X x) { return first_of(log_softmax(row(x))); }, [](O o) { return o[0] - logsumexp_of(o, 3); },
     {4, "1", one}, {4, "1", one}, {4, "1", one}, "all", no_overflow,
     {{{-inf, 0, 0}, -inf, 1, 0}, {{0, -inf, 0}, -0.69314718055994530942, 0.5, -0.25}, {{0, -inf, 0}, -0.69314718055994530942, 0, 0, 1}, {{-inf, -inf, -inf}, nan, nan, nan}}},
    {"operator/", "x / y", 2, [](X x) { return x[0] / x[1]; }, [](O o) { return o[0] / o[1]; }, {0.5}, {2}, {3}, "partial results neither overflow nor underflow", moderate},
    {"matmul", "matmul(x, y), 2 products", 4, [](X x) { return squeeze(matmul(expand_dims(columns(x, 0, 2), 1), expand_dims(columns(x, 2, 2), 2))); },
     [](O o) { return o[0] * o[2] + o[1] * o[3]; }, {1.5, "sum |x y|", [](O o) { return abs(o[0].v * o[2].v) + abs(o[1].v * o[3].v); }}, {0}, {0}, "no overflow", [](P x) { return within(x, 0, 1e18); }, {}, 2},
    {"contract", "contract(x, y), 2 products", 4, [](X x) { return contract(columns(x, 0, 2), columns(x, 2, 2), {1}, {1}, {0}, {0}); },
     [](O o) { return o[0] * o[2] + o[1] * o[3]; }, {1.5, "sum |x y|", [](O o) { return abs(o[0].v * o[2].v) + abs(o[1].v * o[3].v); }}, {0}, {0}, "no overflow", [](P x) { return within(x, 0, 1e18); }, {}, 2},
    {"einsum", "einsum(\"ni,ni->n\", {x, y}), 2 products", 4, [](X x) { return einsum("ni,ni->n", {columns(x, 0, 2), columns(x, 2, 2)}); },
     [](O o) { return o[0] * o[2] + o[1] * o[3]; }, {1.5, "sum |x y|", [](O o) { return abs(o[0].v * o[2].v) + abs(o[1].v * o[3].v); }}, {0}, {0}, "no overflow", [](P x) { return within(x, 0, 1e18); }, {}, 2},
    {"resize_linear", "resize_linear(x, 4)[1], 2 elements", 2, [](X x) { return reshape(slice(resize_linear(expand_dims(row(x), 2), {4}), 1, 1, 2), x[0].shape()); },
     [](O o) { return 0.75 * o[0] + 0.25 * o[1]; }, {1.5, "sum |x|", absolute_sum}, {0}, {0}, "no overflow", no_overflow, {}, 1},
    {"layer_norm", "layer_norm(x)[0], 3 elements", 3, [](X x) { return first_of(layer_norm(row(x))); },
     [](O o) { return (o[0] - mean_of(o)) / sqrt(variance_of(o) + o.rounded(1e-3)); },
     {4, "max |x| / d", [](O o) { return largest(o) / sqrt(variance_of(o).v + 1e-3); }},
     {4, "(1 + max |x| / d) / d", [](O o) { const Real d = sqrt(variance_of(o).v + 1e-3); return (1 + largest(o) / d) / d; }},
     {4, "(1 + max |x| / d) / d^2", [](O o) { const Real d = sqrt(variance_of(o).v + 1e-3); return (1 + largest(o) / d) / (d * d); }},
     "max |x| < 1e9", [](P x) { return within(x, 0, 1e9); }, {{{5, 5, 5}, 0, kFree, 0}, {{1e8, 1e8, 1e8}, 0, kFree, 0}}, 7},
  };
}

bool targets(P t) { return std::ranges::all_of(t, [](double x) { return 0 <= x && x <= 1; }); }
bool logits_2(P x) { return targets(x.subspan(2)) && no_overflow(x); }
/// Probabilities and targets whose sums are not 0, away from where the clip begins.
bool probabilities_2(P x) {
  return targets(x) && x[0] + x[1] > 1e-3 && std::min(x[0], x[1]) / (x[0] + x[1]) > 1.1e-7;
}
Real target_sum(O o) { return o[2].v + o[3].v; }
Jet clipped(O o, const Jet& p) { return min(max(p, o.rounded(1e-7)), o.rounded(1 - 1e-7)); }
Jet bce_logits(O o) { return o[1] * softplus(-o[0]) + (1 - o[1]) * softplus(o[0]); }

/// |p - t| of two features, as p0, t0, p1, t1.
Jet distance(O o, std::size_t feature) { return abs(o[2 * feature] - o[2 * feature + 1]); }
Tensor loss_of(const Loss& loss, X x) { return loss(stack({x[0], x[2]}, 1), stack({x[1], x[3]}, 1)); }
bool apart(P x) { return std::abs(x[0] - x[1]) > 1e-18 && std::abs(x[2] - x[3]) > 1e-18 && within(x, 0, 1e18); }
Jet huber_of(const Jet& e) { return e < 1 ? 0.5 * e * e : e - 0.5; }

/// The first operand's, or the second's, part in one of several losses: what its errors are measured by.
bool along(O o, std::size_t i) { return o[i].d == 1; }
Real kl_size(O o) {
  return o[2].v * (1 + abs(log(o[2].v / o[0].v))) + o[3].v * (1 + abs(log(o[3].v / o[1].v)));
}
Real kl_slope(O o) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (along(o, i)) return o[i + 2].v / o[i].v;
    if (along(o, i + 2)) return 2 + abs(log(o[i + 2].v / o[i].v));
  }
  return 0;
}
Jet poisson_of(O o) { return o[0] - o[1] * log(o[0] + o.rounded(1e-7)); }
Real poisson_log(O o) { return 1 + abs(log(o[0].v + o.rounded(1e-7))); }
Real poisson_size(O o) { return abs(o[0].v) + abs(o[1].v) * poisson_log(o); }
Real poisson_slope(O o) { return along(o, 0) ? 1 + abs(o[1].v) / o[0].v : poisson_log(o); }
Jet log_cosh_of(O o) {
  const Jet e = abs(o[0] - o[1]);
  return e + softplus(-2 * e) - log(Jet(2));
}
Real log_cosh_curve(O o) {
  const Real e = abs(o[0].v - o[1].v);
  return (1 + e) * 4 * sigmoid(2 * e) * sigmoid(-2 * e);
}
/// The vectors (p0, p1) and (t0, t1) of p0, t0, p1, t1: the length of one, and -cos of the angle between them.
Jet length_of(O o, std::size_t first) { return sqrt(o[first] * o[first] + o[first + 2] * o[first + 2]); }
Jet cosine_of(O o) { return -(o[0] * o[1] + o[2] * o[3]) / (length_of(o, 0) * length_of(o, 1)); }
Real cosine_slope(O o) { return 1 / length_of(o, along(o, 0) || along(o, 2) ? 0 : 1).v; }
Real cosine_curve(O o) { return cosine_slope(o) * cosine_slope(o); }
Jet margin_of(O o) { return 1 - o[1] * o[0]; }
Real margin_size(O o) { return 1 + abs(o[1].v * o[0].v); }
bool off_margin(P x) { return within(x, 1e-9, 1e9) && std::abs(1 - x[0] * x[1]) > 1e-5 * (1 + std::abs(x[0] * x[1])); }
/// The two terms of the focal loss with gamma 2 and alpha 1/4, each by what it may be off in itself, its first and its
/// second derivative: s the sigmoid of z, where it is missed.
Jet focal_term(const Jet& z) { return softplus(-z) * exp(-2 * softplus(z)); }
Jet focal_of(O o) { return 0.25 * o[1] * focal_term(o[0]) + 0.75 * (1 - o[1]) * focal_term(-o[0]); }
Real focal_size(O o, int derivative) {
  const auto term = [&](const Real& z) {
    const Real s = sigmoid(z), c = sigmoid(-z), missed = softplus(-z).v, raised = softplus(z).v;
    const Real sizes[] = {missed, c + 2 * s * missed, 5 * s * c + (4 * s + 2 * c) * s * missed};
    return sizes[derivative] * exp(-2 * raised) * (1 + raised);
  };
  const Real hit = 0.25 * term(o[0].v), other = 0.75 * term(-o[0].v);
  return along(o, 1) && derivative == 1 ? 0.25 * focal_term(o[0]).v * (1 + softplus(o[0]).v) + 0.75 * focal_term(-o[0]).v * (1 + softplus(-o[0]).v)
                                        : o[1].v * hit + (1 - o[1].v) * other;
}
Jet categorical_focal_of(O o) {
  Jet s;
  for (std::size_t i = 0; i < 2; ++i) {
    const Jet l = o[i] - logsumexp_of(o, 2), q = -expm1(l);
    s = s - 0.25 * o[i + 2] * l * q * q;
  }
  return s;
}
Real surprise(O o) {
  const Real a = abs((o[0] - logsumexp_of(o, 2)).v), b = abs((o[1] - logsumexp_of(o, 2)).v);
  return 1 + (a < b ? b : a);
}
Jet smoothed_of(O o) {
  const Jet l = logsumexp_of(o, 3);
  return o.rounded(0.9) * (l - o[0]) + Jet(o.rounded(0.1)) / Jet(3) * (3 * l - o[0] - o[1] - o[2]);
}
Jet triplet_of(O o) { return (o[0] - o[1]) * (o[0] - o[1]) - (o[0] - o[2]) * (o[0] - o[2]) + 1; }
Real triplet_size(O o) {
  const Real p = o[0].v - o[1].v, n = o[0].v - o[2].v;
  return p * p + n * n + 1;
}
Real triplet_slope(O o) { return 2 * (abs(o[0].v - o[1].v) + abs(o[0].v - o[2].v)); }
bool off_triplet(P x) {
  const double p = (x[0] - x[1]) * (x[0] - x[1]), n = (x[0] - x[2]) * (x[0] - x[2]);
  return within(x, 0, 1e9) && std::abs(p - n + 1) > 1e-5 * (p + n + 1);
}

std::vector<FunctionRow> further_loss_rows() {
  return {
    {"kl_divergence", "kl_divergence(p, t), 2 classes", 4, [](X x) { return kl_divergence(columns(x, 0, 2), columns(x, 2, 2)); },
     [](O o) { return o[2] * log(o[2] / o[0]) + o[3] * log(o[3] / o[1]); }, {2, "t (1 + |log(t / p)|)", kl_size}, {2.5, "its terms", kl_slope}, {5}, "1e-7 < p, t < 1",
     [](P x) { return std::ranges::all_of(x, [](double v) { return 1.1e-7 < v && v < 1; }); }},
    {"poisson", "poisson(p, t)", 2, [](X x) { return poisson(expand_dims(x[0], 1), expand_dims(x[1], 1)); }, poisson_of, {2.5, "p + |t| (1 + |log p|)", poisson_size}, {2, "its terms", poisson_slope}, {4}, "p > 0; partial results neither overflow nor underflow",
     [](P x) { return moderate(x) && x[0] > 0; }},
    {"log_cosh", "log_cosh(p, t)", 2, [](X x) { return log_cosh(expand_dims(x[0], 1), expand_dims(x[1], 1)); }, log_cosh_of, {6}, {5}, {4, "(1 + |p - t|) / cosh(p - t)^2", log_cosh_curve}, "max |p - t| < 1e18",
     [](P x) { return std::abs(x[0] - x[1]) > 1e-18 && within(x, 0, 1e18); }, {{{1, 1}, 0, 0, 1}, {{inf, 0}, inf, 1, 0}}, 4},
    {"cosine_similarity", "cosine_similarity(p, t), 2 features", 4, [](X x) { return loss_of(cosine_similarity, x); }, cosine_of, {3, "1", one}, {6, "1 / |p|", cosine_slope}, {16, "1 / |p|^2", cosine_curve}, "partial results neither overflow nor underflow", moderate,
     {{{0, 1, 0, 1}, 0, kFree, kFree}, {{2e38, 2e-38, 0, 0}, -1, 0, kFree}}},
    {"hinge", "hinge(p, t)", 2, [](X x) { return hinge(expand_dims(x[0], 1), expand_dims(x[1], 1)); }, [](O o) { return max(margin_of(o), 0); }, {1.5, "1 + |t p|", margin_size}, {0}, {0}, "no overflow", off_margin,
     {{{1, 1}, 0, 0, 0}, {{inf, 1}, 0, 0, 0}, {{-inf, 1}, inf, -1, 0}}},
    {"squared_hinge", "squared_hinge(p, t)", 2, [](X x) { return squared_hinge(expand_dims(x[0], 1), expand_dims(x[1], 1)); }, [](O o) { return max(margin_of(o), 0) * max(margin_of(o), 0); },
     {3, "(1 + |t p|)^2", [](O o) { return margin_size(o) * margin_size(o); }}, {3, "2 |t| (1 + |t p|)", [](O o) { return 2 * abs(o[along(o, 0) ? 1 : 0].v) * margin_size(o); }}, {1.5}, "no overflow", off_margin,
     {{{1, 1}, 0, 0, 0}, {{0, 1}, 1, -2, 2}}},
    {"binary_focal_cross_entropy_with_logits", "binary_focal_cross_entropy_with_logits()(z, t)", 2, [](X x) { return binary_focal_cross_entropy_with_logits()(expand_dims(x[0], 1), expand_dims(x[1], 1)); }, focal_of,
     {6, "its terms", [](O o) { return focal_size(o, 0); }}, {5, "its terms", [](O o) { return focal_size(o, 1); }}, {5, "its terms", [](O o) { return focal_size(o, 2); }}, "0 <= t <= 1",
     [](P x) { return targets(x.subspan(1)) && no_overflow(x); }, {{{inf, 1}, 0, 0, 0}, {{-inf, 0}, 0, 0, 0}, {{inf, 0}, inf, 0.75, 0}, {{-inf, 1}, inf, -0.25, 0}, {{0, 1}, 0.04332169878499658, kFree, kFree}}, 13},
    {"categorical_focal_cross_entropy_with_logits", "categorical_focal_cross_entropy_with_logits()(z, t), 2 classes", 4, [](X x) { return categorical_focal_cross_entropy_with_logits()(columns(x, 0, 2), columns(x, 2, 2)); }, categorical_focal_of,
     {6, "1 + |log p|", surprise}, {8, "1 + |log p|", surprise}, {16, "1 + |log p|", surprise}, "0 <= t <= 1", logits_2,
     {{{-inf, 0, 0, 1}, 0, 0, 0}, {{-inf, 0, 0, 1}, 0, 0, 0, 1}, {{0, 0, 1, 0}, 0.04332169878499658, kFree, kFree}}, 4},
    {"softmax_cross_entropy_smoothed", "softmax_cross_entropy_smoothed(0.1)(z, 0), 3 classes", 3, [](X x) { return softmax_cross_entropy_smoothed()(row(x), label_0(x)); }, smoothed_of,
     {4, "1", one}, {4, "1", one}, {4, "1", one}, "all", no_overflow},
    {"triplet_loss", "triplet_loss(a, p, n)", 3, [](X x) { return triplet_loss(expand_dims(x[0], 1), expand_dims(x[1], 1), expand_dims(x[2], 1)); }, [](O o) { return max(triplet_of(o), 0); },
     {4, "|a - p|^2 + |a - n|^2 + 1", triplet_size}, {2, "2 (|a - p| + |a - n|)", triplet_slope}, {0}, "no overflow", off_triplet, {{{0, 0, 1}, 0, 0, 0}, {{0, 0, 0}, 1, 0, 0}}, 3},
  };
}

std::vector<FunctionRow> loss_rows() {
  return {
    {"mse", "mse(p, t), 2 features", 4, [](X x) { return loss_of(mse, x); }, [](O o) { return 0.5 * (distance(o, 0) * distance(o, 0) + distance(o, 1) * distance(o, 1)); },
     {2.5}, {0.5}, {0}, "max |p - t| < 1e18", apart, {{{1, 1, 1, 1}, 0, 0, 1}}},
    {"mae", "mae(p, t), 2 features", 4, [](X x) { return loss_of(mae, x); }, [](O o) { return 0.5 * (distance(o, 0) + distance(o, 1)); },
     {1.5}, {0}, {0}, "no overflow", apart, {{{1, 1, 1, 1}, 0, 0, 0}, {{inf, 0, 1, 1}, inf, 0.5, 0}}},
    {"huber", "huber(1)(p, t), 2 features", 4, [](X x) { return loss_of(huber(), x); }, [](O o) { return 0.5 * (huber_of(distance(o, 0)) + huber_of(distance(o, 1))); },
     {3}, {1}, {0}, "no overflow", [](P x) { return apart(x) && std::abs(std::abs(x[0] - x[1]) - 1) > 1e-5 && std::abs(std::abs(x[2] - x[3]) - 1) > 1e-5; },
     {{{1, 1, 1, 1}, 0, 0, 0.5}, {{inf, 0, 1, 1}, inf, 0.5, 0}, {{1, 0, 1, 1}, 0.25, 0.5, kFree}}},
    {"softmax_cross_entropy", "softmax_cross_entropy(z, 0), 3 classes", 3, [](X x) { return softmax_cross_entropy(row(x), label_0(x)); }, [](O o) { return logsumexp_of(o, 3) - o[0]; },
     {4, "1", one}, {4, "1", one}, {4, "1", one}, "all", no_overflow,
     {{{0, -inf, 0}, 0.69314718055994530942, -0.5, 0.25}, {{0, -inf, 0}, 0.69314718055994530942, 0, 0, 1}, {{-inf, 0, 0}, inf, -1, 0}, {{0, -inf, -inf}, 0, 0, 0}, {{-inf, -inf, -inf}, nan, nan, nan}}},
    {"sparse_cross_entropy", "sparse_cross_entropy(p, 0), 2 classes", 2, [](X x) { return sparse_cross_entropy(row(x), label_0(x)); }, [](O o) { return -log(clipped(o, o[0])); },
     {1.5}, {1}, {2}, "0 <= p <= 1", targets, {{{0, 1}, 16.11809565095832, 0, 0}}},
    {"categorical_cross_entropy_with_logits", "categorical_cross_entropy_with_logits(z, t), 2 classes", 4,
     [](X x) { return categorical_cross_entropy_with_logits(columns(x, 0, 2), columns(x, 2, 2)); },
     [](O o) { return o[2] * (logsumexp_of(o, 2) - o[0]) + o[3] * (logsumexp_of(o, 2) - o[1]); },
     {4, "sum t", target_sum}, {4, "1", one}, {4, "1", one}, "0 <= t <= 1", logits_2,
     {{{-inf, 0, 0, 1}, 0, 0, 0}, {{-inf, 0, 0, 1}, 0, 0, 0, 1}, {{-inf, 0, 1, 0}, inf, -1, 0}}, 2},
    {"categorical_cross_entropy", "categorical_cross_entropy(p, t), 2 classes", 4,
     [](X x) { return categorical_cross_entropy(columns(x, 0, 2), columns(x, 2, 2)); },
     [](O o) { const Jet s = o[0] + o[1]; return -(o[2] * log(clipped(o, o[0] / s)) + o[3] * log(clipped(o, o[1] / s))); },
     {4, "sum t", target_sum}, {4, "1 / p^2", [](O o) { return 1 / (o[0].v * o[0].v); }}, {5, "1 / p^2", [](O o) { return 1 / (o[0].v * o[0].v); }}, "0 <= p, t <= 1, sum p > 0", probabilities_2},
    {"binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits(z, t)", 2,
     [](X x) { return binary_cross_entropy_with_logits(expand_dims(x[0], 1), expand_dims(x[1], 1)); }, bce_logits,
     {6}, {6, "its terms", [](O o) { return o[0].d == 1 ? o[1].v * sigmoid(-o[0].v) + (1 - o[1].v) * sigmoid(o[0].v) : softplus(o[0]).v + softplus(-o[0]).v; }}, {8}, "0 <= t <= 1",
     [](P x) { return targets(x.subspan(1)) && no_overflow(x); },
     {{{-inf, 0}, 0, 0, 0}, {{inf, 1}, 0, 0, 0}, {{inf, 0}, inf, 1, 0}, {{-inf, 1}, inf, -1, 0}, {{0, 0.25}, 0.69314718055994530942, 0.25, 0.25}}, 2},
    {"binary_cross_entropy", "binary_cross_entropy(p, t)", 2,
     [](X x) { return binary_cross_entropy(expand_dims(x[0], 1), expand_dims(x[1], 1)); },
     [](O o) { const Jet q = clipped(o, o[0]); return -(o[1] * log(q) + (1 - o[1]) * log1p(-q)); },
     {6}, {6, "its terms", [](O o) { const Jet q = clipped(o, o[0]); return o[0].d == 1 ? o[1].v / q.v + (1 - o[1].v) / (1 - q.v) : -(log(q) + log1p(-q)).v; }}, {8}, "0 <= p, t <= 1", targets},
  };
}
// clang-format on

}  // namespace

std::vector<FunctionRow> row_rows() {
  std::vector<FunctionRow> rows = reduction_rows();
  for (FunctionRow& r : loss_rows()) rows.push_back(std::move(r));
  for (FunctionRow& r : further_loss_rows()) rows.push_back(std::move(r));
  return rows;
}

}  // namespace weft::test

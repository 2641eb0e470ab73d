// Rows of the function table: elementwise functions and activations.
#include "function_table.h"

namespace weft::test {
namespace {

using X = const std::vector<Tensor>&;
using O = const Operands&;
using P = std::span<const double>;

constexpr double inf = HUGE_VAL;
const double nan = std::nan("");

// Quantities that errors are measured by; c = 1 - s.
Real one(O) { return 1; }
Real size(O o) { return abs(o[0].v); }
Real square_and_one(O o) { return 1 + o[0].v * o[0].v; }
Real sigmoid_slope(O o) { return sigmoid(o[0].v) * sigmoid(-o[0].v); }
Real silu_slope(O o) { return sigmoid(o[0].v) * (1 + abs(o[0].v) * sigmoid(-o[0].v)); }
Real silu_curve(O o) { return sigmoid_slope(o) * (2 + abs(o[0].v)); }
Real erf_slope(O o) { return square_and_one(o) * exp(-o[0].v * o[0].v); }
Real erf_curve(O o) { return 2 * abs(o[0].v) * erf_slope(o); }
Real gelu_curve(O o) { return square_and_one(o) * square_and_one(o) * exp(-o[0].v * o[0].v / 2); }

/// |d/dx x^y| and its derivative without the cancellation in y - 1, times the error that y - 1 puts on a power of x.
Real power_slope(O o) {
  if (o[1].d == 1) return 0;
  return abs(o[1].v) * (1 + abs(log(o[0].v))) * pow(o[0], o[1].v.to_double() - 1).v;
}
Real power_curve(O o) {
  if (o[1].d == 1) return 0;
  return abs(o[1].v) * (1 + abs(o[1].v)) * (1 + abs(log(o[0].v))) * pow(o[0], o[1].v.to_double() - 2).v;
}

Real cosh_size(O o) { return cosh(o[0].v); }
Real asinh_curve(O o) { return 1 / square_and_one(o); }
Real atanh_curve(O o) {
  const Real r = 1 / ((1 - o[0].v) * (1 + o[0].v));
  return square_and_one(o) * r * r;
}
/// 1 / (x^2 + y^2) and its root.
Real distance_slope(O o) { return 1 / sqrt(o[0].v * o[0].v + o[1].v * o[1].v); }
Real distance_curve(O o) { return distance_slope(o) * distance_slope(o); }
/// Not where e^|x| overflows in f32 or f64 and cosh x does not.
bool off_overflow(P x) {
  const double a = std::abs(x[0]);
  return !(a > 88.7 && a < 89.5) && !(a > 709.7 && a < 710.5);
}
bool inside(P x) { return std::abs(x[0]) < 1; }
bool moderate(P x) {
  for (double v : x)
    if (!(std::abs(v) >= 1e-9 && std::abs(v) <= 1e9)) return false;
  return true;
}
/// A quotient whose floor is one number, not one or the next.
bool moderate_quotient(P x) { return moderate(x) && std::abs(x[0] / x[1]) < 0x1p22; }

Jet normal(const Jet& x) { return 0.5 * erfc(-x / sqrt(Jet(2))); }

/// The argument of gelu_tanh's sigmoid.
Jet gate(const Jet& x) { return 2 * sqrt(Jet(2 / pi())) * (x + Jet(Real(44715) / 1000000) * x * x * x); }
Real gate_size(O o) { return 1 + abs(gate(o[0]).v); }
Real gated_value(O o) {
  const Real w = gate(o[0]).v;
  return abs(o[0].v) * sigmoid(w) * (1 + sigmoid(-w) * abs(w));
}
Real gated_slope(O o) {
  const Real w = gate(o[0]).v;
  return sigmoid(w) * (1 + sigmoid(-w) * gate_size(o) * gate_size(o));
}
Real gated_curve(O o) {
  const Real w = gate(o[0]).v, size = gate_size(o);
  return sigmoid(w) * sigmoid(-w) * size * size * size;
}

/// The argument of mish's sigmoid.
Jet mish_gate(const Jet& x) { return x + softplus(x - log(Jet(2))); }
Real mish_value(O o) {
  const Real w = mish_gate(o[0]).v;
  return abs(o[0].v) * sigmoid(w) * (1 + sigmoid(-w) * abs(w));
}
Real mish_slope(O o) {
  const Real w = mish_gate(o[0]).v, size = 1 + abs(w);
  return sigmoid(w) * (1 + sigmoid(-w) * size * size);
}
Real mish_curve(O o) {
  const Real w = mish_gate(o[0]).v, size = 1 + abs(w);
  return sigmoid(w) * sigmoid(-w) * size * size * size;
}

// clang-format off
std::vector<FunctionRow> primitive_rows() {
  return {
    {"abs", "abs(x)", 1, [](X x) { return abs(x[0]); }, [](O o) { return abs(o[0]); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 0, 0}, {{-0.0}, 0, 0, 0}, {{inf}, inf, 1, 0}, {{-inf}, inf, -1, 0}}},
    {"sign", "sign(x)", 1, [](X x) { return sign(x[0]); }, [](O o) { return Jet(0 < o[0] ? 1 : -1); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 0, 0}, {{inf}, 1, 0, 0}, {{-inf}, -1, 0, 0}}},
    {"floor", "floor(x)", 1, [](X x) { return floor(x[0]); }, [](O o) { return Jet(std::floor(o[0].v.to_double())); }, {0}, {0}, {0}, "all", nullptr,
     {{{inf}, inf, 0, 0}, {{-inf}, -inf, 0, 0}}},
    {"ceil", "ceil(x)", 1, [](X x) { return ceil(x[0]); }, [](O o) { return Jet(std::ceil(o[0].v.to_double())); }, {0}, {0}, {0}, "all", nullptr,
     {{{inf}, inf, 0, 0}, {{-inf}, -inf, 0, 0}}},
    {"round", "round(x)", 1, [](X x) { return round(x[0]); }, [](O o) { return Jet(std::nearbyint(o[0].v.to_double())); }, {0}, {0}, {0}, "all", nullptr,
     {{{0.5}, 0, 0, 0}, {{1.5}, 2, 0, 0}, {{inf}, inf, 0, 0}, {{-inf}, -inf, 0, 0}}},
    {"sqrt", "sqrt(x)", 1, [](X x) { return sqrt(x[0]); }, [](O o) { return sqrt(o[0]); }, {0.5}, {1.5}, {4.5}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, 0, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, nan, nan, nan}}},
    {"rsqrt", "rsqrt(x)", 1, [](X x) { return rsqrt(x[0]); }, [](O o) { return 1 / sqrt(o[0]); }, {1.5}, {4.5}, {7.5}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, inf, -inf, inf}, {{inf}, 0, 0, 0}, {{-inf}, nan, nan, nan}}},
    {"square", "square(x)", 1, [](X x) { return square(x[0]); }, [](O o) { return o[0] * o[0]; }, {0.5}, {0}, {0}, "all", nullptr,
     {{{inf}, inf, inf, 2}, {{-inf}, inf, -inf, 2}}},
    {"reciprocal", "reciprocal(x)", 1, [](X x) { return reciprocal(x[0]); }, [](O o) { return 1 / o[0]; }, {0.5}, {2}, {3}, "x != 0",
     [](P x) { return x[0] != 0; }, {{{inf}, 0, 0, 0}, {{-inf}, 0, 0, 0}, {{0}, inf, -inf, inf}}},
    {"exp", "exp(x)", 1, [](X x) { return exp(x[0]); }, [](O o) { return exp(o[0]); }, {1}, {1}, {1}, "all", nullptr,
     {{{inf}, inf, inf, inf}, {{-inf}, 0, 0, 0}}},
    {"expm1", "expm1(x)", 1, [](X x) { return expm1(x[0]); }, [](O o) { return expm1(o[0]); }, {1.8}, {1}, {1}, "all", nullptr,
     {{{inf}, inf, inf, inf}, {{-inf}, -1, 0, 0}}},
    {"log", "log(x)", 1, [](X x) { return log(x[0]); }, [](O o) { return log(o[0]); }, {1.3}, {0.5}, {2}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, -inf, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, nan, kFree, kFree}}},
    {"log1p", "log1p(x)", 1, [](X x) { return log1p(x[0]); }, [](O o) { return log1p(o[0]); }, {1.8}, {2}, {4}, "x >= -1",
     [](P x) { return x[0] > -1; }, {{{-1}, -inf, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, nan, kFree, kFree}}},
    {"sin", "sin(x)", 1, [](X x) { return sin(x[0]); }, [](O o) { return sin(o[0]); }, {1.6}, {1.6}, {1.6}, "finite", nullptr,
     {{{inf}, nan, nan, nan}, {{-inf}, nan, nan, nan}}},
    {"cos", "cos(x)", 1, [](X x) { return cos(x[0]); }, [](O o) { return cos(o[0]); }, {1.6}, {1.6}, {1.6}, "finite", nullptr,
     {{{inf}, nan, nan, nan}, {{-inf}, nan, nan, nan}}},
    {"atan", "atan(x)", 1, [](X x) { return atan(x[0]); }, [](O o) { return atan(o[0]); }, {2.2}, {4}, {8}, "all", nullptr,
     {{{inf}, 1.57079632679489661923, 0, 0}, {{-inf}, -1.57079632679489661923, 0, 0}, {{1}, 0.78539816339744830962, 0.5, -0.5}, {{0}, 0, 1, 0}}},
    {"tanh", "tanh(x)", 1, [](X x) { return tanh(x[0]); }, [](O o) { return tanh(o[0]); }, {2.1}, {1.5, "1", one}, {2.5, "1", one}, "all", nullptr,
     {{{inf}, 1, 0, 0}, {{-inf}, -1, 0, 0}}},
    {"erf", "erf(x)", 1, [](X x) { return erf(x[0]); }, [](O o) { return erf(o[0]); }, {1.3}, {3, "(1 + x^2) e^(-x^2)", erf_slope}, {3, "2 |x| (1 + x^2) e^(-x^2)", erf_curve}, "all", nullptr,
     {{{inf}, 1, 0, 0}, {{-inf}, -1, 0, 0}}, 6},
    {"pow", "pow(x, 2)", 1, [](X x) { return pow(x[0], 2); }, [](O o) { return o[0] * o[0]; }, {0.5}, {0}, {0}, "all", nullptr,
     {{{inf}, inf, inf, 2}, {{-inf}, inf, -inf, 2}, {{0}, 0, 0, 2}}},
    {"pow", "pow(x, 3)", 1, [](X x) { return pow(x[0], 3); }, [](O o) { return o[0] * o[0] * o[0]; }, {1.5}, {1.5}, {1}, "all", nullptr,
     {{{inf}, inf, inf, inf}, {{-inf}, -inf, inf, -inf}, {{0}, 0, 0, 0}}, 2},
    {"pow", "pow(x, -1)", 1, [](X x) { return pow(x[0], -1); }, [](O o) { return 1 / o[0]; }, {0.5}, {2}, {3}, "x != 0",
     [](P x) { return x[0] != 0; }, {{{inf}, 0, 0, 0}, {{-inf}, 0, 0, 0}}},
    {"pow", "pow(x, 0.5)", 1, [](X x) { return pow(x[0], 0.5); }, [](O o) { return sqrt(o[0]); }, {0.5}, {1.5}, {4.5}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, 0, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, kFree, kFree, kFree}}},
    {"pow", "pow(x, 2.5)", 1, [](X x) { return pow(x[0], 2.5); }, [](O o) { return pow(o[0], 2.5); }, {0.7}, {1.5}, {3}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, 0, 0, 0}, {{inf}, inf, inf, inf}, {{-inf}, kFree, kFree, kFree}}, 3},
    {"pow", "pow(x, y)", 2, [](X x) { return pow(x[0], x[1]); }, [](O o) { return o[1].d == 1 ? exp(o[1] * log(o[0])) : pow(o[0], o[1].v.to_double()); },
     {0.7}, {3, "(1 + |log x|) y x^(y-1)", power_slope}, {5, "(1 + |log x|) y (1 + y) x^(y-2)", power_curve}, "x > 0, y != 0, 1; partial results neither overflow nor underflow",
     [](P x) { return x[0] > 1e-9 && x[0] < 1e9 && std::abs(x[1]) < 3 && std::abs(x[1]) > 1e-3 && x[1] != 1; },
     {{{0, 0}, 1, 0, 0}, {{-2, 2}, 4, -4, 2}, {{-2, 3}, -8, 12, -12}, {{0, 2}, 0, 0, 2}, {{-2, 0.5}, nan, nan, nan}, {{2, 0}, 1, 0, 0}}},
    {"maximum", "maximum(x, y)", 2, [](X x) { return maximum(x[0], x[1]); }, [](O o) { return max(o[0], o[1]); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != x[1]; },
     {{{1, 1}, 1, 0.5, 0}, {{1, 1}, 1, 0.5, 0, 1}, {{inf, inf}, inf, 0.5, 0}, {{-inf, 0}, 0, 0, 0}, {{-inf, 0}, 0, 1, 0, 1}}},
    {"minimum", "minimum(x, y)", 2, [](X x) { return minimum(x[0], x[1]); }, [](O o) { return min(o[0], o[1]); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != x[1]; },
     {{{1, 1}, 1, 0.5, 0}, {{1, 1}, 1, 0.5, 0, 1}, {{-inf, -inf}, -inf, 0.5, 0}, {{inf, 0}, 0, 0, 0}, {{inf, 0}, 0, 1, 0, 1}}},
    {"clip", "clip(x, -1, 1.5)", 1, [](X x) { return clip(x[0], -1, 1.5); }, [](O o) { return min(max(o[0], -1), 1.5); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != -1 && x[0] != 1.5; },
     {{{-1}, -1, 0.5, 0}, {{1.5}, 1.5, 0.5, 0}, {{inf}, 1.5, 0, 0}, {{-inf}, -1, 0, 0}}},
    {"fma", "fma(x, y, z)", 3, [](X x) { return fma(x[0], x[1], x[2]); }, [](O o) { return o[0] * o[1] + o[2]; }, {0.5}, {0}, {0}, "all"},
  };
}

std::vector<FunctionRow> composed_rows() {
  return {
    {"trunc", "trunc(x)", 1, [](X x) { return trunc(x[0]); }, [](O o) { return Jet(std::trunc(o[0].v.to_double())); }, {0}, {0}, {0}, "all", nullptr,
     {{{0.5}, 0, 0, 0}, {{-1.5}, -1, 0, 0}, {{inf}, inf, 0, 0}, {{-inf}, -inf, 0, 0}}},
    {"cbrt", "cbrt(x)", 1, [](X x) { return cbrt(x[0]); }, [](O o) { return cbrt(o[0]); }, {2}, {3}, {6}, "x^(-5/3) does not overflow",
     [](P x) { return std::abs(x[0]) > 1e-22; }, {{{0}, 0, inf, -inf}, {{1e-37}, 4.6415888336127792e-13, 1.5471962778709264e+24, kFree}, {{inf}, inf, 0, 0}, {{-inf}, -inf, 0, 0}, {{-8}, -2, 1.0 / 12, 1.0 / 144}}, 1},
    {"hypot", "hypot(x, y)", 2, [](X x) { return hypot(x[0], x[1]); }, [](O o) { return sqrt(o[0] * o[0] + o[1] * o[1]); },
     {2}, {3, "1", one}, {10, "1 / sqrt(x^2 + y^2)", distance_slope}, "partial results of derivatives neither overflow nor underflow", moderate,
     {{{0, 0}, 0, 0, kFree}, {{inf, 1}, inf, 1, 0}, {{inf, 1}, inf, 0, 0, 1}, {{1, -inf}, inf, 0, 0}, {{nan, inf}, inf, kFree, kFree}, {{3, 4}, 5, 0.6, 0.128}, {{1, 1}, 1.4142135623730951, 0.7071067811865476, 0.35355339059327379}, {{2e38, -1e38}, 2.23606797749979e38, 0.894427190999916, kFree}, {{3e-38, 4e-38}, 5e-38, 0.6, kFree}}},
    {"exp2", "exp2(x)", 1, [](X x) { return exp2(x[0]); }, [](O o) { return exp2(o[0]); }, {0.7}, {2}, {3}, "all", nullptr,
     {{{inf}, inf, inf, inf}, {{-inf}, 0, 0, 0}, {{10}, 1024, kFree, kFree}}},
    {"log2", "log2(x)", 1, [](X x) { return log2(x[0]); }, [](O o) { return log(o[0]) / log(Jet(2)); }, {2}, {1}, {3}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, -inf, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, nan, kFree, kFree}, {{1}, 0, kFree, kFree}}},
    {"log10", "log10(x)", 1, [](X x) { return log10(x[0]); }, [](O o) { return log(o[0]) / log(Jet(10)); }, {3}, {2.5}, {4}, "x >= 0",
     [](P x) { return x[0] > 0; }, {{{0}, -inf, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, nan, kFree, kFree}, {{1}, 0, kFree, kFree}}},
    {"tan", "tan(x)", 1, [](X x) { return tan(x[0]); }, [](O o) { return tan(o[0]); }, {3.5}, {5.5}, {8.5}, "finite", nullptr,
     {{{inf}, nan, nan, nan}, {{-inf}, nan, nan, nan}}},
    {"asin", "asin(x)", 1, [](X x) { return asin(x[0]); }, [](O o) { return asin(o[0]); }, {4}, {3.5}, {8.5}, "|x| <= 1", inside,
     {{{1}, 1.57079632679489661923, inf, inf}, {{-1}, -1.57079632679489661923, inf, -inf}, {{0}, 0, 1, 0}, {{inf}, nan, nan, nan}, {{-inf}, nan, nan, nan}, {{1.5}, nan, nan, nan}}, 3},
    {"acos", "acos(x)", 1, [](X x) { return acos(x[0]); }, [](O o) { return acos(o[0]); }, {3}, {3.5}, {8.5}, "|x| <= 1", inside,
     {{{1}, 0, -inf, -inf}, {{-1}, 3.14159265358979323846, -inf, inf}, {{0}, 1.57079632679489661923, -1, 0}, {{inf}, nan, nan, nan}, {{-inf}, nan, nan, nan}, {{-1.5}, nan, nan, nan}}, 3},
    {"atan2", "atan2(y, x)", 2, [](X x) { return atan2(x[0], x[1]); }, [](O o) { return atan2(o[0], o[1]); },
     {2.5}, {2.5, "1 / sqrt(x^2 + y^2)", distance_slope}, {5, "1 / (x^2 + y^2)", distance_curve}, "partial results of derivatives neither overflow nor underflow", moderate,
     {{{0, 1}, 0, 1, 0}, {{0, -1}, 3.14159265358979323846, -1, 0}, {{-0.0, -1}, -3.14159265358979323846, -1, 0}, {{0, 0}, 0, kFree, kFree}, {{0, -0.0}, 3.14159265358979323846, kFree, kFree}, {{-0.0, -0.0}, -3.14159265358979323846, kFree, kFree},
      {{1, 0}, 1.57079632679489661923, 0, 0}, {{1, 0}, 1.57079632679489661923, -1, 0, 1}, {{-1, 0}, -1.57079632679489661923, 0, 0}, {{1, 1}, 0.78539816339744830962, 0.5, -0.5}, {{1, 1}, 0.78539816339744830962, -0.5, 0.5, 1},
      {{inf, inf}, 0.78539816339744830962, 0, 0}, {{inf, -inf}, 2.35619449019234492885, 0, 0}, {{-inf, -inf}, -2.35619449019234492885, 0, 0}, {{1, inf}, 0, 0, 0}, {{-1, -inf}, -3.14159265358979323846, 0, 0}, {{inf, 1}, 1.57079632679489661923, 0, 0}, {{nan, 1}, nan, kFree, kFree}, {{1, nan}, nan, kFree, kFree}}},
    {"sinh", "sinh(x)", 1, [](X x) { return sinh(x[0]); }, [](O o) { return sinh(o[0]); }, {4}, {3.5}, {3.5, "cosh x", cosh_size}, "derivatives: e^|x| does not overflow, or they do", off_overflow,
     {{{inf}, inf, inf, inf}, {{-inf}, -inf, inf, -inf}, {{0}, 0, 1, 0}}, 1},
    {"cosh", "cosh(x)", 1, [](X x) { return cosh(x[0]); }, [](O o) { return cosh(o[0]); }, {4}, {3.5}, {3.5}, "derivatives: e^|x| does not overflow, or they do", off_overflow,
     {{{inf}, inf, inf, inf}, {{-inf}, inf, -inf, inf}, {{0}, 1, 0, 1}}, 1},
    {"asinh", "asinh(x)", 1, [](X x) { return asinh(x[0]); }, [](O o) { return asinh(o[0]); }, {2.5}, {4.5}, {10, "1 / (1 + x^2)", asinh_curve}, "all", nullptr,
     {{{inf}, inf, 0, 0}, {{-inf}, -inf, 0, 0}, {{0}, 0, 1, 0}}},
    {"acosh", "acosh(x)", 1, [](X x) { return acosh(x[0]); }, [](O o) { return acosh(o[0]); }, {3}, {4.5}, {8}, "x >= 1",
     [](P x) { return x[0] > 1; }, {{{1}, 0, inf, -inf}, {{inf}, inf, 0, 0}, {{-inf}, nan, nan, nan}, {{0.5}, nan, nan, nan}}},
    {"atanh", "atanh(x)", 1, [](X x) { return atanh(x[0]); }, [](O o) { return atanh(o[0]); }, {2}, {1.5}, {4, "(1 + x^2) / (1 - x^2)^2", atanh_curve}, "|x| <= 1", inside,
     {{{1}, inf, inf, inf}, {{-1}, -inf, inf, -inf}, {{0}, 0, 1, 0}, {{inf}, nan, kFree, kFree}, {{-inf}, nan, kFree, kFree}}},
    {"floor_divide", "floor_divide(x, y)", 2, [](X x) { return floor_divide(x[0], x[1]); }, [](O o) { return Jet(floor(o[0].v / o[1].v)); }, {0}, {0}, {0}, "|x / y| < 2^22", moderate_quotient,
     {{{-7, 2}, -4, 0, 0}, {{7, -2}, -4, 0, 0}, {{1, 0}, inf, 0, 0}, {{0, 0}, nan, kFree, kFree}, {{-1, inf}, -1, 0, 0}, {{1, inf}, 0, 0, 0}}},
    {"floor_mod", "floor_mod(x, y)", 2, [](X x) { return floor_mod(x[0], x[1]); }, [](O o) { return o[0] - Jet(floor(o[0].v / o[1].v)) * o[1]; }, {0.5}, {0}, {0}, "|x / y| < 2^22", moderate_quotient,
     {{{-7, 2}, 1, 1, 0}, {{-7, 2}, 1, 4, 0, 1}, {{7, -2}, -1, 1, 0}, {{1, 0}, nan, kFree, kFree}, {{-1, inf}, inf, kFree, kFree}, {{1, inf}, 1, 1, 0}, {{inf, 2}, nan, kFree, kFree}}},
  };
}

std::vector<FunctionRow> activation_rows() {
  return {
    {"relu", "relu(x)", 1, [](X x) { return relu(x[0]); }, [](O o) { return max(o[0], 0); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 0, 0}, {{-0.0}, 0, 0, 0}, {{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}}},
    {"leaky_relu", "leaky_relu(x, 0.25)", 1, [](X x) { return leaky_relu(x[0], 0.25); }, [](O o) { return o[0] < 0 ? 0.25 * o[0] : o[0]; }, {0.5}, {0}, {0}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 1, 0}, {{inf}, inf, 1, 0}, {{-inf}, -inf, 0.25, 0}}},
    {"elu", "elu(x)", 1, [](X x) { return elu(x[0]); }, [](O o) { return o[0] < 0 ? expm1(o[0]) : o[0]; }, {1.8}, {1}, {1}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 1, 1}, {{inf}, inf, 1, 0}, {{-inf}, -1, 0, 0}}},
    {"elu", "elu(x, 0.5)", 1, [](X x) { return elu(x[0], 0.5); }, [](O o) { return o[0] < 0 ? 0.5 * expm1(o[0]) : o[0]; }, {1.8}, {1}, {1}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 0.5, 0.5}, {{inf}, inf, 1, 0}, {{-inf}, -0.5, 0, 0}}},
    {"relu6", "relu6(x)", 1, [](X x) { return relu6(x[0]); }, [](O o) { return min(max(o[0], 0), 6); }, {0}, {0}, {0}, "all",
     [](P x) { return x[0] != 0 && x[0] != 6; }, {{{0}, 0, 0, 0}, {{6}, 6, 0, 0}, {{inf}, 6, 0, 0}, {{-inf}, 0, 0, 0}}},
    {"celu", "celu(x, 0.5)", 1, [](X x) { return celu(x[0], 0.5); }, [](O o) { return o[0] < 0 ? 0.5 * expm1(2 * o[0]) : o[0]; }, {1.8}, {1}, {1}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 1, 2}, {{inf}, inf, 1, 0}, {{-inf}, -0.5, 0, 0}}, 2},
    {"selu", "selu(x)", 1, [](X x) { return selu(x[0]); }, [](O o) { return o[0] < 0 ? Jet(1.0507009873554805) * Jet(1.6732632423543772) * expm1(o[0]) : Jet(1.0507009873554805) * o[0]; }, {2}, {2}, {2}, "all",
     [](P x) { return x[0] != 0; }, {{{inf}, inf, 1.0507009873554805, 0}, {{-inf}, -1.7580993408473766, 0, 0}}, 1},
    {"hard_tanh", "hard_tanh(x)", 1, [](X x) { return hard_tanh(x[0]); }, [](O o) { return min(max(o[0], -1), 1); }, {0}, {0}, {0}, "all",
     [](P x) { return std::abs(x[0]) != 1; }, {{{1}, 1, 0.5, 0}, {{inf}, 1, 0, 0}, {{-inf}, -1, 0, 0}}},
    {"hard_sigmoid", "hard_sigmoid(x)", 1, [](X x) { return hard_sigmoid(x[0]); }, [](O o) { return min(max(o[0] + 3, 0), 6) / Jet(6); }, {1.5}, {0.5}, {0}, "all",
     [](P x) { return std::abs(std::abs(x[0]) - 3) > 1e-6; }, {{{3}, 1, 0, 0}, {{-3}, 0, 0, 0}, {{inf}, 1, 0, 0}, {{-inf}, 0, 0, 0}}},
    {"hard_swish", "hard_swish(x)", 1, [](X x) { return hard_swish(x[0]); }, [](O o) { return o[0] * min(max(o[0] + 3, 0), 6) / Jet(6); }, {2}, {1, "1", one}, {0.5}, "all",
     [](P x) { return std::abs(std::abs(x[0]) - 3) > 1e-6; }, {{{0}, 0, 0.5, 1.0 / 3}, {{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}}},
    {"softsign", "softsign(x)", 1, [](X x) { return softsign(x[0]); }, [](O o) { return abs(o[0]) < 1 ? o[0] / (1 + abs(o[0])) : 1 / (1 / o[0] + (o[0] < 0 ? -1 : 1)); }, {2}, {5}, {6}, "all",
     [](P x) { return x[0] != 0; }, {{{0}, 0, 1, 0}, {{inf}, 1, 0, 0}, {{-inf}, -1, 0, 0}}, 1},
    {"sigmoid", "sigmoid(x)", 1, [](X x) { return sigmoid(x[0]); }, [](O o) { return sigmoid(o[0]); }, {2.4}, {4}, {5.5, "s c", sigmoid_slope}, "all", nullptr,
     {{{inf}, 1, 0, 0}, {{-inf}, 0, 0, 0}}},
    {"log_sigmoid", "log_sigmoid(x)", 1, [](X x) { return log_sigmoid(x[0]); }, [](O o) { return -softplus(-o[0]); }, {2.2}, {2.4}, {4}, "all", nullptr,
     {{{inf}, 0, 0, 0}, {{-inf}, -inf, 1, 0}}},
    {"softplus", "softplus(x)", 1, [](X x) { return softplus(x[0]); }, [](O o) { return softplus(o[0]); }, {2.2}, {2.4}, {4}, "all", nullptr,
     {{{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}, {{0}, 0.69314718055994530942, 0.5, 0.25}}},
    {"silu", "silu(x)", 1, [](X x) { return silu(x[0]); }, [](O o) { return o[0] * sigmoid(o[0]); }, {3},
     {4, "s (1 + |x| c)", silu_slope}, {5, "s c (2 + |x|)", silu_curve}, "all", nullptr,
     {{{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}, {{0}, 0, 0.5, 0.5}}, 10},
    {"mish", "mish(x)", 1, [](X x) { return mish(x[0]); }, [](O o) { return o[0] * sigmoid(mish_gate(o[0])); },
     {2.5, "|x| s (1 + c |w|)", mish_value}, {2, "s (1 + c (1 + |w|)^2)", mish_slope}, {4, "s c (1 + |w|)^3", mish_curve}, "all", nullptr,
     {{{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}, {{0}, 0, 0.6, 0.64}}, 10},
    {"gelu", "gelu(x)", 1, [](X x) { return gelu(x[0]); }, [](O o) { return o[0] * normal(o[0]); }, {2, "|x|", size},
     {2, "1", one}, {2, "(1 + x^2)^2 e^(-x^2 / 2)", gelu_curve}, "all", nullptr,
     {{{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}, {{0}, 0, 0.5, 0.79788456080286535588}}, 7},
    {"gelu_tanh", "gelu_tanh(x)", 1, [](X x) { return gelu_tanh(x[0]); }, [](O o) { return o[0] * sigmoid(gate(o[0])); },
     {3, "|x| s (1 + c |w|)", gated_value}, {7, "s (1 + c (1 + |w|)^2)", gated_slope}, {5, "s c (1 + |w|)^3", gated_curve}, "all", nullptr,
     {{{inf}, inf, 1, 0}, {{-inf}, 0, 0, 0}, {{0}, 0, 0.5, 0.79788456080286535588}}, 19},
  };
}
// clang-format on

}  // namespace

std::vector<FunctionRow> elementwise_rows() {
  std::vector<FunctionRow> rows = primitive_rows();
  for (FunctionRow& r : composed_rows()) rows.push_back(std::move(r));
  for (FunctionRow& r : activation_rows()) rows.push_back(std::move(r));
  return rows;
}

}  // namespace weft::test

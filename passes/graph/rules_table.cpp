// The rows of simplify: {name, pattern, replacement, condition, accuracy}. The language is described in rules.h. A rule
// lowers the cost of what it replaces, or brings two spellings to one; rules tried first come first. Rows whose class
// is not `exact` run only with Numerics::fast. tests/passes/graph/rules_test.cpp evaluates both sides of every row.
//
// What is exact is decided by the numerics contract: -0 and 0 differ, any NaN equals any NaN, and arithmetic (but not
// negation, selection or a copy) flushes subnormal operands to zero, so that x * 1 is x only where x is flushed
// already.
#include <algorithm>
#include <cmath>

#include "passes/graph/rules.h"
#include "passes/graph/rules_structure.h"

namespace weft {
namespace {

bool is_int(const Match& m) { return is_integer(m.type("x").dtype); }
bool is_fp(const Match& m) { return is_float(m.type("x").dtype); }
bool is_bool(const Match& m) { return m.type("x").dtype == boolean; }
bool not_fp(const Match& m) { return !is_fp(m); }
bool is_signed(const Match& m) { return m.type("x").dtype != u8; }

/// Whether the value cannot hold a subnormal: the last thing that was done to it is arithmetic, or it is copied from
/// such.
bool flushed(const Graph& g, ValueId id, int depth) {
  const Node& n = g[id];
  if (!is_float(n.type.dtype)) return true;
  if (n.op == Op::constant)
    return n.attrs.literal->size() == 1 &&
           (n.attrs.literal->at(0) == 0 || std::abs(n.attrs.literal->at(0)) >= 0x1p-126);
  const Subnormals subnormals = info(n.op).traits.subnormals;
  if (subnormals != Subnormals::kept) return subnormals == Subnormals::flushed;
  return depth > 0 && std::ranges::all_of(n.operands, [&](ValueId v) { return flushed(g, v, depth - 1); });
}
bool x_flushed(const Match& m) { return flushed(m.graph, m["x"], 4); }

bool power_of_two(double c) {
  int exponent;
  return std::abs(std::frexp(c, &exponent)) == 0.5;
}
/// 1 / c is exact, and it and c are normal numbers of the narrowest float type.
bool exact_reciprocal(const Match& m) {
  return is_fp(m) && power_of_two(m.value("c")) && std::abs(std::ilogb(m.value("c"))) <= 125;
}
bool moderate(double c) { return std::abs(c) > 0x1p-60 && std::abs(c) < 0x1p60; }
bool near_reciprocal(const Match& m) { return is_fp(m) && moderate(m.value("c")); }
bool moderate_factors(const Match& m) { return is_fp(m) && moderate(m.value("c")) && moderate(m.value("d")); }

/// convert(convert@u(x)): every value of x survives the first step, and the second treats it as it would treat x.
bool first_step_lossless(const Match& m) {
  const DType from = m.type("x").dtype, mid = m.type("u").dtype, to = m.graph[m.root].type.dtype;
  auto bits = [](DType t) {
    return t == boolean ? 1 : t == u8 ? 8 : t == f32 ? 24 : t == i32 ? 31 : t == f64 ? 53 : 63;
  };
  if (is_float(from)) return from == f32 && mid == f64 && (to != f32 || x_flushed(m));
  if (mid == boolean || bits(mid) < bits(from) || (mid == u8 && from != boolean)) return false;
  // float to integer saturates where integer to integer wraps
  if (is_float(mid) && is_integer(to)) return bits(to) >= bits(from);
  return true;
}

using enum Accuracy::Class;
namespace s = structure;

// clang-format off
constexpr RuleRow kRows[] = {
  // negation and identities of arithmetic
  {"neg_neg",            "neg(neg(x))",                "x"},
  {"mul_one",            "mul(x, 1)",                  "x",                    x_flushed},
  {"div_one",            "div(x, 1)",                  "x",                    x_flushed},
  {"add_minus_zero",     "add(x, -0)",                 "x",                    x_flushed},
  {"sub_zero",           "sub(x, 0)",                  "x",                    x_flushed},
  {"minus_zero_sub",     "sub(-0, x)",                 "neg(x)",               x_flushed},
  {"mul_minus_one",      "mul(x, -1)",                 "neg(x)",               x_flushed},
  {"div_minus_one",      "div(x, -1)",                 "neg(x)",               x_flushed},
  {"add_neg",            "add(x, neg(y))",             "sub(x, y)"},
  {"sub_neg",            "sub(x, neg(y))",             "add(x, y)"},
  {"mul_neg_neg",        "mul(neg(x), neg(y))",        "mul(x, y)"},
  {"div_neg_neg",        "div(neg(x), neg(y))",        "div(x, y)",            is_fp},
  {"mul_neg",            "mul(neg(x), y)",             "neg(mul(x, y))"},
  {"div_neg",            "div(neg(x), y)",             "neg(div(x, y))",       is_fp},
  {"div_by_neg",         "div(x, neg(y))",             "neg(div(x, y))",       is_fp},
  {"neg_mul_constant",   "neg(mul(x, $c))",            "mul(x, neg($c))"},
  {"neg_div_constant",   "neg(div(x, $c))",            "div(x, neg($c))",      is_fp},
  {"neg_constant_div",   "neg(div($c, x))",            "div(neg($c), x)",      is_fp},
  {"neg_sub_int",        "neg(sub(x, y))",             "sub(y, x)",            is_int},
  {"sub_self_int",       "sub(x, x)",                  "0",                    is_int},
  {"mul_zero_int",       "mul(x, 0)",                  "0",                    is_int},
  {"zero_div_int",       "div(0, x)",                  "0",                    is_int},
  {"rem_one",            "rem(x, 1)",                  "0"},
  {"add_constants_int",  "add(add(x, $c), $d)",        "add(x, add($c, $d))",  is_int},
  {"mul_constants_int",  "mul(mul(x, $c), $d)",        "mul(x, mul($c, $d))",  is_int},
  {"div_power_of_two",   "div(x, $c)",                 "mul(x, div(1, $c))",   exact_reciprocal},
  {"abs_neg",            "abs(neg(x))",                "abs(x)",               is_signed},
  {"abs_abs",            "abs(abs(x))",                "abs(x)"},
  {"abs_square",         "abs(mul(x, x))",             "mul(x, x)",            is_fp},
  {"fma_one",            "fma(x, 1, y)",               "add(x, y)"},
  {"fma_minus_one",      "fma(x, -1, y)",              "sub(y, x)"},
  {"fma_neg_neg",        "fma(neg(x), neg(y), w)",     "fma(x, y, w)"},
  {"fma_minus_zero",     "fma(x, y, -0)",              "mul(x, y)"},

  // extremes
  {"max_self",           "max(x, x)",                  "x"},
  {"min_self",           "min(x, x)",                  "x"},
  {"max_max",            "max(max(x, y), y)",          "max(x, y)"},
  {"min_min",            "min(min(x, y), y)",          "min(x, y)"},
  {"max_lowest",         "max(x, -inf)",               "x"},
  {"lowest_max",         "max(-inf, x)",               "x"},
  {"min_highest",        "min(x, inf)",                "x"},
  {"highest_min",        "min(inf, x)",                "x"},
  {"relu",               "select(gt(max(x, y), y), x, max(x, y))", "max(x, y)"},

  // selection, comparison, bits
  {"select_true",        "select(1, x, y)",            "x"},
  {"select_false",       "select(0, x, y)",            "y"},
  {"select_same",        "select(p, x, x)",            "x"},
  {"select_not",         "select(not(p), x, y)",       "select(p, y, x)"},
  {"select_inner_true",  "select(p, select(p, x, y), w)", "select(p, x, w)"},
  {"select_inner_false", "select(p, x, select(p, y, w))", "select(p, x, w)"},
  {"select_bool",        "select(x, 1, 0)",            "x",                    s::keeps_type},
  {"select_bool_not",    "select(x, 0, 1)",            "not(x)",               s::keeps_type},
  {"eq_self",            "eq(x, x)",                   "1",                    not_fp},
  {"le_self",            "le(x, x)",                   "1",                    not_fp},
  {"ge_self",            "ge(x, x)",                   "1",                    not_fp},
  {"ne_self",            "ne(x, x)",                   "0",                    not_fp},
  {"lt_self",            "lt(x, x)",                   "0"},
  {"gt_self",            "gt(x, x)",                   "0"},
  {"eq_true",            "eq(x, 1)",                   "x",                    is_bool},
  {"eq_false",           "eq(x, 0)",                   "not(x)",               is_bool},
  {"ne_false",           "ne(x, 0)",                   "x",                    is_bool},
  {"ne_true",            "ne(x, 1)",                   "not(x)",               is_bool},
  {"not_not",            "not(not(x))",                "x"},
  {"not_eq",             "not(eq(x, y))",              "ne(x, y)"},
  {"not_ne",             "not(ne(x, y))",              "eq(x, y)"},
  {"not_lt",             "not(lt(x, y))",              "ge(x, y)",             not_fp},
  {"not_le",             "not(le(x, y))",              "gt(x, y)",             not_fp},
  {"not_gt",             "not(gt(x, y))",              "le(x, y)",             not_fp},
  {"not_ge",             "not(ge(x, y))",              "lt(x, y)",             not_fp},
  {"and_self",           "and(x, x)",                  "x"},
  {"or_self",            "or(x, x)",                   "x"},
  {"xor_self",           "xor(x, x)",                  "0"},
  {"and_zero",           "and(x, 0)",                  "0"},
  {"or_zero",            "or(x, 0)",                   "x"},
  {"xor_zero",           "xor(x, 0)",                  "x"},
  {"and_true",           "and(x, 1)",                  "x",                    is_bool},
  {"or_true",            "or(x, 1)",                   "1",                    is_bool},
  {"xor_true",           "xor(x, 1)",                  "not(x)",               is_bool},
  {"and_ones",           "and(x, -1)",                 "x"},
  {"or_ones",            "or(x, -1)",                  "-1"},
  {"and_not_self",       "and(x, not(x))",             "0"},
  {"shl_zero",           "shl(x, 0)",                  "x"},
  {"shr_zero",           "shr(x, 0)",                  "x"},

  // conversion
  {"convert_same",       "convert(x)",                 "x",                    s::keeps_type},
  {"convert_convert",    "convert(convert@u(x))",      "convert(x)",           first_step_lossless},
  {"stop_gradient",      "stop_gradient(x)",           "x"},

  // structure
  {"transpose_twice",    "transpose@t(transpose@u(x))", s::compose_transposes},
  {"transpose_unmoved",  "transpose@t(x)",             s::transpose_to_reshape},
  {"transpose_broadcast", "transpose@t(broadcast@u(x))", s::transpose_broadcast},
  {"transpose_contract", "transpose@t(contract@u(x, y))", s::transpose_contract},
  {"reshape_same",       "reshape(x)",                 "x",                    s::keeps_type},
  {"reshape_twice",      "reshape(reshape(x))",        "reshape(x)"},
  {"reshape_broadcast",  "reshape@t(broadcast@u(x))",  s::broadcast_reshape},
  {"broadcast_same",     "broadcast(x)",               "x",                    s::keeps_type},
  {"broadcast_twice",    "broadcast@t(broadcast@u(x))", s::compose_broadcasts},
  {"broadcast_reshape",  "broadcast@t(x)",             s::broadcast_to_reshape},
  {"broadcast_squeeze",  "broadcast@t(x)",             s::squeeze_broadcast},
  {"slice_same",         "slice(x)",                   "x",                    s::keeps_type},
  {"slice_twice",        "slice@t(slice@u(x))",        s::compose_slices},
  {"slice_broadcast",    "slice@t(broadcast@u(x))",    s::slice_broadcast},
  {"slice_pad",          "slice@t(pad@u(x, v))",       s::slice_pad},
  {"slice_concat",       "slice@t(concat@u(...))",     s::slice_concat},
  {"pad_nothing",        "pad@t(x, v)",                "x",                    s::pads_nothing},
  {"pad_twice",          "pad@t(pad@u(x, v), v)",      s::compose_pads},
  {"pad_broadcast",      "pad@t(broadcast(v), v)",     s::pad_broadcast},
  {"reverse_nothing",    "reverse@t(x)",               "x",                    s::reverses_nothing},
  {"reverse_twice",      "reverse@t(reverse@u(x))",    "x",                    s::reverses_back},
  {"window_tiles",       "window@t(x)",                s::window_tiles},
  {"concat_one",         "concat(x)",                  "x"},
  {"concat_flatten",     "concat@t(...)",              s::flatten_concat},
  {"concat_slices",      "concat@t(...)",              s::concat_slices},
  {"gather_iota",        "gather@t(x, iota@u())",      s::gather_iota},
  {"gather_constant",    "gather@t(x, $c)",            s::gather_constant},
  {"size_static",        "size@t(x)",                  s::static_size},

  // reduction and contraction
  {"reduce_sum_unit",    "reduce_sum@t(x)",            s::reduce_unit_axis},
  {"reduce_prod_unit",   "reduce_prod@t(x)",           s::reduce_unit_axis},
  {"reduce_max_unit",    "reduce_max@t(x)",            s::reduce_unit_axis},
  {"reduce_min_unit",    "reduce_min@t(x)",            s::reduce_unit_axis},
  {"reduce_sum_empty",   "reduce_sum@t(x)",            s::reduce_empty_axis},
  {"reduce_prod_empty",  "reduce_prod@t(x)",           s::reduce_empty_axis},
  {"contract_transposed_lhs", "contract@t(transpose@u(x), y)", s::contract_transposed_lhs},
  {"contract_transposed_rhs", "contract@t(x, transpose@u(y))", s::contract_transposed_rhs},

  // elementwise ops on broadcasts run on the smaller operand
  {"unary_broadcast",    "unary(broadcast@t(x))",      "broadcast@t(unary(x))"},
  {"binary_broadcasts",  "binary(broadcast@t(x), broadcast@u(y))", "broadcast@t(binary(x, y))", s::same_broadcast},
  {"binary_broadcast_constant", "binary(broadcast@t(x), $c)", "broadcast@t(binary(x, $c))"},
  {"binary_constant_broadcast", "binary($c, broadcast@t(x))", "broadcast@t(binary($c, x))"},

  // fast: rounding may change
  {"add_zero",           "add(x, 0)",                  "x",                    is_fp, value_changing},
  {"zero_sub",           "sub(0, x)",                  "neg(x)",               is_fp, value_changing},
  {"neg_sub",            "neg(sub(x, y))",             "sub(y, x)",            is_fp, value_changing},
  {"sub_self",           "sub(x, x)",                  "0",                    is_fp, value_changing},
  {"mul_zero",           "mul(x, 0)",                  "0",                    is_fp, value_changing},
  {"div_constant",       "div(x, $c)",                 "mul(x, div(1, $c))",   near_reciprocal, {ulp, 2}},
  {"add_constants",      "add(add(x, $c), $d)",        "add(x, add($c, $d))",  is_fp, value_changing},
  {"mul_constants",      "mul(mul(x, $c), $d)",        "mul(x, mul($c, $d))",  moderate_factors, value_changing},
  {"log_exp",            "log(exp(x))",                "x",                    nullptr, value_changing},
  {"fuse_mul_add",       "add(mul(x, y), w)",          "fma(x, y, w)",         is_fp, value_changing},
  {"fuse_mul_sub",       "sub(mul(x, y), w)",          "fma(x, y, neg(w))",    is_fp, value_changing},
  {"fuse_sub_mul",       "sub(w, mul(x, y))",          "fma(neg(x), y, w)",    is_fp, value_changing},
};
// clang-format on

}  // namespace

std::span<const RuleRow> simplify_rows() { return kRows; }

}  // namespace weft

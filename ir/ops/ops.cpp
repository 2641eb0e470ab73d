// The op table.
#include "ir/ops/eval.h"
#include "ir/ops/infer.h"
#include "ir/ops/op.h"

namespace weft {
namespace {

using K = AttrSpec::Kind;
constexpr AttrSpec kAxis{"axis", K::scalar};

// clang-format off
constexpr OpInfo kOps[] = {
  // op          name         class                 arity   attributes                                  dtypes  decl.  diff.  equation
  {Op::input,    "input",     OpClass::leaf,        0, 0, {},                                           kAny, true,  false, "a value given by the caller", infer::declared, eval::input},
  {Op::constant, "constant",  OpClass::leaf,        0, 0, {},                                           kAny, true,  false, "the literal `value`", infer::declared, eval::constant},
  {Op::iota,     "iota",      OpClass::leaf,        0, 0, {kAxis},                                      kNum, true,  false, "y[i] = i[axis]", infer::iota, eval::iota},
  {Op::random,   "random",    OpClass::leaf,        2, 2, {},                                           1<<int(i64), true,  false, "y[i] = word 0 of Philox4x32-10(counter = (i, step), key); i is the row-major index; operands (key, step): i64[]; y: i32, all 32 bits random", infer::random, eval::random},
  {Op::size,     "size",      OpClass::leaf,        1, 1, {kAxis},                                      kAny, false, false, "y = extent of x along axis, an i64 scalar; folded when the batch is bound", infer::size, eval::size},

  {Op::neg,      "neg",       OpClass::elementwise, 1, 1, {},                                           kNum, false, true,  "y = -x (integers wrap)", infer::elementwise, eval::unary},
  {Op::abs,      "abs",       OpClass::elementwise, 1, 1, {},                                           kNum, false, true,  "y = |x|", infer::elementwise, eval::unary},
  {Op::sign,     "sign",      OpClass::elementwise, 1, 1, {},                                           kNum, false, false, "y = (x > 0) - (x < 0), NaN for NaN", infer::elementwise, eval::unary},
  {Op::floor,    "floor",     OpClass::elementwise, 1, 1, {},                                           kF,   false, false, "y = the largest integer <= x", infer::elementwise, eval::unary},
  {Op::ceil,     "ceil",      OpClass::elementwise, 1, 1, {},                                           kF,   false, false, "y = the smallest integer >= x", infer::elementwise, eval::unary},
  {Op::round,    "round",     OpClass::elementwise, 1, 1, {},                                           kF,   false, false, "y = the nearest integer to x, ties to even", infer::elementwise, eval::unary},
  {Op::sqrt,     "sqrt",      OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = sqrt(x), correctly rounded", infer::elementwise, eval::unary},
  {Op::exp,      "exp",       OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = e^x (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::expm1,    "expm1",     OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = e^x - 1 (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::log,      "log",       OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = ln x (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::log1p,    "log1p",     OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = ln(1 + x) (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::sin,      "sin",       OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = sin x (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::cos,      "cos",       OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = cos x (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::tanh,     "tanh",      OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = tanh x (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::sigmoid,  "sigmoid",   OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = 1 / (1 + e^-x) (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::softplus, "softplus",  OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = ln(1 + e^x) (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::erf,      "erf",       OpClass::elementwise, 1, 1, {},                                           kF,   false, true,  "y = erf x (ir/ops/approx.h)", infer::elementwise, eval::unary},
  {Op::logical_not, "not",    OpClass::elementwise, 1, 1, {},                                           kI|kB, false, false, "y = ~x bitwise; !x for bool", infer::elementwise, eval::unary},
  {Op::convert,  "convert",   OpClass::elementwise, 1, 1, {},                                           kAny, true,  true,  "y = x in the result dtype: float to integer truncates and saturates (NaN to 0), integer to integer wraps, to bool is x != 0", infer::convert, eval::convert},
  {Op::stop_gradient, "stop_gradient", OpClass::elementwise, 1, 1, {},                                  kAny, false, false, "y = x; no gradient flows back", infer::elementwise, eval::unary},

  {Op::add,      "add",       OpClass::elementwise, 2, 2, {},                                           kNum, false, true,  "z = x + y (integers wrap)", infer::elementwise, eval::binary},
  {Op::sub,      "sub",       OpClass::elementwise, 2, 2, {},                                           kNum, false, true,  "z = x - y (integers wrap)", infer::elementwise, eval::binary},
  {Op::mul,      "mul",       OpClass::elementwise, 2, 2, {},                                           kNum, false, true,  "z = x * y (integers wrap)", infer::elementwise, eval::binary},
  {Op::div,      "div",       OpClass::elementwise, 2, 2, {},                                           kNum, false, true,  "z = x / y; integers truncate, x / 0 = 0, MIN / -1 = MIN", infer::elementwise, eval::binary},
  {Op::pow,      "pow",       OpClass::elementwise, 2, 2, {},                                           kF,   false, true,  "z = x^y, with the special cases of IEEE 754 (ir/ops/approx_pow.h)", infer::elementwise, eval::binary},
  {Op::rem,      "rem",       OpClass::elementwise, 2, 2, {},                                           kI,   false, false, "z = x - (x / y) * y, integers; x rem 0 = x", infer::elementwise, eval::binary},
  {Op::max,      "max",       OpClass::elementwise, 2, 2, {},                                           kAny, false, true,  "z = x > y or x is NaN ? x : y", infer::elementwise, eval::binary},
  {Op::min,      "min",       OpClass::elementwise, 2, 2, {},                                           kAny, false, true,  "z = x < y or x is NaN ? x : y", infer::elementwise, eval::binary},
  {Op::bit_and,  "and",       OpClass::elementwise, 2, 2, {},                                           kI|kB, false, false, "z = x & y", infer::elementwise, eval::binary},
  {Op::bit_or,   "or",        OpClass::elementwise, 2, 2, {},                                           kI|kB, false, false, "z = x | y", infer::elementwise, eval::binary},
  {Op::bit_xor,  "xor",       OpClass::elementwise, 2, 2, {},                                           kI|kB, false, false, "z = x ^ y", infer::elementwise, eval::binary},
  {Op::shl,      "shl",       OpClass::elementwise, 2, 2, {},                                           kI,   false, false, "z = x << y; 0 unless 0 <= y < bits", infer::elementwise, eval::binary},
  {Op::shr,      "shr",       OpClass::elementwise, 2, 2, {},                                           kI,   false, false, "z = x >> y, zeros shifted in; 0 unless 0 <= y < bits", infer::elementwise, eval::binary},

  {Op::eq,       "eq",        OpClass::elementwise, 2, 2, {},                                           kAny, false, false, "z = x == y", infer::compare, eval::compare},
  {Op::ne,       "ne",        OpClass::elementwise, 2, 2, {},                                           kAny, false, false, "z = x != y (true for NaN)", infer::compare, eval::compare},
  {Op::lt,       "lt",        OpClass::elementwise, 2, 2, {},                                           kAny, false, false, "z = x < y", infer::compare, eval::compare},
  {Op::le,       "le",        OpClass::elementwise, 2, 2, {},                                           kAny, false, false, "z = x <= y", infer::compare, eval::compare},
  {Op::gt,       "gt",        OpClass::elementwise, 2, 2, {},                                           kAny, false, false, "z = x > y", infer::compare, eval::compare},
  {Op::ge,       "ge",        OpClass::elementwise, 2, 2, {},                                           kAny, false, false, "z = x >= y", infer::compare, eval::compare},

  {Op::select,   "select",    OpClass::elementwise, 3, 3, {},                                           kB,   false, true,  "z = p ? x : y; operands (p: bool, x, y)", infer::select, eval::select},
  {Op::fma,      "fma",       OpClass::elementwise, 3, 3, {},                                           kF,   false, true,  "z = x * y + w, rounded once", infer::elementwise, eval::fma},

  {Op::broadcast,"broadcast", OpClass::view,        1, 1, {{"axes", K::list}},                          kAny, true,  true,  "y[i] = x[i[axes[0]], i[axes[1]], …] (index 0 where the extent of x is 1)", infer::broadcast, eval::broadcast},
  {Op::reshape,  "reshape",   OpClass::view,        1, 1, {},                                           kAny, true,  true,  "y has x's elements in row-major order", infer::reshape, eval::reshape},
  {Op::transpose,"transpose", OpClass::view,        1, 1, {{"perm", K::list}},                          kAny, false, true,  "y.shape[d] = x.shape[perm[d]]; y[i] = x[j], j[perm[d]] = i[d]", infer::transpose, eval::transpose},
  {Op::slice,    "slice",     OpClass::view,        1, 1, {{"start", K::list}, {"limit", K::list}, {"stride", K::list}}, kAny, false, true, "y[i] = x[start + i * stride], start <= index < limit", infer::slice, eval::slice},
  {Op::pad,      "pad",       OpClass::view,        2, 2, {{"low", K::list}, {"high", K::list}},        kAny, false, true,  "y = x with `low` and `high` elements of the scalar v added at each axis; operands (x, v)", infer::pad, eval::pad},
  {Op::concat,   "concat",    OpClass::view,        1, -1, {kAxis},                                     kAny, false, true,  "y = operands laid end to end along axis", infer::concat, eval::concat},
  {Op::gather,   "gather",    OpClass::view,        2, 2, {kAxis},                                      kAny, false, true,  "y[a, j, b] = x[a, k[j], b] with a before and b after axis; 0 where k[j] is out of range; operands (x, k: i32 or i64)", infer::gather, eval::gather},
  {Op::scatter_add, "scatter_add", OpClass::scatter, 3, 3, {kAxis},                                     kNum, false, true,  "z = x; z[a, k[j], b] += u[a, j, b] for j in row-major order, dropped where k[j] is out of range; operands (x, k: i32 or i64, u)", infer::scatter_add, eval::scatter_add},

  {Op::reduce_sum,  "reduce_sum",  OpClass::reduce, 1, 1, {kAxis},                                      kNum, false, true,  "y = sum of x over axis, in the contract's order", infer::reduce, eval::reduce},
  {Op::reduce_prod, "reduce_prod", OpClass::reduce, 1, 1, {kAxis},                                      kNum, false, true,  "y = product of x over axis, in the contract's order", infer::reduce, eval::reduce},
  {Op::reduce_max,  "reduce_max",  OpClass::reduce, 1, 1, {kAxis},                                      kAny, false, true,  "y = max of x over axis (the smallest value when it is empty)", infer::reduce, eval::reduce},
  {Op::reduce_min,  "reduce_min",  OpClass::reduce, 1, 1, {kAxis},                                      kAny, false, true,  "y = min of x over axis (the largest value when it is empty)", infer::reduce, eval::reduce},
  {Op::arg_max,  "arg_max",   OpClass::reduce,      1, 1, {kAxis},                                      kNum, false, false, "y = the index of the first largest x over axis, i32: b = x[0]; b = x[i] where x[i] > b", infer::arg_reduce, eval::arg_reduce},
  {Op::arg_min,  "arg_min",   OpClass::reduce,      1, 1, {kAxis},                                      kNum, false, false, "y = the index of the first smallest x over axis, i32: b = x[0]; b = x[i] where x[i] < b", infer::arg_reduce, eval::arg_reduce},

  {Op::contract, "contract",  OpClass::contract,    2, 2, {{"lhs", K::list}, {"rhs", K::list}, {"lhs_batch", K::list}, {"rhs_batch", K::list}}, kF|1<<int(i32)|1<<int(i64), false, true,
   "z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n]: lhs/rhs are the summed axes, lhs_batch/rhs_batch the shared ones; z = batch axes, then x's free axes, then y's", infer::contract, eval::contract},
};
// clang-format on

constexpr bool in_order() {
  for (int i = 0; i < kOpCount; ++i)
    if (static_cast<int>(kOps[i].op) != i) return false;
  return true;
}
static_assert(std::size(kOps) == kOpCount && in_order(), "the op table has one row for each Op, in their order");

}  // namespace

const OpInfo& info(Op op) { return kOps[static_cast<int>(op)]; }

std::optional<Op> parse_op(std::string_view name) {
  for (const OpInfo& row : kOps)
    if (row.name == name) return row.op;
  return {};
}

}  // namespace weft

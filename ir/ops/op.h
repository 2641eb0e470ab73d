// The op table: one row an op. Everything that holds for an op by itself is read from its row; nothing switches on ops elsewhere
// if a column can say it. Gradients are rows of their own in passes/graph/gradients.cpp, lowering is by class (passes/kernel/lower.cpp).
#pragma once
#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <weft/ir/base/array.h>
#include <weft/ir/base/shape.h>

namespace weft {

enum class Op : std::uint8_t {
  // leaves
  input, constant, iota, random, size,
  // unary elementwise
  neg, abs, sign, floor, ceil, round, sqrt, exp, expm1, log, log1p, sin, cos, tanh, sigmoid, softplus, erf, logical_not,
  convert, stop_gradient,
  // binary elementwise
  add, sub, mul, div, pow, rem, max, min, bit_and, bit_or, bit_xor, shl, shr,
  // comparison
  eq, ne, lt, le, gt, ge,
  // ternary elementwise
  select, fma,
  // structure
  broadcast, reshape, transpose, slice, pad, concat, gather, scatter_add,
  // reduction over one axis
  reduce_sum, reduce_prod, reduce_max, reduce_min, arg_max, arg_min,
  // contraction
  contract,
};
inline constexpr int kOpCount = static_cast<int>(Op::contract) + 1;

/// What lowering needs to know of an op.
enum class OpClass : std::uint8_t {
  leaf,         // no tensor operand is read element by element (input, constant, iota, random, size)
  elementwise,  // result[i] depends on operand[i] only; all operands have the result's shape
  view,         // result[i] = operand[some function of i], or a pad value
  reduce,       // one axis is folded
  contract,     // sum of products
  scatter,      // indexed accumulation
};

/// A set of dtypes, one bit each.
enum : std::uint8_t {
  kF = 1 << int(f32) | 1 << int(f64),
  kI = 1 << int(i32) | 1 << int(i64) | 1 << int(u8),
  kB = 1 << int(boolean),
  kNum = kF | kI,
  kAny = kF | kI | kB,
};
constexpr bool in_set(DType t, std::uint8_t set) { return set >> int(t) & 1; }

/// Attributes of a node, in the order of the row's `attrs`. A scalar attribute is a list of one.
struct Attrs {
  std::vector<Dims> dims;
  std::shared_ptr<const Array> literal;  // `constant` only; compared by bits

  friend bool operator==(const Attrs& a, const Attrs& b) {
    return a.dims == b.dims && (a.literal == b.literal || (a.literal && b.literal && a.literal->same_bits(*b.literal)));
  }
};

struct AttrSpec {
  std::string_view name;
  enum Kind : std::uint8_t { scalar, list } kind;  // an empty list is the default and is not printed
};

/// The attributes of an op, in a table that is there before any code runs.
class AttrSpecs {
 public:
  constexpr AttrSpecs() = default;
  constexpr AttrSpecs(std::initializer_list<AttrSpec> specs) : size_(specs.size()) {
    std::copy(specs.begin(), specs.end(), specs_.begin());
  }
  constexpr const AttrSpec* begin() const { return specs_.data(); }
  constexpr const AttrSpec* end() const { return specs_.data() + size_; }
  constexpr std::size_t size() const { return size_; }
  constexpr const AttrSpec& operator[](std::size_t i) const { return specs_[i]; }

 private:
  std::array<AttrSpec, 4> specs_{};
  std::size_t size_ = 0;
};

struct InferArgs {
  Op op;
  std::span<const Type> operands;
  const Attrs& attrs;
  const Type* declared;  // the result type the builder or the text gave; non-null where the row says `declared_type`
};
struct EvalArgs {
  Op op;
  std::span<const Array> operands;
  const Attrs& attrs;
  const Type& result;
};

struct OpInfo {
  Op op;
  std::string_view name;
  OpClass cls;
  int min_arity, max_arity;     // max_arity -1: any number
  AttrSpecs attrs;
  std::uint8_t dtypes;          // accepted dtypes of the first operand (the result's, for a leaf)
  bool declared_type;           // the result type is not implied by the operands and must be given
  bool differentiable;          // has a gradient for float operands that is not identically zero
  std::string_view doc;         // the equation
  Type (*infer)(const InferArgs&);   // throws Error: what was found, what would fit (no location)
  Array (*eval)(const EvalArgs&);    // the reference semantics; never throws on operands that infer accepts
};

const OpInfo& info(Op);
std::optional<Op> parse_op(std::string_view name);
inline std::string_view name(Op op) { return info(op).name; }
inline bool is_elementwise(Op op) { return info(op).cls == OpClass::elementwise; }
inline bool is_arg_reduce(Op op) { return op == Op::arg_max || op == Op::arg_min; }

}  // namespace weft

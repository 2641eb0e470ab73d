// Ops and what holds for each: the rows of ir/ops/ops.def as data. Nothing switches on ops elsewhere if a column can say
// it. What an elementwise op does to one element is in ir/ops/scalar.h; the functions that rows name are beside each
// other, a file a class of ops (ir/ops/view.cpp has what holds for pad).
#pragma once
#include <algorithm>
#include <array>
#include <functional>
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
#define WEFT_OP(op, ...) op,
#define WEFT_ELEMENTWISE(op, ...) op,
#define WEFT_CONTROL(op, ...) op,
#include <weft/ir/ops/ops.def>
};
#define WEFT_OP(op, ...) +1
#define WEFT_ELEMENTWISE(op, ...) +1
#define WEFT_CONTROL(op, ...) +1
inline constexpr int kOpCount =
#include <weft/ir/ops/ops.def>
    ;

/// What lowering needs to know of an op.
enum class OpClass : std::uint8_t {
  leaf,         // no tensor operand is read element by element (input, constant, iota, random, size)
  elementwise,  // result[i] depends on operand[i] only; all operands have the result's shape
  view,         // result[i] = operand[some function of i], or a pad value
  reduce,       // one axis is folded
  contract,     // sum of products
  scatter,      // indexed accumulation
  control,      // functions that are called, and their results; the pass `inline` leaves scans that are loops, and their results
};

/// A set of dtypes, one bit each.
enum : std::uint8_t {
  kI32 = 1 << int(i32),
  kI64 = 1 << int(i64),
  kF = 1 << int(f32) | 1 << int(f64),
  kI = kI32 | kI64 | 1 << int(u8),
  kB = 1 << int(boolean),
  kNum = kF | kI,
  kAny = kF | kI | kB,
};
constexpr bool in_set(DType t, std::uint8_t set) { return set >> int(t) & 1; }

/// Attributes. Those up to `reverse` are one number, the others lists of numbers, of which an empty one is the default.
/// `limit` and `length` are extents, which may be symbols.
#define WEFT_ATTRS(X) \
  X(axis) X(index) X(carries) X(slices) X(length) X(reverse) \
  X(axes) X(perm) X(start) X(limit) X(stride) X(low) X(high) X(interior) X(size) X(dilation) X(lhs) X(rhs) X(lhs_batch) X(rhs_batch)
enum class Attr : std::uint8_t {
#define WEFT_ATTR(name) name,
  WEFT_ATTRS(WEFT_ATTR)
#undef WEFT_ATTR
};
std::string_view name(Attr);
constexpr bool is_scalar(Attr a) { return a <= Attr::reverse; }
constexpr bool is_extent(Attr a) { return a == Attr::limit || a == Attr::length; }

/// A function that a node holds (ir/ops/body.h).
struct Body;
bool operator==(const Body&, const Body&);
using BodyRef = std::shared_ptr<const Body>;

/// The attributes of a node, by name. In a graph each has exactly those of its op's row, in their order.
class Attrs {
 public:
  struct Entry {
    Attr name;
    Dims value;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  Attrs() = default;
  Attrs(std::initializer_list<Entry> entries) : entries_(entries) {}
  static Attrs axis(std::int64_t axis) { return {{Attr::axis, Dims{axis}}}; }
  static Attrs value(Array literal) {
    Attrs a;
    a.literal = std::make_shared<const Array>(std::move(literal));
    return a;
  }

  static Attrs index(std::int64_t index) { return {{Attr::index, Dims{index}}}; }
  static Attrs functions(std::vector<BodyRef> bodies) {
    Attrs a;
    a.bodies = std::move(bodies);
    return a;
  }

  const Dims& operator[](Attr) const;  ///< empty when there is none
  Dims& operator[](Attr);              ///< adds it when there is none
  int axis() const { return static_cast<int>((*this)[Attr::axis][0]); }
  std::size_t index() const { return static_cast<std::size_t>((*this)[Attr::index][0]); }
  std::int64_t scalar(Attr a) const { return (*this)[a][0]; }
  const std::vector<Entry>& entries() const { return entries_; }

  std::shared_ptr<const Array> literal;  // `constant` only; compared by bits
  std::vector<BodyRef> bodies;           // those that the row names, in its order; compared node by node

  friend bool operator==(const Attrs& a, const Attrs& b) {
    const auto same = [](const BodyRef& x, const BodyRef& y) { return x == y || (x && y && *x == *y); };
    return a.entries_ == b.entries_ &&
           (a.literal == b.literal || (a.literal && b.literal && a.literal->same_bits(*b.literal))) &&
           std::ranges::equal(a.bodies, b.bodies, same);
  }

 private:
  std::vector<Entry> entries_;
};

/// The names of an op's attributes, in a table that is there before any code runs.
class AttrNames {
 public:
  constexpr AttrNames(std::initializer_list<Attr> names) : size_(names.size()) {
    std::copy(names.begin(), names.end(), names_.begin());
  }
  constexpr const Attr* begin() const { return names_.data(); }
  constexpr const Attr* end() const { return names_.data() + size_; }
  constexpr std::size_t size() const { return size_; }

 private:
  std::array<Attr, 4> names_{};
  std::size_t size_ = 0;
};

struct InferArgs {
  Op op;
  std::span<const Type> operands;
  const Attrs& attrs;
  const Type* declared;  // the result type the builder or the text gave; non-null where the row says `declared`
};
struct EvalArgs {
  Op op;
  std::span<const Array> operands;
  const Attrs& attrs;
  const Type& result;
};

/// A node of a graph: its position.
using ValueId = std::uint32_t;
inline constexpr ValueId kNoValue = ~0u;

/// One step of reverse mode: the forward node `y = op(operands…)`, and `g`, the gradient of the loss with respect to y.
struct GradientArgs {
  ValueId y;
  ValueId g;
  const std::vector<ValueId>& operands;
  const Attrs& attrs;
  std::vector<std::int64_t>& known;  // what a row has worked out for all operands of the node; empty at first
};
class NodeBuilder;
struct ElementArgs;

/// The contribution of a node to the gradient of its operands: text in the language of passes/graph/rules.h, one for
/// each operand (empty: that one has none), or a function of the operand's number that gives a value of its type.
struct GradientRow {
  std::array<std::string_view, 3> text;
  ValueId (*build)(NodeBuilder&, const GradientArgs&, std::size_t operand) = nullptr;
};

/// What holds for an op that holds functions. Their inputs are the operands from number OpInfo::min_arity on, and what
/// they return is its result, a tuple.
struct ControlRow {
  using Run = std::function<std::vector<Array>(const Body&, std::span<const Array> inputs)>;
  using Inline = std::function<std::vector<ValueId>(const Body&, std::span<const ValueId> inputs)>;

  std::array<std::string_view, 2> names = {};  // of its bodies, as the text has them
  std::vector<Array> (*run)(const EvalArgs&, const Run&) = nullptr;  // the reference semantics
  /// The results as nodes of the graph that it stands in, with what Inline gives for bodies.
  std::vector<ValueId> (*expand)(NodeBuilder&, std::span<const ValueId> operands, const Attrs&,
                                 const Inline&) = nullptr;

  std::size_t count() const { return names.size() - static_cast<std::size_t>(std::ranges::count(names, "")); }
};

/// Which elements of a result of floats may be subnormal.
enum class Subnormals : std::uint8_t {
  given,    // any, as far as the row says
  flushed,  // none: arithmetic made them
  kept,     // those that are an operand's element, up to its sign; arithmetic made the others, if there are any
};

/// Along which axes of its result an element depends on more than what lies at its place, or on where that is.
enum class Mixes : std::uint8_t {
  nothing,
  along_axis,  // the axis `axis` of the first operand; of the result, where there is none
  along_all,
};

/// What else holds for an op.
struct OpTraits {
  bool commutes = false;    // same bits with the first two operands in either order; not max and min: of 0 and -0 the
                            // second one comes out
  bool associates = false;  // same bits, floats' too, however a chain of it is cut into chains
  Subnormals subnormals = Subnormals::given;
  bool indexed = false;           // operand 1 has indices into axis `axis` of operand 0
  Mixes mixes = Mixes::nothing;   // beside the axes that a result no longer has
  std::optional<Op> fold = {};    // of a reduction: the binary op that it folds with
  std::optional<Op> better = {};  // of arg_max and arg_min: the comparison by which an element replaces the best one
};

struct OpInfo {
  Op op;
  std::string_view name;
  OpClass cls;
  int min_arity, max_arity;     // max_arity -1: any number
  AttrNames attrs;
  std::uint8_t dtypes;          // accepted dtypes of the first operand (the result's, for a leaf)
  bool declared_type;           // the result type is not implied by the operands and must be given
  OpTraits traits;
  int cost;                     // rough instructions for a register of elements, the operands' not counted
  Type (*infer)(const InferArgs&);   // throws Error: what was found, what would fit (no location)
  Array (*eval)(const EvalArgs&);    // the reference semantics; never throws on operands that infer accepts
  std::int32_t (*element)(const ElementArgs&);  // an expression for one element (ir/ops/index.h); null: an elementwise op
                                                // applied to its operands' elements, or none
  GradientRow gradient;
  std::string_view doc;         // the equation
  ControlRow control = {};      // of an op that holds functions, which has no `eval`: its gradient is the same op on the
                                // gradients of its bodies (passes/transform/autodiff.h)

  /// Has a gradient for float operands that is not identically zero.
  bool differentiable() const {
    return cls == OpClass::control || gradient.build || std::ranges::any_of(gradient.text, [](std::string_view t) { return !t.empty(); });
  }
};

const OpInfo& info(Op);
/// Whether what a sample of the batch gets of the result depends on other samples, or on where it lies among them.
bool mixes_batch(Op, std::span<const Type> operands, const Attrs&, const Type& result);
std::optional<Op> parse_op(std::string_view name);
inline std::string_view name(Op op) { return info(op).name; }
inline bool is_elementwise(Op op) { return info(op).cls == OpClass::elementwise; }
/// Ops that a kernel, or a loop of kernels, is built around; all others can be computed wherever they are read.
inline bool is_anchor(Op op) {
  const OpClass c = info(op).cls;
  return c == OpClass::reduce || c == OpClass::contract || c == OpClass::scatter || op == Op::scan;
}
/// Values that lie in memory before any kernel of their own: inputs, and what loops give.
inline bool is_given(Op op) { return op == Op::input || op == Op::result; }
inline bool is_arg_reduce(Op op) { return info(op).traits.better.has_value(); }

}  // namespace weft

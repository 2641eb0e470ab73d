// The rows of ir/ops/ops.def as data.
#include "ir/ops/op.h"
#include "ir/ops/rows.h"

namespace weft {
namespace {

using enum Attr;
constexpr bool inferred = false, declared = true;

constexpr GradientRow gradient_text(std::string_view a, std::string_view b = {}, std::string_view c = {}) {
  return {{a, b, c}};
}
constexpr GradientRow gradient_function(decltype(GradientRow::build) f) { return {{}, f}; }

namespace arity {
constexpr int unary = 1, convert = 1, binary = 2, compare = 2, select = 3, fma = 3;
}

// clang-format off
#define NAMES(...) {__VA_ARGS__}
#define NO_GRADIENT {}
#define NO_ELEMENT nullptr
#define ELEMENT(function) element::function
#define GRADIENT_TEXT(...) gradient_text(__VA_ARGS__)
#define GRADIENT(function) gradient_function(grad::function)
#define WEFT_OP(op, name, cls, least, most, attributes, dtypes, type, traits, cost, infer_, eval_, element_, gradient, equation) \
  {Op::op, name, OpClass::cls, least, most, NAMES attributes, dtypes, type, NAMES traits, cost, infer::infer_, eval::eval_,  \
   element_, gradient, equation},
#define WEFT_ELEMENTWISE(op, name, form, dtypes, traits, cost, gradient, equation)                                     \
  {Op::op, name, OpClass::elementwise, arity::form, arity::form, {}, dtypes, Op::op == Op::convert, NAMES traits, cost, \
   infer::form, eval::form, nullptr, gradient, equation},
#define WEFT_CONTROL(op, least, attributes, bodies, equation)                                                          \
  {Op::op, #op, OpClass::control, least, -1, NAMES attributes, 0, inferred, {}, 0, infer::op, eval::no_value, nullptr, \
   {}, equation, {{NAMES bodies}, run::op, expand::op}},
// clang-format on

constexpr OpInfo kOps[] = {
#include <weft/ir/ops/ops.def>
};
#undef NAMES
#undef NO_GRADIENT
#undef NO_ELEMENT
#undef ELEMENT
#undef GRADIENT_TEXT
#undef GRADIENT

}  // namespace

const OpInfo& info(Op op) { return kOps[static_cast<int>(op)]; }

bool mixes_batch(Op op, std::span<const Type> operands, const Attrs& attrs, const Type& result) {
  const auto batch_axes = [](const Type& t) { return std::ranges::count(t.shape, kBatch); };
  const OpInfo& row = info(op);
  if (batch_axes(result) > 1) return true;  // each sample with each
  if (batch_axes(result) == 0 && row.cls != OpClass::leaf && std::ranges::any_of(operands, batch_axes)) return true;
  switch (row.traits.mixes) {
    case Mixes::nothing: return false;
    case Mixes::along_axis: return (operands.empty() ? result : operands[0]).shape[attrs.axis()] == kBatch;
    case Mixes::along_all: break;
  }
  return batch_axes(result) > 0;
}

std::optional<Op> parse_op(std::string_view name) {
  for (const OpInfo& row : kOps)
    if (row.name == name) return row.op;
  return {};
}

std::string_view name(Attr a) {
#define WEFT_ATTR(name) #name,
  constexpr std::string_view kNames[] = {WEFT_ATTRS(WEFT_ATTR)};
#undef WEFT_ATTR
  return kNames[static_cast<std::size_t>(a)];
}

const Dims& Attrs::operator[](Attr a) const {
  static const Dims none;
  for (const Entry& e : entries_)
    if (e.name == a) return e.value;
  return none;
}

Dims& Attrs::operator[](Attr a) {
  for (Entry& e : entries_)
    if (e.name == a) return e.value;
  return entries_.emplace_back(Entry{a, {}}).value;
}

}  // namespace weft

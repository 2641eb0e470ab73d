// Ops that hold functions, and `result`, which takes one of their results.
#include "ir/ops/body.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"

namespace weft {
namespace {

/// Error unless the operands from `first` on are what the body takes.
void check_inputs(const InferArgs& a, std::size_t first, const Body& body, std::string_view what) {
  const std::span<const Type> given = a.operands.subspan(first);
  if (given.size() != body.inputs.size())
    fail("{} takes {}, found {}", what, counted(body.inputs.size(), "operand"), given.size());
  for (std::size_t i = 0; i < given.size(); ++i)
    if (!(given[i] == body.inputs[i]))
      fail("operand {} is {}, {} takes {}", first + i, to_string(given[i]), what, to_string(body.inputs[i]));
}

}  // namespace

Array eval::no_value(const EvalArgs& a) {
  ensure(false, "{} gives no single array", name(a.op));
  return {};
}

Type infer::call(const InferArgs& a) {
  const Body& body = *a.attrs.bodies[0];
  check_inputs(a, 0, body, "its body");
  return tuple_of(body.outputs);
}

std::vector<Array> run::call(const EvalArgs& a, const ControlRow::Run& run) {
  return run(*a.attrs.bodies[0], a.operands);
}

std::vector<ValueId> expand::call(NodeBuilder&, std::span<const ValueId> operands, const Attrs& attrs,
                                  const ControlRow::Inline& inlined) {
  return inlined(*attrs.bodies[0], operands);
}

Type infer::cond(const InferArgs& a) {
  const Body &then = *a.attrs.bodies[0], &otherwise = *a.attrs.bodies[1];
  if (!(a.operands[0] == Type{boolean, {}})) fail("the condition is {}; expected bool[]", to_string(a.operands[0]));
  check_inputs(a, 1, then, "its branch 'then'");
  check_inputs(a, 1, otherwise, "its branch 'else'");
  if (then.outputs != otherwise.outputs)
    fail("its branches give {} and {}; expected the same types", to_string(tuple_of(then.outputs)),
         to_string(tuple_of(otherwise.outputs)));
  return tuple_of(then.outputs);
}

std::vector<Array> run::cond(const EvalArgs& a, const ControlRow::Run& run) {
  return run(*a.attrs.bodies[a.operands[0].item<bool>() ? 0 : 1], a.operands.subspan(1));
}

/// Both branches, and of each result the one that counts: what is computed in vain cannot be seen.
std::vector<ValueId> expand::cond(NodeBuilder& b, std::span<const ValueId> operands, const Attrs& attrs,
                                  const ControlRow::Inline& inlined) {
  const auto inputs = operands.subspan(1);
  std::vector<ValueId> results = inlined(*attrs.bodies[0], inputs);
  const std::vector<ValueId> otherwise = inlined(*attrs.bodies[1], inputs);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i] == otherwise[i]) continue;
    const Shape shape = b.type(results[i]).shape;
    results[i] = b.select(b.broadcast(operands[0], shape, {}), results[i], otherwise[i]);
  }
  return results;
}

Type infer::result(const InferArgs& a) {
  const Type& t = a.operands[0];
  if (!is_tuple(t)) fail("takes the tuple that a call or cond gives, found {}", to_string(t));
  const Dims& index = a.attrs[Attr::index];
  if (index.rank() != 1 || index[0] < 0 || index[0] >= static_cast<std::int64_t>(t.parts->size()))
    fail("index {} is out of range for {}", list_text(index), to_string(t));
  return (*t.parts)[static_cast<std::size_t>(index[0])];
}

}  // namespace weft

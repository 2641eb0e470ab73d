// Ops that hold functions, and `result`, which takes one of their results.
#include <algorithm>

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

namespace {

constexpr std::int64_t kMaxTurns = 1 << 24;

/// How the operands and results of a scan are laid out.
struct ScanLayout {
  std::size_t carries, slices;
  std::int64_t length;
  bool reverse;
  explicit ScanLayout(const Attrs& a)
      : carries(static_cast<std::size_t>(a.scalar(Attr::carries))),
        slices(static_cast<std::size_t>(a.scalar(Attr::slices))),
        length(a.scalar(Attr::length)),
        reverse(a.scalar(Attr::reverse) != 0) {}
  /// The turns in their order.
  std::int64_t turn(std::int64_t i) const { return reverse ? length - 1 - i : i; }
};

Shape with_length(Shape s, std::int64_t length) {
  s.insert(0, length);
  return s;
}

}  // namespace

Type infer::scan(const InferArgs& a) {
  const Body& body = *a.attrs.bodies[0];
  for (Attr name : {Attr::carries, Attr::slices, Attr::length, Attr::reverse})
    if (a.attrs[name].rank() != 1 || (a.attrs.scalar(name) < 0 && !is_symbol(a.attrs.scalar(name))))
      fail("{}={} is not one number of 0 or more", weft::name(name), list_text(a.attrs[name]));
  const auto all = static_cast<std::int64_t>(a.operands.size());
  const std::int64_t carries = a.attrs.scalar(Attr::carries), slices = a.attrs.scalar(Attr::slices);
  if (carries < 0 || slices < 0 || carries > all || slices > all - carries)
    fail("carries={} and slices={} are more than its {}", carries, slices, counted(all, "operand"));
  if (a.attrs.scalar(Attr::reverse) > 1) fail("reverse={} is neither 0 nor 1", a.attrs.scalar(Attr::reverse));
  const ScanLayout layout(a.attrs);
  if (layout.length > kMaxTurns) fail("length={} is more than {} turns", layout.length, kMaxTurns);
  if (a.operands.size() != body.inputs.size())
    fail("its body takes {}, found {}", counted(body.inputs.size(), "operand"), a.operands.size());
  if (body.outputs.size() < layout.carries)
    fail("its body gives {}, fewer than carries={}", counted(body.outputs.size(), "result"), layout.carries);
  for (std::size_t i = 0; i < a.operands.size(); ++i) {
    const bool is_slice = i >= layout.carries && i < layout.carries + layout.slices;
    const Type& given = a.operands[i];
    Type taken = body.inputs[i];
    if (is_slice) taken.shape = with_length(taken.shape, layout.length);
    if (!(given == taken)) fail("operand {} is {}, expected {}", i, to_string(given), to_string(taken));
  }
  std::vector<Type> results;
  for (std::size_t i = 0; i < body.outputs.size(); ++i) {
    Type t = body.outputs[i];
    if (i < layout.carries && !(t == body.inputs[i]))
      fail("carry {} is {} and becomes {}", i, to_string(body.inputs[i]), to_string(t));
    if (i >= layout.carries) t.shape = with_length(t.shape, layout.length);
    results.push_back(checked(t));
  }
  return tuple_of(std::move(results));
}

std::vector<Array> run::scan(const EvalArgs& a, const ControlRow::Run& run) {
  const ScanLayout layout(a.attrs);
  std::vector<Array> inputs(a.operands.begin(), a.operands.end()), results;
  for (std::size_t i = layout.carries; i < a.result.parts->size(); ++i) results.emplace_back((*a.result.parts)[i]);
  for (std::int64_t i = 0; i < layout.length; ++i) {
    const std::int64_t t = layout.turn(i);
    for (std::size_t x = layout.carries; x < layout.carries + layout.slices; ++x) {
      Shape row = a.operands[x].shape();
      row.erase(0);
      inputs[x] = a.operands[x].rows(t, t + 1).reshaped(row);
    }
    const std::vector<Array> next = run(*a.attrs.bodies[0], inputs);
    std::copy_n(next.begin(), layout.carries, inputs.begin());
    for (std::size_t y = 0; y < results.size(); ++y) {
      const Array& row = next[layout.carries + y];
      std::copy_n(row.data(), row.bytes(), results[y].data() + t * static_cast<std::int64_t>(row.bytes()));
    }
  }
  results.insert(results.begin(), inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(layout.carries));
  return results;
}

/// One turn after the other.
std::vector<ValueId> expand::scan(NodeBuilder& b, std::span<const ValueId> operands, const Attrs& attrs,
                                  const ControlRow::Inline& inlined) {
  const ScanLayout layout(attrs);
  const Body& body = *attrs.bodies[0];
  if (is_symbol(layout.length)) fail("{}: scan: its length {} is not bound", b.locs.str(), extent_text(layout.length));
  if (layout.length * std::max<std::int64_t>(body.size, 1) > kMaxBodySize)
    fail("{}: scan: {} turns of {} are too many: compiled code repeats the body, up to {} nodes", b.locs.str(),
         layout.length, counted(body.size, "node"), kMaxBodySize);
  std::vector<ValueId> inputs(operands.begin(), operands.end());
  std::vector<std::vector<ValueId>> rows(body.outputs.size() - layout.carries,
                                         std::vector<ValueId>(static_cast<std::size_t>(layout.length)));
  for (std::int64_t i = 0; i < layout.length; ++i) {
    const std::int64_t t = layout.turn(i);
    for (std::size_t x = layout.carries; x < layout.carries + layout.slices; ++x) {
      const Shape whole = b.type(operands[x]).shape, row = body.inputs[x].shape;
      Dims start = Dims::filled(whole.rank(), 0), limit = whole;
      start[0] = t, limit[0] = t + 1;
      inputs[x] = b.reshape(b.slice(operands[x], start, limit, Dims::filled(whole.rank(), 1)), row);
    }
    const std::vector<ValueId> next = inlined(body, inputs);
    std::copy_n(next.begin(), layout.carries, inputs.begin());
    for (std::size_t y = 0; y < rows.size(); ++y)
      rows[y][static_cast<std::size_t>(t)] =
          b.reshape(next[layout.carries + y], with_length(body.outputs[layout.carries + y].shape, 1));
  }
  std::vector<ValueId> results(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(layout.carries));
  for (std::size_t y = 0; y < rows.size(); ++y) {
    const Type& one = body.outputs[layout.carries + y];
    results.push_back(layout.length == 0 ? b.constant(Array(Type{one.dtype, with_length(one.shape, 0)}))
                                         : b.op(Op::concat, rows[y], Attrs::axis(0)));
  }
  return results;
}

Type infer::result(const InferArgs& a) {
  const Type& t = a.operands[0];
  if (!is_tuple(t)) fail("takes the tuple that call, cond or scan gives, found {}", to_string(t));
  const Dims& index = a.attrs[Attr::index];
  if (index.rank() != 1 || index[0] < 0 || index[0] >= static_cast<std::int64_t>(t.parts->size()))
    fail("index {} is out of range for {}", list_text(index), to_string(t));
  return (*t.parts)[static_cast<std::size_t>(index[0])];
}

}  // namespace weft

// The reference interpreter: evaluates the live nodes one after another.
#include <unordered_map>

#include "ir/graph/body.h"
#include "ir/ops/sum_order.h"

namespace weft {

namespace {

/// Which nodes an output or an update reaches.
std::vector<bool> live_nodes(const Graph& g) {
  std::vector<bool> live(g.size(), false);
  for (const Output& o : g.outputs()) live[o.id] = true;
  for (const Update& u : g.updates()) live[u.value] = true;
  for (std::size_t id = g.size(); id-- > 0;)
    if (live[id])
      for (ValueId operand : g[static_cast<ValueId>(id)].operands) live[operand] = true;
  return live;
}

void check_inputs(const Graph& g, std::span<const Array> given) {
  if (given.size() != g.inputs().size())
    fail("@{}: got {}, expected {}", g.name, counted(given.size(), "input"), g.inputs().size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Input& input = g.inputs()[i];
    const Type& expected = g[input.id].type;
    if (!is_static(expected.shape))
      fail("@{}: input %{} is {}: bind its extents before running the graph", g.name, input.name, to_string(expected));
    if (!(given[i].type() == expected))
      fail("@{}: input {}, %{}, is {}, expected {}", g.name, i, input.name, to_string(given[i].type()),
           to_string(expected));
  }
}

}  // namespace

namespace {

Evaluation evaluate(const Graph& g, std::span<const Array> inputs) {
  const FlushSubnormals flush;
  std::vector<std::optional<Array>> values(g.size());
  std::unordered_map<ValueId, std::vector<Array>> tuples;
  const ControlRow::Run run = [](const Body& body, std::span<const Array> arguments) {
    return evaluate(*body.graph, arguments).outputs;
  };
  for (std::size_t i = 0; i < inputs.size(); ++i) values[g.inputs()[i].id] = inputs[i];
  const std::vector<bool> live = live_nodes(g);
  for (ValueId id = 0; id < g.size(); ++id) {
    if (!live[id] || values[id]) continue;
    const Node& node = g[id];
    if (node.op == Op::result) {
      values[id] = tuples.at(node.operands[0])[node.attrs.index()];
      continue;
    }
    std::vector<Array> operands;
    for (ValueId operand : node.operands) operands.push_back(*values[operand]);
    const EvalArgs args{node.op, operands, node.attrs, node.type};
    if (const auto control = info(node.op).control.run)
      tuples[id] = control(args, run);
    else
      values[id] = info(node.op).eval(args);
  }
  // Copies: a value may share its storage with an input, a literal or another result.
  Evaluation result;
  for (const Output& o : g.outputs()) result.outputs.push_back(values[o.id]->clone());
  for (const Update& u : g.updates()) result.states.push_back(values[u.value]->clone());
  return result;
}

}  // namespace

Evaluation interpret(const Graph& g, std::span<const Array> inputs) {
  check_inputs(g, inputs);
  if (const std::vector<std::int64_t> unbound = symbols_of(g); !unbound.empty())
    fail("@{}: the extent {} is not bound: bind its extents before running the graph", g.name, extent_text(unbound[0]));
  return evaluate(g, inputs);
}

}  // namespace weft

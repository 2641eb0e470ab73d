// The interpreter's results are copied to where a program would have stored them.
#include "compiler/interpreter_executor.h"

#include <algorithm>
#include <map>

namespace weft {
namespace {

/// The buffers that the graph's caller knows.
std::shared_ptr<const BufferTable> signature_of(const Graph& g) {
  BufferTable p;
  p.name = g.name;
  std::map<ValueId, BufferId> states;
  const auto add = [&](Buffer::Kind kind, const std::string& name, const Type& type) {
    p.buffers.push_back({.kind = kind, .name = name, .type = type});
    return static_cast<BufferId>(p.buffers.size() - 1);
  };
  for (const Input& in : g.inputs()) {
    const bool is_state = in.kind == InputKind::state;
    p.inputs.push_back(add(is_state ? Buffer::state : Buffer::input, in.name, g[in.id].type));
    if (is_state) states[in.id] = p.inputs.back();
  }
  for (const Output& out : g.outputs()) p.outputs.push_back(add(Buffer::output, out.name, g[out.id].type));
  for (const Update& update : g.updates()) p.updates.push_back(states.at(update.state));
  return std::make_shared<const BufferTable>(std::move(p));
}

void copy(const Array& from, const Array& to) { std::copy_n(from.data(), from.bytes(), to.data()); }

}  // namespace

InterpreterExecutor::InterpreterExecutor(Graph graph)
    : InterpreterExecutor(std::make_shared<const Graph>(std::move(graph))) {}

InterpreterExecutor::InterpreterExecutor(std::shared_ptr<const Graph> graph)
    : ProgramExecutor(signature_of(*graph)), graph_(std::move(graph)) {}

ExecutorMaker InterpreterExecutor::maker() const {
  return [graph = graph_] { return std::unique_ptr<ProgramExecutor>(new InterpreterExecutor(graph)); };
}

std::vector<Array> InterpreterExecutor::bound_arrays() const {
  std::vector<Array> arrays;
  for (const BufferId id : table().inputs) arrays.push_back(array(id).value_or(Array(Type{f32, {0}})));
  return arrays;
}

void InterpreterExecutor::evaluate(std::span<const Array> inputs, std::span<const Array> outputs) {
  Evaluation e = interpret(*graph_, inputs);
  for (std::size_t i = 0; i < outputs.size(); ++i) copy(e.outputs[i], outputs[i]);
  for (Array& next : e.states) next = next.clone();  // it may be another state as it was
  for (std::size_t i = 0; i < e.states.size(); ++i) copy(e.states[i], *array(table().updates[i]));
}

void InterpreterExecutor::run() {
  check_bindings();
  std::vector<Array> outputs;
  for (std::size_t i = 0; i < output_count(); ++i) outputs.push_back(output(i));
  evaluate(bound_arrays(), outputs);
}

std::int64_t InterpreterExecutor::run_steps(std::int64_t steps, std::span<const StepRows> rows,
                                            std::span<const Array> outputs, const AfterStep& after) {
  check_steps(steps, rows, outputs);
  check_bindings(rows);
  std::vector<Array> inputs = bound_arrays();
  for (std::int64_t s = 0; s < steps; ++s) {
    for (const StepRows& r : rows) inputs[r.position] = row_of(r.array, s);
    std::vector<Array> row;
    for (const Array& all : outputs) row.push_back(row_of(all, s));
    evaluate(inputs, row);
    if (after && !after(s)) return s + 1;
  }
  return steps;
}

}  // namespace weft

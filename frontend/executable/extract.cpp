// From a trace to one function: a walk back from the results, then a copy of what it found.
#include "frontend/executable/extract.h"

#include <algorithm>
#include <map>

#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// The value of a scalar bool that is known when the function is cut out, seen through broadcasts.
std::optional<bool> known_bool(const Graph& g, ValueId id, const std::map<ValueId, bool>& training) {
  for (;;) {
    const Node& n = g[id];
    if (const auto known = training.find(id); known != training.end()) return known->second;
    if (n.op == Op::broadcast) {
      id = n.operands[0];
    } else if (n.op == Op::constant && n.type == Type{boolean, {}}) {
      return n.attrs.literal->item<bool>();
    } else {
      return {};
    }
  }
}

/// What stands for each value: itself, or the branch that a select with a known condition takes.
std::vector<ValueId> resolve_selects(const Graph& g, const std::map<ValueId, bool>& training) {
  std::vector<ValueId> stand_in(g.size());
  for (ValueId id = 0; id < g.size(); ++id) {
    stand_in[id] = id;
    const Node& n = g[id];
    if (n.op != Op::select) continue;
    if (const auto p = known_bool(g, n.operands[0], training)) stand_in[id] = stand_in[n.operands[*p ? 1 : 2]];
  }
  return stand_in;
}

/// The inputs that say whether it is a training step (kTrainingName), with their values.
std::map<ValueId, bool> training_inputs(const Trace& trace, bool training) {
  std::map<ValueId, bool> known;
  for (const Input& i : trace.graph.inputs()) {
    if (i.kind != InputKind::data || !i.name.starts_with(kTrainingName)) continue;
    const auto of = std::ranges::find_if(trace.variables, [&](const Variable& v) {
      return i.name.size() == kTrainingName.size() + 1 + v.name.size() && i.name.ends_with(":" + v.name);
    });
    known[i.id] = training && (of == trace.variables.end() || of->trainable);
  }
  return known;
}

/// Whether a value is the step of a random call: the graph's, and the offset of the call (frontend/tensor/random.cpp).
bool is_call(const Graph& g, ValueId id, ValueId own_step) {
  const Node& n = g[id];
  return n.op == Op::add && n.operands[0] == own_step && g.is_constant(n.operands[1]);
}

/// The state that stands for one of the graph's own random states, if any random tensor was traced.
ValueId random_state(const Trace& trace, std::string_view name, const Tensor& chosen) {
  if (!chosen.defined()) return trace.graph.find_input(name);
  if (chosen.trace().get() != &trace || !(chosen.type() == Type{i64, {}}) || !chosen.trace()->find(chosen.id()))
    fail("{}compile: {} stands for {} and is no state i64[] of the graph", where_prefix(), chosen.str(), name);
  return chosen.id();
}

}  // namespace

Graph extract(const Trace& trace, const std::vector<NamedTensor>& outputs, const CompileOptions& options) {
  const Graph& old = trace.graph;
  const std::map<ValueId, bool> training = training_inputs(trace, options.training);
  std::vector<ValueId> stand_in = resolve_selects(old, training);
  const ValueId step_id = random_state(trace, kStepName, options.step),
                seed_id = random_state(trace, kSeedName, options.seed);
  for (const auto& [name, id] : {std::pair{kStepName, step_id}, std::pair{kSeedName, seed_id}})
    if (const ValueId own = old.find_input(name); own != kNoValue) stand_in[own] = id;

  std::vector<bool> used(old.size(), false);
  for (const NamedTensor& o : outputs) used[stand_in[o.tensor.id()]] = true;
  for (const Assignment& u : options.updates) used[u.state.id()] = used[stand_in[u.value.id()]] = true;
  std::map<ValueId, std::int64_t> calls;  // step + offset of each random call -> its number in this function
  for (std::size_t id = old.size(); id-- > 0;) {
    const Node& n = old[static_cast<ValueId>(id)];
    if (!used[id]) continue;
    if (is_call(old, static_cast<ValueId>(id), old.find_input(kStepName)))
      calls.emplace(static_cast<ValueId>(id), 0), used[stand_in[n.operands[0]]] = true;
    else
      for (ValueId v : n.operands) used[stand_in[v]] = true;
  }
  std::int64_t call_count = 0;
  for (auto& [sum, number] : calls) number = call_count++;

  Graph g;
  g.name = options.name;
  std::vector<ValueId> map(old.size(), kNoValue);
  auto add_input = [&](const Input& i) { map[i.id] = g.input(i.name, old[i.id].type, i.kind, old[i.id].locs); };
  for (const Tensor& t : options.inputs) add_input(*old.find_input(t.id()));
  for (InputKind kind : {InputKind::data, InputKind::state})
    for (const Input& i : old.inputs()) {
      if (i.kind != kind || !used[i.id] || training.contains(i.id) || map[i.id] != kNoValue) continue;
      if (i.name.starts_with(kTurnName))
        fail(
            "{}compile: the outputs depend on what a turn of the scan() at {} is given, which is nothing outside of it",
            where_prefix(), old[i.id].locs.str());
      if (kind == InputKind::data && !options.inputs.empty())
        fail("{}compile: the outputs depend on input '{}' {}, which is not among the inputs listed", where_prefix(),
             i.name,
             Tensor(outputs.empty() ? options.updates[0].value.trace() : outputs[0].tensor.trace(), i.id).str());
      add_input(i);
    }
  for (ValueId id = 0; id < old.size(); ++id) {
    const Node& n = old[id];
    if (!used[id]) continue;
    if (const auto known = training.find(id); known != training.end()) {
      map[id] = g.constant(Array::scalar(known->second), n.locs);
    } else if (n.op != Op::input) {
      std::vector<ValueId> operands;
      for (ValueId v : n.operands) operands.push_back(map[stand_in[v]]);
      if (const auto call = calls.find(id); call != calls.end())
        operands[1] = g.constant(Array::scalar(call_offset(call->second)), n.locs);
      map[id] = g.add(n.op, std::move(operands), n.attrs, n.type, n.locs);
    }
  }
  // A branch that stands for its select also came from the select's lines.
  for (ValueId id = 0; id < old.size(); ++id)
    if (stand_in[id] != id && map[stand_in[id]] != kNoValue) g.add_locs(map[stand_in[id]], old[id].locs);

  for (std::size_t i = 0; i < outputs.size(); ++i)
    g.output(outputs[i].name.empty() ? fmt::format("out{}", i) : outputs[i].name,
             map[stand_in[outputs[i].tensor.id()]]);
  for (const Assignment& u : options.updates) g.update(map[u.state.id()], map[stand_in[u.value.id()]]);
  const bool advances = std::any_of(options.updates.begin(), options.updates.end(),
                                    [&](const Assignment& u) { return u.state.id() == step_id; });
  if (step_id != kNoValue && used[step_id] && !advances) {
    const LocSet locs = old[step_id].locs;
    g.update(map[step_id],
             g.add(Op::add, {map[step_id], g.constant(Array::scalar(std::int64_t{1}), locs)}, {}, {}, locs));
  }
  return g;
}

}  // namespace weft

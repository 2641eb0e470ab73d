// Calls of an Executable: arguments are checked, states are held, a workspace is leased, and the program runs.
#include <algorithm>
#include <array>

#include "frontend/executable/executable.h"
#include "ir/memory/panels.h"

namespace weft {
namespace {

/// The type of one of the rows. Error unless there are `steps` of them.
Type row_type(const std::string& what, const Array& rows, std::int64_t steps) {
  Type row = rows.type();
  if (row.shape.empty() || row.shape[0] != steps)
    fail("{}: expected one row for each of {} steps, got {}", what, steps, to_string(rows.type()));
  row.shape.erase(0);
  return row;
}

/// The rows of [steps, …], each in panels.
Array each_to_panels(const Array& rows, std::int64_t panels) {
  if (panels == 0) return rows;
  const Array converted(rows.type());
  for (std::int64_t s = 0; s < rows.shape()[0]; ++s) {
    const Array row = to_panels(row_of(rows, s), panels);
    std::copy_n(row.data(), row.bytes(), converted.data() + s * static_cast<std::int64_t>(row.bytes()));
  }
  return converted;
}

}  // namespace

/// A workspace for one call, bound to the states that the call holds.
class Executable::Impl::Lease {
 public:
  Lease(const Impl& impl, Bound& b, const HeldStates& held) : bound_(b) {
    if (is_device(impl.options.backend)) turn_ = std::unique_lock(b.turn);
    workspace_ = b.idle.take();
    if (!workspace_) workspace_ = std::make_unique<Workspace>(Workspace{b.another(), {}});
    workspace_->state_memory.resize(impl.states.size());
    for (std::size_t i = 0; i < impl.states.size(); ++i) {
      const Array& memory = held.memory(*impl.state_values[i]);
      if (memory.data() == workspace_->state_memory[i]) continue;  // a bound array is not freed, so it is that one
      workspace_->executor->bind(impl.states[i], memory);
      workspace_->state_memory[i] = memory.data();
    }
  }
  ~Lease() { bound_.idle.give(std::move(workspace_)); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ProgramExecutor* operator->() const { return workspace_->executor.get(); }

 private:
  Bound& bound_;
  std::unique_lock<std::mutex> turn_;
  std::unique_ptr<Workspace> workspace_;
};

void Executable::Impl::check_not_in_callback() const {
  if (HeldStates::Callback::active())
    fail("'{}' is called in StepOptions::after of a call, which holds up that call; call it after run_steps()",
         graph.name);
}

void Executable::Impl::check_count(std::size_t inputs) const {
  if (inputs == data.size()) return;
  std::string names;
  for (std::size_t p : data) names += (names.empty() ? "" : ", ") + graph.inputs()[p].name;
  fail("'{}' takes {} ({}), got {}", graph.name, counted(data.size(), "input"), names.empty() ? "none" : names, inputs);
}

/// Checks the arguments' types, type_of(i), and returns the extents that they have for `symbols`.
template <class F>
Dims Executable::Impl::check(F type_of) const {
  Dims extents;  // 0: none yet
  std::array<std::size_t, kMaxRank> from{};
  for (std::int64_t s : symbols) extents.push_back(s == kBatch ? options.batch : options.extents.find(s).value_or(0));
  std::array<bool, kMaxRank> given{};
  for (std::size_t i = 0; i < data.size(); ++i) {
    const Type& want = type(data[i]);
    const Type& have = type_of(i);
    bool fits = have.dtype == want.dtype && have.shape.rank() == want.shape.rank();
    for (int a = 0; fits && a < want.shape.rank(); ++a)
      fits = is_symbol(want.shape[a]) || want.shape[a] == have.shape[a];
    if (!fits) fail("{}: expected {}, got {}", described(data[i]), to_string(want), to_string(have));
    for (int a = 0; a < want.shape.rank(); ++a) {
      if (!is_symbol(want.shape[a])) continue;
      const bool is_batch = want.shape[a] == kBatch;
      const auto s = static_cast<std::size_t>(std::ranges::find(symbols, want.shape[a]) - symbols.begin());
      std::int64_t& extent = extents[static_cast<int>(s)];
      if (have.shape[a] == 0)
        fail("{}: the {} is empty: {}", described(data[i]), is_batch ? "batch" : "extent " + extent_text(want.shape[a]),
             to_string(have));
      if (!given[s]) extent = have.shape[a], from[s] = i, given[s] = true;
      if (have.shape[a] != extent)
        fail("{}: {} {} differs from {} of {}", described(data[i]),
             is_batch ? "batch extent" : "extent " + extent_text(want.shape[a]) + " =", have.shape[a], extent,
             described(data[from[s]]));
    }
  }
  return extents;
}

std::vector<Array> Executable::Impl::run(std::span<const Array> inputs) {
  check_not_in_callback();
  check_count(inputs.size());
  Bound& b = at(check([&](std::size_t i) -> const Type& { return inputs[i].type(); }));
  const HeldStates held(b.uses);
  const Lease executor(*this, b, held);
  for (std::size_t i = 0; i < data.size(); ++i) executor->bind(data[i], inputs[i]);
  executor->run();
  return executor->take_outputs();
}

/// Index of a state in `states`. Error unless it can have a value for each step.
std::size_t Executable::Impl::step_state(const NamedArray& given, std::int64_t steps) const {
  const std::size_t i = state_named(given.name);
  const std::string what = fmt::format("state '{}'", given.name);
  if (std::ranges::count(update_state, i))
    fail("{} is updated by '{}' and cannot have a value for each step", what, graph.name);
  if (const Type row = row_type(what, given.value, steps); row != type(states[i]))
    fail("{}: expected {} in each step, got {}", what, to_string(type(states[i])), to_string(row));
  return i;
}

StepResults Executable::Impl::run_steps(std::int64_t steps, std::span<const StepArgument> inputs,
                                        const StepOptions& o) {
  check_not_in_callback();
  if (steps < 1) fail("'{}': cannot run {} steps; expected 1 or more", graph.name, steps);
  check_count(inputs.size());
  std::vector<Type> types;
  for (std::size_t i = 0; i < data.size(); ++i)
    types.push_back(inputs[i].per_step ? row_type(described(data[i]), inputs[i].array, steps) : inputs[i].array.type());
  Bound& b = at(check([&](std::size_t i) -> const Type& { return types[i]; }));
  std::vector<std::size_t> step_states;
  std::vector<StateUse> uses = b.uses;
  for (const NamedArray& s : o.states) {
    step_states.push_back(step_state(s, steps));
    std::ranges::find(uses, state_values[step_states.back()].get(), &StateUse::state)->writes = true;
  }

  StepResults results;
  for (const Output& out : b.graph().outputs()) {
    Type all = b.graph()[out.id].type;
    all.shape.insert(0, steps);
    results.outputs.emplace_back(all);
  }
  const HeldStates held(uses);
  const auto go_on = [&](std::int64_t step) {
    const HeldStates::Callback scope(held);
    return o.after(step, results.outputs);
  };
  const Lease executor(*this, b, held);
  std::vector<StepRows> rows;
  for (std::size_t i = 0; i < data.size(); ++i)
    if (inputs[i].per_step)
      rows.push_back({data[i], inputs[i].array});
    else
      executor->bind(data[i], inputs[i].array, inputs[i].version);
  for (std::size_t i = 0; i < step_states.size(); ++i)
    rows.push_back({states[step_states[i]], each_to_panels(o.states[i].value, b.panels[states[step_states[i]]])});
  results.steps = executor->run_steps(steps, rows, results.outputs, o.after ? AfterStep(go_on) : AfterStep());
  for (std::size_t i = 0; i < step_states.size(); ++i)
    held.write(*state_values[step_states[i]], row_of(o.states[i].value, results.steps - 1));
  if (results.steps < steps)
    for (Array& a : results.outputs) a = a.rows(0, results.steps);
  return results;
}

}  // namespace weft

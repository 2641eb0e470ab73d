// What an Executable says of itself, and the compilation for extents.
#include "frontend/executable/executable.h"

#include <algorithm>

#include "compiler/stopwatch.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"

namespace weft {

std::string Executable::Impl::described(std::size_t position) const {
  const Input& i = graph.inputs()[position];
  return fmt::format("input '{}' ({})", i.name, graph[i.id].locs.str());
}

PipelineOptions Executable::Impl::pipeline() const {
  PipelineOptions o;
  o.numerics = options.numerics;
  o.disable = options.disable;
  o.schedules = schedules.get();
  return o;
}

Placement Executable::Impl::place() const {
  return {options.backend,    options.threads, options.check, options.numerics,
          options.persistent, options.pin,     options.cpu};
}

void Executable::Impl::compile_for(Bound& b) {
  const DefaultFloats floats;
  const Stopwatch watch;
  Extents extents;
  for (std::size_t i = 0; i < symbols.size(); ++i) extents.set(symbols[i], b.extents[static_cast<int>(i)]);
  b.stages.emplace(symbols.empty() ? graph : bind(graph, extents), machine, pipeline());
  std::unique_ptr<ProgramExecutor> first = b.stages->executor(place());
  b.panels = first->input_panels();
  std::vector<StateUse> uses;
  for (std::size_t i = 0; i < states.size(); ++i)
    uses.push_back({state_values[i].get(), b.panels[states[i]], std::ranges::count(update_state, i) > 0});
  sort_by_lock_order(uses);
  b.uses = std::move(uses);
  b.another = first->maker();
  b.memory = first->memory();
  b.idle.give(std::make_unique<Workspace>(Workspace{std::move(first), {}}));
  compile_seconds += watch.seconds();
  b.ready = true;
}

std::string Executable::Impl::missing(const Extents& given) const {
  std::string names;
  for (std::int64_t s : symbols)
    if (!given.find(s)) names += (names.empty() ? "" : ", ") + extent_text(s);
  return names;
}

Executable::Impl::Bound& Executable::Impl::at(const Extents& given) {
  for (const auto& [s, _] : given.entries())
    if (s != kBatch && std::ranges::find(symbols, s) == symbols.end())
      fail("'{}' has no extent {}", graph.name, extent_text(s));
  if (!symbols.empty() && given.empty()) {
    Bound* b = recent.load(std::memory_order_acquire);
    if (!b)
      fail("'{}' has {} and has not been compiled for {} yet; call it, or prepare({}), first", graph.name,
           symbols == std::vector{kBatch} ? "a batch axis" : "unbound extents " + missing({}),
           symbols == std::vector{kBatch} ? "a batch extent" : "any",
           symbols == std::vector{kBatch} ? "batch" : "extents");
    return *b;
  }
  if (const std::string names = missing(given); !names.empty())
    fail("'{}' needs an extent for {} too", graph.name, names);
  Dims extents;
  for (std::int64_t s : symbols) extents.push_back(*given.find(s));
  return at(extents);
}

Executable::Impl::Bound& Executable::Impl::at(const Dims& extents) {
  Bound* b = recent.load(std::memory_order_acquire);
  if (b && b->extents == extents) return *b;
  const ForkGuard guard;
  {
    const std::lock_guard lock(mutex);
    b = &bound[extents];
    b->extents = extents;
  }
  const std::lock_guard lock(b->compiling);
  if (!b->ready) compile_for(*b);
  recent.store(b, std::memory_order_release);
  return *b;
}

std::size_t Executable::Impl::state_named(const std::string& name) const {
  std::string names;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (graph.inputs()[states[i]].name == name) return i;
    names += (names.empty() ? "" : ", ") + graph.inputs()[states[i]].name;
  }
  fail("'{}' has no state '{}'; it has {}", graph.name, name, names.empty() ? "none" : names);
}

std::vector<Array> Executable::operator()(std::initializer_list<Array> inputs) const {
  return impl_->run(std::span(inputs.begin(), inputs.size()));
}
std::vector<Array> Executable::operator()(const std::vector<Array>& inputs) const { return impl_->run(inputs); }

std::vector<Array> Executable::operator()(const std::vector<NamedArray>& inputs) const {
  Impl& m = *impl_;
  std::vector<Array> ordered(m.data.size());
  std::vector<bool> given(ordered.size(), false);
  const std::vector<std::string> names = input_names();
  for (const NamedArray& n : inputs) {
    const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), n.name) - names.begin());
    if (at == names.size()) fail("'{}' has no input '{}'; it has {}", m.graph.name, n.name, fmt::join(names, ", "));
    if (given[at]) fail("input '{}' of '{}' is given twice", n.name, m.graph.name);
    ordered[at] = n.value;
    given[at] = true;
  }
  for (std::size_t i = 0; i < given.size(); ++i)
    if (!given[i]) fail("{} is missing: expected {}", m.described(m.data[i]), to_string(m.type(m.data[i])));
  return m.run(ordered);
}

StepArgument per_step(Array rows) {
  StepArgument argument(std::move(rows));
  argument.per_step = true;
  return argument;
}

StepArgument resident(Array array) {
  StepArgument argument(std::move(array));
  argument.version = new_version();
  return argument;
}

StepResults Executable::run_steps(std::int64_t steps, const std::vector<StepArgument>& inputs,
                                  const StepOptions& options) const {
  return impl_->run_steps(steps, inputs, options);
}

std::vector<std::string> Executable::input_names() const {
  const Impl& m = *impl_;
  std::vector<std::string> names;
  for (std::size_t p : m.data) names.push_back(m.graph.inputs()[p].name);
  return names;
}

std::vector<std::string> Executable::output_names() const {
  std::vector<std::string> names;
  for (const Output& o : impl_->graph.outputs()) names.push_back(o.name);
  return names;
}

std::vector<Type> Executable::output_types(const Extents& extents) const {
  const Graph& g = impl_->at(extents).graph();
  std::vector<Type> types;
  for (const Output& o : g.outputs()) types.push_back(g[o.id].type);
  return types;
}

std::vector<std::string> Executable::state_names() const {
  const Impl& m = *impl_;
  std::vector<std::string> names;
  for (std::size_t p : m.states) names.push_back(m.graph.inputs()[p].name);
  return names;
}

Array Executable::state(const std::string& name) const {
  const Impl& m = *impl_;
  return m.state_values[m.state_named(name)]->read();
}

void Executable::set_state(const std::string& name, const Array& value) const {
  const Impl& m = *impl_;
  StateValue& state = *m.state_values[m.state_named(name)];
  if (value.type() != state.type())
    fail("set_state: '{}' is {}, the new value is {}; expected the same type", name, to_string(state.type()),
         to_string(value.type()));
  state.write(value);
}

Graph Executable::graph(const Extents& extents) const {
  Impl& m = *impl_;
  return extents.empty() && !m.recent.load(std::memory_order_acquire) ? m.graph : m.at(extents).graph();
}

Graph Executable::optimized(const Extents& extents) const {
  const DefaultFloats floats;
  const ForkGuard guard;
  Impl::Bound& b = impl_->at(extents);
  const std::lock_guard lock(b.compiling);
  return b.stages->optimized();
}

std::string Executable::dump(Stage stage, const Extents& extents) const {
  const DefaultFloats floats;
  const ForkGuard guard;
  if (stage == Stage::graph) return print(graph(extents));  // which needs none
  Impl::Bound& b = impl_->at(extents);
  const std::lock_guard lock(b.compiling);
  return b.stages->text(stage);
}

MemoryReport Executable::memory(const Extents& extents) const { return impl_->at(extents).memory; }

double Executable::compile_seconds() const { return impl_->compile_seconds; }
int Executable::threads() const { return threads_of(impl_->place()); }
Backend Executable::backend() const { return impl_->options.backend; }
std::string Executable::device() const { return describe(impl_->place()); }
void Executable::prepare(const Extents& extents) const { impl_->at(extents); }

}  // namespace weft

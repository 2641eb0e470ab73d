// grad, substitute, and executables: binding a batch extent, compiling for it, checking arguments, running.
#include "frontend/compile.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "codegen/codegen.h"
#include "codegen/device.h"
#include "frontend/extract.h"
#include "frontend/node.h"
#include "frontend/placement.h"
#include "frontend/stopwatch.h"
#include "frontend/stored_schedules.h"
#include "ir/panels.h"
#include "passes/autodiff.h"
#include "passes/pipeline.h"

namespace weft {
std::vector<Tensor> grad(const Tensor& loss, const std::vector<Tensor>& wrt, std::source_location where) {
  LocScope scope(where);
  std::vector<Tensor> all{loss};
  all.insert(all.end(), wrt.begin(), wrt.end());
  check_operands("grad", all);
  const std::vector<ValueId> ids = ids_of(wrt);
  std::vector<Tensor> gradients;
  const auto values =
      located("grad", [&] { return differentiate(loss.trace()->graph, loss.id(), ids, LocScope::current()); });
  for (ValueId id : values) gradients.emplace_back(loss.trace(), id);
  return gradients;
}

std::vector<Tensor> substitute(const std::vector<Tensor>& tensors, const std::vector<Substitution>& with,
                               std::source_location where) {
  LocScope scope(where);
  std::vector<Tensor> all = tensors;
  for (const Substitution& s : with) {
    check_operands("substitute", {s.from, s.to});
    if (!(s.from.type() == s.to.type()))
      type_error("substitute", {s.from, s.to}, "a tensor is replaced by one of another type");
    all.push_back(s.from);
  }
  if (all.empty()) return {};
  check_operands("substitute", all);
  Graph& g = all[0].trace()->graph;
  const auto size = static_cast<ValueId>(g.size());
  std::vector<ValueId> map(size);
  std::vector<bool> changed(size, false);
  const std::vector<bool> used = reached_from(g, ids_of(tensors));
  for (ValueId id = 0; id < size; ++id) map[id] = id;
  for (const Substitution& s : with) map[s.from.id()] = s.to.id(), changed[s.from.id()] = true;
  for (ValueId id = 0; id < size; ++id) {
    if (changed[id] || !used[id]) continue;
    const Node n = g[id];  // a copy: adding nodes moves the originals
    std::vector<ValueId> operands;
    for (ValueId v : n.operands) operands.push_back(map[v]), changed[id] = changed[id] || changed[v];
    if (changed[id]) map[id] = g.add(n.op, std::move(operands), n.attrs, n.type, n.locs | LocScope::current());
  }
  std::vector<Tensor> result;
  for (const Tensor& t : tensors) result.emplace_back(t.trace(), map[t.id()]);
  return result;
}

struct Executable::Impl {
  /// The function compiled for one batch extent (0: it has none).
  struct Bound {
    Graph graph;
    std::optional<Graph> optimized;
    std::shared_ptr<const Program> program;
    std::unique_ptr<ProgramExecutor> executor;   // none: interpreted
    std::vector<const std::byte*> state_memory;  // what the executor's states are bound to, by `states`
  };

  CompileOptions options;
  std::shared_ptr<const ScheduleTable> schedules;  // measured ones, if any
  Graph graph;                                     // before the batch is bound
  bool has_batch = false;
  std::vector<std::size_t> data, states;                  // positions in graph.inputs()
  std::vector<std::shared_ptr<StateValue>> state_values;  // by `states`
  std::vector<std::size_t> update_state;                  // by Graph::updates(): index in `states`
  std::map<std::int64_t, Bound> bound;
  std::int64_t last = 0;  // the batch compiled or called last
  double compile_seconds = 0;

  const Type& type(std::size_t position) const { return graph[graph.inputs()[position].id].type; }
  std::string described(std::size_t position) const {
    const Input& i = graph.inputs()[position];
    return fmt::format("input '{}' ({})", i.name, graph[i.id].locs.str());
  }

  PipelineOptions pipeline() const {
    PipelineOptions o;
    o.numerics = options.numerics;
    o.disable = options.disable;
    o.schedules = schedules.get();
    o.for_cpu = options.backend == Backend::cpu;
    return o;
  }

  Placement place() const {
    return {options.backend, options.threads, options.check, options.numerics, options.persistent};
  }

  void build(Bound& b) const {
    if (!b.optimized) b.optimized = optimize(b.graph, pipeline());
    if (!b.program)
      b.program = std::make_shared<const Program>(make_program(*b.optimized, machine_of(options.backend), pipeline()));
  }

  Bound& at(std::int64_t batch) {
    if (batch == 0 && has_batch) batch = last;
    if (batch == 0 && has_batch)
      fail("'{}' has a batch axis and has not been compiled for a batch extent yet; call it, or prepare(batch), first",
           graph.name);
    if (!has_batch) batch = 0;
    last = batch;
    if (auto it = bound.find(batch); it != bound.end()) return it->second;
    const Stopwatch watch;
    Bound b;
    b.graph = has_batch ? bind_batch(graph, batch) : graph;
    if (options.backend != Backend::interpreter) {
      build(b);
      b.executor = make_executor(b.program, place());
      b.state_memory.resize(states.size());
    }
    compile_seconds += watch.seconds();
    return bound.emplace(batch, std::move(b)).first->second;
  }

  std::int64_t panels(const Bound& b, std::size_t state) const {
    return b.program->buffers[static_cast<std::size_t>(b.program->inputs[states[state]])].panels;
  }

  /// Binds the states in the order that the program wants: another executable may have left them in another.
  void bind_states(Bound& b) {
    for (std::size_t i = 0; i < states.size(); ++i) {
      const Array& memory = state_values[i]->storage(panels(b, i));
      if (memory.data() == b.state_memory[i]) continue;
      b.executor->bind(states[i], memory);
      b.state_memory[i] = memory.data();
    }
  }

  void check_count(std::size_t inputs) const {
    if (inputs == data.size()) return;
    std::string names;
    for (std::size_t p : data) names += (names.empty() ? "" : ", ") + graph.inputs()[p].name;
    fail("'{}' takes {} inputs ({}), got {}", graph.name, data.size(), names.empty() ? "none" : names, inputs);
  }

  /// Checks the arguments' types, type_of(i), and returns the batch extent that they have (0: none).
  template <class F>
  std::int64_t check(F type_of) const {
    std::int64_t batch = 0;
    std::size_t batch_from = 0;
    for (std::size_t i = 0; i < data.size(); ++i) {
      const Type& want = type(data[i]);
      const Type& have = type_of(i);
      bool fits = have.dtype == want.dtype && have.shape.rank() == want.shape.rank();
      for (int a = 0; fits && a < want.shape.rank(); ++a)
        fits = want.shape[a] == kBatch || want.shape[a] == have.shape[a];
      if (!fits) fail("{}: expected {}, got {}", described(data[i]), to_string(want), to_string(have));
      for (int a = 0; a < want.shape.rank(); ++a) {
        if (want.shape[a] != kBatch) continue;
        if (have.shape[a] == 0) fail("{}: the batch is empty: {}", described(data[i]), to_string(have));
        if (batch == 0) batch = have.shape[a], batch_from = i;
        if (have.shape[a] != batch)
          fail("{}: batch extent {} differs from {} of {}", described(data[i]), have.shape[a], batch,
               described(data[batch_from]));
      }
    }
    return has_batch && batch == 0 ? options.batch : batch;
  }

  std::vector<Array> run(std::span<const Array> inputs) {
    check_count(inputs.size());
    Bound& b = at(check([&](std::size_t i) -> const Type& { return inputs[i].type(); }));
    std::vector<Array> outputs;
    if (b.executor) {
      bind_states(b);
      for (std::size_t i = 0; i < data.size(); ++i) b.executor->bind(data[i], inputs[i]);
      b.executor->run();
      for (std::size_t i = 0; i < b.executor->output_count(); ++i) outputs.push_back(b.executor->output(i).clone());
      return outputs;
    }
    std::vector<Array> all(graph.inputs().size());
    for (std::size_t i = 0; i < data.size(); ++i) all[data[i]] = inputs[i];
    for (std::size_t i = 0; i < states.size(); ++i) all[states[i]] = state_values[i]->read();
    Evaluation e = interpret(b.graph, all);
    for (std::size_t i = 0; i < e.states.size(); ++i) state_values[update_state[i]]->write(e.states[i]);
    for (const Array& a : e.outputs) outputs.push_back(a.clone());  // an output may be an input
    return outputs;
  }

  /// The type of one of the rows. Error unless there are `steps` of them.
  static Type row_type(const std::string& what, const Array& rows, std::int64_t steps) {
    Type row = rows.type();
    if (row.shape.empty() || row.shape[0] != steps)
      fail("{}: expected one row for each of {} steps, got {}", what, steps, to_string(rows.type()));
    row.shape.erase(0);
    return row;
  }

  /// Position of a state among `states`. Error unless it can have a value for each step.
  std::size_t step_state(const NamedArray& given, std::int64_t steps) const {
    const std::size_t i = find_state(given.name);
    const std::string what = fmt::format("state '{}'", given.name);
    if (std::ranges::count(update_state, i))
      fail("{} is updated by '{}' and cannot have a value for each step", what, graph.name);
    if (const Type row = row_type(what, given.value, steps); row != type(states[i]))
      fail("{}: expected {} in each step, got {}", what, to_string(type(states[i])), to_string(row));
    return i;
  }

  StepResults run_steps(std::int64_t steps, std::span<const StepArgument> inputs, const StepOptions& o) {
    if (steps < 1) fail("'{}': cannot run {} steps; expected 1 or more", graph.name, steps);
    check_count(inputs.size());
    std::vector<Type> types;
    for (std::size_t i = 0; i < data.size(); ++i)
      types.push_back(inputs[i].per_step ? row_type(described(data[i]), inputs[i].array, steps)
                                         : inputs[i].array.type());
    Bound& b = at(check([&](std::size_t i) -> const Type& { return types[i]; }));
    std::vector<std::size_t> step_states;
    for (const NamedArray& s : o.states) step_states.push_back(step_state(s, steps));

    StepResults results;
    for (const Output& out : b.graph.outputs()) {
      Type all = b.graph[out.id].type;
      all.shape.insert(0, steps);
      results.outputs.emplace_back(all);
    }
    const auto go_on = [&](std::int64_t step) { return !o.after || o.after(step, results.outputs); };
    const auto set_states = [&](std::int64_t step) {
      for (std::size_t i = 0; i < step_states.size(); ++i)
        state_values[step_states[i]]->write(row_of(o.states[i].value, step));
    };
    if (b.executor) {
      bind_states(b);
      std::vector<StepRows> rows;
      for (std::size_t i = 0; i < data.size(); ++i)
        if (inputs[i].per_step)
          rows.push_back({data[i], inputs[i].array});
        else
          b.executor->bind(data[i], inputs[i].array, inputs[i].version);
      for (std::size_t i = 0; i < step_states.size(); ++i)
        rows.push_back({states[step_states[i]], each_to_panels(o.states[i].value, panels(b, step_states[i]))});
      results.steps = b.executor->run_steps(steps, rows, results.outputs, go_on);
      set_states(results.steps - 1);
    } else {
      for (bool more = true; results.steps < steps && more; ++results.steps) {
        const std::int64_t s = results.steps;
        set_states(s);
        std::vector<Array> arguments;
        for (std::size_t i = 0; i < data.size(); ++i) {
          arguments.push_back(inputs[i].per_step ? row_of(inputs[i].array, s) : inputs[i].array);
        }
        const std::vector<Array> outputs = run(arguments);
        for (std::size_t i = 0; i < outputs.size(); ++i)
          std::copy_n(outputs[i].data(), outputs[i].bytes(), results.outputs[i].data() + outputs[i].bytes() * s);
        more = go_on(s);
      }
    }
    if (results.steps < steps)
      for (Array& a : results.outputs) a = a.rows(0, results.steps);
    return results;
  }

  /// A row in the storage of all, aligned to its elements only: to be read, not to be bound.
  static Array row_of(const Array& rows, std::int64_t row) {
    Type type = rows.type();
    type.shape.erase(0);
    return rows.view_rows(row, row + 1).reshaped(type.shape);
  }

  /// The rows of [steps, …], each in panels.
  static Array each_to_panels(const Array& rows, std::int64_t panels) {
    if (panels == 0) return rows;
    const Array converted(rows.type());
    for (std::int64_t s = 0; s < rows.shape()[0]; ++s) {
      const Array row = to_panels(row_of(rows, s), panels);
      std::copy_n(row.data(), row.bytes(), converted.data() + s * static_cast<std::int64_t>(row.bytes()));
    }
    return converted;
  }

  /// Position of a state among `states`. Error when there is none of that name.
  std::size_t find_state(const std::string& name) const {
    for (std::size_t i = 0; i < states.size(); ++i)
      if (graph.inputs()[states[i]].name == name) return i;
    std::string names;
    for (std::size_t p : states) names += (names.empty() ? "" : ", ") + graph.inputs()[p].name;
    fail("'{}' has no state '{}'; it has {}", graph.name, name, names.empty() ? "none" : names);
  }
};

std::vector<Array> Executable::operator()(std::initializer_list<Array> inputs) const {
  return impl_->run(std::span(inputs.begin(), inputs.size()));
}
std::vector<Array> Executable::operator()(const std::vector<Array>& inputs) const { return impl_->run(inputs); }

std::vector<Array> Executable::operator()(const std::vector<NamedArray>& inputs) const {
  std::vector<Array> ordered(impl_->data.size());
  std::vector<bool> given(ordered.size(), false);
  const std::vector<std::string> names = input_names();
  for (const NamedArray& n : inputs) {
    const auto at = static_cast<std::size_t>(std::find(names.begin(), names.end(), n.name) - names.begin());
    if (at == names.size())
      fail("'{}' has no input '{}'; it has {}", impl_->graph.name, n.name, fmt::join(names, ", "));
    if (given[at]) fail("input '{}' of '{}' is given twice", n.name, impl_->graph.name);
    ordered[at] = n.value;
    given[at] = true;
  }
  for (std::size_t i = 0; i < given.size(); ++i)
    if (!given[i])
      fail("{} is missing: expected {}", impl_->described(impl_->data[i]), to_string(impl_->type(impl_->data[i])));
  return impl_->run(ordered);
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
  std::vector<std::string> names;
  for (std::size_t p : impl_->data) names.push_back(impl_->graph.inputs()[p].name);
  return names;
}

std::vector<std::string> Executable::output_names() const {
  std::vector<std::string> names;
  for (const Output& o : impl_->graph.outputs()) names.push_back(o.name);
  return names;
}

std::vector<Type> Executable::output_types(std::int64_t batch) const {
  const Graph& g = impl_->at(batch).graph;
  std::vector<Type> types;
  for (const Output& o : g.outputs()) types.push_back(g[o.id].type);
  return types;
}

std::vector<std::string> Executable::state_names() const {
  std::vector<std::string> names;
  for (std::size_t p : impl_->states) names.push_back(impl_->graph.inputs()[p].name);
  return names;
}

Array Executable::state(const std::string& name) const { return impl_->state_values[impl_->find_state(name)]->read(); }

void Executable::set_state(const std::string& name, const Array& value) const {
  StateValue& state = *impl_->state_values[impl_->find_state(name)];
  if (!(value.type() == state.type()))
    fail("set_state: '{}' is {}, the new value is {}; expected the same type", name, to_string(state.type()),
         to_string(value.type()));
  state.write(value);
}

Graph Executable::graph(std::int64_t batch) const {
  return impl_->has_batch && batch == 0 && impl_->last == 0 ? impl_->graph : impl_->at(batch).graph;
}

Graph Executable::optimized(std::int64_t batch) const {
  Impl::Bound& b = impl_->at(batch);
  if (!b.optimized) b.optimized = optimize(b.graph, impl_->pipeline());
  return *b.optimized;
}

std::string Executable::dump(Stage stage, std::int64_t batch) const {
  if (stage == Stage::graph) return print(graph(batch));
  if (stage == Stage::optimized) return print(optimized(batch));
  Impl::Bound& b = impl_->at(batch);
  impl_->build(b);
  if (stage == Stage::kernels) return print(*b.program);
  // Code for another kind of machine than it runs on begins at schedules for that.
  const bool for_gpu = stage == Stage::device || stage == Stage::ptx;
  const Target machine = for_gpu ? machine_of(Backend::cuda) : host_target();
  PipelineOptions options = impl_->pipeline();
  options.for_cpu = !for_gpu;
  const Program p =
      options.for_cpu == (backend() == Backend::cpu) ? *b.program : make_program(*b.optimized, machine, options);
  if (stage == Stage::llvm) return emit_llvm(p, machine);
  if (stage == Stage::assembly) return emit_asm(p, machine);
  const GpuTarget gpu{.numerics = impl_->options.numerics};
  const std::vector<simt::Function> functions = device_functions(p, gpu);
  if (stage == Stage::ptx) return emit_ptx(functions, gpu).text;
  return simt::print(functions);
}

MemoryReport Executable::memory(std::int64_t batch) const {
  const Impl::Bound& b = impl_->at(batch);
  if (b.executor) return b.executor->memory();
  MemoryReport r;
  for (const Input& i : b.graph.inputs())
    (i.kind == InputKind::state ? r.state_bytes : r.input_bytes) += byte_size(b.graph[i.id].type);
  for (const Output& o : b.graph.outputs()) r.output_bytes += byte_size(b.graph[o.id].type);
  return r;
}

double Executable::compile_seconds() const { return impl_->compile_seconds; }
int Executable::threads() const { return threads_of(impl_->place()); }
Backend Executable::backend() const { return impl_->options.backend; }
std::string Executable::device() const { return describe(impl_->place()); }
void Executable::prepare(std::int64_t batch) const { impl_->at(batch); }

Executable compile(const std::vector<NamedTensor>& outputs, const CompileOptions& options, std::source_location where) {
  LocScope scope(where);
  const Stopwatch watch;
  std::vector<Tensor> all;
  for (const NamedTensor& o : outputs) all.push_back(o.tensor);
  for (const Assignment& u : options.updates) all.push_back(u.state), all.push_back(u.value);
  for (const Tensor& t : options.inputs) all.push_back(t);
  if (outputs.empty() && options.updates.empty())
    fail("{}compile: nothing to compute: no outputs and no updates", where_prefix());
  check_operands("compile", all);
  for (const Tensor& t : options.inputs)
    if (t.trace()->graph[t.id()].op != Op::input || t.trace()->find(t.id()))
      fail("{}compile: {} is listed as an input and is none", where_prefix(), t.str());
  for (const Assignment& u : options.updates)
    if (!u.state.trace()->find(u.state.id()))
      fail("{}compile: {} is updated and is no state or parameter", where_prefix(), u.state.str());

  auto impl = std::make_shared<Executable::Impl>();
  Trace& trace = *all[0].trace();
  impl->options = options;
  if (options.backend == Backend::cpu) impl->schedules = read_schedules(options.schedules, host_target());
  impl->graph = located("compile", [&] { return extract(trace, outputs, options); });
  impl->options.updates.clear(), impl->options.inputs.clear();  // the function stands by itself now
  const Graph& g = impl->graph;
  for (ValueId id = 0; id < g.size(); ++id) impl->has_batch = impl->has_batch || !is_static(g[id].type.shape);
  bool input_has_batch = false;
  std::unordered_map<ValueId, std::size_t> state_of;
  for (std::size_t p = 0; p < g.inputs().size(); ++p) {
    if (g.inputs()[p].kind == InputKind::data) {
      impl->data.push_back(p);
      input_has_batch = input_has_batch || !is_static(impl->type(p).shape);
    } else {
      state_of.emplace(g.inputs()[p].id, impl->states.size());
      impl->states.push_back(p);
      impl->state_values.push_back(trace.find(g.inputs()[p].name)->value);
    }
  }
  for (const Update& u : g.updates()) impl->update_state.push_back(state_of.at(u.state));
  if (impl->has_batch && !input_has_batch && options.batch < 1)
    fail("{}compile: the graph has a batch axis and no input that would give its extent; set CompileOptions::batch",
         where_prefix());
  if (options.batch < 0) fail("{}compile: batch is {}; expected 1 or more", where_prefix(), options.batch);
  impl->compile_seconds = watch.seconds();
  if (!impl->has_batch || options.batch > 0) impl->at(options.batch);
  return Executable(std::move(impl));
}

}  // namespace weft

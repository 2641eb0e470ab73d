// grad, substitute, and compile: from traced tensors to what an Executable holds.
#include "frontend/executable/compile.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "compiler/stopwatch.h"
#include "frontend/executable/executable.h"
#include "frontend/executable/extract.h"
#include "frontend/tensor/node.h"
#include "ir/base/fork.h"
#include "ir/base/lexer.h"
#include "passes/transform/autodiff.h"

namespace weft {

std::vector<Tensor> grad(const Tensor& loss, const std::vector<Tensor>& wrt, std::source_location where) {
  LocScope scope(where);
  std::vector<Tensor> all{loss};
  all.insert(all.end(), wrt.begin(), wrt.end());
  check_operands(all);
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
    check_operands({s.from, s.to});
    if (!(s.from.type() == s.to.type())) type_error({s.from, s.to}, "a tensor is replaced by one of another type");
    all.push_back(s.from);
  }
  if (all.empty()) return {};
  check_operands(all);
  Graph& g = all[0].trace()->graph;
  const auto size = static_cast<ValueId>(g.size());
  std::vector<ValueId> map(size);
  std::vector<bool> changed(size, false);
  const std::vector<bool> used = reached_from(g, ids_of(tensors));
  for (ValueId id = 0; id < size; ++id) map[id] = id;
  for (const Substitution& s : with) map.at(s.from.id()) = s.to.id(), changed.at(s.from.id()) = true;
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

// A layer that is called twice on one tensor is called once.
std::vector<RecordedUpdate> recorded_updates(const std::vector<Tensor>& results) {
  std::vector<RecordedUpdate> all;
  if (results.empty()) return all;
  const std::shared_ptr<Trace> trace = results[0].trace();
  const std::vector<bool> used = reached_from(trace->graph, ids_of(results));
  const auto is_given = [&](ValueId value) {
    const std::vector<bool> needed = reached_from(trace->graph, {value});
    return std::ranges::all_of(trace->graph.inputs(), [&](const Input& i) {
      return i.kind != InputKind::data || !needed[i.id] || used[i.id] || i.name.starts_with(kTrainingName);
    });
  };
  std::set<std::array<ValueId, 3>> of_layers;
  for (const StateUpdate& u : trace->updates) {
    const bool of_layer = u.with != kNoValue;
    if ((of_layer && !used[u.with]) || !is_given(u.value)) continue;
    if (of_layer && !of_layers.insert({u.state, u.value, u.with}).second) continue;
    all.push_back({{trace, u.state}, {trace, u.value}, of_layer ? Tensor(trace, u.with) : Tensor()});
  }
  return all;
}

std::vector<Assignment> done_in_turn(const std::vector<RecordedUpdate>& updates) {
  std::vector<Assignment> all;
  for (const RecordedUpdate& u : updates) {
    const auto before = std::ranges::find_if(all, [&](const Assignment& a) { return a.state.same(u.state); });
    if (before == all.end())
      all.push_back({u.state, u.value});
    else
      before->value = substitute({u.value}, {{u.state, before->value}})[0];
  }
  return all;
}

std::vector<Assignment> updates_of(const std::vector<Tensor>& results, std::source_location where) {
  LocScope scope(where);
  check_operands(results);
  std::vector<RecordedUpdate> updates = recorded_updates(results);
  std::erase_if(updates, [](const RecordedUpdate& u) { return !u.state.trainable(); });
  return done_in_turn(updates);
}

Executable compile(const std::vector<NamedTensor>& outputs, const CompileOptions& options, std::source_location where) {
  LocScope scope(where);
  const ForkGuard guard;
  const Stopwatch watch;
  std::vector<Tensor> all;
  for (const NamedTensor& o : outputs) all.push_back(o.tensor);
  for (const Assignment& u : options.updates) all.push_back(u.state), all.push_back(u.value);
  for (const Tensor& t : options.inputs) all.push_back(t);
  if (outputs.empty() && options.updates.empty())
    fail("{}compile: nothing to compute: no outputs and no updates", where_prefix());
  check_operands(all);
  if (!is_identifier(options.name))
    fail(
        "{}compile: the name '{}' is not an identifier: expected letters, digits, '_' and '.', not starting with a "
        "digit",
        where_prefix(), options.name);
  for (const Tensor& t : options.inputs)
    if (t.trace()->graph[t.id()].op != Op::input || t.trace()->find(t.id()))
      fail("{}compile: {} is listed as an input and is none", where_prefix(), t.str());
  for (const Assignment& u : options.updates)
    if (!u.state.trace()->find(u.state.id()))
      fail("{}compile: {} is updated and is no state or parameter", where_prefix(), u.state.str());

  auto impl = std::make_shared<Executable::Impl>();
  Trace& trace = *all[0].trace();
  impl->options = options;
  impl->machine = located("compile", [&] { return machine_of(impl->place()); });
  if (options.backend == Backend::cpu) impl->schedules = read_schedules(options.schedules, impl->machine.host);
  impl->graph = located("compile", [&] { return extract(trace, outputs, options); });
  impl->options.updates.clear(), impl->options.inputs.clear();  // the function stands by itself now
  impl->options.seed = impl->options.step = {};
  const Graph& g = impl->graph;
  impl->symbols = symbols_of(g);
  if (impl->symbols.size() > kMaxRank)
    fail("{}compile: the graph has {} unbound extents; expected at most {}", where_prefix(), impl->symbols.size(),
         kMaxRank);
  Extents from_inputs, given = options.extents;
  std::unordered_map<ValueId, std::size_t> state_of;
  for (std::size_t p = 0; p < g.inputs().size(); ++p) {
    if (g.inputs()[p].kind == InputKind::data) {
      impl->data.push_back(p);
      for (std::int64_t extent : impl->type(p).shape)
        if (is_symbol(extent)) from_inputs.set(extent, 1);
    } else {
      state_of.emplace(g.inputs()[p].id, impl->states.size());
      impl->states.push_back(p);
      impl->state_values.push_back(trace.find(g.inputs()[p].name)->value);
    }
  }
  for (const Update& u : g.updates()) impl->update_state.push_back(state_of.at(u.state));
  if (options.batch < 0) fail("{}compile: batch is {}; expected 1 or more", where_prefix(), options.batch);
  if (options.batch > 0) given.set(kBatch, options.batch);
  for (std::int64_t s : impl->symbols)
    if (!from_inputs.find(s) && given.find(s).value_or(0) < 1)
      fail("{}compile: the graph has {} and no input that would give its extent; set CompileOptions::{}",
           where_prefix(), s == kBatch ? "a batch axis" : "an axis " + extent_text(s),
           s == kBatch ? "batch" : "extents");
  impl->compile_seconds = watch.seconds();
  for (const auto& [unknown, extent] : options.extents.entries())
    if (std::ranges::find(impl->symbols, unknown) == impl->symbols.end())
      fail("{}compile: CompileOptions::extents: '{}' has no extent {}", where_prefix(), options.name,
           extent_text(unknown));
  if (impl->missing(given).empty()) impl->at(given);
  return Executable(std::move(impl));
}

}  // namespace weft

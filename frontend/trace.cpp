// Traces, their scopes, and the line that nodes are charged to.
#include "frontend/trace.h"

#include <utility>

namespace weft {
namespace {

std::shared_ptr<Trace>& thread_trace() {
  thread_local std::shared_ptr<Trace> trace = std::make_shared<Trace>();
  return trace;
}

LocSet& thread_locs() {
  thread_local LocSet locs;
  return locs;
}

}  // namespace

std::string Trace::unique_name(const std::string& base) {
  for (;;) {
    const int n = name_counts[base]++;
    std::string candidate = n == 0 ? base : fmt::format("{}_{}", base, n);
    if (layer_names_.contains(candidate) || graph.find_input(candidate) != kNoValue) continue;
    bases[candidate] = base;
    return candidate;
  }
}

void Trace::add(Variable v) {
  variable_of_.emplace(v.id, variables.size());
  variables.push_back(std::move(v));
}

void Trace::add(LayerCall call) {
  layer_names_.insert(call.name);
  layers.push_back(std::move(call));
}

Variable* Trace::find(ValueId id) {
  const auto it = variable_of_.find(id);
  return it == variable_of_.end() ? nullptr : &variables[it->second];
}

Variable* Trace::find(const std::string& name) { return find(graph.find_input(name)); }

std::vector<bool> reached_from(const Graph& g, const std::vector<ValueId>& roots) {
  std::vector<bool> reached(g.size(), false);
  for (ValueId id : roots) reached[id] = true;
  for (std::size_t id = g.size(); id-- > 0;)
    if (reached[id])
      for (ValueId v : g[static_cast<ValueId>(id)].operands) reached[v] = true;
  return reached;
}

const std::shared_ptr<Trace>& current_trace() { return thread_trace(); }

GraphScope::GraphScope() : GraphScope(std::make_shared<Trace>()) {}
GraphScope::GraphScope(std::shared_ptr<Trace> trace) : saved_(std::exchange(thread_trace(), std::move(trace))) {}
GraphScope::~GraphScope() { thread_trace() = std::move(saved_); }

void set_seed(std::uint64_t seed) {
  Trace& trace = *current_trace();
  trace.seed = seed;
  trace.parameter_stream = 0;
  if (Variable* v = trace.find(std::string(kSeedName))) v->value->write(Array::scalar(static_cast<std::int64_t>(seed)));
  if (Variable* v = trace.find(std::string(kStepName))) v->value->write(Array::scalar(std::int64_t{0}));
}

LocScope::LocScope(const std::source_location& where) : saved_(thread_locs()) {
  if (saved_.empty()) thread_locs() = LocSet::of(where);
}
LocScope::LocScope(LocSet locs) : saved_(thread_locs()) {
  if (saved_.empty()) thread_locs() = locs;
}
LocScope::~LocScope() { thread_locs() = saved_; }
LocSet LocScope::current() { return thread_locs(); }

}  // namespace weft

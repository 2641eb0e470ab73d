// Traces, their scopes, and the line that nodes are charged to.
#include "frontend/tensor/trace.h"

#include <algorithm>
#include <cctype>
#include <mutex>
#include <utility>

namespace weft {
namespace {

/// A thread's graphs. Objects that outlive the thread's own (a program's globals) may still trace: then they are made
/// anew, and stay.
struct ThreadGraphs {
  std::shared_ptr<Trace> own = std::make_shared<Trace>();  // outside of every scope
  std::shared_ptr<Trace> current = own;
};
constinit thread_local ThreadGraphs* graphs_of_thread = nullptr;

ThreadGraphs& thread_graphs() {
  struct Owner {
    ~Owner() { delete std::exchange(graphs_of_thread, nullptr); }
  };
  if (!graphs_of_thread) {
    graphs_of_thread = new ThreadGraphs;
    thread_local const Owner owner;
    (void)owner;
  }
  return *graphs_of_thread;
}

LocSet& thread_locs() {
  constinit thread_local LocSet locs;
  return locs;
}

/// The name or the signature of the function that the user called.
std::string_view& thread_function() {
  constinit thread_local std::string_view function;
  return function;
}

/// "square" of "weft::Tensor weft::square(const weft::Tensor&, std::source_location)", "Dense" of
/// "weft::Tensor weft::Dense::operator()(…)" and of its constructor's, "" of operator+'s; a name is itself.
std::string name_in(std::string_view signature) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  std::size_t end = signature.find("::operator()");
  if (end == signature.npos) end = signature.find('(');
  if (end == signature.npos) end = signature.size();
  std::size_t begin = end;
  while (begin > 0 && is_part(signature[begin - 1])) --begin;
  return std::string(signature.substr(begin, end - begin));
}

/// The line that the innermost UserScope has set aside.
LocSet& caller_locs() {
  constinit thread_local LocSet locs;
  return locs;
}

constinit std::mutex roots_mutex;  // of every graph: looking at a model makes tensors, and may be done on any thread

bool is_gone(const std::weak_ptr<ValueId>& root) { return root.expired(); }

/// "dense" of "dense.weight".
std::string first_part(const std::string& name) { return name.substr(0, name.find('.')); }

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

void Trace::add(Variable v) { variables.push_back(std::move(v)); }

void Trace::add(LayerCall call) {
  layer_names_.insert(call.name);
  layers.push_back(std::move(call));
}

Variable* Trace::find(ValueId id) {
  const auto it = std::ranges::lower_bound(variables, id, {}, &Variable::id);
  return it == variables.end() || it->id != id ? nullptr : &*it;
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

Trace::Root Trace::root(ValueId id) {
  auto root = std::make_shared<ValueId>(id);
  std::lock_guard lock(roots_mutex);
  if (roots_.size() >= roots_limit_) {
    std::erase_if(roots_, is_gone);
    roots_limit_ = 2 * roots_.size() + 64;
  }
  roots_.push_back(root);
  return root;
}

std::vector<std::shared_ptr<ValueId>> Trace::live_roots() {
  std::vector<std::shared_ptr<ValueId>> live;
  std::lock_guard lock(roots_mutex);
  std::erase_if(roots_, [&](const std::weak_ptr<ValueId>& weak) {
    std::shared_ptr<ValueId> root = weak.lock();
    const bool gone = !root;
    if (!gone) live.push_back(std::move(root));
    return gone;
  });
  return live;
}

void Trace::collect(Wanted wanted) {
  const std::unique_lock alone(mutex, std::try_to_lock);
  if (!alone) return;
  const std::vector<std::shared_ptr<ValueId>> roots = live_roots();
  std::vector<ValueId> needed;
  for (const auto& root : roots) needed.push_back(*root);
  std::vector<bool> live = reached_from(graph, needed);
  std::erase_if(penalties, [&](const Penalty& p) { return !live[p.parameter]; });
  std::erase_if(updates, [&](const StateUpdate& u) { return !live[u.state] || (u.with != kNoValue && !live[u.with]); });
  // Part of what their parameters and states are for:
  for (const Penalty& p : penalties) needed.push_back(p.value);
  for (const StateUpdate& u : updates) needed.push_back(u.value);
  for (const Variable& v : variables)
    if (v.name == kSeedName || v.name == kStepName) needed.push_back(v.id);
  live = reached_from(graph, needed);

  const auto gone = [&](ValueId id) { return !live[id]; };
  std::erase_if(variables, [&](const Variable& v) { return gone(v.id); });
  if (std::erase_if(layers, [&](const LayerCall& c) { return gone(c.output); }) > 0) {
    layer_names_.clear();
    for (const LayerCall& c : layers) layer_names_.insert(c.name);
  }
  for (LayerCall& c : layers) std::erase_if(c.inputs, gone), std::erase_if(c.parameters, gone);  // that it does not use
  // What is built on a model that stays is mostly what was: the graph is rebuilt once a part of it has gone that pays.
  const auto dead = static_cast<std::size_t>(std::ranges::count(live, false));
  if (dead > 0 && (wanted == names || dead >= graph.size() / 8)) {
    compact(live, roots);
    std::unordered_set<std::string> known = layer_names_;
    for (const Input& i : graph.inputs()) known.insert(first_part(i.name));
    std::erase_if(bases, [&](const auto& b) { return !known.contains(b.first); });
  }
  if (roots.empty()) name_counts.clear(), ++name_generation;
  nodes_limit_ = 2 * graph.size() + 1024;
  variables_limit_ = 2 * variables.size() + 64;
}

void Trace::compact(const std::vector<bool>& live, const std::vector<std::shared_ptr<ValueId>>& roots) {
  Graph kept;
  kept.name = graph.name;
  std::vector<ValueId> map(graph.size(), kNoValue);
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (!live[id]) continue;
    const Node& n = graph[id];
    const Input* input = graph.find_input(id);
    map[id] = input ? kept.input(input->name, n.type, input->kind, n.locs) : copy_node(kept, n, map);
  }
  const auto move = [&](ValueId& id) { id = map[id]; };
  for (const auto& root : roots) move(*root);
  for (Variable& v : variables) move(v.id);
  for (Penalty& p : penalties) move(p.parameter), move(p.value);
  for (StateUpdate& u : updates) {
    move(u.state), move(u.value);
    if (u.with != kNoValue) move(u.with);
  }
  for (LayerCall& c : layers) {
    move(c.output);
    std::ranges::for_each(c.inputs, move);
    std::ranges::for_each(c.parameters, move);
  }
  graph = std::move(kept);
}

void Trace::collect_if_grown() {
  if (graph.size() == 0) return;
  bool worth = graph.size() > nodes_limit_ || variables.size() > variables_limit_;
  if (!worth) {
    std::lock_guard lock(roots_mutex);
    worth = std::all_of(roots_.rbegin(), roots_.rend(), is_gone);
  }
  if (worth) collect();
}

const std::shared_ptr<Trace>& current_trace() { return thread_graphs().current; }

bool is_built_here(const std::shared_ptr<Trace>& trace) {
  return graphs_of_thread && (graphs_of_thread->current == trace || graphs_of_thread->own == trace);
}

GraphScope::GraphScope() : GraphScope(std::make_shared<Trace>()) {}
GraphScope::GraphScope(std::shared_ptr<Trace> trace)
    : saved_(std::exchange(thread_graphs().current, std::move(trace))) {}
GraphScope::~GraphScope() { thread_graphs().current = std::move(saved_); }

void set_seed(std::uint64_t seed) {
  Trace& trace = *current_trace();
  trace.seed = seed;
  trace.parameter_stream = 0;
  if (Variable* v = trace.find(std::string(kSeedName))) v->value->write(Array::scalar(static_cast<std::int64_t>(seed)));
  if (Variable* v = trace.find(std::string(kStepName))) v->value->write(Array::scalar(std::int64_t{0}));
}

LocScope::LocScope(const std::source_location& where, std::string_view function)
    : LocScope(thread_locs().empty() ? LocSet::of(where) : LocSet(), function) {}
LocScope::LocScope(LocSet locs, std::string_view function) : saved_(thread_locs()), saved_function_(thread_function()) {
  if (!saved_.empty()) return;
  thread_locs() = locs;
  thread_function() = function;
}
LocScope::~LocScope() { thread_locs() = saved_, thread_function() = saved_function_; }
std::string LocScope::function() { return name_in(thread_function()); }
LocSet LocScope::current() { return thread_locs(); }
bool LocScope::is_nested() { return !thread_locs().empty() || !caller_locs().empty(); }

UserScope::UserScope() : current_(thread_locs()), caller_(caller_locs()), function_(thread_function()) {
  if (!current_.empty()) caller_locs() = current_;
  thread_locs() = {}, thread_function() = {};
}
UserScope::~UserScope() { thread_locs() = current_, caller_locs() = caller_, thread_function() = function_; }

BuiltinScope::BuiltinScope(std::string_view name) : LocScope(caller_locs(), name) {}

}  // namespace weft

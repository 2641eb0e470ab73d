// A branch is traced into the graph that it is used in; then what it computes is cut out as a function.
#include "frontend/tensor/control.h"

#include <algorithm>
#include <map>

#include "frontend/tensor/node.h"
#include "ir/graph/body.h"

namespace weft {
namespace {

using Branch = std::function<std::vector<Tensor>()>;

/// Error unless they are tensors of the trace.
void check_results(std::string_view what, const std::shared_ptr<Trace>& trace, const std::vector<Tensor>& results) {
  for (const Tensor& t : results) {
    if (!t.defined()) fail("{}{} gives an empty Tensor", call_prefix(), what);
    if (t.trace() != trace) type_error({t}, fmt::format("{} gives a tensor of another graph", what));
  }
}

std::vector<Tensor> trace_branch(std::string_view name, const Tensor& predicate, const Branch& branch) {
  if (!branch) fail("{}cond: the function '{}' is empty", where_prefix(), name);
  std::vector<Tensor> results;
  {
    const UserScope user;
    results = branch();
  }
  if (results.empty()) fail("{}cond: the branch '{}' gives no tensor", where_prefix(), name);
  check_results(fmt::format("the branch '{}'", name), predicate.trace(), results);
  return results;
}

/// What a function that computes the results takes from outside, in the order of the graph. Its own are its parameters,
/// constants, and nodes from `first` on, but the key and step of random bits where no parameter makes them: compiled
/// functions number their random calls anew (frontend/executable/extract.cpp).
struct Captured {
  std::vector<ValueId> outside;
  std::vector<bool> reached;  // by `id - first`
};
Captured captured(const Graph& g, ValueId first, const std::vector<ValueId>& parameters,
                  const std::vector<ValueId>& results) {
  std::vector<bool> varies(g.size() - first, false);  // with a parameter
  for (ValueId p : parameters) varies[p - first] = true;
  for (ValueId id = first; id < g.size(); ++id)
    for (ValueId v : g[id].operands) varies[id - first] = varies[id - first] || (v >= first && varies[v - first]);

  std::map<ValueId, bool> seen;  // whether it is outside
  const auto reach = [&](ValueId v, bool of_random) {
    const Node& n = g[v];
    const bool is_early = v < first && !n.operands.empty() && !is_tuple(n.type);
    const bool is_own_input = std::ranges::count(parameters, v) > 0;
    const bool is_fixed = of_random && !n.operands.empty() && !(v >= first && varies[v - first]);
    seen[v] |= (n.op == Op::input && !is_own_input) || is_early || is_fixed;
  };
  for (ValueId v : results) reach(v, false);
  for (auto it = seen.end(); it != seen.begin();) {
    --it;
    if (it->second) continue;
    for (ValueId v : g[it->first].operands)
      reach(v, g[it->first].op == Op::random);  // before it, so later in this walk
  }
  Captured c;
  c.reached.resize(varies.size(), false);
  for (const auto& [v, is_outside] : seen) {
    if (is_outside) c.outside.push_back(v);
    if (v >= first) c.reached[v - first] = true;
  }
  return c;
}

}  // namespace

std::vector<Tensor> cond(const Tensor& predicate, const Branch& then, const Branch& otherwise,
                         std::source_location where) {
  LocScope scope(where);
  check_operands({predicate});
  if (!(predicate.type() == Type{boolean, {}}))
    type_error({predicate}, "the condition is a bool scalar; use where() for one of each element");
  const std::shared_ptr<Trace>& trace = predicate.trace();
  Graph& g = trace->graph;
  const GraphScope graph(trace);
  const auto first = static_cast<ValueId>(g.size());
  const std::vector<Tensor> a = trace_branch("then", predicate, then);
  const std::vector<Tensor> b = trace_branch("otherwise", predicate, otherwise);
  if (a.size() != b.size())
    fail("{}cond: the branches give {} and {}; expected as many", where_prefix(), counted(a.size(), "tensor"),
         b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(a[i].type() == b[i].type()))
      type_error({a[i], b[i]}, fmt::format("result {} of the branches differs in type", i));

  std::vector<ValueId> results = ids_of(a);
  for (ValueId v : ids_of(b)) results.push_back(v);
  std::vector<ValueId> operands = captured(g, first, {}, results).outside;
  const LocSet here = LocScope::current();
  const ValueId tuple = located("cond", [&] {
    std::vector<BodyRef> bodies{outline(g, "then", operands, ids_of(a)), outline(g, "otherwise", operands, ids_of(b))};
    operands.insert(operands.begin(), predicate.id());
    return g.add(Op::cond, std::move(operands), Attrs::functions(std::move(bodies)), {}, here);
  });
  std::vector<Tensor> chosen;
  for (std::size_t i = 0; i < a.size(); ++i)
    chosen.emplace_back(trace, g.add(Op::result, {tuple}, Attrs::index(static_cast<std::int64_t>(i)), {}, here));
  return chosen;
}

Tensor cond(const Tensor& predicate, const std::function<Tensor()>& then, const std::function<Tensor()>& otherwise,
            std::source_location where) {
  const auto as_list = [](const std::function<Tensor()>& f) -> Branch {
    if (!f) return {};
    return [&f] { return std::vector{f()}; };
  };
  return cond(predicate, as_list(then), as_list(otherwise), where)[0];
}

namespace {

/// The turn number of the scan that is traced, for random numbers in it.
class TurnScope {
 public:
  TurnScope(Trace& trace, ValueId turn) : trace_(trace) { trace_.turns.push_back(turn); }
  ~TurnScope() { trace_.turns.pop_back(); }
  TurnScope(const TurnScope&) = delete;
  TurnScope& operator=(const TurnScope&) = delete;

 private:
  Trace& trace_;
};

std::int64_t scan_length(const std::vector<Tensor>& xs, const ScanOptions& options) {
  for (const Tensor& x : xs) {
    if (x.rank() == 0) type_error({x}, "a scalar has no slices; expected [length, ..]");
    if (x.shape()[0] != xs[0].shape()[0])
      type_error({xs[0], x}, fmt::format("slices differ in number: {} and {}", extent_text(xs[0].shape()[0]),
                                         extent_text(x.shape()[0])));
  }
  if (options.length < 0 && !is_symbol(options.length))
    fail("{}scan: length is {}; expected 1 or more", where_prefix(), options.length);
  if (xs.empty()) {
    if (options.length == 0) fail("{}scan: there are no slices; expected ScanOptions::length", where_prefix());
    return options.length;
  }
  const std::int64_t length = xs[0].shape()[0];
  if (options.length != 0 && options.length != length)
    type_error({xs[0]},
               fmt::format("length is {}, and there are {} slices", extent_text(options.length), extent_text(length)));
  return length;
}

}  // namespace

Turn scan(const std::vector<Tensor>& init, const std::vector<Tensor>& xs, const TurnFunction& body,
          const ScanOptions& options, std::source_location where) {
  LocScope scope(where);
  std::vector<Tensor> all = init;
  all.insert(all.end(), xs.begin(), xs.end());
  if (!body) fail("{}scan: the function is empty", where_prefix());
  if (!all.empty()) check_operands(all);
  const std::int64_t length = scan_length(xs, options);
  const std::shared_ptr<Trace> trace = all.empty() ? current_trace() : all[0].trace();
  Graph& g = trace->graph;
  const GraphScope graph(trace);
  const LocSet here = LocScope::current();
  const auto first = static_cast<ValueId>(g.size());
  std::vector<ValueId> parameters;  // the carries, the turn's number, the slices
  const auto parameter = [&](const Type& t, LocSet locs) {
    parameters.push_back(g.input(trace->unique_name(std::string(kTurnName)), t, InputKind::data, locs));
    return Tensor(trace, parameters.back());
  };
  Turn given;
  for (const Tensor& c : init) given.carry.push_back(parameter(c.type(), c.locs()));
  const ValueId number = parameter(Type{i64, {}}, here).id();
  for (const Tensor& x : xs) {
    Type slice = x.type();
    slice.shape.erase(0);
    given.each.push_back(parameter(slice, x.locs()));
  }
  Turn made;
  {
    const TurnScope turn(*trace, number);
    const UserScope user;
    made = body(given);
  }
  if (made.carry.empty() && made.each.empty()) fail("{}scan: the function gives no tensor", where_prefix());
  check_results("the function", trace, made.carry);
  check_results("the function", trace, made.each);
  if (made.carry.size() != init.size())
    fail("{}scan: the carry is {}, and the function gives {}; expected as many", where_prefix(),
         counted(init.size(), "tensor"), made.carry.size());
  for (std::size_t i = 0; i < init.size(); ++i)
    if (!(made.carry[i].type() == init[i].type()))
      type_error({init[i], made.carry[i]}, fmt::format("carry {} changes its type", i));

  std::vector<ValueId> results = ids_of(made.carry);
  for (ValueId v : ids_of(made.each)) results.push_back(v);
  const Captured c = captured(g, first, parameters, results);
  std::vector<ValueId> operands = ids_of(init);
  const auto at = static_cast<std::ptrdiff_t>(init.size());
  if (c.reached[number - first]) {
    results.insert(results.begin() + at,
                   g.add(Op::add, {number, g.constant(Array::scalar(std::int64_t{1}), here)}, {}, {}, here));
    operands.push_back(g.constant(Array::scalar(std::int64_t{0}), here));
  } else {
    parameters.erase(parameters.begin() + at);
  }
  const auto carries = static_cast<std::int64_t>(operands.size());
  for (ValueId v : ids_of(xs)) operands.push_back(v);
  operands.insert(operands.end(), c.outside.begin(), c.outside.end());
  parameters.insert(parameters.end(), c.outside.begin(), c.outside.end());
  Attrs attrs{{Attr::carries, Dims{carries}},
              {Attr::slices, Dims{static_cast<std::int64_t>(xs.size())}},
              {Attr::length, Dims{length}},
              {Attr::reverse, Dims{options.reverse ? 1 : 0}}};
  const ValueId tuple = located("scan", [&] {
    attrs.bodies = {outline(g, "turn", parameters, results)};
    return g.add(Op::scan, std::move(operands), std::move(attrs), {}, here);
  });
  Turn out;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (c.reached[number - first] && i == init.size()) continue;
    const Tensor t(trace, g.add(Op::result, {tuple}, Attrs::index(static_cast<std::int64_t>(i)), {}, here));
    (i < init.size() ? out.carry : out.each).push_back(t);
  }
  return out;
}

}  // namespace weft

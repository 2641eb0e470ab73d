// A branch is traced into the graph that it is used in; then what it computes is cut out as a function.
#include "frontend/tensor/control.h"

#include <algorithm>
#include <map>

#include "frontend/tensor/node.h"
#include "ir/graph/body.h"

namespace weft {
namespace {

using Branch = std::function<std::vector<Tensor>()>;

std::vector<Tensor> trace_branch(std::string_view name, const Tensor& predicate, const Branch& branch) {
  if (!branch) fail("{}cond: the function '{}' is empty", where_prefix(), name);
  std::vector<Tensor> results;
  {
    const UserScope user;
    results = branch();
  }
  if (results.empty()) fail("{}cond: the branch '{}' gives no tensor", where_prefix(), name);
  for (const Tensor& t : results) {
    if (!t.defined()) fail("{}cond: the branch '{}' gives an empty Tensor", where_prefix(), name);
    if (t.trace() != predicate.trace())
      type_error("cond", {predicate, t}, fmt::format("the branch '{}' gives a tensor of another graph", name));
  }
  return results;
}

/// What a function that computes the results takes from outside, where nodes from `first` on are its own: in the order
/// of the graph. Key and step of random bits always are, since compiled functions number their random calls anew
/// (frontend/executable/extract.cpp). Constants never are.
std::vector<ValueId> captured(const Graph& g, ValueId first, const std::vector<ValueId>& results) {
  std::map<ValueId, bool> seen;  // whether it is outside; from the last
  const auto reach = [&](ValueId v, bool outside) {
    const Node& n = g[v];
    const bool always_outside = n.op == Op::input || (v < first && !n.operands.empty() && !is_tuple(n.type));
    seen[v] |= always_outside || (outside && !n.operands.empty());
  };
  for (ValueId v : results) reach(v, false);
  for (auto it = seen.end(); it != seen.begin();) {
    --it;
    if (it->second) continue;
    for (ValueId v : g[it->first].operands)
      reach(v, g[it->first].op == Op::random);  // before it, so later in this walk
  }
  std::vector<ValueId> outside;
  for (const auto& [v, is_outside] : seen)
    if (is_outside) outside.push_back(v);
  return outside;
}

}  // namespace

std::vector<Tensor> cond(const Tensor& predicate, const Branch& then, const Branch& otherwise,
                         std::source_location where) {
  LocScope scope(where);
  check_operands("cond", {predicate});
  if (!(predicate.type() == Type{boolean, {}}))
    type_error("cond", {predicate}, "the condition is a bool scalar; use where() for one of each element");
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
      type_error("cond", {a[i], b[i]}, fmt::format("result {} of the branches differs in type", i));

  std::vector<ValueId> results = ids_of(a);
  for (ValueId v : ids_of(b)) results.push_back(v);
  std::vector<ValueId> operands = captured(g, first, results);
  std::vector<BodyRef> bodies{outline(g, "then", operands, ids_of(a)), outline(g, "otherwise", operands, ids_of(b))};
  operands.insert(operands.begin(), predicate.id());
  const LocSet here = LocScope::current();
  const ValueId tuple = located(
      "cond", [&] { return g.add(Op::cond, std::move(operands), Attrs::functions(std::move(bodies)), {}, here); });
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

}  // namespace weft

// The rewriting engine. One forward walk: the operands of a node are already in their simplest form when it is reached,
// so that a rule, which only looks down, is tried once for each node that ever exists. Nodes that a replacement adds
// are brought into their simplest form the same way before the walk goes on; time is linear in the nodes made.
#include "passes/graph/simplify.h"

#include "passes/graph/fold.h"

namespace weft {
namespace {

constexpr int kMaxDepth =
    32;  // replacements of nodes made by replacements; rules lower a cost, so this is never the limit

class Simplifier {
 public:
  Simplifier(Graph& g, const RuleSet& rules, const SimplifyOptions& options)
      : g_(g), rules_(rules), options_(options) {}

  /// The simplest value equal to `id`, whose operands are in their simplest form.
  ValueId run(ValueId id, int depth = 0) {
    if (ValueId known = simplest(id); known != kNoValue) return known;
    ValueId current = id;
    for (int round = 0; depth < kMaxDepth && round < kMaxDepth; ++round) {
      const ValueId first_new = static_cast<ValueId>(g_.size());
      const LocSet locs = g_[current].locs;
      const ValueId next = step(current);
      if (next == kNoValue) break;
      current = simplify_new(next, first_new, depth);
      g_.add_locs(current, locs);
      if (simplest(current) != kNoValue) break;
    }
    record(id, current);
    record(current, current);
    return current;
  }

 private:
  ValueId simplest(ValueId id) const { return id < simplest_.size() ? simplest_[id] : kNoValue; }
  void record(ValueId id, ValueId value) {
    if (simplest_.size() <= id) simplest_.resize(g_.size(), kNoValue);
    simplest_[id] = value;
  }
  void count(std::string_view rule) {
    if (options_.ledger) ++(*options_.ledger)[std::string(rule)];
  }

  /// One rewrite of node `id`, or kNoValue.
  ValueId step(ValueId id) {
    if (const ValueId folded = fold_node(g_, id, g_[id].locs); folded != kNoValue) {
      count("fold");
      return folded;
    }
    for (const Rule& rule : rules_.rooted(g_[id].op)) {
      if (options_.mode == Numerics::exact && rule.row->accuracy.cls != Accuracy::exact) continue;
      const ValueId next = apply(rule, g_, id);
      if (next == kNoValue) continue;
      count(rule.row->name);
      return next;
    }
    return kNoValue;
  }

  /// Simplifies the nodes from `first_new` on, which a replacement with the value `result` has just added.
  ValueId simplify_new(ValueId result, ValueId first_new, int depth) {
    const ValueId end = static_cast<ValueId>(g_.size());
    for (ValueId id = first_new; id < end; ++id) {
      const Node n = g_[id];
      std::vector<ValueId> operands;
      for (ValueId v : n.operands) operands.push_back(simplest(v) == kNoValue ? v : simplest(v));
      const ValueId rebuilt = operands == n.operands ? id : g_.add(n.op, std::move(operands), n.attrs, n.type, n.locs);
      record(id, run(rebuilt, depth + 1));
    }
    return simplest(result) == kNoValue ? result : simplest(result);
  }

  Graph& g_;
  const RuleSet& rules_;
  const SimplifyOptions& options_;
  std::vector<ValueId> simplest_;  // by id; kNoValue: not known yet
};

}  // namespace

Graph simplify(const Graph& old, const RuleSet& rules, const SimplifyOptions& options) {
  Rewriter rw(old);
  Simplifier simplifier(rw.graph(), rules, options);
  for (ValueId id : rw.live()) rw.set(id, simplifier.run(rw.copy(id)));
  return remove_dead(rw.finish());
}

Graph simplify(const Graph& g, const SimplifyOptions& options) {
  static const RuleSet& rules = *new RuleSet(simplify_rows());
  return simplify(g, rules, options);
}

}  // namespace weft

// Comparison of a graph run two ways, and the shrinker that makes a failure small.
#include "catch.h"
#include "ir/graph/build.h"
#include "random_graph.h"

namespace weft::test {
namespace {

/// `g` with the chosen outputs and updates only, node `at` replaced by `make`, and without inputs that nothing reads.
struct Edit {
  std::vector<bool> outputs, updates;
  ValueId at = kNoValue;
  enum { operand, zero, input } kind = operand;
  std::size_t operand_index = 0;
};

/// The edited graph, or no outputs and updates at all where the edit does not apply.
Graph edited(const Graph& old, const Edit& edit) {
  std::vector<bool> used(old.size(), false);
  for (std::size_t i = 0; i < old.outputs().size(); ++i)
    if (edit.outputs[i]) used[old.outputs()[i].id] = true;
  for (std::size_t i = 0; i < old.updates().size(); ++i)
    if (edit.updates[i]) used[old.updates()[i].value] = used[old.updates()[i].state] = true;
  for (ValueId id = static_cast<ValueId>(old.size()); id-- > 0;) {
    if (!used[id]) continue;
    if (id != edit.at) {
      for (ValueId v : old[id].operands) used[v] = true;
    } else if (edit.kind == Edit::operand) {
      used[old[id].operands[edit.operand_index]] = true;
    }
  }
  Graph g;
  g.name = old.name;
  std::vector<ValueId> map(old.size(), kNoValue);
  for (ValueId id = 0; id < old.size(); ++id) {
    const Node& n = old[id];
    if (!used[id]) continue;
    if (n.op == Op::input) {
      for (const Input& i : old.inputs())
        if (i.id == id) map[id] = g.input(i.name, n.type, i.kind, n.locs);
    } else if (id == edit.at) {
      if (edit.kind == Edit::operand) map[id] = map[n.operands[edit.operand_index]];
      if (edit.kind == Edit::zero) map[id] = Builder{g, n.locs}.fill(n.type, 0);
      if (edit.kind == Edit::input) {
        std::string name = "cut" + std::to_string(id);
        while (old.find_input(name) != kNoValue) name += "_";  // of an earlier edit
        map[id] = g.input(name, n.type, InputKind::data, n.locs);
      }
    } else {
      map[id] = copy_node(g, n, map);
    }
  }
  for (std::size_t i = 0; i < old.outputs().size(); ++i)
    if (edit.outputs[i]) g.output(old.outputs()[i].name, map[old.outputs()[i].id]);
  for (std::size_t i = 0; i < old.updates().size(); ++i)
    if (edit.updates[i]) g.update(map[old.updates()[i].state], map[old.updates()[i].value]);
  return g;
}

Edit keep_all(const Graph& g) {
  return {std::vector<bool>(g.outputs().size(), true), std::vector<bool>(g.updates().size(), true)};
}

bool same_results(const std::vector<Array>& a, const std::vector<Array>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!a[i].same_bits(b[i])) return false;
  return true;
}

std::string first_difference(const Array& a, const Array& b, std::string_view name) {
  if (!(a.type() == b.type()))
    return fmt::format("{}: expected {}, got {}", name, to_string(a.type()), to_string(b.type()));
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const Array x = a.reshaped({a.size()}).rows(i, i + 1), y = b.reshaped({b.size()}).rows(i, i + 1);
    if (!x.same_bits(y))
      return fmt::format("{}: element {} of {}: expected {}, got {}", name, i, to_string(a.type()), x.str(), y.str());
  }
  return "";
}

}  // namespace

Graph shrink(const Graph& start, const std::function<bool(const Graph&)>& fails) {
  Graph best = start;
  const auto accept = [&](const Edit& edit) {
    Graph smaller = edited(best, edit);
    if (smaller.outputs().empty() && smaller.updates().empty()) return false;
    if (!fails(smaller)) return false;
    best = std::move(smaller);
    return true;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = best.outputs().size(); i-- > 0;) {
      Edit edit = keep_all(best);
      edit.outputs[i] = false;
      changed |= accept(edit);
    }
    for (std::size_t i = best.updates().size(); i-- > 0;) {
      Edit edit = keep_all(best);
      edit.updates[i] = false;
      changed |= accept(edit);
    }
    for (ValueId id = static_cast<ValueId>(best.size()); id-- > 0;) {
      if (id >= best.size() || best[id].op == Op::input || best[id].op == Op::constant) continue;
      const Node n = best[id];  // a copy: an accepted edit replaces `best`
      Edit edit = keep_all(best);
      edit.at = id;
      bool replaced = false;
      for (std::size_t i = 0; !replaced && i < n.operands.size(); ++i) {
        if (!(best[n.operands[i]].type == n.type)) continue;
        edit.kind = Edit::operand;
        edit.operand_index = i;
        replaced = accept(edit);
      }
      // Zeros in place of a splat, or an input in place of a leaf, would make the graph no smaller.
      const bool splat = !replaced && n.op == Op::broadcast && best.is_constant(n.operands[0]);
      if (is_tuple(n.type)) continue;
      if (!replaced && !splat) edit.kind = Edit::zero, replaced = accept(edit);
      if (!replaced && !n.operands.empty()) edit.kind = Edit::input, replaced = accept(edit);
      changed |= replaced;
    }
  }
  return best;
}

std::string difference(const Evaluation& expected, const Evaluation& actual, const Graph& g) {
  if (expected.outputs.size() != actual.outputs.size() || expected.states.size() != actual.states.size())
    return fmt::format("expected {} outputs and {} states, got {} and {}", expected.outputs.size(),
                       expected.states.size(), actual.outputs.size(), actual.states.size());
  for (std::size_t i = 0; i < expected.outputs.size(); ++i)
    if (!expected.outputs[i].same_bits(actual.outputs[i]))
      return first_difference(expected.outputs[i], actual.outputs[i], g.outputs()[i].name);
  for (std::size_t i = 0; i < expected.states.size(); ++i)
    if (!expected.states[i].same_bits(actual.states[i]))
      return first_difference(expected.states[i], actual.states[i], fmt::format("update {}", i));
  return "";
}

void compare(const Graph& g, const RunFn& run, std::uint64_t seed, Values values) {
  std::string last;
  const auto fails = [&](const Graph& candidate) {
    const std::vector<Array> inputs = random_inputs(candidate, seed, values);
    const Evaluation expected = interpret(candidate, inputs);
    try {
      const Evaluation actual = run(candidate, inputs);
      if (same_results(expected.outputs, actual.outputs) && same_results(expected.states, actual.states)) return false;
      last = difference(expected, actual, candidate);
    } catch (const std::exception& e) {
      last = e.what();
    }
    return true;
  };
  if (!fails(g)) {
    CHECK(true);
    return;
  }
  const std::string first = last;
  const Graph small = shrink(g, fails);
  fails(small);
  FAIL("seed " << seed << ": " << first << "\nshrunk: " << last << "\n" << print(small));
}

}  // namespace weft::test

// The pattern language: rewrite rules and gradients as rows of text in weft's own expression syntax, parsed once.
//
//     expr := op ['@' name] '(' [expr {',' expr} | '...'] ')'  |  variable  |  '$' variable  |  number
//
// - `op` is a name of the op table, or `unary` / `binary`: any elementwise op of that arity with float, integer or bool
//   operands of one type. A row that uses them becomes one rule for each such op.
// - A variable matches any value; the same variable twice matches the same value twice. `$c` matches a splat only: a
//   constant of one element, or a broadcast of one. `op(...)` matches any operands.
// - A number (`inf` is one) matches a splat of that value in any dtype; 0 and -0 differ, except as integers.
// - `@name` names the matched node, so that conditions can read its attributes; in a replacement `op@name` reuses them.
// - Operands of commutative ops match in either order.
// - In a replacement, a number takes the type, and `$c` the shape, of its first sibling that is neither (the predicate
//   of a select aside), else of what it stands for.
// - In a replacement, the declared type of broadcast and reshape has the shape of `@name`, else of the replaced node;
//   convert has the dtype of `@name`, else of the replaced node.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/graph/build.h>
#include <weft/ir/graph/graph.h>

namespace weft {

/// A parsed expression. `slot` is the index of its name in the name table that it was parsed with, -1 without a name.
struct Term {
  enum Kind : std::uint8_t { variable, splat, number, op } kind = variable;
  int slot = -1;
  double value = 0;
  Op code = Op::constant;
  bool any_args = false;  // op(...)
  std::vector<Term> args;
};

/// Parses `text`; names not yet in `names` are appended to it. Throws InternalError on a malformed row.
Term parse_term(std::string_view text, std::vector<std::string>& names);

/// Builds `term` with `bound[slot]` for its names; `expected` is the type of the result. The locations are the
/// builder's.
ValueId build_term(const Term& term, Builder& b, std::span<const ValueId> bound, const Type& expected);

/// The constant of one element that `id` is or broadcasts, else kNoValue.
ValueId splat_of(const Graph&, ValueId id);

/// How far a replacement may be from what it replaces.
struct Accuracy {
  enum Class : std::uint8_t {
    exact,           // the same bits for all operands
    ulp,             // within `ulps` units in the last place where both sides are finite
    value_changing,  // rounding may differ without bound, or special values (-0, inf, NaN) may be lost
  } cls = exact;
  int ulps = 0;

  constexpr Accuracy(Class c = exact, int n = 0) : cls(c), ulps(n) {}  // NOLINT: implicit, for rows
};

/// What a rule matched: names to values.
struct Match {
  const Graph& graph;
  ValueId root;
  const std::vector<std::string>& names;
  std::span<const ValueId> bound;

  ValueId operator[](std::string_view name) const;
  const Node& node(std::string_view name) const { return graph[(*this)[name]]; }  ///< valid until a node is added
  const Type& type(std::string_view name) const { return node(name).type; }
  const Dims& attr(std::string_view name, Attr attr) const { return node(name).attrs[attr]; }
  /// Element 0 of the splat bound to `$name`, as a double.
  double value(std::string_view name) const;
};

using Condition = bool (*)(const Match&);
/// Builds a replacement that text cannot say; kNoValue: the rule does not apply after all, and no node was added.
using BuildFn = ValueId (*)(const Match&, Builder&);

struct Replacement {
  std::string_view text;
  BuildFn build = nullptr;

  constexpr Replacement(const char* t) : text(t) {}  // NOLINT: implicit, for rows
  constexpr Replacement(BuildFn f) : build(f) {}     // NOLINT: implicit, for rows
};

struct RuleRow {
  std::string_view name;
  std::string_view pattern;
  Replacement replacement;
  Condition condition = nullptr;  // every match passes without one
  Accuracy accuracy;
};

/// A row made ready: one order of commutative operands, one op in place of `unary` or `binary`.
struct Rule {
  const RuleRow* row;
  Term pattern;
  Term replacement;  // unused when row->replacement.build is set
  std::vector<std::string> names;
};

/// Rules by the op at the root of their pattern, in the order of the rows.
class RuleSet {
 public:
  explicit RuleSet(std::span<const RuleRow> rows);
  std::span<const Rule> rooted(Op op) const { return by_root_[static_cast<std::size_t>(op)]; }

 private:
  std::vector<std::vector<Rule>> by_root_;
};

/// Applies `rule` at node `id`: returns the value to use instead, carrying the provenance of every node that the
/// pattern matched, or kNoValue when the rule does not apply there.
ValueId apply(const Rule& rule, Graph& g, ValueId id);

/// The rows of simplify (passes/graph/rules_table.cpp).
std::span<const RuleRow> simplify_rows();

}  // namespace weft

// Algebraic simplification by rewrite rules.
#pragma once
#include <map>
#include <string>

#include <weft/ir/base/numerics.h>
#include <weft/ir/graph/graph.h>
#include <weft/passes/graph/rules.h>

namespace weft {

/// How often each rule fired, by its name.
using Ledger = std::map<std::string, std::int64_t>;

struct SimplifyOptions {
  Numerics mode = Numerics::exact;  // which rules may run: those that keep every bit, or all
  Ledger* ledger = nullptr;         // counts are added to it when given
};

/// Applies the rules of passes/graph/rules_table.cpp, and constant folding, until none applies: simplify(simplify(g)) ==
/// simplify(g). The result has no dead nodes, and every node carries the provenance of all ops that it stands for. Run
/// it after differentiation: it removes stop_gradient.
Graph simplify(const Graph&, const SimplifyOptions& = {});

/// The same with other rows: for tests, and for rules of one's own.
Graph simplify(const Graph&, const RuleSet&, const SimplifyOptions& = {});

}  // namespace weft

// Makes graphs that a rule's pattern matches, from the pattern itself.
#pragma once
#include <set>

#include "passes/graph/rules.h"
#include "random_graph.h"

namespace weft::test {

struct RuleInstance {
  Graph g;
  ValueId root = kNoValue;
  std::vector<ValueId> ops;  // the nodes that the pattern's ops stand for
};

/// A graph with `rule.pattern` at `root`: variables are inputs of random types, attributes are random. kNoValue as root
/// when the random choices do not fit together; try the next seed.
RuleInstance instantiate(const Rule& rule, std::uint64_t seed);

}  // namespace weft::test

// The generator and the shrinker: what other tests rely on.
#include "random_graph.h"

#include <cmath>
#include <set>

#include "catch.h"
#include "ir/graph/build.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("random graphs are valid, repeatable, and cover every op, dtype and kind of shape") {
  std::set<Op> ops;
  std::set<DType> dtypes;
  bool scalar = false, empty = false, large = false, updated = false;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const RandomGraphOptions options{.bodies = seed % 3 == 0};
    const Graph g = random_graph(seed, options);
    verify(g);
    CHECK(g == random_graph(seed, options));
    for (ValueId id = 0; id < g.size(); ++id) {
      ops.insert(g[id].op);
      if (is_tuple(g[id].type)) continue;
      dtypes.insert(g[id].type.dtype);
      const std::int64_t n = element_count(g[id].type.shape);
      scalar |= g[id].type.shape.empty(), empty |= n == 0, large |= n > 1000;
    }
    updated |= !g.updates().empty();
  }
  CHECK(ops.size() == kOpCount);
  CHECK(dtypes.size() == std::size(kAllDTypes));
  CHECK((scalar && empty && large && updated));
}

TEST_CASE("values of random graphs are mostly finite") {
  std::int64_t finite = 0, total = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Graph g = random_graph(seed);
    for (const Array& a : interpret(g, random_inputs(g, seed)).outputs)
      for (std::int64_t i = 0; i < a.size(); ++i) ++total, finite += std::isfinite(a.at(i));
  }
  CHECK(finite > total * 9 / 10);
}

TEST_CASE("shrink finds the one op that matters") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Graph g = remove_dead(random_graph(seed));
    const auto has_product = [](const Graph& c) {
      for (ValueId id = 0; id < c.size(); ++id)
        if (c[id].op == Op::contract) return true;
      return false;
    };
    if (!has_product(g)) continue;
    const Graph small = shrink(g, has_product);
    INFO(print(small));
    verify(small);
    CHECK(small.size() <= 3 + 2 * 2);  // the contraction, and an input or a splat for each operand
    CHECK(small.outputs().size() + small.updates().size() == 1);
  }
}

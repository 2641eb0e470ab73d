// The runner: order, names, disabling, reports and errors.
#include "passes/pipeline.h"

#include "catch.h"
#include "mlp_step.h"
#include "random_graph.h"

using namespace weft;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("every pass has a name and says what it is for") {
  for (const PassInfo& p : passes()) {
    CHECK_FALSE(p.name.empty());
    CHECK_FALSE(p.doc.empty());
  }
}

TEST_CASE("unknown passes and those that lowering needs are named in the error") {
  const Graph g = mlp_step();
  CHECK_THROWS_WITH(run_pass("fuze", g), ContainsSubstring("no pass is called 'fuze'; there are: dead, fold"));
  CHECK_THROWS_WITH(optimize(g, {.disable = {"fuse"}}), ContainsSubstring("pass 'fuse' cannot be disabled"));
}

TEST_CASE("the runner reports every pass, its time and whether it changed anything") {
  std::vector<PassTiming> timings;
  std::vector<std::string> seen;
  const Graph g = optimize(mlp_step(), {.timings = &timings, .after = [&](std::string_view name, const Graph&, bool) { seen.emplace_back(name); }});
  REQUIRE(timings.size() == passes().size());
  CHECK(seen.size() == passes().size());
  CHECK(timings.back().changed);
  CHECK(run_pass("fuse", g) == g);
}

TEST_CASE("leaving out optional passes keeps the bits") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Graph g = test::random_graph(seed);
    test::compare(g, [](const Graph& h, std::span<const Array> in) {
      return interpret(make_program(optimize(h, {.disable = {"fold", "simplify", "simplify-canonical"}}), Target{}), in);
    }, seed);
  }
}

// The runner: order, names, disabling, reports and errors.
#include "passes/pipeline.h"

#include "catch.h"
#include "mlp_step.h"
#include "passes/graph/fuse.h"
#include "passes/transform/autodiff.h"
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
  CHECK_THROWS_WITH(run_pass("fuze", g),
                    ContainsSubstring("no pass is called 'fuze'; there are: dead, inline, trim, fold"));
  for (const char* name : {"fuse", "lower", "lanes", "tiles", "memory"})
    CHECK_THROWS_WITH(optimize(g, {.disable = {name}}),
                      ContainsSubstring(fmt::format("pass '{}' cannot be disabled", name)));
  CHECK_THROWS_WITH(make_program(g, GpuTarget{}, {.disable = {"panels"}}),
                    ContainsSubstring("no pass is called 'panels'"));
}

TEST_CASE("the runner reports every pass, its time and whether it changed anything") {
  std::vector<PassTiming> timings;
  std::vector<std::string> seen;
  const PipelineOptions options{.timings = &timings, .after = [&](const PassResult& r) {
                                  seen.emplace_back(r.name);
                                  CHECK((r.graph == nullptr) != (r.program == nullptr));
                                  CHECK_FALSE(r.text().empty());
                                }};
  const Graph g = optimize(mlp_step(), options);
  CHECK(timings.back().changed);
  const Program p = make_program(g, CpuTarget{}, options);
  CHECK(timings.back().changed);
  std::vector<std::string> names;
  for (const PassInfo& pass : passes()) names.emplace_back(pass.name);
  CHECK(seen == names);
  CHECK(timings.size() == names.size());
  CHECK(run_pass("fuse", g) == g);
}

TEST_CASE("passes of programs run one by one, and not on graphs") {
  const Program whole = make_program(optimize(mlp_step()), CpuTarget{});
  Function f = optimize(mlp_step());
  CHECK_THROWS_WITH(run_pass("layout", f, CpuTarget{}),
                    ContainsSubstring("pass 'layout' runs on a program of kernels, and this is a graph"));
  for (const PassInfo& pass : passes())
    if (!pass.is_of_graphs()) f = run_pass(pass.name, std::move(f), CpuTarget{}, {.verify = true});
  CHECK(print(std::get<Program>(f)) == print(whole));
  CHECK_THROWS_WITH(run_pass("fold", f, CpuTarget{}),
                    ContainsSubstring("pass 'fold' runs on a graph, and this is a program of kernels"));
}

TEST_CASE("a GPU's program has no CPU's tiles, panels or chunks") {
  const Program p = make_program(optimize(mlp_step()), GpuTarget{});
  for (const Kernel& k : p.kernels) CHECK(std::holds_alternative<GpuSchedule>(k.schedule));
  for (const Buffer& b : p.buffers) CHECK(b.panels == 0);
}

TEST_CASE("leaving out optional passes keeps the bits") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Graph g = test::random_graph(seed, {.bodies = seed % 2 == 0});
    test::compare(
        g,
        [](const Graph& h, std::span<const Array> in) {
          return interpret(
              make_program(optimize(h, {.disable = {"fold", "simplify", "simplify-canonical"}}), GpuTarget{}), in);
        },
        seed);
  }
}

TEST_CASE("lowering by itself takes a graph as fuse leaves it, and no other") {
  const auto lowered = [](const Graph& g) { return run_pass("lower", Function(g), CpuTarget{}, {.verify = true}); };
  const auto refused = [&](const Graph& g) {
    CHECK_THROWS_WITH(lowered(g), ContainsSubstring("pass 'lower' takes a graph as 'canonicalize', then 'fuse'"));
  };
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Graph g = test::random_graph(seed), fused = optimize(g);
    CHECK_NOTHROW(lowered(fused));
    CHECK_NOTHROW(lowered(parse_graph(print(fused))));
    if (!fused.groups().empty()) refused(without_groups(fused));
    if (fused.groups().size() > 1) {  // all in one kernel, as a text may say
      Graph one = without_groups(fused);
      one.add_group({.name = "all"});
      for (ValueId v = 0; v < one.size(); ++v)
        if (one[v].op != Op::input) one.set_group(v, 0);
      refused(one);
    }
  }
  refused(mlp_step());
  refused(run_pass("canonicalize", mlp_step()));
  const Graph not_canonical = parse_graph(
      "func @f(%x: f32[2,3,4], %y: f32[2,3,5]) {\n  %0 = contract %x, %y {lhs=[0,1], rhs=[0,1]} : f32[4,5]\n  return "
      "%0\n}\n");
  refused(run_pass("fuse", not_canonical));
  CHECK_NOTHROW(lowered(run_pass("fuse", run_pass("canonicalize", not_canonical))));
}

TEST_CASE("what goes from turn to turn is stored: no kernel computes it again from the start") {
  const auto gates = [](std::string_view name, int begin) {
    return fmt::format("  %{} = slice %1 {{start=[0,{}], limit=[8,{}], stride=[1,1]}} : f32[8,16]\n", name, begin,
                       begin + 16);
  };
  Graph g = parse_graph(
      "func @turn(%h: f32[8,16], %c: f32[8,16], %x: f32[8,64], %u: f32[16,64]) {\n"
      "  %0 = contract %h, %u {lhs=[1], rhs=[0]} : f32[8,64]\n  %1 = add %0, %x : f32[8,64]\n" +
      gates("i", 0) + gates("f", 16) + gates("g", 32) + gates("o", 48) +
      R"(  %2 = sigmoid %f : f32[8,16]
  %3 = mul %2, %c : f32[8,16]
  %4 = sigmoid %i : f32[8,16]
  %5 = tanh %g : f32[8,16]
  %6 = mul %4, %5 : f32[8,16]
  %7 = add %3, %6 : f32[8,16]
  %8 = sigmoid %o : f32[8,16]
  %9 = tanh %7 : f32[8,16]
  %10 = mul %8, %9 : f32[8,16]
  return %10, %7
}
func @main(%h: f32[8,16], %x: f32[20,8,64], %u: f32[16,64]) {
  %0 = scan %h, %h, %x, %u {carries=2, slices=1, length=20, reverse=0, body=@turn} : (f32[8,16], f32[8,16])
  %1 = result %0 {index=0} : f32[8,16]
  %2 = mul %1, %1 : f32[8,16]
  %3 = reduce_sum %2 {axis=1} : f32[8]
  %4 = reduce_sum %3 {axis=0} : f32[]
  return %4
}
)");
  const std::vector<ValueId> wrt{g.find_input("u"), g.find_input("x")};
  const std::vector<ValueId> gradients = differentiate(g, g.outputs()[0].id, wrt, LocSet::of(Loc{"test", 1, 0}));
  g.output("du", gradients[0]);
  const Program p = make_program(optimize(g), CpuTarget{});
  CHECK(p.kernels.size() > 80);
  for (const Kernel& k : p.kernels) {
    INFO(k.name);
    CHECK(std::ranges::count(k.exprs, Expr::load, &Expr::kind) <= 20);
  }
}

// Rows in a pipeline: the steps that their stages make, and their bits against the interpreter.
#include "passes/pipeline.h"
#include "catch.h"
#include "codegen/cpu/row_pipeline.h"
#include "programs.h"

using namespace weft;

namespace {

/// What the rows of a [outer, inner, columns] state go through; axes that do not merge (y has them the other way
/// round).
struct Chain {
  ProgramBuilder b;
  AxisId i, k, j;

  Chain(DType t, std::int64_t outer, std::int64_t inner, std::int64_t columns) {
    const BufferId x = b.state(t, {outer, inner, columns}), y = b.output(t, {inner, outer, columns});
    const BufferId largest = b.output(t, {outer, inner}), total = b.state(t, {outer, inner});
    const BufferId scale = b.input(t, {columns});
    HandBuilder h(b.program(), b.kernel());
    i = h.axis("i", outer), k = h.axis("k", inner), j = h.axis("j", columns);
    const auto row = [&](BufferId id) { return h.load(id, {at(i), at(k), at(j)}); };
    const auto accumulator = [&](std::int32_t result) { return h.accumulator(result, t); };
    const ExprId scaled = h.op(Op::mul, t, {row(x), h.op(Op::exp, t, {h.load(scale, {at(j)})})});
    const ExprId e = h.op(Op::exp, t, {h.op(Op::sub, t, {row(x), accumulator(0)})});
    const ExprId quotient = h.op(Op::div, t, {e, accumulator(2)});
    const ExprId old_largest = h.load(largest, {at(i), at(k)});
    h.phase({i, k}).stages = {
        reduce_stage(0, Op::reduce_max, j, row(x), true),
        reduce_stage(1, Op::reduce_sum, j, scaled, true),        // with the stage before
        map_stage({{largest, {at(i), at(k)}, accumulator(0)}}),  // once, after the first walk
        reduce_stage(2, Op::reduce_sum, j, e, true),             // of what an earlier walk found
        map_stage({{x, {at(i), at(k), at(j)}, quotient}}, j),    // in place
        reduce_stage(3, Op::reduce_min, j, row(x), true),        // of what was just stored
        map_stage(
            {{y, {at(k), at(i), at(j)}, h.op(Op::add, t, {h.op(Op::mul, t, {scaled, old_largest}), accumulator(3)})}},
            j),
        map_stage({{total, {at(i), at(k)}, h.op(Op::add, t, {h.load(total, {at(i), at(k)}), accumulator(1)})}}),
    };
    h.schedule().vector_axis = j;
  }
};

using Stages = std::vector<std::size_t>;

}  // namespace

TEST_CASE("stages run in the earliest step that they may run in") {
  const Chain chain(f32, 3, 2, 200);
  const Program& p = chain.b.program();
  const Kernel& kernel = p.kernels[0];
  const codegen::PhaseInfo info = codegen::analyse(p, kernel, kernel.phases[0], chain.j, true);
  const auto steps = codegen::pipeline_steps(p, info, kernel, chain.j);
  REQUIRE(steps.size() == 5);
  const Stages walks[] = {{0, 1}, {3}, {4}, {5}, {6}}, after[] = {{2, 7}, {}, {}, {}, {}};
  for (std::size_t s = 0; s < 5; ++s) {
    CHECK(steps[s].stages == walks[s]);
    CHECK(steps[s].after == after[s]);
  }
  const std::vector<std::vector<std::int32_t>> brought = {{}, {0}, {0, 2}, {}, {3}};
  CHECK(codegen::accumulators_brought(info, steps) == brought);
  CHECK(codegen::pipeline_steps(p, info, kernel, chain.i).empty());  // nothing runs along i
}

TEST_CASE("rows in a pipeline: few and many, of whole vectors and not, of one chunk and of several") {
  for (DType t : {f32, f64})
    for (std::int64_t columns : {128, 130, 256, 257, 1000, 5000, 8200})
      for (std::int64_t outer : {1, 2, 9})
        for (std::int64_t inner : {1, 3, 7}) {
          INFO(name(t) << " [" << outer << ", " << inner << ", " << columns << "]");
          CHECK(check_next_target([&](const CpuTarget&) { return Chain(t, outer, inner, columns).b.program(); }) == "");
        }
}

TEST_CASE("a tick takes more walks where rows do not fit the L1") {
  const Chain chain(f32, 3, 2, 200);
  const Program& p = chain.b.program();
  const codegen::PhaseInfo info = codegen::analyse(p, p.kernels[0], p.kernels[0].phases[0], chain.j, true);
  const auto steps = codegen::pipeline_steps(p, info, p.kernels[0], chain.j);
  const auto walks = [&](std::int64_t l1) {
    return codegen::walks_of_tick(p, info, p.kernels[0], chain.j, steps, {}, l1);
  };
  // x in all five rows in flight, and one scale: 6 rows of 800 bytes; then 3 + 1 in two walks, 2 + 1 in three.
  CHECK(walks(4800) == 1);
  CHECK(walks(3200) == 2);
  CHECK(walks(2400) == 3);
  CHECK(walks(100) == 5);  // a walk for each step, and one row in flight
  for (std::int64_t l1 : {4800, 3200, 2400, 1600, 100})
    for (const CpuTarget& t : runnable_targets()) {
      CpuTarget small = t;
      small.l1_bytes = l1;
      INFO(t.cpu << " with an L1 of " << l1);
      CHECK(check(p, {&small, 1}) == "");
      CHECK(check(Chain(f32, 9, 1, 200).b.program(), {&small, 1}) == "");
    }
}

TEST_CASE("rows that add to columns in chunks") {
  std::size_t turn = 0;
  for (const char* dtype : {"f32", "f64"})
    for (std::int64_t columns : {16, 21, 130})
      for (std::int64_t l1 : {32 << 10, 1 << 10}) {
        const std::string table = fmt::format("{}[4101,{}]", dtype, columns),
                          row = fmt::format("{}[{}]", dtype, columns);
        const Graph g = optimize(parse_graph(fmt::format(
            "func @f(%x: {0}, %g: {0}) {{ %m = reduce_max %x {{axis=1}} : {2}[4101] %b = broadcast %m {{axes=[0]}} : "
            "{0} "
            "%s = sub %x, %b : {0} %e = exp %s : {0} %t = reduce_sum %e {{axis=1}} : {2}[4101] "
            "%c = broadcast %t {{axes=[0]}} : {0} %q = div %e, %c : {0} %d = mul %q, %g : {0} "
            "%y = reduce_sum %d {{axis=0}} : {1} %z = reduce_sum %g {{axis=0}} : {1} return q = %q, y = %y, z = %z }}",
            table, row, dtype)));
        const std::size_t n = runnable_targets().size();
        CpuTarget small = runnable_targets()[turn++ % n];
        small.l1_bytes = l1, small.l2_bytes = 64 << 10;
        const Program p = make_program(g, small, {.verify = true});
        REQUIRE(p.kernels.size() == 1);
        REQUIRE(p.kernels[0].phases[1].chunk == 256);
        INFO(small.cpu << ", " << table << ", an L1 of " << l1);
        CHECK(check(p, {&small, 1}) == "");
      }
}

TEST_CASE("sums down a long table, alone, in chunks") {
  for (std::int64_t columns : {16, 20, 64})
    for (const char* dtype : {"f32", "f64", "i32"}) {
      const Graph g = optimize(parse_graph(fmt::format(
          "func @f(%x: {0}[70001,{1}]) {{ %y = reduce_sum %x {{axis=0}} : {0}[{1}] return y = %y }}", dtype, columns)));
      CHECK(check_next_target([&](const CpuTarget& t) {
              CpuTarget small = t;
              small.l2_bytes = 64 << 10;
              Program p = make_program(g, small, {.verify = true});
              REQUIRE(p.kernels[0].phases[1].chunk == 256);
              return p;
            }) == "");
    }
}

// Rows in a pipeline: the steps that their stages make, and their bits against the interpreter.
#include "catch.h"
#include "codegen/row_pipeline.h"
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
    for (std::int64_t columns : {128, 130, 1000, 5000})
      for (std::int64_t outer : {1, 2, 9})
        for (std::int64_t inner : {1, 3, 7}) {
          INFO(name(t) << " [" << outer << ", " << inner << ", " << columns << "]");
          CHECK(check_next_target([&](const Target&) { return Chain(t, outer, inner, columns).b.program(); }) == "");
        }
}

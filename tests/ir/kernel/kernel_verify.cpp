// The verifier of lowered programs: each invariant of ir/kernel/verify_kernel.cpp, broken.
#include "catch.h"
#include "ir/kernel/kernel.h"

using namespace weft;

namespace {

std::string verify_error(const Program& p) {
  try {
    verify(p);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "";
}

CpuSchedule& cpu(Program& p, std::size_t kernel) {
  Schedule& s = p.kernels[kernel].schedule;
  return std::holds_alternative<CpuSchedule>(s) ? std::get<CpuSchedule>(s) : s.emplace<CpuSchedule>();
}
/// The dense layer's: 8 x 8 threads of 1 x 1 elements.
GpuSchedule& gpu(Program& p) {
  return p.kernels[0].schedule.emplace<GpuSchedule>(
      GpuSchedule{.rows = 8, .cols = 8, .tm = 1, .tn = 1, .k = 8, .stages = 2});
}

// A dense layer (kernel 0: contraction with a bias, relu), a row softmax sum (kernel 1), a histogram (kernel 2).
// Buffers: 0 x, 1 label, 2 w, 3 t0, 4 t1, 5 v, 6 hist, 7 c.
Program sample() {
  return parse_program(R"(program @step {
  input %x: f32[8,6]
  input %label: i64[8]
  state %w: f32[6,4]
  temp %t0: f32[8,4] {offset=0}
  temp %t1: f32[8] {offset=128}
  view %v of %t0: f32[32]
  output %hist: f32[4]
  constant %c: f32[] = 1
  arena 192
  inputs %x, %label, %w
  outputs %hist
  updates %w
  kernel @dense {
    axes m=8, n=4, k=6
    schedule cpu {mr=2, nr=4}
    %e0: f32 = load %x[m, k]
    %e1: f32 = load %w[k, n]
    %e2: f32 = accumulator %a0
    %e3: f32 = neg %e2
    phase (m, n) {
      %a0 = contract m=m, n=n over k: %e0 * %e1
      map: store %t0[m, n] = %e3
    }
  }
  kernel @row {
    axes m=8, n=4
    %e0: f32 = load %v[4*m + n]
    %e1: f32 = accumulator %a0
    phase (m) {
      %a0 = reduce_sum over n striped: %e0
      map: store %t1[m] = %e1
    }
  }
  kernel @count {
    axes i=8, j=4
    %e0: i64 = load %label[i]
    %e1: i64 = constant 4
    %e2: bool = lt %e0, %e1
    %e3: f32 = load %t1[i]
    %e4: f32 = load %c[]
    phase (j) {
      map: store %hist[j] = %e4
    }
    phase () {
      scatter over i: %hist[%e0] += %e3 if %e2
    }
  }
})");
}

struct Broken {
  const char* message;  // after "internal error: verify: "
  void (*damage)(Program&);
};

KernelStage& stage(Program& p, int kernel, int phase, int stage) {
  return p.kernels[static_cast<std::size_t>(kernel)]
      .phases[static_cast<std::size_t>(phase)]
      .stages[static_cast<std::size_t>(stage)];
}
Expr& expr(Program& p, int kernel, int e) {
  return p.kernels[static_cast<std::size_t>(kernel)].exprs[static_cast<std::size_t>(e)];
}

const Broken kBuffers[] = {
    {"program @1: the program's name '1' is not an identifier", [](Program& p) { p.name = "1"; }},
    {"program @step: buffer name \"\" is no name: expected text in UTF-8, not empty",
     [](Program& p) { p.buffers[0].name = ""; }},
    {"program @step: two buffers are named %x", [](Program& p) { p.buffers[1].name = "x"; }},
    {"program @step: buffer %x: dtype bf16 is reserved", [](Program& p) { p.buffers[0].type.dtype = bf16; }},
    {"program @step: buffer %x: shape [?,6] has an unbound batch extent, so it has no size",
     [](Program& p) { p.buffers[0].type.shape[0] = kBatch; }},
    {"program @step: buffer %c: needs a literal of type f32[]", [](Program& p) { p.buffers[7].literal = nullptr; }},
    {"program @step: buffer %c: needs a literal of type f32[1]", [](Program& p) { p.buffers[7].type.shape = {1}; }},
    {"program @step: buffer %t0: has no use for a literal of type f32[8,4]",
     [](Program& p) { p.buffers[3].literal = p.buffers[7].literal; }},
    {"program @step: view %v: its base does not precede it", [](Program& p) { p.buffers[5].base = 5; }},
    {"program @step: view %v: its base does not precede it", [](Program& p) { p.buffers[5].base = kNone; }},
    {"program @step: view %v is f32[33], its base f32[8,4]: expected the same dtype and number of elements",
     [](Program& p) { p.buffers[5].type.shape = {33}; }},
    {"program @step: temp %t1: offset 132 is not a multiple of 64", [](Program& p) { p.buffers[4].offset = 132; }},
    {"program @step: temp %t1: offset -64 is not a multiple of 64", [](Program& p) { p.buffers[4].offset = -64; }},
    {"program @step: temp %t1: 32 bytes at offset 192 do not fit the arena of 192",
     [](Program& p) { p.buffers[4].offset = 192; }},
    {"program @step: temps %t0 and %t1 share bytes while both are in use, at kernel @row",
     [](Program& p) { p.buffers[4].offset = 64; }},
    {"program @step: the arena's size -64 is negative or too large",
     [](Program& p) {
       for (Buffer& b : p.buffers)
         if (b.kind == Buffer::temp) b.kind = Buffer::output;
       p.arena_bytes = -64;
     }},
    {"program @step: an arena of 256 bytes, where all temps together need 192",
     [](Program& p) { p.arena_bytes = 256; }},
    {"program @step: temp %spare: no kernel stores to it",
     [](Program& p) {
       p.buffers.push_back({.kind = Buffer::temp, .name = "spare", .type = {f32, {8}}});
     }},
    {"program @step: input 99 is no buffer", [](Program& p) { p.inputs[0] = 99; }},
    {"program @step: %t0 is listed as an input, but is a temp buffer", [](Program& p) { p.inputs[0] = 3; }},
    {"program @step: %x is listed twice as an input", [](Program& p) { p.inputs[1] = 0; }},
    {"program @step: state buffer %w is not listed as an input", [](Program& p) { p.inputs.pop_back(); }},
    {"program @step: update 3 is no state buffer", [](Program& p) { p.updates[0] = 3; }},
    {"program @step: %w is updated twice", [](Program& p) { p.updates.push_back(2); }},
    {"program @step: output -1 is no buffer", [](Program& p) { p.outputs[0] = kNone; }},
    {"program @step: output %hist: no kernel stores its elements [0:4]", [](Program& p) { p.kernels.pop_back(); }},
    {"program @step: output %t0 is a temp", [](Program& p) { p.outputs[0] = 3; }},
    {"program @step: the arena's size 70368744177665 is negative or too large",
     [](Program& p) { p.arena_bytes = (std::int64_t{1} << 46) + 1; }},
};

const Broken kKernels[] = {
    {"kernel @: the name '' is not an identifier", [](Program& p) { p.kernels[1].name = ""; }},
    {"kernel @dense: an earlier kernel has the same name", [](Program& p) { p.kernels[1].name = "dense"; }},
    {"kernel @dense: axis name '' is not an identifier", [](Program& p) { p.kernels[0].axes[0].name = ""; }},
    {"kernel @dense: two axes are named m", [](Program& p) { p.kernels[0].axes[1].name = "m"; }},
    {"kernel @dense: axis k: extent -1 is negative or too large", [](Program& p) { p.kernels[0].axes[2].extent = -1; }},
    {"kernel @dense: 65 axes, more than 64",
     [](Program& p) {
       while (p.kernels[0].axes.size() < 65)
         p.kernels[0].axes.push_back({fmt::format("a{}", p.kernels[0].axes.size()), 1});
     }},
    // Expressions.
    {"kernel @dense: %e3: f32 = neg %e3: %e3 does not precede it", [](Program& p) { expr(p, 0, 3).args[0] = 3; }},
    {"kernel @dense: %e3: f32 = neg %e-1: %e-1 does not precede it", [](Program& p) { expr(p, 0, 3).args[0] = kNone; }},
    {"kernel @dense: %e1: f32 = load %x[m, k]: equals %e0", [](Program& p) { expr(p, 0, 1) = expr(p, 0, 0); }},
    {"kernel @dense: %e3: f64 = neg %e2: expected f32", [](Program& p) { expr(p, 0, 3).dtype = f64; }},
    {"kernel @dense: %e3: unknown kind, op or dtype", [](Program& p) { expr(p, 0, 3).dtype = f16; }},
    {"kernel @dense: %e3: f32 = and %e2: takes 2 arguments, found 1",
     [](Program& p) { expr(p, 0, 3).op = Op::bit_and; }},
    {"kernel @dense: %e3: f32 = not %e2: does not take f32; it takes i32, i64, u8, bool",
     [](Program& p) { expr(p, 0, 3).op = Op::logical_not; }},
    {"kernel @dense: %e3: f32 = reshape %e2: reshape is not elementwise",
     [](Program& p) { expr(p, 0, 3).op = Op::reshape; }},
    {"kernel @dense: %e3: f32 = random %e2: random takes key, step and index, each i64",
     [](Program& p) { expr(p, 0, 3).op = Op::random; }},
    {"kernel @dense: %e0: f32 = load %?9[m, k]: buffer 9 does not exist", [](Program& p) { expr(p, 0, 0).buffer = 9; }},
    {"kernel @dense: %e0: f32 = load %x[m]: 1 index for f32[8,6]", [](Program& p) { expr(p, 0, 0).access.pop_back(); }},
    {"kernel @dense: %e0: f64 = load %x[m, k]: expected f32", [](Program& p) { expr(p, 0, 0).dtype = f64; }},
    {"kernel @dense: %e0: f32 = load %x[?7, k]: axis 7 does not exist",
     [](Program& p) { expr(p, 0, 0).access[0].terms[0].first = 7; }},
    {"kernel @dense: %e0: f32 = load %x[0*m, k]: the terms of an index are not sorted by axis, or one is zero",
     [](Program& p) { expr(p, 0, 0).access[0].terms[0].second = 0; }},
    {"kernel @dense: %e0: f32 = load %x[m + m, k]: the terms of an index are not sorted by axis, or one is zero",
     [](Program& p) {
       expr(p, 0, 0).access[0].terms.push_back({0, 1});
     }},
    {"kernel @dense: %e0: f32 = load %x[9223372036854775807*m, k]: index 9223372036854775807*m is too large",
     [](Program& p) { expr(p, 0, 0).access[0].terms[0].second = INT64_MAX; }},
    {"kernel @dense: %e0: f32 = load %x[m - 9223372036854775808, k]: index m - 9223372036854775808 is too large",
     [](Program& p) { expr(p, 0, 0).access[0].offset = INT64_MIN; }},
    {"kernel @dense: %e1: f32 = load %w[%e1 + k, n]: %e1 does not precede it",
     [](Program& p) { expr(p, 0, 1).access[0].indirect = 1; }},
    {"kernel @dense: %e1: f32 = load %w[%e0 + k, n]: the indirect index %e0 is not i64",
     [](Program& p) { expr(p, 0, 1).access[0].indirect = 0; }},
    {"kernel @dense: %e1: f32 = load %w[k, n] if %e0: the predicate is not one bool",
     [](Program& p) { expr(p, 0, 1).args = {0}; }},
    {"kernel @count: %e1: i64 = index ?: needs one index",
     [](Program& p) { expr(p, 2, 1) = {.kind = Expr::index, .dtype = i64}; }},
    // Stages.
    {"kernel @dense: parallel axis 3 does not exist", [](Program& p) { p.kernels[0].phases[0].parallel[0] = 3; }},
    {"kernel @dense: axis n is parallel twice", [](Program& p) { p.kernels[0].phases[0].parallel[0] = 1; }},
    {"kernel @dense: a phase has more than 70368744177664 points",
     [](Program& p) { p.kernels[0].axes[0].extent = p.kernels[0].axes[1].extent = std::int64_t{1} << 40; }},
    {"kernel @dense: %a0 = contract m=m, n=n over ?5: %e0 * %e1: axis 5 does not exist",
     [](Program& p) { stage(p, 0, 0, 0).roles.k[0] = 5; }},
    {"kernel @dense: %a0 = contract m=m, n=n over n: %e0 * %e1: the axis is parallel in the same phase",
     [](Program& p) { stage(p, 0, 0, 0).roles.k[0] = 1; }},
    {"kernel @dense: a chunk of 9223372036854775807 points",
     [](Program& p) { p.kernels[0].phases[0].chunk = INT64_MAX; }},
    {"kernel @dense: a chunk of -1 points", [](Program& p) { p.kernels[0].phases[0].chunk = -1; }},
    {"kernel @dense: a contraction in a phase with a chunk", [](Program& p) { p.kernels[0].phases[0].chunk = 4; }},
    {"kernel @row: chunks of what is no contraction", [](Program& p) { stage(p, 1, 0, 0).chunk_axis = 0; }},
    {"kernel @dense: chunks are counted by axis 2, which is not parallel",
     [](Program& p) { stage(p, 0, 0, 0).chunk_axis = 2; }},
    {"kernel @dense: chunks are counted by axis 9, which is not parallel",
     [](Program& p) { stage(p, 0, 0, 0).chunk_axis = 9; }},
    {"kernel @dense: axis m counts chunks and is an axis of m", [](Program& p) { stage(p, 0, 0, 0).chunk_axis = 0; }},
    {"kernel @dense: chunks are counted by axis m of 8, expected 1",
     [](Program& p) {
       stage(p, 0, 0, 0).chunk_axis = 0, stage(p, 0, 0, 0).roles.m.clear();
       p.kernels[0].schedule = {};
     }},
    {"kernel @dense: %a0 = contract m=m, n=n: %e0 * %e1: needs an axis",
     [](Program& p) { stage(p, 0, 0, 0).roles.k.clear(); }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e1: its axes are those of its roles",
     [](Program& p) { stage(p, 0, 0, 0).axis = 2; }},
    {"kernel @row: %a0 = reduce_sum over n striped: %e0: only a contraction has roles",
     [](Program& p) { stage(p, 1, 0, 0).roles.m = {0}; }},
    {"kernel @dense: %a0 = contract b=m, m=m, n=n over k: %e0 * %e1: axis m has two roles",
     [](Program& p) { stage(p, 0, 0, 0).roles.b = {0}; }},
    {"kernel @dense: %a0 = contract m=(m, m), n=n over k: %e0 * %e1: axis m has two roles",
     [](Program& p) {
       stage(p, 0, 0, 0).roles.m = {0, 0};
     }},
    {"kernel @dense: %a0 = contract m=m, n=n over k, k: %e0 * %e1: axis k has two roles",
     [](Program& p) {
       stage(p, 0, 0, 0).roles.k = {2, 2};
     }},
    {"kernel @dense: %a0 = contract b=p, m=m, n=n over k: %e0 * %e1: axis p of its roles is not parallel",
     [](Program& p) {
       p.kernels[0].axes.push_back({"p", 1});
       stage(p, 0, 0, 0).roles.b = {3};
     }},
    {"kernel @dense: %a0 = contract b=?9, m=m, n=n over k: %e0 * %e1: axis 9 does not exist",
     [](Program& p) { stage(p, 0, 0, 0).roles.b = {9}; }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e1 * %e0: the left factor changes with n, n",
     [](Program& p) { std::swap(stage(p, 0, 0, 0).lhs, stage(p, 0, 0, 0).rhs); }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e0: the right factor changes with m, m",
     [](Program& p) { stage(p, 0, 0, 0).rhs = stage(p, 0, 0, 0).lhs; }},
    {"kernel @dense: %a-1 = contract m=m, n=n over k: %e0 * %e1: accumulator number -1",
     [](Program& p) { stage(p, 0, 0, 0).result = kNone; }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e9: has no expression 9",
     [](Program& p) { stage(p, 0, 0, 0).rhs = 9; }},
    {"kernel @dense: map: store %t0[m, n] = %e3: has no use for expression 1",
     [](Program& p) { stage(p, 0, 0, 1).value = 1; }},
    {"kernel @dense: map {: 0 stores", [](Program& p) { stage(p, 0, 0, 1).stores.clear(); }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e1: only a reduce is striped",
     [](Program& p) { stage(p, 0, 0, 0).order = FoldOrder::striped; }},
    {"kernel @row: %a0 = arg_max over n striped: %e0: arg_max and arg_min have one order",
     [](Program& p) { stage(p, 1, 0, 0).op = Op::arg_max; }},
    {"kernel @row: %a0 = arg_max over n tree: %e0: arg_max and arg_min have one order",
     [](Program& p) { stage(p, 1, 0, 0).op = Op::arg_max, stage(p, 1, 0, 0).order = FoldOrder::tree; }},
    {"kernel @row: %a0 = reduce_max over n chain: %e0: only a sum is a chain",
     [](Program& p) { stage(p, 1, 0, 0).op = Op::reduce_max, stage(p, 1, 0, 0).order = FoldOrder::chain; }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e1: only a reduce is tree",
     [](Program& p) { stage(p, 0, 0, 0).order = FoldOrder::tree; }},
    {"kernel @row: %a0 = add over n striped: %e0: does not fold f32",
     [](Program& p) { stage(p, 1, 0, 0).op = Op::add; }},
    {"kernel @row: %e1: f32 = accumulator %a0: accumulator %a0 is i32",
     [](Program& p) { stage(p, 1, 0, 0).op = Op::arg_max, stage(p, 1, 0, 0).order = FoldOrder::sequential; }},
    {"kernel @row: map: store %t1[m] = %e1: uses %a3 before a stage of the phase has set it",
     [](Program& p) { expr(p, 1, 1).result = 3; }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e1: accumulator %a0 has a value already",
     [](Program& p) { p.kernels[0].phases.push_back(p.kernels[0].phases[0]); }},
    {"kernel @row: map: store %t1[m] = %e1: uses %a0 before a stage of the phase has set it",
     [](Program& p) {
       Kernel& k = p.kernels[1];
       k.phases.push_back({{0}, {k.phases[0].stages[1]}});
     }},
    {"kernel @row: map: store %t1[m] = %e0: in %e0: f32 = load %v[4*m + n]: axis n has no value here",
     [](Program& p) { stage(p, 1, 0, 1).stores[0].value = 0; }},
    {"kernel @dense: map: store %t0[m, k] = %e3: axis k has no value here",
     [](Program& p) { stage(p, 0, 0, 1).stores[0].access[1].terms[0].first = 2; }},
    {"kernel @dense: map: store %x[m, n] = %e3: stores to the input buffer %x",
     [](Program& p) { stage(p, 0, 0, 1).stores[0].buffer = 0; }},
    {"kernel @count: map: store %hist[j] = %e1: stores i64 to %hist, which is f32[4]",
     [](Program& p) { stage(p, 2, 0, 0).stores[0].value = 1; }},
    {"kernel @dense: map: store %t0[m, n] = %e8: expression 8 does not exist",
     [](Program& p) { stage(p, 0, 0, 1).stores[0].value = 8; }},
    {"kernel @dense: map: store %t0[m, n] = %e3: expression 2 cannot be its predicate",
     [](Program& p) { stage(p, 0, 0, 1).predicate = 2; }},
    {"kernel @count: scatter over i: %hist[%e0] += %e3 if %e3: expression 3 cannot be its predicate",
     [](Program& p) { stage(p, 2, 1, 0).predicate = 3; }},
    {"kernel @count: runs of %hist are added up in a phase without a chunk",
     [](Program& p) { stage(p, 2, 1, 0).stores.push_back(stage(p, 2, 1, 0).stores[0]); }},
    {"kernel @count: a scatter to %hist with 3 stores",
     [](Program& p) {
       for (int i = 0; i < 2; ++i) stage(p, 2, 1, 0).stores.push_back(stage(p, 2, 1, 0).stores[0]);
     }},
    {"kernel @count: runs of %hist are added up where a predicate holds",
     [](Program& p) {
       p.kernels[2].phases[1].chunk = 16;
       stage(p, 2, 1, 0).stores.push_back(stage(p, 2, 1, 0).stores[0]);
     }},
    {"kernel @count: runs of %hist are added to %hist, at another place or in another shape",
     [](Program& p) {
       p.kernels[2].phases[1].chunk = 16;
       stage(p, 2, 1, 0).predicate = kNone;
       stage(p, 2, 1, 0).stores.push_back(stage(p, 2, 1, 0).stores[0]);
     }},
    {"kernel @count: another stage of a phase with a chunk uses %hist, to which a scatter adds",
     [](Program& p) {
       p.kernels[2].phases[1].chunk = 1;
       p.kernels[2].phases[1].stages.push_back(stage(p, 2, 1, 0));
     }},
    {"kernel @count: another stage of a phase with a chunk uses %hist, to which a scatter adds",
     [](Program& p) {
       p.kernels[2].phases[1].chunk = 1;
       expr(p, 2, 3).buffer = stage(p, 2, 1, 0).stores[0].buffer;
       expr(p, 2, 3).access = {{}};
     }},
    // Bounds and order.
    {"kernel @dense: map: store %t0[m, n + 1] = %e3: index n + 1 covers [1, 4], outside dimension 1 of [8,4]",
     [](Program& p) { stage(p, 0, 0, 1).stores[0].access[1].offset = 1; }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e1: in %e0: f32 = load %x[m, -k]: index -k covers [-5, 0], "
     "outside "
     "dimension 1 of [8,6]",
     [](Program& p) { expr(p, 0, 0).access[1].terms[0].second = -1; }},
    {"kernel @dense: %e0: f32 = load %x[m + 200000000000000, k]: index m + 200000000000000 is too large",  // in rows of
                                                                                                           // 6
     [](Program& p) { expr(p, 0, 0).access[0].offset = 200'000'000'000'000; }},
    {"kernel @count: %e1: i64 = index 4611686018427387904*j: index 4611686018427387904*j is too large",
     [](Program& p) {
       expr(p, 2, 1) = {.kind = Expr::index, .dtype = i64, .access = {{{{1, std::int64_t{1} << 62}}, 0}}};
     }},
    {"kernel @row: %a0 = reduce_sum over n striped: %e0: in %e0: f32 = load %v[4*m + n]: nothing has been stored yet "
     "in "
     "the elements [0:32] of %v",
     [](Program& p) { p.kernels.erase(p.kernels.begin()); }},
    {"kernel @row: %a0 = reduce_sum over n striped: %e0: in %e0: f32 = load %v[4*m + n]: nothing has been stored yet "
     "in "
     "the elements [0:32] of %v",
     [](Program& p) { p.kernels[0].axes[0].extent = 7; }},  // rows 0 to 6 of t0, which v sees under another shape
    {"kernel @count: scatter over i: %hist[%e0] += %e3 if %e2: nothing has been stored yet in the elements [0:4] of "
     "%hist",
     [](Program& p) { p.kernels[2].phases.erase(p.kernels[2].phases.begin()); }},
    {"kernel @count: scatter over i: %hist[%e0] += %e3 if %e2: nothing has been stored yet in the elements [3:4] of "
     "%hist",
     [](Program& p) { p.kernels[2].axes[1].extent = 3; }},
    // What compiled code could not do.
    {"kernel @row: has no phase", [](Program& p) { p.kernels[1].phases.clear(); }},
    {"kernel @row: a phase has no stage", [](Program& p) { p.kernels[1].phases[0].stages.clear(); }},
    {"kernel @dense: %a0 = contract m=m, n=n over k: %e0 * %e1: more than 18014398509481984 steps in all",
     [](Program& p) {
       p.kernels[0].axes[0].extent = std::int64_t{1} << 20;
       p.kernels[0].axes[2].extent = std::int64_t{1} << 40;
       expr(p, 0, 0).access = {{}, {}}, expr(p, 0, 1).access[0] = {};
     }},
    {"kernel @row: 257 stages, more than 256",
     [](Program& p) { p.kernels[1].phases[0].stages.resize(257, stage(p, 1, 0, 0)); }},
    {"kernel @row: %e1026: f32 = neg %e1025: nested deeper than 1024",
     [](Program& p) {
       for (ExprId e = 1; e <= 1026; ++e)
         p.kernels[1].exprs.push_back({.kind = Expr::apply, .dtype = f32, .op = Op::neg, .args = {e}});
     }},
    {"kernel @row: %e1: f32 = accumulator %a0: has a value for what it has no use for",
     [](Program& p) { expr(p, 1, 1).buffer = 0; }},
    // Schedules.
    {"kernel @dense: schedule: axis 3 of vector does not exist", [](Program& p) { cpu(p, 0).vector_axis = 3; }},
    {"kernel @dense: schedule: kc is negative", [](Program& p) { cpu(p, 0).kc = -1; }},
    {"kernel @row: schedule: phase 0 does not start with a contraction, which tiles are of",
     [](Program& p) { cpu(p, 1).pack_lhs = true; }},
    {"kernel @dense: schedule: a tiled contraction has axes in m and in k, and one in n; found 0, 1 and 1",
     [](Program& p) { std::swap(stage(p, 0, 0, 0).roles.m, stage(p, 0, 0, 0).roles.b); }},
    {"kernel @dense: schedule: phase 0 does not start with a contraction, which tiles are of",
     [](Program& p) {
       std::swap(stage(p, 0, 0, 0), stage(p, 0, 0, 1));
       expr(p, 0, 0).access[1] = {};
       stage(p, 0, 0, 0).stores[0].value = 0;
     }},
    {"kernel @dense: schedule: a register tile of 2 x 2147483647, more than 1024 elements",
     [](Program& p) { cpu(p, 0).nr = INT32_MAX; }},
    {"kernel @dense: schedule: mc=9, more than the extent of m", [](Program& p) { cpu(p, 0).mc = 9; }},
    {"kernel @dense: schedule: nc=9223372036854775807, more than the extent of n",
     [](Program& p) { cpu(p, 0).nc = INT64_MAX; }},
    {"kernel @dense: schedule: axis 7 of threads does not exist", [](Program& p) { gpu(p).thread_axis = 7; }},
    {"kernel @dense: schedule: tm=0, expected a power of two from 1 to 8", [](Program& p) { gpu(p).tm = 0; }},
    {"kernel @dense: schedule: rows=0, expected a power of two from 1 to 1024", [](Program& p) { gpu(p).rows = 0; }},
    {"kernel @dense: schedule: cols=12, expected a power of two from 1 to 1024", [](Program& p) { gpu(p).cols = 12; }},
    {"kernel @dense: schedule: tn=16, expected a power of two from 1 to 8", [](Program& p) { gpu(p).tn = 16; }},
    {"kernel @dense: schedule: k=4, expected a power of two from 8 to 64", [](Program& p) { gpu(p).k = 4; }},
    {"kernel @dense: schedule: k=8, expected a power of two from 16 to 64", [](Program& p) { gpu(p).matrices = true; }},
    {"kernel @dense: schedule: stages=1, expected a power of two from 2 to 4", [](Program& p) { gpu(p).stages = 1; }},
    {"kernel @dense: schedule: a block of 64 x 32 threads, expected 32 to 1024 threads",
     [](Program& p) { gpu(p) = {kNone, 64, 32, 1, 1, 8, 2}; }},
    {"kernel @dense: schedule: a block of 2 x 8 threads, expected 32 to 1024 threads",
     [](Program& p) { gpu(p).rows = 2; }},
    {"kernel @dense: schedule: a block of 8 x 8 warps, expected 32 to 1024 threads",
     [](Program& p) { gpu(p) = {kNone, 8, 8, 1, 1, 16, 2, true}; }},
    {"kernel @dense: schedule: 557056 bytes of shared memory, more than 232448",
     [](Program& p) { gpu(p) = {kNone, 32, 32, 8, 8, 64, 4}; }},
    {"kernel @dense: schedule: axis p has no role in the tiled contraction",
     [](Program& p) {
       gpu(p);
       p.kernels[0].axes.push_back({"p", 1});
       p.kernels[0].phases[0].parallel.push_back(3);
     }},
    {"kernel @dense: schedule: axis k is empty",
     [](Program& p) {
       gpu(p);
       p.kernels[0].axes[2].extent = 0;
     }},
    {"kernel @dense: schedule: what follows a tiled contraction maps its points",
     [](Program& p) {
       gpu(p);
       p.kernels[0].axes.push_back({"q", 2});
       p.kernels[0].phases[0].stages[1].axis = 3;
     }},
    {"kernel @row: schedule: phase 0 does not start with a contraction, which tiles are of",
     [](Program& p) { p.kernels[1].schedule = gpu(p); }},
};

}  // namespace

TEST_CASE("the kernel verifier accepts valid programs") {
  CHECK(verify_error(sample()) == "");
  Program p = sample();
  p.kernels[0].axes[1].extent = 0;  // no point, no access
  expr(p, 0, 1).access[1].offset = 100;
  p.kernels[1].axes[1].extent = 0;  // nobody reads what has not been stored
  CHECK(verify_error(p) == "");
  p = sample();
  p.arena_bytes = 0;  // not planned yet: offsets mean nothing
  p.buffers[4].offset = 0;
  CHECK(verify_error(p) == "");
}

TEST_CASE("temps may share bytes when they are not in use at the same time") {
  Program p = sample();
  p.buffers.push_back({.kind = Buffer::temp, .name = "late", .type = {f32, {8, 4}}, .offset = 0});
  stage(p, 2, 0, 0).stores.push_back({8, {{{}, 0}, {{{1, 1}}, 0}}, 4});
  CHECK(verify_error(p) == "");
  expr(p, 2, 3).buffer = 5;  // keeps %t0 in use to the end
  CHECK(
      verify_error(p) ==
      "internal error: verify: program @step: temps %t0 and %late share bytes while both are in use, at kernel @count");
}

TEST_CASE("the kernel verifier names each broken invariant of buffers") {
  for (const Broken& b : kBuffers) {
    Program p = sample();
    b.damage(p);
    CHECK(verify_error(p) == std::string("internal error: verify: ") + b.message);
  }
}

TEST_CASE("the kernel verifier names each broken invariant of kernels") {
  for (const Broken& b : kKernels) {
    Program p = sample();
    b.damage(p);
    CHECK(verify_error(p) == std::string("internal error: verify: ") + b.message);
  }
}

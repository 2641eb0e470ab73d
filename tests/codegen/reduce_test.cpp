// Reductions, rows, scatters and in-place updates against the interpreter, in bits.
#include <limits>
#include <random>

#include "catch.h"
#include "device_under_test.h"
#include "programs.h"

using namespace weft;

namespace {

struct ReduceShape {
  Shape shape;
  int axis;
};
const ReduceShape kShapes[] = {
    {{3, 1}, 1},    {{5, 10}, 1},   {{2, 16}, 1},    {{3, 17}, 1},      {{2, 100}, 1},
    {{1, 5000}, 1}, {{1, 8192}, 1}, {{2, 257}, 1},   {{1, 20490}, 1},                      // last axis
    {{7, 3}, 0},    {{33, 100}, 0}, {{4100, 5}, 0},  {{2, 9, 70}, 1},   {{3, 4, 1}, 0},    // others
    {{40, 130}, 0}, {{9, 2100}, 0}, {{8200, 70}, 0}, {{3, 20, 210}, 1},                    // blocks of columns
    {{8, 520}, 0},  {{15, 287}, 0}, {{16, 300}, 0},  {{17, 289}, 0},    {{3, 16, 95}, 1},  // groups of 16 rows
    {{128, 33}, 0}, {{144, 63}, 0}, {{271, 64}, 0},  {{272, 16}, 0},    {{2, 257, 31}, 1},
    {{129, 3}, 0},  {{300, 33}, 0}, {{513, 17}, 0},  {{777, 100}, 0},   {{1281, 2}, 0},  // 1, 2, 3, 4 and 6 chunks
    {{4, 0}, 1},    {{0, 4}, 0},    {{0, 4}, 1},                                         // empty
};

enum class LanesAlong { points, rows, nothing };

/// One kernel a shape: out = reduce(in) over one axis.
Program reduction(Op op, DType t, LanesAlong lanes) {
  ProgramBuilder b;
  for (const ReduceShape& s : kShapes) {
    const bool arg = op == Op::arg_max || op == Op::arg_min;
    Shape rest = s.shape;
    rest.erase(s.axis);
    const BufferId in = b.input(t, s.shape), out = b.output(arg ? i32 : t, rest);
    HandBuilder k(b.program(), b.kernel());
    std::vector<Index> load, store;
    std::vector<AxisId> parallel;
    AxisId reduced = kNone;
    for (int d = 0; d < s.shape.rank(); ++d) {
      const AxisId a = k.axis("a" + std::to_string(d), s.shape[d]);
      load.push_back(at(a));
      if (d == s.axis) {
        reduced = a;
      } else {
        parallel.push_back(a);
        store.push_back(at(a));
      }
    }
    const bool striped = !arg && s.axis == s.shape.rank() - 1;
    k.schedule().vector_axis = lanes == LanesAlong::points ? parallel.back()
                               : lanes == LanesAlong::rows ? reduced
                                                           : kNone;
    const ExprId value = k.load(in, load), result = k.accumulator(0, arg ? i32 : t);
    k.phase(parallel).stages = {reduce_stage(0, op, reduced, value, striped), map_stage({{out, store, result}})};
  }
  return b.program();
}

/// out[i, j] = exp(x[i, j] - max_j x) / sum_j …, sum[i] = the sum: a chain of row stages.
/// `best`: also arg_max of the exponentials, which walks the row one element at a time.
Program softmax(std::int64_t rows, std::int64_t columns, bool best = false) {
  ProgramBuilder b;
  const BufferId x = b.input(f32, {rows, columns}), y = b.output(f32, {rows, columns}), total = b.output(f32, {rows});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", rows), j = k.axis("j", columns);
  const ExprId value = k.load(x, {at(i), at(j)});
  const ExprId shifted = k.op(Op::exp, f32, {k.op(Op::sub, f32, {value, k.accumulator(0, f32)})});
  const ExprId scaled = k.op(Op::div, f32, {shifted, k.accumulator(1, f32)});
  Phase& phase = k.phase({i});
  phase.stages = {reduce_stage(0, Op::reduce_max, j, value, true), reduce_stage(1, Op::reduce_sum, j, shifted, true),
                  map_stage({{y, {at(i), at(j)}, scaled}}, j), map_stage({{total, {at(i)}, k.accumulator(1, f32)}})};
  if (best) {
    const BufferId index = b.output(i32, {rows});
    phase.stages.push_back(reduce_stage(2, Op::arg_max, j, scaled, false));
    phase.stages.push_back(map_stage({{index, {at(i)}, k.accumulator(2, i32)}}));
  }
  k.schedule().vector_axis = j;
  return b.program();
}

/// Rows of two axes that do not merge, and a costly row that all of them share: w[j] = exp(v[j]),
/// y[k, i, j] = w[j] * x[i, k, j] - max_j (w[j] * x[i, k, j]), best[i, k] = arg_max_j (w[j] * y[k, i, j]),
/// and the sum of the whole row added to count[i, k].
Program shared_row(DType t, std::int64_t outer, std::int64_t inner, std::int64_t columns) {
  ProgramBuilder b;
  const BufferId x = b.input(t, {outer, inner, columns}), v = b.input(t, {columns});
  const BufferId y = b.output(t, {inner, outer, columns}), index = b.output(i32, {outer, inner});
  const BufferId total = b.state(t, {outer, inner});
  HandBuilder h(b.program(), b.kernel());
  const AxisId i = h.axis("i", outer), k = h.axis("k", inner), j = h.axis("j", columns);
  const ExprId w = h.op(Op::exp, t, {h.load(v, {at(j)})});
  const ExprId scaled = h.op(Op::mul, t, {w, h.load(x, {at(i), at(k), at(j)})});
  const ExprId shifted = h.op(Op::sub, t, {scaled, h.accumulator(0, t)});
  const ExprId sum = h.op(Op::add, t, {h.load(total, {at(i), at(k)}), h.accumulator(1, t)});
  h.phase({i, k}).stages = {
      reduce_stage(0, Op::reduce_max, j, scaled, true),
      map_stage({{y, {at(k), at(i), at(j)}, shifted}}, j),
      reduce_stage(1, Op::reduce_sum, j, shifted, true),
      map_stage({{total, {at(i), at(k)}, sum}}),
      reduce_stage(2, Op::arg_max, j, h.op(Op::mul, t, {w, shifted}), false),
      map_stage({{index, {at(i), at(k)}, h.accumulator(2, i32)}}),
  };
  h.schedule().vector_axis = j;
  return b.program();
}

/// The gradients of a layer norm's shift and scale, for each o: two folds down the same columns, one of which reads
/// values of the row: shift[o, j] = sum_i dy[o, i, j], scale[o, j] = sum_i dy[o, i, j] * (x[o, i, j] - mean[o, i]) /
/// sqrt(var[o, i]), and with `best` also arg_max_i x[o, i, j], which walks the column by itself.
Program column_folds(DType t, std::int64_t outer, std::int64_t rows, std::int64_t columns, bool best) {
  ProgramBuilder b;
  const BufferId x = b.input(t, {outer, rows, columns}), dy = b.input(t, {outer, rows, columns});
  const BufferId mean = b.input(t, {outer, rows}), var = b.input(t, {outer, rows});
  const BufferId shift = b.output(t, {outer, columns}), scale = b.output(t, {outer, columns});
  HandBuilder k(b.program(), b.kernel());
  const AxisId o = k.axis("o", outer), i = k.axis("i", rows), j = k.axis("j", columns);
  const ExprId value = k.load(x, {at(o), at(i), at(j)}), gradient = k.load(dy, {at(o), at(i), at(j)});
  const ExprId deviation = k.op(Op::sqrt, t, {k.load(var, {at(o), at(i)})});
  const ExprId centred = k.op(Op::sub, t, {value, k.load(mean, {at(o), at(i)})});
  const ExprId product = k.op(Op::mul, t, {gradient, k.op(Op::div, t, {centred, deviation})});
  Phase& phase = k.phase({o, j});
  phase.stages = {
      reduce_stage(0, Op::reduce_sum, i, gradient, false), reduce_stage(1, Op::reduce_sum, i, product, false),
      map_stage({{shift, {at(o), at(j)}, k.accumulator(0, t)}, {scale, {at(o), at(j)}, k.accumulator(1, t)}})};
  if (best) {
    const BufferId index = b.output(i32, {outer, columns});
    phase.stages.push_back(reduce_stage(2, Op::arg_max, i, value, false));
    phase.stages.push_back(map_stage({{index, {at(o), at(j)}, k.accumulator(2, i32)}}));
  }
  k.schedule().vector_axis = j;
  return b.program();
}

}  // namespace

TEST_CASE("every reduction equals the interpreter in bits") {
  for (int o = 0; o < kOpCount; ++o) {
    const Op op = static_cast<Op>(o);
    if (info(op).cls != OpClass::reduce) continue;
    for (DType t : kAllDTypes) {
      if (!in_set(t, info(op).dtypes)) continue;
      for (LanesAlong lanes : {LanesAlong::points, LanesAlong::rows, LanesAlong::nothing}) {
        INFO(name(op) << " of " << name(t) << ", lanes " << static_cast<int>(lanes));
        CHECK(check_next_target([&](const CpuTarget&) { return reduction(op, t, lanes); }) == "");
      }
    }
  }
}

// Code cuts these folds where it likes (is_associative in codegen/cpu/analysis.h).
TEST_CASE("of equal extremes the last one is taken, however a fold is cut") {
  for (Op op : {Op::reduce_max, Op::reduce_min})
    for (DType t : {f32, f64})
      for (LanesAlong lanes : {LanesAlong::points, LanesAlong::rows, LanesAlong::nothing}) {
        const Program p = reduction(op, t, lanes);
        std::vector<Array> inputs;
        std::minstd_rand random(7);
        for (BufferId id : p.inputs) {
          Array x(p.buffers[static_cast<std::size_t>(id)].type);
          visit_dtype(t, [&](auto zero) {
            using T = decltype(zero);
            if constexpr (std::is_floating_point_v<T>) {
              const T tiny = std::numeric_limits<T>::denorm_min(), equals[] = {0, -T{0}, tiny, -tiny, 3 * tiny};
              for (T& v : x.as<T>()) v = equals[random() % std::size(equals)];
            }
          });
          inputs.push_back(std::move(x));
        }
        INFO(name(op) << " of " << name(t) << ", lanes " << static_cast<int>(lanes));
        const Evaluation expected = interpret(p, inputs);
        for (const CpuTarget& target : runnable_targets()) {
          INFO(target.cpu);
          CHECK(difference(run_artifact(compile(p, target), inputs), expected) == "");
        }
        const GpuTarget gpu = test::device_targets().front();
        CHECK(difference(test::run_on_device(p, inputs, gpu), expected) == "");
      }
}

TEST_CASE("chains of row stages share what fits one vector") {
  for (std::int64_t columns : {1, 10, 16, 17, 64, 100}) CHECK(check(softmax(5, columns)) == "");
}

TEST_CASE("rows of costly values are kept for later stages, by vectors and by single elements") {
  for (std::int64_t columns : {17, 64, 100, 5000}) CHECK(check(softmax(3, columns, true)) == "");
}

TEST_CASE("rows in a pipeline keep the values of one another apart") {
  for (std::int64_t rows : {1, 2, 3, 5, 6, 23})
    for (std::int64_t columns : {128, 200, 1000}) CHECK(check(softmax(rows, columns)) == "");
}

TEST_CASE("rows side by side, and those that are left over") {
  for (std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 9, 23})
    for (std::int64_t columns : {10, 17, 64}) CHECK(check(softmax(rows, columns, rows % 2 == 0)) == "");
  CHECK(check(softmax(9, 5000)) == "");    // several chunks
  CHECK(check(softmax(5, 70000)) == "");   // too long to run side by side
  CHECK(check(softmax(301, 1000)) == "");  // more than the L2 holds: what comes next is prefetched, in a pipeline
  CHECK(check(softmax(3001, 100)) == "");  // and side by side
  for (DType t : {f32, f64})
    for (std::int64_t columns : {10, 100}) CHECK(check(shared_row(t, 5, 3, columns)) == "");
}

TEST_CASE("several folds down the same columns, with values of the row") {
  struct Table {
    std::int64_t outer, rows, columns;
  };
  const Table tables[] = {{1, 7, 700},  {1, 64, 64},  {1, 65, 80},  {1, 300, 17},
                          {1, 9, 2100}, {3, 41, 130}, {1, 4113, 40}};
  for (const Table& c : tables)
    for (DType t : {f32, f64})
      for (bool best : {false, true}) {
        INFO(c.outer << " x " << c.rows << " x " << c.columns << " of " << name(t) << (best ? " and the best" : ""));
        CHECK(check(column_folds(t, c.outer, c.rows, c.columns, best)) == "");
      }
}

// Kernels of every other form against the interpreter, in bits: layouts, predicates, gathers, scatters, in-place
// updates, random numbers, several phases, loads that must not leave their stage.
#include "catch.h"
#include "programs.h"

using namespace weft;

namespace {

using Access = std::vector<Index>;

/// z[i, j, l] = x[j, l] + y[l, i] * v[i] + w[j, 2 l] + s: broadcasts, a transposition, a strided slice, a scalar.
Program layouts(std::int64_t I, std::int64_t J, std::int64_t L, int vector_axis) {
  ProgramBuilder b;
  const BufferId x = b.input(f32, {J, L}), y = b.input(f32, {L, I}), v = b.input(f32, {I}),
                 w = b.input(f32, {J, 2 * L + 1}), s = b.input(f32, {}), z = b.output(f32, {I, J, L});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J), l = k.axis("l", L);
  auto add = [&](ExprId p, ExprId q) { return k.op(Op::add, f32, {p, q}); };
  const ExprId product = k.op(Op::mul, f32, {k.load(y, {at(l), at(i)}), k.load(v, {at(i)})});
  const ExprId value =
      add(add(k.load(x, {at(j), at(l)}), product), add(k.load(w, {at(j), at(l, 2, 1)}), k.load(s, {})));
  k.phase({i, j, l}).stages = {map_stage({{z, {at(i), at(j), at(l)}, value}})};
  k.schedule().vector_axis = vector_axis;
  return b.program();
}

/// The same elements written in another order: z[l, i] = x[i, l], reversed along i.
Program transposition(std::int64_t I, std::int64_t L) {
  ProgramBuilder b;
  const BufferId x = b.input(u8, {I, L}), z = b.output(f64, {L, I});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), l = k.axis("l", L);
  k.phase({i, l}).stages = {
      map_stage({{z, {at(l), at(i)}, k.op(Op::convert, f64, {k.load(x, {at(i, -1, I - 1), at(l)})})}})};
  k.schedule().vector_axis = l;
  return b.program();
}

/// y = x padded by (2, 3) around each axis; lanes see a predicate that varies along them, and one that does not.
Program pad(std::int64_t I, std::int64_t J, DType t) {
  ProgramBuilder b;
  const BufferId x = b.input(t, {I, J}), y = b.output(t, {I + 5, J + 5});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I + 5), j = k.axis("j", J + 5);
  auto inside = [&](AxisId a, std::int64_t n) {
    const ExprId index = k.index(at(a, 1, -2));
    return k.op(Op::bit_and, boolean,
                {k.op(Op::ge, boolean, {index, k.constant(i64, 0)}),
                 k.op(Op::lt, boolean, {index, k.constant(i64, static_cast<double>(n))})});
  };
  const ExprId p = k.op(Op::bit_and, boolean, {inside(i, I), inside(j, J)});
  k.phase({i, j}).stages = {map_stage({{y, {at(i), at(j)}, k.load(x, {at(i, 1, -2), at(j, 1, -2)}, p)}})};
  k.schedule().vector_axis = j;
  return b.program();
}

/// y[i, j] = x[index[…], j]: 0 where the index is out of range. The index varies with i (a row gather) or with j.
Program gather(std::int64_t I, std::int64_t J, bool by_lane, DType t) {
  ProgramBuilder b;
  constexpr std::int64_t kTable = 9;
  const BufferId index = b.input(i32, {by_lane ? J : I}), x = b.input(t, by_lane ? Shape{I, kTable} : Shape{kTable, J}),
                 y = b.output(t, {I, J});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J);
  const ExprId r =
      k.op(Op::rem, i64, {k.op(Op::convert, i64, {k.load(index, {at(by_lane ? j : i)})}), k.constant(i64, kTable + 3)});
  const ExprId p =
      k.op(Op::bit_and, boolean,
           {k.op(Op::ge, boolean, {r, k.constant(i64, 0)}), k.op(Op::lt, boolean, {r, k.constant(i64, kTable)})});
  const Index indirect{{}, 0, r};
  k.phase({i, j}).stages = {
      map_stage({{y, {at(i), at(j)}, k.load(x, by_lane ? Access{at(i), indirect} : Access{indirect, at(j)}, p)}})};
  k.schedule().vector_axis = j;
  return b.program();
}

/// z[k[t], j] += u[t, j] for t in order, dropped where k[t] is out of range; z starts as a copy of x in an earlier
/// phase.
Program scatter(std::int64_t T, std::int64_t J, DType t, bool lanes_on_rows) {
  ProgramBuilder b;
  constexpr std::int64_t kRows = 5;
  const BufferId index = b.input(i64, {T}), u = b.input(t, {T, J}), x = b.input(t, {kRows, J}),
                 z = b.output(t, {kRows, J});
  HandBuilder k(b.program(), b.kernel());
  const AxisId r = k.axis("r", kRows), a = k.axis("t", T), j = k.axis("j", J);
  k.phase({r, j}).stages = {map_stage({{z, {at(r), at(j)}, k.load(x, {at(r), at(j)})}})};
  const ExprId to = k.op(Op::rem, i64, {k.load(index, {at(a)}), k.constant(i64, kRows + 2)});
  KernelStage s = map_stage({{z, {{{}, 0, to}, at(j)}, k.load(u, {at(a), at(j)})}}, a);
  s.kind = KernelStage::scatter;
  s.predicate =
      k.op(Op::bit_and, boolean,
           {k.op(Op::ge, boolean, {to, k.constant(i64, 0)}), k.op(Op::lt, boolean, {to, k.constant(i64, kRows)})});
  k.phase({j}).stages = {s};
  k.schedule().vector_axis = lanes_on_rows ? a : j;
  return b.program();
}

/// Adam's form: m, v and w are updated in place from each other's old and new values, with a schedule from a step
/// counter that is itself updated by a second kernel.
Program optimiser(std::int64_t n) {
  ProgramBuilder b;
  const BufferId g = b.input(f32, {n}), w = b.state(f32, {n}), m = b.state(f32, {n}), v = b.state(f32, {n}),
                 t = b.state(i64, {});
  {
    HandBuilder k(b.program(), b.kernel());
    const AxisId i = k.axis("i", n);
    auto mul = [&](ExprId p, ExprId q) { return k.op(Op::mul, f32, {p, q}); };
    auto add = [&](ExprId p, ExprId q) { return k.op(Op::add, f32, {p, q}); };
    auto c = [&](double value) { return k.constant(f32, value); };
    const ExprId grad = k.load(g, {at(i)}), rate = k.op(Op::exp, f32, {k.op(Op::convert, f32, {k.load(t, {})})});
    const ExprId m1 = add(mul(k.load(m, {at(i)}), c(0.9)), mul(grad, c(0.1)));
    const ExprId v1 = add(mul(k.load(v, {at(i)}), c(0.99)), mul(mul(grad, grad), c(0.01)));
    const ExprId step = k.op(Op::div, f32, {mul(rate, m1), add(k.op(Op::sqrt, f32, {v1}), c(1e-7))});
    const ExprId w1 = k.op(Op::sub, f32, {k.load(w, {at(i)}), step});
    k.phase({i}).stages = {map_stage({{v, {at(i)}, v1}, {m, {at(i)}, m1}, {w, {at(i)}, w1}})};
    k.schedule().vector_axis = i;
  }
  HandBuilder k(b.program(), b.kernel());
  k.phase({}).stages = {map_stage({{t, {}, k.op(Op::add, i64, {k.load(t, {}), k.constant(i64, 1)})}})};
  return b.program();
}

/// A dropout mask: random bits of (key, step, element), with an index beyond 2^32.
Program dropout(std::int64_t I, std::int64_t J) {
  ProgramBuilder b;
  const BufferId key = b.input(i64, {}), step = b.input(i64, {}), y = b.output(i32, {I, J});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J);
  const ExprId index = k.index({{{i, J}, {j, 1}}, (std::int64_t{1} << 32) - 5, kNone});
  k.phase({i, j}).stages = {
      map_stage({{y, {at(i), at(j)}, k.op(Op::random, i32, {k.load(key, {}), k.load(step, {}), index})}})};
  k.schedule().vector_axis = j;
  return b.program();
}

/// A row is rewritten by one stage and read back, reversed and by one element, by the next ones.
Program stages_see_each_other(std::int64_t I, std::int64_t J) {
  ProgramBuilder b;
  const BufferId x = b.input(f32, {I, J}), row = b.temp(f32, {I, J}), first = b.temp(f32, {I}),
                 y = b.output(f32, {I, J});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J);
  const ExprId doubled = k.op(Op::mul, f32, {k.load(x, {at(i), at(j)}), k.constant(f32, 2)});
  const ExprId reversed = k.load(row, {at(i), at(j, -1, J - 1)}), start = k.load(first, {at(i)});
  k.phase({i}).stages = {
      map_stage({{row, {at(i), at(j)}, doubled}}, j),
      map_stage({{first, {at(i)}, k.load(row, {at(i), {{}, 0, kNone}})}}),
      reduce_stage(0, Op::reduce_max, j, reversed, true),
      map_stage({{y, {at(i), at(j)}, k.op(Op::fma, f32, {reversed, start, k.accumulator(0, f32)})}}, j)};
  k.schedule().vector_axis = j;
  return b.program();
}

/// y[j, i] = x[j, i] / sum over j of x[j, i]: lanes along the points i while stages step through j.
Program steps_of_points(std::int64_t I, std::int64_t J) {
  ProgramBuilder b;
  const BufferId x = b.input(f32, {J, I}), y = b.output(f32, {J, I});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J);
  const ExprId v = k.load(x, {at(j), at(i)});
  const ExprId scaled = k.op(Op::div, f32, {v, k.accumulator(0, f32)});
  k.phase({i}).stages = {reduce_stage(0, Op::reduce_sum, j, v, false), map_stage({{y, {at(j), at(i)}, scaled}}, j)};
  k.schedule().vector_axis = i;
  return b.program();
}

/// One expression, the load of w[i, j], before and after a stage that doubles w in place.
Program reads_old_and_new(std::int64_t I, std::int64_t J) {
  ProgramBuilder b;
  const BufferId w = b.state(f32, {I, J}), y = b.output(f32, {I, 2});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J);
  const ExprId v = k.load(w, {at(i), at(j)});
  k.phase({i}).stages = {reduce_stage(0, Op::reduce_sum, j, v, true),
                         map_stage({{w, {at(i), at(j)}, k.op(Op::mul, f32, {v, k.constant(f32, 2)})}}, j),
                         reduce_stage(1, Op::reduce_sum, j, v, true),
                         map_stage({{y, {at(i), {{}, 0, kNone}}, k.accumulator(0, f32)},
                                    {y, {at(i), {{}, 1, kNone}}, k.accumulator(1, f32)}})};
  k.schedule().vector_axis = j;
  return b.program();
}

/// Column sums of squares, then each column normalised: two phases, lanes along columns in both.
Program columns(std::int64_t I, std::int64_t J, DType t) {
  ProgramBuilder b;
  const BufferId x = b.input(t, {I, J}), sum = b.temp(t, {J}), y = b.output(t, {I, J});
  HandBuilder k(b.program(), b.kernel());
  const AxisId i = k.axis("i", I), j = k.axis("j", J);
  const ExprId v = k.load(x, {at(i), at(j)});
  k.phase({j}).stages = {reduce_stage(0, Op::reduce_sum, i, k.op(Op::mul, t, {v, v}), false),
                         map_stage({{sum, {at(j)}, k.accumulator(0, t)}})};
  k.phase({i, j}).stages = {map_stage({{y, {at(i), at(j)}, k.op(Op::div, t, {v, k.load(sum, {at(j)})})}})};
  k.schedule().vector_axis = j;
  return b.program();
}

}  // namespace

TEST_CASE("broadcasts, transpositions and strides") {
  for (auto [i, j, l] : {std::array<std::int64_t, 3>{3, 4, 5}, {1, 7, 20}, {4, 1, 33}, {5, 3, 1}, {2, 2, 16}})
    for (int axis : {2, 1, 0, -1})
      CHECK(check_next_target([&](const CpuTarget&) { return layouts(i, j, l, axis); }) == "");
  for (std::int64_t n : {1, 16, 21}) CHECK(check(transposition(7, n)) == "");
}

TEST_CASE("predicates keep loads inside of their buffers") {
  for (std::int64_t n : {0, 1, 14, 40})
    for (DType t : {f32, f64, u8, boolean}) CHECK(check_next_target([&](const CpuTarget&) { return pad(3, n, t); }) == "");
}

TEST_CASE("gathers by row and by lane") {
  for (bool by_lane : {false, true})
    for (std::int64_t n : {1, 16, 37})
      for (DType t : {f32, u8}) CHECK(check(gather(11, n, by_lane, t)) == "");
}

TEST_CASE("scatters add in order") {
  for (std::int64_t n : {1, 16, 35})
    for (DType t : {f32, i64, u8})
      for (bool on_rows : {false, true})
        CHECK(check_next_target([&](const CpuTarget&) { return scatter(23, n, t, on_rows); }) == "");
}

TEST_CASE("states are updated in place from old values") {
  for (std::int64_t n : {1, 16, 1003}) CHECK(check(optimiser(n)) == "");
}

TEST_CASE("random numbers") {
  for (std::int64_t n : {3, 16, 50}) CHECK(check(dropout(4, n)) == "");
}

TEST_CASE("a later stage reads what an earlier one stored") {
  for (std::int64_t n : {1, 5, 16, 17, 70}) CHECK(check(stages_see_each_other(3, n)) == "");
  for (std::int64_t n : {3, 16, 40}) CHECK(check(reads_old_and_new(3, n)) == "");
}

TEST_CASE("stages step through an axis while lanes run along the points") {
  for (std::int64_t n : {1, 16, 21, 100}) CHECK(check(steps_of_points(n, 6)) == "");
}

TEST_CASE("phases follow each other") {
  for (std::int64_t n : {1, 40, 64, 200})
    for (DType t : {f32, f64}) CHECK(check(columns(19, n, t)) == "");
}

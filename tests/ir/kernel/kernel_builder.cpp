// Building and copying kernels: equal expressions are one, whatever way they are added; the walk over accesses sees
// each.
#include "ir/kernel/kernel_builder.h"

#include "catch.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/print_kernel.h"

using namespace weft;

namespace {

const std::vector<Index> kPlace = {{{{0, 2}, {1, 1}}, 3, kNone}};

// One expression for each field that tells expressions apart, each unlike the first in that field alone.
const std::vector<Expr> kDifferent = {
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = kPlace},
    {.kind = Expr::index, .dtype = f32, .args = {}, .buffer = 1, .access = kPlace},
    {.kind = Expr::load, .dtype = f64, .args = {}, .buffer = 1, .access = kPlace},
    {.kind = Expr::load, .dtype = f32, .op = Op::neg, .args = {}, .buffer = 1, .access = kPlace},
    {.kind = Expr::load, .dtype = f32, .args = {0}, .buffer = 1, .access = kPlace},
    {.kind = Expr::load, .dtype = f32, .args = {}, .bits = 1, .buffer = 1, .access = kPlace},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 0, .access = kPlace},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = {}},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = {{{{0, 2}, {1, 1}}, 4, kNone}}},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = {{{{0, 2}, {1, 1}}, 3, 0}}},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = {{{{0, 1}, {1, 1}}, 3, kNone}}},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = {{{{0, 2}, {2, 1}}, 3, kNone}}},
    {.kind = Expr::load, .dtype = f32, .args = {}, .buffer = 1, .access = kPlace, .result = 2},
};

constexpr const char* kTwoPhases = R"(program @p {
  input %x: f32[8,4]
  input %i: i64[8]
  output %y: f32[8]
  output %z: f32[8]
  inputs %x, %i
  outputs %y, %z
  kernel @k {
    axes r=8, c=4
    %e0: f32 = load %x[r, c]
    %e1: f32 = accumulator %a0
    %e2: i64 = load %i[r]
    %e3: i64 = constant 3
    %e4: bool = lt %e2, %e3
    %e5: f32 = load %x[%e2, 0] if %e4
    phase (r) {
      %a0 = reduce_sum over c striped: %e0
      map: store %y[r] = %e1
    }
    phase (r) {
      map: store %z[r] = %e5
    }
  }
})";

std::string accesses(const Program& p, auto... part) {
  std::string s;
  for_each_access(p.kernels[0], part..., [&](BufferId id, const std::vector<Index>& access, ExprId load) {
    s += (load == kNone ? "store " : "load ") + access_text(p, p.kernels[0], id, access) + "; ";
  });
  return s;
}

}  // namespace

TEST_CASE("equal expressions are one, and any field tells them apart") {
  KernelBuilder b;
  for (std::size_t i = 0; i < kDifferent.size(); ++i) {
    CHECK(b.find(kDifferent[i]) == kNone);
    CHECK(b.add(kDifferent[i]) == static_cast<ExprId>(i));
  }
  KernelBuilder again(b.kernel);  // knows what is there
  for (std::size_t i = 0; i < kDifferent.size(); ++i) {
    CHECK(b.add(kDifferent[i]) == static_cast<ExprId>(i));
    CHECK(again.add(kDifferent[i]) == static_cast<ExprId>(i));
  }
}

TEST_CASE("what a builder adds: each kind, and an index that changes with nothing is a constant") {
  KernelBuilder b;
  const AxisId i = b.axis("i", 4), other = b.axis("i", 5);
  CHECK(b.kernel.axes[static_cast<std::size_t>(other)].name == "i_");
  CHECK(b.index_value(constant_index(-7)) == b.constant(Array::filled({i64, {}}, -7)));
  CHECK(b.index_value(axis_index(i)) != b.index_value(axis_index(other)));
  const ExprId x = b.load(0, {axis_index(i)}, f32), y = b.load(0, {axis_index(i)}, f32, b.constant(boolean, 1));
  CHECK(x != y);
  CHECK(b.op(Op::add, f32, {x, y}) == b.op(Op::add, f32, {x, y}));
  CHECK(b.op(Op::add, f32, {x, y}) != b.op(Op::add, f32, {y, x}));
  CHECK(b.accumulator(0, f32) != b.accumulator(1, f32));
}

TEST_CASE("a rewriter copies what is needed under other axes, and what becomes equal becomes one") {
  const Program p = parse_program(kTwoPhases);
  const Kernel& k = p.kernels[0];
  KernelBuilder b;
  const AxisId row = b.axis("row", 8);
  KernelRewriter rw(
      k, b, [&](AxisId a) { return a == 0 ? sum(scaled(axis_index(row), 2), constant_index(1)) : constant_index(0); });
  const KernelStage& last = k.phases[1].stages[0];
  rw.copy_all(roots_of(last));
  b.kernel.phases.push_back({{row}, {rw.stage(last)}});
  std::string text;
  for (ExprId e = 0; e < static_cast<ExprId>(b.kernel.exprs.size()); ++e) text += expr_text(p, b.kernel, e) + "\n";
  text += stage_text(p, b.kernel, b.kernel.phases[0].stages[0]);
  CHECK(text ==
        "%e0: i64 = load %i[2*row + 1]\n%e1: i64 = constant 3\n%e2: bool = lt %e0, %e1\n"
        "%e3: f32 = load %x[%e0, 0] if %e2\nmap: store %z[2*row + 1] = %e3\n");

  KernelBuilder one;
  KernelRewriter merged(k, one, [](AxisId) { return constant_index(0); });
  const ExprId first = merged.copy(0);
  CHECK(one.add({.kind = Expr::load, .dtype = f32, .buffer = 0, .access = {{}, {}}}) == first);
  CHECK(merged(kNone) == kNone);
  CHECK(merged(1) == kNone);  // not copied
}

TEST_CASE("a walk over accesses: of a kernel all, of a phase or stage what it takes") {
  const Program p = parse_program(kTwoPhases);
  const Kernel& k = p.kernels[0];
  CHECK(accesses(p) == "load %x[r, c]; load %i[r]; load %x[%e2, 0]; store %y[r]; store %z[r]; ");
  CHECK(accesses(p, k.phases[0]) == "load %x[r, c]; store %y[r]; ");
  CHECK(accesses(p, k.phases[1]) == "load %i[r]; load %x[%e2, 0]; store %z[r]; ");
  CHECK(accesses(p, k.phases[0].stages[0]) == "load %x[r, c]; ");
  CHECK(accesses(p, k.phases[0].stages[1]) == "store %y[r]; ");
  Program moved = p;
  for_each_access(moved.kernels[0], [](BufferId& id, std::vector<Index>&, ExprId load) {
    if (load == kNone) id = 5 - id;  // %y and %z change places
  });
  CHECK(accesses(moved).ends_with("store %z[r]; store %y[r]; "));
}

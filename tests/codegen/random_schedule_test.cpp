// Random legal schedules of contractions with tails in every extent, with prologues and epilogues, against the
// interpreter, in bits.
#include <algorithm>

#include "catch.h"
#include "ir/graph/build.h"
#include "ir/ops/sum_order.h"
#include "passes/pipeline.h"
#include "passes/schedule/cpu.h"
#include "passes/schedule/schedule_space.h"
#include "plain_program.h"
#include "programs.h"
#include "random_graph.h"

using namespace weft;
using test::Rng;

namespace {

enum Prologue { plain, gathered, computed, kPrologues };
enum Epilogue { none, bias_relu, optimizer, mask, two_outputs, kEpilogues };

/// out = epilogue(prologue(x) y): what lowering makes of a layer, of its gradients and of an optimiser.
Graph layer(Rng& rng, DType t, Dims e, Prologue prologue, Epilogue epilogue) {
  const std::int64_t batch = e[0], m = e[1], n = e[2], k = e[3];
  const bool has_batch = batch > 0, lhs_swapped = rng.chance(0.4), rhs_swapped = rng.chance(0.4);
  Graph g;
  Builder b{g, LocSet::of(Loc{"layer", 1, 1})};
  auto shape = [&](std::int64_t i, std::int64_t j, bool swapped) {
    Shape s = swapped ? Shape{j, i} : Shape{i, j};
    if (has_batch) s.insert(0, batch);
    return s;
  };
  const Shape out = shape(m, n, false);
  ValueId x = g.input("x", {t, shape(m, k, lhs_swapped)}, InputKind::data, b.locs),
          y = g.input("y", {t, shape(k, n, rhs_swapped)}, InputKind::state, b.locs);
  if (prologue == gathered && !has_batch && !lhs_swapped) {
    const ValueId table = g.input("table", {u8, {m + 5, k}}, InputKind::data, b.locs),
                  rows = g.input("rows", {i32, {m}}, InputKind::data, b.locs);
    x = b.convert(b.op(Op::gather, {table, rows}, Attrs::axis(0)), t);
    x = b.mul(x, b.like(x, 3));
  }
  if (prologue != plain) {
    x = b.mul(x, b.like(x, 2));
    y = b.op(Op::max, {y, b.like(y, 0)});
  }
  const int at = has_batch;
  ValueId z = has_batch ? b.contract(x, y, {lhs_swapped ? at : at + 1}, {rhs_swapped ? at + 1 : at}, {0}, {0})
                        : b.contract(x, y, {lhs_swapped ? at : at + 1}, {rhs_swapped ? at + 1 : at});
  if (epilogue == bias_relu) {
    const ValueId bias = g.input("bias", {t, {n}}, InputKind::data, b.locs);
    z = b.op(Op::max, {b.add(z, b.broadcast(bias, out, {out.rank() - 1})), b.like(z, 0)});
  }
  if (epilogue == mask) {
    const ValueId h = g.input("h", {t, out}, InputKind::data, b.locs);
    z = b.select(b.op(Op::gt, {h, b.like(h, 0)}), z, b.like(z, 0));
  }
  if (epilogue == optimizer) {
    const ValueId w = g.input("w", {t, out}, InputKind::state, b.locs),
                  v = g.input("v", {t, out}, InputKind::state, b.locs);
    const ValueId v1 = b.add(v, b.mul(z, z));
    g.update(w, b.sub(w, is_float(t) ? b.div(z, b.add(b.op(Op::sqrt, {v1}), b.like(v1, 1))) : b.mul(z, v1)));
    g.update(v, v1);
  }
  if (epilogue == two_outputs) g.output("negated", b.neg(z));
  if (epilogue != optimizer) g.output("z", z);
  return g;
}

/// A legal schedule, any of them.
CpuSchedule random_schedule(Rng& rng, const Contraction& c, const CpuSchedule& from, const CpuTarget& target) {
  const std::int64_t lanes = lanes_of(c.dtype, target);
  CpuSchedule s = from;
  std::int64_t most_cols = 1;
  while (most_rows(most_cols + 1, target) >= 1 && most_cols * lanes < c.n) ++most_cols;
  const std::int64_t cols = rng.between(1, most_cols);
  s.nr = static_cast<int>(cols * lanes);
  s.mr = static_cast<int>(rng.between(1, std::min(c.m, most_rows(cols, target))));
  const std::int64_t chunk = std::min(c.k, kContractChunk);
  s.kc = c.k > kContractChunk ? std::int64_t{1} << rng.between(0, 10) : rng.chance(0.5) ? chunk : rng.between(1, chunk);
  auto block = [&](std::int64_t whole, std::int64_t tile) {
    return rng.chance(0.3) ? whole : std::min(whole, tile * rng.between(1, 1 + whole / tile));
  };
  s.mc = block(c.m, s.mr), s.nc = block(c.n, s.nr);
  s.split_n = rng.chance(0.5);
  s.pack_lhs = !c.lhs_in_place || rng.chance(0.5);
  s.pack_rhs = !c.rhs_in_place || !fits_panels(s.nr, c.rhs_panels) || rng.chance(0.5);
  return s;
}

void sweep(DType t, std::uint64_t begin, std::uint64_t end) {
  constexpr std::int64_t kSmall[] = {1, 2, 3, 5, 7, 8, 13, 16, 17, 29, 33, 47, 64, 70, 97, 130},
                         kDepth[] = {1, 2, 3, 5, 8, 16, 17, 31, 40, 64, 100, 128, 200, 1024, 1025, 2500, 4200};
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    Rng rng(seed * 1000003 + static_cast<std::uint64_t>(t));
    const Dims extents{rng.chance(0.2) ? rng.between(1, 3) : 0, rng.pick(kSmall), rng.pick(kSmall), rng.pick(kDepth)};
    const auto prologue = static_cast<Prologue>(rng.below(kPrologues));
    const auto epilogue = static_cast<Epilogue>(rng.below(kEpilogues));
    const Graph g = optimize(layer(rng, t, extents, prologue, epilogue));
    const std::string differs = check_next_target([&](const CpuTarget& target) {
      Program p = make_program(g, target, {.disable = seed % 2 ? test::kCpuPasses : std::vector<std::string>()});
      for (Kernel& k : p.kernels) {
        if (!is_tiled_contraction(k)) continue;
        const Contraction c = contraction_of(p, k);
        const CpuSchedule own = std::get<CpuSchedule>(k.schedule);
        REQUIRE(objection(c, own, target).what == "");  // the cost model's choice is legal
        const CpuSchedule other = random_schedule(rng, c, own, target);
        k.schedule = other;
        const Objection o = objection(c, other, target);
        INFO(o.field << ": " << o.what);
        REQUIRE(o.field.empty());
      }
      return p;
    });
    INFO("seed " << seed);
    CHECK(differs == "");
  }
}

}  // namespace

TEST_CASE("random schedules give the interpreter's bits, f32") { sweep(f32, 0, 250); }
TEST_CASE("random schedules give the interpreter's bits, f64") { sweep(f64, 0, 100); }
TEST_CASE("random schedules give the interpreter's bits, i32") { sweep(i32, 0, 100); }

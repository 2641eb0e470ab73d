// Contractions of windows, which keep lists of axes, and their gradients against the interpreter, in bits: rows of
// shapes, random ones, and any schedule.
#include "catch.h"
#include "ir/graph/build.h"
#include "passes/pipeline.h"
#include "passes/schedule/cpu.h"
#include "passes/transform/autodiff.h"
#include "plain_program.h"
#include "programs.h"
#include "random_graph.h"

using namespace weft;
using test::Rng;

namespace {

/// x [batch, height, width, channels], w [size, size, channels, filters].
struct Convolution {
  std::int64_t batch, height, width, channels, size_h, size_w, filters;
  Dims stride = {}, dilation = {};
  std::int64_t pad = 0;
};

/// relu(conv + bias), and the gradients of its sum with a weight of its own for each element.
Graph graph_of(const Convolution& c, DType t) {
  Graph g;
  Builder b{g, LocSet::of(Loc{"conv", 1, 1})};
  const ValueId x = g.input("x", {t, {c.batch, c.height, c.width, c.channels}}, InputKind::data, b.locs),
                w = g.input("w", {t, {c.size_h, c.size_w, c.channels, c.filters}}, InputKind::data, b.locs),
                bias = g.input("bias", {t, {c.filters}}, InputKind::data, b.locs);
  const Dims around{0, c.pad, c.pad, 0};
  const ValueId padded = c.pad ? b.pad(x, b.scalar(t, 0), around, around) : x;
  const ValueId windows = b.window(padded, {1, 2}, {c.size_h, c.size_w}, c.stride, c.dilation);
  const ValueId z = b.contract(windows, w, {4, 5, 3}, {0, 1, 2});
  const Shape out = b.type(z).shape;
  const ValueId y = b.op(Op::max, {b.add(z, b.broadcast(bias, out, {3})), b.like(z, 0)});
  const ValueId weight = g.input("weight", {t, out}, InputKind::data, b.locs);
  const ValueId loss = b.sum(b.mul(y, weight), Dims::iota(4));
  const ValueId wanted[] = {x, w, bias};
  const std::vector<ValueId> gradients = differentiate(g, loss, wanted, b.locs);
  g.output("y", y);
  for (std::size_t i = 0; i < gradients.size(); ++i) g.output("d" + std::to_string(i), gradients[i]);
  return g;
}

const Convolution kRows[] = {
    {2, 6, 7, 3, 3, 3, 5},
    {3, 9, 11, 4, 3, 3, 16, {2, 2}},
    {2, 12, 13, 16, 5, 3, 33, {}, {2, 1}},
    {4, 14, 14, 1, 3, 3, 32},
    {2, 13, 13, 32, 3, 3, 64},
    {2, 8, 8, 17, 1, 1, 40},
    {2, 10, 10, 8, 4, 4, 24, {3, 2}},
    {1, 5, 30, 2, 5, 7, 9},
    {2, 20, 20, 8, 7, 7, 8, {2, 1}, {}, 3},
    {1, 7, 7, 64, 3, 3, 16, {}, {}, 1},
    {2, 8, 8, 4, 2, 2, 8, {2, 2}},
    {1, 4, 4, 3, 4, 4, 2},                 // one window
    {1, 1, 40, 5, 1, 9, 20},               // one axis
    {5, 30, 30, 2, 2, 2, 3},               // a gradient of 4205 products, in chunks
    {36, 23, 23, 1, 3, 3, 17, {}, {}, 1},  // and of 19044, more than are packed at once
};

/// A schedule, any of them, for a contraction of windows.
CpuSchedule random_schedule(Rng& rng, const Kernel& k, const CpuSchedule& from, const CpuTarget& target, DType t) {
  const Roles& roles = leading_contraction(k)->roles;
  const std::int64_t lanes = lanes_of(t, target), m = extent_of(k, roles.m), n = extent_of(k, roles.n);
  CpuSchedule s = from;
  std::int64_t most_cols = 1;
  while (most_rows(t, most_cols + 1, target) >= 1 && most_cols * lanes < n) ++most_cols;
  const std::int64_t cols = rng.between(1, most_cols);
  s.nr = static_cast<int>(cols * lanes);
  s.mr = static_cast<int>(rng.between(1, std::min(m, most_rows(t, cols, target))));
  s.kc = rng.between(1, 1024);
  s.mc = std::min(m, s.mr * rng.between(1, 1 + m / s.mr)), s.nc = std::min(n, s.nr * rng.between(1, 1 + n / s.nr));
  s.split_n = rng.chance(0.5), s.pack_lhs = rng.chance(0.5), s.pack_rhs = s.pack_rhs || rng.chance(0.5);
  return s;
}

std::string check_schedules(const Convolution& c, DType t, Rng& rng) {
  const Graph g = optimize(graph_of(c, t));
  return check_next_target([&](const CpuTarget& target) {
    Program p = make_program(g, target, {.disable = rng.chance(0.5) ? test::kCpuPasses : std::vector<std::string>()});
    for (Kernel& k : p.kernels)
      if (cpu_tile(k) && rng.chance(0.8))
        k.schedule = random_schedule(rng, k, std::get<CpuSchedule>(k.schedule), target, t);
    return p;
  });
}

}  // namespace

TEST_CASE("convolutions and their gradients equal the interpreter in bits") {
  for (const Convolution& c : kRows) {
    CAPTURE(c.height, c.width, c.channels, c.size_h, c.filters);
    const Graph g = optimize(graph_of(c, f32));
    CHECK(check_next_target([&](const CpuTarget& cpu) { return make_program(g, cpu); }) == "");
  }
}

TEST_CASE("convolutions take any schedule") {
  Rng rng(7);
  for (int round = 0; round < 2; ++round)
    for (const Convolution& c : kRows) {
      CAPTURE(round, c.height, c.width, c.channels, c.size_h, c.filters);
      CHECK(check_schedules(c, round ? f64 : f32, rng) == "");
    }
}

TEST_CASE("random convolutions equal the interpreter in bits") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    Convolution c{rng.between(1, 3),
                  rng.between(1, 17),
                  rng.between(1, 20),
                  rng.between(1, 20),
                  rng.between(1, 4),
                  rng.between(1, 4),
                  rng.between(1, 40),
                  {rng.between(1, 3), rng.between(1, 3)},
                  {rng.between(1, 2), rng.between(1, 2)}};
    c.pad = rng.between(0, 2);
    if ((c.size_h - 1) * c.dilation[0] >= c.height + 2 * c.pad || (c.size_w - 1) * c.dilation[1] >= c.width + 2 * c.pad)
      continue;
    CAPTURE(seed);
    CHECK(check_schedules(c, seed % 4 ? f32 : f64, rng) == "");
  }
}

TEST_CASE("no convolution stores a matrix of its windows") {
  const Convolution c{8, 20, 20, 16, 3, 3, 16};
  const Graph g = optimize(graph_of(c, f32));
  const Program p = make_program(g, runnable_targets()[0]);
  const std::int64_t image = c.batch * c.height * c.width * c.channels;
  for (const Buffer& b : p.buffers) {
    INFO(b.name);
    CHECK(element_count(b.type.shape) <= 2 * image);  // one with zeros around it; the windows are nine times an image
  }
}

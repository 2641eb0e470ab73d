// Long sums: how far they are from the truth, and that every way to run them gives the same bits.
#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "catch.h"
#include "codegen/codegen.h"
#include "device_under_test.h"
#include "ir/graph/build.h"
#include "passes/pipeline.h"
#include "runtime/host/executor.h"

using namespace weft;

namespace {

struct Distribution {
  const char* name;
  float (*element)(std::int64_t i);
};
const Distribution kDistributions[] = {
    {"0.1", [](std::int64_t) { return 0.1f; }},
    {"1e6 + i % 10", [](std::int64_t i) { return 1e6f + static_cast<float>(i % 10); }},
    {"1 + i / 2^24", [](std::int64_t i) { return 1 + static_cast<float>(i % (1 << 23)) * 0x1p-24f; }},
    {"of both signs", [](std::int64_t i) { return static_cast<float>((i * 7919) % 10007 - 5003) * 1e-3f; }},
    {"from 1e-3 to 1e3", [](std::int64_t i) { return std::exp2(static_cast<float>((i * 31) % 200 - 100) * 0.1f); }},
};

struct Case {
  std::int64_t n;
  int axis;  // 1: of [1, n]; 0: of [n, columns]
  std::int64_t columns = 1;
};
// Chunks of 4096 along the last axis, of 256 along others: 1, 2, 3, 5, 255 to 258 of them, the last one whole or not.
const Case kCases[] = {
    {100, 1},        {2048, 1},      {4096, 1},    {4097, 1},     {8192, 1},     {12000, 1},    {20481, 1},
    {100000, 1},     {1044480, 1},   {1044481, 1}, {1052672, 1},  {1056768, 1},  {10000000, 1},  //
    {100, 0},        {128, 0, 40},   {129, 0, 40}, {256, 0, 3},   {257, 0, 70},  {512, 0, 16},  {700, 0, 33},
    {1281, 0, 5},    {20000, 0, 17}, {65280, 0},   {65281, 0, 2}, {65536, 0, 3}, {65700, 0},    {66048, 0, 2},
    {262144, 0, 20},
};

/// The roundings that an element of a sum of n goes through at most: of its run, its chunk, the stripes and the tree.
std::int64_t roundings(std::int64_t n, bool striped) {
  const std::int64_t stripes = striped ? 16 : 1, each = ceil_div(n, stripes);
  const bool one_run = striped ? each <= 16 : each <= 128;
  if (one_run) return each + (striped ? 4 : 0);
  const auto tree = [](std::int64_t leaves) {
    return static_cast<std::int64_t>(std::bit_width(static_cast<std::uint64_t>(leaves - 1)));
  };
  return 16 + std::min<std::int64_t>(16, ceil_div(each, 16)) + (striped ? 4 : 0) + tree(ceil_div(n, 256 * stripes));
}

Shape shape_of(const Case& c) { return c.axis == 1 ? Shape{1, c.n} : Shape{c.n, c.columns}; }

Array operand(const Case& c, const Distribution& d) {
  Array x(Type{f32, shape_of(c)});
  const std::span<float> v = x.as<float>();
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = d.element(static_cast<std::int64_t>(i));
  return x;
}

/// In f64, of the row or of each column: its sum, and how much is added up in it.
struct Truth {
  double sum = 0, size = 0, square = 0;
};
std::vector<Truth> truth(const Case& c, const Array& x) {
  std::vector<Truth> t(static_cast<std::size_t>(c.axis == 1 ? 1 : c.columns));
  const std::span<const float> v = x.as<float>();
  for (std::size_t i = 0; i < v.size(); ++i) {
    Truth& of = t[i % t.size()];
    of.sum += v[i], of.size += std::abs(v[i]);
  }
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double d = v[i] - t[i % t.size()].sum / static_cast<double>(c.n);
    t[i % t.size()].square += d * d;
  }
  return t;
}

/// Sum, variance, largest, least, and a product of factors near 1.
Graph graph_of(const Case& c) {
  Graph g;
  Builder b{g, LocSet::of(Loc{"long_sums", 1, 1})};
  const ValueId x = g.input("x", {f32, shape_of(c)}, InputKind::data, b.locs);
  const auto mean = [&](ValueId v) {
    const ValueId sum = b.reduce(Op::reduce_sum, v, c.axis);
    return b.div(sum, b.like(sum, static_cast<double>(c.n)));
  };
  const ValueId centred = b.sub(x, b.broadcast(mean(x), shape_of(c), {1 - c.axis}));
  const ValueId near_1 = b.add(b.mul(b.op(Op::sin, {x}), b.like(x, 1e-3)), b.like(x, 1));
  g.output("sum", b.reduce(Op::reduce_sum, x, c.axis));
  g.output("variance", mean(b.mul(centred, centred)));
  g.output("max", b.reduce(Op::reduce_max, x, c.axis));
  g.output("min", b.reduce(Op::reduce_min, x, c.axis));
  g.output("product", b.reduce(Op::reduce_prod, near_1, c.axis));
  return g;
}

/// Every way to run a graph, compiled once: what each gives beside the interpreter.
class Ways {
 public:
  Ways(const Graph& g, std::int64_t elements) {
    if (!test::only_device())
      for (const int threads : {1, 2, 3}) {
        HostArtifact artifact = compile(make_program(optimize(g), host_target()), host_target(), {.threads = 1});
        for (HostLaunch& l : artifact.launches) l.cycles = 1e9;  // threads share it, however small it is
        auto executor = std::make_shared<Executor>(std::move(artifact), threads);
        ways_.push_back({fmt::format("{} threads", threads), [executor](const Array& x) {
                           executor->bind(0, x);
                           executor->run();
                           Evaluation e;
                           for (std::size_t i = 0; i < executor->output_count(); ++i)
                             e.outputs.push_back(executor->output(i).clone());
                           return e;
                         }});
      }
    if (elements > kOnDevice) return;
    for (const GpuTarget& target : test::device_targets())
      ways_.push_back({fmt::format("a device of {} multiprocessors", target.multiprocessors),
                       [program = make_program(optimize(g), target), target](const Array& x) {
                         return test::run_on_device(program, std::span(&x, 1), target);
                       }});
  }

  void check(const Evaluation& expected, const Array& x) const {
    for (const Way& way : ways_) {
      INFO(way.name);
      const Evaluation found = way.run(x);
      for (std::size_t i = 0; i < expected.outputs.size(); ++i) CHECK(found.outputs[i].same_bits(expected.outputs[i]));
    }
  }

 private:
  static constexpr std::int64_t kOnDevice = 1 << 17;
  struct Way {
    std::string name;
    std::function<Evaluation(const Array&)> run;
  };
  std::vector<Way> ways_;
};

}  // namespace

TEST_CASE("a long sum is as exact as its few roundings, and the same bits everywhere") {
  for (const Case& c : kCases) {
    const Graph g = graph_of(c);
    const Ways ways(g, element_count(shape_of(c)));
    for (const Distribution& d : kDistributions) {
      INFO(to_string(shape_of(c)) << " over axis " << c.axis << " of " << d.name);
      const Array x = operand(c, d);
      const Evaluation found = interpret(g, std::span(&x, 1));
      ways.check(found, x);
      const std::vector<Truth> expected = truth(c, x);
      constexpr double kUnit = 0x1p-24;  // of an f32: half an ulp of 1
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double n = static_cast<double>(c.n), size = expected[i].size;
        const double error = std::abs(found.outputs[0].as<float>()[i] - expected[i].sum);
        CHECK(error <= static_cast<double>(roundings(c.n, c.axis == 1)) * kUnit * 1.001 * size);
        if (c.n <= 128) continue;
        // Far below that bound, whatever the length: a chain of chunks is off by hundreds of units.
        CHECK(error <= 8 * kUnit * size);
        // A mean that is off by e adds e^2 to the variance; it is rounded once more.
        const double off = 9 * kUnit * size / n, variance = expected[i].square / n;
        CHECK(std::abs(found.outputs[1].as<float>()[i] - variance) <= off * off + 8 * kUnit * variance);
      }
    }
  }
}

// Size: no recursion as deep as a graph, no kernel as large as one, no quadratic bookkeeping.
#include "catch.h"
#include "ir/graph/build.h"
#include "passes/graph/canonicalize.h"
#include "passes/kernel/memory.h"
#include "passes/kernel/order.h"
#include "passes/pipeline.h"
#include "passes/transform/autodiff.h"

using namespace weft;

namespace {

const LocSet kHere = LocSet::of(Loc{"size", 1, 1});

/// Through all passes over graphs and kernels, both texts, both verifiers.
Program through_all(const Graph& g) {
  verify(g);
  CHECK(parse_graph(print(g)) == g);
  PipelineOptions options;
  options.verify = true;
  const Graph fused = optimize(g, options);
  Program p = make_program(fused, GpuTarget{}, options);
  CHECK(print(parse_program(print(p))) == print(p));
  return p;
}

std::size_t largest_kernel(const Program& p) {
  std::size_t n = 0;
  for (const Kernel& k : p.kernels) n = std::max(n, k.exprs.size());
  return n;
}

}  // namespace

TEST_CASE("a chain of 100,000 ops is differentiated and lowered without deep recursion") {
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f64, {}}, InputKind::data, kHere), half = b.scalar(f64, 0.5);
  ValueId y = x;
  constexpr int kSteps = 50'000;
  for (int i = 0; i < kSteps; ++i) y = b.add(b.mul(y, half), half);
  g.output("y", y);
  g.output("dx", differentiate(g, y, std::span(&x, 1), kHere)[0]);
  const Program p = through_all(g);
  CHECK(largest_kernel(p) < 1000);
  const Array one = Array::scalar(1.0);
  const Evaluation e = interpret(p, std::span(&one, 1));
  CHECK(e.outputs[0].item<double>() == 1);  // the fixed point of y / 2 + 1 / 2
  CHECK(e.outputs[1].item<double>() == 0);  // 2^-50000
}

TEST_CASE("a chain of 100,000 views is lowered without deep recursion") {
  Graph g;
  Builder b{g, kHere};
  ValueId y = g.input("x", {f32, {4, 6}}, InputKind::data, kHere);
  const ValueId pad = b.scalar(f32, 2);
  for (int i = 0; i < 20'000; ++i) {
    y = b.pad(y, pad, {1, 0}, {0, 1});       // [5,7]
    y = b.transpose(y, {1, 0});              // [7,5]
    y = b.slice(y, {1, 0}, {7, 4}, {1, 1});  // [6,4]
    y = b.reshape(y, {2, 3, 4});
    y = b.reshape(b.transpose(y, {2, 0, 1}), {4, 6});
  }
  g.output("y", y);
  const Program p = through_all(g);
  CHECK(largest_kernel(p) < 2000);
  Array x(Type{f32, {4, 6}});
  for (std::size_t i = 0; i < 24; ++i) x.as<float>()[i] = static_cast<float>(i);
  CHECK(interpret(p, std::span(&x, 1)).outputs[0].same_bits(interpret(g, std::span(&x, 1)).outputs[0]));
}

TEST_CASE("a chain of views that cost nothing is cut into kernels all the same") {
  Graph g;
  Builder b{g, kHere};
  ValueId y = g.input("x", {f32, {4, 6}}, InputKind::data, kHere);
  for (int i = 0; i < 30'000; ++i) {
    y = b.broadcast(y, {2, 4, 6}, {1, 2});
    y = b.reshape(b.slice(y, {1, 0, 0}, {2, 4, 6}, {1, 1, 1}), {4, 6});
  }
  g.output("y", y);
  PipelineOptions options;
  options.disable = {"fold", "simplify", "simplify-canonical"};
  CHECK(largest_kernel(make_program(optimize(g, options), GpuTarget{}, options)) < 1000);
}

TEST_CASE("a concat of thousands of operands becomes a tree of small ones") {
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f32, {5000, 2}}, InputKind::data, kHere);
  std::vector<ValueId> parts;
  for (std::int64_t i = 5000; i-- > 0;) parts.push_back(b.slice(x, {i, 0}, {i + 1, 2}, {1, 1}));
  const ValueId joined = b.op(Op::concat, parts, Attrs::axis(0));
  g.output("reversed", joined);
  ValueId sum = b.reduce(Op::reduce_sum, b.reduce(Op::reduce_sum, b.mul(joined, joined), 0), 0);
  g.output("dx", differentiate(g, sum, std::span(&x, 1), kHere)[0]);
  const Graph canonical = canonicalize(g);
  for (ValueId v = 0; v < canonical.size(); ++v)
    if (canonical[v].op == Op::concat) CHECK(canonical[v].operands.size() <= kMaxConcat);
  Array in(Type{f32, {5000, 2}});
  for (std::size_t i = 0; i < 10'000; ++i) in.as<float>()[i] = static_cast<float>(i);
  const Array expected = interpret(g, std::span(&in, 1)).outputs[0];
  CHECK(interpret(canonical, std::span(&in, 1)).outputs[0].same_bits(expected));
  CHECK(largest_kernel(make_program(optimize(g), GpuTarget{})) < 2000);
}

TEST_CASE("joining pieces one by one does not copy the list at each step") {
  Graph g;
  Builder b{g, kHere};
  ValueId all = g.input("x0", {f32, {1}}, InputKind::data, kHere);
  for (int i = 1; i < 3000; ++i)
    all = b.op(Op::concat, {all, g.input("x" + std::to_string(i), {f32, {1}}, InputKind::data, kHere)}, Attrs::axis(0));
  g.output("all", all);
  const Graph out = optimize(g);
  std::size_t operands = 0;
  for (ValueId v = 0; v < out.size(); ++v) operands += out[v].operands.size();
  CHECK(operands < 8000);
}

TEST_CASE("location sets that grow one by one stay small") {
  LocSet set = LocSet::of(Loc{"grow", 1, 0});
  const std::uint32_t first = set.id();
  constexpr std::uint32_t kCount = 20'000;
  std::vector<LocSet> steps;
  for (std::uint32_t i = 0; i < kCount; ++i) steps.push_back(set |= LocSet::of(Loc{"grow", i * 7919 % kCount + 1, 0}));
  CHECK(set.locs().size() == kCount);
  CHECK(steps[999].locs().size() == 1000);
  CHECK(std::ranges::is_sorted(set.locs()));
  CHECK((steps[5000] | steps[15'000]) == steps[15'000]);
  CHECK((steps[10] | LocSet::of(set.locs())) == set);
  CHECK(set.id() - first < 20 * kCount);  // all that was made for them
}

TEST_CASE("equal location sets are one, however they were made") {
  std::vector<Loc> locs;
  for (std::uint32_t i = 0; i < 60; ++i) locs.push_back({"equal", i * i + 1, i});
  LocSet forward, backward;
  for (std::size_t i = 0; i < locs.size(); ++i) {
    forward |= LocSet::of(locs[i]);
    backward |= LocSet::of(locs[locs.size() - 1 - i]);
  }
  CHECK(forward == backward);
  CHECK(forward == LocSet::of(locs));
  const LocSet low = LocSet::of(std::vector<Loc>(locs.begin(), locs.begin() + 40)),
               high = LocSet::of(std::vector<Loc>(locs.begin() + 20, locs.end()));
  CHECK((low | high) == forward);
  CHECK_FALSE(low == high);
  CHECK(LocSet().locs().empty());
}

TEST_CASE("memory of many temporaries that end in another order than they began is reused") {
  // Kernel k writes temp k and reads temp k - 1 - k % 64: many free blocks of many sizes.
  Program p;
  constexpr int kKernels = 20'000;
  for (int k = 0; k < kKernels; ++k) {
    Buffer b;
    b.name = "t" + std::to_string(k);
    b.type = {f32, {16 * (1 + k * 37 % 101)}};
    p.buffers.push_back(b);
    Kernel kernel;
    if (k >= 65) {
      Expr load;
      load.kind = Expr::load;
      load.buffer = k - 1 - k % 64;
      kernel.exprs.push_back(load);
    }
    KernelStage map;
    map.stores.push_back({k, {}, 0});
    kernel.phases.push_back({{}, {map}});
    p.kernels.push_back(kernel);
  }
  plan_memory(p);
  std::int64_t total = 0;
  for (const Buffer& b : p.buffers) total += byte_size(b.type);
  CHECK(p.arena_bytes > 0);
  CHECK(p.arena_bytes < total / 50);
}

TEST_CASE("many states that swap their values are ordered in linear time") {
  Graph g;
  Builder b{g, kHere};
  constexpr int kPairs = 3000;
  const auto shape = [](int pair) { return Shape{1 + pair % 16}; };  // neighbours share no kernel
  for (int i = 0; i < kPairs; ++i) {
    g.input("x" + std::to_string(i), {f32, shape(i)}, InputKind::state, kHere);
    g.input("y" + std::to_string(i), {f32, shape(i)}, InputKind::state, kHere);
  }
  for (ValueId x = 0; x < 2 * kPairs; x += 2) {
    g.update(x, b.op(Op::exp, {x + 1}));
    const Type rows{f32, {5, g[x].type.shape[0]}};
    const ValueId each = b.op(Op::mul, {b.broadcast(x, rows.shape, {1}), b.op(Op::iota, {}, Attrs::axis(0), rows)});
    g.update(x + 1, b.reduce(Op::reduce_sum, each, 0));
  }
  const Program p = through_all(g);
  CHECK(p.kernels.size() == 3 * kPairs);  // two kernels and the copy of the one that came too early
  std::vector<Array> in;
  for (int i = 0; i < 2 * kPairs; ++i) in.push_back(Array::filled({f32, shape(i / 2)}, i % 3));
  const Evaluation expected = interpret(g, in), actual = interpret(p, in);
  for (std::size_t i = 0; i < expected.states.size(); ++i) REQUIRE(actual.states[i].same_bits(expected.states[i]));
}

// Fusion: which values share a kernel, which are stored, and that grouping changes nothing else.
#include "passes/graph/fuse.h"

#include <algorithm>
#include <array>
#include <set>

#include "catch.h"
#include "golden.h"
#include "ir/graph/build.h"
#include "mlp_step.h"
#include "passes/graph/stored_values.h"
#include "passes/pipeline.h"
#include "passes/transform/autodiff.h"

using namespace weft;

namespace {

Graph fused(std::string_view text) { return fuse(parse_graph(text)); }

std::vector<std::string> group_names(const Graph& g) {
  std::vector<std::string> names;
  for (const Group& group : g.groups()) names.push_back(group.name);
  return names;
}

struct Case {
  const char* what;
  const char* text;
  std::vector<std::string> groups;
};

const Case kCases[] = {
    {"bias and activation are a contraction's epilogue",
     R"(
      func @f(%x: f32[8,4], %w: f32[4,6], %b: f32[6]) {
        %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[8,6]
        %1 = broadcast %b {axes=[1]} : f32[8,6]
        %2 = add %0, %1 : f32[8,6]
        %3 = tanh %2 : f32[8,6]
        return y = %3
      })",
     {"contract0"}},
    {"so they are when unit axes come between",
     R"(
      func @f(%x: f32[4], %w: f32[4,6], %b: f32[1,6]) {
        %0 = contract %x, %w {lhs=[0], rhs=[0]} : f32[6]
        %1 = reshape %0 : f32[1,6]
        %2 = add %1, %b : f32[1,6]
        return y = %2
      })",
     {"contract0"}},
    {"softmax is one row kernel",
     R"(
      func @f(%x: f32[8,10]) {
        %0 = reduce_max %x {axis=1} : f32[8]
        %1 = broadcast %0 {axes=[0]} : f32[8,10]
        %2 = sub %x, %1 : f32[8,10]
        %3 = exp %2 : f32[8,10]
        %4 = reduce_sum %3 {axis=1} : f32[8]
        %5 = broadcast %4 {axes=[0]} : f32[8,10]
        %6 = div %3, %5 : f32[8,10]
        return y = %6
      })",
     {"row0"}},
    {"two reductions of one value share a kernel",
     R"(
      func @f(%x: f32[8,10]) {
        %0 = reduce_max %x {axis=1} : f32[8]
        %1 = reduce_min %x {axis=1} : f32[8]
        return a = %0, b = %1
      })",
     {"row0"}},
    {"so do two that read a value in common",
     R"(
      func @f(%x: f32[8,10], %y: f32[8,10], %z: f32[8,10]) {
        %0 = mul %x, %y : f32[8,10]
        %1 = reduce_sum %0 {axis=0} : f32[10]
        %2 = mul %y, %z : f32[8,10]
        %3 = reduce_max %2 {axis=0} : f32[10]
        return a = %1, b = %3
      })",
     {"column0"}},
    {"and two of which one reads only that value",
     R"(
      func @f(%x: f32[8,10], %y: f32[8,10]) {
        %0 = mul %x, %y : f32[8,10]
        %1 = reduce_sum %0 {axis=1} : f32[8]
        %2 = reduce_sum %y {axis=1} : f32[8]
        return a = %1, b = %2
      })",
     {"row0"}},
    {"not when one feeds the other through another kernel",
     R"(
      func @f(%x: f32[8,10], %y: f32[8,10], %w: f32[10,10]) {
        %0 = reduce_sum %x {axis=0} : f32[10]
        %1 = contract %0, %w {lhs=[0], rhs=[0]} : f32[10]
        %2 = broadcast %1 {axes=[1]} : f32[8,10]
        %3 = mul %x, %2 : f32[8,10]
        %4 = reduce_sum %3 {axis=0} : f32[10]
        return y = %4
      })",
     {"column0", "contract1", "column2"}},
    {"not when they read no value in common",
     R"(
      func @f(%x: f32[8,10], %y: f32[8,10]) {
        %0 = reduce_sum %x {axis=0} : f32[10]
        %1 = reduce_sum %y {axis=0} : f32[10]
        return a = %0, b = %1
      })",
     {"column0", "column1"}},
    {"not when the common value is another in each: x and its transpose",
     R"(
      func @f(%x: f32[8,8]) {
        %0 = reduce_sum %x {axis=0} : f32[8]
        %1 = transpose %x {perm=[1,0]} : f32[8,8]
        %2 = reduce_max %1 {axis=0} : f32[8]
        return a = %0, b = %2
      })",
     {"column0", "column1"}},
    {"nor with an arg-reduction, which walks by itself",
     R"(
      func @f(%x: f32[8,10], %y: f32[8,10]) {
        %0 = arg_max %x {axis=0} : i32[10]
        %1 = mul %x, %y : f32[8,10]
        %2 = reduce_sum %1 {axis=0} : f32[10]
        return a = %0, b = %2
      })",
     {"column0", "column1"}},
    {"reductions over different axes do not",
     R"(
      func @f(%x: f32[8,10]) {
        %0 = reduce_max %x {axis=1} : f32[8]
        %1 = reduce_max %x {axis=0} : f32[10]
        return a = %0, b = %1
      })",
     {"row0", "column1"}},
    {"a prologue is computed where it is read",
     R"(
      func @f(%x: u8[9,4], %k: i32[8], %w: f32[4,6]) {
        %0 = gather %x, %k {axis=0} : u8[8,4]
        %1 = convert %0 : f32[8,4]
        %2 = contract %1, %w {lhs=[1], rhs=[0]} : f32[8,6]
        return y = %2
      })",
     {"contract0"}},
    {"a reshape that merges axes needs its operand in memory",
     R"(
      func @f(%x: f32[4,6]) {
        %0 = exp %x : f32[4,6]
        %1 = transpose %0 {perm=[1,0]} : f32[6,4]
        %2 = reshape %1 : f32[24]
        %3 = neg %2 : f32[24]
        return y = %3
      })",
     {"map0", "map1"}},
    {"an epilogue waits for the later of two contractions",
     R"(
      func @f(%x: f32[4,4], %y: f32[4,4]) {
        %0 = contract %x, %y {lhs=[1], rhs=[0]} : f32[4,4]
        %1 = contract %0, %y {lhs=[1], rhs=[0]} : f32[4,4]
        %2 = add %0, %1 : f32[4,4]
        return y = %2
      })",
     {"contract0", "contract1"}},
    {"something costly that is repeated is stored",
     R"(
      func @f(%x: f32[6], %z: f32[8,6]) {
        %0 = exp %x : f32[6]
        %1 = broadcast %0 {axes=[1]} : f32[8,6]
        %2 = mul %1, %z : f32[8,6]
        return y = %2
      })",
     {"map0", "map1"}},
};

}  // namespace

TEST_CASE("fusion groups values as the kernels want them") {
  for (const Case& c : kCases) {
    INFO(c.what);
    const Graph g = fused(c.text);
    verify(g);
    CHECK(group_names(g) == c.groups);
    CHECK(fuse(g) == g);
  }
}

TEST_CASE("the training step of an MLP is one kernel for each contraction, and the optimiser is in them") {
  const Graph g = optimize(mlp_step());
  verify(g);
  // Adam's two powers, three layers forward, the loss row by row, its two means, and backward for each layer the
  // contractions for weights and (but the first) activations, and the sum for the bias.
  CHECK(group_names(g).size() == 1 + 3 + 1 + 2 + 3 * 2 + 2);
  // A gradient never reaches memory: no stored value but weights and moments has a weight's shape.
  const std::vector<bool> stored = stored_values(g, large_values(g, kLargeBytes));
  for (ValueId v = 0; v < g.size(); ++v) {
    if (!stored[v] || !(g[v].type.shape == Shape{784, 64})) continue;
    CHECK(std::ranges::any_of(g.updates(), [&](const Update& u) { return u.value == v; }));
  }
}

TEST_CASE("what is cheap beside a stored value is computed again, not stored") {
  const Graph g = fused(R"(
    func @f(%x: f32[8,4], %w: f32[4,6], %d: f32[8,6], %v: f32[6,4]) {
      %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[8,6]
      %1 = constant {value=0} : f32[]
      %2 = broadcast %1 : f32[8,6]
      %3 = max %0, %2 : f32[8,6]
      %4 = gt %3, %2 : bool[8,6]
      %5 = contract %3, %v {lhs=[1], rhs=[0]} : f32[8,4]
      %6 = contract %5, %w {lhs=[1], rhs=[0]} : f32[8,6]
      %7 = select %4, %6, %2 : f32[8,6]
      return y = %7
    })");
  const std::vector<bool> stored = stored_values(g, large_values(g, kLargeBytes));
  for (ValueId v = 0; v < g.size(); ++v) {
    if (g[v].op == Op::gt) CHECK_FALSE(stored[v]);
    if (g[v].op == Op::max) CHECK(stored[v]);
  }
}

namespace {

/// The gradients of y = (x - mean) / sqrt(variance + 0.001) * scale + shift, row by row, for the gradient dy of y.
Graph layer_norm_gradients(std::int64_t rows, std::int64_t columns) {
  const LocSet here = LocSet::of(Loc{"layer_norm", 1, 1});
  Graph g;
  g.name = "layer_norm_gradients";
  Builder b{g, here};
  auto input = [&](const char* name, const Shape& shape) { return g.input(name, {f32, shape}, InputKind::data, here); };
  const Shape full{rows, columns};
  const ValueId x = input("x", full), dy = input("dy", full);
  const ValueId wrt[] = {x, input("scale", {columns}), input("shift", {columns})};
  auto mean = [&](ValueId v) {
    const ValueId sum = b.reduce(Op::reduce_sum, v, 1);
    return b.mul(sum, b.like(sum, 1.0 / static_cast<double>(columns)));
  };
  const ValueId centred = b.sub(x, b.broadcast(mean(x), full, {0})), variance = mean(b.mul(centred, centred));
  const ValueId deviation = b.op(Op::sqrt, {b.add(variance, b.like(variance, 0.001))});
  const ValueId normal = b.mul(centred, b.broadcast(b.div(b.like(deviation, 1), deviation), full, {0}));
  const ValueId y = b.add(b.mul(normal, b.broadcast(wrt[1], full, {1})), b.broadcast(wrt[2], full, {1}));
  const ValueId loss = b.reduce(Op::reduce_sum, b.reduce(Op::reduce_sum, b.mul(y, dy), 0), 0);
  const std::vector<ValueId> gradients = differentiate(g, loss, wrt, here);
  for (std::size_t i = 0; i < 3; ++i) g.output(std::array{"dx", "dscale", "dshift"}[i], gradients[i]);
  return g;
}

}  // namespace

TEST_CASE("a residual stream is stored before reading it takes many arrays") {
  constexpr int kLayers = 12;
  std::string text = "func @f(%x: f32[64,32], %w: f32[32,32]) {\n";
  std::string stream = "%x", results;
  for (int i = 0; i < kLayers; ++i) {
    const std::string n = std::to_string(i);
    text += "%n" + n + " = reduce_max " + stream + " {axis=1} : f32[64]\n%b" + n + " = broadcast %n" + n +
            " {axes=[0]} : f32[64,32]\n%d" + n + " = sub " + stream + ", %b" + n + " : f32[64,32]\n%c" + n +
            " = contract %d" + n + ", %w {lhs=[1], rhs=[0]} : f32[64,32]\n%s" + n + " = add " + stream + ", %c" + n +
            " : f32[64,32]\n%m" + n + " = reduce_sum %s" + n + " {axis=1} : f32[64]\n";
    results += (i ? ", m" : " m") + n + " = %m" + n;
    stream = "%s" + n;
  }
  const Graph g = fused(text + "return" + results + "\n}");
  const std::vector<bool> stored = stored_values(g, large_values(g, kLargeBytes));
  std::vector<int> reads(g.size(), 0);  // arrays that computing a value anew reads
  int most = 0;
  for (ValueId v = 0; v < g.size(); ++v) {
    if (g[v].op != Op::add) continue;
    for (const ValueId o : g[v].operands) reads[v] += stored[o] || g[o].op != Op::add ? 1 : reads[o];
    most = std::max(most, reads[v]);
  }
  CHECK(most >= 2);
  CHECK(most <= kMostReads + 2);
}

TEST_CASE("the gradients of a layer norm are a kernel along rows and one down columns") {
  const Graph traced = layer_norm_gradients(48, 32), g = optimize(traced);
  CHECK(group_names(g) == std::vector<std::string>{"row0", "column1"});
  // The columns read x and dy, and of each row its mean and its deviation: nothing else of full size is stored for
  // them.
  const std::vector<bool> stored = stored_values(g, large_values(g, kLargeBytes));
  std::size_t rows = 0;
  for (ValueId v = 0; v < g.size(); ++v) {
    if (!stored[v]) continue;
    rows += g[v].type.shape == Shape{48};
    if (g[v].type.shape == Shape{48, 32})
      CHECK(std::ranges::any_of(g.outputs(), [&](const Output& o) { return o.id == v; }));
  }
  CHECK(rows == 2);
  std::vector<Array> in;
  for (const Input& i : traced.inputs()) {
    Array& a = in.emplace_back(traced[i.id].type);
    for (std::size_t k = 0; k < a.as<float>().size(); ++k) a.as<float>()[k] = static_cast<float>(k * 37 % 101) / 50 - 1;
  }
  const Evaluation expected = interpret(traced, in), found = interpret(make_program(g, GpuTarget{}), in);
  for (std::size_t i = 0; i < 3; ++i) CHECK(found.outputs[i].same_bits(expected.outputs[i]));
}

TEST_CASE("sibling reductions fill kernels up to their limit, and further ones begin another") {
  Graph g;
  Builder b{g, LocSet::of(Loc{"siblings", 1, 1})};
  const ValueId x = g.input("x", {f32, {4, 6}}, InputKind::data, b.locs);
  constexpr int kSiblings = 1000;
  for (int i = 0; i < kSiblings; ++i) {
    const std::string n = std::to_string(i);
    const ValueId y = g.input("y" + n, {f32, {4, 6}}, InputKind::data, b.locs);
    g.output("z" + n, b.reduce(Op::reduce_sum, b.mul(x, y), 0));
  }
  const Graph f = fuse(g);
  verify(f);
  CHECK(f.groups().size() >= kSiblings / 96);
  CHECK(f.groups().size() <= kSiblings / 40);
}

TEST_CASE("provenance survives the whole pipeline") {
  const Graph g = optimize(mlp_step());
  std::set<std::uint32_t> lines;
  for (ValueId v = 0; v < g.size(); ++v) {
    CHECK_FALSE(g[v].locs.empty());
    for (const Loc& l : g[v].locs.locs()) lines.insert(l.line);
  }
  CHECK(lines == std::set<std::uint32_t>{1, 10, 20, 21, 22, 30, 40});
}

TEST_CASE("fused graphs", "[golden]") {
  check_golden("fuse/mlp_step", print(optimize(mlp_step())));
  check_golden("fuse/layer_norm_gradients", print(optimize(layer_norm_gradients(48, 32))));
}

// Lowering, order and memory: programs equal their graphs in bits, update states in place when they may, and fit their
// arena.
#include "passes/kernel/lower.h"

#include <algorithm>

#include "catch.h"
#include "golden.h"
#include "ir/kernel/kernel_walk.h"
#include "mlp_step.h"
#include "passes/kernel/memory.h"
#include "passes/pipeline.h"
#include "plain_program.h"
#include "random_graph.h"

using namespace weft;

namespace {

const PipelineOptions kVerify{.verify = true, .disable = test::kCpuPasses};

Program lowered(const Graph& g) { return make_program(optimize(g, kVerify), CpuTarget{}, kVerify); }

Evaluation run(const Graph& g, std::span<const Array> inputs) { return interpret(lowered(g), inputs); }

int kernels_named(const Program& p, std::string_view prefix) {
  return static_cast<int>(
      std::ranges::count_if(p.kernels, [&](const Kernel& k) { return k.name.starts_with(prefix); }));
}

struct UpdateCase {
  const char* what;
  const char* text;
  int copies;  // kernels that copy a state or an output
  int temps;
};

const UpdateCase kUpdates[] = {
    {"an update is stored in place",
     "func @f(state %w: f32[40]) { %0 = add %w, %w : f32[40] update %w = %0 return y = %w }", 1, 0},
    {"two states that swap need one temporary",
     "func @f(state %a: f32[40], state %b: f32[40]) { update %a = %b update %b = %a return y = %a }", 4, 1},
    {"a kernel that reads the old state elsewhere may not overwrite it",
     "func @f(state %w: f32[4,4]) { %0 = transpose %w {perm=[1,0]} : f32[4,4] %1 = add %0, %w : f32[4,4] update %w = "
     "%1 return y = %0 }",
     1, 1},
    {"readers of the old state run first",
     R"(func @f(state %w: f32[4,4], %x: f32[4,4]) {
          %0 = contract %x, %x {lhs=[1], rhs=[0]} : f32[4,4]
          %1 = add %w, %0 : f32[4,4]
          %2 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,4]
          update %w = %1
          return y = %2 })",
     0, 0},
    {"a circle of readers and writers is broken by a temporary",
     R"(func @f(state %w: f32[4,4], state %v: f32[4,4]) {
          %0 = contract %v, %w {lhs=[1], rhs=[0]} : f32[4,4]
          %1 = contract %w, %v {lhs=[1], rhs=[0]} : f32[4,4]
          update %w = %0
          update %v = %1
          return y = %0 })",
     2, 1},
    {"an output is not copied from a temporary", "func @f(%x: f32[4]) { %0 = exp %x : f32[4] return y = %0 }", 0, 0},
    {"the second name of an output is a copy", "func @f(%x: f32[4]) { %0 = exp %x : f32[4] return y = %0, z = %0 }", 1,
     0},
};

}  // namespace

TEST_CASE("states are updated in place where no reader of the old value is left") {
  for (const UpdateCase& c : kUpdates) {
    INFO(c.what);
    const Graph g = parse_graph(c.text);
    const Program p = lowered(g);
    INFO(print(p));
    CHECK(kernels_named(p, "copy_") == c.copies);
    CHECK(std::ranges::count(p.buffers, Buffer::temp, &Buffer::kind) == c.temps);
    test::compare(g, run, 7);
  }
}

TEST_CASE("the MLP step as a program equals its graph in bits") {
  const Graph g = mlp_step();
  const auto inputs = mlp_inputs(g);
  const Evaluation expected = interpret(g, inputs);
  CHECK(test::difference(expected, run(g, inputs), g) == "");
}

TEST_CASE("random graphs as programs equal the interpreter in bits") {
  for (std::uint64_t seed = 0; seed < 400; ++seed)
    test::compare(test::random_graph(seed), run, seed, test::Values::special);
}

TEST_CASE("temporaries that are alive together do not overlap, and the arena is as large as they need") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Program p = lowered(test::random_graph(seed, {.nodes = 60}));
    struct Life {
      std::int64_t begin, end;
      int first = 1 << 30, last = -1;
    };
    std::vector<Life> lives(p.buffers.size());
    std::int64_t highest = 0;
    for (std::size_t k = 0; k < p.kernels.size(); ++k) {
      for_each_access(p.kernels[k], [&](BufferId b, const std::vector<Index>&, ExprId) {
        Life& l = lives[static_cast<std::size_t>(storage(p, b))];
        l.first = std::min(l.first, static_cast<int>(k));
        l.last = std::max(l.last, static_cast<int>(k));
      });
    }
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      if (p.buffers[b].kind != Buffer::temp || lives[b].last < 0) continue;
      lives[b].begin = p.buffers[b].offset;
      lives[b].end = lives[b].begin + byte_size(p.buffers[b].type);
      CHECK(lives[b].begin % 64 == 0);
      CHECK(lives[b].end <= p.arena_bytes);
      highest = std::max(highest, lives[b].end);
      for (std::size_t o = 0; o < b; ++o) {
        const bool both =
            p.buffers[o].kind == Buffer::temp && lives[o].first <= lives[b].last && lives[b].first <= lives[o].last;
        if (both) CHECK((lives[o].end <= lives[b].begin || lives[b].end <= lives[o].begin));
      }
    }
    CHECK(p.arena_bytes - highest < 64);
  }
}

TEST_CASE("an output that is another shape of a value is stored by that value's kernel") {
  const Graph g = parse_graph(R"(func @f(%x: f32[6,5], %y: f32[5,4]) {
      %0 = contract %x, %y {lhs=[1], rhs=[0]} : f32[6,4]
      %1 = reshape %0 : f32[3,8]
      return z = %1 })");
  CHECK(lowered(g).kernels.size() == 1);
  test::compare(g, run, 7);
}

// A, B, C, AB and so on are extents and their products.
struct LargeCase {
  const char* what;
  const char* text;
};
const LargeCase kLarge[] = {
    {"an iota through a merging reshape, summed twice",
     R"(func @f() {
          %0 = iota {axis=1} : f32[A,B,C]
          %1 = reshape %0 : f32[AB,C]
          %2 = reduce_sum %1 {axis=0} : f32[C]
          %3 = reduce_max %1 {axis=0} : f32[C]
          %4 = add %2, %3 : f32[C]
          return y = %4 })"},
    {"a small array, repeated and reshaped",
     R"(func @f(%x: f32[B,C]) {
          %0 = broadcast %x {axes=[1,2]} : f32[A,B,C]
          %1 = exp %0 : f32[A,B,C]
          %2 = reshape %1 : f32[AB,C]
          %3 = reduce_sum %2 {axis=0} : f32[C]
          %4 = reduce_max %2 {axis=0} : f32[C]
          %5 = add %3, %4 : f32[C]
          return y = %5 })"},
    {"random bits that two sums read in different shapes",
     R"(func @f(%key: i64[], %step: i64[]) {
          %0 = random %key, %step : i32[A,B,C]
          %1 = convert %0 : f32[A,B,C]
          %2 = mul %1, %1 : f32[A,B,C]
          %3 = reshape %2 : f32[A,BC]
          %4 = reduce_sum %3 {axis=0} : f32[BC]
          %5 = reshape %1 : f32[AB,C]
          %6 = reduce_sum %5 {axis=0} : f32[C]
          return y = %4, z = %6 })"},
    {"iotas padded, joined, turned and cut",
     R"(func @f(%x: i32[]) {
          %0 = iota {axis=0} : i32[A,BC]
          %1 = pad %0, %x {low=[1,0], high=[0,2]} : i32[A1,BC2]
          %2 = concat %1, %1 {axis=0} : i32[A2,BC2]
          %3 = transpose %2 {perm=[1,0]} : i32[BC2,A2]
          %4 = slice %3 {start=[2,0], limit=[BC2,A2], stride=[1,1]} : i32[BC,A2]
          %5 = reshape %4 : i32[B,CA2]
          %6 = reduce_sum %5 {axis=1} : i32[B]
          %7 = reduce_max %4 {axis=0} : i32[A2]
          return y = %6, z = %7 })"},
    {"rows gathered from an iota by an iota",
     R"(func @f() {
          %0 = iota {axis=1} : f32[A,BC]
          %1 = iota {axis=0} : i32[A]
          %2 = gather %0, %1 {axis=0} : f32[A,BC]
          %3 = reshape %2 : f32[AB,C]
          %4 = reduce_sum %3 {axis=0} : f32[C]
          return y = %4 })"},
};

Graph large_graph(const LargeCase& c, std::int64_t a, std::int64_t b, std::int64_t n) {
  const std::pair<std::string_view, std::int64_t> names[] = {{"CA2", n * (2 * a + 2)},
                                                             {"BC2", b * n + 2},
                                                             {"A1", a + 1},
                                                             {"A2", 2 * a + 2},
                                                             {"AB", a * b},
                                                             {"BC", b * n},
                                                             {"A", a},
                                                             {"B", b},
                                                             {"C", n}};
  std::string text;
  const std::string_view from = c.text;
  for (std::size_t at = 0; at < from.size();) {
    const auto found =
        std::ranges::find_if(names, [&](const auto& row) { return from.substr(at).starts_with(row.first); });
    text += found == std::end(names) ? std::string(1, from[at]) : std::to_string(found->second);
    at += found == std::end(names) ? 1 : found->first.size();
  }
  return parse_graph(text);
}

TEST_CASE("what is made of indices and little else is computed where it is read, however large it is") {
  const PipelineOptions all_large{.verify = true, .large_bytes = 0};
  const auto run_large = [&](const Graph& g, std::span<const Array> inputs) {
    return interpret(make_program(optimize(g, all_large), GpuTarget{}, all_large), inputs);
  };
  for (const LargeCase& c : kLarge) {
    INFO(c.what);
    const Graph small = large_graph(c, 3, 5, 4);
    test::compare(small, run, 7);
    test::compare(small, run_large, 7);
    const Graph large = large_graph(c, 30000, 2000, 100);  // 24 GB of f32
    const Program p = lowered(large);
    INFO(print(p));
    std::int64_t bytes = 0;
    for (const Buffer& b : p.buffers) bytes += b.kind == Buffer::view ? 0 : byte_size(b.type);
    CHECK(bytes < 4 << 20);
  }
}

TEST_CASE("an unbound batch is refused") {
  const Graph g = parse_graph("func @f(%x: f32[?,4]) { %0 = exp %x : f32[?,4] return y = %0 }", "m.weft");
  CHECK_THROWS_WITH(make_program(optimize(g), CpuTarget{}),
                    Catch::Matchers::ContainsSubstring("bind the batch size and other extents before compiling"));
}

TEST_CASE("programs", "[golden]") { check_golden("lower/mlp_step", print(lowered(mlp_step()))); }

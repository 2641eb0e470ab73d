// Lowering, order and memory: programs equal their graphs in bits, update states in place when they may, and fit their arena.
#include "passes/lower.h"

#include <algorithm>

#include "catch.h"
#include "golden.h"
#include "mlp_step.h"
#include "passes/memory.h"
#include "passes/pipeline.h"
#include "random_graph.h"

using namespace weft;

namespace {

const PipelineOptions kVerify{.verify = true};

Program lowered(const Graph& g) { return make_program(optimize(g, kVerify), Target{}, kVerify); }

Evaluation run(const Graph& g, std::span<const Array> inputs) { return interpret(lowered(g), inputs); }

int kernels_named(const Program& p, std::string_view prefix) {
  return static_cast<int>(std::ranges::count_if(p.kernels, [&](const Kernel& k) { return k.name.starts_with(prefix); }));
}

struct UpdateCase {
  const char* what;
  const char* text;
  int copies;  // kernels that copy a state or an output
  int temps;
};

const UpdateCase kUpdates[] = {
    {"an update is stored in place", "func @f(state %w: f32[40]) { %0 = add %w, %w : f32[40] update %w = %0 return y = %w }", 1, 0},
    {"two states that swap need one temporary",
     "func @f(state %a: f32[40], state %b: f32[40]) { update %a = %b update %b = %a return y = %a }", 4, 1},
    {"a kernel that reads the old state elsewhere may not overwrite it",
     "func @f(state %w: f32[4,4]) { %0 = transpose %w {perm=[1,0]} : f32[4,4] %1 = add %0, %w : f32[4,4] update %w = %1 return y = %0 }", 1, 1},
    {"readers of the old state run first",
     R"(func @f(state %w: f32[4,4], %x: f32[4,4]) {
          %0 = contract %x, %x {lhs=[1], rhs=[0]} : f32[4,4]
          %1 = add %w, %0 : f32[4,4]
          %2 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,4]
          update %w = %1
          return y = %2 })", 0, 0},
    {"a circle of readers and writers is broken by a temporary",
     R"(func @f(state %w: f32[4,4], state %v: f32[4,4]) {
          %0 = contract %v, %w {lhs=[1], rhs=[0]} : f32[4,4]
          %1 = contract %w, %v {lhs=[1], rhs=[0]} : f32[4,4]
          update %w = %0
          update %v = %1
          return y = %0 })", 2, 1},
    {"an output is not copied from a temporary", "func @f(%x: f32[4]) { %0 = exp %x : f32[4] return y = %0 }", 0, 0},
    {"the second name of an output is a copy", "func @f(%x: f32[4]) { %0 = exp %x : f32[4] return y = %0, z = %0 }", 1, 0},
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
  for (std::uint64_t seed = 0; seed < 400; ++seed) test::compare(test::random_graph(seed), run, seed, test::Values::special);
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
      auto touch = [&](BufferId b) {
        Life& l = lives[static_cast<std::size_t>(storage(p, b))];
        l.first = std::min(l.first, static_cast<int>(k));
        l.last = std::max(l.last, static_cast<int>(k));
      };
      for (const Expr& e : p.kernels[k].exprs)
        if (e.kind == Expr::load) touch(e.buffer);
      for (const Phase& phase : p.kernels[k].phases)
        for (const KernelStage& s : phase.stages)
          for (const Store& store : s.stores) touch(store.buffer);
    }
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      if (p.buffers[b].kind != Buffer::temp || lives[b].last < 0) continue;
      lives[b].begin = p.buffers[b].offset;
      lives[b].end = lives[b].begin + byte_size(p.buffers[b].type);
      CHECK(lives[b].begin % 64 == 0);
      CHECK(lives[b].end <= p.arena_bytes);
      highest = std::max(highest, lives[b].end);
      for (std::size_t o = 0; o < b; ++o) {
        const bool both = p.buffers[o].kind == Buffer::temp && lives[o].first <= lives[b].last && lives[b].first <= lives[o].last;
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

TEST_CASE("an unbound batch is refused") {
  const Graph g = parse_graph("func @f(%x: f32[?,4]) { %0 = exp %x : f32[?,4] return y = %0 }", "m.weft");
  CHECK_THROWS_WITH(make_program(optimize(g), Target{}), Catch::Matchers::ContainsSubstring("bind the batch size before compiling"));
}

TEST_CASE("programs", "[golden]") { check_golden("lower/mlp_step", print(lowered(mlp_step()))); }

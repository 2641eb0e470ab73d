// Loops of a program: the order of their turns, and each invariant of ir/kernel/verify_loops.cpp, broken.
#include "ir/kernel/loops.h"

#include "catch.h"
#include "ir/graph/graph.h"

using namespace weft;

namespace {

std::string verify_error(const Program& p) {
  try {
    verify(p);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "";
}

struct Broken {
  const char* message;  // after "internal error: verify: "
  void (*damage)(Program&);
};

// Kernel 0 fills a row of %y in each of 3 turns, kernel 1 one element of it in each of 3 x 2.
Program loops() {
  return parse_program(R"(program @loops {
  input %x: f32[2]
  output %y: f32[3,2]
  inputs %x
  outputs %y
  loop 3 {
    kernel @outer {
      turns t=3
      axes i=2
      %e0: f32 = load %x[i]
      phase (i) {
        map: store %y[t, i] = %e0
      }
    }
    loop 2 {
      kernel @inner {
        turns t=3, u=2
        %e0: f32 = load %y[t, u]
        %e1: f32 = add %e0, %e0
        phase () {
          map: store %y[t, u] = %e1
        }
      }
    }
  }
})");
}

const Broken kLoops[] = {
    {"program @loops: loop 1 has no kernels", [](Program& p) { p.loops[1].begin = 2; }},
    {"program @loops: loop 1 has no kernels", [](Program& p) { p.loops[1].end = 3; }},
    {"program @loops: loop 0 has -3 turns", [](Program& p) { p.loops[0].turns = -3; }},
    {"program @loops: loop 1 begins before the one before it", [](Program& p) { std::swap(p.loops[0], p.loops[1]); }},
    {"program @loops: loop 1 ends after the one around it",
     [](Program& p) {
       p.loops = {{0, 1, 3}, {0, 2, 2}};
     }},
    {"program @loops: has loops and an arena, which is for what they have become",
     [](Program& p) { p.arena_bytes = 64; }},
    {"program @loops: all turns of its loops are more than 1048576 kernels and expressions",
     [](Program& p) { p.loops[1].turns = std::int64_t{1} << 62; }},
    {"kernel @inner: counts the turns of 2 loops, and is in 1", [](Program& p) { p.loops.pop_back(); }},
    {"kernel @outer: counts the turns of 0 loops, and is in 1", [](Program& p) { p.kernels[0].turns = 0; }},
    {"kernel @inner: axis u counts 5 turns of a loop of 2", [](Program& p) { p.kernels[1].axes[1].extent = 5; }},
    {"kernel @outer: axis t counts turns, and cannot be parallel",
     [](Program& p) {
       p.kernels[0].phases[0].parallel = {0, 1};
     }},
    {"kernel @inner: map over u: store %y[t, u] = %e1: the axis counts turns",
     [](Program& p) { p.kernels[1].phases[0].stages[0].axis = 1; }},
    {"kernel @outer: map: store %y[t, i] = %e0: in %e0: f32 = load %x[t]: index t covers [0, 2], outside dimension 0 "
     "of [2]",
     [](Program& p) { p.kernels[0].exprs[0].access[0] = axis_index(0); }},
};

}  // namespace

TEST_CASE("the kernel verifier names each broken invariant of loops") {
  CHECK(verify_error(loops()) == "");
  for (const Broken& b : kLoops) {
    Program p = loops();
    b.damage(p);
    CHECK(verify_error(p) == std::string("internal error: verify: ") + b.message);
  }
}

TEST_CASE("loops run in the interpreter, inner turns in outer ones, and not at all") {
  const Evaluation e = interpret(loops(), std::vector{Array::from<float>({1, 2}, {2})});
  CHECK(e.outputs[0].same_bits(Array::from<float>({2, 4, 2, 4, 2, 4}, {3, 2})));
  std::vector<std::string> runs;
  Program p = loops();
  const auto record = [&](std::size_t kernel, std::span<const std::int64_t> turns) {
    runs.push_back(fmt::format("{}({})", p.kernels[kernel].name, fmt::join(turns, ",")));
  };
  for_each_run(p, record);
  CHECK(runs == std::vector<std::string>{"outer(0)", "inner(0,0)", "inner(0,1)", "outer(1)", "inner(1,0)", "inner(1,1)",
                                         "outer(2)", "inner(2,0)", "inner(2,1)"});
  CHECK(listed_size(p, 100) == 3 * 2 + 6 * 3);
  CHECK(listed_size(p, 10) == 11);
  runs.clear();
  p.loops[1].turns = 0;
  for_each_run(p, record);
  CHECK(runs == std::vector<std::string>{"outer(0)", "outer(1)", "outer(2)"});
  p.loops[0].turns = 0;
  runs.clear();
  for_each_run(p, record);
  CHECK(runs.empty());
}

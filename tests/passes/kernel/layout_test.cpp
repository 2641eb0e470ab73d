// Which buffers layout assignment puts into panels, and why not the others.
#include "passes/kernel/layout.h"

#include "catch.h"
#include "golden.h"
#include "ir/base/error.h"
#include "mlp_step.h"
#include "passes/pipeline.h"

using namespace weft;

namespace {

const CpuTarget kWide{.cpu = "znver4", .vector_bytes = 64, .vector_registers = 32, .fma = true};
const CpuTarget kAvx2{.cpu = "znver3", .vector_bytes = 32, .vector_registers = 16, .fma = true};
const CpuTarget kSse{};

std::int64_t panels_of(const Program& p, const std::string& name) {
  for (const Buffer& b : p.buffers)
    if (b.name == name) return b.panels;
  fail("no buffer is called {}", name);
}

struct Row {
  const char* why;
  std::string body;           // of a function of %x f32[4,8], %y f32[4,64], state %w f32[8,64]
  std::int64_t wide, narrow;  // panels of %w with 64-byte and 32-byte vectors
};

const Row kRows[] = {
    {"a right operand", "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] return z = %0", 32, 16},
    {"a right operand that its own gradient updates",
     "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] %1 = contract %x, %y {lhs=[0], rhs=[0]} : f32[8,64] "
     "%2 = sub %w, %1 : f32[8,64] update %w = %2 return z = %0",
     32, 16},
    {"a target of an epilogue alone",
     "%1 = contract %x, %y {lhs=[0], rhs=[0]} : f32[8,64] %2 = sub %w, %1 : f32[8,64] update %w = %2", 32, 16},
    {"read transposed too, which packs it",
     "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] %1 = contract %y, %w {lhs=[1], rhs=[1]} : f32[4,8] "
     "return z = %0, g = %1",
     32, 16},
    {"read transposed alone, which packs it from rows as well",
     "%1 = contract %y, %w {lhs=[1], rhs=[1]} : f32[4,8] return g = %1", 0, 0},
    {"summed along columns, in whole vectors",
     "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] %1 = reduce_sum %w {axis=0} : f32[64] return z = %0, "
     "s = %1",
     32, 16},
    {"a left operand elsewhere",
     "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] %1 = contract %w, %y {lhs=[1], rhs=[1]} : f32[8,4] "
     "return z = %0, l = %1",
     0, 0},
    {"returned, as a copy in rows", "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] return z = %0, c = %w", 32,
     16},
    {"sliced: the last index is not one axis alone",
     "%0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,64] "
     "%1 = slice %w {start=[0,3], limit=[8,60], stride=[1,1]} : f32[8,57] %2 = neg %1 : f32[8,57] "
     "return z = %0, s = %2",
     0, 0},
    {"no contraction has to do with it", "%0 = neg %w : f32[8,64] update %w = %0", 0, 0},
};

}  // namespace

TEST_CASE("states lie in panels where all that use them can") {
  for (const Row& r : kRows) {
    const std::string text = fmt::format("func @f(%x: f32[4,8], %y: f32[4,64], state %w: f32[8,64]) {{ {} }}", r.body);
    INFO(r.why);
    const Graph g = optimize(parse_graph(text));
    const PipelineOptions options{.verify = true};
    CHECK(panels_of(make_program(g, kWide, options), "w") == r.wide);
    CHECK(panels_of(make_program(g, kAvx2, options), "w") == r.narrow);
    CHECK(panels_of(make_program(g, kSse, options), "w") == r.narrow);
    CHECK(panels_of(make_program(g, GpuTarget{}), "w") == 0);
  }
}

TEST_CASE("a temporary that is only a right operand is stored in panels by its producer") {
  const char* text = R"(func @f(%x: f32[8,16], %y: f32[16,64], %z: f32[8,4]) {
    %0 = contract %x, %y {lhs=[1], rhs=[0]} : f32[8,64]
    %1 = neg %0 : f32[8,64]
    %2 = contract %z, %1 {lhs=[0], rhs=[0]} : f32[4,64]
    return r = %2
  })";
  const Program p = make_program(optimize(parse_graph(text)), kWide, {.verify = true});
  int temps = 0;
  for (const Buffer& b : p.buffers)
    if (b.kind == Buffer::temp) {
      ++temps;
      CHECK(b.panels == 32);
    }
  CHECK(temps == 1);
}

TEST_CASE("panels hold whole vectors of every loop, and two of the widest") {
  struct Width {
    const CpuTarget& target;
    DType dtype;
    std::int64_t width;
  };
  for (const Width& w : {Width{kWide, f32, 32}, {kWide, f64, 16}, {kAvx2, f32, 16}, {kAvx2, f64, 16}, {kSse, f32, 16}})
    CHECK(panel_width(w.dtype, w.target) == w.width);
}

TEST_CASE("a step in panels", "[golden]") {
  check_golden("layout/mlp_step", print(make_program(optimize(mlp_step()), kAvx2, {.verify = true})));
}

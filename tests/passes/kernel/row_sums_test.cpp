// Which sums along rows are split into chunks, and that their bits stay.
#include "passes/kernel/row_sums.h"

#include "catch.h"
#include "golden.h"
#include "passes/pipeline.h"

using namespace weft;

namespace {

const CpuTarget kSmall{.l1_bytes = 32 << 10, .l2_bytes = 64 << 10, .l3_bytes = 1 << 20};

struct Row {
  const char* why;
  const char* text;
  std::size_t phases;  // of the last kernel
};

const Row kRows[] = {
    {"whole chunks", "func @f(%x: f32[131072]) { %y = reduce_sum %x {axis=0} : f32[] return y = %y }", 2},
    {"and a rest", "func @f(%x: f32[70001]) { %y = reduce_sum %x {axis=0} : f32[] return y = %y }", 3},
    {"several folds of computed values, with more computed from them, of several rows",
     R"(func @f(%x: f32[3,66000], %z: f32[3,66000], %v: f32[3]) {
       %0 = mul %x, %z : f32[3,66000]
       %1 = reduce_sum %0 {axis=1} : f32[3]
       %2 = reduce_max %x {axis=1} : f32[3]
       %3 = add %1, %v : f32[3]
       %4 = div %3, %2 : f32[3]
       return y = %4, m = %2 })",
     3},
    {"rows along two axes, transposed", R"(func @f(%x: f32[2,3,65540]) {
       %0 = transpose %x {perm=[1,0,2]} : f32[3,2,65540]
       %1 = reduce_min %0 {axis=2} : f32[3,2]
       return y = %1 })",
     3},
    {"whose sum updates a state", R"(func @f(%x: f64[70001], state %s: f64[]) {
       %y = reduce_sum %x {axis=0} : f64[]
       %t = add %s, %y : f64[]
       update %s = %t
       return x = %y })",
     3},
    {"whose second fold reads the first", R"(func @f(%x: f32[70001]) {
       %0 = reduce_max %x {axis=0} : f32[]
       %1 = broadcast %0 : f32[70001]
       %2 = sub %x, %1 : f32[70001]
       %3 = reduce_sum %2 {axis=0} : f32[]
       return y = %3 })",
     1},
    {"too short", "func @f(%x: f32[65535]) { %y = reduce_sum %x {axis=0} : f32[] return y = %y }", 1},
    {"in the L2", "func @f(%x: u8[65536]) { %y = reduce_sum %x {axis=0} : u8[] return y = %y }", 1},
    {"rows enough", "func @f(%x: f32[64,65536]) { %y = reduce_sum %x {axis=1} : f32[64] return y = %y }", 1},
    {"another axis", "func @f(%x: f32[65536,2]) { %y = reduce_sum %x {axis=0} : f32[2] return y = %y }", 1},
    {"the place of the largest", "func @f(%x: f32[70001]) { %y = arg_max %x {axis=0} : i32[] return y = %y }", 1},
};

}  // namespace

TEST_CASE("long rows are folded in chunks where they are few and come from memory") {
  for (const Row& r : kRows) {
    INFO(r.why);
    const Graph g = optimize(parse_graph(r.text));
    const Program p = make_program(g, kSmall, {.verify = true});
    CHECK(p.kernels.back().phases.size() == r.phases);
    CHECK(make_program(g, GpuTarget{}, {.verify = true}).kernels.back().phases.size() == 1);  // a CPU's
    std::vector<Array> inputs;
    std::uint32_t state = 1;
    for (const Input& i : g.inputs()) {
      Array& a = inputs.emplace_back(g[i.id].type);
      visit_dtype(a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for (T& x : a.as<T>()) x = static_cast<T>(static_cast<double>(state = state * 1664525 + 1013904223) * 2e-8);
      });
    }
    const Evaluation expected = interpret(g, inputs), found = interpret(p, inputs);
    for (std::size_t i = 0; i < expected.outputs.size(); ++i) CHECK(found.outputs[i].same_bits(expected.outputs[i]));
    for (std::size_t i = 0; i < expected.states.size(); ++i) CHECK(found.states[i].same_bits(expected.states[i]));
  }
}

TEST_CASE("a dot product of long rows is three phases", "[golden]") {
  const Graph g = optimize(parse_graph(R"(func @dot(%x: f32[2,70001], %z: f32[70001]) {
    %0 = broadcast %z {axes=[1]} : f32[2,70001]
    %1 = mul %x, %0 : f32[2,70001]
    %2 = reduce_sum %1 {axis=1} : f32[2]
    %3 = sqrt %2 : f32[2]
    return y = %3
  })"));
  check_golden("row_sums/dot", print(make_program(g, kSmall, {.verify = true})));
}

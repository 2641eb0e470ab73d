// Which contractions are split into chunks, and that their bits stay.
#include "passes/kernel/contraction_sums.h"

#include "catch.h"
#include "golden.h"
#include "passes/pipeline.h"
#include "random_graph.h"

using namespace weft;

namespace {

struct Row {
  const char* why;
  const char* text;
  std::size_t phases;  // of the first kernel
};

const Row kRows[] = {
    {"the gradient of a weight",
     "func @f(%x: f32[2500,6], %g: f32[2500,9]) { %y = contract %x, %g {lhs=[0], rhs=[0]} : f32[6,9] return y = %y }",
     2},
    {"that updates a state", R"(func @f(%x: f32[2048,6], %g: f32[2048,9], state %w: f32[6,9]) {
       %0 = contract %x, %g {lhs=[0], rhs=[0]} : f32[6,9]
       %1 = mul %0, %0 : f32[6,9]
       %2 = sub %w, %1 : f32[6,9]
       update %w = %2
       return y = %0 })",
     2},
    {"a long product of few rows, computed ones",
     R"(func @f(%x: f32[3,5000], %w: f32[5000,4]) {
       %0 = neg %x : f32[3,5000]
       %1 = contract %0, %w {lhs=[1], rhs=[0]} : f32[3,4]
       return y = %1 })",
     2},
    {"over two axes that windows keep apart",
     R"(func @f(%x: f32[30,9,9,2], %g: f32[30,7,7,5]) {
       %0 = window %x {axes=[1,2], size=[3,3]} : f32[30,7,7,2,3,3]
       %1 = contract %0, %g {lhs=[0,1,2], rhs=[0,1,2]} : f32[2,3,3,5]
       return y = %1 })",
     2},
    {"integers",
     "func @f(%x: i32[3000,4], %g: i32[3000,5]) { %y = contract %x, %g {lhs=[0], rhs=[0]} : i32[4,5] return y = %y }",
     2},
    {"a vector",
     "func @f(%x: f64[3000,4], %g: f64[3000]) { %y = contract %x, %g {lhs=[0], rhs=[0]} : f64[4] return y = %y }", 2},
    {"windows that overlap so much that their sums are more than the image",
     R"(func @f(%x: f32[2,60,60,3], %g: f32[2,42,42,9]) {
       %0 = window %x {axes=[1,2], size=[19,19]} : f32[2,42,42,3,19,19]
       %1 = contract %0, %g {lhs=[0,1,2], rhs=[0,1,2]} : f32[3,19,19,9]
       return y = %1 })",
     1},
    {"one chunk",
     "func @f(%x: f32[1024,6], %g: f32[1024,9]) { %y = contract %x, %g {lhs=[0], rhs=[0]} : f32[6,9] return y = %y }",
     1},
    {"as large as its operands",
     "func @f(%x: f32[1025,640], %g: f32[1025,640]) { %y = contract %x, %g {lhs=[0], rhs=[0]} : f32[640,640] return y "
     "= %y }",
     1},
    {"batches, which threads share out as they are",
     "func @f(%x: f32[2,3000,6], %g: f32[2,3000,9]) { %y = contract %x, %g {lhs=[1], rhs=[1], lhs_batch=[0], "
     "rhs_batch=[0]} : f32[2,6,9] return y = %y }",
     1},
};

}  // namespace

TEST_CASE("long contractions of small results are summed in chunks") {
  for (const Row& r : kRows) {
    INFO(r.why);
    const Graph g = optimize(parse_graph(r.text));
    const Program p = make_program(g, CpuTarget{}, {.verify = true});
    CHECK(p.kernels[0].phases.size() == r.phases);
    CHECK(make_program(g, GpuTarget{}, {.verify = true}).kernels[0].phases.size() == 1);  // a CPU's
    if (element_count(g[g.outputs()[0].id].type.shape) > 1000) continue;  // nothing to interpret where nothing is done
    test::Rng rng(1);
    std::vector<Array> inputs;
    for (const Input& i : g.inputs()) inputs.push_back(test::random_array(g[i.id].type, rng));
    const Evaluation expected = interpret(g, inputs), found = interpret(p, inputs);
    for (std::size_t i = 0; i < expected.outputs.size(); ++i) CHECK(found.outputs[i].same_bits(expected.outputs[i]));
    for (std::size_t i = 0; i < expected.states.size(); ++i) CHECK(found.states[i].same_bits(expected.states[i]));
  }
}

TEST_CASE("the chunks of a contraction are added up from the first one on, zeros with their sign") {
  // Each chunk's sum is a negative number that flushes to -0.
  const Graph g =
      optimize(parse_graph("func @f(%x: f32[2048,2], %g: f32[2048,2]) { %y = contract %x, %g {lhs=[0], rhs=[0]} : "
                           "f32[2,2] return y = %y }"));
  const Program p = make_program(g, CpuTarget{});
  REQUIRE(p.kernels.back().phases.size() == 2);
  Array x(Type{f32, {2048, 2}}), y(Type{f32, {2048, 2}});
  for (std::size_t k = 0; k < 2048; ++k)
    for (std::size_t i = 2 * k; i < 2 * k + 2; ++i) {
      x.as<float>()[i] = k % 1024 == 0 ? 0x1p-126f : k % 1024 == 1 ? 0x1.000002p-126f : -0.0f;
      y.as<float>()[i] = k % 1024 == 1 ? -1.0f : 1.0f;
    }
  const Array inputs[] = {x, y};
  const Array expected = interpret(g, inputs).outputs[0], found = interpret(p, inputs).outputs[0];
  CHECK(std::signbit(expected.as<float>()[0]));
  CHECK(found.same_bits(expected));
}

TEST_CASE("the gradient of a weight with its update is two phases", "[golden]") {
  const Graph g = optimize(parse_graph(R"(func @step(%x: f32[2500,12], %g: f32[2500,20], state %w: f32[12,20]) {
    %0 = contract %x, %g {lhs=[0], rhs=[0]} : f32[12,20]
    %1 = constant {value=0.01} : f32[]
    %2 = broadcast %1 : f32[12,20]
    %3 = mul %2, %0 : f32[12,20]
    %4 = sub %w, %3 : f32[12,20]
    update %w = %4
  })"));
  check_golden("contraction_sums/update", print(make_program(g, CpuTarget{}, {.verify = true})));
}

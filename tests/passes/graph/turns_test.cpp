// trim_loops(), sink_into_loops(), share_turns(): what they leave of scans, and every bit.
#include "catch.h"
#include "golden.h"
#include "passes/graph/share.h"
#include "passes/graph/sink.h"
#include "passes/graph/trim.h"
#include "passes/pipeline.h"
#include "passes/transform/autodiff.h"
#include "random_graph.h"

using namespace weft;

namespace {

const LocSet kHere = LocSet::of(std::source_location::current());

struct Case {
  const char* name;
  Graph (*pass)(const Graph&);
  const char* text;
};

const Case kCases[] = {
    {"trim_results", trim_loops,  // result 2, and with it carry 1 and slice 0, are read by nobody
     R"(func @turn(%a: f32[2], %b: f32[2], %x: f32[2], %w: f32[2]) {
  %0 = add %a, %w : f32[2]
  %1 = mul %b, %x : f32[2]
  return a = %0, b = %1, y = %1, z = %0
}
func @main(%a: f32[2], %b: f32[2], %x: f32[5,2], %w: f32[2]) {
  %0 = scan %a, %b, %x, %w {carries=2, slices=1, length=5, reverse=0, body=@turn} : (f32[2], f32[2], f32[5,2], f32[5,2])
  %1 = result %0 {index=0} : f32[2]
  %2 = result %0 {index=3} : f32[5,2]
  return last = %1, all = %2
})"},
    {"trim_unchanged", trim_loops,  // carry 1 stays what it is, and is an operand; its last value is its first
     R"(func @turn(%a: f32[2], %b: f32[2]) {
  %0 = add %a, %b : f32[2]
  return a = %0, b = %b
}
func @main(%a: f32[2], %b: f32[2]) {
  %0 = scan %a, %b {carries=2, slices=0, length=5, reverse=0, body=@turn} : (f32[2], f32[2])
  %1 = result %0 {index=0} : f32[2]
  %2 = result %0 {index=1} : f32[2]
  return a = %1, b = %2
})"},
    {"trim_constants", trim_loops,  // slices of zeros, and an operand of ones
     R"(func @turn(%a: f32[2], %x: f32[2], %w: f32[2]) {
  %0 = add %a, %x : f32[2]
  %1 = mul %0, %w : f32[2]
  return a = %1
}
func @main(%a: f32[2]) {
  %0 = constant {value=0} : f32[]
  %1 = broadcast %0 : f32[5,2]
  %2 = constant {value=2} : f32[]
  %3 = broadcast %2 : f32[2]
  %4 = scan %a, %1, %3 {carries=1, slices=1, length=5, reverse=1, body=@turn} : (f32[2])
  %5 = result %4 {index=0} : f32[2]
  return %5
})"},
    {"trim_stacks", trim_loops,  // the same value, stacked twice, is stacked once
     R"(func @turn(%a: f32[2]) {
  %0 = exp %a : f32[2]
  return a = %0, y = %0, z = %0
}
func @main(%a: f32[2]) {
  %0 = scan %a {carries=1, slices=0, length=5, reverse=0, body=@turn} : (f32[2], f32[5,2], f32[5,2])
  %1 = result %0 {index=1} : f32[5,2]
  %2 = result %0 {index=2} : f32[5,2]
  return y = %1, z = %2
})"},
    {"sink", sink_into_loops,  // x * 2 + bias, which the scan alone reads
     R"(func @turn(%a: f32[2], %x: f32[2]) {
  %0 = add %a, %x : f32[2]
  return a = %0
}
func @main(%a: f32[2], %x: f32[5,2], %bias: f32[2]) {
  %0 = constant {value=2} : f32[]
  %1 = broadcast %0 : f32[5,2]
  %2 = mul %x, %1 : f32[5,2]
  %3 = broadcast %bias {axes=[1]} : f32[5,2]
  %4 = add %2, %3 : f32[5,2]
  %5 = scan %a, %4 {carries=1, slices=1, length=5, reverse=0, body=@turn} : (f32[2])
  %6 = result %5 {index=0} : f32[2]
  return %6
})"},
    {"sink_not", sink_into_loops,  // read elsewhere too; of two arrays; dear; of what changes from turn to turn
     R"(func @turn(%a: f32[2], %x: f32[2], %y: f32[2], %z: f32[2], %u: f32[2]) {
  %0 = add %a, %x : f32[2]
  %1 = add %0, %y : f32[2]
  %2 = add %1, %z : f32[2]
  %3 = add %2, %u : f32[2]
  return a = %3
}
func @main(%a: f32[2], %x: f32[5,2], %y: f32[5,2], %s: f32[5]) {
  %0 = neg %x : f32[5,2]
  %1 = add %x, %y : f32[5,2]
  %2 = tanh %x : f32[5,2]
  %3 = broadcast %s {axes=[0]} : f32[5,2]
  %4 = mul %y, %3 : f32[5,2]
  %5 = scan %a, %0, %1, %2, %4 {carries=1, slices=4, length=5, reverse=0, body=@turn} : (f32[2])
  %6 = result %5 {index=0} : f32[2]
  return %6, %0
})"},
    {"share_same", share_turns,  // two scans that carry the same, and stack different values
     R"(func @one(%a: f32[2], %x: f32[2]) {
  %0 = add %a, %x : f32[2]
  return a = %0, y = %0
}
func @two(%b: f32[2], %y: f32[2]) {
  %0 = add %b, %y : f32[2]
  %1 = exp %0 : f32[2]
  return b = %0, z = %1, y = %0
}
func @main(%a: f32[2], %x: f32[5,2]) {
  %0 = scan %a, %x {carries=1, slices=1, length=5, reverse=0, body=@one} : (f32[2], f32[5,2])
  %1 = result %0 {index=1} : f32[5,2]
  %2 = scan %a, %x {carries=1, slices=1, length=5, reverse=0, body=@two} : (f32[2], f32[5,2], f32[5,2])
  %3 = result %2 {index=0} : f32[2]
  %4 = result %2 {index=1} : f32[5,2]
  %5 = result %2 {index=2} : f32[5,2]
  return %1, %3, %4, %5
})"},
    {"share_not", share_turns,  // backwards; another start; another function
     R"(func @one(%a: f32[2], %x: f32[2]) {
  %0 = add %a, %x : f32[2]
  return a = %0
}
func @two(%a: f32[2], %x: f32[2]) {
  %0 = mul %a, %x : f32[2]
  return a = %0
}
func @main(%a: f32[2], %b: f32[2], %x: f32[5,2]) {
  %0 = scan %a, %x {carries=1, slices=1, length=5, reverse=0, body=@one} : (f32[2])
  %1 = result %0 {index=0} : f32[2]
  %2 = scan %a, %x {carries=1, slices=1, length=5, reverse=1, body=@one} : (f32[2])
  %3 = result %2 {index=0} : f32[2]
  %4 = scan %b, %x {carries=1, slices=1, length=5, reverse=0, body=@one} : (f32[2])
  %5 = result %4 {index=0} : f32[2]
  %6 = scan %a, %x {carries=1, slices=1, length=5, reverse=0, body=@two} : (f32[2])
  %7 = result %6 {index=0} : f32[2]
  return %1, %3, %5, %7
})"},
    {"share_saved", share_turns,  // the second one, backwards, needs the contraction of the first one's turn
     R"(func @turn(%h: f32[2,3], %x: f32[2,3], %w: f32[3,3]) {
  %0 = contract %h, %w {lhs=[1], rhs=[0]} : f32[2,3]
  %1 = add %0, %x : f32[2,3]
  %2 = tanh %1 : f32[2,3]
  return h = %2, before = %h
}
func @back(%d: f32[2,3], %h: f32[2,3], %x: f32[2,3], %w: f32[3,3]) {
  %0 = contract %h, %w {lhs=[1], rhs=[0]} : f32[2,3]
  %1 = add %0, %x : f32[2,3]
  %2 = tanh %1 : f32[2,3]
  %3 = mul %d, %2 : f32[2,3]
  %4 = contract %3, %w {lhs=[1], rhs=[1]} : f32[2,3]
  return d = %4
}
func @main(%h: f32[2,3], %d: f32[2,3], %x: f32[5,2,3], %w: f32[3,3]) {
  %0 = scan %h, %x, %w {carries=1, slices=1, length=5, reverse=0, body=@turn} : (f32[2,3], f32[5,2,3])
  %1 = result %0 {index=0} : f32[2,3]
  %2 = result %0 {index=1} : f32[5,2,3]
  %3 = scan %d, %2, %x, %w {carries=1, slices=2, length=5, reverse=1, body=@back} : (f32[2,3])
  %4 = result %3 {index=0} : f32[2,3]
  return %1, %4
})"},
};

}  // namespace

TEST_CASE("what the passes over loops leave of them", "[golden]") {
  std::string all;
  for (const Case& c : kCases) {
    INFO(c.name);
    const Graph g = parse_graph(c.text), after = c.pass(g);
    verify(after);
    CHECK(c.pass(after) == after);
    if (std::string(c.name).ends_with("_not")) CHECK(after == g);
    for (std::uint64_t seed = 1; seed < 4; ++seed)
      test::compare(
          g, [&](const Graph& h, std::span<const Array> in) { return interpret(c.pass(h), in); }, seed,
          test::Values::special);
    all += fmt::format("// {}\n{}\n", c.name, print(after));
  }
  check_golden("turns/cases", all);
}

TEST_CASE("gradients of random loops keep their bits through all passes") {
  int loops = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Graph g = test::random_graph(seed, {.nodes = 20, .dtypes = {f32, f64}, .bodies = true});
    std::vector<ValueId> wrt;
    for (const Input& i : g.inputs())
      if (is_float(g[i.id].type.dtype) && i.kind == InputKind::data) wrt.push_back(i.id);
    ValueId loss = kNoValue;
    for (const Output& o : g.outputs())
      if (is_float(g[o.id].type.dtype)) loss = o.id;
    if (loss == kNoValue || wrt.empty()) continue;
    Builder b{g, kHere};
    while (!g[loss].type.shape.empty()) loss = b.reduce(Op::reduce_sum, loss, 0);
    std::vector<ValueId> gradients;
    try {
      gradients = differentiate(g, loss, wrt, kHere);
    } catch (const Error&) {
      continue;  // of an op that has no gradient
    }
    for (std::size_t i = 0; i < gradients.size(); ++i) g.output(fmt::format("gradient{}", i), gradients[i]);
    INFO("seed " << seed);
    const PipelineOptions options{.verify = true, .loop_turns = 2};
    test::compare(
        g,
        [&](const Graph& h, std::span<const Array> in) {
          const Graph fused = optimize(h, options);
          for (ValueId v = 0; v < fused.size(); ++v) loops += fused[v].op == Op::scan;
          return interpret(make_program(fused, GpuTarget{}, options), in);
        },
        seed);
  }
  CHECK(loops > 30);
}

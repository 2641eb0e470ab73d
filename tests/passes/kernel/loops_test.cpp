// Scans as loops of kernels: the bits of the graph, before loops are unrolled and after.
#include "catch.h"
#include "golden.h"
#include "ir/graph/body.h"
#include "passes/graph/trim.h"
#include "passes/pipeline.h"
#include "random_graph.h"

using namespace weft;

namespace {

const PipelineOptions kAlways{.verify = true, .loop_turns = 0};

/// The program as it is before `unroll`.
Program with_loops(const Graph& g, const PipelineOptions& options = kAlways) {
  Function f = optimize(g, options);
  for (const char* pass : {"lower", "order"}) f = run_pass(pass, std::move(f), CpuTarget{}, options);
  return std::get<Program>(std::move(f));
}

/// s = tanh(s * w + x[t]), stacked; the last s and all of them.
const char* kCell = R"(func @cell(%s: f32[4,8], %x: f32[4,8], %w: f32[8,8]) {
  %0 = contract %s, %w {lhs=[1], rhs=[0]} : f32[4,8]
  %1 = add %0, %x : f32[4,8]
  %2 = tanh %1 : f32[4,8]
  return %2, %2
}
func @main(%x: f32[6,4,8], %w: f32[8,8], %s: f32[4,8]) {
  %0 = scan %s, %x, %w {carries=1, slices=1, length=6, reverse=0, body=@cell} : (f32[4,8], f32[6,4,8])
  %1 = result %0 {index=0} : f32[4,8]
  %2 = result %0 {index=1} : f32[6,4,8]
  return %1, %2
}
)";

}  // namespace

TEST_CASE("random graphs keep their bits as loops, and as what those become") {
  int loops = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const Graph g = test::random_graph(seed, {.bodies = true});
    INFO("seed " << seed);
    test::compare(
        g,
        [&](const Graph& h, std::span<const Array> in) {
          const Program p = with_loops(h);
          loops += !p.loops.empty();
          const std::string text = print(p);
          CHECK(print(parse_program(text)) == text);
          return interpret(p, in);
        },
        seed);
    test::compare(
        g,
        [&](const Graph& h, std::span<const Array> in) {
          return interpret(make_program(optimize(h, kAlways), CpuTarget{}, kAlways), in);
        },
        seed);
  }
  CHECK(loops > 40);
}

TEST_CASE("loops in loops, backwards and forwards, of what the outer one slices, carries and stacks") {
  for (const int outer : {0, 1})
    for (const int inner : {0, 1})
      for (const int length : {0, 1, 5}) {
        const Graph g = parse_graph(fmt::format(R"(func @inner(%s: i32[3], %x: i32[3], %r: i32[2,3], %w: i32[3]) {{
  %0 = reduce_sum %r {{axis=0}} : i32[3]
  %1 = mul %s, %w : i32[3]
  %2 = add %1, %x : i32[3]
  %3 = add %2, %0 : i32[3]
  return r0 = %3, r1 = %s, r2 = %3, r3 = %x, r4 = %w
}}
func @outer(%a: i32[3], %b: i32[3], %r: i32[2,3], %x: i32[{2},3], %w: i32[3]) {{
  %0 = scan %a, %x, %r, %w {{carries=1, slices=1, length={2}, reverse={1}, body=@inner}} : (i32[3], i32[{2},3], i32[{2},3], i32[{2},3], i32[{2},3])
  %1 = result %0 {{index=0}} : i32[3]
  %2 = result %0 {{index=1}} : i32[{2},3]
  %3 = result %0 {{index=2}} : i32[{2},3]
  %4 = result %0 {{index=3}} : i32[{2},3]
  %5 = result %0 {{index=4}} : i32[{2},3]
  %6 = concat %2, %3 {{axis=0}} : i32[{3},3]
  return r0 = %b, r1 = %1, r2 = %6, r3 = %4, r4 = %5, r5 = %r, r6 = %b
}}
func @main(%a: i32[3], %b: i32[3], %r: i32[4,2,3], %x: i32[{2},3], %w: i32[3]) {{
  %0 = scan %a, %b, %r, %x, %w {{carries=2, slices=1, length=4, reverse={0}, body=@outer}} : (i32[3], i32[3], i32[4,{3},3], i32[4,{2},3], i32[4,{2},3], i32[4,2,3], i32[4,3])
  %1 = result %0 {{index=0}} : i32[3]
  %2 = result %0 {{index=1}} : i32[3]
  %3 = result %0 {{index=2}} : i32[4,{3},3]
  %4 = result %0 {{index=3}} : i32[4,{2},3]
  %5 = result %0 {{index=4}} : i32[4,{2},3]
  %6 = result %0 {{index=5}} : i32[4,2,3]
  %7 = result %0 {{index=6}} : i32[4,3]
  return %1, %2, %3, %4, %5, %6, %7
}}
)",
                                                outer, inner, length, 2 * length));
        INFO(print(g));
        for (std::uint64_t seed : {1u, 2u})
          test::compare(
              g,
              [&](const Graph& h, std::span<const Array> in) {
                const Program p = with_loops(h);
                CHECK(std::ranges::any_of(p.kernels, [](const Kernel& k) { return k.turns == 2; }) == (length > 0));
                Evaluation looped = interpret(p, in),
                           listed = interpret(make_program(optimize(h, kAlways), GpuTarget{}, kAlways), in);
                for (std::size_t i = 0; i < looped.outputs.size(); ++i)
                  CHECK(looped.outputs[i].same_bits(listed.outputs[i]));
                return looped;
              },
              seed);
      }
}

TEST_CASE("a loop in a loop reads whole what the outer one stacks, carries, slices or has from outside") {
  // What the inner scan reads: a value that is stacked, under another shape too, a new and an old carry, a slice, a
  // piece of a concat that is stacked, and an operand of the outer one.
  const char* const kReshaped = "  %f = reshape %t : f32[9]\n  %g = neg %f : f32[9]\n  %r = reshape %g : f32[3,3]\n";
  const char* const reads[] = {"%t", "%a", "%x", "%c", "%w", "%p", "%r"};
  for (const char* const read : reads)
    for (const int reverse : {0, 1}) {
      const Graph g = parse_graph(fmt::format(R"(func @inner(%w: f32[3,3]) {{
  %0 = sin %w : f32[3,3]
  return y = %0
}}
func @outer(%a: f32[3,3], %x: f32[3,3], %w: f32[3,3]) {{
  %t = tanh %x : f32[3,3]
  %c = contract %a, %t {{lhs=[1], rhs=[0]}} : f32[3,3]
  %p = exp %c : f32[3,3]
  %q = concat %p, %t {{axis=0}} : f32[6,3]
{2}  %3 = scan {0} {{carries=0, slices=0, length=6, reverse=0, body=@inner}} : (f32[6,3,3])
  %4 = result %3 {{index=0}} : f32[6,3,3]
  return c = %c, t = %t, q = %q, y = %4
}}
func @main(%a: f32[3,3], %x: f32[5,3,3], %w: f32[3,3]) {{
  %0 = scan %a, %x, %w {{carries=1, slices=1, length=5, reverse={1}, body=@outer}} : (f32[3,3], f32[5,3,3], f32[5,6,3], f32[5,6,3,3])
  %1 = result %0 {{index=0}} : f32[3,3]
  %2 = result %0 {{index=1}} : f32[5,3,3]
  %3 = result %0 {{index=2}} : f32[5,6,3]
  %4 = result %0 {{index=3}} : f32[5,6,3,3]
  return %1, %2, %3, %4
}}
)",
                                              read, reverse, std::string_view(read) == "%r" ? kReshaped : ""));
      INFO(read);
      test::compare(
          g, [&](const Graph& h, std::span<const Array> in) { return interpret(with_loops(h), in); }, 1);
      test::compare(
          g,
          [&](const Graph& h, std::span<const Array> in) {
            return interpret(make_program(optimize(h, kAlways), CpuTarget{}, kAlways), in);
          },
          2);
    }
}

TEST_CASE("a recurrent cell is a loop of one kernel and a copy", "[golden]") {
  check_golden("loops/cell", print(with_loops(parse_graph(kCell))));
}

// inline_bodies(): nothing of the class control is left, and every bit stays.
#include "passes/graph/inline.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "error_of.h"
#include "ir/graph/body.h"
#include "ir/graph/build.h"
#include "passes/pipeline.h"
#include "passes/transform/autodiff.h"
#include "random_graph.h"

using namespace weft;

namespace {

constexpr std::int64_t kAllTurns = std::numeric_limits<std::int64_t>::max();
const LocSet kHere = LocSet::of(std::source_location::current());

/// x > 0 ? log x : x, by a cond.
const char* kLog = R"(func @log(%x: f64[]) {
  %0 = log %x : f64[] // model.cpp:2
  return %0
}
func @same(%x: f64[]) {
  return %x
}
func @main(%x: f64[], %p: bool[]) {
  %0 = cond %p, %x {then=@log, else=@same} : (f64[])
  %1 = result %0 {index=0} : f64[] // model.cpp:1
  return %1
}
)";

bool has_bodies(const Graph& g) {
  for (ValueId id = 0; id < g.size(); ++id)
    if (info(g[id].op).cls == OpClass::control) return true;
  return false;
}

}  // namespace

TEST_CASE("inlined random graphs have no functions and keep every bit") {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const Graph g = test::random_graph(seed, {.bodies = true});
    found += has_bodies(g);
    test::compare(
        g,
        [](const Graph& h, std::span<const Array> in) {
          const Graph inlined = inline_bodies(h, kAllTurns);
          verify(inlined);
          CHECK_FALSE(has_bodies(inlined));
          return interpret(inlined, in);
        },
        seed, test::Values::special);
  }
  CHECK(found > 200);
}

TEST_CASE("what was inlined names the lines of the function and of the call") {
  const Graph g = inline_bodies(parse_graph(kLog, "m"));
  for (ValueId id = 0; id < g.size(); ++id) {
    if (g[id].op == Op::log) CHECK(g[id].locs.str() == "model.cpp:2");
    if (g[id].op == Op::select) CHECK(g[id].locs.str().find("model.cpp:1") != std::string::npos);
  }
}

TEST_CASE("the branch that is not taken has no part in a gradient") {
  Graph g = parse_graph(kLog, "m");
  const ValueId x = g.find_input("x");
  g.output("dx", differentiate(g, g.outputs()[0].id, std::span(&x, 1), kHere)[0]);
  const ValueId again = differentiate(g, g.outputs()[1].id, std::span(&x, 1), kHere)[0];
  g.output("ddx", again);
  verify(g);
  for (const bool positive : {true, false})
    for (const double value : {2.0, 0.0, -1.0}) {
      if (positive != (value > 0)) continue;
      const std::vector<Array> in{Array::scalar(value), Array::scalar(positive)};
      for (const Graph& h : {g, inline_bodies(g), optimize(g)}) {
        const Evaluation e = interpret(h, in);
        CHECK(e.outputs[1].item<double>() == (positive ? 1 / value : 1));
        CHECK(e.outputs[2].item<double>() == (positive ? -1 / (value * value) : 0));
      }
    }
}

TEST_CASE("a graph that would grow too large is refused") {
  Graph f;
  f.name = "f0";
  f.output("y", Builder{f, kHere}.neg(f.input("x", {f32, {}}, InputKind::data, kHere)));
  for (int i = 1; i < 20; ++i) {
    const BodyRef body = make_body(f);
    Graph next;
    next.name = "f" + std::to_string(i);
    Builder b{next, kHere};
    ValueId v = next.input("x", {f32, {}}, InputKind::data, kHere);
    for (int c = 0; c < 2; ++c) v = b.op(Op::result, {b.op(Op::call, {v}, Attrs::functions({body}))}, Attrs::index(0));
    next.output("y", v);
    f = std::move(next);
  }
  const BodyRef body = make_body(f);
  Graph g;
  Builder b{g, kHere};
  ValueId v = g.input("x", {f32, {}}, InputKind::data, kHere);
  for (int c = 0; c < 64; ++c) v = b.op(Op::result, {b.op(Op::call, {v}, Attrs::functions({body}))}, Attrs::index(0));
  g.output("y", v);
  CHECK(error_of([&] { inline_bodies(g); }).find("nodes with those of the functions that it calls") !=
        std::string::npos);
}

TEST_CASE("a loop that would be repeated too often is refused before it grows") {
  const auto text = [](std::string_view body) {
    return fmt::format(
        "func @turn(%x: f32[]) {{\n  {}\n}}\nfunc @main(%x: f32[]) {{\n  %0 = scan %x {{carries=1, slices=0, "
        "length=16777216, reverse=0, body=@turn}} : (f32[])\n  %1 = result %0 {{index=0}} : f32[]\n"
        "  return %1\n}}\n",
        body);
  };
  for (std::string_view body : {"return %x", "%0 = neg %x : f32[]\n  return %0"})
    CHECK(error_of([&] {
            inline_bodies(parse_graph(text(body)), kAllTurns);
          }).find("are too many: compiled code repeats the body") != std::string::npos);
}

TEST_CASE("loops whose turns are all the same are refused too, where they are many") {
  std::string text = "func @turn(%x: f32[]) {\n  return %x\n}\nfunc @main(%x: f32[]) {\n";
  for (int i = 0; i < 64; ++i)
    text += fmt::format(
        "  %t{0} = scan {1} {{carries=1, slices=0, length={2}, reverse=0, body=@turn}} : (f32[])\n"
        "  %r{0} = result %t{0} {{index=0}} : f32[]\n",
        i, i ? fmt::format("%r{}", i - 1) : "%x", 1000000 + i);
  CHECK(error_of([&] {
          inline_bodies(parse_graph(text + "  return %r63\n}\n"), kAllTurns);
        }).find("nodes with those of the functions that it calls") != std::string::npos);
}

TEST_CASE("fuse says what must run before it") {
  const Graph g = parse_graph(kLog, "m");
  CHECK(error_of([&] { run_pass("fuse", g); }).find("holds a function; the pass 'inline' runs before") !=
        std::string::npos);
}

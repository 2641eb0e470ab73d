// The interpreter itself: what it checks, what it runs, and that results are the caller's own.
#include <limits>

#include "catch.h"
#include "ir/graph/build.h"
#include "ir/graph/graph.h"

using namespace weft;

namespace {

const LocSet kHere = LocSet::of(std::source_location::current());

Graph scaled_sum() {  // y = a + b * b
  Graph g;
  g.name = "step";
  Builder b{g, kHere};
  const ValueId x = g.input("a", {f32, {2}}, InputKind::data, kHere),
                w = g.input("w", {f32, {2}}, InputKind::state, kHere);
  const ValueId y = b.add(x, b.mul(w, w));
  g.output("y", y);
  g.update(w, y);
  return g;
}

Array vector(std::vector<float> v) { return Array::from(v, {static_cast<std::int64_t>(v.size())}); }

}  // namespace

TEST_CASE("the interpreter returns outputs and updated states") {
  const Evaluation e = interpret(scaled_sum(), std::vector{vector({1, 2}), vector({3, 4})});
  REQUIRE(e.outputs.size() == 1);
  REQUIRE(e.states.size() == 1);
  CHECK(e.outputs[0].same_bits(vector({10, 18})));
  CHECK(e.states[0].same_bits(vector({10, 18})));
}

TEST_CASE("the interpreter names the input that does not fit") {
  const Graph g = scaled_sum();
  CHECK_THROWS_WITH(interpret(g, std::vector{vector({1, 2})}), "@step: got 1 input, expected 2");
  CHECK_THROWS_WITH(interpret(g, std::vector{vector({1, 2}), vector({1, 2, 3})}),
                    "@step: input 1, %w, is f32[3], expected f32[2]");
  CHECK_THROWS_WITH(interpret(g, std::vector{Array(Type{i32, {2}}), vector({1, 2})}),
                    "@step: input 0, %a, is i32[2], expected f32[2]");
  CHECK_THROWS_AS(interpret(g, {}), Error);
}

TEST_CASE("a graph whose batch is not bound cannot be run") {
  Graph g;
  g.output("x", g.input("x", {f32, {kBatch, 3}}, InputKind::data, kHere));
  CHECK_THROWS_WITH(interpret(g, std::vector{Array(Type{f32, {2, 3}})}),
                    "@main: input %x is f32[?,3]: bind its extents before running the graph");
  CHECK(interpret(bind_batch(g, 2), std::vector{Array(Type{f32, {2, 3}})}).outputs[0].type() == Type{f32, {2, 3}});
}

TEST_CASE("results share no memory with inputs, literals or each other") {
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f32, {2}}, InputKind::data, kHere);
  const ValueId c = g.constant(vector({5, 6}), kHere);
  g.output("x", x);
  g.output("again", b.reshape(x, {2, 1}));
  g.output("c", c);
  const std::vector<Array> inputs = {vector({1, 2})};
  Evaluation e = interpret(g, inputs);
  for (Array& y : e.outputs) y.as<float>()[0] = -1;
  CHECK(e.outputs[1].as<float>()[1] == 2);
  CHECK(inputs[0].same_bits(vector({1, 2})));
  CHECK(interpret(g, inputs).outputs[2].same_bits(vector({5, 6})));
}

TEST_CASE("nodes that no result needs are not evaluated") {
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f32, {1}}, InputKind::data, kHere);
  b.broadcast(x, {std::int64_t{1} << 43}, {0});  // 32 TiB, if it were
  g.output("y", b.neg(x));
  CHECK(interpret(g, std::vector{vector({1})}).outputs[0].item<float>() == -1);
}

TEST_CASE("interpreted graphs flush subnormals and leave the caller's mode alone") {
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f32, {1}}, InputKind::data, kHere);
  g.output("y", b.mul(x, b.like(x, 0.5)));
  const float tiny = std::numeric_limits<float>::min();
  CHECK(interpret(g, std::vector{vector({tiny})}).outputs[0].item<float>() == 0);
  volatile float product = tiny;
  product = product * 0.5f;
  CHECK(product != 0);
}

TEST_CASE("size is the extent of an axis, before and after the batch is bound") {
  Graph g;
  const ValueId x = g.input("x", {u8, {kBatch, 3}}, InputKind::data, kHere);
  g.output("rows", g.add(Op::size, {x}, Attrs::axis(0), {}, kHere));
  g.output("columns", g.add(Op::size, {x}, Attrs::axis(1), {}, kHere));
  const Evaluation e = interpret(bind_batch(g, 7), std::vector{Array(Type{u8, {7, 3}})});
  CHECK(e.outputs[0].item<std::int64_t>() == 7);
  CHECK(e.outputs[1].item<std::int64_t>() == 3);
}

// fold(): what is evaluated, what stays a splat, what stays as it is.
#include "passes/graph/fold.h"

#include "catch.h"
#include "golden.h"
#include "ir/graph/build.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {
const LocSet kHere = LocSet::of(Loc{"fold", 1, 0});
}

TEST_CASE("fold by example", "[golden]") {
  const char* text = R"(func @fold(%x: f32[4]) {
  %a = constant {value=[1,2,3,4]} : f32[4]
  %b = constant {value=[2,2,2,2]} : f32[4]
  %c = mul %a, %b : f32[4]
  %d = add %x, %c : f32[4]
  %s = constant {value=3} : f32[]
  %t = broadcast %s : f32[1000,1000]
  %u = sqrt %t : f32[1000,1000]
  %v = convert %u : f64[1000,1000]
  %i = iota {axis=0} : i32[4]
  %r = reshape %a : f32[2,2]
  %p = transpose %r {perm=[1,0]} : f32[2,2]
  %m = reduce_sum %p {axis=1} : f32[2]
  return d = %d, v = %v, i = %i, m = %m
}
)";
  const Graph out = fold(parse_graph(text, "fold"));
  verify(out);
  check_golden("fold/example", std::string(text) + "\n// after\n" + print(out));
}

TEST_CASE("constants of one value become splats, and large results are not made") {
  Graph g;
  Builder b{g, kHere};
  const ValueId zeros = g.constant(Array(Type{f32, {100, 100}}), kHere);
  const ValueId row = g.constant(random_array({f32, {100}}, *std::make_unique<Rng>(1)), kHere);
  g.output("zeros", zeros);
  g.output("table", b.broadcast(row, {100, 100}, {1}));
  g.output("sum", b.add(b.broadcast(row, {100, 100}, {1}), b.fill({f32, {100, 100}}, 1)));
  const Graph out = fold(g);
  for (ValueId id = 0; id < out.size(); ++id)
    if (out.is_constant(id)) CHECK(out[id].attrs.literal->size() <= 100);
  CHECK(out[out.outputs()[0].id].op == Op::broadcast);
  CHECK(out[out.outputs()[1].id].op == Op::broadcast);
  CHECK(out[out.outputs()[2].id].op == Op::add);
}

TEST_CASE("fold flushes subnormals as the interpreter does") {
  Graph g;
  Builder b{g, kHere};
  const ValueId tiny = b.scalar(f32, 0x1p-126), half = b.scalar(f32, 0.5);
  g.output("y", b.mul(tiny, half));
  const Graph out = fold(g);
  REQUIRE(out.is_constant(out.outputs()[0].id));
  CHECK(out[out.outputs()[0].id].attrs.literal->same_bits(Array::scalar(0.0f)));
}

TEST_CASE("a folded node carries its provenance and that of its operands") {
  Graph g;
  const LocSet there = LocSet::of(Loc{"there", 2, 0});
  const ValueId one = Builder{g, kHere}.scalar(f32, 1);
  g.output("y", Builder{g, there}.op(Op::exp, {one}));
  const Graph out = fold(g);
  CHECK(out.size() == 1);
  CHECK(out[0].locs == (kHere | there));
}

TEST_CASE("fold keeps every bit of random graphs of constants") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    // The inputs become constants, so that nearly all of the graph folds.
    const Graph g = random_graph(seed);
    const std::vector<Array> inputs = random_inputs(g, seed, seed % 2 ? Values::tame : Values::special);
    const auto run = [](const Graph& graph, std::span<const Array> values) {
      Graph constants;
      std::vector<ValueId> map(graph.size(), kNoValue);
      for (std::size_t i = 0; i < graph.inputs().size(); ++i)
        map[graph.inputs()[i].id] = constants.constant(values[i], kHere);
      for (ValueId id = 0; id < graph.size(); ++id) {
        const Node& n = graph[id];
        if (n.op == Op::input) continue;
        std::vector<ValueId> operands;
        for (ValueId v : n.operands) operands.push_back(map[v]);
        map[id] = constants.add(n.op, operands, n.attrs, n.type, n.locs);
      }
      for (const Output& o : graph.outputs()) constants.output(o.name, map[o.id]);
      for (std::size_t i = 0; i < graph.updates().size(); ++i)
        constants.output("update" + std::to_string(i), map[graph.updates()[i].value]);
      const Graph folded = fold(constants);
      verify(folded);
      Evaluation e = interpret(folded, {});
      e.states.assign(e.outputs.end() - static_cast<std::ptrdiff_t>(graph.updates().size()), e.outputs.end());
      e.outputs.resize(graph.outputs().size());
      return e;
    };
    compare(g, run, seed, seed % 2 ? Values::tame : Values::special);
  }
}

// canonicalize(): contractions of every layout keep their bits and come out with one axis for each role.
#include "passes/graph/canonicalize.h"

#include "catch.h"
#include "golden.h"
#include "ir/graph/build.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

const LocSet kHere = LocSet::of(Loc{"canonicalize", 1, 0});

void check_canonical(const Graph& g) {
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (n.op == Op::scatter_add) CHECK(g[n.operands[1]].type.shape.rank() == 1);
    if (n.op != Op::contract) continue;
    const Dims &lhs = n.attrs[Attr::lhs], &batch = n.attrs[Attr::lhs_batch];
    CHECK(lhs.rank() == 1);
    CHECK(batch.rank() <= 1);
    for (ValueId v : n.operands) CHECK(g[v].type.shape.rank() - lhs.rank() - batch.rank() <= 1);
  }
}

}  // namespace

TEST_CASE("canonicalize by example", "[golden]") {
  const char* text =
      R"(func @canonicalize(%x: f32[2,3,4,5], %y: f32[4,5,7], %z: f32[5,3,6], %v: f32[1,7], %k: i32[2,3], %u: f32[2,3,7]) {
  %a = contract %x, %y {lhs=[2,3], rhs=[0,1]} : f32[2,3,7]
  %b = contract %x, %y {lhs=[3,2], rhs=[1,0]} : f32[2,3,7]
  %c = contract %x, %z {lhs=[3], rhs=[0], lhs_batch=[1], rhs_batch=[1]} : f32[3,2,4,6]
  %d = contract %v, %v : f32[1,7,1,7]
  %e = contract %v, %v {lhs=[0,1], rhs=[0,1]} : f32[]
  %f = scatter_add %y, %k, %g {axis=0} : f32[4,5,7]
  return a = %a, b = %b, c = %c, d = %d, e = %e, f = %f
}
)";
  std::string valid = text;
  valid.replace(valid.find("%g {axis"), 2, "%h");
  valid.insert(valid.find("  %f ="), "  %h = broadcast %u {axes=[0,1,3]} : f32[2,3,5,7]\n");
  const Graph g = parse_graph(valid, "canonicalize");
  const Graph out = canonicalize(g);
  verify(out);
  check_canonical(out);
  check_golden("canonicalize/example", valid + "\n// after\n" + print(out));
}

TEST_CASE("contractions of random layouts keep their bits") {
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    Rng rng(seed);
    Graph g;
    const auto operand = [&](const char* name) {
      Shape s;
      for (int rank = static_cast<int>(rng.below(6)); rank > 0; --rank)
        s.push_back(rng.chance(0.03) ? 0 : rng.chance(0.05) ? 40 : rng.between(1, 3));
      static const DType kTypes[] = {f32, f64, i32, i64};
      return g.input(name, {seed % 5 ? f32 : kTypes[seed / 5 % 4], s}, InputKind::data, kHere);
    };
    const ValueId x = operand("x"), y = operand("y");
    const ValueId z = add_random(g, Op::contract, {x, y}, rng, kHere);
    if (z == kNoValue || element_count(g[z].type.shape) > 20000) continue;
    g.output("z", z);
    const auto run = [](const Graph& graph, std::span<const Array> inputs) {
      const Graph out = canonicalize(graph);
      verify(out);
      check_canonical(out);
      CHECK(canonicalize(out) == out);
      return interpret(out, inputs);
    };
    compare(g, run, seed);
  }
}

TEST_CASE("sums longer than a chunk keep their order") {
  for (const char* attrs : {"{lhs=[1,2], rhs=[0,1]}", "{lhs=[2,1], rhs=[1,0]}"}) {
    const Graph g = parse_graph(std::string("func @f(%x: f32[3,40,50], %y: f32[40,50,2]) {\n  %z = contract %x, %y ") +
                                attrs + " : f32[3,2]\n  return %z\n}\n");
    compare(
        g, [](const Graph& graph, std::span<const Array> inputs) { return interpret(canonicalize(graph), inputs); }, 7);
  }
}

TEST_CASE("canonicalize keeps every bit of random graphs") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed)
    compare(
        random_graph(seed),
        [](const Graph& graph, std::span<const Array> inputs) {
          const Graph out = canonicalize(graph);
          verify(out);
          check_canonical(out);
          return interpret(out, inputs);
        },
        seed);
}

TEST_CASE("a contraction over the unbound batch waits for bind_batch") {
  const Graph g = parse_graph(
      "func @f(%x: f32[?,4,1], %y: f32[?,2]) {\n  %z = contract %x, %y {lhs=[0], rhs=[0]} : f32[4,1,2]\n  return "
      "%z\n}\n");
  CHECK(canonicalize(g) == g);
  check_canonical(canonicalize(bind_batch(g, 3)));
}

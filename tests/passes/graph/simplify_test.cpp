// simplify(): what a graph looks like before and after, that it keeps the function, and that it is fast.
#include "passes/graph/simplify.h"

#include <chrono>

#include "catch.h"
#include "golden.h"
#include "ir/graph/build.h"
#include "passes/transform/autodiff.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

const LocSet kHere = LocSet::of(Loc{"simplify", 1, 0});

std::string ledger_text(const Ledger& ledger) {
  std::string s;
  for (const auto& [rule, count] : ledger) s += fmt::format("// {} {}\n", rule, count);
  return s;
}

}  // namespace

TEST_CASE("simplify by example", "[golden]") {
  struct {
    const char* name;
    const char* text;
    Numerics mode;
  } const cases[] = {
      {"algebra", R"(func @algebra(%x: f32[8], %y: f32[8], %n: i32[8]) {
  %one = constant {value=1} : f32[]
  %ones = broadcast %one : f32[8]
  %half = constant {value=0.5} : f32[]
  %halves = broadcast %half : f32[8]
  %a = add %x, %y : f32[8]
  %b = mul %a, %ones : f32[8]
  %c = neg %b : f32[8]
  %d = sub %x, %c : f32[8]
  %e = div %d, %halves : f32[8]
  %zero = constant {value=0} : i32[]
  %zeros = broadcast %zero : i32[8]
  %m = add %n, %zeros : i32[8]
  %k = sub %m, %n : i32[8]
  return e = %e, k = %k
}
)",
       Numerics::exact},
      {"fast", R"(func @fast(%x: f32[8], %y: f32[8]) {
  %three = constant {value=3} : f32[]
  %threes = broadcast %three : f32[8]
  %a = mul %x, %threes : f32[8]
  %b = mul %a, %threes : f32[8]
  %c = add %b, %y : f32[8]
  %d = div %c, %threes : f32[8]
  return %d
}
)",
       Numerics::fast},
      {"structure", R"(func @structure(%x: f32[4,6], %s: f32[]) {
  %a = transpose %x {perm=[1,0]} : f32[6,4]
  %b = transpose %a {perm=[1,0]} : f32[4,6]
  %c = reshape %b : f32[2,2,6]
  %d = reshape %c : f32[4,6]
  %l = slice %d {start=[0,0], limit=[4,2], stride=[1,1]} : f32[4,2]
  %r = slice %d {start=[0,2], limit=[4,6], stride=[1,1]} : f32[4,4]
  %e = concat %l, %r {axis=1} : f32[4,6]
  %t = broadcast %s : f32[4,6]
  %u = exp %t : f32[4,6]
  %v = transpose %u {perm=[1,0]} : f32[6,4]
  %w = contract %v, %e {lhs=[1], rhs=[0]} : f32[6,6]
  return %w
}
)",
       Numerics::exact},
  };
  for (const auto& c : cases) {
    const Graph g = parse_graph(c.text, c.name);
    Ledger ledger;
    const Graph out = simplify(g, {c.mode, &ledger});
    verify(out);
    check_golden(std::string("simplify/") + c.name,
                 std::string(c.text) + "\n// after\n" + print(out) + ledger_text(ledger));
  }
}

TEST_CASE("the backward pass of a dense layer has no trace of how it was made", "[golden]") {
  const char* text = R"(func @dense(%x: f32[16,8], state %w: f32[8,4], state %b: f32[4]) {
  %z = contract %x, %w {lhs=[1], rhs=[0]} : f32[16,4]
  %c = broadcast %b {axes=[1]} : f32[16,4]
  %a = add %z, %c : f32[16,4]
  %zero = constant {value=0} : f32[]
  %zeros = broadcast %zero : f32[16,4]
  %m = max %a, %zeros : f32[16,4]
  %positive = gt %m, %zeros : bool[16,4]
  %stopped = stop_gradient %m : f32[16,4]
  %h = select %positive, %a, %stopped : f32[16,4]
  %flat = reshape %h : f32[64]
  %sum = reduce_sum %flat {axis=0} : f32[]
  %n = constant {value=64} : f32[]
  %loss = div %sum, %n : f32[]
  return %loss
}
)";
  Graph g = parse_graph(text, "dense");
  const ValueId wrt[] = {g.find_input("w"), g.find_input("b")};
  const std::vector<ValueId> d = differentiate(g, g.outputs()[0].id, wrt, kHere);
  Builder b{g, kHere};
  for (std::size_t i = 0; i < d.size(); ++i) g.update(wrt[i], b.sub(wrt[i], b.mul(d[i], b.like(d[i], 0.1))));
  check_golden("simplify/dense_gradient",
               std::string(text) + "\n// after grad, SGD and simplify\n" + print(simplify(g)));
}

TEST_CASE("simplify keeps every bit of random graphs and reaches a fixpoint") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const Graph g = random_graph(seed);
    const auto run = [](const Graph& graph, std::span<const Array> inputs) {
      const Graph out = simplify(graph);
      verify(out);
      return interpret(out, inputs);
    };
    compare(g, run, seed, seed % 2 ? Values::tame : Values::special);
    const Graph once = simplify(g);
    INFO("seed " << seed << "\n" << print(once));
    CHECK(simplify(once) == once);
  }
}

TEST_CASE("simplify keeps every bit of gradients") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RandomGraphOptions options;
    options.nodes = 15;
    options.dtypes = {f32};
    Graph g = random_graph(seed, options);
    std::vector<ValueId> wrt;
    for (const Input& i : g.inputs())
      if (g[i.id].type.dtype == f32) wrt.push_back(i.id);
    Builder b{g, kHere};
    ValueId loss = b.scalar(f32, 0);
    for (const Output& o : g.outputs())
      if (g[o.id].type.dtype == f32) {
        const ValueId flat = b.reshape(o.id, {element_count(g[o.id].type.shape)});
        loss = b.add(loss, b.reduce(Op::reduce_sum, flat, 0));
      }
    for (ValueId d : differentiate(g, loss, wrt, kHere)) g.output("d" + std::to_string(g.outputs().size()), d);
    compare(
        g, [](const Graph& graph, std::span<const Array> inputs) { return interpret(simplify(graph), inputs); }, seed);
  }
}

TEST_CASE("provenance of all ops that a node stands for survives") {
  Graph g;
  const ValueId x = g.input("x", {f32, {4}}, InputKind::data, kHere);
  const auto at = [&](std::uint32_t line) { return Builder{g, LocSet::of(Loc{"m.cpp", line, 0})}; };
  const ValueId sum = at(1).add(x, x), minus = at(2).neg(sum), plus = at(3).neg(minus), one = at(4).like(x, 1);
  g.output("y", at(5).mul(plus, one));
  const Graph out = simplify(g);
  CHECK(print(out) == "func @main(%x: f32[4]) {\n  %0 = add %x, %x : f32[4]\n  return y = %0\n}\n");
  CHECK(out[out.outputs()[0].id].locs.str() == "m.cpp:1, m.cpp:2, m.cpp:3, m.cpp:5");  // line 4 made only the constant
}

TEST_CASE("fast rules wait for fast mode, and the ledger names what fired") {
  Graph g;
  const ValueId x = g.input("x", {f32, {4}}, InputKind::data, kHere);
  Builder b{g, kHere};
  g.output("y", b.add(b.mul(x, x), b.like(x, 0)));
  Ledger exact, fast;
  CHECK(simplify(g, {Numerics::exact, &exact}) == g);
  CHECK(exact.empty());
  CHECK(simplify(g, {Numerics::fast, &fast}).size() == 2);
  CHECK(fast == Ledger{{"add_zero", 1}});
}

TEST_CASE("rules apply before the batch is bound") {
  const Graph g = parse_graph(R"(func @f(%x: f32[?,4], %s: f32[]) {
  %a = broadcast %s : f32[?,4]
  %b = exp %a : f32[?,4]
  %c = reshape %x : f32[?,2,2]
  %d = reshape %c : f32[?,4]
  %e = mul %b, %d : f32[?,4]
  return %e
}
)");
  CHECK(print(simplify(g)) ==
        "func @f(%x: f32[?,4], %s: f32[]) {\n  %0 = exp %s : f32[]\n  %1 = broadcast %0 : f32[?,4]\n"
        "  %2 = mul %1, %x : f32[?,4]\n  return e = %2\n}\n");
}

TEST_CASE("a graph of 100,000 nodes is simplified in linear time") {
  Graph g;
  const ValueId x = g.input("x", {f32, {4}}, InputKind::data, kHere);
  Builder b{g, kHere};
  ValueId v = x;
  const ValueId one = b.like(x, 1);
  while (g.size() < 100000) v = b.mul(b.neg(b.neg(b.add(v, x))), one);
  g.output("y", v);
  const auto start = std::chrono::steady_clock::now();
  const Graph out = simplify(g);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CHECK(out.size() == 25001);
  CHECK(seconds < 10);  // 0.3 s; a quadratic walk would take minutes
}

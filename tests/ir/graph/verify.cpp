// The graph verifier: each invariant of ir/graph/verify.cpp, broken. Graph's own interface cannot break most of them,
// so the tests write through the const reference that it hands out.
#include "catch.h"
#include "ir/graph/build.h"
#include "ir/graph/graph.h"

using namespace weft;

namespace {

std::string verify_error(const Graph& g) {
  try {
    verify(g);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

Node& node(Graph& g, ValueId id) { return const_cast<Node&>(g[id]); }
LocSet at_line(std::uint32_t line) { return LocSet::of(Loc{"m.cpp", line, 5}); }

// x: f32[2,3] (0), w: state f32[2,3] (1), neg (2), exp (3), add (4), a constant f32[] (5)
Graph sample() {
  Graph g;
  g.name = "sample";
  const ValueId x = g.input("x", {f32, {2, 3}}, InputKind::data, at_line(1));
  const ValueId w = g.input("w", {f32, {2, 3}}, InputKind::state, at_line(2));
  const ValueId a = g.add(Op::neg, {x}, {}, {}, at_line(3));
  const ValueId b = g.add(Op::exp, {a}, {}, {}, at_line(4));
  const ValueId c = g.add(Op::add, {a, b}, {}, {}, at_line(5) | at_line(7));
  const ValueId d = g.constant(Array::scalar(1.5f), at_line(6));
  g.output("y", c);
  g.output("d", d);
  g.update(w, c);
  return g;
}

struct Broken {
  const char* message;
  void (*damage)(Graph&);
};

const Broken kBroken[] = {
    {"verify: in graph @sa mple: graph name 'sa mple' is not an identifier", [](Graph& g) { g.name = "sa mple"; }},
    {"verify: in graph @sample: input name '' is no name",
     [](Graph& g) { const_cast<Input&>(g.inputs()[0]).name = ""; }},
    {"verify: in graph @sample: two inputs are named 'w'",
     [](Graph& g) { const_cast<Input&>(g.inputs()[0]).name = "w"; }},
    {"verify: in graph @sample: two outputs are named 'd'",
     [](Graph& g) { const_cast<Output&>(g.outputs()[0]).name = "d"; }},
    {"verify: in graph @sample: two kernels are named 'k'",
     [](Graph& g) { g.add_group({.name = "k"}), g.add_group({.name = "k"}); }},
    {"verify: in graph @sample: kernel name '' is not an identifier", [](Graph& g) { g.add_group({.name = ""}); }},
    {"verify: in graph @sample: input 'w' has no input node of its own",
     [](Graph& g) { const_cast<Input&>(g.inputs()[1]).id = 0; }},
    {"verify: in graph @sample: input 'w' has no input node of its own",
     [](Graph& g) { const_cast<Input&>(g.inputs()[1]).id = 99; }},
    {"verify: in graph @sample: node %0: f32[2,3] from m.cpp:3:5: an input node that is not listed among the inputs",
     [](Graph& g) { node(g, 2).op = Op::input; }},
    {"verify: in graph @sample: node %0 = neg %x : f32[2,3] from an unknown place: has no provenance",
     [](Graph& g) { node(g, 2).locs = {}; }},
    {"verify: in graph @sample: node %0 = neg %x : f16[2,3] from m.cpp:3:5: dtype f16 is reserved",
     [](Graph& g) { node(g, 2).type.dtype = f16; }},
    {"verify: in graph @sample: node %2 = add %0 : f32[2,3] from m.cpp:5:5, m.cpp:7:5: takes 2 operands, found 1",
     [](Graph& g) { node(g, 4).operands.pop_back(); }},
    {"verify: in graph @sample: node %2 = add %0, %2 : f32[2,3] from m.cpp:5:5, m.cpp:7:5: operand %2 does not precede "
     "it",
     [](Graph& g) { node(g, 4).operands[1] = 4; }},
    {"verify: in graph @sample: node %2 = add %0, %?77 : f32[2,3] from m.cpp:5:5, m.cpp:7:5: operand %?77 does not "
     "precede it",
     [](Graph& g) { node(g, 4).operands[1] = 77; }},
    {"verify: in graph @sample: node %0 = neg %x : f32[3,2] from m.cpp:3:5: inference gives f32[2,3]",
     [](Graph& g) {
       node(g, 2).type.shape = {3, 2};
     }},
    {"verify: in graph @sample: node %0 = and %x, %w : f32[2,3] from m.cpp:3:5: does not take f32; it takes i32, i64, "
     "u8, bool",
     [](Graph& g) {
       node(g, 2).op = Op::bit_and, node(g, 2).operands = {0, 1};
     }},
    {"verify: in graph @sample: node %0 = neg %x {low=[1]} : f32[2,3] from m.cpp:3:5: its attributes are not those of "
     "neg",
     [](Graph& g) { node(g, 2).attrs[Attr::low] = {1}; }},
    {"verify: in graph @sample: node %3 = constant : f32[] from m.cpp:6:5: has not got a literal",
     [](Graph& g) { node(g, 5).attrs.literal = nullptr; }},
    {"verify: in graph @sample: node %0 = neg %x {value=1.5} : f32[2,3] from m.cpp:3:5: must not have a literal",
     [](Graph& g) { node(g, 2).attrs.literal = g[5].attrs.literal; }},
    {"verify: in graph @sample: node %3 = constant {value=1.5} : f32[1] from m.cpp:6:5: literal of f32[] declared as "
     "f32[1]",
     [](Graph& g) { node(g, 5).type.shape = {1}; }},
    {"verify: in graph @sample: node %1 = neg %x : f32[2,3] from m.cpp:4:5: equals node %0",
     [](Graph& g) { node(g, 3).op = Op::neg, node(g, 3).operands = {0}; }},
    {"verify: in graph @sample: output 'y' names no value",
     [](Graph& g) { const_cast<Output&>(g.outputs()[0]).id = kNoValue; }},
    {"verify: in graph @sample: update of %x, which is no state",
     [](Graph& g) { const_cast<Update&>(g.updates()[0]).state = 0; }},
    {"verify: in graph @sample: %w is updated with no value",
     [](Graph& g) { const_cast<Update&>(g.updates()[0]).value = 6; }},
    {"verify: in graph @sample: node %3 = constant {value=1.5} : f32[] from m.cpp:6:5: updates %w, which is f32[2,3]",
     [](Graph& g) { const_cast<Update&>(g.updates()[0]).value = 5; }},
    {"verify: in graph @sample: node %0 = neg %x : f32[2,3] from m.cpp:3:5: is in group 0 of 0",
     [](Graph& g) { g.set_group(2, 0); }},
    {"verify: in graph @sample: node %x: f32[2,3] from m.cpp:1:5: an input cannot be in a kernel",
     [](Graph& g) { g.set_group(0, g.add_group({.name = "k"})); }},
    {"verify: in graph @sample: node %2 = add %0, %1 : f32[2,3] from m.cpp:5:5, m.cpp:7:5: the nodes of kernel @k are "
     "not contiguous",
     [](Graph& g) { g.set_group(2, g.add_group({.name = "k"})), g.set_group(4, 0); }},
};

// What the verifier says of a kernel that holds a sum of x: f32[2,3] over axis 1 and, in another, a contraction of it.
std::string kinds_error(Group of_sum, Group of_contraction) {
  Graph g;
  const ValueId x = g.input("x", {f32, {2, 3}}, InputKind::data, at_line(1));
  const ValueId sum = Builder{g, at_line(2)}.reduce(Op::reduce_sum, x, 1);
  const ValueId square = Builder{g, at_line(3)}.contract(x, x, {1}, {1});
  of_sum.name = "a", of_contraction.name = "b";
  g.set_group(sum, g.add_group(std::move(of_sum)));
  g.set_group(square, g.add_group(std::move(of_contraction)));
  return verify_error(g);
}

}  // namespace

TEST_CASE("the verifier knows which kernels an anchor fits") {
  const Group loop{.kind = Group::reduce, .domain = {2, 3}, .axis = 1},
      contract{.kind = Group::contract, .domain = {2, 2}};
  CHECK(kinds_error(loop, contract) == "");
  const std::string sum =
      "verify: in graph @main: node %0 = reduce_sum %x {axis=1} : f32[2] from m.cpp:2:5: does not fit "
      "kernel @a, a ";
  CHECK(kinds_error({.kind = Group::reduce, .domain = {2, 3}, .axis = 0}, contract) == sum + "reduce [2,3] over 0");
  CHECK(kinds_error({.kind = Group::reduce, .domain = {2, 4}, .axis = 1}, contract) == sum + "reduce [2,4] over 1");
  CHECK(kinds_error({.kind = Group::map, .domain = {2}}, contract) == sum + "map [2]");
  const std::string product =
      "verify: in graph @main: node %1 = contract %x, %x {lhs=[1], rhs=[1]} : f32[2,2] from "
      "m.cpp:3:5: does not fit kernel @b, a ";
  CHECK(kinds_error(loop, {.kind = Group::contract, .domain = {2, 3}}) == product + "contract [2,3]");
  CHECK(kinds_error(loop, {.kind = Group::scatter, .domain = {2, 2}}) == product + "scatter [2,2]");
  CHECK(kinds_error(loop, {.kind = Group::concat, .domain = {2, 2}}) == product + "concat [2,2]");
}

TEST_CASE("the verifier accepts a valid graph") {
  CHECK(verify_error(sample()) == "");
  Graph g = sample();
  g.set_group(2, g.add_group({.name = "a"}));
  g.set_group(3, 0);
  g.set_group(4, g.add_group({.name = "b"}));
  CHECK(verify_error(g) == "");
}

TEST_CASE("the verifier names each broken invariant, its node and its lines") {
  for (const Broken& b : kBroken) {
    Graph g = sample();
    b.damage(g);
    CHECK(verify_error(g) == b.message);
  }
}

// Gradients that come from many places and are put together once: those of slices of one value, and those of what every
// turn of a scan uses.
#include <map>

#include "catch.h"
#include "gradient_check.h"
#include "ir/graph/body.h"
#include "passes/transform/autodiff.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

const LocSet kHere = LocSet::of(Loc{"autodiff", 1, 0});

/// A function of one f64 result.
struct Case {
  const char* what;
  const char* text;
};
const Case kCases[] = {
    {"side by side", R"(func @f(%x: f64[2,6]) {
  %a = slice %x {start=[0,0], limit=[2,2], stride=[1,1]} : f64[2,2]
  %b = slice %x {start=[0,2], limit=[2,4], stride=[1,1]} : f64[2,2]
  %c = slice %x {start=[0,4], limit=[2,6], stride=[1,1]} : f64[2,2]
  %d = mul %a, %b : f64[2,2]
  %y = mul %d, %c : f64[2,2]
  return %y
})"},
    {"with gaps, the later one first", R"(func @f(%x: f64[7]) {
  %a = slice %x {start=[4], limit=[6], stride=[1]} : f64[2]
  %b = slice %x {start=[1], limit=[3], stride=[1]} : f64[2]
  %y = mul %a, %b : f64[2]
  return %y
})"},
    {"overlapping", R"(func @f(%x: f64[7]) {
  %a = slice %x {start=[4], limit=[7], stride=[1]} : f64[3]
  %b = slice %x {start=[2], limit=[5], stride=[1]} : f64[3]
  %y = mul %a, %b : f64[3]
  return %y
})"},
    {"of two axes", R"(func @f(%x: f64[4,4]) {
  %a = slice %x {start=[0,0], limit=[4,2], stride=[1,1]} : f64[4,2]
  %b = slice %x {start=[2,0], limit=[4,4], stride=[1,1]} : f64[2,4]
  %c = reshape %b : f64[4,2]
  %y = mul %a, %c : f64[4,2]
  return %y
})"},
    {"beside another use, and an empty one", R"(func @f(%x: f64[4]) {
  %a = slice %x {start=[0], limit=[2], stride=[1]} : f64[2]
  %b = slice %x {start=[2], limit=[4], stride=[1]} : f64[2]
  %n = slice %x {start=[2], limit=[2], stride=[1]} : f64[0]
  %c = mul %a, %b : f64[2]
  %d = concat %c, %n, %b {axis=0} : f64[4]
  %y = mul %d, %x : f64[4]
  return %y
})"},
    {"a matrix that every turn multiplies by", R"(func @turn(%c: f64[2,3], %x: f64[2,3], %w: f64[3,3]) {
  %0 = contract %c, %w {lhs=[1], rhs=[0]} : f64[2,3]
  %1 = add %0, %x : f64[2,3]
  %2 = tanh %1 : f64[2,3]
  return %2, %2
}
func @f(%c: f64[2,3], %x: f64[4,2,3], %w: f64[3,3]) {
  %t = scan %c, %x, %w {carries=1, slices=1, length=4, reverse=0, body=@turn} : (f64[2,3], f64[4,2,3])
  %y = result %t {index=1} : f64[4,2,3]
  return %y
})"},
    {"transposed, on both sides, backwards", R"(func @turn(%c: f64[2,3], %x: f64[3,2], %w: f64[3,3]) {
  %0 = contract %w, %c {lhs=[1], rhs=[1]} : f64[3,2]
  %1 = mul %0, %x : f64[3,2]
  %2 = contract %1, %w {lhs=[0], rhs=[0]} : f64[2,3]
  %3 = sin %2 : f64[2,3]
  return %3
}
func @f(%c: f64[2,3], %x: f64[3,3,2], %w: f64[3,3]) {
  %t = scan %c, %x, %w {carries=1, slices=1, length=3, reverse=1, body=@turn} : (f64[2,3])
  %y = result %t {index=0} : f64[2,3]
  return %y
})"},
    {"in batches", R"(func @turn(%c: f64[2,1,3], %w: f64[2,3,3]) {
  %0 = contract %c, %w {lhs=[2], rhs=[1], lhs_batch=[0], rhs_batch=[0]} : f64[2,1,3]
  %1 = sin %0 : f64[2,1,3]
  return %1
}
func @f(%c: f64[2,1,3], %w: f64[2,3,3]) {
  %t = scan %c, %w {carries=1, slices=0, length=3, reverse=0, body=@turn} : (f64[2,1,3])
  %y = result %t {index=0} : f64[2,1,3]
  return %y
})"},
    {"of a product with what is the same in every turn", R"(func @turn(%c: f64[2,3], %w: f64[3,3], %u: f64[2,3]) {
  %0 = contract %u, %w {lhs=[1], rhs=[0]} : f64[2,3]
  %1 = mul %0, %c : f64[2,3]
  return %1
}
func @f(%c: f64[2,3], %w: f64[3,3], %u: f64[2,3]) {
  %t = scan %c, %w, %u {carries=1, slices=0, length=3, reverse=0, body=@turn} : (f64[2,3])
  %y = result %t {index=0} : f64[2,3]
  return %y
})"},
    {"in no turn at all", R"(func @turn(%c: f64[2,3], %w: f64[3,3]) {
  %0 = contract %c, %w {lhs=[1], rhs=[0]} : f64[2,3]
  return %0
}
func @f(%c: f64[2,3], %w: f64[3,3]) {
  %t = scan %c, %w {carries=1, slices=0, length=0, reverse=0, body=@turn} : (f64[2,3])
  %y = result %t {index=0} : f64[2,3]
  return %y
})"},
};

/// How often each op occurs in a function's gradient with respect to its inputs, the functions that its nodes hold
/// included.
std::map<Op, int> ops_of_gradient(const std::string& text) {
  Graph g = parse_graph(text, "case");
  std::vector<ValueId> wrt;
  for (const Input& i : g.inputs()) wrt.push_back(i.id);
  const auto first = static_cast<ValueId>(g.size());
  differentiate(g, g.outputs()[0].id, wrt, kHere);
  std::map<Op, int> count;
  for (ValueId id = first; id < g.size(); ++id) {
    ++count[g[id].op];
    for (const BodyRef& body : g[id].attrs.bodies)
      for (ValueId v = 0; v < body->graph->size(); ++v) ++count[(*body->graph)[v].op];
  }
  return count;
}

}  // namespace

TEST_CASE("gradients that are put together agree with finite differences, twice") {
  for (const Case& c : kCases) {
    INFO(c.what);
    Graph g = parse_graph(c.text, "case");
    Rng rng(7);
    std::vector<Array> inputs;
    for (const Input& i : g.inputs()) {
      inputs.push_back(random_array(g[i.id].type, rng));
      for (double& e : inputs.back().as<double>()) e = 2 * rng.uniform() - 1;
    }
    const ValueId loss = weighted_sum(g, g.outputs()[0].id, kHere);
    CHECK(check_gradient(g, loss, inputs) == "");
    CHECK(check_second_order(g, loss, inputs) == "");
  }
}

TEST_CASE("the gradient of a value that is cut in pieces joins theirs, with zeros between them") {
  const std::string text = R"(func @f(%x: f32[6]) {
  %a = slice %x {start=[0], limit=[2], stride=[1]} : f32[2]
  %b = slice %x {start=[3], limit=[5], stride=[1]} : f32[2]
  %c = mul %a, %b : f32[2]
  %y = reduce_sum %c {axis=0} : f32[]
  return %y
})";
  Graph g = parse_graph(text, "case");
  const ValueId x = g.inputs()[0].id;
  g.output("dx", differentiate(g, g.outputs()[0].id, std::span(&x, 1), kHere)[0]);
  CHECK(interpret(g, std::vector<Array>{Array::from<float>({1, 2, 3, 4, 5, 6}, {6})})
            .outputs[1]
            .same_bits(Array::from<float>({4, 5, 0, 1, 2, 0}, {6})));
  auto ops = ops_of_gradient(text);
  CHECK(ops[Op::concat] == 1);
  CHECK(ops[Op::add] == 0);
  CHECK(ops[Op::pad] == 2);  // what their gradients were by themselves, which nothing uses
}

TEST_CASE("the gradient of a matrix that every turn multiplies by is one contraction over the turns") {
  auto ops = ops_of_gradient(R"(func @turn(%c: f32[2,3], %x: f32[2,3], %w: f32[3,3], %b: f32[2,3]) {
  %0 = contract %c, %w {lhs=[1], rhs=[0]} : f32[2,3]
  %1 = add %0, %x : f32[2,3]
  %2 = add %1, %b : f32[2,3]
  %3 = tanh %2 : f32[2,3]
  return %3
}
func @f(%c: f32[2,3], %x: f32[4,2,3], %w: f32[3,3], %b: f32[2,3]) {
  %t = scan %c, %x, %w, %b {carries=1, slices=1, length=4, reverse=0, body=@turn} : (f32[2,3])
  %h = result %t {index=0} : f32[2,3]
  %s = reduce_sum %h {axis=1} : f32[2]
  %y = reduce_sum %s {axis=0} : f32[]
  return %y
})");
  CHECK(ops[Op::scan] == 2);      // one that saves the carries, one backwards
  CHECK(ops[Op::contract] == 4);  // forward twice, that of the carry, and the one over the turns
}

// differentiate(): every differentiable op against finite differences, in first and second order, and what it refuses.
#include "passes/transform/autodiff.h"

#include <chrono>
#include <cmath>

#include "catch.h"
#include "error_of.h"
#include "gradient_check.h"
#include "ir/graph/build.h"
#include "ir/ops/functions.h"
#include "passes/transform/op_gradient.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

const LocSet kHere = LocSet::of(Loc{"autodiff", 1, 0});

/// Graphs of inputs and one op, in text: the cases of the table below. Each ends in `return` of one f64 value.
struct Case {
  Op op;
  const char* text;
  double low = -2, high = 2;  // range of the f64 inputs
};

#define FUNC(params, body) "func @f(" params ") {\n  " body "\n}\n"
#define UNARY(op) FUNC("%x: f64[7]", "%y = " op " %x : f64[7]\n  return %y")
#define WAVE \
  "func @wave(%x: f64[7], %y: f64[7]) {\n  %s = sin %x : f64[7]\n  %z = mul %s, %y : f64[7]\n  return %z, %s\n}\n"
#define STEEP "func @steep(%x: f64[7], %y: f64[7]) {\n  %z = exp %x : f64[7]\n  return %z, %y\n}\n"
#define BINARY(op) FUNC("%x: f64[7], %y: f64[7]", "%z = " op " %x, %y : f64[7]\n  return %z")

const Case kCases[] = {
    {Op::neg, UNARY("neg")},
    {Op::abs, UNARY("abs")},
    {Op::sqrt, UNARY("sqrt"), 0.5, 2},
    {Op::log, UNARY("log"), 0.5, 2},
    {Op::log1p, UNARY("log1p"), -0.5, 2},
    {Op::convert, UNARY("convert")},
    {Op::add, BINARY("add")},
    {Op::sub, BINARY("sub")},
    {Op::mul, BINARY("mul")},
    {Op::div, BINARY("div"), 0.5, 2},
    {Op::pow, BINARY("pow"), 0.5, 2},
    {Op::max, BINARY("max")},
    {Op::min, BINARY("min")},
    {Op::select, FUNC("%p: bool[7], %x: f64[7], %y: f64[7]", "%z = select %p, %x, %y : f64[7]\n  return %z")},
    {Op::fma, FUNC("%x: f64[7], %y: f64[7], %w: f64[7]", "%z = fma %x, %y, %w : f64[7]\n  return %z")},
    {Op::broadcast, FUNC("%x: f64[3]", "%y = broadcast %x {axes=[1]} : f64[2,3,4]\n  return %y")},
    {Op::broadcast, FUNC("%x: f64[1,3,1]", "%y = broadcast %x {axes=[0,2,3]} : f64[2,4,3,5]\n  return %y")},
    {Op::broadcast, FUNC("%x: f64[]", "%y = broadcast %x {axes=[]} : f64[3,2]\n  return %y")},
    {Op::reshape, FUNC("%x: f64[2,6]", "%y = reshape %x : f64[3,4]\n  return %y")},
    {Op::transpose, FUNC("%x: f64[2,3,4]", "%y = transpose %x {perm=[2,0,1]} : f64[4,2,3]\n  return %y")},
    {Op::slice, FUNC("%x: f64[5,4]", "%y = slice %x {start=[1,0], limit=[4,4], stride=[1,1]} : f64[3,4]\n  return %y")},
    {Op::slice, FUNC("%x: f64[7,9]", "%y = slice %x {start=[1,2], limit=[7,9], stride=[2,3]} : f64[3,3]\n  return %y")},
    {Op::slice, FUNC("%x: f64[8]", "%y = slice %x {start=[0], limit=[8], stride=[4]} : f64[2]\n  return %y")},
    {Op::slice, FUNC("%x: f64[8]", "%y = slice %x {start=[3], limit=[3], stride=[2]} : f64[0]\n  return %y")},
    {Op::slice, FUNC("%x: f64[2,1,2,1,2,1,2,5]",
                     "%y = slice %x {start=[0,0,0,0,0,0,0,1], limit=[2,1,2,1,2,1,2,5], "
                     "stride=[1,1,1,1,1,1,1,2]} : f64[2,1,2,1,2,1,2,2]\n  return %y")},
    {Op::pad, FUNC("%x: f64[2,3], %v: f64[]", "%y = pad %x, %v {low=[1,0], high=[0,2]} : f64[3,5]\n  return %y")},
    {Op::pad, FUNC("%x: f64[2,3], %v: f64[]",
                   "%y = pad %x, %v {low=[1,0], high=[0,2], interior=[2,1]} : f64[5,7]\n  return %y")},
    {Op::reverse, FUNC("%x: f64[2,3,4]", "%y = reverse %x {axes=[2,0]} : f64[2,3,4]\n  return %y")},
    {Op::window, FUNC("%x: f64[2,7]", "%y = window %x {axes=[1], size=[3]} : f64[2,5,3]\n  return %y")},
    {Op::window, FUNC("%x: f64[8,7]",
                      "%y = window %x {axes=[1,0], size=[3,2], stride=[2,3], dilation=[1,2]} : f64[2,3,3,2]\n"
                      "  return %y")},
    {Op::window, FUNC("%x: f64[9,2]", "%y = window %x {axes=[0], size=[4], stride=[4]} : f64[2,2,4]\n  return %y")},
    {Op::window, FUNC("%x: f64[7,2]",  // a lone one
                      "%y = window %x {axes=[0], size=[3], stride=[9], dilation=[2]} : f64[1,2,3]\n  return %y")},
    {Op::window,
     FUNC("%x: f64[9,2]", "%y = window %x {axes=[0,1], size=[1,2], stride=[3,2]} : f64[3,1,1,2]\n  return %y")},
    {Op::window, FUNC("%x: f64[2,7,6,3], %w: f64[3,2,3,4]",  // a convolution, whose gradient is one
                      "%p = window %x {axes=[1,2], size=[3,2]} : f64[2,5,5,3,3,2]\n"
                      "  %y = contract %p, %w {lhs=[4,5,3], rhs=[0,1,2]} : f64[2,5,5,4]\n  return %y")},
    {Op::window, FUNC("%x: f64[2,9,8,3], %w: f64[3,2,3,4]",
                      "%p = window %x {axes=[1,2], size=[3,2], stride=[2,1], dilation=[1,3]} : f64[2,4,5,3,3,2]\n"
                      "  %y = contract %w, %p {lhs=[2,0,1], rhs=[3,4,5]} : f64[4,2,4,5]\n  return %y")},
    {Op::window, FUNC("%x: f64[6,2,3], %w: f64[2,4,3]",  // groups
                      "%p = window %x {axes=[0], size=[4]} : f64[3,2,3,4]\n"
                      "  %y = contract %p, %w {lhs=[3,2], rhs=[1,2], lhs_batch=[1], rhs_batch=[0]} : f64[2,3]\n"
                      "  return %y")},
    {Op::window, FUNC("%x: f64[8,3], %w: f64[2,3,4]",  // tiles: no product with a zero
                      "%p = window %x {axes=[0], size=[2], stride=[2]} : f64[4,3,2]\n"
                      "  %y = contract %p, %w {lhs=[2,1], rhs=[0,1]} : f64[4,4]\n  return %y")},
    {Op::unwindow,
     FUNC("%x: f64[2,3,4]", "%y = unwindow %x {axes=[1], stride=[2], dilation=[3]} : f64[2,14]\n  return %y")},
    {Op::unwindow, FUNC("%x: f64[3,2,4,2]", "%y = unwindow %x {axes=[1,0], stride=[1,2]} : f64[7,6]\n  return %y")},
    {Op::concat, FUNC("%x: f64[2,3], %y: f64[2,1]", "%z = concat %x, %y, %x {axis=1} : f64[2,7]\n  return %z")},
    {Op::gather, FUNC("%x: f64[2,4,3], %k: i32[5]", "%y = gather %x, %k {axis=1} : f64[2,5,3]\n  return %y")},
    {Op::gather, FUNC("%x: f64[4], %k: i64[2,3]", "%y = gather %x, %k {axis=0} : f64[2,3]\n  return %y")},
    {Op::scatter_add, FUNC("%x: f64[2,4,3], %k: i32[5], %u: f64[2,5,3]",
                           "%z = scatter_add %x, %k, %u {axis=1} : f64[2,4,3]\n  return %z")},
    {Op::reduce_sum, FUNC("%x: f64[3,4]", "%y = reduce_sum %x {axis=0} : f64[4]\n  return %y")},
    {Op::reduce_sum, FUNC("%x: f64[3,40]", "%y = reduce_sum %x {axis=1} : f64[3]\n  return %y")},
    {Op::reduce_prod, FUNC("%x: f64[3,5]", "%y = reduce_prod %x {axis=1} : f64[3]\n  return %y")},
    {Op::reduce_prod, FUNC("%x: f64[1,2]", "%y = reduce_prod %x {axis=0} : f64[2]\n  return %y")},
    {Op::reduce_max, FUNC("%x: f64[3,5]", "%y = reduce_max %x {axis=1} : f64[3]\n  return %y")},
    {Op::reduce_min, FUNC("%x: f64[3,5]", "%y = reduce_min %x {axis=0} : f64[5]\n  return %y")},
    {Op::contract,
     FUNC("%x: f64[3,4], %y: f64[4,2]", "%z = contract %x, %y {lhs=[1], rhs=[0]} : f64[3,2]\n  return %z")},
    {Op::contract,
     FUNC("%x: f64[4,3], %y: f64[2,4]", "%z = contract %x, %y {lhs=[0], rhs=[1]} : f64[3,2]\n  return %z")},
    {Op::contract, FUNC("%x: f64[4], %y: f64[4]", "%z = contract %x, %y {lhs=[0], rhs=[0]} : f64[]\n  return %z")},
    {Op::contract, FUNC("%x: f64[3], %y: f64[2]", "%z = contract %x, %y : f64[3,2]\n  return %z")},
    {Op::contract,
     FUNC("%x: f64[2,3,4,2], %y: f64[4,2,3,5]",
          "%z = contract %x, %y {lhs=[1,2], rhs=[2,0], lhs_batch=[3], rhs_batch=[1]} : f64[2,2,5]\n  return %z")},
    {Op::contract, FUNC("%x: f64[2,3,4], %y: f64[5,3,2]",
                        "%z = contract %x, %y {lhs_batch=[1,0], rhs_batch=[1,2]} : f64[3,2,4,5]\n  return %z")},
    {Op::call, WAVE FUNC("%x: f64[7], %y: f64[7]",
                         "%t = call %x, %y {body=@wave} : (f64[7], f64[7])\n  %z = result %t {index=0} : f64[7]\n"
                         "  return %z")},
    {Op::result, WAVE FUNC("%x: f64[7]",
                           "%t = call %x, %x {body=@wave} : (f64[7], f64[7])\n  %a = result %t {index=0} : f64[7]\n"
                           "  %b = result %t {index=1} : f64[7]\n  %z = mul %a, %b : f64[7]\n  return %z")},
    {Op::scan,
     "func @turn(%c: f64[3], %x: f64[3], %w: f64[3]) {\n  %0 = mul %c, %w : f64[3]\n  %1 = sin %0 : f64[3]\n"
     "  %2 = add %1, %x : f64[3]\n  %3 = mul %2, %c : f64[3]\n  return %2, %3\n}\n" FUNC(
         "%c: f64[3], %x: f64[4,3], %w: f64[3]",
         "%t = scan %c, %x, %w {carries=1, slices=1, length=4, reverse=0, body=@turn} : (f64[3], f64[4,3])\n"
         "  %a = result %t {index=0} : f64[3]\n  %b = result %t {index=1} : f64[4,3]\n"
         "  %r = reduce_sum %b {axis=0} : f64[3]\n  %z = mul %a, %r : f64[3]\n  return %z")},
    {Op::scan,
     "func @turn(%c: f64[3], %n: i64[], %w: f64[3]) {\n  %0 = mul %c, %w : f64[3]\n  %1 = constant {value=1} : i64[]\n"
     "  %2 = add %n, %1 : i64[]\n  %3 = convert %2 : f64[]\n  %4 = broadcast %3 : f64[3]\n"
     "  %5 = mul %0, %4 : f64[3]\n  return %5, %2, %0\n}\n" FUNC(
         "%c: f64[3], %w: f64[3]",
         "%n = constant {value=0} : i64[]\n"
         "  %t = scan %c, %n, %w {carries=2, slices=0, length=3, reverse=1, body=@turn} : (f64[3], i64[], f64[3,3])\n"
         "  %b = result %t {index=2} : f64[3,3]\n  return %b")},
    {Op::cond, WAVE STEEP FUNC("%p: bool[], %x: f64[7], %y: f64[7]",
                               "%t = cond %p, %x, %y {then=@wave, else=@steep} : (f64[7], f64[7])\n"
                               "  %a = result %t {index=0} : f64[7]\n  %b = result %t {index=1} : f64[7]\n"
                               "  %z = mul %a, %b : f64[7]\n  return %z")},
};

/// The table, and functions that are not in it, on its usual range.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    static std::vector<std::string> texts(kOpCount);
    std::vector<Case> result(std::begin(kCases), std::end(kCases));
    for (int i = 0; i < kOpCount; ++i) {
      const Op op = static_cast<Op>(i);
      if (!is_function(op) || std::ranges::any_of(kCases, [&](const Case& c) { return c.op == op; })) continue;
      const bool unary = info(op).min_arity == 1;
      texts[static_cast<std::size_t>(i)] =
          fmt::format("func @f(%x: f64[7]{}) {{\n  %y = {} {} : f64[7]\n  return %y\n}}\n", unary ? "" : ", %w: f64[7]",
                      name(op), unary ? "%x" : "%x, %w");
      result.push_back({op, texts[static_cast<std::size_t>(i)].c_str()});
    }
    return result;
  }();
  return all;
}

Graph parse_case(const Case& c) { return parse_graph(c.text, "case"); }

std::vector<Array> case_inputs(const Case& c, const Graph& g, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Array> inputs;
  for (const Input& i : g.inputs()) {
    Array a = random_array(g[i.id].type, rng);
    if (a.dtype() == f64)
      for (double& e : a.as<double>()) e = c.low + rng.uniform() * (c.high - c.low);
    inputs.push_back(a);
  }
  return inputs;
}

}  // namespace

TEST_CASE("every differentiable op has a gradient row and a gradient check, and no other op has") {
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    INFO(name(op));
    CHECK(std::ranges::any_of(cases(), [&](const Case& c) { return c.op == op; }) == info(op).differentiable());
  }
}

TEST_CASE("gradients agree with finite differences") {
  for (const Case& c : cases()) {
    Graph g = parse_case(c);
    INFO(c.text);
    const ValueId loss = weighted_sum(g, g.outputs()[0].id, kHere);
    for (std::uint64_t seed : {1, 2}) CHECK(check_gradient(g, loss, case_inputs(c, g, seed)) == "");
  }
}

TEST_CASE("gradients of gradients agree with finite differences") {
  for (const Case& c : cases()) {
    Graph g = parse_case(c);
    INFO(c.text);
    // The sine makes the second derivative of linear ops differ from zero.
    Builder b{g, kHere};
    const ValueId loss = weighted_sum(g, b.op(Op::sin, {g.outputs()[0].id}), kHere);
    CHECK(check_second_order(g, loss, case_inputs(c, g, 3)) == "");
  }
}

TEST_CASE("gradients and their gradients at edges, where formulas cancel, overflow or divide zero by zero") {
  constexpr double kInf = HUGE_VAL, kAny = 12345;  // kAny: not checked
  const double ln2 = std::log(2), ln5 = std::log(5), tail = std::exp(-40), bell = 2 / std::sqrt(M_PI);
  const auto bell_at_20 = static_cast<double>(bell * std::exp(-static_cast<long double>(20.1) * 20.1));
  struct Edge {
    const char* op;
    double a, b;  // b: of pow only
    double da, daa, db = kAny, dbb = kAny;
  };
  const Edge edges[] = {
      {"expm1", -40, 0, tail, tail},
      {"expm1", 0, 0, 1, 1},
      {"expm1", -kInf, 0, 0, 0},
      {"log1p", 0, 0, 1, -1},
      {"log1p", -1, 0, kInf, -kInf},
      {"log1p", kInf, 0, 0, 0},
      {"tanh", 0, 0, 1, 0},
      {"tanh", 1e-9, 0, 1, -2e-9},
      {"tanh", 20, 0, 4 * tail, -8 * tail},
      {"tanh", -20, 0, 4 * tail, 8 * tail},
      {"tanh", kInf, 0, 0, 0},
      {"sigmoid", 0, 0, 0.25, 0},
      {"sigmoid", 40, 0, tail, -tail},
      {"sigmoid", -40, 0, tail, tail},
      {"sigmoid", kInf, 0, 0, 0},
      {"sigmoid", -kInf, 0, 0, 0},
      {"softplus", 0, 0, 0.5, 0.25},
      {"softplus", -40, 0, tail, tail},
      {"softplus", 40, 0, 1, tail},
      {"softplus", kInf, 0, 1, 0},
      {"softplus", -kInf, 0, 0, 0},
      {"erf", 0, 0, bell, 0},
      {"erf", 20.1, 0, bell_at_20, -40.2 * bell_at_20},
      {"erf", 1e200, 0, 0, 0},
      {"erf", -kInf, 0, 0, 0},
      {"pow", 2, 3, 12, 12, 8 * ln2, 8 * ln2 * ln2},
      {"pow", 5, 0, 0, 0, ln5, ln5 * ln5},
      {"pow", 0, 0, 0, 0, 0, 0},
      {"pow", 0, 1, 1, 0, 0, 0},
      {"pow", 0, 1.5, 0, kInf, 0, 0},
      {"pow", 0, 2, 0, 2, 0, 0},
      {"pow", 0, 0.5, kInf, -kInf, 0, 0},
      {"pow", 0, -1, -kInf, kInf, -kInf, kInf},
      {"pow", -3, 2, -6, 2},
      {"pow", -1, 100, -100, 9900},
      {"pow", -3, 0, 0, 0},
      {"pow", kInf, 0, 0, 0, kInf, kInf},
      {"pow", kInf, 1, 1, 0, kInf, kInf},
      {"pow", kInf, -1, 0, 0, 0, 0},
      {"pow", 1e-300, 1.5, 1.5e-150, 0.75e150},
      {"pow", 1e-300, 0, 0, 0},
  };
  for (const Edge& e : edges) {
    const bool binary = e.op == std::string("pow");
    Graph g;
    const ValueId a = g.input("a", {f64, {}}, InputKind::data, kHere),
                  b = g.input("b", {f64, {}}, InputKind::data, kHere);
    const ValueId y =
        Builder{g, kHere}.op(*parse_op(e.op), binary ? std::vector<ValueId>{a, b} : std::vector<ValueId>{a});
    const ValueId both[] = {a, b};
    const std::vector<ValueId> d = differentiate(g, y, both, kHere);
    const ValueId second[] = {differentiate(g, d[0], {both, 1}, kHere)[0],
                              differentiate(g, d[1], {both + 1, 1}, kHere)[0]};
    for (ValueId v : {d[0], second[0], d[1], second[1]}) g.output("d" + std::to_string(g.outputs().size()), v);
    const Evaluation found = interpret(g, std::vector<Array>{Array::scalar(e.a), Array::scalar(e.b)});
    const double expected[] = {e.da, e.daa, e.db, e.dbb};
    for (std::size_t i = 0; i < 4; ++i) {
      const double value = found.outputs[i].item<double>(), want = expected[i];
      if (want == kAny) continue;
      INFO(e.op << " at " << e.a << ", " << e.b << ", derivative " << i << ": " << value << ", expected " << want);
      CHECK((value == want || std::abs(value - want) <= 4e-15 * std::abs(want)));
    }
  }
}

TEST_CASE("reduce_prod is differentiated twice through zeros") {
  for (const std::vector<double>& x : {std::vector<double>{0, 2, 3}, {0, 0, 3}, {0, 0, 0}, {1, -2, 3}}) {
    Graph g = parse_graph(FUNC("%x: f64[3]", "%y = reduce_prod %x {axis=0} : f64[]\n  return %y"), "case");
    const std::vector<Array> inputs{Array::from(x, {3})};
    CHECK(check_gradient(g, g.outputs()[0].id, inputs) == "");
    CHECK(check_second_order(g, g.outputs()[0].id, inputs) == "");
  }
}

// As the frontend writes it: the mask is that of the maximum.
#define RELU                                                                                                     \
  "%z = constant {value=[0,0,0,0]} : f32[4]\n  %m = max %x, %z : f32[4]\n  %k = gt %m, %z : bool[4]\n"           \
  "  %s = stop_gradient %m : f32[4]\n  %r = select %k, %x, %s : f32[4]\n  %y = reduce_sum %r {axis=0} : f32[]\n" \
  "  return %y"

TEST_CASE("ties share the gradient, and relu has none at zero") {
  struct {
    const char* text;
    std::vector<float> x, expected;
  } const cases[] = {
      {"%y = reduce_max %x {axis=0} : f32[]\n  return %y", {1, 3, 3, 0}, {0, 0.5f, 0.5f, 0}},
      {"%y = reduce_min %x {axis=0} : f32[]\n  return %y", {0, 3, 0, 0}, {1.f / 3, 0, 1.f / 3, 1.f / 3}},
      {"%z = constant {value=[1,1,1,1]} : f32[4]\n  %m = max %x, %z : f32[4]\n  %y = reduce_sum %m {axis=0} : f32[]\n  "
       "return %y",
       {-1, 1, 2, 1},
       {0, 0.5f, 1, 0.5f}},
      {"%z = constant {value=[1,1,1,1]} : f32[4]\n  %m = min %z, %x : f32[4]\n  %y = reduce_sum %m {axis=0} : f32[]\n  "
       "return %y",
       {-1, 1, 2, 1},
       {1, 0.5f, 0, 0.5f}},
      {RELU, {-1, 0, 2, -0.f}, {0, 0, 1, 0}},
  };
  for (const auto& c : cases) {
    INFO(c.text);
    Graph g = parse_graph(std::string("func @f(%x: f32[4]) {\n  ") + c.text + "\n}\n", "case");
    const ValueId x = g.inputs()[0].id;
    g.output("dx", differentiate(g, g.outputs()[0].id, std::span(&x, 1), kHere)[0]);
    CHECK(interpret(g, std::vector<Array>{Array::from(c.x, {4})}).outputs[1].same_bits(Array::from(c.expected, {4})));
  }
}

TEST_CASE("the gradient of a relu reads its result, not its operand") {
  Graph g = parse_graph(FUNC("%x: f32[4]", RELU), "case");
  const std::size_t forward = g.size();
  const ValueId x = g.inputs()[0].id;
  differentiate(g, g.outputs()[0].id, std::span(&x, 1), kHere);
  for (ValueId id = static_cast<ValueId>(forward); id < g.size(); ++id)
    for (ValueId v : g[id].operands) CHECK(v != x);
}

TEST_CASE("values that the loss does not depend on, or not smoothly, get zeros") {
  Graph g;
  const ValueId x = g.input("x", {f32, {2}}, InputKind::data, kHere),
                unused = g.input("u", {f64, {3}}, InputKind::data, kHere);
  Builder b{g, kHere};
  const ValueId stopped = b.op(Op::stop_gradient, {x}), stepped = b.op(Op::floor, {x});
  const ValueId whole = b.convert(b.convert(x, i32), f32);
  const ValueId loss = b.reduce(Op::reduce_sum, b.add(b.add(stopped, stepped), whole), 0);
  const ValueId late = b.like(x, 7);  // made after the loss
  const ValueId wrt[] = {x, unused, late};
  const std::vector<ValueId> d = differentiate(g, loss, wrt, kHere);
  for (std::size_t i = 0; i < d.size(); ++i) {
    CHECK(g[d[i]].type == g[wrt[i]].type);
    g.output("d" + std::to_string(i), d[i]);
  }
  const Evaluation e = interpret(g, random_inputs(g, 1));
  for (const Array& a : e.outputs) CHECK(a.same_bits(Array(a.type())));
}

TEST_CASE("a gradient is taken with respect to the loss itself and to inner values, once and twice") {
  Graph g;
  const ValueId x = g.input("x", {f64, {}}, InputKind::data, kHere);
  Builder b{g, kHere};
  const ValueId s = b.mul(x, x), loss = b.mul(s, s);  // x^4
  const ValueId wrt[] = {loss, s, x};
  std::vector<ValueId> d = differentiate(g, loss, wrt, kHere);
  d.push_back(differentiate(g, d[2], std::span(&x, 1), kHere)[0]);
  d.push_back(differentiate(g, d[3], std::span(&x, 1), kHere)[0]);
  for (std::size_t i = 0; i < d.size(); ++i) g.output("d" + std::to_string(i), d[i]);
  const Evaluation e = interpret(g, std::vector<Array>{Array::scalar(3.0)});
  const double expected[] = {1, 18, 108, 108, 72};
  for (std::size_t i = 0; i < d.size(); ++i) CHECK(e.outputs[i].item<double>() == expected[i]);
}

TEST_CASE("gradients are taken before the batch is bound") {
  Graph g = parse_graph(
      FUNC("%x: f64[?,3,2], state %w: f64[6,4], state %b: f64[4]",
           "%r = reshape %x : f64[?,6]\n  %h = contract %r, %w {lhs=[1], rhs=[0]} : f64[?,4]\n"
           "  %c = broadcast %b {axes=[1]} : f64[?,4]\n  %s = add %h, %c : f64[?,4]\n  %t = tanh %s : f64[?,4]\n"
           "  %u = slice %t {start=[0,1], limit=[?,4], stride=[1,2]} : f64[?,2]\n"
           "  %v = concat %u, %t {axis=1} : f64[?,6]\n  %m = reduce_max %v {axis=1} : f64[?]\n"
           "  %l = reduce_sum %m {axis=0} : f64[]\n  return %l"),
      "case");
  const ValueId wrt[] = {g.inputs()[0].id, g.inputs()[1].id, g.inputs()[2].id};
  const std::vector<ValueId> d = differentiate(g, g.outputs()[0].id, wrt, kHere);
  for (std::size_t i = 0; i < d.size(); ++i) {
    CHECK(g[d[i]].type == g[wrt[i]].type);
    g.output("d" + std::to_string(i), d[i]);
  }
  const Graph bound = bind_batch(g, 5);
  verify(bound);
  CHECK(check_gradient(bound, bound.outputs()[0].id, random_inputs(bound, 4)) == "");
}

TEST_CASE("gradient nodes carry the provenance of their forward node and of the call") {
  Graph g;
  const LocSet model = LocSet::of(Loc{"model.cpp", 10, 0}), call = LocSet::of(Loc{"train.cpp", 20, 0});
  const ValueId x = g.input("x", {f32, {}}, InputKind::data, kHere);
  const ValueId loss = Builder{g, model}.op(Op::exp, {x});
  const std::size_t forward = g.size();
  differentiate(g, loss, std::span(&x, 1), call);
  for (ValueId id = static_cast<ValueId>(forward); id < g.size(); ++id) CHECK(g[id].locs == (model | call));
}

TEST_CASE("gradients of random graphs agree with finite differences") {
  RandomGraphOptions options;
  options.ops = {Op::expm1,  Op::log1p,       Op::sigmoid,   Op::softplus,   Op::pow,         Op::neg,
                 Op::exp,    Op::log,         Op::sin,       Op::cos,        Op::tanh,        Op::erf,
                 Op::sqrt,   Op::add,         Op::sub,       Op::mul,        Op::div,         Op::select,
                 Op::fma,    Op::broadcast,   Op::pad,       Op::slice,      Op::reshape,     Op::concat,
                 Op::gather, Op::scatter_add, Op::transpose, Op::reduce_sum, Op::reduce_prod, Op::contract,
                 Op::window, Op::unwindow,    Op::reverse,   Op::contract};
  options.dtypes = {f64};
  options.nodes = 14;
  options.large = 0;
  options.layers = false;
  options.wild = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    options.bodies = seed % 2 == 0;
    Graph g = random_graph(seed, options);
    ValueId loss = Builder{g, kHere}.scalar(f64, 0);
    for (const Output& o : g.outputs())
      if (g[o.id].type.dtype == f64)
        loss = Builder{g, kHere}.add(loss, weighted_sum(g, Builder{g, kHere}.op(Op::sin, {o.id}), kHere));
    INFO("seed " << seed << "\n" << print(g));
    CHECK(check_gradient(g, loss, random_inputs(g, seed), 1e-4) == "");
  }
}

TEST_CASE("a chain of 100,000 nodes is differentiated in linear time") {
  Graph g;
  const ValueId x = g.input("x", {f32, {}}, InputKind::data, kHere);
  Builder b{g, kHere};
  const auto seconds = [&](int length) {
    ValueId v = x;
    for (int i = 0; i < length; ++i) v = b.op(i % 2 ? Op::tanh : Op::sin, {v});
    const auto start = std::chrono::steady_clock::now();
    differentiate(g, v, std::span(&x, 1), kHere);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  seconds(1000);
  CHECK(seconds(100000) < 5);  // 0.2 s; quadratic time would take minutes
}

TEST_CASE("differentiate refuses what has no gradient") {
  Graph g;
  const ValueId x = g.input("x", {f32, {2}}, InputKind::data, kHere),
                n = g.input("n", {i32, {}}, InputKind::data, kHere);
  Builder b{g, kHere};
  const ValueId sum = b.reduce(Op::reduce_sum, x, 0);
  CHECK(error_of([&] { differentiate(g, x, std::span(&x, 1), kHere); }) ==
        "grad: the loss is f32[2] from autodiff:1; reduce it to a scalar first, for example by mean()");
  CHECK(error_of([&] { differentiate(g, n, std::span(&x, 1), kHere); }) ==
        "grad: the loss is i32[] from autodiff:1; expected f32[] or f64[]");
  CHECK(error_of([&] { differentiate(g, sum, std::span(&n, 1), kHere); }) ==
        "grad: cannot differentiate with respect to 'n', which is i32[] from autodiff:1; expected f32 or f64");
  const ValueId counter = b.op(Op::iota, {}, Attrs::axis(0), Type{i32, {3}});
  CHECK(error_of([&] { differentiate(g, sum, std::span(&counter, 1), kHere); }) ==
        "grad: cannot differentiate with respect to %" + std::to_string(counter) +
            " (iota), which is i32[3] from autodiff:1; expected f32 or f64");

  Graph batched;
  const ValueId y = batched.input("y", {f32, {kBatch}}, InputKind::data, kHere);
  const ValueId product = Builder{batched, kHere}.reduce(Op::reduce_prod, y, 0);
  CHECK(error_of([&] { differentiate(batched, product, std::span(&y, 1), kHere); }) ==
        "autodiff:1: grad of reduce_prod over the batch axis of f32[?] needs a bound batch size");
}

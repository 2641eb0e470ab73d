// The graph's text form: what is printed parses back to the same graph, for every op of the table.
#include "catch.h"
#include "golden.h"
#include "ir/graph/build.h"
#include "ir/graph/graph.h"
#include "ir/ops/functions.h"
#include "random_graph.h"

using namespace weft;

namespace {

// Parses, verifies, and checks that print, parse, print is a fixpoint, with and without provenance.
Graph round_trip(const std::string& text) {
  INFO(text);
  const Graph g = parse_graph(text, "case.weft");
  verify(g);
  for (const bool locs : {false, true}) {
    const std::string once = print(g, {.locs = locs});
    INFO(once);
    const Graph again = parse_graph(once, "again.weft");
    verify(again);
    CHECK(again == g);
    CHECK(print(again, {.locs = locs}) == once);
    if (locs)
      for (ValueId id = 0; id < g.size(); ++id) CHECK(again[id].locs == g[id].locs);
  }
  return g;
}

struct OpCase {
  Op op;
  const char* line;  // the node, on the inputs of kHead
};

const char* kHead =
    "func @op(%x: f32[2,3], %y: f32[2,3], %d: f64[4], %i: i32[2], %j: i64[2], %p: bool[2,3], %u: u8[2,3], %key: i64[], "
    "%s: f32[], %batch: f32[?,3], state %w: f32[3,4]) {\n";

const OpCase kOpCases[] = {
    {Op::constant, "constant {value=-0.1} : f32[]"},
    {Op::constant, "constant {value=[1, -2, 3]} : i64[3]"},
    {Op::constant, "constant {value=[true, false]} : bool[2,1]"},
    {Op::constant, "constant {value=[255]} : u8[1]"},
    {Op::constant, "constant {value=[]} : f32[2,0]"},
    {Op::constant, "constant {value=[inf, -inf, nan, nan(0xffc00001), -0, 1e-45, 3.4028235e+38, 1]} : f32[8]"},
    {Op::constant, "constant {value=[inf, -inf, nan, nan(0x7ff0000000000001), 0.1]} : f64[5]"},
    {Op::iota, "iota {axis=1} : i32[2,3]"},
    {Op::iota, "iota {axis=0} : f32[?]"},
    {Op::random, "random %key, %key : i32[2,3]"},
    {Op::size, "size %batch {axis=0} : i64[]"},
    {Op::neg, "neg %x : f32[2,3]"},
    {Op::abs, "abs %d : f64[4]"},
    {Op::sign, "sign %i : i32[2]"},
    {Op::floor, "floor %x : f32[2,3]"},
    {Op::ceil, "ceil %x : f32[2,3]"},
    {Op::round, "round %x : f32[2,3]"},
    {Op::sqrt, "sqrt %x : f32[2,3]"},
    {Op::logical_not, "not %p : bool[2,3]"},
    {Op::convert, "convert %u : f32[2,3]"},
    {Op::stop_gradient, "stop_gradient %x : f32[2,3]"},
    {Op::add, "add %x, %y : f32[2,3]"},
    {Op::sub, "sub %x, %y : f32[2,3]"},
    {Op::mul, "mul %x, %y : f32[2,3]"},
    {Op::div, "div %x, %y : f32[2,3]"},
    {Op::rem, "rem %i, %i : i32[2]"},
    {Op::max, "max %batch, %batch : f32[?,3]"},
    {Op::min, "min %x, %y : f32[2,3]"},
    {Op::bit_and, "and %p, %p : bool[2,3]"},
    {Op::bit_or, "or %i, %i : i32[2]"},
    {Op::bit_xor, "xor %u, %u : u8[2,3]"},
    {Op::shl, "shl %i, %i : i32[2]"},
    {Op::shr, "shr %i, %i : i32[2]"},
    {Op::eq, "eq %x, %y : bool[2,3]"},
    {Op::ne, "ne %x, %y : bool[2,3]"},
    {Op::lt, "lt %x, %y : bool[2,3]"},
    {Op::le, "le %x, %y : bool[2,3]"},
    {Op::gt, "gt %x, %y : bool[2,3]"},
    {Op::ge, "ge %x, %y : bool[2,3]"},
    {Op::select, "select %p, %x, %y : f32[2,3]"},
    {Op::fma, "fma %x, %y, %x : f32[2,3]"},
    {Op::broadcast, "broadcast %s : f32[2,3]"},
    {Op::broadcast, "broadcast %x {axes=[0,2]} : f32[2,5,3]"},
    {Op::reshape, "reshape %x : f32[6]"},
    {Op::transpose, "transpose %x {perm=[1,0]} : f32[3,2]"},
    {Op::slice, "slice %x {start=[0,1], limit=[2,3], stride=[1,2]} : f32[2,1]"},
    {Op::slice, "slice %batch {start=[0,1], limit=[?,3], stride=[1,2]} : f32[?,1]"},
    {Op::pad, "pad %x, %s {low=[0,1], high=[2,0]} : f32[4,4]"},
    {Op::pad, "pad %x, %s {low=[0,1], high=[2,0], interior=[3,0]} : f32[7,4]"},
    {Op::reverse, "reverse %x {axes=[1]} : f32[2,3]"},
    {Op::window, "window %x {axes=[1,0], size=[2,1]} : f32[2,2,2,1]"},
    {Op::window, "window %batch {axes=[1], size=[2], stride=[3], dilation=[2]} : f32[?,1,2]"},
    {Op::unwindow, "unwindow %x {axes=[0]} : f32[4]"},
    {Op::unwindow, "unwindow %x {axes=[0], stride=[3], dilation=[2]} : f32[9]"},
    {Op::concat, "concat %x, %y, %x {axis=0} : f32[6,3]"},
    {Op::concat, "concat %x {axis=1} : f32[2,3]"},
    {Op::gather, "gather %x, %i {axis=0} : f32[2,3]"},
    {Op::scatter_add, "scatter_add %x, %j, %y {axis=0} : f32[2,3]"},
    {Op::reduce_sum, "reduce_sum %x {axis=1} : f32[2]"},
    {Op::reduce_prod, "reduce_prod %x {axis=0} : f32[3]"},
    {Op::reduce_max, "reduce_max %p {axis=0} : bool[3]"},
    {Op::reduce_min, "reduce_min %u {axis=0} : u8[3]"},
    {Op::arg_max, "arg_max %x {axis=1} : i32[2]"},
    {Op::arg_min, "arg_min %x {axis=1} : i32[2]"},
    {Op::contract, "contract %x, %w {lhs=[1], rhs=[0]} : f32[2,4]"},
    {Op::contract, "contract %x, %y {lhs=[1], rhs=[1], lhs_batch=[0], rhs_batch=[0]} : f32[2]"},
    {Op::contract, "contract %s, %s : f32[]"},
};

}  // namespace

TEST_CASE("every op of the table prints and parses") {
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    if (op == Op::input) continue;                   // in the head of each case
    if (info(op).cls == OpClass::control) continue;  // tests/ir/graph/bodies.cpp
    int cases = 0;
    const auto check = [&](const std::string& line) {
      ++cases;
      const Graph g = round_trip(fmt::format("{}  %0 = {}\n  return %0\n}}\n", kHead, line));
      const ValueId result = g.outputs()[0].id;
      CHECK(g[result].op == op);
      CHECK(print(g).find(fmt::format("  %0 = {}\n", line)) != std::string::npos);
    };
    for (const OpCase& c : kOpCases)
      if (c.op == op) check(c.line);
    if (is_function(op)) check(fmt::format("{} {} : f32[2,3]", name(op), info(op).min_arity == 1 ? "%x" : "%x, %y"));
    INFO(name(op) << " has no case in kOpCases");
    CHECK(cases > 0);
  }
}

TEST_CASE("a training step prints as it was written") {
  const std::string text = R"(func @step(%image: f32[128,784], %label: i32[128], state %w: f32[784,10]) {
  %0 = contract %image, %w {lhs=[1], rhs=[0]} : f32[128,10]
  kernel @softmax reduce [128,10] over 1 {
    %1 = reduce_max %0 {axis=1} : f32[128]
  }
  %2 = reduce_sum %1 {axis=0} : f32[]
  %3 = constant {value=0.5} : f32[]
  kernel @update map [784,10] {
    %4 = broadcast %3 : f32[784,10]
    %5 = mul %w, %4 : f32[784,10]
  }
  update %w = %5
  return loss = %2, %image, first = %w, %3
}
)";
  const Graph g = round_trip(text);
  CHECK(print(g) == text);
  CHECK(g.inputs()[2].kind == InputKind::state);
  CHECK(g.groups().size() == 2);
  CHECK(g.groups()[static_cast<std::size_t>(g[g.updates()[0].value].group)].name == "update");
  CHECK(g.outputs()[1].name == "image");
  CHECK(g.outputs()[3].name == "out3");
}

TEST_CASE("any names and layout are accepted, and equal nodes become one") {
  const Graph g = round_trip(R"(
// A comment before the graph.
func @main (%x : f32 [ 2 ] , %y: f32[2]) { %a=add %x,%y:f32[2] // not a location
  %b = add %x, %y : f32[2]  // first.cpp:3:4
  %c.d = mul %a, %b : f32[2]
  return %c.d, %a, other = %b, %x }
// and one after it)");
  CHECK(print(g) == R"(func @main(%x: f32[2], %y: f32[2]) {
  %0 = add %x, %y : f32[2]
  %1 = mul %0, %0 : f32[2]
  return c.d = %1, a = %0, other = %0, %x
}
)");
  // Both lines of the one node: a comment that is no list of locations leaves the place in the text.
  CHECK(g[g.outputs()[1].id].locs.str() == "case.weft:3:44, first.cpp:3:4");
}

TEST_CASE("a node equal to one of another kernel stays where it was first") {
  const Graph g = round_trip(R"(func @main(%x: f32[2]) {
  kernel @a map [2] {
    %0 = neg %x : f32[2]
  }
  kernel @b map [2] {
    %1 = neg %x : f32[2]
    %2 = exp %1 : f32[2]
  }
  kernel @c map [2] {
    %3 = exp %0 : f32[2]
  }
  return %3
}
)");
  CHECK(g.groups().size() == 2);
  CHECK(print(g) == R"(func @main(%x: f32[2]) {
  kernel @a map [2] {
    %0 = neg %x : f32[2]
  }
  kernel @b map [2] {
    %1 = exp %0 : f32[2]
  }
  return %1
}
)");
}

TEST_CASE("a graph without inputs, nodes or outputs") {
  CHECK(print(round_trip("func @none() {}")) == "func @none() {\n}\n");
  round_trip("func @in(state %w: f64[]) { update %w = %w }");
}

TEST_CASE("provenance prints as suffixes that parse back") {
  Graph g;
  const LocSet odd = LocSet::of(
      std::vector<Loc>{{"dir with blank/a,b%41.cpp", 7, 0}, {"C:\\x.cpp", 1, 2}, {"<text>", 3, 4}, {"a:5", 3, 0}});
  const ValueId x = g.input("x", {f32, {2}}, InputKind::data, LocSet::of(Loc{"main.cpp", 3, 9}));
  g.input("y", {f32, {2}}, InputKind::state, odd);
  g.output("z", g.add(Op::neg, {x}, {}, {}, odd));
  const std::string text = print(g, {.locs = true});
  CHECK(text == R"(func @main(
  %x: f32[2], // main.cpp:3:9
  state %y: f32[2] // <text>:3:4, C:\x.cpp:1:2, a%3a5:3, dir%20with%20blank/a%2cb%2541.cpp:7
) {
  %0 = neg %x : f32[2] // <text>:3:4, C:\x.cpp:1:2, a%3a5:3, dir%20with%20blank/a%2cb%2541.cpp:7
  return z = %0
}
)");
  const Graph again = parse_graph(text);
  for (ValueId id = 0; id < g.size(); ++id) CHECK(again[id].locs == g[id].locs);
  CHECK(print(again, {.locs = true}) == text);
}

TEST_CASE("a node without a suffix has its place in the text") {
  const Graph g = parse_graph(
      "func @f(%x: f32[2],\n        %y: f32[2]) {\n  %0 = add %x, %y : f32[2]\n  return %0\n}\n", "dir/m.weft");
  CHECK(g[g.find_input("x")].locs.str() == "dir/m.weft:1:9");
  CHECK(g[g.find_input("y")].locs.str() == "dir/m.weft:2:9");
  CHECK(g[g.outputs()[0].id].locs.str() == "dir/m.weft:3:3");
}

TEST_CASE("literals survive in bits") {
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0xff000000u; bits += 0x00f1e2d3u)
    if (const float v = std::bit_cast<float>(bits); v == v) values.push_back(v);
  Graph g;
  const auto count = static_cast<std::int64_t>(values.size());
  g.output("c", g.constant(Array::from(values, {count}), LocSet::of(Loc{"a.cpp", 1, 1})));
  const Graph again = parse_graph(print(g));
  const auto parsed = again[again.outputs()[0].id].attrs.literal->as<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(std::bit_cast<std::uint32_t>(parsed[i]) == std::bit_cast<std::uint32_t>(values[i]));
}

TEST_CASE("a graph of 100,000 nodes takes linear time") {
  std::string text = "func @long(%x: f32[2]) {\n  %n0 = neg %x : f32[2]\n";
  constexpr int kNodes = 100'000;
  for (int i = 1; i < kNodes; ++i) text += fmt::format("  %n{} = add %n{}, %n{} : f32[2]\n", i, i - 1, i / 2);
  for (int i = 0; i < kNodes; ++i) text += fmt::format("  %m{} = neg %x : f32[2]\n", i);  // all the same node
  text += fmt::format("  return %n{}\n}}\n", kNodes - 1);
  const Graph g = parse_graph(text);
  CHECK(g.size() == kNodes + 1);
  CHECK(g[1].locs.locs().size() == kNodes + 1);
  verify(g);
  const std::string once = print(g);
  CHECK(print(parse_graph(once)) == once);
}

TEST_CASE("Graphviz output of a fused graph", "[golden]") {
  const Graph g = parse_graph(R"(func @step(%x: f32[2,2], state %w: f32[2,2]) {
  %0 = constant {value=[1, 2, 3, 4, 5]} : f32[5]
  kernel @dense_adam contract [2,2] {
    %1 = contract %x, %w {lhs=[1], rhs=[0]} : f32[2,2] // model.cpp:3:4
    %2 = neg %1 : f32[2,2]
  }
  update %w = %2
  return %0, %x
})",
                              "step.weft");
  check_golden("ir/dot", to_dot(g));
}

TEST_CASE("unbound extents have names, and equal names are equal extents") {
  const Graph g = round_trip(R"(func @f(%x: f32[?,?time,3], %w: f32[3,?out], %t: i32[?time]) {
  %0 = contract %x, %w {lhs=[2], rhs=[0]} : f32[?,?time,?out]
  %1 = reshape %x : f32[?,1,?time,3,1]
  %2 = slice %x {start=[0,0,1], limit=[?,?time,3], stride=[1,1,1]} : f32[?,?time,2]
  %3 = size %t {axis=0} : i64[]
  %4 = broadcast %t {axes=[1]} : i32[?,?time]
  return %0, %1, %2, %3, %4
}
)");
  CHECK(symbols_of(g) == std::vector{kBatch, symbol("time"), symbol("out")});
  CHECK(symbol("time") == symbol("time"));
  CHECK(extent_text(symbol("time")) == "?time");
  const Graph some = bind(g, {{symbol("time"), 5}});
  verify(some);
  CHECK(symbols_of(some) == std::vector{kBatch, symbol("out")});
  CHECK(print(some).find("i64[] = constant") == std::string::npos);
  CHECK(print(some).find("constant {value=5} : i64[]") != std::string::npos);
  const Graph all = bind(some, {{kBatch, 2}, {symbol("out"), 4}});
  verify(all);
  CHECK(all[all.outputs()[0].id].type == Type{f32, {2, 5, 4}});

  const auto refused = [](const std::string& line) {
    try {
      parse_graph("func @f(%x: f32[?,?a,6], %y: f32[?,?b,6]) {\n  %0 = " + line + "\n}\n", "m");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(refused("add %x, %y : f32[?,?a,6]").find("f32[?,?a,6] and f32[?,?b,6]") != std::string::npos);
  CHECK(refused("reshape %x : f32[?,6,?a]").find("other unbound axes as they follow each other") != std::string::npos);
  CHECK(refused("reshape %x : f32[?,?b,6]").find("cannot reshape") != std::string::npos);
  CHECK(refused("concat %x, %x {axis=1} : f32[?,?a,6]").find("cannot concat along the unbound axis") !=
        std::string::npos);
  CHECK(refused("slice %x {start=[0,1,0], limit=[?,?a,6], stride=[1,1,1]} : f32[?,?a,6]")
            .find("cannot slice the unbound axis") != std::string::npos);
  CHECK_THROWS_WITH(symbol("1x"), Catch::Matchers::ContainsSubstring("is not an identifier"));
  CHECK_THROWS_WITH(bind(g, {{kBatch, -3}}), Catch::Matchers::ContainsSubstring("cannot bind a batch of -3"));
  CHECK_THROWS_WITH(bind(g, {{-7, 3}}), Catch::Matchers::ContainsSubstring("which is no symbol"));
}

TEST_CASE("names that are no identifiers stand in quotes") {
  const Graph g = round_trip(
      R"(func @f(%"conv1/weight:0": f32[2], %"0": f32[2], %"größe": f32[2], %"a\22b\5c\0a": f32[2], state %"s t": f32[2]) {
  %0 = add %"conv1/weight:0", %"0" : f32[2]
  %1 = mul %"größe", %"a\22b\5c\0a" : f32[2]
  update %"s t" = %1
  return "out put" = %0, %"0", plain = %1
}
)");
  CHECK(g.inputs()[0].name == "conv1/weight:0");
  CHECK(g.inputs()[3].name == "a\"b\\\n");
  CHECK(g.outputs()[0].name == "out put");
  CHECK(g.outputs()[1].name == "0");
  CHECK(print(g).find("%0 = add %\"conv1/weight:0\", %\"0\"") != std::string::npos);
  CHECK(to_dot(g).find("größe") != std::string::npos);
  CHECK(print(parse_graph("func @f(%\"x\": f32[]) {\n  return \"y\" = %x\n}\n")) ==
        "func @f(%x: f32[]) {\n  return y = %x\n}\n");
}

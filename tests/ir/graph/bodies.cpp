// Functions that nodes hold: their text, what inference and limits refuse, and what the interpreter makes of them.
#include "ir/graph/body.h"

#include <chrono>

#include "catch.h"
#include "error_of.h"
#include "ir/graph/build.h"
#include "ir/graph/print.h"

using namespace weft;

namespace {

const LocSet kHere = LocSet::of(std::source_location::current());

// @twice is held by two nodes, one of them in a body.
const char* kText = R"(func @twice(%x: f32[2]) {
  %0 = add %x, %x : f32[2]
  return %0
}

func @sum(%a: f32[2], %b: f32[2]) {
  %0 = call %a {body=@twice} : (f32[2])
  %1 = result %0 {index=0} : f32[2]
  %2 = add %1, %b : f32[2]
  return %2, %a
}

func @difference(%a: f32[2], %b: f32[2]) {
  %0 = sub %a, %b : f32[2]
  return %0, %b
}

func @main(%p: bool[], %x: f32[2], state %w: f32[2]) {
  %0 = cond %p, %x, %w {then=@sum, else=@difference} : (f32[2], f32[2])
  %1 = result %0 {index=0} : f32[2]
  %2 = result %0 {index=1} : f32[2]
  %3 = call %1 {body=@twice} : (f32[2])
  %4 = result %3 {index=0} : f32[2]
  update %w = %2
  return %4, first = %1
}
)";

Array pair(float a, float b) { return Array::from(std::vector{a, b}, {2}); }

Graph chain(int depth, int calls) {  // function i calls function i - 1 so often
  Graph g;
  const ValueId x = g.input("x", {f32, {}}, InputKind::data, kHere);
  g.output("y", Builder{g, kHere}.neg(x));
  for (int i = 0; i < depth; ++i) {
    const BodyRef body = make_body(g);
    Graph next;
    next.name = "f" + std::to_string(i);
    Builder b{next, kHere};
    ValueId v = next.input("x", {f32, {}}, InputKind::data, kHere);
    for (int c = 0; c < calls; ++c)
      v = b.op(Op::result, {b.op(Op::call, {v}, Attrs::functions({body}))}, Attrs::index(0));
    next.output("y", v);
    g = std::move(next);
  }
  return g;
}

}  // namespace

TEST_CASE("functions print before those that hold them, each once, and parse to the same") {
  const Graph g = parse_graph(kText);
  verify(g);
  CHECK(print(g) == kText);
  CHECK(bodies_of(g).size() == 3);
  for (const bool locs : {false, true}) {
    const Graph again = parse_graph(print(g, {.locs = locs}));
    CHECK(again == g);
    CHECK(print(again, {.locs = locs}) == print(g, {.locs = locs}));
  }
  CHECK(to_dot(g).find("cond {then=@sum, else=@difference}") != std::string::npos);
}

TEST_CASE("equal functions are one, whatever they are called") {
  const auto function = [](std::string name, Op op) {
    Graph g;
    g.name = std::move(name);
    const ValueId x = g.input("x", {f32, {}}, InputKind::data, kHere);
    Builder{g, kHere}.op(Op::exp, {x});  // dead
    g.output("y", Builder{g, kHere}.op(op, {x}));
    return make_body(std::move(g));
  };
  const BodyRef sin = function("f", Op::sin), again = function("g", Op::sin), cos = function("f", Op::cos);
  CHECK(*sin == *again);
  CHECK_FALSE(*sin == *cos);
  CHECK(sin->size == 2);
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f32, {}}, InputKind::data, kHere);
  const auto call = [&](const BodyRef& body) { return b.op(Op::call, {x}, Attrs::functions({body})); };
  const ValueId first = call(sin);
  CHECK(call(again) == first);
  CHECK(call(cos) != first);
  g.output("y", b.op(Op::result, {call(sin)}, Attrs::index(0)));
  g.output("z", b.op(Op::result, {call(cos)}, Attrs::index(0)));
  verify(g);
  const BodyNames names(g);  // of two that are called the same, one gets a number
  CHECK(names.bodies().size() == 2);
  CHECK(names(*cos) == "@f_1");
  CHECK(print(parse_graph(print(g))) == print(g));
}

TEST_CASE("the interpreter takes one branch") {
  const Graph g = parse_graph(kText);
  const Evaluation then = interpret(g, std::vector{Array::scalar(true), pair(1, 2), pair(3, 4)});
  CHECK(then.outputs[0].same_bits(pair(10, 16)));
  CHECK(then.outputs[1].same_bits(pair(5, 8)));
  CHECK(then.states[0].same_bits(pair(1, 2)));
  const Evaluation otherwise = interpret(g, std::vector{Array::scalar(false), pair(1, 2), pair(3, 4)});
  CHECK(otherwise.outputs[0].same_bits(pair(-4, -4)));
  CHECK(otherwise.states[0].same_bits(pair(3, 4)));
}

TEST_CASE("the batch is bound in functions too") {
  const Graph g = parse_graph(R"(func @rows(%x: f32[?,3]) {
  %0 = size %x {axis=0} : i64[]
  %1 = neg %x : f32[?,3]
  return %0, %1
}

func @main(%x: f32[?,3]) {
  %0 = call %x {body=@rows} : (i64[], f32[?,3])
  %1 = result %0 {index=0} : i64[]
  %2 = result %0 {index=1} : f32[?,3]
  return %1, %2
}
)");
  const Graph bound = bind_batch(g, 5);
  verify(bound);
  CHECK(print(bound).find('?') == std::string::npos);
  const Evaluation e = interpret(bound, std::vector{Array(Type{f32, {5, 3}})});
  CHECK(e.outputs[0].item<std::int64_t>() == 5);
}

TEST_CASE("scan runs its body for each slice, forwards and backwards, any number of times") {
  const auto text = [](const std::string& length, int reverse) {
    return fmt::format(R"(func @turn(%sum: i32[2], %x: i32[2], %w: i32[2]) {{
  %0 = mul %sum, %w : i32[2]
  %1 = add %0, %x : i32[2]
  return %1, old = %sum
}}

func @main(%s: i32[2], %x: i32[{0},2], %w: i32[2]) {{
  %0 = scan %s, %x, %w {{carries=1, slices=1, length={0}, reverse={1}, body=@turn}} : (i32[2], i32[{0},2])
  %1 = result %0 {{index=0}} : i32[2]
  %2 = result %0 {{index=1}} : i32[{0},2]
  return %1, %2
}}
)",
                       length, reverse);
  };
  const auto ints = [](std::vector<std::int32_t> v, const Shape& s) { return Array::from(v, s); };
  const auto run = [&](const Graph& g, std::int64_t length) {
    std::vector<std::int32_t> x;
    for (std::int32_t i = 0; i < 2 * length; ++i) x.push_back(i);
    return interpret(g, std::vector{ints({1, 2}, {2}), ints(x, {length, 2}), ints({2, 3}, {2})}).outputs;
  };
  const Graph g = parse_graph(text("?time", 0));
  verify(g);
  CHECK(print(g) == text("?time", 0));
  CHECK(symbols_of(g) == std::vector{symbol("time")});
  const Graph bound = bind(g, {{symbol("time"), 3}});
  CHECK(print(bound) == text("3", 0));
  const auto forwards = run(bound, 3);
  CHECK(forwards[0].same_bits(ints({16, 77}, {2})));  // ((1*2+0)*2+2)*2+4, ((2*3+1)*3+3)*3+5
  CHECK(forwards[1].same_bits(ints({1, 2, 2, 7, 6, 24}, {3, 2})));
  const auto backwards = run(parse_graph(text("3", 1)), 3);
  CHECK(backwards[0].same_bits(ints({28, 109}, {2})));  // ((1*2+4)*2+2)*2+0, ((2*3+5)*3+3)*3+1
  CHECK(backwards[1].same_bits(ints({14, 36, 6, 11, 1, 2}, {3, 2})));
  const auto never = run(parse_graph(text("0", 0)), 0);
  CHECK(never[0].same_bits(ints({1, 2}, {2})));
  CHECK(never[1].shape() == Shape{0, 2});
}

TEST_CASE("what does not fit a function is refused, with the place") {
  const std::string f =
      "func @f(%x: f32[2]) {\n  return %x\n}\nfunc @g(%x: f32[2]) {\n  %0 = exp %x : f32[2]\n  return %0, %x\n}\n";
  const auto in_main = [&](const std::string& line) {
    return error_of(
        [&] { parse_graph(f + "func @main(%x: f32[2], %p: bool[], %i: i32[]) {\n  %0 = " + line + "\n}\n", "m"); });
  };
  const auto as_f = [](const std::string& text) {
    return error_of([&] { parse_graph(text + "func @main() {\n}\n", "m"); });
  };
  CHECK(in_main("call %x {body=@f} : (f32[3])") == "m:9:28: error: call has type (f32[2]), the text says (f32[3])");
  CHECK(in_main("call {body=@f} : (f32[2])") == "m:9:8: error: call: its body takes 1 operand, found 0");
  CHECK(in_main("call %p {body=@f} : (f32[2])")
            .starts_with("m:9:8: error: call: operand 0 is bool[], its body takes f32[2]; operand 0 is bool[]"));
  CHECK(in_main("call %x {body=@h} : (f32[2])") == "m:9:22: error: '@h' is not defined above");
  CHECK(in_main("call %x {body=@main} : (f32[2])") == "m:9:22: error: '@main' is not defined above");
  CHECK(in_main("call %x {body=3} : (f32[2])") == "m:9:22: error: expected a function such as @body, found '3'");
  CHECK(in_main("call %x {body=@f, body=@f} : (f32[2])") == "m:9:26: error: attribute 'body' is given twice");
  CHECK(in_main("call %x : (f32[2])") == "m:9:8: error: call needs the attribute body");
  CHECK(in_main("call %x {then=@f} : (f32[2])") == "m:9:17: error: call has no attribute 'then'; it has body");
  CHECK(in_main("call %x {body=@f} : ((f32[2]))") == "m:9:29: error: expected a type such as f32[2,3], found '('");
  CHECK(in_main("cond %p, %x {then=@f} : (f32[2])") == "m:9:8: error: cond needs the attribute else");
  CHECK(
      in_main("cond %p, %x {then=@f, else=@g} : (f32[2])")
          .starts_with("m:9:8: error: cond: its branches give (f32[2]) and (f32[2], f32[2]); expected the same types"));
  CHECK(in_main("cond %i, %x {then=@f, else=@f} : (f32[2])")
            .starts_with("m:9:8: error: cond: the condition is i32[]; expected bool[]"));
  CHECK(in_main("cond {then=@f, else=@f} : (f32[2])") == "m:9:8: error: cond: takes 1 operand or more, found 0");
  const auto scan = [&](const std::string& attributes, const std::string& operands = "%x") {
    return in_main("scan " + operands + " {" + attributes + ", body=@f} : (f32[2])");
  };
  const struct {
    std::string attributes, operands, message;
  } kScans[] = {
      {"carries=2, slices=0, length=1, reverse=0", "%x", "carries=2 and slices=0 are more than its 1 operand"},
      {"carries=1, slices=0, length=1, reverse=2", "%x", "reverse=2 is neither 0 nor 1"},
      {"carries=-1, slices=0, length=1, reverse=0", "%x", "carries=-1 and slices=0 are more than its 1 operand"},
      {"carries=1, slices=0, length=1, reverse=-3", "%x", "reverse=[-3] is not one number of 0 or more"},
      {"carries=1, slices=0, length=-1, reverse=0", "%x", "extent -1 is negative"},
      {"carries=1, slices=0, length=1", "%x", "scan needs the attribute reverse"},
      {"carries=0, slices=1, length=1, reverse=0", "%x", "operand 0 is f32[2], expected f32[1,2]"},
      {"carries=1, slices=0, length=1, reverse=0", "%p", "operand 0 is bool[], expected f32[2]"},
      {"carries=1, slices=0, length=1, reverse=0", "%x, %x", "its body takes 1 operand, found 2"},
      {"carries=1, slices=0, length=16777217, reverse=0", "%x", "length=16777217 is more than 16777216 turns"},
      {"carries=0, slices=1, length=?n, reverse=0", "%x", "operand 0 is f32[2], expected f32[?n,2]"},
  };
  for (const auto& c : kScans) {
    const std::string message = scan(c.attributes, c.operands);
    INFO(message);
    CHECK(message.find(c.message) != std::string::npos);
  }
  CHECK(in_main("result %x {index=0} : f32[2]")
            .starts_with("m:9:8: error: result: takes the tuple that call, cond or scan gives, found f32[2]"));
  const std::string call = "call %x {body=@f} : (f32[2])\n  ";
  CHECK(in_main(call + "%1 = result %0 {index=1} : f32[2]").find("index [1] is out of range for (f32[2])") !=
        std::string::npos);
  CHECK(in_main(call + "%1 = neg %0 : f32[2]").find("operand 0 is a tuple (f32[2]); expected a tensor") !=
        std::string::npos);
  CHECK(in_main(call + "%1 = select %p, %0, %0 : (f32[2])").find("operand 1 is a tuple") != std::string::npos);
  CHECK(in_main(call + "%1 = reshape %x : (f32[2])").find("its result is a tensor, not a tuple (f32[2])") !=
        std::string::npos);
  CHECK(in_main(call + "return %0").find("output 'out0' is a tuple (f32[2]); expected a tensor") != std::string::npos);

  CHECK(as_f("func @f(state %x: f32[]) {\n}\n") ==
        "m:1:6: error: @f has the state %x: a function that is called has none");
  CHECK(as_f("func @f(%x: (f32[])) {\n}\n") == "m:1:13: error: expected a type such as f32[2,3], found '('");
  CHECK(as_f("func @f() {\n}\nfunc @f() {\n}\n") == "m:3:6: error: '@f' is defined twice, first in line 1");
  CHECK(as_f("func @f() {\n}\n") == "m:1:6: error: '@f' is used by no other function; the last one is the graph");
  CHECK(as_f("func @main() {\n}\n") == "m:3:6: error: '@main' is defined twice, first in line 1");
}

TEST_CASE("deep functions are looked through in linear time") {
  Graph g = chain(kMaxBodyDepth, 1);
  const auto start = std::chrono::steady_clock::now();
  CHECK(symbols_of(g).empty());
  verify(g);
  CHECK(print(parse_graph(print(g))) == print(g));
  CHECK(bind(g, {{kBatch, 2}}) == g);
  CHECK(interpret(g, std::vector{Array::scalar(3.0f)}).outputs[0].item<float>() == -3);
  CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 5);
}

TEST_CASE("a loop counts each of its turns in the size of a function") {
  const auto scan = [](const BodyRef& body, std::int64_t length) {
    Graph g;
    Builder b{g, kHere};
    const ValueId x = g.input("x", {f32, {}}, InputKind::data, kHere);
    Attrs attrs{
        {Attr::carries, Dims{1}}, {Attr::slices, Dims{0}}, {Attr::length, Dims{length}}, {Attr::reverse, Dims{0}}};
    attrs.bodies = {body};
    g.output("y", b.op(Op::result, {b.op(Op::scan, {x}, attrs)}, Attrs::index(0)));
    return g;
  };
  Graph same;
  same.output("y", same.input("x", {f32, {}}, InputKind::data, kHere));
  const BodyRef once = make_body(same), many = make_body(scan(once, 100000));
  CHECK(many->size == 3 + 100000);
  CHECK(error_of([&] { make_body(scan(many, 100000)); }).find("is too large") != std::string::npos);
  const Graph open = scan(once, symbol("n"));
  CHECK(error_of([&] { interpret(open, std::vector{Array::scalar(1.0f)}); }).find("the extent ?n is not bound") !=
        std::string::npos);
}

TEST_CASE("functions that call each other too deep or too often are refused before they grow") {
  chain(kMaxBodyDepth, 1);
  CHECK(error_of([] { chain(kMaxBodyDepth + 2, 1); }) == "@f63 is too deep: functions call each other at most 64 deep");
  CHECK(error_of([] { chain(60, 2); }).find("is too large: with what it calls, counted at each call") !=
        std::string::npos);
}

TEST_CASE("outline and insert undo each other") {
  Graph g;
  Builder b{g, kHere};
  const ValueId x = g.input("x", {f32, {2}}, InputKind::data, kHere),
                y = g.input("y", {f32, {2}}, InputKind::data, kHere);
  const ValueId s = b.op(Op::sin, {x}), z = b.mul(s, b.add(y, b.like(y, 2)));
  const BodyRef body = outline(g, "part", std::vector{s, y}, std::vector{z, y});
  const std::size_t size = g.size();
  CHECK(insert(g, *body->graph, std::vector{s, y}) == std::vector{z, y});  // the same nodes are found again
  CHECK(g.size() == size);
  CHECK_THROWS_AS(outline(g, "part", std::vector{s}, std::vector{z}), InternalError);
}

// compile() and Executable: arguments, states, updates, batch extents, dumps, gradients, provenance.
#include <cmath>

#include "ir/kernel/kernel.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr Backend kBackends[] = {Backend::interpreter, Backend::cpu, Backend::emulator};

}  // namespace

TEST_CASE("an executable takes its inputs by position or by name") {
  for (Backend backend : kBackends) {
    DYNAMIC_SECTION(name(backend)) {
      GraphScope graph;
      const Tensor a = placeholder(f32, {2}, "a"), b = placeholder(f32, {2}, "b");
      const Executable exe = compile({{"difference", a - b}, {"ratio", a / b}}, {.backend = backend});
      REQUIRE(exe.input_names() == std::vector<std::string>{"a", "b"});
      REQUIRE(exe.output_names() == std::vector<std::string>{"difference", "ratio"});
      const Array x = f({6, 8}, {2}), y = f({2, 4}, {2});
      require_close(exe({x, y})[0], {4, 4});
      require_close(exe(std::vector<Array>{x, y})[1], {3, 2});
      require_close(exe({{"b", y}, {"a", x}})[0], {4, 4});
      // An order of one's own; an input that is not used is still an argument.
      const Executable swapped = compile({-b}, {.inputs = {b, a}, .backend = backend});
      REQUIRE(swapped.output_names() == std::vector<std::string>{"out0"});
      require_close(swapped({y, x})[0], {-2, -4});
    }
  }
}

TEST_CASE("inputs, states and outputs may have any names") {
  for (Backend backend : kBackends) {
    DYNAMIC_SECTION(name(backend)) {
      GraphScope graph;
      const Tensor a = placeholder(f32, {2}, "1/a b:0"), w = state(f({1, 2}, {2}), "w \"é\"");
      const Executable exe = compile({{"a + w", a + w}, {"1.a_b_0", w * 2}}, {.updates = {{w, a}}, .backend = backend});
      REQUIRE(exe.output_names() == std::vector<std::string>{"a + w", "1.a_b_0"});
      const std::vector<NamedArray> in{{"1/a b:0", f({3, 4}, {2})}};
      require_close(exe(in)[0], {4, 6});
      require_close(exe(in)[1], {6, 8});
      require_close(exe.state("w \"é\""), {3, 4});
      const std::string text = exe.dump(Stage::graph);
      REQUIRE(print(parse_graph(text)) == text);
      if (backend == Backend::interpreter) continue;
      const std::string kernels = exe.dump(Stage::kernels);
      REQUIRE(print(parse_program(kernels)) == kernels);
    }
  }
}

TEST_CASE("wrong arguments are refused with what would fit") {
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x"), k = input(i32, {}, "k"), s = placeholder(f32, {2}, "s");
  const std::string x_line = here(-1);
  const Executable exe = compile({x * astype(expand_dims(k, 1), f32), s}, {.backend = Backend::interpreter});
  const Array good = f({1, 2, 3}, {1, 3}), label = i({2}, {1}), scale = f({1, 2}, {2});
  require_reported({
      FAILS(exe({good, label}), "'main' takes 3 inputs (x, k, s), got 2"),
      FAILS(exe({good, label, scale, scale}), "takes 3 inputs", "got 4"),
      FAILS(exe({f({1, 2}, {1, 2}), label, scale}), "input 'x' (", x_line, "): expected f32[?,3], got f32[1,2]"),
      FAILS(exe({f({1, 2, 3}, {3}), label, scale}), "expected f32[?,3], got f32[3]"),
      FAILS(exe({good, f({2}, {1}), scale}), "input 'k'", "expected i32[?], got f32[1]"),
      FAILS(exe({good, i({1, 2}, {2}), scale}), "input 'k'", "batch extent 2 differs from 1 of input 'x'"),
      FAILS(exe({good, label, f({1}, {1})}), "input 's'", "expected f32[2], got f32[1]"),
      FAILS(exe({Array(Type{f32, {0, 3}}), label, scale}), "input 'x'", "the batch is empty"),
      FAILS(exe({{"x", good}, {"s", scale}}), "input 'k'", "is missing: expected i32[?]"),
      FAILS(exe({{"x", good}, {"k", label}, {"q", scale}}), "'main' has no input 'q'; it has x, k, s"),
      FAILS(exe({{"x", good}, {"x", good}, {"k", label}, {"s", scale}}), "input 'x' of 'main' is given twice"),
      FAILS(exe.state("w"), "'main' has no state 'w'; it has none"),
      FAILS(exe.dump(Stage::optimized), "has a batch axis and has not been compiled for a batch extent yet"),
  });
  REQUIRE(exe({good, label, scale}).size() == 2);
}

TEST_CASE("compile() refuses what makes no function") {
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x"), w = parameter({3}, zeros(), "w"), r = random_uniform({kBatch});
  require_reported({
      MISTAKE(compile({}), "compile: nothing to compute"),
      MISTAKE(compile({{"a", x}, {"a", w}}), "compile: output 'a' exists already"),
      MISTAKE(compile({x}, {.name = "two words"}), "compile: the name 'two words' is not an identifier: expected"),
      MISTAKE(compile({x}, {.name = ""}), "compile: the name '' is not an identifier"),
      MISTAKE(compile({x}, {.name = "../a\"\n"}), "is not an identifier"),
      MISTAKE(compile({{"a\xff", x}}), "compile: output name \"a\xff\" is no name: expected text in UTF-8, not empty"),
      MISTAKE(compile({x}, {.updates = {{x, x}}}), "compile: f32[?,3]", "is updated and is no state or parameter"),
      MISTAKE(compile({}, {.updates = {{w, w + 1}, {w, w}}}), "compile: state 'w' is updated twice"),
      MISTAKE(compile({}, {.updates = {{w, sum(w)}}}), "compile: state 'w' is f32[3] and its update is f32[]"),
      MISTAKE(compile({x}, {.inputs = {w}}), "is listed as an input and is none"),
      MISTAKE(compile({x + w}, {.inputs = {input(f32, {2}, "other")}}),
              "compile: the outputs depend on input 'x' f32[?,3]", "not among the inputs listed"),
      MISTAKE(compile({r}),
              "compile: the graph has a batch axis and no input that would give its extent; set CompileOptions::batch"),
      MISTAKE(compile({x}, {.batch = -1}), "compile: batch is -1; expected 1 or more"),
      MISTAKE(compile({exp(Tensor())}), "exp: operand 0 is an empty Tensor"),
  });
  REQUIRE(compile({r}, {.batch = 4, .backend = Backend::interpreter})()[0].shape() == Shape{4});
}

TEST_CASE("updates are kept between calls and shared by all functions of the graph") {
  for (Backend backend : kBackends) {
    DYNAMIC_SECTION(name(backend)) {
      GraphScope graph;
      const Tensor count = state(f({1, 2}, {2}), "count"), other = state(f({0, 0}, {2}), "other"),
                   x = placeholder(f32, {2}, "x");
      const Executable step =
          compile({{"old", count}}, {.updates = {{count, count + x}, {other, count}}, .backend = backend});
      const Executable read = compile({count * 10}, {.backend = backend});
      require_close(step({f({1, 1}, {2})})[0], {1, 2});  // outputs are those of before the update
      require_close(count.value(), {2, 3});
      require_close(other.value(), {1, 2});  // updates see the old values
      require_close(read()[0], {20, 30});
      step.set_state("count", f({5, 6}, {2}));
      require_close(read()[0], {50, 60});
      count.set_value(f({7, 8}, {2}));
      require_close(step.state("count"), {7, 8});
      const Array before = step({f({1, 1}, {2})})[0];
      step({f({1, 1}, {2})});
      require_close(before, {7, 8});  // results are the caller's own
      const Array given = f({1, 2}, {2});
      const Array same = compile({x}, {.backend = backend})({given})[0];
      given.as<float>()[0] = 9;
      require_close(same, {1, 2});  // so is one that is an argument
      // Two states that swap.
      const Executable swap = compile({}, {.updates = {{count, other}, {other, count}}, .backend = backend});
      swap();
      require_close(count.value(), {8, 9});
      require_close(other.value(), {9, 10});
      REQUIRE(error_of([&] { step.state("x"); }) == "'main' has no state 'x'; it has count, other");
    }
  }
}

TEST_CASE("run_steps is the same as so many calls") {
  for (Backend backend : kBackends)
    for (int threads : {1, 2, 3}) {
      DYNAMIC_SECTION(name(backend) << ", " << threads << " threads") {
        // Large enough for a team; outputs: its own, a state, an input. `rate` is read only, `w` goes from step to
        // step.
        constexpr std::int64_t kSteps = 5, kRows = 64, kColumns = 300;
        auto build = [&] {
          const Tensor x = input(f32, {kColumns}, "x"), scale = placeholder(f32, {}, "scale"),
                       rate = state(Array::scalar(0.5f), "rate"),
                       w = parameter({kColumns, kColumns}, constant_value(0.01), "w");
          const Tensor y = tanh(matmul(x, w) * scale);
          return compile({{"y", y}, {"w_before", w}, {"x", x}, {"total", sum(y)}},
                         {.updates = {{w, w - rate * matmul(transpose(x), y)}},
                          .inputs = {x, scale},
                          .backend = backend,
                          .threads = threads});
        };
        GraphScope graph;
        const Executable calls = build();
        GraphScope other;
        const Executable steps = build();
        Array xs(Type{f32, {kSteps, kRows, kColumns}});
        for (std::int64_t e = 0; e < xs.size(); ++e)
          xs.as<float>()[static_cast<std::size_t>(e)] = static_cast<float>(e % 97 - 48) / 97;
        const Array rates = f({0.1f, 0.2f, 0.3f, 0.2f, 0.1f}, {kSteps}), scale = Array::scalar(0.25f);
        std::vector<std::vector<Array>> expected;
        for (std::int64_t s = 0; s < kSteps; ++s) {
          calls.set_state("rate", Array::scalar(static_cast<float>(rates.at(s))));
          expected.push_back(calls({xs.rows(s, s + 1).reshaped({kRows, kColumns}), scale}));
        }
        auto equal = [&](const StepResults& r) {
          for (std::int64_t s = 0; s < r.steps; ++s)
            for (std::size_t o = 0; o < r.outputs.size(); ++o) {
              const Array row = r.outputs[o].rows(s, s + 1);
              if (!row.reshaped(expected[static_cast<std::size_t>(s)][o].shape())
                       .same_bits(expected[static_cast<std::size_t>(s)][o]))
                return false;
            }
          return true;
        };
        // Three by StepOptions::after, then the rest.
        const StepResults first = steps.run_steps(
            kSteps, {per_step(xs), scale},
            {.states = {{"rate", rates}}, .after = [](std::int64_t s, const std::vector<Array>& outputs) {
               return outputs[3].at(s) == outputs[3].at(s) && s < 2;
             }});
        REQUIRE(first.steps == 3);
        REQUIRE(first.outputs[0].shape() == Shape{3, kRows, kColumns});
        REQUIRE(equal(first));
        REQUIRE(steps.state("rate").at(0) == rates.at(2));
        expected.erase(expected.begin(), expected.begin() + 3);
        const StepResults rest =
            steps.run_steps(2, {per_step(xs.rows(3, kSteps)), scale}, {.states = {{"rate", rates.rows(3, kSteps)}}});
        REQUIRE(rest.steps == 2);
        REQUIRE(equal(rest));
        REQUIRE(steps.state("w").same_bits(calls.state("w")));
        REQUIRE(steps.state("rate").at(0) == rates.at(4));
      }
    }
}

TEST_CASE("run_steps refuses what does not fit") {
  for (Backend backend : kBackends) {
    GraphScope graph;
    const Tensor x = input(f32, {3}, "x"), w = state(f({1, 2, 3}, {3}), "w"), rate = state(f({1}, {1}), "rate");
    const std::string line = here(-1);
    const Executable exe = compile({x * w * rate}, {.updates = {{w, w + 1}}, .backend = backend});
    const Array one = f({1, 2, 3}, {1, 3}), rows = f({1, 2, 3, 4, 5, 6}, {2, 1, 3});
    require_reported({
        FAILS(exe.run_steps(0, {one}), "'main': cannot run 0 steps; expected 1 or more"),
        FAILS(exe.run_steps(2, {}), "'main' takes 1 input (x), got 0"),
        FAILS(exe.run_steps(2, {rows}), "input 'x' (", line, "): expected f32[?,3], got f32[2,1,3]"),
        FAILS(exe.run_steps(3, {per_step(rows)}), "input 'x' (", line,
              "): expected one row for each of 3 steps, got f32[2,1,3]"),
        FAILS(exe.run_steps(3, {per_step(Array())}), "expected one row for each of 3 steps, got f32[]"),
        FAILS(exe.run_steps(1, {per_step(one)}), "input 'x' (", line, "): expected f32[?,3], got f32[3]"),
        FAILS(exe.run_steps(2, {one}, {.states = {{"v", rows}}}), "'main' has no state 'v'; it has"),
        FAILS(exe.run_steps(2, {one}, {.states = {{"w", f({1, 2, 3, 4, 5, 6}, {2, 3})}}}),
              "state 'w' is updated by 'main' and cannot have a value for each step"),
        FAILS(exe.run_steps(2, {one}, {.states = {{"rate", rows}}}),
              "state 'rate': expected f32[1] in each step, got f32[1,3]"),
        FAILS(exe.run_steps(2, {one}, {.states = {{"rate", f({1}, {1, 1})}}}),
              "state 'rate': expected one row for each of 2 steps, got f32[1,1]"),
    });
    REQUIRE(exe.run_steps(2, {per_step(rows)}).outputs[0].same_bits(f({1, 4, 9, 8, 15, 24}, {2, 1, 3})));
  }
}

TEST_CASE("one executable serves every batch extent, compiled once for each") {
  for (Backend backend : kBackends) {
    DYNAMIC_SECTION(name(backend)) {
      GraphScope graph;
      const Tensor x = input(f32, {2}, "x"), w = parameter({2}, ones(), "w");
      const Executable exe = compile({matmul(x, w)}, {.updates = {{w, w + 1}}, .backend = backend});
      require_close(exe({f({1, 2}, {1, 2})})[0], {3});
      require_close(exe({f({1, 2, 3, 4, 5, 6}, {3, 2})})[0], {6, 14, 22});  // the state went on
      const double compiled = exe.compile_seconds();
      require_close(exe({f({1, 2}, {1, 2})})[0], {9});
      REQUIRE(exe.compile_seconds() == compiled);
      exe.prepare(7);
      REQUIRE(exe.compile_seconds() > compiled);
      REQUIRE(exe.graph(7)[exe.graph(7).inputs()[0].id].type.shape == Shape{7, 2});
    }
  }
}

TEST_CASE("each stage can be printed, and the graph's text parses back") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x"), w = parameter({4, 3}, glorot_uniform(), "w");
  const Tensor loss = mean(square(matmul(x, w)));
  const Executable exe =
      compile({{"loss", loss}}, {.updates = {{w, w - 0.1 * grad(loss, {w})[0]}}, .batch = 8, .name = "step"});
  require_parts(exe.dump(Stage::graph),
                {"func @step(%x: f32[8,4], state %w: f32[4,3])", "contract", "update %w", "return loss"});
  for (Stage stage : {Stage::graph, Stage::optimized}) {
    const std::string text = exe.dump(stage);
    REQUIRE(print(parse_graph(text)) == text);
  }
  require_parts(exe.dump(Stage::optimized), {"kernel @", "contract"});
  REQUIRE(print(parse_program(exe.dump(Stage::kernels))) == exe.dump(Stage::kernels));
  require_parts(exe.dump(Stage::llvm), {"define", "float"});
  require_parts(exe.dump(Stage::assembly), {"ret"});
  require_parts(exe.dump(Stage::device), {"device @", "blocks="});
  require_parts(exe.dump(Stage::ptx), {".target sm_90a", ".entry"});
  const MemoryReport m = exe.memory();
  REQUIRE(m.input_bytes == 8 * 4 * 4);
  REQUIRE(m.state_bytes == 4 * 3 * 4);
  REQUIRE(m.output_bytes == 4);
  REQUIRE(exe.compile_seconds() > 0);
  REQUIRE(exe.threads() >= 1);
}

TEST_CASE("every node of a compiled function carries lines of this file") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  const Tensor h = Dense(5, gelu)(x);
  const std::uint32_t layer_line = std::source_location::current().line() - 1;
  const Tensor loss = mean(softmax_cross_entropy(h, input(i32, {}, "label")));
  const std::uint32_t loss_line = std::source_location::current().line() - 1;
  const Tensor w = Tensor(x.trace(), x.trace()->variables[0].id);
  const Tensor g = grad(loss, {w})[0];
  const std::uint32_t grad_line = std::source_location::current().line() - 1;
  const Executable exe = compile({loss}, {.updates = {{w, w - g}}, .batch = 2});
  for (const Graph& stage : {exe.graph(), exe.optimized()})
    for (ValueId id = 0; id < stage.size(); ++id) {
      const auto& locs = stage[id].locs.locs();
      CAPTURE(id, name(stage[id].op));
      REQUIRE(!locs.empty());
      for (const Loc& l : locs) REQUIRE(l.file.ends_with("compile_test.cpp"));
    }
  auto built_on = [&](Op op, std::uint32_t line) {
    const Graph all = exe.graph();
    for (ValueId id = 0; id < all.size(); ++id)
      for (const Loc& l : all[id].locs.locs())
        if (all[id].op == op && l.line == line) return true;
    return false;
  };
  REQUIRE(built_on(Op::erf, layer_line));  // inside gelu inside Dense: the line that called the layer
  REQUIRE(built_on(Op::log, loss_line));
  REQUIRE(built_on(Op::contract, grad_line));
}

TEST_CASE("gradients are tensors: second and third derivatives") {
  GraphScope graph;
  const Tensor x = placeholder(f64, {3}, "x");
  const Tensor y = sum(sin(x) * exp(0.5 * x));
  const Tensor first = grad(y, {x})[0], second = grad(sum(first), {x})[0], third = grad(sum(second), {x})[0];
  const std::vector<double> at = {-1.3, 0.2, 2.1};
  std::vector<double> w1, w2, w3;
  for (double v : at) {
    const double e = std::exp(0.5 * v), s = std::sin(v), c = std::cos(v);
    w1.push_back(e * (0.5 * s + c));
    w2.push_back(e * (-0.75 * s + c));
    w3.push_back(e * (-1.375 * s - 0.25 * c));
  }
  const Array a = Array::from<double>(at, {3});
  require_close(run(first, {a}), w1, 1e-12);
  require_close(run(second, {a}), w2, 1e-12);
  require_close(run(third, {a}), w3, 1e-12);
}

TEST_CASE("a gradient penalty trains through the gradient") {
  // d/dw of mean((d loss/dx)^2) for loss = sum(tanh(x w)), by finite differences.
  GraphScope graph;
  const Tensor x = placeholder(f64, {2, 3}, "x"), w = placeholder(f64, {3}, "w");
  const Tensor gx = grad(sum(tanh(matmul(x, w))), {x})[0];
  const Tensor penalty = mean(square(gx));
  const Tensor gw = grad(penalty, {w})[0];
  const Array xs = Array::from<double>({0.3, -0.2, 0.9, 1.1, 0.4, -0.7}, {2, 3});
  const std::vector<double> ws = {0.5, -1.2, 0.8};
  const Array got = run(gw, {xs, Array::from<double>(ws, {3})});
  const Executable value = compile({penalty}, {.backend = Backend::interpreter});
  for (std::size_t k = 0; k < 3; ++k) {
    auto shifted = [&](double h) {
      std::vector<double> v = ws;
      v[k] += h;
      return value({xs, Array::from<double>(v, {3})})[0].at(0);
    };
    REQUIRE(got.at(static_cast<std::int64_t>(k)) == Approx((shifted(1e-6) - shifted(-1e-6)) / 2e-6).epsilon(1e-6));
  }
}

TEST_CASE("substitute calls a traced function on other arguments") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2}, "x"), y = placeholder(f32, {2}, "y");
  const Tensor fx = exp(x) + y, fy = substitute({fx}, {{x, y * 2}})[0];
  REQUIRE(substitute({fx}, {})[0].same(fx));
  REQUIRE(substitute({fx}, {{x, x}})[0].same(fx));
  require_close(run(fy, {f({0, 1}, {2})}, {y}), {1, 1 + std::exp(2)});
}

// The driver: every stage from a graph and from a program, on every backend the same bits.
#include "compiler/compilation.h"

#include "catch.h"
#include "error_of.h"
#include "ir/base/text.h"

using namespace weft;

namespace {

// Outputs that are a state as it was, and states that change places: what an executor stores must not be read again.
constexpr const char* kSwap = R"(func @swap(%x: f32[4], state %a: f32[4], state %b: f32[4]) {
  %sum = add %x, %a : f32[4]
  update %a = %b
  update %b = %a
  return %sum, old_a = %a, old_b = %b
}
)";

Array of(float first) { return Array::from<float>({first, first + 1, first + 2, first + 3}, {4}); }

constexpr Stage kStages[] = {Stage::graph,    Stage::optimized, Stage::kernels, Stage::llvm,
                             Stage::assembly, Stage::device,    Stage::ptx};

/// Without the source lines that device code names.
std::string without_locs(std::string text) {
  for (std::size_t at; (at = text.find(" // <text>:")) != text.npos;) text.erase(at, text.find('\n', at) - at);
  return text;
}

}  // namespace

TEST_CASE("stages have names, and the names stages") {
  for (const Stage s : kStages) {
    CHECK(stage_named(name(s)) == s);
    CHECK(stage_names().find(name(s)) != std::string::npos);
  }
  CHECK_FALSE(stage_named("machine code"));
}

TEST_CASE(
    "a function has a text at every stage; from the text of its graph or its kernels the later ones are the same") {
  for (const Machine::Kind kind : {Machine::cpu, Machine::gpu}) {
    const Machine machine = machine_of({.backend = kind == Machine::cpu ? Backend::cpu : Backend::cuda});
    Compilation c(parse_graph(kSwap), machine);
    Compilation from_fused(parse_graph(c.text(Stage::optimized)), machine);
    Compilation from_kernels(parse_program(c.text(Stage::kernels)), machine);
    for (const Stage s : kStages) {
      CAPTURE(name(s), kind);
      CHECK_FALSE(c.text(s).empty());
      const std::string text = without_locs(c.text(s));
      if (s >= Stage::optimized) CHECK(without_locs(from_fused.text(s)) == text);
      const bool own_code = kind == Machine::cpu ? is_cpu_code(s) : is_gpu_code(s);
      if (s == Stage::kernels || (own_code && s != Stage::llvm)) CHECK(without_locs(from_kernels.text(s)) == text);
    }
    CHECK_FALSE(from_kernels.has_graph());
    CHECK(error_of([&] { from_kernels.text(Stage::optimized); }).find("which is past the graph") != std::string::npos);
  }
}

TEST_CASE("kernels that a text gives no schedule, or another machine's, run as if they had been lowered for this one") {
  const Graph g = parse_graph(
      "func @f(%x: f32[60,130], %w: f32[130,70]) { %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[60,70]\n"
      "%1 = reduce_sum %0 {axis=1} : f32[60] return %0, %1 }");
  for (const Machine::Kind kind : {Machine::cpu, Machine::gpu}) {
    const Backend backends[] = {Backend::cpu, Backend::emulator};
    const Machine machine = machine_of({.backend = backends[kind]});
    const Stage code = kind == Machine::cpu ? Stage::assembly : Stage::device;
    const std::string expected = without_locs(Compilation(g, machine).text(code));
    std::string bare = Compilation(g, machine).text(Stage::kernels), foreign = bare;
    for (std::size_t at; (at = bare.find("    schedule ")) != bare.npos;) bare.erase(at, bare.find('\n', at) + 1 - at);
    for (std::size_t at = 0; (at = foreign.find("schedule ", at)) != foreign.npos; ++at)
      foreign.replace(at, foreign.find('\n', at) - at, kind == Machine::cpu ? "schedule gpu {}" : "schedule cpu {}");
    for (const std::string& text : {bare, foreign}) {
      CAPTURE(kind, text);
      CHECK(without_locs(Compilation(parse_program(text), machine).text(code)) == expected);
    }
  }
}

TEST_CASE("executors of all backends give the same bits, call by call and in steps") {
  for (const Backend backend : {Backend::cpu, Backend::emulator, Backend::interpreter}) {
    CAPTURE(name(backend));
    Compilation c(parse_graph(kSwap), machine_of({.backend = backend}));
    const auto executor = c.executor({.backend = backend});
    CHECK(executor->input_panels() == std::vector<std::int64_t>(3, 0));
    const Array x = of(100), a = of(0), b = of(10);
    CHECK(error_of([&] { executor->run(); }).find("'x' (f32[4]) is not bound") != std::string::npos);
    executor->bind(0, x);
    executor->bind(1, a);
    executor->bind(2, b);
    executor->run();
    std::vector<Array> out = executor->take_outputs();
    CHECK(out[0].at(0) == 100);
    CHECK(out[1].same_bits(of(0)));
    CHECK(out[2].same_bits(of(10)));
    CHECK(a.same_bits(of(10)));
    CHECK(b.same_bits(of(0)));

    const Array rows = Array::filled({f32, {3, 4}}, 1);
    const std::vector<Array> steps = {Array(Type{f32, {3, 4}}), Array(Type{f32, {3, 4}}), Array(Type{f32, {3, 4}})};
    const std::vector<StepRows> moving = {{0, rows}};
    CHECK(executor->run_steps(3, moving, steps, [](std::int64_t s) { return s < 1; }) == 2);
    CHECK(steps[0].at(0) == 11);
    CHECK(steps[0].at(4) == 1);
    CHECK(a.same_bits(of(10)));
    CHECK(error_of([&] {
            executor->bind(1, b);
            executor->run();
          }).find("bound to the same memory") != std::string::npos);
  }
}

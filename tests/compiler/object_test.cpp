// Object files: linked alone and called from outside, they give the interpreter's bits on every target.
#include "compiler/object.h"

#include <cfenv>
#include <thread>

#include "catch.h"
#include "codegen/codegen.h"
#include "compiler/linked_object.h"
#include "error_of.h"
#include "golden.h"
#include "mlp_step.h"
#include "random_graph.h"

using namespace weft;
using namespace weft::test;

namespace {

/// Targets that this machine can run; `multi` is the best of its levels here.
constexpr const char* kTargets[] = {"native", "multi", "x86-64-v2"};

constexpr const char* kCounter = R"(func @count(%x: f32[3], state %sum: f32[3], state %calls: i32[]) {
  %0 = add %sum, %x : f32[3]
  %1 = constant {value=1} : i32[]
  %2 = add %calls, %1 : i32[]
  update %sum = %0
  update %calls = %2
  return total = %0, n = %2
}
)";

/// Every task on a thread of its own, the last first.
void on_threads(void*, std::int32_t n, Task task, void* context) {
  std::vector<std::jthread> threads;
  for (std::int32_t i = n; i-- > 0;) threads.emplace_back(task, context, i);
}

}  // namespace

TEST_CASE("functions of an object give the interpreter's bits, on every target, shared out or not") {
  const std::vector<NamedGraph> functions = random_functions(7000, 10);
  REQUIRE(functions.size() > 5);
  const std::vector<std::string> states = state_names(functions);
  for (const std::string target : kTargets)
    for (const int tasks : {1, 3}) {
      if (tasks == 3 && target != "native") continue;
      CAPTURE(target, tasks);
      const ObjectFile file = compile_object(functions, {.name = "random", .target = target, .tasks = tasks});
      CHECK(file.contents.undefined.empty());
      CHECK(file.contents.writable_bytes == 0);
      CHECK(file.contents.data_relocations == 0);
      const LinkedObject object(file, "random");
      REQUIRE(object.supported() == 1);
      for (std::size_t f = 0; f < functions.size(); ++f) {
        const Graph& g = functions[f].graph;
        for (const ParallelFor parallel_for : {ParallelFor(nullptr), ParallelFor(on_threads)}) {
          if (parallel_for && tasks == 1) continue;
          CAPTURE(print(g));
          const std::vector<Array> inputs = random_inputs(g, f, Values::special);
          CHECK(difference(interpret(g, inputs), run_object(object, f, g, inputs, states, parallel_for), g) == "");
        }
      }
    }
}

TEST_CASE("a training step in an object, its weights in panels, gives the interpreter's bits step by step") {
  const MlpStep shape{.rows = 64, .batch = 16, .widths = {40, 64, 32, 10}};
  const Graph g = mlp_step(shape);
  std::vector<Array> inputs = mlp_inputs(g, shape);
  ObjectOptions options{.name = "mlp", .tasks = 2};
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (g.inputs()[i].kind != InputKind::data) options.initial.emplace(g.inputs()[i].name, inputs[i]);
  for (const std::string target : kTargets) {
    options.target = target;
    const std::vector<NamedGraph> functions{{"step", g}};
    const ObjectFile file = compile_object(functions, options);
    const LinkedObject object(file, "mlp");
    const std::vector<std::string> states = state_names(functions);
    REQUIRE(object.init() == 0);
    std::vector<Array> now = inputs;
    for (int step = 0; step < 3; ++step) {
      CAPTURE(target, step);
      const Evaluation expected = interpret(g, now);
      std::vector<void*> in;
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (g.inputs()[i].kind == InputKind::data) in.push_back(inputs[i].data());
      Evaluation found;
      std::vector<void*> out;
      for (const Output& o : g.outputs()) {
        found.outputs.emplace_back(g[o.id].type);
        out.push_back(found.outputs.back().data());
      }
      REQUIRE(object.call(0, in, out, step == 1 ? on_threads : nullptr) == 0);
      for (std::size_t u = 0; u < g.updates().size(); ++u) {
        const auto input = std::ranges::find(g.inputs(), g.updates()[u].state, &Input::id);
        found.states.emplace_back(g[input->id].type);
        const auto i = std::ranges::find(states, input->name) - states.begin();
        REQUIRE(object.read(static_cast<std::int32_t>(i), found.states.back().data()) == 0);
        now[static_cast<std::size_t>(input - g.inputs().begin())] = expected.states[u];
      }
      CHECK(difference(expected, found, g) == "");
    }
  }
}

TEST_CASE("what an object refuses, and how it says so") {
  const std::vector<NamedGraph> functions{{"count", parse_graph(kCounter)}};
  const ObjectFile file =
      compile_object(functions, {.name = "counter", .initial = {{"sum", Array::from<float>({1, 2, 3}, {3})}}});
  const LinkedObject object(file, "counter");
  float x[3] = {10, 20, 30}, total[3] = {};
  std::int32_t calls = -1;
  const std::vector<void*> in{x}, out{total, &calls};
  CHECK(object.call(0, in, out) == 1);  // not initialised
  CHECK(object.read(0, x) == 1);
  CHECK(object.init(nullptr) == 2);
  CHECK(object.init(object.state() + 8) == 2);
  REQUIRE(object.init() == 0);
  CHECK(object.call(0, {nullptr}, out) == 2);
  CHECK(object.read(2, total) == 4);
  CHECK(object.read(-1, total) == 4);
  CHECK(object.write(2, total) == 4);
  CHECK(object.read(0, nullptr) == 2);
  REQUIRE(object.call(0, in, {total, nullptr}) == 0);  // an output that is not wanted
  CHECK(total[2] == 33);
  REQUIRE(object.call(0, in, out) == 0);
  CHECK(total[2] == 63);
  CHECK(calls == 2);
  using Fn = std::int32_t (*)(void*, const void*, const void*, void*);
  const auto count = reinterpret_cast<Fn>(object.symbol("count"));
  alignas(64) std::byte workspace[4096];
  CHECK(count(object.state(), in.data(), out.data(), nullptr) == 2);
  CHECK(count(object.state(), in.data(), out.data(), workspace + 4) == 2);
  CHECK(count(object.state(), nullptr, out.data(), workspace) == 2);
  CHECK(count(object.state(), in.data(), nullptr, workspace) == 2);
  CHECK(calls == 2);

  const LinkedObject other(compile_object(functions, {.name = "counter", .tasks = 2}), "counter");
  REQUIRE(other.init() == 0);
  std::memcpy(object.state(), other.state(), static_cast<std::size_t>(file.state_bytes));
  CHECK(object.call(0, in, out) == 1);  // a state of another object
}

TEST_CASE("an object leaves its caller's floating-point environment alone, and does not depend on it") {
  const std::vector<NamedGraph> functions{
      {"f", parse_graph("func @f(%x: f32[4]) { %0 = exp %x : f32[4] %1 = div %0, %x : f32[4] return %1 }")}};
  for (const std::string target : kTargets) {
    const LinkedObject object(compile_object(functions, {.name = "env", .target = target}), "env");
    REQUIRE(object.init() == 0);
    float x[4] = {0.1f, 3, -7, 1e-40f}, expected[4], found[4];
    REQUIRE(object.call(0, {x}, {expected}) == 0);
    std::fesetround(FE_UPWARD);
    std::feclearexcept(FE_ALL_EXCEPT);
    const std::int32_t fault = object.call(0, {x}, {found});
    const int mode = std::fegetround();
    volatile float tiny = 1e-30f;
    const bool flushes = tiny * 1e-10f == 0;
    std::fesetround(FE_TONEAREST);
    CHECK(fault == 0);
    CHECK(mode == FE_UPWARD);
    CHECK_FALSE(flushes);
    CHECK(std::memcmp(expected, found, sizeof expected) == 0);
  }
}

TEST_CASE("objects for other architectures need nothing from elsewhere") {
  const MlpStep shape{.rows = 8, .batch = 4, .widths = {16, 32, 4}};
  std::vector<NamedGraph> functions = random_functions(7100, 6);
  functions.push_back({"step", mlp_step(shape)});
  for (const char* target : {"aarch64", "aarch64:cortex-a76", "riscv64v", "cortex-m7"}) {
    CAPTURE(target);
    const std::string problem = error_of([&] {
      const bool small = std::string_view(target) == "cortex-m7";  // whose f64 are functions of its compiler's
      const ObjectFile file = small ? compile_object(std::vector<NamedGraph>{functions.back()}, {.target = target})
                                    : compile_object(functions, {.target = target});
      CHECK(fmt::format("{}", fmt::join(file.contents.undefined, " ")) == "");
      CHECK(file.contents.writable_bytes == 0);
      CHECK(file.contents.data_relocations == 0);
      CHECK(file.contents.code_bytes > 0);
    });
    if (problem.find("this LLVM makes no code for") == problem.npos) CHECK(problem == "no error");
  }
}

TEST_CASE("errors of compile_object") {
  const Graph g = parse_graph(kCounter);
  const auto error = [](const std::vector<NamedGraph>& functions, const ObjectOptions& o = {}) {
    return error_of([&] { compile_object(functions, o); });
  };
  CHECK(error({}) == "object: there is no function to compile");
  CHECK(error({{"f", g}}, {.name = "int"}) ==
        "object: the name 'int' is no identifier of C; expected letters, digits and '_', and no keyword");
  CHECK(error({{"init", g}}).starts_with("object: a function cannot be called 'init'"));
  CHECK(error({{"f", g}, {"f", g}}) == "object: two functions are called 'f'");
  CHECK(error({{"f", g}, {"f_inputs", g}}) ==
        "object: a function cannot be called 'f_inputs' beside 'f', which has a type of that name");
  CHECK(error({{"f", g}}, {.tasks = 0}) == "object: 0 tasks; expected 1 to 256");
  CHECK(error({{"f", g}}, {.target = "z80"}).find("expected one of native, multi, aarch64, riscv64,") !=
        std::string::npos);
  CHECK(error({{"f", g}}, {.target = "x86-64-v5"}).starts_with("unknown target 'x86-64-v5' (did you mean"));
  CHECK(error({{"f", g}}, {.target = "x86-64-v3", .features = "+avx9"}).starts_with("unknown feature '+avx9'"));
  CHECK(error({{"f", g}}, {.target = "native", .features = "+avx2"}).starts_with("features '+avx2' for the target"));
  CHECK(error({{"f", g}}, {.initial = {{"sum", Array::scalar(1.0f)}}}) ==
        "object: the value given for the state 'sum' is f32[]; expected f32[3]");
  CHECK(error({{"f", g}, {"h", parse_graph("func @h(state %sum: f32[4]) { return %sum }")}})
            .starts_with("object: the state 'sum' is f32[4] in 'h' and f32[3]"));
  CHECK(error({{"f", parse_graph("func @h(%x: f32[?]) { %0 = exp %x : f32[?] return %0 }")}}).find("unbound extent") !=
        std::string::npos);
  CHECK(error({{"f", g}}, {.max_memory = 100}).starts_with("object: it needs "));
  CHECK(error({{"f", g}}, {.max_memory = 1 << 20}) == "no error");
  CHECK(error({{"f", g}}, {.initial = {{"Sum", Array::scalar(1.0f)}}}) ==
        "object: there is a value for the state 'Sum', which no function has");
  CHECK(error({{"f", g}}, {.frames = {8}}) == "object: frames are of a stream; expected its axis, too");
  CHECK(error({{"STEP", g}}, {.name = "M"}).starts_with("object: 'M' and its function 'STEP' are in capitals"));
  const struct {
    const char *target, *features, *message;
  } kLacking[] = {
      {"core2", "", "the target 'core2' lacks sse4.1, which objects need"},
      {"x86-64-v3", "+avx512f", "the target 'x86-64-v3' with these features lacks avx512vl, which objects need"},
      {"x86-64-v3", "-sse2", "the target 'x86-64-v3' with these features lacks sse2, which objects need"},
      {"x86-64-v3", "+soft-float", "the target 'x86-64-v3' has soft-float; expected floats in registers"},
      {"x86-64-v3", "avx2", "features 'avx2': expected + or - before each name, as in \"+avx2\""},
      {"cortex-m4:cortex-m0", "", "the target 'cortex-m4:cortex-m0' lacks fpregs, which objects need"},
      {"riscv64", "-d", "the target 'riscv64' with these features lacks d, which objects need"},
      {"aarch64", "-neon", "the target 'aarch64' with these features lacks neon, which objects need"},
  };
  for (const auto& row : kLacking) {
    CAPTURE(row.target, row.features);
    const std::string found = error({{"f", g}}, {.target = row.target, .features = row.features});
    if (found.find("this LLVM makes no code for") == found.npos) CHECK(found == row.message);
  }
}

TEST_CASE("the header and the demonstration of an object", "[golden]") {
  const ObjectFile file = compile_object(
      std::vector<NamedGraph>{
          {"count", parse_graph(kCounter)},
          {"look", parse_graph("func @look(state %sum: f32[3]) { %0 = exp %sum : f32[3] return %0 }")}},
      {.name = "counter", .target = "x86-64-v3"});
  std::string header = file.header;  // but for what depends on the code
  const std::size_t id = header.find("UINT64_C(0x") + 11;
  header.replace(id, 16, 16, '0');
  check_golden("object/counter.h", header);
  check_golden("object/main.c", file.demo);
}

TEST_CASE("names that C, C++, headers and demonstrations have uses for") {
  std::string text = "func @f(";
  const char* kNames[] = {"in",       "out",   "workspace", "state",   "fault", "int",         "class", "thread_local",
                          "int32_t",  "NULL",  "std",       "f",       "g",     "m",           "m_f",   "pool_",
                          "co_await", "_Bool", "inputs",    "outputs", "call",  "f_workspace_"};
  for (const char* name : kNames) text += fmt::format("%{}: f32[2], ", name);
  text += "state %ok: f32[2], state %values: f32[2], state %value_bytes: f32[2]) {\n update %ok = %in\n return ";
  for (const char* name : kNames) text += fmt::format("{} = %{}, ", name, name);
  text += "v = %values, w = %value_bytes }";
  const std::vector<NamedGraph> functions{
      {"f", parse_graph(text)},
      {"f_in",
       parse_graph(
           "func @f(%x: f32[0,3], %in_x: f32[2]) { %0 = reduce_sum %x {axis=0} : f32[3] return y = %0, %in_x }")},
      {"m_init", parse_graph("func @f(%x: bool[]) { return %x }")}};
  const ObjectFile file = compile_object(functions, {.name = "m", .tasks = 2});
  const TempDir dir;
  std::ofstream(dir.file("m.h")) << file.header;
  std::ofstream(dir.file("main.c")) << file.demo;
  std::ofstream(dir.file("m.o"), std::ios::binary) << file.object;
  std::ofstream(dir.file("main.cpp")) << R"(#include <cstdio>
#include "m.h"
static m_cpp::instance m;
int main() {
  const int64_t bytes[] = M_VALUE_BYTES;
  const char* names[] = M_VALUE_NAMES;
  const float x[2] = {1, 2};
  float y[3], z[2];
  if (m.fault() || m.f_in(std::span<const float, 0>{}, x, y, z)) return 1;
  std::printf("%s %d %g\n", names[0], int(bytes[0]), double(y[0] + z[1]));
}
)";
  const std::string warn = fmt::format("cd {} && {} -Wall -Wextra -Wpedantic -Werror ", dir.path(), WEFT_CXX);
  CHECK(std::system((warn + "-x c -std=gnu11 main.c -x none m.o -o c && ./c > out").c_str()) == 0);
  CHECK(std::system((warn + "-std=gnu++20 main.cpp m.o -o cpp && ./cpp > out && grep -qx 'ok 8 2' out").c_str()) == 0);
}

TEST_CASE("the header is C99, C11, C++11 and C++20 without a warning, and the demonstration runs") {
  const TempDir dir;
  const ObjectFile file =
      compile_object(std::vector<NamedGraph>{{"count", parse_graph(kCounter)}}, {.name = "counter", .tasks = 2});
  std::ofstream(dir.file("counter.h")) << file.header;
  std::ofstream(dir.file("main.c")) << file.demo;
  std::ofstream(dir.file("counter.o"), std::ios::binary) << file.object;
  std::ofstream(dir.file("main.cpp")) << R"(#include "counter.h"
#include <array>
#include <cstdio>
static counter_cpp::instance counter;
int main() {
  std::array<float, 3> x{1, 2, 3}, total{};
  std::array<int32_t, 1> calls{};
  if (counter.fault() || counter.count(x, total, calls) || counter.count(x, total, calls)) return 1;
  std::printf("%g %d\n", double(total[2]), calls[0]);
}
)";
  const std::string warn =
      fmt::format("cd {} && {} -Wall -Wextra -Wpedantic -Wconversion -Werror ", dir.path(), WEFT_CXX);
  const auto run = [](const std::string& command) { return std::system(command.c_str()); };
  for (const char* standard : {"-x c -std=c99", "-x c -std=c11", "-x c++ -std=c++11", "-x c++ -std=c++20"})
    CHECK(run(warn + standard + " -fsyntax-only counter.h") == 0);
  CHECK(run(warn +
            "-x c -std=c99 -Wno-conversion main.c -x none counter.o -o c && ./c > out && grep -q 'count 1: ' out") ==
        0);
  CHECK(run(warn + "-std=c++20 main.cpp counter.o -o cpp && ./cpp > out && grep -qx '6 2' out") == 0);
}

// Indices that only a run can judge: code of a program from a text finds those outside their buffers and touches
// nothing there; code of a program that weft made has no checks.
#include "catch.h"
#include "codegen/codegen.h"
#include "codegen/device.h"
#include "error_of.h"
#include "ir/graph/graph.h"
#include "ir/kernel/unproven.h"
#include "runtime/device/device_executor.h"
#include "runtime/emulator/emulator.h"
#include "runtime/host/executor.h"

using namespace weft;

namespace {

/// Loads and stores `%x`-many ways at an index that the caller gives.
const std::string kGather = R"(program @p {
  input %x: f32[3,40]
  input %at: i64[20]
  output %y: f32[20,40]
  inputs %x, %at
  outputs %y
  kernel @gather {
    axes i=20, j=40
    schedule cpu {vector=LANES}
    %row: i64 = load %at[i]
    %v: f32 = load %x[%row, j]
    phase (i, j) { map: store %y[i, j] = %v }
  }
})";
const std::string kScatter = R"(program @p {
  input %at: i64[20]
  output %y: f32[3,40]
  inputs %at
  outputs %y
  kernel @add {
    axes r=3, i=20, j=40
    schedule cpu {vector=LANES}
    %row: i64 = load %at[i]
    %one: f32 = constant 1
    %none: f32 = constant 0
    phase (r, j) { map: store %y[r, j] = %none }
    phase (j) { scatter over i: %y[%row, j] += %one }
  }
})";
const std::string kRows = R"(program @p {
  input %x: f32[3,40]
  input %at: i64[20]
  output %y: f32[20]
  inputs %x, %at
  outputs %y
  kernel @sum {
    axes i=20, j=40
    schedule cpu {vector=LANES}
    %row: i64 = load %at[i]
    %v: f32 = load %x[%row, j]
    %sum: f32 = accumulator %a0
    phase (i) {
      %a0 = reduce_sum over j striped: %v
      map: store %y[i] = %sum
    }
  }
})";
const std::string kProduct = R"(program @p {
  input %x: f32[3,40]
  input %at: i64[20]
  output %y: f32[20,40]
  inputs %x, %at
  outputs %y
  kernel @product {
    axes i=20, j=40, k=40
    schedule cpu {vector=j, mr=4, nr=16}
    %row: i64 = load %at[i]
    %v: f32 = load %x[%row, k]
    %w: f32 = load %x[1, j]
    %sum: f32 = accumulator %a0
    phase (i, j) {
      %a0 = contract m=i, n=j over k: %v * %w
      map: store %y[i, j] = %sum
    }
  }
})";
/// A predicate that lets through what is outside.
const std::string kPredicated = R"(program @p {
  input %x: f32[3,40]
  input %at: i64[20]
  output %y: f32[20,40]
  inputs %x, %at
  outputs %y
  kernel @pad {
    axes i=20, j=40
    schedule cpu {vector=LANES}
    %i: i64 = load %at[i]
    %three: i64 = constant 3
    %inside: bool = lt %i, %three
    %v: f32 = load %x[i, j] if %inside
    phase (i, j) { map: store %y[i, j] = %v }
  }
})";
const std::string kStore = R"(program @p {
  input %at: i64[20]
  output %y: f32[64,40]
  inputs %at
  outputs %y
  kernel @put {
    axes r=64, i=20, j=40
    schedule cpu {vector=LANES}
    %row: i64 = load %at[i]
    %one: f32 = constant 1
    %none: f32 = constant 0
    phase (r, j) { map: store %y[r, j] = %none }
    phase (i, j) { map: store %y[%row, j] = %one }
  }
})";

std::string with_lanes(std::string text, const std::string& axis) {
  const std::size_t at = text.find("LANES");
  return at == text.npos ? text : text.replace(at, 5, axis);
}

/// Rows 0, 1, 2, 0, … or whatever is legal, and `wrong` at the last place but one.
std::vector<Array> inputs_of(const Program& p, std::int64_t wrong, bool distinct) {
  std::vector<Array> inputs;
  for (BufferId id : p.inputs) {
    const Buffer& b = p.buffers[static_cast<std::size_t>(id)];
    Array a(b.type);
    if (b.name == "at") {
      for (std::int64_t i = 0; i < 20; ++i)
        a.as<std::int64_t>()[static_cast<std::size_t>(i)] = distinct ? 2 * i : i % 3;
      if (wrong != 0) a.as<std::int64_t>()[18] = wrong;
    } else {
      for (std::size_t i = 0; i < a.as<float>().size(); ++i) a.as<float>()[i] = static_cast<float>(i);
    }
    inputs.push_back(std::move(a));
  }
  return inputs;
}

std::vector<Array> run(ProgramExecutor& executor, const std::vector<Array>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) executor.bind(i, inputs[i]);
  executor.run();
  return {executor.output(0).clone()};
}

struct Case {
  const char* what;
  const std::string& text;
  std::vector<std::string> lanes;
  std::int64_t dimension, extent;
};
const Case kCases[] = {{"gather", kGather, {"i", "j"}, 0, 3},
                       {"scatter", kScatter, {"i", "j", "r"}, 0, 3},
                       {"rows", kRows, {"i", "j"}, 0, 3},
                       {"product", kProduct, {""}, 0, 3},
                       {"put", kStore, {"i", "j"}, 0, 64}};

}  // namespace

TEST_CASE("an index outside its buffer is an error that names it, on CPUs and the emulator") {
  for (const Case& c : kCases)
    for (const std::string& lanes : c.lanes)
      for (const std::int64_t wrong : {std::int64_t{-1}, c.extent, std::int64_t{1} << 40, INT64_MIN}) {
        INFO(c.what << " along " << lanes << ", index " << wrong);
        const auto p = std::make_shared<const Program>(parse_program(with_lanes(c.text, lanes), "k.weft"));
        REQUIRE(unproven_indices(*p, p->kernels[0]).size() == 1);
        const std::vector<Array> good = inputs_of(*p, 0, c.extent == 64), bad = inputs_of(*p, wrong, c.extent == 64);
        const Evaluation expected = interpret(*p, good);
        for (const int threads : {1, 2}) {
          Image image = compile(p, host_target(), {.threads = 1});
          for (KernelCode& code : image.code) code.cost = 1e9;
          Executor executor(std::move(image), threads);
          CHECK(run(executor, good)[0].same_bits(expected.outputs[0]));
          const std::string error = error_of([&] { run(executor, bad); });
          CHECK(error.starts_with("k.weft:"));
          CHECK(error.find(": error: kernel @" + p->kernels[0].name) != error.npos);
          CHECK(error.find(fmt::format("index {} of dimension {} is outside %", wrong, c.dimension)) != error.npos);
          CHECK(error.find(fmt::format("whose extent there is {}", c.extent)) != error.npos);
          CHECK(run(executor, good)[0].same_bits(expected.outputs[0]));  // the next run is none the worse
        }
        DeviceExecutor device(compile_device(p, GpuTarget{}, {}), make_emulator({.threads = 1}));
        CHECK(run(device, good)[0].same_bits(expected.outputs[0]));
        const std::string error = error_of([&] { run(device, bad); });
        CHECK(error.starts_with("k.weft:"));
        CHECK(error.find(fmt::format("index of dimension {} is outside %", c.dimension)) != error.npos);
        CHECK(error_of([&] { interpret(*p, bad); }).starts_with("k.weft:"));
      }
}

TEST_CASE("a predicate that holds outside the buffer is an error") {
  for (const std::string lanes : {"i", "j"}) {
    const auto p = std::make_shared<const Program>(parse_program(with_lanes(kPredicated, lanes), "k.weft"));
    Executor executor(compile(p, host_target(), {.threads = 1}), 1);
    const std::string error = error_of([&] { run(executor, inputs_of(*p, 0, false)); });
    CHECK(error.find("of dimension 0 is outside %x: f32[3,40], whose extent there is 3") != error.npos);
    // Where it does not hold, nothing is looked at.
    std::vector<Array> none = inputs_of(*p, 0, false);
    for (std::int64_t& at : none[1].as<std::int64_t>()) at = 7;
    CHECK(run(executor, none)[0].same_bits(interpret(*p, none).outputs[0]));
  }
}

TEST_CASE("programs that weft makes, and those that are trusted, have no checks") {
  for (const Case& c : kCases) {
    Program p = parse_program(with_lanes(c.text, "j"));
    const auto checked = std::make_shared<const Program>(p);
    CHECK(compile(checked, host_target(), {.threads = 1}).code.back().checks);
    p.check_indices = false;
    CHECK_FALSE(compile(std::make_shared<const Program>(p), host_target(), {.threads = 1}).code.back().checks);
    CHECK(emit_llvm(p, host_target()) != emit_llvm(*checked, host_target()));
  }
  CHECK_FALSE(Program{}.check_indices);
}

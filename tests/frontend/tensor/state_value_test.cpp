// States in panels: whatever order a program keeps them in, its users see row-major values.
#include "frontend/tensor/state_value.h"
#include "ir/memory/panels.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// The memory of a state as a call that wants it in panels of that width finds it.
Array memory(StateValue& value, std::int64_t panels, bool writes = false) {
  const StateUse use{&value, panels, writes};
  return HeldStates({&use, 1}).memory(value);
}

}  // namespace

TEST_CASE("a state is converted where another order is asked for, and only there") {
  const Array rows = uniform(-1, 1)({8, 64}, 1, 0);
  StateValue value(rows);
  for (const bool writes : {false, true}) {
    value.write(rows);
    CHECK(memory(value, 0, writes).same_bits(rows));
    const std::byte* at = memory(value, 0).data();
    CHECK(memory(value, 0, writes).data() == at);
    CHECK(memory(value, 32, writes).same_bits(to_panels(rows, 32)));
    at = memory(value, 32).data();
    CHECK(value.read().same_bits(rows));
    const Array other = uniform(-1, 1)({8, 64}, 1, 1);
    value.write(other);
    CHECK(memory(value, 32, writes).data() == at);  // what executables are bound to stays
    CHECK(memory(value, 32, writes).same_bits(to_panels(other, 32)));
    CHECK(memory(value, 16, writes).same_bits(to_panels(other, 16)));
    CHECK(memory(value, 0, writes).same_bits(other));
  }
  CHECK(rows.same_bits(uniform(-1, 1)({8, 64}, 1, 0)));  // it had a copy
}

namespace {

/// A step that keeps `w` in panels, and functions that want it in rows, each way to look at it in between: everything
/// that was seen.
std::vector<Array> seen_with(Backend backend) {
  constexpr std::int64_t kBatch = 5, kIn = 48, kOut = 256;  // panels of 16 and 32 divide kOut
  GraphScope graph;
  const Tensor x = placeholder(f32, {kBatch, kIn}, "x"), y = placeholder(f32, {kBatch, kOut}, "y"),
               w = state(uniform(-1, 1)({kIn, kOut}, 7, 0), "w"), m = state(Array({f32, {kIn, kOut}}), "m");
  const Tensor error = contract(x, w, {1}, {0}) - y, gradient = contract(x, error, {0}, {0}),
               momentum = m * 0.5 + gradient;
  const Executable step = compile({{"loss", sum(error * error)}},
                                  {.updates = {{w, w - momentum * 0.01}, {m, momentum}}, .backend = backend}),
                   forward = compile({contract(x, w, {1}, {0})}, {.inputs = {x}, .backend = backend}),
                   left = compile({contract(w, y, {1}, {1})}, {.inputs = {y}, .backend = backend}),
                   halve = compile({}, {.updates = {{w, reshape(reshape(w, {kIn * kOut}) * 0.5, {kIn, kOut})}},
                                        .backend = backend});
  if (backend == Backend::cpu) {
    CHECK(step.dump(Stage::kernels).find("state %w: f32[48,256] {panels=") != std::string::npos);
    CHECK(step.dump(Stage::kernels).find("state %m: f32[48,256] {panels=") != std::string::npos);
    CHECK(left.dump(Stage::kernels).find("state %w: f32[48,256]\n") != std::string::npos);
  }
  const Array a = uniform(-1, 1)({kBatch, kIn}, 8, 0), b = uniform(-1, 1)({kBatch, kOut}, 8, 1);
  std::vector<Array> seen;
  auto see = [&](const std::vector<Array>& arrays) { seen.insert(seen.end(), arrays.begin(), arrays.end()); };
  see(step({a, b}));
  see({w.value(), m.value(), step.state("w")});
  see(left({b}));
  see(step({a, b}));
  see(forward({a}));
  halve();
  see(step({a, b}));
  w.set_value(uniform(-1, 1)({kIn, kOut}, 7, 3));
  see(step({a, b}));
  step.set_state("m", uniform(-1, 1)({kIn, kOut}, 7, 4));
  see(step.run_steps(3, {a, b}).outputs);
  const StepResults rows = forward.run_steps(2, {a}, {.states = {{"w", uniform(-1, 1)({2, kIn, kOut}, 7, 5)}}});
  see(rows.outputs);
  see({w.value(), m.value()});
  return seen;
}

}  // namespace

TEST_CASE("states in panels look row-major from outside, whoever used them last") {
  const std::vector<Array> expected = seen_with(Backend::interpreter);
  for (const Backend backend : {Backend::cpu, Backend::emulator}) {
    const std::vector<Array> found = seen_with(backend);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(name(backend), i);
      CHECK(found[i].same_bits(expected[i]));
    }
  }
}

TEST_CASE("a value is a copy: later steps leave it alone") {
  GraphScope graph;
  const Tensor w = state(f({1, 2}, {2}), "w");
  const Executable step = compile({}, {.updates = {{w, w + 1}}});
  const Array before = w.value(), named = step.state("w");
  step();
  require_close(before, {1, 2});
  require_close(named, {1, 2});
  before.as<float>()[0] = 9;
  require_close(w.value(), {2, 3});
}

// The executor of devices, on a CUDA driver that is none whose kernels are functions of the test: memory, transfers,
// chunks of steps, and runs that end early.
#include "runtime/device/device_executor.h"

#include <cstring>
#include <numeric>

#include "catch.h"
#include "fake_cuda/loaded.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr std::int64_t n = 100;
const Type kVector{f32, {n}};

// temp = x + w;   y = 2 * temp (through a view) + shift;   w = w * 0.5 + step
enum : BufferId { x, w, shift, step, temp, y, temp_view, x_view };

std::shared_ptr<BufferTable> program() {
  auto p = std::make_shared<BufferTable>();
  p->name = "test";
  p->buffers = {{Buffer::input, "x", kVector},
                {Buffer::state, "w", kVector},
                {Buffer::state, "shift", {f32, {}}},
                {Buffer::constant, "step", {f32, {}}},
                {Buffer::temp, "temp", kVector},
                {Buffer::output, "y", kVector},
                {Buffer::view, "temp_view", {f32, {n / 10, 10}}},
                {Buffer::view, "x_view", {f32, {10, n / 10}}}};
  p->buffers[step].literal = std::make_shared<const Array>(Array::scalar(0.25f));
  p->buffers[temp].offset = 64;
  p->buffers[temp_view].base = temp;
  p->buffers[x_view].base = x;
  p->arena_bytes = 64 + 448;
  p->inputs = {x, w, shift};
  p->outputs = {y};
  p->updates = {w};
  return p;
}

DeviceArtifact artifact(std::shared_ptr<const BufferTable> table = program()) {
  const auto launch = [](const char* name, std::vector<BufferId> buffers) {
    return DeviceLaunch{
        .name = name, .symbol = name, .blocks = 1, .threads = 128, .shared_bytes = 0, .buffers = std::move(buffers)};
  };
  return {.memory = std::move(table),
          .launches = {launch("sum", {x_view, w, temp}), launch("twice", {temp_view, shift, y}),
                       launch("update", {w, step})},
          .ptx =
              ".entry sum(.param a, .param b, .param c) .entry twice(.param a, .param b, .param c) "
              ".entry update(.param a, .param b)"};
}

void run_kernel(const FakeCuda::Launch& l) {
  const auto memory = [&](std::size_t i) { return reinterpret_cast<float*>(l.parameters[i]); };
  for (std::int64_t i = 0; i < n; ++i) {
    if (l.entry == "sum") memory(2)[i] = memory(0)[i] + memory(1)[i];
    if (l.entry == "twice") memory(2)[i] = 2 * memory(0)[i] + *memory(1);
    if (l.entry == "update") memory(0)[i] = memory(0)[i] * 0.5f + *memory(1);
  }
}

Array ramp(float first, const Shape& shape = kVector.shape) {
  Array a({f32, shape});
  std::iota(a.as<float>().begin(), a.as<float>().end(), first);
  return a;
}

std::vector<Array> stacked_outputs(const BufferTable& p, std::int64_t steps) {
  std::vector<Array> outputs;
  for (const BufferId id : p.outputs) {
    Type type = p.buffers[static_cast<std::size_t>(id)].type;
    type.shape.insert(0, steps);
    outputs.emplace_back(type);
  }
  return outputs;
}

}  // namespace

TEST_CASE("a program runs on a device; bound arrays are the truth between calls") {
  LoadedFakeCuda fake;
  fake->on_launch = run_kernel;
  DeviceExecutor exe(artifact(), make_cuda(kFakeCuda));
  CHECK(exe.device().name() == "Fake GPU, sm_90, driver 12.8");
  const Array input = ramp(0), state = ramp(10);
  exe.bind(0, input);
  exe.bind(1, state);
  exe.bind(2, Array::scalar(1.0f));
  exe.run();
  CHECK(exe.output(0).at(3) == 2 * (3 + 13) + 1);
  CHECK(state.at(3) == 13 * 0.5f + 0.25f);
  CHECK(input.same_bits(ramp(0)));
  state.as<float>()[3] = 100;  // by someone else, as another executable's update
  input.as<float>()[3] = 5;
  exe.run();
  CHECK(exe.output(0).at(3) == 2 * (5 + 100) + 1);
  exe.bind(0, ramp(7));
  exe.run();
  CHECK(exe.output(0).at(3) == 2 * (10 + 50.25f) + 1);
  CHECK(fake->calls["cuGraphInstantiateWithFlags"] == 1);
  CHECK(fake->calls["cuMemAlloc_v2"] == 1);
}

TEST_CASE("an input bound under a version is uploaded once") {
  LoadedFakeCuda fake;
  fake->on_launch = run_kernel;
  DeviceExecutor exe(artifact(), make_cuda(kFakeCuda));
  exe.bind(1, ramp(0));
  exe.bind(2, Array::scalar(0.0f));
  const auto uploads = [&] {
    const int before = fake->calls["cuMemcpyHtoDAsync_v2"];
    exe.run();
    return fake->calls["cuMemcpyHtoDAsync_v2"] - before;
  };
  const Array data = ramp(1);
  const ArrayVersion version = new_version();
  CHECK(new_version() != version);
  exe.bind(0, data, version);
  CHECK(uploads() == 3);  // both states, and it
  CHECK(uploads() == 2);
  exe.bind(0, data, version);
  CHECK(uploads() == 2);
  exe.bind(0, data);  // no promise
  CHECK(uploads() == 3);
  CHECK(uploads() == 3);
  exe.bind(0, data, version);  // something else has been there meanwhile
  CHECK(uploads() == 3);
  exe.bind(0, ramp(50), new_version());
  CHECK(uploads() == 3);
  CHECK(exe.output(0).at(0) >= 100);
  exe.bind(1, ramp(0), version);  // a state changes in every run
  CHECK(uploads() == 2);
}

TEST_CASE("many steps on a device are the same as many runs, in chunks of any size") {
  constexpr std::int64_t kSteps = 11;
  auto p = program();
  p->buffers.push_back({Buffer::view, "y_view", {f32, {2, n / 2}}});
  p->buffers.back().base = y;
  // An output twice, an input that has rows, states, a constant: what is no memory of its own is copied.
  p->outputs = {y, static_cast<BufferId>(p->buffers.size()) - 1, x, w, shift, step};
  const Array rows = ramp(3, {kSteps, n}), shifts = ramp(-2, {kSteps});

  LoadedFakeCuda fake;
  fake->on_launch = run_kernel;
  const std::shared_ptr<Device> device = make_cuda(kFakeCuda);
  DeviceExecutor single(artifact(p), device);
  const Array single_state = ramp(5);
  single.bind(1, single_state);
  const std::vector<Array> expected = stacked_outputs(*p, kSteps);
  std::vector<Array> states;  // after each step
  for (std::int64_t s = 0; s < kSteps; ++s) {
    single.bind(0, rows.rows(s, s + 1).reshaped({n}));
    single.bind(2, shifts.rows(s, s + 1).reshaped({}));
    single.run();
    states.push_back(single_state.clone());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Array one = single.output(i);
      std::memcpy(expected[i].data() + one.bytes() * static_cast<std::size_t>(s), one.data(), one.bytes());
    }
  }

  const ChunkLimits limits[] = {{},
                                {.steps = 1},
                                {.steps = 4},
                                {.steps = 7},  // 4
                                {.launches = 6},
                                {.launches = 1},
                                {.bytes = 1},
                                {.bytes = 16 << 10},
                                {.seconds = 0},
                                {.seconds = 1e9}};
  for (const ChunkLimits& limit : limits) {
    INFO(&limit - limits);
    DeviceExecutor many(artifact(p), device, limit);
    const StepRows step_rows[] = {{0, rows}, {2, shifts}};
    for (const bool watched : {false, true, true}) {  // the second time in larger chunks
      const Array state = ramp(5);
      many.bind(1, state);
      std::vector<std::int64_t> seen;
      const AfterStep after = [&](std::int64_t s) {
        seen.push_back(s);
        return true;
      };
      const std::vector<Array> outputs = stacked_outputs(*p, kSteps);
      CHECK(many.run_steps(kSteps, step_rows, outputs, watched ? after : AfterStep{}) == kSteps);
      CHECK(seen.size() == (watched ? kSteps : 0));
      CHECK(std::ranges::is_sorted(seen));
      CHECK(state.same_bits(single_state));
      for (std::size_t i = 0; i < outputs.size(); ++i) CHECK(outputs[i].same_bits(expected[i]));
    }
    // Ended after each of the steps, by an answer or by an exception: nothing of a later one is seen in the state.
    for (std::int64_t last = 0; last < kSteps; ++last) {
      const Array state = ramp(5);
      many.bind(1, state);
      const std::vector<Array> outputs = stacked_outputs(*p, kSteps);
      CHECK(many.run_steps(kSteps, step_rows, outputs, [&](std::int64_t s) { return s < last; }) == last + 1);
      CHECK(state.same_bits(states[static_cast<std::size_t>(last)]));
      CHECK(outputs[0].rows(0, last + 1).same_bits(expected[0].rows(0, last + 1)));
      std::memcpy(state.data(), ramp(5).data(), state.bytes());
      CHECK(error_of([&] {
              many.run_steps(kSteps, step_rows, outputs,
                             [&](std::int64_t s) { return s < last || (fail("enough"), true); });
            }) == "enough");
      CHECK(state.same_bits(states[static_cast<std::size_t>(last)]));
    }
    // Other inputs move, or none.
    many.bind(0, rows.rows(0, 1).reshaped({n}));
    many.bind(2, shifts.rows(0, 1).reshaped({}));
    const Array state = ramp(5);
    many.bind(1, state);
    std::vector<Array> outputs = stacked_outputs(*p, 3);
    CHECK(many.run_steps(3, {}, outputs) == 3);
    CHECK(state.same_bits(states[2]));
    CHECK(outputs[0].rows(0, 1).same_bits(expected[0].rows(0, 1)));
    many.run();
    CHECK(state.same_bits(states[3]));
  }
}

TEST_CASE("a chunk of steps is one upload, one launch and one download") {
  LoadedFakeCuda fake;
  fake->on_launch = run_kernel;
  DeviceExecutor exe(artifact(), make_cuda(kFakeCuda), {.steps = 8});
  exe.bind(0, ramp(0), new_version());
  exe.bind(1, ramp(0));
  const StepRows rows[] = {{2, ramp(0, {24})}};
  const std::vector<Array> outputs = stacked_outputs(*program(), 24);
  exe.run_steps(24, rows, outputs);
  auto before = fake->calls;
  exe.run_steps(24, rows, outputs);
  const auto made = [&](const char* symbol) { return fake->calls[symbol] - before[symbol]; };
  CHECK(made("cuGraphLaunch") == 3);
  CHECK(made("cuGraphInstantiateWithFlags") == 0);
  CHECK(made("cuLaunchKernel") == 0);
  CHECK(made("cuMemAlloc_v2") == 0);
  CHECK(made("cuMemcpyHtoDAsync_v2") == 1 + 3);  // the state that is updated, three times the rows
  CHECK(made("cuMemcpyDtoHAsync_v2") == 1 + 3);
  CHECK(made("cuMemcpyDtoDAsync_v2") == 0);
}

TEST_CASE("an artefact that breaks the contract does not reach the device") {
  LoadedFakeCuda fake;
  DeviceArtifact i = artifact();
  i.launches[0].buffers[0] = 99;
  CHECK_THROWS_AS(DeviceExecutor(i, make_cuda(kFakeCuda)), InternalError);
  CHECK_THROWS_AS(DeviceExecutor({}, make_cuda(kFakeCuda)), InternalError);
  CHECK_THROWS_AS(DeviceExecutor(artifact(), nullptr), InternalError);
}

TEST_CASE("a program that does not fit the device says what it needs memory for") {
  LoadedFakeCuda fake;
  fake->memory_bytes = 2000;
  CHECK(error_of([] { DeviceExecutor(artifact(), make_cuda(kFakeCuda)); }) ==
        "cuda: Fake GPU, sm_90, driver 12.8 is out of memory: this needs 2560 bytes, 2000 of 2000 are free\n"
        "'test' was to have 2560 bytes: 512 of temporaries, 404 of states, 400 of inputs, 400 of outputs, 4 of "
        "constants");
}

TEST_CASE("a call that the device fails leaves the arrays as they were") {
  LoadedFakeCuda fake;
  fake->on_launch = run_kernel;
  DeviceExecutor exe(artifact(), make_cuda(kFakeCuda));
  const Array state = ramp(1);
  exe.bind(0, ramp(0));
  exe.bind(1, state);
  exe.bind(2, Array::scalar(0.0f));
  const std::vector<Array> outputs = stacked_outputs(*program(), 5);
  fake->failure_of_work = 700;
  CHECK(error_of([&] { exe.run(); }).starts_with("cuda: cannot wait for the device: CUDA_ERROR_ILLEGAL_ADDRESS"));
  CHECK(error_of([&] { exe.run_steps(5, {}, outputs); }).starts_with("cuda: cannot wait for the device: CUDA_ERROR_"));
  CHECK(state.same_bits(ramp(1)));
  fake->failure_of_work = 0;
  exe.run();
  CHECK(state.at(0) == 0.75f);
}

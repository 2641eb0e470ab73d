// From a graph through PTX and the driver API to results, on a driver that is none: what it is asked to launch is
// emulated.
#include <map>

#include "codegen/device.h"
#include "error_of.h"
#include "mlp_step.h"
#include "passes/pipeline.h"
#include "programs.h"
#include "random_graph.h"
#include "runtime/device/device_executor.h"
#include "runtime/emulator/emulator.h"
#include "fake_cuda/loaded.h"

using namespace weft;
using namespace weft::test;

namespace {

/// Emulates the functions of an image under their entries' names, and counts them.
std::function<void(const FakeCuda::Launch&)> emulated(const DeviceImage& image, int& count) {
  std::map<std::string, simt::Function> functions;
  for (std::size_t i = 0; i < image.launches.size(); ++i) functions[image.entries[i]] = image.launches[i];
  return [functions, &count](const FakeCuda::Launch& l) {
    const simt::Function& f = functions.at(l.entry);
    CHECK(l.blocks == f.blocks);
    CHECK(static_cast<int>(l.threads) == f.threads);
    const std::int64_t shared = simt::shared_layout(f).back();
    CHECK(l.shared_bytes == (shared > (48 << 10) ? shared : 0));
    std::vector<std::byte*> globals;
    for (const std::uint64_t address : l.parameters) globals.push_back(reinterpret_cast<std::byte*>(address));
    emulate(f, globals, {.threads = 1});
    ++count;
  };
}

}  // namespace

TEST_CASE("the MLP step goes through PTX and the driver API: launches, parameters, graphs, results") {
  const MlpStep size{.rows = 100, .batch = 37, .widths = {50, 65, 33, 10}};
  const Graph g = mlp_step(size);
  const std::vector<Array> inputs = mlp_inputs(g, size);
  const Evaluation expected = interpret(g, inputs);
  LoadedFakeCuda fake;
  const GpuTarget target = target_for_gpu(list_devices(kFakeCuda).devices.at(0).target);
  CHECK(target.name == "sm_90a");
  CHECK(target.multiprocessors == 16);
  const auto program = std::make_shared<const Program>(make_program(optimize(g), target));
  const DeviceImage image = compile_device(program, target, {.ptx = true});
  int launches = 0;
  fake->on_launch = emulated(image, launches);
  DeviceExecutor executor(image, make_cuda(kFakeCuda));
  CHECK(fake->module.find(".target sm_90a") != std::string::npos);
  std::vector<Array> bound;
  for (std::size_t i = 0; i < inputs.size(); ++i) executor.bind(i, bound.emplace_back(inputs[i].clone()));
  executor.run();
  CHECK(launches == static_cast<int>(image.launches.size()));
  Evaluation found;
  for (std::size_t i = 0; i < executor.output_count(); ++i) found.outputs.push_back(executor.output(i).clone());
  for (const Update& u : g.updates())
    for (std::size_t i = 0; i < g.inputs().size(); ++i)
      if (g.inputs()[i].id == u.state) found.states.push_back(bound[i]);
  CHECK(test::difference(expected, found, g) == "");
  fake->on_launch = {};
}

TEST_CASE("steps in a persistent kernel: its table leads to the rows of every step") {
  constexpr std::int64_t kSteps = 5;
  const MlpStep size{.rows = 40, .batch = 9, .widths = {20, 17, 10}};
  const Graph g = mlp_step(size);
  const std::vector<Array> inputs = mlp_inputs(g, size);
  const auto program = std::make_shared<const Program>(make_program(optimize(g), GpuTarget{}));
  std::size_t index = 0;
  while (g.inputs()[index].name != "index") ++index;
  Array rows({i32, {kSteps, size.batch}});
  for (std::int64_t i = 0; i < rows.size(); ++i)
    rows.as<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * 7 % size.rows);

  LoadedFakeCuda fake;
  const DeviceImage image = compile_device(program, GpuTarget{}, {.ptx = true, .persistent = true});
  REQUIRE(!image.persistent.entry.empty());
  int launches = 0, persistent = 0;
  const auto one = emulated(image, launches);
  fake->on_launch = [&](const FakeCuda::Launch& l) {
    if (l.entry != image.persistent.entry) return one(l);
    ++persistent;
    CHECK(static_cast<int>(l.threads) == image.persistent.threads);
    CHECK(*reinterpret_cast<const std::int64_t*>(l.parameters[1]) == 0);
    for (std::uint64_t s = 0; s < l.parameters[2]; ++s) {
      const auto* row = reinterpret_cast<const std::uint64_t*>(l.parameters[0]);
      for (std::size_t i = 0; i < image.launches.size(); ++i) {
        const simt::Function& f = image.launches[i];
        FakeCuda::Launch launch{
            image.entries[i], static_cast<unsigned>(f.blocks), static_cast<unsigned>(f.threads), 0, {}};
        for (const simt::Memory& m : f.memories)
          if (m.space == simt::Memory::global) launch.parameters.push_back(row[0] + s * row[1]), row += 2;
        one(launch);
      }
    }
  };
  std::vector<std::vector<Array>> results;  // outputs and states
  for (const bool stays : {false, true}) {
    DeviceExecutor executor(image, make_cuda(kFakeCuda), {.persistent = stays});
    std::vector<Array> bound, outputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      bound.push_back(inputs[i].clone());
      if (i != index) executor.bind(i, bound[i]);
    }
    for (const BufferId id : program->outputs) {
      Type type = program->buffers[static_cast<std::size_t>(id)].type;
      type.shape.insert(0, kSteps);
      outputs.emplace_back(type);
    }
    const StepRows moving[] = {{index, rows}};
    CHECK(executor.run_steps(kSteps, moving, outputs) == kSteps);
    outputs.insert(outputs.end(), bound.begin(), bound.end());
    results.push_back(outputs);
  }
  CHECK(persistent == 2);  // of 4 steps and of 1
  CHECK(launches == 2 * static_cast<int>(kSteps * std::ssize(image.launches)));
  for (std::size_t i = 0; i < results[0].size(); ++i) CHECK(results[0][i].same_bits(results[1][i]));
  fake->on_launch = {};
}

TEST_CASE("a GPU gets code for the newest architecture that LLVM knows and it runs") {
  const struct {
    const char *device, *expected;
  } rows[] = {{"sm_80", "sm_80"}, {"sm_86", "sm_86"}, {"sm_87", "sm_87"}, {"sm_90", "sm_90a"}, {"sm_999", "sm_90"}};
  for (const auto& row : rows) CHECK(target_for_gpu({.name = row.device, .multiprocessors = 7}).name == row.expected);
  CHECK(target_for_gpu({.name = "sm_999", .multiprocessors = 7}).multiprocessors == 7);
  CHECK(error_of([] { target_for_gpu({.name = "sm_75"}); }) == "this GPU is sm_75; weft needs sm_80 or newer");
}

// Choosing a device, and one run of a program on it.
#include "device_under_test.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "codegen/device.h"
#include "passes/kernel/memory.h"
#include "passes/schedule/schedule.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/device/device_executor.h"
#include "runtime/emulator/emulator.h"

namespace weft::test {
namespace {

std::string_view device_name() {
  const char* name = std::getenv("WEFT_TEST_DEVICE");
  return name ? name : "";
}
bool on_gpu() {
  const std::string_view name = device_name();
  if (name != "" && name != "cuda" && name != "emulator")
    fail("WEFT_TEST_DEVICE: expected cuda or emulator, found '{}'", name);
  return name == "cuda";
}

}  // namespace

bool only_device() { return device_name() != ""; }

std::shared_ptr<Device> device_under_test() {
  static const std::shared_ptr<Device> device = on_gpu() ? make_cuda() : make_emulator({.threads = 1, .check = true});
  return device;
}

const std::vector<GpuTarget>& device_targets() {
  static const std::vector<GpuTarget> targets = [] {
    GpuTarget device;
    if (on_gpu()) {
      const DeviceList list = list_devices();
      if (list.devices.empty()) fail("WEFT_TEST_DEVICE: {}", list.why_none);
      device = target_for_gpu(list.devices[0].target);
    }
    GpuTarget small = device;
    small.multiprocessors = 1;
    return std::vector{device, small};
  }();
  return targets;
}

Evaluation run_on_device(const Program& program, std::span<const Array> inputs, const GpuTarget& target) {
  const auto p = std::make_shared<Program>(program);
  for (Buffer& b : p->buffers) b.panels = 0;  // a CPU's
  if (p->arena_bytes == 0) plan_memory(*p);  // built by hand
  complete_schedules(*p, target);            // or for a CPU
  DeviceExecutor executor(compile_device(p, target, {.ptx = on_gpu()}), device_under_test());
  std::vector<Array> bound;
  for (std::size_t i = 0; i < inputs.size(); ++i) executor.bind(i, bound.emplace_back(inputs[i].clone()));
  executor.run();
  Evaluation e;
  for (std::size_t i = 0; i < executor.output_count(); ++i) e.outputs.push_back(executor.output(i).clone());
  for (const BufferId id : p->updates)
    e.states.push_back(bound[static_cast<std::size_t>(std::ranges::find(p->inputs, id) - p->inputs.begin())]);
  return e;
}

}  // namespace weft::test

// From a program to what a device loads.
#include <charconv>
#include <chrono>

#include "codegen/device.h"
#include "ir/base/error.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"

namespace weft {
namespace {

int sm_number(std::string_view sm) {
  int number = 0;
  std::from_chars(sm.data() + sm.find('_') + 1, sm.data() + sm.size(), number);
  return number;
}

}  // namespace

GpuTarget target_for_gpu(const GpuTarget& found) {
  for (const std::string& name : {found.name + "a", found.name, std::string("sm_90"), std::string("sm_89"),
                                  std::string("sm_86"), std::string("sm_80")}) {
    if (sm_number(name) > sm_number(found.name)) continue;
    GpuTarget target;
    try {
      target = gpu_target(name);
    } catch (const Error&) {
      continue;  // LLVM does not know it
    }
    target.multiprocessors = found.multiprocessors;
    target.threads = found.threads;
    target.registers = found.registers;
    target.shared_bytes = found.shared_bytes;
    return target;
  }
  fail("this GPU is {}; weft needs sm_80 or newer", found.name);
}

DeviceImage compile_device(std::shared_ptr<const Program> program, const GpuTarget& target,
                           const DeviceOptions& options) {
  const ForkGuard guard;
  const DefaultFloats floats;
  const auto start = std::chrono::steady_clock::now();
  DeviceImage image;
  image.launches = device_functions(*program, target);
  image.program = std::move(program);
  if (options.ptx) {
    PtxModule ptx = emit_ptx(image.launches, target, options.persistent);
    image.ptx = std::move(ptx.text);
    image.entries = std::move(ptx.entries);
    image.persistent = std::move(ptx.persistent);
  }
  image.compile_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return image;
}

}  // namespace weft

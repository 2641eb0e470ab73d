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

DeviceArtifact compile_device(const Program& program, const GpuTarget& target, const DeviceCodegenOptions& options) {
  const ForkGuard guard;
  const DefaultFloats floats;
  const auto start = std::chrono::steady_clock::now();
  DeviceArtifact artifact{.memory = std::make_shared<const BufferTable>(program)};
  std::vector<simt::Function> functions = device_functions(program, target);
  for (const simt::Function& f : functions) artifact.launches.push_back(launch_of(f, f.name));
  if (options.ptx) {
    PtxModule ptx = emit_ptx(functions, target, options.persistent);
    artifact.ptx = std::move(ptx.text);
    artifact.persistent = std::move(ptx.persistent);
    for (std::size_t i = 0; i < functions.size(); ++i) artifact.launches[i].symbol = std::move(ptx.entries[i]);
  } else {
    artifact.functions = std::move(functions);
  }
  artifact.compile_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return artifact;
}

}  // namespace weft

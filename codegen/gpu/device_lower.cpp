// Kernels to device functions: each phase by the emitter that knows its kind.
#include "codegen/device.h"
#include "codegen/gpu/device_contract.h"
#include "codegen/gpu/device_points.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/unproven.h"

namespace weft {
namespace {

/// Throws Error where the kernel is for a CPU only.
void check_for_device(const Program& program, const Kernel& kernel) {
  const std::string place = fmt::format("{}: error: kernel @{}", kernel.locs.str(), kernel.name);
  for_each_access(kernel, [&](BufferId id, const std::vector<Index>&, ExprId) {
    const Buffer& b = program.buffers[static_cast<std::size_t>(id)];
    if (b.panels)
      fail("{}: %{} lies in panels of {}, a CPU's storage order; expected row-major buffers", place, b.name, b.panels);
  });
  for (const Phase& phase : kernel.phases)
    if (phase.chunk) fail("{} runs points in chunks of {}, which only a CPU's code does", place, phase.chunk);
}

}  // namespace

std::vector<simt::Function> device_functions(const Program& program, const GpuTarget& target) {
  std::vector<simt::Function> functions;
  for (std::size_t k = 0; k < program.kernels.size(); ++k) {
    const Kernel& kernel = program.kernels[k];
    check_for_device(program, kernel);
    std::vector<std::string> checks;
    if (program.check_indices)
      for (const UnprovenIndex& u : unproven_indices(program, kernel))
        checks.push_back(out_of_bounds_text(program, kernel, u));
    for (std::size_t p = 0; p < kernel.phases.size(); ++p) {
      simt::Function f;
      f.name = kernel.phases.size() == 1 ? kernel.name : fmt::format("{}.{}", kernel.name, p);
      f.kernel = static_cast<std::int32_t>(k), f.phase = static_cast<std::int32_t>(p), f.locs = kernel.locs;
      f.checks = checks;
      const Phase& phase = kernel.phases[p];
      if (const GpuSchedule* tile = p == 0 ? gpu_tile(kernel) : nullptr) {
        const auto info = codegen::analyse(program, kernel, phase, role_axes(kernel).n, false);
        codegen::DeviceContract(program, kernel, info, *tile, f).emit(target);
      } else {
        const auto info = codegen::analyse(program, kernel, phase, lane_axis(kernel), true);
        codegen::DevicePoints(program, kernel, info, f).emit(target);
      }
      functions.push_back(std::move(f));
    }
  }
  return functions;
}

}  // namespace weft

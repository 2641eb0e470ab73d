// Kernels to device functions: each phase by the emitter that knows its kind.
#include "codegen/device.h"
#include "codegen/device_contract.h"
#include "codegen/device_points.h"

namespace weft {

std::vector<simt::Function> device_functions(const Program& program, const GpuTarget& target) {
  for (const Buffer& b : program.buffers)
    if (b.panels) fail("%{} lies in panels of {}, a CPU's storage order; expected row-major buffers", b.name, b.panels);
  std::vector<simt::Function> functions;
  for (std::size_t k = 0; k < program.kernels.size(); ++k) {
    const Kernel& kernel = program.kernels[k];
    for (std::size_t p = 0; p < kernel.phases.size(); ++p) {
      if (const std::int64_t chunk = kernel.phases[p].chunk)
        fail("kernel @{} runs points in chunks of {}, which only a CPU's code does", kernel.name, chunk);
      simt::Function f;
      f.name = kernel.phases.size() == 1 ? kernel.name : fmt::format("{}.{}", kernel.name, p);
      f.kernel = static_cast<std::int32_t>(k), f.phase = static_cast<std::int32_t>(p), f.locs = kernel.locs;
      const Phase& phase = kernel.phases[p];
      const auto unmerged = codegen::analyse(program, kernel, phase, kernel.schedule.n, false);
      if (p == 0 && codegen::DeviceContract::accepts(kernel, unmerged)) {
        codegen::DeviceContract(program, kernel, unmerged, f).emit(target);
      } else {
        const auto info = codegen::analyse(program, kernel, phase, kernel.schedule.vector_axis, true);
        codegen::DevicePoints(program, kernel, info, f).emit(target);
      }
      functions.push_back(std::move(f));
    }
  }
  return functions;
}

}  // namespace weft

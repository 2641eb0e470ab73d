// From kernels to device code and PTX: the GPU side of codegen/'s interface, free of LLVM.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/target.h"
#include "ir/simt/device_image.h"

namespace weft {

/// A GPU by LLVM's name of its architecture ("sm_80", "sm_90a", …), with the reference machine's figures for it. Throws
/// Error listing the valid names when LLVM does not know it.
GpuTarget gpu_target(std::string_view name);

/// The target for a GPU as its driver describes it (name: "sm_90"): the same figures under the newest architecture that
/// LLVM knows and the GPU runs, its own or (PTX runs on what came later) one before it. Throws Error below sm_80.
GpuTarget target_for_gpu(const GpuTarget& found);

/// Device code of every phase of every kernel, in order. Contractions have the tiles that the kernels' schedules say; a
/// thread of one without a GPU's tile sums its elements one by one. Throws Error for a program in panels, which are a
/// CPU's storage order, and for a tile that the target cannot run.
std::vector<simt::Function> device_functions(const Program&, const GpuTarget& target);

/// One PTX module with an entry for each function: its parameters are one 64-bit address for each global memory, in
/// their order; shared memory is static up to 48 KiB, dynamic (shared_layout's end bytes) beyond.
struct PtxModule {
  std::string text;
  std::vector<std::string> entries;  // of each function
  PersistentEntry persistent;
};
/// `persistent`: with one more entry, the one that runs all functions.
PtxModule emit_ptx(const std::vector<simt::Function>&, const GpuTarget& target, bool persistent = false);

struct DeviceOptions {
  bool ptx = false;         ///< for a real GPU; the emulator needs none
  bool persistent = false;  ///< with an entry that runs many steps by itself
};
/// Lowers a program for a device.
DeviceImage compile_device(std::shared_ptr<const Program>, const GpuTarget& target, const DeviceOptions&);

}  // namespace weft

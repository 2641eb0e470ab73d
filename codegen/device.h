// From kernels to device code and PTX: the GPU side of codegen/'s interface, free of LLVM.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/device_image.h"
#include "ir/target.h"

namespace weft {

/// A GPU by LLVM's name of its architecture ("sm_80", "sm_90a", …), with the reference machine's figures for it. Throws
/// Error listing the valid names when LLVM does not know it.
GpuTarget gpu_target(std::string_view name);

/// The target for a GPU as its driver describes it (name: "sm_90"): the same figures under the newest architecture that
/// LLVM knows and the GPU runs, its own or (PTX runs on what came later) one before it. Throws Error below sm_80.
GpuTarget target_for_gpu(const GpuTarget& found);

/// Device code of every phase of every kernel, in order, scheduled for `target`.
std::vector<simt::Function> device_functions(const Program&, const GpuTarget& target);

/// One PTX module with an entry for each function: its parameters are one 64-bit address for each global memory, in
/// their order; shared memory is static up to 48 KiB, dynamic (shared_layout's end bytes) beyond.
struct PtxModule {
  std::string text;
  std::vector<std::string> entries;  // of each function
  struct Persistent {
    std::string entry;              // "": there is none
    int threads = 0;                // of a block
    std::int64_t shared_bytes = 0;  // of a block; dynamic beyond 48 KiB
  } persistent;
};
/// `persistent`: with one more entry, which runs all functions in order, `steps` times, in one cooperative launch of
/// any number of blocks: entry(table, arrived, steps).
///   table    i64[G][2], a row for each global memory of each function, in order: its address in step 0, and the bytes
///            by which it moves with every step
///   arrived  i64[1] in global memory, 0 at launch: blocks that have come to a barrier of the grid
///   steps    i64
/// Block b runs the functions' blocks b, b + grid, b + 2 grid, …; between functions all wait for all. So a device
/// without a grid may run, for each step, all blocks of each function in order.
PtxModule emit_ptx(const std::vector<simt::Function>&, const GpuTarget& target, bool persistent = false);

/// Lowers a program for a device. `with_ptx`: for a real GPU; the emulator needs none.
DeviceImage compile_device(std::shared_ptr<const Program>, const GpuTarget& target, bool with_ptx);

}  // namespace weft

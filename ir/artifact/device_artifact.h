// A compiled function for a GPU or the emulator: what codegen/ makes and runtime/ runs, without kernels and without
// LLVM.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <weft/ir/memory/buffer.h>
#include <weft/ir/simt/simt.h>

namespace weft {

/// An entry that does the work of many launches in one that is cooperative: all launches in order, `steps` times.
///   entry(table, arrived, steps)
///   table    i64[G][2], a row for each buffer of each launch, in order: its address in step 0, and the bytes by which
///            it moves with every step
///   arrived  i64[1] in global memory, 0 at launch: blocks that have come to a barrier of the grid
///   steps    i64
/// Block b of any number of them runs the launches' blocks b, b + grid, b + 2 grid, …; between launches all wait for
/// all.
struct PersistentEntry {
  std::string entry;              // its symbol; "": there is none
  int threads = 0;                // of a block
  std::int64_t shared_bytes = 0;  // of a block; dynamic beyond 48 KiB
};

/// One phase of a kernel: blocks of threads, called with one address for each of `buffers`, in their order.
struct DeviceLaunch {
  std::string name;               ///< of the kernel
  std::string symbol;             ///< of its code: an entry of the PTX
  std::int64_t blocks = 0;        ///< 0: nothing to do
  int threads = 0;                ///< of a block
  std::int64_t shared_bytes = 0;  ///< of a block; dynamic beyond 48 KiB
  std::vector<BufferId> buffers;  ///< views not resolved
};

/// Launches in order, each of which may rely on all that those before it have stored.
struct DeviceArtifact {
  std::shared_ptr<const BufferTable> memory;
  std::vector<DeviceLaunch> launches;
  std::string ptx;                         ///< for a GPU: an entry for each launch, and the persistent one
  std::vector<simt::Function> functions;   ///< for the emulator: one for each launch
  PersistentEntry persistent = {};
  double compile_seconds = 0;
};

/// The launch of a function whose code has that symbol.
DeviceLaunch launch_of(const simt::Function&, std::string symbol);

}  // namespace weft

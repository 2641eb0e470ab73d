// The contract between codegen/ (which makes it) and the devices of runtime/ (which run it, without LLVM).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <weft/ir/kernel/kernel.h>
#include <weft/ir/simt/simt.h>

namespace weft {

/// An entry that does the work of many launches in one that is cooperative: all launches in order, `steps` times.
///   entry(table, arrived, steps)
///   table    i64[G][2], a row for each global memory of each launch, in order: its address in step 0, and the bytes by
///            which it moves with every step
///   arrived  i64[1] in global memory, 0 at launch: blocks that have come to a barrier of the grid
///   steps    i64
/// Block b of any number of them runs the launches' blocks b, b + grid, b + 2 grid, …; between launches all wait for
/// all.
struct PersistentEntry {
  std::string entry;              // "": there is none
  int threads = 0;                // of a block
  std::int64_t shared_bytes = 0;  // of a block; dynamic beyond 48 KiB
};

/// A program for a GPU or the emulator: launches in order, each of which may rely on all that those before it have
/// stored. Launch i is called with one address for each global memory of launches[i], in their order.
struct DeviceImage {
  std::shared_ptr<const Program> program;
  std::vector<simt::Function> launches;
  std::string ptx;                   // empty for the emulator; holds one entry for each launch, and the persistent one
  std::vector<std::string> entries;  // of each launch: its symbol in `ptx`
  PersistentEntry persistent;
  double compile_seconds = 0;
};

}  // namespace weft

// The contract between codegen/ (which makes it) and the devices of runtime/ (which run it, without LLVM).
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ir/kernel.h"
#include "ir/simt.h"

namespace weft {

/// A program for a GPU or the emulator: launches in order, each of which may rely on all that those before it have
/// stored. Launch i is called with one address for each global memory of launches[i], in their order.
struct DeviceImage {
  std::shared_ptr<const Program> program;
  std::vector<simt::Function> launches;
  std::string ptx;  // empty for the emulator; holds one entry for each launch, and `persistent` (below)
  std::vector<std::string> entries;  // of each launch: its symbol in `ptx`
  double compile_seconds = 0;
};

}  // namespace weft

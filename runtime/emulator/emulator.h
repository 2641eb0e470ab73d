// The emulator: a device of runtime/device/device.h that runs device code on the host, with the bits that a GPU must
// give, and can check it for what goes wrong on GPUs without being seen.
//
// Every access is checked against the extent of its memory, and every address of a launch against its allocation:
// InternalError names the function, the thread and the index. A program that checks its own bounds cannot make weft do
// this; it is a mistake of weft's, as all that the checking mode finds.
#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include <weft/runtime/device/device.h>

namespace weft {

struct EmulatorOptions {
  int threads = 0;  ///< host threads that share out the blocks of a launch; 0: one for each usable CPU
  /// Find races, missing barriers and waits, and reads of what was never written (InternalError). Blocks then run one
  /// after another, on one host thread.
  bool check = false;
  std::int64_t memory = std::int64_t{16} << 30;  ///< bytes that the device can allocate in all
};

/// Throws Error when `threads` is out of range.
std::unique_ptr<Device> make_emulator(EmulatorOptions = {});

/// Runs one function. `globals`: an address for each of its global memories, in order. Throws InternalError when the
/// function breaks an invariant of device code (simt::verify) or does what the emulator finds.
void emulate(const simt::Function&, std::span<std::byte* const> globals, EmulatorOptions = {});

}  // namespace weft

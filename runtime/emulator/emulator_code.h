// Device code flattened for the emulator: a list of steps, each of which does one thing for all threads of a block at
// once.
//
// A frame holds the values of one block. A value has a slot there, a byte offset: one element for each thread, or a
// single element when it is the same for all threads (simt_inst.h: varying_values) and nobody needs it spread out.
// Threads that have parted are told by a mask: one bool for each thread and, after those, whether all are true.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <weft/ir/base/cache_line.h>
#include <weft/ir/simt/simt.h>

namespace weft::emulator {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = ~Slot{0};
/// Slots start at whole cache lines, and their distance is an odd number of them: slots of 1 KiB at multiples of 1
/// KiB would share the sets of a cache, and stores would seem to overlap later loads in the low bits of their
/// addresses.
inline constexpr std::size_t kLine = kCacheLine;

struct Machine;
struct Step;
using Handler = void (*)(const Step&, Machine&);

struct Step {
  Handler run = nullptr;
  const simt::Inst* inst = nullptr;
  Slot at[4] = {kNoSlot, kNoSlot, kNoSlot, kNoSlot};  // result and arguments, or what the handler says
  std::int32_t n = 1;                                      // elements to work on: 1, or one for each thread
  Slot mask = kNoSlot;                                   // of the threads that are here; kNoSlot: all
  std::uint32_t more = 0;                                  // first of further slots in Code::slots
  std::uint32_t target = 0;                                // control flow: the step to go on with
};

/// A function, ready to run.
struct Code {
  std::shared_ptr<const simt::Function> function;  // which the steps point into
  std::vector<Step> once;                          // constants and thread numbers: before the first block
  std::vector<Step> steps;                         // one block
  std::vector<Slot> slots;
  std::size_t frame_bytes = 0;
  std::size_t globals = 0;                  // memories that are not shared
  std::vector<std::int64_t> shared_offset;  // for each memory
  std::int64_t shared_bytes = 0;
};

/// Verifies and flattens. Throws InternalError when an invariant of device code is broken.
Code flatten(std::shared_ptr<const simt::Function>);

}  // namespace weft::emulator

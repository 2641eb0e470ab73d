// A compiled function for a CPU: what codegen/ makes and runtime/ runs, without kernels and without LLVM.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <weft/ir/memory/buffer.h>

namespace weft {

/// A launch as machine code: runs units [begin, end). buffers[i] is the base address of BufferTable::buffers[i].
/// `scratch` is private to the thread, kCacheLine-aligned, HostLaunch::scratch_bytes long. Called with FTZ and DAZ set.
using KernelFn = void (*)(std::byte* const* buffers, std::int64_t begin, std::int64_t end, std::byte* scratch);

/// Which values of one axis a unit of work takes. Groups of `units` consecutive units share their values; group g takes
/// those from start(g) up to start(g + 1).
struct UnitSplit {
  std::int64_t extent = 0;  // of the axis; 0: any unit may take any value
  std::int64_t units = 1;
  std::int64_t values = 1;  // of a group; the first `fewer` groups have one less
  std::int64_t fewer = 0;
  double last = 1;  // the work of each unit of the last group; that of every other one is 1
  std::int64_t start(std::int64_t group) const { return group * values - (group < fewer ? group : fewer); }
  friend bool operator==(const UnitSplit&, const UnitSplit&) = default;
};

/// Where a buffer of the code lies: at a buffer of the function, from some byte on. (Kernels that are copies of one
/// another on other buffers, or on other parts of one, have the same code.)
struct Argument {
  BufferId buffer = kNone;
  std::int64_t bytes = 0;
  friend bool operator==(const Argument&, const Argument&) = default;
};

/// Code that checks indices begins its scratch space with this, and leaves memory alone where it finds an index outside
/// its buffer.
struct IndexFault {
  std::int64_t number = 0;   // 1 + the position in HostLaunch::checks of an index that was outside; 0: none was
  std::int64_t index = 0;    // its value
  std::byte spare[48] = {};  // takes what else would be written outside
};

/// One phase of a kernel.
struct HostLaunch {
  std::int32_t kernel = 0;           ///< in Program::kernels; consecutive launches of one are its phases
  std::string name;                  ///< of the kernel
  std::string symbol;                ///< of its code
  std::vector<Argument> arguments;   ///< of the code, one for each buffer that it knows
  std::int64_t units = 0;            ///< what threads share out; results do not depend on how
  std::int64_t scratch_bytes = 0;
  double cycles = 0;                 ///< estimated, of all units
  double bytes = 0;                  ///< loaded and stored, at most
  UnitSplit split = {};
  std::vector<BufferUse> uses;       ///< all that it touches, constants apart; rows are of the split axis
  std::vector<std::string> checks;   ///< what to say of each index that the code checks; none: it reports nothing
};

/// A launch that has work, as threads share it out: thread t runs units [bounds[t], bounds[t + 1]).
struct PlannedPhase {
  std::size_t launch;  // in HostArtifact::launches
  std::vector<std::int64_t> bounds;
  bool barrier = false;  // all threads meet after it
};

/// Code that is loaded into this process.
struct HostCode {
  std::vector<KernelFn> functions;  ///< one for each launch
  std::shared_ptr<void> owner;      ///< keeps the pages mapped
};

/// Launches in order. Each may rely on all that those before it have stored; the runtime decides where threads must meet
/// for that (runtime/host/phase_plan.h).
struct HostArtifact {
  std::shared_ptr<const BufferTable> memory;
  std::vector<HostLaunch> launches;
  HostCode code;
  double compile_seconds = 0;  ///< all of it
  double link_seconds = 0;     ///< of them, from object code to addresses
};

}  // namespace weft

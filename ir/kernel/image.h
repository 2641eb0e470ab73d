// The contract between codegen/ (which makes it) and runtime/ (which runs it, without LLVM).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// One phase of a kernel as machine code: runs units [begin, end). buffers[i] is the base address of Program::buffers[i].
/// `scratch` is private to the thread, kCacheLine-aligned, KernelCode::scratch_bytes long. Called with FTZ and DAZ set.
using KernelFn = void (*)(std::byte* const* buffers, std::int64_t begin, std::int64_t end, std::byte* scratch);

/// Which values of one parallel axis of its phase a unit of work takes. Groups of `units` consecutive units share their
/// values; group g takes those from start(g) up to start(g + 1).
struct UnitSplit {
  AxisId axis = kNone;       // kNone: any unit may take any value
  std::int64_t units = 1;
  std::int64_t values = 1;   // of a group; the first `fewer` groups have one less
  std::int64_t fewer = 0;
  std::int64_t start(std::int64_t group) const { return group * values - (group < fewer ? group : fewer); }
  friend bool operator==(const UnitSplit&, const UnitSplit&) = default;
};

/// Code of a kernel with indices to check (Program::check_indices) begins its scratch space with this, and leaves memory
/// alone where it finds an index outside its buffer.
struct IndexFault {
  std::int64_t number = 0;  // 1 + the position in unproven_indices() of an index that was outside; 0: none was
  std::int64_t index = 0;   // its value
  std::byte spare[48] = {};  // takes what else would be written outside
};

struct KernelCode {
  KernelFn fn = nullptr;
  std::int64_t units = 0;          // extent of what threads share out; results do not depend on how
  std::int64_t scratch_bytes = 0;
  double cost = 0;                 // estimated cycles of all units: below a threshold one thread runs it alone
  std::int32_t kernel = 0;         // index in Program::kernels
  UnitSplit split = {};            // what the runtime needs to know which threads' shares are independent
  bool checks = false;             // it reports in an IndexFault
};

/// A compiled program: the phases of all kernels in order. Each may rely on all that the phases before it have stored; the
/// runtime decides where threads must meet for that (runtime/host/phase_plan.h).
struct Image {
  std::shared_ptr<const Program> program;
  std::vector<KernelCode> code;
  std::shared_ptr<void> owner;  // keeps the code pages mapped
  double compile_seconds = 0;   // all of it
  double link_seconds = 0;      // of them, from object code to addresses
};

}  // namespace weft

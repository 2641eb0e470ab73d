// The kernel verifier's finding, for callers that report it in their own way, and its limits.
#pragma once
#include <optional>
#include <string>

#include <weft/ir/kernel/kernel.h>

namespace weft {

inline constexpr std::size_t kMaxAxes = 64;                        // of a kernel
inline constexpr std::int64_t kMaxListed = std::int64_t{1} << 20;  // kernels and expressions of all turns of loops
inline constexpr std::int64_t kMaxPoints = std::int64_t{1} << 46;  // of a phase, and values of an axis

struct Violation {
  std::int32_t kernel = kNone;  // index in Program::kernels; kNone: the program itself
  std::string what;
  bool of_arena = false;  // the program's arena is too large
};
/// The first broken invariant of ir/kernel/verify_kernel.cpp, if there is one. Safe on any Program.
std::optional<Violation> find_violation(const Program&);
/// Of invariant 15, in any program (ir/kernel/verify_loops.cpp).
std::optional<Violation> find_loop_violation(const Program&);
/// Of invariant 12, in a program that keeps 1 to 11 (ir/kernel/verify_schedule.cpp).
std::optional<Violation> find_schedule_violation(const Program&);
/// Why a kernel that keeps invariants 5 to 9 cannot have a GPU's tile (GpuSchedule), of whatever size; empty: it can.
std::string gpu_tile_objection(const Kernel&);
/// Of invariant 14, in a program that keeps 1 to 12 (ir/kernel/verify_chunk.cpp).
std::optional<Violation> find_chunk_violation(const Program&);
/// Of invariant 13, in a program that keeps the others (ir/kernel/panels.cpp).
std::optional<Violation> find_panel_violation(const Program&);

}  // namespace weft

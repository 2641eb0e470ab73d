// Invariant 12 of ir/kernel/verify_kernel.cpp: what code generation takes for granted of a schedule. For any program
// that a text can say it means:
//
//  a. The axis that it names exists.
//  b. Sizes and flags belong to a contraction at the beginning of phase 0, with one axis in each of the roles m, n and
//  k
//     and at most one in b: that is what code generation tiles.
//  c. CPU: a register tile of mr x nr holds at most kMaxTile elements (code is written out for each); mc and nc are at
//     most the extents.
//  d. GPU: a tile is whole, of powers of two within the limits below. Its contraction is of b, m and n alone, nothing
//  of
//     it is empty, and what follows it in the phase maps its points.
// What is worth doing on a target is for passes/schedule/ to say.
#include <algorithm>
#include <bit>

#include "ir/base/at.h"
#include "ir/kernel/print_kernel.h"
#include "ir/kernel/verify_kernel.h"

namespace weft {
namespace {

constexpr std::int64_t kMaxTile = 1024;

std::string contraction_objection(const Kernel& k) {
  const KernelStage* contraction = leading_contraction(k);
  if (!contraction) return "phase 0 does not start with a contraction, which tiles are of";
  const Roles& r = contraction->roles;
  if (!r.m.empty() && r.n.size() == 1 && !r.k.empty()) return "";
  return fmt::format("a tiled contraction has axes in m and in k, and one in n; found {}, {} and {}", r.m.size(),
                     r.k.size(), r.n.size());
}

std::string sizes_objection(const Kernel& k, const CpuSchedule& s) {
  const Roles& roles = leading_contraction(k)->roles;
  if (std::int64_t{s.mr} * s.nr > kMaxTile)
    return fmt::format("a register tile of {} x {}, more than {} elements", s.mr, s.nr, kMaxTile);
  if (s.mc > extent_of(k, roles.m)) return fmt::format("mc={}, more than the extent of m", s.mc);
  if (s.nc > extent_of(k, roles.n)) return fmt::format("nc={}, more than the extent of n", s.nc);
  return "";
}

std::string sizes_objection(const Kernel& k, const GpuSchedule& s) {
  constexpr int kMostThreads = 1024, kMostShared = 227 << 10;  // of a block, on any GPU
  struct Limit {
    int GpuSchedule::*size;
    int least, most;
  };
  const Limit limits[] = {{&GpuSchedule::rows, 1, kMostThreads},
                          {&GpuSchedule::cols, 1, kMostThreads},
                          {&GpuSchedule::tm, 1, 8},
                          {&GpuSchedule::tn, 1, 8},
                          {&GpuSchedule::k, s.matrices ? 16 : 8, 64},
                          {&GpuSchedule::stages, 2, 4}};
  for (const ScheduleField<GpuSchedule>& f : kGpuFields)
    for (const Limit& limit : limits) {
      const int found = s.*limit.size;
      if (f.small == limit.size && (found < limit.least || found > limit.most || !std::has_single_bit(unsigned(found))))
        return fmt::format("{}={}, expected a power of two from {} to {}", f.name, found, limit.least, limit.most);
    }
  if (s.rows * s.cols > kMostThreads || s.threads() > kMostThreads || s.threads() < 32)
    return fmt::format("a block of {} x {} {}, expected 32 to {} threads", s.rows, s.cols,
                       s.matrices ? "warps" : "threads", kMostThreads);
  const DType t = at(k.exprs, leading_contraction(k)->lhs).dtype;
  if (s.matrices && t != f32) return fmt::format("matrices of {}, expected f32", name(t));
  if (const std::int64_t bytes = s.shared_bytes(static_cast<std::int64_t>(size_of(t))); bytes > kMostShared)
    return fmt::format("{} bytes of shared memory, more than {}", bytes, kMostShared);
  return gpu_tile_objection(k);
}

/// Why some schedule's axis or sizes are wrong, whatever the kernel is.
template <class S>
std::string fields_objection(const Kernel& k, const S& s) {
  for (const ScheduleField<S>& f : fields_of(s)) {
    if (f.axis && s.*f.axis != kNone && (s.*f.axis < 0 || static_cast<std::size_t>(s.*f.axis) >= k.axes.size()))
      return fmt::format("axis {} of {} does not exist", s.*f.axis, f.name);
    if ((f.small && s.*f.small < 0) || (f.big && s.*f.big < 0)) return fmt::format("{} is negative", f.name);
  }
  return "";
}

/// "" when there is none.
std::string objection(const Kernel&, std::monostate) { return ""; }
template <class S>
std::string objection(const Kernel& k, const S& s) {
  if (std::string why = fields_objection(k, s); !why.empty()) return why;
  S untiled;
  for (const ScheduleField<S>& f : fields_of(s))
    if (f.axis) untiled.*f.axis = s.*f.axis;
  if (s == untiled) return "";
  if (std::string why = contraction_objection(k); !why.empty()) return why;
  return sizes_objection(k, s);
}

}  // namespace

std::string gpu_tile_objection(const Kernel& k) {
  if (std::string why = contraction_objection(k); !why.empty()) return why;
  const RoleAxes axes = role_axes(k);
  if (leading_contraction(k)->roles.b.size() > 1 || axes.m == kNone || axes.k == kNone)
    return "a GPU's tile is of a contraction with one axis in each role";
  const Phase& phase = k.phases[0];
  for (AxisId a : phase.parallel)
    if (a != axes.b && a != axes.m && a != axes.n)
      return fmt::format("axis {} has no role in the tiled contraction", at(k.axes, a).name);
  for (AxisId a : {axes.b, axes.m, axes.n, axes.k})
    if (a != kNone && at(k.axes, a).extent == 0) return fmt::format("axis {} is empty", at(k.axes, a).name);
  const bool maps = std::all_of(phase.stages.begin() + 1, phase.stages.end(),
                                [](const KernelStage& s) { return s.kind == KernelStage::map && s.axis == kNone; });
  return maps ? "" : "what follows a tiled contraction maps its points";
}

std::optional<Violation> find_schedule_violation(const Program& p) {
  for (std::size_t i = 0; i < p.kernels.size(); ++i) {
    const Kernel& k = p.kernels[i];
    const std::string why = std::visit([&](const auto& s) { return objection(k, s); }, k.schedule);
    if (!why.empty()) return Violation{static_cast<std::int32_t>(i), "schedule: " + why};
  }
  return {};
}

}  // namespace weft

// Invariant 12 of ir/kernel/verify_kernel.cpp: what code generation takes for granted of a schedule. For any program
// that a text can say it means:
//
//  a. The axis that it names exists.
//  b. Sizes and flags belong to a contraction at the beginning of phase 0, with one axis in each of the roles m, n and
//  k
//     and at most one in b: that is what code generation tiles.
//  c. A register tile of mr x nr holds at most kMaxTile elements (code is written out for each); mc and nc are at most
//     the extents.
// What is worth doing on a target is for passes/schedule/schedule_space.h to say.
#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/print_kernel.h"
#include "ir/kernel/verify_kernel.h"

namespace weft {
namespace {

constexpr std::int64_t kMaxTile = 1024;

std::string contraction_objection(const Kernel& k) {
  const KernelStage* contraction = leading_contraction(k);
  if (!contraction) return "phase 0 does not start with a contraction, which tiles are of";
  const Roles& r = contraction->roles;
  if (r.b.size() <= 1 && r.m.size() == 1 && r.n.size() == 1 && r.k.size() == 1) return "";
  return fmt::format(
      "a tiled contraction has one axis in each of m, n and k, and at most one in b; found {}, {}, {} and {}",
      r.m.size(), r.n.size(), r.k.size(), r.b.size());
}

std::string sizes_objection(const Kernel& k) {
  const Schedule& s = k.schedule;
  const RoleAxes axes = role_axes(k);
  if (std::int64_t{s.mr} * s.nr > kMaxTile)
    return fmt::format("a register tile of {} x {}, more than {} elements", s.mr, s.nr, kMaxTile);
  if (s.mc > at(k.axes, axes.m).extent) return fmt::format("mc={}, more than the extent of m", s.mc);
  if (s.nc > at(k.axes, axes.n).extent) return fmt::format("nc={}, more than the extent of n", s.nc);
  return "";
}

/// "" when there is none.
std::string schedule_objection(const Kernel& k) {
  const Schedule& s = k.schedule;
  for (const ScheduleField& f : kScheduleFields) {
    if (f.axis && s.*f.axis != kNone && (s.*f.axis < 0 || static_cast<std::size_t>(s.*f.axis) >= k.axes.size()))
      return fmt::format("axis {} of {} does not exist", s.*f.axis, f.name);
    if ((f.small && s.*f.small < 0) || (f.big && s.*f.big < 0)) return fmt::format("{} is negative", f.name);
  }
  Schedule no_contraction;
  no_contraction.vector_axis = s.vector_axis;
  if (s == no_contraction) return "";
  if (std::string why = contraction_objection(k); !why.empty()) return why;
  return sizes_objection(k);
}

}  // namespace

std::optional<Violation> find_schedule_violation(const Program& p) {
  for (std::size_t i = 0; i < p.kernels.size(); ++i)
    if (const std::string why = schedule_objection(p.kernels[i]); !why.empty())
      return Violation{static_cast<std::int32_t>(i), "schedule: " + why};
  return {};
}

}  // namespace weft

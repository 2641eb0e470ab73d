// Invariant 12 of ir/kernel/verify_kernel.cpp: what code generation takes for granted of a schedule. For any program that a
// text can say it means:
//
//  a. The axes that it names exist.
//  b. m, n and k come together, b only with them, and the four differ. Phase 0 then starts with a contraction over k,
//  and
//     its parallel axes hold b, m and n.
//  c. The left factor does not change with n, nor the right one with m.
//  d. Sizes and flags belong to a contraction. A register tile of mr x nr holds at most kMaxTile elements (code is
//     written out for each); mc and nc are at most the extents.
// What is worth doing on a target is for passes/schedule/schedule_space.h to say.
#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/print_kernel.h"
#include "ir/kernel/verify_kernel.h"

namespace weft {
namespace {

constexpr std::int64_t kMaxTile = 1024;

/// The one of `axes` that `root` changes with, or kNone.
AxisId depends_on(const Kernel& k, ExprId root, std::initializer_list<AxisId> axes) {
  const std::vector<bool> used = needed(k, {root});
  for (std::size_t e = 0; e < used.size(); ++e)
    for (const Index& index : k.exprs[e].access)
      for (const auto& [axis, coefficient] : index.terms)
        if (used[e] && std::ranges::count(axes, axis)) return axis;
  return kNone;
}

std::string roles_objection(const Kernel& k) {
  const Schedule& s = k.schedule;
  if (s.m == kNone || s.n == kNone || s.k == kNone) return "m, n and k come together, and b with them";
  const std::pair<std::string_view, AxisId> roles[] = {{"b", s.b}, {"m", s.m}, {"n", s.n}, {"k", s.k}};
  for (const auto& [name, axis] : roles)
    for (const auto& [other, same] : roles)
      if (name < other && axis != kNone && axis == same)
        return fmt::format("{} and {} are the same axis {}", name, other, at(k.axes, axis).name);
  if (k.phases.empty() || k.phases[0].stages.empty() || k.phases[0].stages[0].kind != KernelStage::contract ||
      k.phases[0].stages[0].axis != s.k)
    return "phase 0 does not start with a contraction over the k axis";
  for (AxisId a : {s.b, s.m, s.n})
    if (a != kNone && !std::ranges::count(k.phases[0].parallel, a))
      return fmt::format("axis {} is not parallel in phase 0", at(k.axes, a).name);
  const KernelStage& sum = k.phases[0].stages[0];
  if (AxisId a = depends_on(k, sum.lhs, {s.n}); a != kNone)
    return fmt::format("the left factor changes with n, {}", at(k.axes, a).name);
  if (AxisId a = depends_on(k, sum.rhs, {s.m}); a != kNone)
    return fmt::format("the right factor changes with m, {}", at(k.axes, a).name);
  return "";
}

std::string sizes_objection(const Kernel& k) {
  const Schedule& s = k.schedule;
  if (std::int64_t{s.mr} * s.nr > kMaxTile)
    return fmt::format("a register tile of {} x {}, more than {} elements", s.mr, s.nr, kMaxTile);
  if (s.mc > at(k.axes, s.m).extent) return fmt::format("mc={}, more than the extent of m", s.mc);
  if (s.nc > at(k.axes, s.n).extent) return fmt::format("nc={}, more than the extent of n", s.nc);
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
  if (std::string why = roles_objection(k); !why.empty()) return why;
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

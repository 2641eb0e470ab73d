// The axis of lanes; what differs between machines is in passes/schedule/cpu.cpp and gpu.cpp.
#include "passes/schedule/schedule.h"

#include <algorithm>

#include "passes/schedule/cpu.h"
#include "passes/schedule/gpu.h"
#include "passes/schedule/schedule_table.h"

namespace weft {
namespace {

AxisId lanes_of_kernel(const Kernel& k) {
  if (const AxisId n = role_axes(k).n; n != kNone) return n;
  // The folded axis of a row kernel, that of its first such phase, else the last parallel axis.
  AxisId axis = kNone;
  for (AxisId a : k.phases.back().parallel)
    if (std::ranges::none_of(k.phases.back().stages, [&](const KernelStage& s) { return s.chunk_axis == a; })) axis = a;
  for (auto phase = k.phases.rbegin(); phase != k.phases.rend(); ++phase)
    for (const KernelStage& s : phase->stages)
      if (s.kind == KernelStage::reduce && s.order == FoldOrder::striped) axis = s.axis;
  return axis;
}

void assign_lanes(Kernel& k, const Target& target) {
  const AxisId axis = lanes_of_kernel(k);
  if (std::holds_alternative<CpuTarget>(target))
    k.schedule = CpuSchedule{.vector_axis = axis};
  else
    k.schedule = GpuSchedule{.thread_axis = axis};
}

void tile(const Program& p, Kernel& k, const Target& target, const std::vector<bool>& often,
          const ScheduleTable* table) {
  if (const auto* gpu = std::get_if<GpuTarget>(&target)) return tile_contraction(p, k, *gpu);
  const CpuTarget& cpu = std::get<CpuTarget>(target);
  tile_contraction(p, k, cpu, often);
  if (table) table->apply(p, k, cpu);
}

}  // namespace

void assign_lanes(Program& p, const Target& target) {
  for (Kernel& k : p.kernels) assign_lanes(k, target);
}

void tile_contractions(Program& p, const Target& target, const ScheduleTable* table) {
  const std::vector<bool> often = often_multiplied(p);
  for (Kernel& k : p.kernels) tile(p, k, target, often, table);
}

void complete_schedules(Program& p, const Target& target) {
  const std::vector<bool> often = often_multiplied(p);
  for (Kernel& k : p.kernels) {
    const bool has_one = std::holds_alternative<CpuTarget>(target) ? std::holds_alternative<CpuSchedule>(k.schedule)
                                                                   : std::holds_alternative<GpuSchedule>(k.schedule);
    if (has_one) continue;
    assign_lanes(k, target);
    tile(p, k, target, often, nullptr);
  }
}

}  // namespace weft

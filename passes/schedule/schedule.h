// Schedules for any machine: the axis of lanes, and the tiles of contractions as passes/schedule/cpu.h and gpu.h choose
// them. Results do not depend on them.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

class ScheduleTable;

/// Gives every kernel a schedule of the target's kind that says which axis lanes, or the threads of a block, run along.
void assign_lanes(Program&, const Target&);
/// Tiles contractions of one axis in each role. On a CPU, one that the table (if any) knows for this target is
/// scheduled as it says; throws Error, with the row's place, where the kernel cannot be scheduled so.
void tile_contractions(Program&, const Target&, const ScheduleTable* = nullptr);

/// Both, for those kernels alone that have no schedule of the target's kind: of a program that comes from text.
void complete_schedules(Program&, const Target&);

}  // namespace weft

// Schedules: the axes of lanes, and for CPUs the tiles of contractions from the target's registers and caches, or from
// a table of measured ones. Results do not depend on them.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

class ScheduleTable;

/// For any machine: sets the axis that lanes, or the threads of a block, run along in every kernel.
void assign_lanes(Program&);
/// For a CPU: tiles, packs and splits contractions, of one axis in each role. One
/// that the table (if any) knows for this target is scheduled as it says; throws Error, with the row's place, where the
/// kernel cannot be scheduled so.
void tile_contractions(Program&, const CpuTarget&, const ScheduleTable* = nullptr);

// What the cost model is made of, for those who search beyond its choice.

/// Elements of the widest register.
std::int64_t lanes_of(DType, const CpuTarget&);
/// The most rows of a register tile of `cols` vectors: it needs rows * cols sums, cols vectors of rhs and one splat of
/// lhs, so rows * cols + cols + 1 <= the number of registers.
std::int64_t most_rows(std::int64_t cols, const CpuTarget&);
/// Rows (columns) of a block of packed pieces, `tile` wide and k products long, that each piece of the other operand
/// walks through: the whole, or a multiple of the tile.
std::int64_t cache_block(std::int64_t whole, std::int64_t tile, std::int64_t k, DType, const CpuTarget&);
/// Whether the expression is a load that a microkernel can address itself: no prologue, no indirection, and neighbours
/// along the axis `contiguous` (unless kNone) are neighbours in memory.
bool is_readable_in_place(const Program&, const Kernel&, ExprId, AxisId contiguous);
/// The width of the panels that a contraction's right operand lies in along n; 0: none.
std::int64_t rhs_panels(const Program&, const Kernel&);
/// Whether tiles of `nr` columns begin and end with panels, or lie within one; otherwise they would have to be packed.
bool fits_panels(std::int64_t nr, std::int64_t panels);
/// Modelled cost of a scheduled contraction's tile; comparable between schedules of one kernel.
double contraction_cost(const Program&, const Kernel&, const CpuTarget&);

}  // namespace weft

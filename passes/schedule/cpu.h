// Contractions on a CPU: tiles, packing and splits, from the target's registers and caches.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Tiles, packs and splits the contraction that the kernel begins with, if it has one axis in each role.
/// `often`: as often_multiplied() says.
void tile_contraction(const Program&, Kernel&, const CpuTarget&, const std::vector<bool>& often);
/// By storage: the right operand of many contractions, as the weight of a recurrent layer is of one in each turn.
std::vector<bool> often_multiplied(const Program&);

// What the cost model is made of, for those who search beyond its choice.

/// Elements of the widest register.
std::int64_t lanes_of(DType, const CpuTarget&);
/// The most rows of a register tile of `cols` vectors: it needs rows * cols sums, cols vectors of rhs and one splat of
/// lhs, so rows * cols + cols + 1 <= the number of registers; somewhat fewer where a step takes more.
std::int64_t most_rows(DType, std::int64_t cols, const CpuTarget&);
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
/// Modelled cost of a tiled contraction's tile; comparable between schedules of one kernel.
double contraction_cost(const Program&, const Kernel&, const CpuTarget&);

}  // namespace weft

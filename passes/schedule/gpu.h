// Contractions on a GPU: the tile of a block, by a cost model from the target's figures.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Tiles the contraction that the kernel begins with, where code can be made for a tile (gpu_tile_objection).
void tile_contraction(const Program&, Kernel&, const GpuTarget&);

// What the cost model is made of.

/// What the cost of a tile depends on.
struct ContractShape {
  std::int64_t batches = 1, m = 1, n = 1, k = 1;
  std::int64_t element = 4;  // bytes
  bool async = true;         // operands can be copied to shared memory without passing through registers
};
/// Of a kernel that can be tiled.
ContractShape contract_shape(const Program&, const Kernel&);

/// Modelled cycles of the whole product.
double tile_cycles(const ContractShape&, const GpuSchedule&, const GpuTarget&);
/// The tile of the fewest modelled cycles: on tensor cores where the target's numerics are not exact (f32 only).
GpuSchedule choose_tile(const ContractShape&, const GpuTarget&);

}  // namespace weft

// Private to codegen/: tiles of contractions on a GPU, chosen by a cost model from the target's figures.
#pragma once
#include "codegen/cpu/analysis.h"
#include "ir/base/target.h"

namespace weft::codegen {

/// z[m, n] = sum over k of x[m, k] * y[k, n], cut into one tile of z for each block. The block walks over k, `k`
/// products at a time, which lie in shared memory; each of its rows x cols threads sums tm x tn elements in registers.
/// On tensor cores rows x cols counts warps, each of which sums tm x tn matrices of 16 x 8.
struct ContractTile {
  int rows = 8, cols = 8;  // threads (warps) along m and n
  int tm = 4, tn = 4;      // elements (matrices) of each
  int k = 16;              // products of one stage; divides kContractChunk
  int stages = 2;          // in shared memory, a power of two: while one is multiplied the next ones arrive
  bool matrices = false;   // on tensor cores

  int threads() const { return rows * cols * (matrices ? 32 : 1); }
  int m() const { return rows * tm * (matrices ? 16 : 1); }
  int n() const { return cols * tn * (matrices ? 8 : 1); }
};

/// What the cost of a tile depends on.
struct ContractShape {
  std::int64_t batches = 1, m = 1, n = 1, k = 1;
  std::int64_t element = 4;  // bytes
  bool async = true;         // operands can be copied to shared memory without passing through registers
};

/// Modelled cycles of the whole product.
double tile_cycles(const ContractShape&, const ContractTile&, const GpuTarget&);
/// The tile of the fewest modelled cycles: on tensor cores where the target's numerics are not exact (f32 only).
ContractTile choose_tile(const ContractShape&, const GpuTarget&);

}  // namespace weft::codegen

// How a kernel runs on a machine, beside what it computes: no result's bits depend on it. passes/schedule/ chooses it
// from the target.
#pragma once
#include <algorithm>
#include <cstdint>
#include <variant>

#include <weft/ir/ops/index.h>

namespace weft {

/// On a CPU. All but the axis is of the contraction that the kernel begins with, of one axis in each role; 0: it is not
/// tiled.
struct CpuSchedule {
  AxisId vector_axis = kNone;   // SIMD lanes run along it: the last parallel axis, or the axis of the row stages
  int mr = 0, nr = 0;           // register tile: mr rows of nr elements
  std::int64_t kc = 0;          // products of k in one pass over a packed panel
  std::int64_t mc = 0, nc = 0;  // macro tile: rows, columns; multiples of mr and nr except at the edge
  bool split_n = false;         // threads split n (else m); b is split first
  bool pack_lhs = false;        // copy lhs into [k][mr] panels (a prologue is evaluated there), else read rows directly
  bool pack_rhs = false;        // copy rhs into [k][nr] panels, else read rows directly
  friend bool operator==(const CpuSchedule&, const CpuSchedule&) = default;
};

/// On a GPU. All but the axis is a tile of the contraction that the kernel begins with, z[m, n] = sum over k of x[m, k]
/// * y[k, n]: one for each block. The block walks over k, `k` products at a time, which lie in shared memory; each of
/// its rows x cols threads sums tm x tn elements in registers. On tensor cores rows x cols counts warps, each of which
/// sums tm x tn matrices of 16 x 8. All sizes are powers of two; 0: there is no tile.
struct GpuSchedule {
  AxisId thread_axis = kNone;  // neighbouring threads, or the elements of one thread, run along it
  int rows = 0, cols = 0;      // threads (warps) along m and n
  int tm = 0, tn = 0;          // elements (matrices) of each
  int k = 0;                   // products of one stage; divides kContractChunk
  int stages = 0;              // in shared memory: while one is multiplied the next ones arrive
  bool matrices = false;       // on tensor cores, whose sums are not exact

  bool has_tile() const { return rows > 0; }
  int threads() const { return rows * cols * (matrices ? 32 : 1); }
  int m() const { return rows * tm * (matrices ? 16 : 1); }
  int n() const { return cols * tn * (matrices ? 8 : 1); }
  /// What the stages of operands of `element` bytes take at most, in whichever order they lie there.
  std::int64_t shared_bytes(std::int64_t element) const {
    const std::int64_t pad = matrices ? 8 : 16 / element, both = std::int64_t{m()} + n();
    return stages * element * std::max(both * (k + pad), (both + 2 * pad) * k);
  }
  friend bool operator==(const GpuSchedule&, const GpuSchedule&) = default;
};

/// None: as code is made for any machine, element by element.
using Schedule = std::variant<std::monostate, CpuSchedule, GpuSchedule>;

}  // namespace weft

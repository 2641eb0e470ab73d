// The space of legal schedules of a contraction: what a schedule may say for a kernel on a target, and the candidates
// that a search tries. Every member gives the same bits.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Whether the kernel is a contraction that a schedule can tile: roles given, nothing empty.
bool is_tiled_contraction(const Kernel&);

/// What decides which schedules are legal: z[b,m,n] = sum over k of x[b,m,k] * y[b,k,n] in `dtype`.
struct Contraction {
  std::int64_t b = 1, m = 1, n = 1, k = 1;
  DType dtype = f32;
  bool lhs_in_place = true, rhs_in_place = true;  // a microkernel can read the operand where it is
  std::int64_t rhs_panels = 0;                    // the width of the panels that it lies in along n, or 0
  friend bool operator==(const Contraction&, const Contraction&) = default;
};
/// Of a kernel for which is_tiled_contraction() holds.
Contraction contraction_of(const Program&, const Kernel&);

/// Why a schedule's sizes and flags are not legal: the field (a name of kCpuFields), and "found 40, expected 1 to
/// 14". An empty field: they are.
struct Objection {
  std::string_view field;
  std::string what;
};
Objection objection(const Contraction&, const CpuSchedule&, const CpuTarget&);

/// Of a kernel that is tiled: schedules that differ from the kernel's in tile, packing and split, those with the least
/// modelled cost first; blocks are what the cost model gives such a tile. The kernel's own is not among them.
std::vector<CpuSchedule> tile_candidates(const Program&, const Kernel&, const CpuTarget&);
/// Schedules that differ from the kernel's in kc, mc and nc.
std::vector<CpuSchedule> block_candidates(const Program&, const Kernel&, const CpuTarget&);

}  // namespace weft

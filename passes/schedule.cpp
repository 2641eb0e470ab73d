// Schedules for the CPU.
//
// Contraction, per k: nr/V vector loads of rhs, mr scalars of lhs, mr * nr/V fused multiply-adds into registers (V =
// elements of a vector). With R registers the tile is the largest with mr * cols accumulators + cols rhs vectors + 1 <=
// R: 6x16 (AVX2), 14x32 (AVX-512), f32.
#include "passes/schedule.h"

#include <algorithm>

#include "ir/eval.h"

namespace weft {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The sum of an access's coefficients for `axis` in elements of row-major memory; nothing when the access is indirect
/// along it.
std::int64_t stride_along(const Program& p, const Expr& e, AxisId axis) {
  const Dims strides = row_major_strides(p.buffers[static_cast<std::size_t>(e.buffer)].type.shape);
  std::int64_t total = 0;
  for (std::size_t d = 0; d < e.access.size(); ++d)
    for (auto [a, coefficient] : e.access[d].terms)
      if (a == axis) total += coefficient * strides[static_cast<int>(d)];
  return total;
}

bool is_plain_load(const Kernel& k, ExprId id, DType t) {
  const Expr& e = k.exprs[static_cast<std::size_t>(id)];
  return e.kind == Expr::load && e.args.empty() && e.dtype == t &&
         std::ranges::all_of(e.access, [](const Index& i) { return i.indirect == kNone; });
}

void schedule_contraction(const Program& p, Kernel& k, const Target& target) {
  Schedule& s = k.schedule;
  const KernelStage& sum = k.phases[0].stages[0];
  const Expr &lhs = k.exprs[static_cast<std::size_t>(sum.lhs)], &rhs = k.exprs[static_cast<std::size_t>(sum.rhs)];
  auto extent = [&](AxisId a) { return k.axes[static_cast<std::size_t>(a)].extent; };
  const std::int64_t m = extent(s.m), n = extent(s.n), depth = std::max<std::int64_t>(1, extent(s.k));
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(lhs.dtype));
  const std::int64_t lanes = std::max<std::int64_t>(1, target.vector_bytes / bytes);

  // One column of vectors for a narrow n, else two.
  const std::int64_t cols = std::min<std::int64_t>(2, std::max<std::int64_t>(1, ceil_div(n, lanes)));
  const std::int64_t rows = std::min<std::int64_t>((target.vector_registers - cols - 1) / cols, 14);
  s.nr = static_cast<int>(cols * lanes);
  s.mr = static_cast<int>(ceil_div(m, ceil_div(m, rows)));  // strips of equal height

  const std::int64_t chunk = std::min(depth, kContractChunk);
  const std::int64_t in_l1 = std::max<std::int64_t>(64, target.l1_bytes * 3 / 4 / (s.nr * bytes));
  s.kc = std::max<std::int64_t>(4, ceil_div(ceil_div(chunk, ceil_div(chunk, in_l1)), 4) * 4);

  // Rows of lhs are read in place when consecutive k are neighbours; a panel of rhs that few strips of rows
  // read does not repay packing (measured with 14x32 tiles: 0.98 of the peak read in place at 128 rows, 0.93 packed).
  s.pack_lhs = !(is_plain_load(k, sum.lhs, lhs.dtype) && stride_along(p, lhs, s.k) == 1);
  s.pack_rhs = !(is_plain_load(k, sum.rhs, rhs.dtype) && stride_along(p, rhs, s.n) == 1 && m <= 12 * s.mr);

  // Each thread packs the whole operand that is not split, so the cheaper one to repeat stays whole.
  const std::int64_t strips = ceil_div(m, s.mr), panels = ceil_div(n, s.nr);
  const std::int64_t repeat_lhs = s.pack_lhs ? m : 0, repeat_rhs = s.pack_rhs ? n : 0;
  s.split_n = panels >= 4 && (repeat_lhs < repeat_rhs || strips < 4);

  const std::int64_t half_l2 = target.l2_bytes / 2;
  auto block = [&](std::int64_t whole, std::int64_t tile) {
    const std::int64_t fit = std::max<std::int64_t>(1, half_l2 / (chunk * bytes * tile));
    return std::min(whole, ceil_div(ceil_div(whole, tile), ceil_div(ceil_div(whole, tile), fit)) * tile);
  };
  s.mc = block(m, s.mr);
  s.nc = block(n, s.nr);
  s.vector_axis = s.n;
}

}  // namespace

void schedule(Program& p, const Target& target) {
  for (Kernel& k : p.kernels) {
    if (k.phases[0].stages[0].kind == KernelStage::contract) {
      schedule_contraction(p, k, target);
      continue;
    }
    // Lanes run along the folded axis of a row kernel, else along the last parallel axis.
    const Phase& phase = k.phases.back();
    k.schedule.vector_axis = phase.parallel.empty() ? kNone : phase.parallel.back();
    for (const KernelStage& s : phase.stages)
      if (s.kind == KernelStage::reduce && s.striped) k.schedule.vector_axis = s.axis;
  }
}

}  // namespace weft

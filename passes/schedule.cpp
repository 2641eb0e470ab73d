// Schedules for the CPU.
//
// Contraction, per k: nr/V vector loads of rhs, mr scalars of lhs, mr * nr/V fused multiply-adds into registers (V =
// elements of a vector). For large m and n the tile is 6x16 (AVX2), 14x32 (AVX-512), f32.
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

/// A register tile: rows x cols vectors.
struct Tile {
  std::int64_t rows = 1, cols = 1;
};

/// The tile that multiplies [m, k] x [k, n] in the fewest cycles, by a model of one step of k. With R registers, a tile
/// needs rows * cols sums, cols vectors of rhs and one splat of lhs: rows * cols + cols + 1 <= R.
/// `cold`: rhs is read in place and comes from memory for every batch, in pieces as wide as the tile.
Tile choose_tile(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t lanes, std::int64_t element, bool cold,
                 const Target& target) {
  constexpr double kLatency = 8;                       // multiply-adds that must be under way to keep the units busy
  constexpr double kL2Bytes = 24;                      // that arrive in the time of one multiply-add of a vector
  constexpr double kTileCost = 90;                     // of a tile's beginning and end
  constexpr std::int64_t kStream = 256;                // bytes in a row that memory delivers well
  constexpr double kColdVector = 12, kColdPiece = 24;  // of a vector from memory: in a longer row, in a shorter one
  Tile best;
  double least = 0;
  for (std::int64_t cols = 1; 2 * cols + 1 <= target.vector_registers; ++cols) {
    if (cols > 1 && (cols - 1) * lanes >= n) break;
    const std::int64_t most = (target.vector_registers - 1 - cols) / cols;
    const std::int64_t strips = ceil_div(m, std::min(most, m)), rows = ceil_div(m, strips);
    auto step = [&](std::int64_t c) {
      const double r = static_cast<double>(m) / static_cast<double>(strips), v = static_cast<double>(c);
      const double bytes = (v * static_cast<double>(lanes) + r) * static_cast<double>(element);
      return std::max({r * v, r + v, kLatency, bytes / kL2Bytes}) + kTileCost / static_cast<double>(k);
    };
    const std::int64_t whole = n / (cols * lanes), rest = n % (cols * lanes);
    double cost = static_cast<double>(strips) *
                  (static_cast<double>(whole) * step(cols) + (rest ? step(ceil_div(rest, lanes)) : 0));
    if (cold) {
      const bool wide = whole == 0 || cols * lanes * element >= kStream;
      cost += static_cast<double>(ceil_div(n, lanes)) * (wide ? kColdVector : kColdPiece);
    }
    if (least == 0 || cost < 0.99 * least) least = cost, best = {rows, cols};
  }
  return best;
}

/// Whether `lines` cache lines that lie `stride` elements apart stay in the first-level cache together.
bool fits_l1(std::int64_t lines, std::int64_t stride, std::int64_t element, const Target& target) {
  constexpr std::int64_t kLine = 64, kWays = 8;
  const std::int64_t sets = target.l1_bytes / kLine / kWays;
  const std::int64_t bytes = std::max<std::int64_t>(stride * element, 1);
  // Addresses a multiple of 2^p bytes apart meet only 1 of 2^p / line sets.
  const std::int64_t apart = std::max<std::int64_t>(1, (bytes & -bytes) / kLine);
  return lines <= std::max<std::int64_t>(1, sets / apart) * (kWays - 1);
}

void schedule_contraction(const Program& p, Kernel& k, const Target& target) {
  Schedule& s = k.schedule;
  const KernelStage& sum = k.phases[0].stages[0];
  const Expr &lhs = k.exprs[static_cast<std::size_t>(sum.lhs)], &rhs = k.exprs[static_cast<std::size_t>(sum.rhs)];
  auto extent = [&](AxisId a) { return k.axes[static_cast<std::size_t>(a)].extent; };
  const std::int64_t m = std::max<std::int64_t>(1, extent(s.m)), n = std::max<std::int64_t>(1, extent(s.n)),
                     depth = std::max<std::int64_t>(1, extent(s.k));
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(lhs.dtype));
  const std::int64_t lanes = std::max<std::int64_t>(1, target.vector_bytes / bytes);
  const bool row_of_rhs = is_plain_load(k, sum.rhs, rhs.dtype) && stride_along(p, rhs, s.n) == 1;
  const bool cold =
      row_of_rhs && s.b != kNone && stride_along(p, rhs, s.b) != 0 && extent(s.b) * n * depth * bytes > target.l2_bytes;
  const Tile tile = choose_tile(m, n, depth, lanes, bytes, cold, target);
  s.nr = static_cast<int>(tile.cols * lanes);
  s.mr = static_cast<int>(tile.rows);
  const std::int64_t chunk = std::min(depth, kContractChunk);
  s.kc = chunk;

  // lhs is read in place along k where the rows of a strip do not evict each other, and along m where a strip stays in
  // the cache for all its panels. A panel of rhs that few strips of rows read does not repay packing (measured with
  // 14x32 tiles: 0.98 of the peak read in place at 128 rows, 0.93 packed).
  const std::int64_t along_k = is_plain_load(k, sum.lhs, lhs.dtype) ? stride_along(p, lhs, s.k) : 0,
                     along_m = is_plain_load(k, sum.lhs, lhs.dtype) ? stride_along(p, lhs, s.m) : 0;
  const bool in_place = (along_k == 1 && fits_l1(s.mr, along_m, bytes, target)) ||
                        (along_m == 1 && fits_l1(2 * chunk, along_k, bytes, target));
  s.pack_lhs = !in_place;
  s.pack_rhs = !(row_of_rhs && m <= 12 * s.mr);

  // Each thread packs the whole operand that is not split, so the cheaper one to repeat stays whole.
  const std::int64_t strips = ceil_div(m, s.mr), panels = ceil_div(n, s.nr);
  const std::int64_t repeat_lhs = s.pack_lhs ? m : 0, repeat_rhs = s.pack_rhs ? n : 0;
  s.split_n = panels >= 4 && (repeat_lhs < repeat_rhs || strips < 4);

  // A block of packed pieces that each strip walks through: beyond the L2 too, since a tile asks for few bytes a cycle.
  const std::int64_t block_bytes = 2 * target.l2_bytes;
  auto block = [&](std::int64_t whole, std::int64_t tile) {
    const std::int64_t fit = std::max<std::int64_t>(1, block_bytes / (chunk * bytes * tile));
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

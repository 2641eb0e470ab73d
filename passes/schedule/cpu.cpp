// The cost model of a contraction on a CPU.
//
// Per k: nr/V vector loads of rhs, mr scalars of lhs, mr * nr/V fused multiply-adds into registers (V =
// elements of a vector). For large m and n the tile is 6x16 (AVX2), 14x32 (AVX-512), f32.
#include "passes/schedule/cpu.h"

#include <algorithm>
#include <bit>

#include "ir/base/at.h"
#include "ir/base/cache_line.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/memory/panels.h"
#include "ir/ops/sum_order.h"

namespace weft {
namespace {

/// The sum of an access's coefficients for `axis` in elements of memory, within a panel where there are panels; nothing
/// when the access is indirect along it.
std::int64_t stride_along(const std::vector<Index>& access, const Dims& strides, AxisId axis) {
  std::int64_t total = 0;
  for (std::size_t d = 0; d < access.size(); ++d)
    for (auto [a, coefficient] : access[d].terms)
      if (a == axis) total += coefficient * strides[static_cast<int>(d)];
  return total;
}
std::int64_t stride_along(const Program& p, const Expr& e, AxisId axis) {
  return stride_along(e.access, storage_strides(p.buffers[static_cast<std::size_t>(e.buffer)]), axis);
}

/// How many of the values that axes of a role take, counted through as one, follow each other at one stride wherever
/// the expressions `roots` and, if `stores`, what the kernel stores touch memory: those of the innermost axis, and of
/// the ones that continue it.
std::int64_t run_of(const Program& p, const Kernel& k, const std::vector<AxisId>& axes, const std::vector<bool>& used,
                    bool stores) {
  const AxisId inner = axes.back();
  std::int64_t run = at(k.axes, inner).extent;
  const auto stride = [&](BufferId buffer, const std::vector<Index>& access, AxisId axis) {
    const Dims strides = buffer == kNone ? Dims{1} : storage_strides(at(p.buffers, buffer));
    return stride_along(access, strides, axis);
  };
  for (std::size_t i = axes.size() - 1; i-- > 0; run *= at(k.axes, axes[i]).extent) {
    bool continues = true;
    const auto check = [&](BufferId buffer, const std::vector<Index>& access) {
      continues &= stride(buffer, access, axes[i]) == run * stride(buffer, access, inner);
    };
    for (std::size_t e = 0; e < used.size(); ++e)
      if (const Expr& x = k.exprs[e]; used[e] && !x.access.empty()) check(x.buffer, x.access);
    if (stores)
      for (const KernelStage& s : k.phases[0].stages)
        for (const Store& t : s.stores) check(t.buffer, t.access);
    if (!continues) break;
  }
  return run;
}

/// A register tile: rows x cols vectors.
struct Tile {
  std::int64_t rows = 1, cols = 1;
};

/// What the cost of a tile depends on: [m, k] x [k, n]; a strip lies within a run of rows, `run` long. `cold`: rhs is
/// read in place and comes from memory for every batch, in pieces as wide as the tile.
struct Product {
  std::int64_t m, n, k, run, lanes, element;
  bool cold;
  std::int64_t panels;  // the width of those that rhs lies in along n, or 0
  DType dtype;
};

/// Modelled cycles (in multiply-adds of a vector, per step of k) of a product cut into strips of `strips` and panels of
/// `cols` vectors.
double tile_cost(const Product& p, std::int64_t strips, std::int64_t cols) {
  constexpr double kLatency = 8;                       // multiply-adds that must be under way to keep the units busy
  constexpr double kL2Bytes = 24;                      // that arrive in the time of one multiply-add of a vector
  constexpr double kTileCost = 90;                     // of a tile's beginning and end
  constexpr std::int64_t kStream = 256;                // bytes in a row that memory delivers well
  constexpr double kColdVector = 12, kColdPiece = 24;  // of a vector from memory: in a longer row, in a shorter one
  auto step = [&](std::int64_t c) {
    const double r = static_cast<double>(p.m) / static_cast<double>(strips), v = static_cast<double>(c);
    const double bytes = (v * static_cast<double>(p.lanes) + r) * static_cast<double>(p.element);
    return std::max({r * v, r + v, kLatency, bytes / kL2Bytes}) + kTileCost / static_cast<double>(p.k);
  };
  const std::int64_t whole = p.n / (cols * p.lanes), rest = p.n % (cols * p.lanes);
  double cost = static_cast<double>(strips) *
                (static_cast<double>(whole) * step(cols) + (rest ? step(ceil_div(rest, p.lanes)) : 0));
  if (p.cold) {
    const bool wide = p.panels || whole == 0 || cols * p.lanes * p.element >= kStream;
    cost += static_cast<double>(ceil_div(p.n, p.lanes)) * (wide ? kColdVector : kColdPiece);
  }
  return cost;
}

/// The tile that multiplies in the fewest modelled cycles.
Tile choose_tile(const Product& p, const CpuTarget& target) {
  Tile best;
  double least = 0;
  for (std::int64_t cols = 1; most_rows(p.dtype, cols, target) >= 1; ++cols) {
    if (cols > 1 && (cols - 1) * p.lanes >= p.n) break;
    if (!fits_panels(cols * p.lanes, p.panels)) continue;
    const std::int64_t strips = ceil_div(p.run, std::min(most_rows(p.dtype, cols, target), p.run)),
                       rows = ceil_div(p.run, strips);
    const double cost = tile_cost(p, p.m / p.run * strips, cols);
    if (least == 0 || cost < 0.99 * least) least = cost, best = {rows, cols};
  }
  return best;
}

/// Whether `lines` cache lines that lie `stride` elements apart stay together in a cache.
bool fits(std::int64_t lines, std::int64_t stride, std::int64_t element, std::int64_t cache_bytes, std::int64_t ways) {
  const std::int64_t sets = cache_bytes / kCacheLine / ways;
  const std::int64_t bytes = std::max<std::int64_t>(stride * element, 1);
  // Addresses a multiple of 2^p bytes apart meet only 1 of 2^p / line sets.
  const std::int64_t apart = std::max<std::int64_t>(1, (bytes & -bytes) / kCacheLine);
  return lines <= std::max<std::int64_t>(1, sets / apart) * (ways - 1);
}

/// Of a contraction: extents at least 1, so that an empty one has a schedule too.
Product product_of(const Program& p, const Kernel& k, const CpuTarget& target) {
  const KernelStage& sum = k.phases[0].stages[0];
  const Roles& s = sum.roles;
  const Expr& rhs = k.exprs[static_cast<std::size_t>(sum.rhs)];
  const auto at_least_1 = [](std::int64_t extent) { return std::max<std::int64_t>(1, extent); };
  const std::int64_t bytes = static_cast<std::int64_t>(size_of(rhs.dtype));
  const std::int64_t run = run_of(p, k, s.m, std::vector<bool>(k.exprs.size(), true), true);
  Product x{.m = at_least_1(extent_of(k, s.m)),
            .n = at_least_1(extent_of(k, s.n)),
            .k = at_least_1(sum.chunk_axis == kNone ? extent_of(k, s.k) : std::min(extent_of(k, s.k), kContractChunk)),
            .run = at_least_1(run),
            .lanes = lanes_of(rhs.dtype, target),
            .element = bytes,
            .cold = false,
            .panels = rhs_panels(p, k),
            .dtype = rhs.dtype};
  x.cold = is_readable_in_place(p, k, sum.rhs, only_axis(s.n)) &&
           std::ranges::any_of(s.b, [&](AxisId a) { return stride_along(p, rhs, a) != 0; }) &&
           extent_of(k, s.b) * x.n * x.k * bytes > target.l2_bytes;
  return x;
}

/// A contraction whose right operand is a state that the program updates, or whose epilogue updates one.
bool touches_update(const Program& p, const Kernel& k) {
  const auto is_updated = [&](BufferId b) { return std::ranges::count(p.updates, storage(p, b)) > 0; };
  const Expr& rhs = k.exprs[static_cast<std::size_t>(k.phases[0].stages[0].rhs)];
  if (rhs.kind == Expr::load && is_updated(rhs.buffer)) return true;
  return std::ranges::any_of(touched(p, k, k.phases[0]).stores, is_updated);
}

}  // namespace

std::vector<bool> often_multiplied(const Program& p) {
  constexpr int kOften = 8;
  std::vector<int> count(p.buffers.size(), 0);
  for (const Kernel& k : p.kernels)
    if (const KernelStage* c = leading_contraction(k); c && at(k.exprs, c->rhs).kind == Expr::load)
      ++at(count, storage(p, at(k.exprs, c->rhs).buffer));
  std::vector<bool> often;
  for (const int n : count) often.push_back(n >= kOften);
  return often;
}

void tile_contraction(const Program& p, Kernel& k, const CpuTarget& target, const std::vector<bool>& often) {
  const KernelStage* contraction = leading_contraction(k);
  if (!contraction) return;
  const Roles& roles = contraction->roles;
  if (roles.m.empty() || roles.n.size() != 1 || roles.k.empty()) return;
  // The innermost axes: what follows is said of runs along them.
  const RoleAxes axes{.m = roles.m.back(), .n = roles.n[0], .k = roles.k.back()};
  if (!std::holds_alternative<CpuSchedule>(k.schedule)) k.schedule = CpuSchedule{.vector_axis = axes.n};
  CpuSchedule& s = std::get<CpuSchedule>(k.schedule);
  const KernelStage& sum = k.phases[0].stages[0];
  const Expr& lhs = k.exprs[static_cast<std::size_t>(sum.lhs)];
  const Product x = product_of(p, k, target);
  const Tile tile = choose_tile(x, target);
  s.nr = static_cast<int>(tile.cols * x.lanes);
  s.mr = static_cast<int>(tile.rows);
  const std::int64_t chunk = std::min(x.k, kContractChunk);
  s.kc = chunk;

  // lhs is read in place along k where the rows of a strip do not evict each other from the L1; along m where its
  // columns do not. An operand that stays in the L2 is read from there where a step of k takes long enough to fetch a
  // line or two, or few panels do so (512x256x128 in 14x32 tiles: 229 GFLOP/s in place, 203 packed; 512x512x128 in
  // 6x16: 194 and 211). A panel of rhs that few strips of rows read does not repay packing (measured with 14x32 tiles:
  // 0.98 of the peak read in place at 128 rows, 0.93 packed), unless its rows lie pages apart (with rows of 8 KiB: 0.60
  // in place, 0.82 packed), or the sum is long and its rows evict each other from the L2: then the second strip pays.
  // One that lies in panels need never be packed.
  constexpr std::int64_t kL2Ways = 8, kLongStep = 16, kFewPanels = 16, kFewReaders = 12;
  constexpr std::int64_t kFar = 8192;  // bytes from one row of rhs to the next
  const std::int64_t strips = x.m / x.run * ceil_div(x.run, s.mr), panels = ceil_div(x.n, s.nr);
  const bool long_step = tile.rows * tile.cols >= kLongStep;
  const auto fit_l1 = [&](std::int64_t lines, std::int64_t stride) {
    return fits(lines, stride, x.element, target.l1_bytes, target.l1_ways);
  };
  const auto fit_l2 = [&](std::int64_t lines, std::int64_t stride) {
    return fits(lines, stride, x.element, target.l2_bytes, kL2Ways);
  };
  const bool lhs_plain = is_readable_in_place(p, k, sum.lhs, kNone);
  const std::int64_t along_k = lhs_plain ? stride_along(p, lhs, axes.k) : 0;
  const std::int64_t along_m = lhs_plain ? stride_along(p, lhs, axes.m) : 0;
  const bool in_runs = run_of(p, k, roles.k, needed(k, {sum.lhs}), false) < x.k || x.run < x.m;  // windows overlap
  const bool stays =
      in_runs || x.k <= chunk || x.m * x.k * x.element <= target.l2_bytes / 2;  // from one panel to the next
  const bool by_columns =
      along_m == 1 && (in_runs || fit_l1(2 * chunk, along_k) ||
                       ((long_step || panels <= kFewPanels) && fit_l2(2 * chunk, along_k) && stays));
  // What no L2 holds comes from beyond it a second time when it is packed: not for so few readers.
  constexpr std::int64_t kFewCopies = 4;
  const bool streams = panels <= kFewCopies && x.m * x.k * x.element > target.l2_bytes && fit_l2(s.mr, along_m);
  s.pack_lhs = !by_columns && !(along_k == 1 && (streams || fit_l1(s.mr, along_m)));

  const bool rhs_plain = is_readable_in_place(p, k, sum.rhs, axes.n);
  const std::int64_t rhs_row = rhs_plain ? stride_along(p, k.exprs[static_cast<std::size_t>(sum.rhs)], axes.k) : 0;
  const std::int64_t rhs_lines = chunk * ceil_div(s.nr * x.element, kCacheLine);
  const bool chunked = sum.chunk_axis != kNone, is_long = extent_of(k, roles.k) > chunk;
  const bool far = is_long && x.k * x.n * x.element > target.l2_bytes && !fit_l2(rhs_lines, rhs_row);
  const std::int64_t readers = far ? 1 : rhs_row * x.element >= kFar ? 2 : kFewReaders;
  s.pack_rhs =
      !x.panels && !(rhs_plain && (x.m <= readers * s.mr || (by_columns && long_step && fit_l2(rhs_lines, rhs_row))));

  // Each thread packs the whole operand that is not split, so the cheaper one to repeat stays whole; few strips of rows
  // leave nothing else to share out than the panels. A weight's columns belong to a thread wherever they are read or
  // updated: where threads have no cache in common, what both read and one then writes is slow (a step of the mlp: 2.38
  // ms with rows shared out forward, 1.77 with columns; 1.53 either way where they share an L3).
  constexpr std::int64_t kFewStrips = 8;  // 64x512x512, 5 strips: 0.82 of the time with panels shared out
  const std::int64_t repeat_lhs = s.pack_lhs ? x.m : 0, repeat_rhs = s.pack_rhs ? x.n : 0;
  const bool prefer_n = by_columns || repeat_lhs < repeat_rhs || touches_update(p, k);
  // Not where every thread would fetch a left operand that no L2 holds, for the sake of a small right one.
  const bool tall = x.m >= 8 * x.n && x.m * x.k * x.element > target.l2_bytes;
  s.split_n = (panels >= 4 && prefer_n && !tall) || (strips < kFewStrips && panels > strips);
  // Between windows that overlap, each strip reads what others have brought into the L1, if the panel leaves it room.
  if (in_runs && is_long && !chunked)
    s.kc = std::bit_floor(static_cast<std::uint64_t>(target.l1_bytes / 2 / (s.nr * x.element)));
  // A long sum whose right operand no cache holds: each strip by itself would fetch all of it anew.
  if (is_long && in_runs && extent_of(k, roles.k) * x.n * x.element > target.l2_bytes && panels > 1) s.split_n = true;
  // All threads of a chunk walk through its columns of lhs, which are packed as they lie in memory, a row at a time.
  if (chunked && s.pack_lhs && along_m == 1) s.split_n = true;
  // What follows one another by the same weight does so row by row: a thread that has rows shares nothing else with the
  // others from turn to turn, and waits for none of them.
  constexpr std::int64_t kEnoughStrips = 4;
  const Expr& weight = at(k.exprs, sum.rhs);
  if (weight.kind == Expr::load && often[static_cast<std::size_t>(storage(p, weight.buffer))] &&
      strips >= kEnoughStrips)
    s.split_n = false;
  s.mc = chunked && !s.pack_lhs ? x.m : cache_block(x.m, s.mr, x.k, lhs.dtype, target);
  s.nc = cache_block(x.n, s.nr, x.k, lhs.dtype, target);
}

std::int64_t lanes_of(DType t, const CpuTarget& target) {
  return std::max<std::int64_t>(1, target.vector_bytes / static_cast<std::int64_t>(size_of(t)));
}

std::int64_t rhs_panels(const Program& p, const Kernel& k) {
  const ExprId rhs = k.phases[0].stages[0].rhs;
  const Roles& roles = k.phases[0].stages[0].roles;
  if (!is_readable_in_place(p, k, rhs, only_axis(roles.n))) return 0;
  return p.buffers[static_cast<std::size_t>(k.exprs[static_cast<std::size_t>(rhs)].buffer)].panels;
}

bool fits_panels(std::int64_t nr, std::int64_t panels) { return panels == 0 || nr % panels == 0 || panels % nr == 0; }

std::int64_t most_rows(DType t, std::int64_t cols, const CpuTarget& target) {
  // The product on its way to a sum, and beside an integer's what its halves take.
  const std::int64_t product = target.fma && is_float(t) ? 0 : 2;
  // Where no operand in memory is broadcast and each splat is used once, LLVM puts sums in place of splats, and splats
  // ahead of time.
  const std::int64_t ahead = cols == 1 && target.vector_registers == 16 ? 2 : 0;
  return (target.vector_registers - 1 - cols - product - ahead) / cols;
}

std::int64_t cache_block(std::int64_t whole, std::int64_t tile, std::int64_t k, DType t, const CpuTarget& target) {
  // Beyond the L2 too, since a tile asks for few bytes a cycle.
  const std::int64_t block_bytes = 2 * target.l2_bytes, pieces = ceil_div(whole, tile);
  const std::int64_t piece_bytes = std::min(k, kContractChunk) * static_cast<std::int64_t>(size_of(t)) * tile;
  const std::int64_t fit = std::max<std::int64_t>(1, block_bytes / piece_bytes);
  return std::min(whole, ceil_div(pieces, ceil_div(pieces, fit)) * tile);
}

bool is_readable_in_place(const Program& p, const Kernel& k, ExprId id, AxisId contiguous) {
  const Expr& e = k.exprs[static_cast<std::size_t>(id)];
  return e.kind == Expr::load && e.args.empty() &&
         std::ranges::all_of(e.access, [](const Index& i) { return i.indirect == kNone; }) &&
         (contiguous == kNone || stride_along(p, e, contiguous) == 1);
}

double contraction_cost(const Program& p, const Kernel& k, const CpuTarget& target) {
  const Product x = product_of(p, k, target);
  const CpuSchedule& s = std::get<CpuSchedule>(k.schedule);
  return tile_cost(x, x.m / x.run * ceil_div(x.run, s.mr), s.nr / x.lanes);
}

}  // namespace weft

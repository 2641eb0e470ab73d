// Legal schedules and the candidates among them.
//
// Legal means: the register tile fits the registers, so that no sum spills; the microkernel's calls end where a chunk
// of k ends; a block is whole tiles, and no larger than packing pays, so that a file cannot ask for memory without
// bound.
#include "passes/schedule/schedule_space.h"

#include <algorithm>

#include "ir/ops/sum_order.h"
#include "passes/schedule/cpu.h"

namespace weft {
namespace {

constexpr std::int64_t kMostBlockCaches = 8;  // second-level caches that a block may fill

/// A block of `tile` wide pieces of `whole`: what is wrong with `found`, or "".
std::string block_objection(const Contraction& c, std::int64_t found, std::int64_t whole, std::int64_t tile,
                            const CpuTarget& target) {
  const std::int64_t piece = tile * std::min(c.k, kContractChunk) * static_cast<std::int64_t>(size_of(c.dtype));
  const std::int64_t most = std::max<std::int64_t>(1, kMostBlockCaches * target.l2_bytes / piece) * tile;
  if (found >= 1 && found <= std::min(whole, most) && (found % tile == 0 || found == whole)) return "";
  return whole <= most ? fmt::format("found {}, expected {} or a multiple of {} below it", found, whole, tile)
                       : fmt::format("found {}, expected a multiple of {} up to {}", found, tile, most);
}

}  // namespace

bool is_tiled_contraction(const Kernel& k) {
  const RoleAxes s = role_axes(k);
  if (s.m == kNone || s.n == kNone || s.k == kNone || leading_contraction(k)->roles.b.size() > 1) return false;
  return std::ranges::all_of(std::initializer_list<AxisId>{s.b, s.m, s.n, s.k},
                             [&](AxisId a) { return a == kNone || k.axes[static_cast<std::size_t>(a)].extent > 0; });
}

Contraction contraction_of(const Program& p, const Kernel& k) {
  const RoleAxes s = role_axes(k);
  const KernelStage& sum = k.phases[0].stages[0];
  auto extent = [&](AxisId a) { return a == kNone ? 1 : k.axes[static_cast<std::size_t>(a)].extent; };
  return {extent(s.b),
          extent(s.m),
          extent(s.n),
          extent(s.k),
          k.exprs[static_cast<std::size_t>(sum.lhs)].dtype,
          is_readable_in_place(p, k, sum.lhs, kNone),
          is_readable_in_place(p, k, sum.rhs, s.n),
          rhs_panels(p, k)};
}

Objection objection(const Contraction& c, const CpuSchedule& s, const CpuTarget& target) {
  const std::int64_t lanes = lanes_of(c.dtype, target);
  std::int64_t most_cols = 1;
  while (most_rows(c.dtype, most_cols + 1, target) >= 1 && most_cols * lanes < c.n) ++most_cols;
  if (s.nr < lanes || s.nr % lanes != 0 || s.nr > most_cols * lanes)
    return {"nr", fmt::format("found {}, expected a multiple of {} up to {}", s.nr, lanes, most_cols * lanes)};
  if (!s.pack_rhs && !fits_panels(s.nr, c.rhs_panels))
    return {"nr", fmt::format("found {}, expected a multiple or a divisor of {}, the width of its panels", s.nr,
                              c.rhs_panels)};
  const std::int64_t rows = std::min(c.m, most_rows(c.dtype, s.nr / lanes, target));
  if (s.mr < 1 || s.mr > rows) return {"mr", fmt::format("found {}, expected 1 to {}", s.mr, rows)};
  const std::int64_t chunk = std::min(c.k, kContractChunk);
  if (s.kc < 1 || s.kc > chunk) return {"kc", fmt::format("found {}, expected 1 to {}", s.kc, chunk)};
  if (c.k > kContractChunk && kContractChunk % s.kc != 0)
    return {"kc", fmt::format("found {}, expected a divisor of {}", s.kc, kContractChunk)};
  if (std::string what = block_objection(c, s.mc, c.m, s.mr, target); !what.empty()) return {"mc", what};
  if (std::string what = block_objection(c, s.nc, c.n, s.nr, target); !what.empty()) return {"nc", what};
  constexpr std::string_view kNotInPlace = "found 0, expected 1: this operand cannot be read where it is";
  if (!s.pack_lhs && !c.lhs_in_place) return {"pack_lhs", std::string(kNotInPlace)};
  if (!s.pack_rhs && !c.rhs_in_place) return {"pack_rhs", std::string(kNotInPlace)};
  return {};
}

std::vector<CpuSchedule> tile_candidates(const Program& p, const Kernel& kernel, const CpuTarget& target) {
  constexpr std::int64_t kMoreStrips = 2;  // than the tallest tile leaves
  const Contraction c = contraction_of(p, kernel);
  const std::int64_t lanes = lanes_of(c.dtype, target);
  struct Candidate {
    double cost;
    CpuSchedule schedule;
  };
  std::vector<Candidate> found;
  Kernel k = kernel;
  const CpuSchedule& own = std::get<CpuSchedule>(kernel.schedule);
  for (std::int64_t cols = 1; most_rows(c.dtype, cols, target) >= 1 && (cols == 1 || (cols - 1) * lanes < c.n);
       ++cols) {
    const std::int64_t fewest = ceil_div(c.m, std::min(most_rows(c.dtype, cols, target), c.m));
    for (std::int64_t strips = fewest; strips <= std::min(fewest + kMoreStrips, c.m); ++strips)
      for (int flags = 0; flags < 8; ++flags) {
        CpuSchedule& s = k.schedule.emplace<CpuSchedule>(own);
        s.mr = static_cast<int>(ceil_div(c.m, strips)), s.nr = static_cast<int>(cols * lanes);
        s.split_n = flags & 1, s.pack_lhs = flags & 2, s.pack_rhs = flags & 4;
        s.mc = cache_block(c.m, s.mr, c.k, c.dtype, target), s.nc = cache_block(c.n, s.nr, c.k, c.dtype, target);
        const bool known = s == own || std::ranges::find(found, s, &Candidate::schedule) != found.end();
        if (!known && objection(c, s, target).field.empty()) found.push_back({contraction_cost(p, k, target), s});
      }
  }
  std::ranges::stable_sort(found, {}, &Candidate::cost);
  std::vector<CpuSchedule> schedules;
  for (const Candidate& candidate : found) schedules.push_back(candidate.schedule);
  return schedules;
}

std::vector<CpuSchedule> block_candidates(const Program& p, const Kernel& kernel, const CpuTarget& target) {
  const Contraction c = contraction_of(p, kernel);
  const CpuSchedule& from = std::get<CpuSchedule>(kernel.schedule);
  std::vector<CpuSchedule> found;
  auto add = [&](CpuSchedule s) {
    if (!(s == from) && std::ranges::find(found, s) == found.end() && objection(c, s, target).field.empty())
      found.push_back(s);
  };
  for (const int shift : {-2, -1, 1, 2}) {  // blocks of a quarter to four times the size
    auto scaled = [&](std::int64_t block, std::int64_t whole, std::int64_t tile) {
      const std::int64_t pieces = ceil_div(block, tile);
      return std::min(whole, std::max<std::int64_t>(1, shift < 0 ? pieces >> -shift : pieces << shift) * tile);
    };
    CpuSchedule s = from;
    (from.split_n ? s.mc : s.nc) = from.split_n ? scaled(s.mc, c.m, s.mr) : scaled(s.nc, c.n, s.nr);
    add(s);
  }
  for (const std::int64_t parts : {2, 4}) {  // shorter calls of the microkernel
    CpuSchedule s = from;
    s.kc = std::max<std::int64_t>(1, c.k > kContractChunk ? from.kc / parts : ceil_div(from.kc, parts));
    add(s);
  }
  return found;
}

}  // namespace weft

// How a contraction is cut up: strips, panels, blocks, where operands are packed and what scratch memory holds.
#include <algorithm>
#include <numeric>

#include "codegen/cpu/contract/emit_contract.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {
namespace {

/// Longer sums pack their operands chunk by chunk, anew for each unit of work, so that scratch memory does not grow
/// with k.
constexpr std::int64_t kLongSum = 16 * kContractChunk;
/// Bytes of the packed pieces of a long sum that each piece of the other operand walks through.
constexpr std::int64_t kLongBlock = 8 << 20;

std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

}  // namespace

bool ContractEmitter::accepts(const Kernel& kernel) {
  if (!cpu_tile(kernel)) return false;
  const Roles& s = leading_contraction(kernel)->roles;
  std::vector<AxisId> all;
  for (const std::vector<AxisId>* role : {&s.b, &s.m, &s.n}) all.insert(all.end(), role->begin(), role->end());
  if (const AxisId c = leading_contraction(kernel)->chunk_axis; c != kNone) all.push_back(c);
  const bool has_role =
      std::ranges::all_of(kernel.phases[0].parallel, [&](AxisId a) { return std::ranges::count(all, a) > 0; });
  return has_role && extent_of(kernel, all) > 0 && extent_of(kernel, s.k) > 0;
}

ContractEmitter::ContractEmitter(llvm::Module& module, const Program& program, const Kernel& kernel,
                                 const PhaseInfo& info, const CpuTarget& target)
    : PhaseEmitter(module, program, kernel, info, target),
      stage_(info.phase.stages[0]),
      roles_(stage_.roles),
      axes_{.m = roles_.m.back(), .n = roles_.n[0], .k = roles_.k.back()},
      schedule_(std::get<CpuSchedule>(kernel.schedule)),
      dtype_(kernel.exprs[static_cast<std::size_t>(stage_.lhs)].dtype),
      chunked_(stage_.chunk_axis != kNone),
      B_(extents(roles_.b) * (chunked_ ? extent(stage_.chunk_axis) : 1)),
      M_(extents(roles_.m)),
      N_(extent(axes_.n)),
      K_(extents(roles_.k)),
      products_(chunked_ ? std::min(K_, kContractChunk) : K_) {
  plan();
}

std::int64_t ContractEmitter::reserve(std::int64_t bytes) {
  const std::int64_t at = scratch_bytes_;
  scratch_bytes_ += whole_lines(bytes);
  return at;
}

/// Registers that the epilogue takes for one register of columns, if there is a number.
std::optional<int> ContractEmitter::epilogue_registers() const {
  return registers_needed(info_, kernel_, 1, axes_.n, size_of(dtype_), target_.vector_registers > 16);
}

void ContractEmitter::plan() {
  const auto element = static_cast<std::int64_t>(size_of(dtype_));
  lanes_of_register_ = target_.vector_bytes / static_cast<int>(element);
  const int lanes = lanes_of_register_;
  nr_ = static_cast<int>(round_up(std::min<std::int64_t>(schedule_.nr, N_), lanes));
  tile_lanes_ = std::gcd(nr_, kReduceStripes);
  panels_ = ceil_div(N_, nr_);
  const std::int64_t run = extent(axes_.m);
  strips_of_run_ = ceil_div(run, schedule_.mr);
  strips_ = M_ / run * strips_of_run_;
  rows_ = static_cast<int>(ceil_div(run, strips_of_run_));
  short_strips_ = strips_of_run_ * rows_ - run;

  // Products of one microkernel call: about kc, alike, and such that a chunk ends where a call ends.
  const std::int64_t chunk = std::min(products_, kContractChunk),
                     kc = std::clamp<std::int64_t>(schedule_.kc ? schedule_.kc : chunk, 1, chunk);
  k_block_ = products_ > kContractChunk ? std::int64_t{1} << (63 - __builtin_clzll(static_cast<unsigned long long>(kc)))
                                        : ceil_div(products_, ceil_div(products_, kc));

  packed_k_ = products_ > kLongSum ? kContractChunk : products_;
  lhs_ = plan_lhs();
  rhs_ = plan_rhs();
  const std::int64_t inner_pieces = schedule_.split_n ? strips_ : panels_;
  const std::int64_t wanted = schedule_.split_n ? ceil_div(schedule_.mc, rows_) : ceil_div(schedule_.nc, nr_);
  const std::int64_t piece_bytes = packed_k_ * (schedule_.split_n ? rows_ : nr_) * element;
  const std::int64_t fits = target_.l2_bytes / 2 / piece_bytes;
  std::int64_t most = std::clamp<std::int64_t>(wanted > 0 ? wanted : fits, 1, inner_pieces);
  if (packed_k_ > kContractChunk) most = std::min(most, std::max<std::int64_t>(1, kLongBlock / piece_bytes));
  block_ = ceil_div(inner_pieces, ceil_div(inner_pieces, most));
  group_ = packs_by_chunk() ? block_ : 1;
  tile_row_ = schedule_.split_n ? nr_ : group_ * nr_;
  tile_elements_ = (schedule_.split_n ? group_ * rows_ : rows_) * tile_row_;
  const bool whole_panels = !schedule_.split_n || last_columns() == nr_;
  k_runs_ = lhs_.in_runs || rhs_.in_runs;
  const bool whole = !chunked_ && K_ <= k_block_ && K_ >= kShortestRun * rows_ && !k_runs_;
  const std::optional<int> needed = epilogue_registers();  // and one in reserve
  interleaved_ = whole && !info_.checks && block_ > 1 && whole_panels && needed &&
                 *needed + 1 + rows_ * (nr_ / lanes_of_register_) <= target_.vector_registers;
  find_prefetches();
  in_runs_ = interleaved_ || (whole && !prefetches_.empty());

  auto place = [&](Operand& operand, bool is_inner) {
    if (operand.packed)
      operand.offset = reserve((is_inner ? block_ : 1) * operand.piece * element + 2 * kCacheLine * element);
  };
  place(lhs_, schedule_.split_n);
  place(rhs_, !schedule_.split_n);
  block_copy_ = reserve(tile_lanes_ * tile_lanes_ * element);
  const std::int64_t tile = tile_elements_ * element;
  tile_offset_ = reserve(interleaved_ ? 2 * tile : tile);
  if (products_ > kContractChunk) total_offset_ = reserve(tile);
  work_offset_ = reserve(kWorkSlots * 8);
}

namespace {

/// Whether tiles of `nr` columns begin and end with panels of the buffer, or lie within one.
bool panels_fit(const Linear& access, std::int64_t nr) {
  const std::int64_t width = access.panel_axis == kNone ? nr : access.panel_width;
  return nr % width == 0 || width % nr == 0;
}

/// Relative cost of the loads that `root` needs when lanes run along `axis`: neighbours in memory, one address for all
/// lanes, or an address each.
int load_cost(const Kernel& kernel, const PhaseInfo& info, ExprId root, AxisId axis) {
  constexpr int kUniform = 0, kNeighbours = 1, kScattered = kReduceStripes;
  int cost = 0;
  for (ExprId e : loads_under(kernel, {root})) {
    const Linear& a = info.access[static_cast<std::size_t>(e)];
    const std::int64_t step = a.coefficient[static_cast<std::size_t>(axis)];
    const bool scattered = std::any_of(a.indirect.begin(), a.indirect.end(),
                                       [&](const auto& term) { return info.depends_on(term.second, axis); });
    cost += scattered || step < 0 || step > 1 ? kScattered : step == 1 ? kNeighbours : kUniform;
  }
  return cost;
}

}  // namespace

/// Whether an operand that is read in place has products at more than one stride: its runs are those of the innermost
/// axis of k.
bool ContractEmitter::is_in_runs(ExprId operand) const {
  const Linear& access = info_.access[static_cast<std::size_t>(operand)];
  const auto stride = [&](AxisId a) { return access.coefficient[static_cast<std::size_t>(a)]; };
  std::int64_t products = extent(axes_.k);
  for (std::size_t i = roles_.k.size() - 1; i-- > 0; products *= extent(roles_.k[i]))
    if (stride(roles_.k[i]) != products * stride(axes_.k)) return true;
  return false;
}

/// Elements between packed pieces of that width, so that what is written to many of them at once shares no cache set.
std::int64_t ContractEmitter::apart(std::int64_t width) const {
  const auto element = static_cast<std::int64_t>(size_of(dtype_));
  return whole_lines(kRowsAtOnce * width * element) / element;
}

ContractEmitter::Operand ContractEmitter::plan_lhs() const {
  Operand o{stage_.lhs, axes_.m};
  const Linear& access = info_.access[static_cast<std::size_t>(o.value)];
  const bool plain = expr(o.value).kind == Expr::load && expr(o.value).args.empty() && access.indirect.empty();
  o.packed = schedule_.pack_lhs || !plain;
  if (!o.packed) {
    o.free_stride = access.coefficient[static_cast<std::size_t>(axes_.m)];
    o.k_stride = access.coefficient[static_cast<std::size_t>(axes_.k)];
    o.in_runs = is_in_runs(o.value);
    return o;
  }
  o.along_k =
      packs_along_k() && load_cost(kernel_, info_, o.value, axes_.k) <= load_cost(kernel_, info_, o.value, axes_.m);
  if (o.along_k) {  // [rows][k]; rows are an odd number of cache lines apart, so that they share no cache set
    const auto line = kCacheLine / static_cast<std::int64_t>(size_of(dtype_));
    o.free_stride = (round_up(packed_k_, kReduceStripes) / line | 1) * line;
    o.piece = rows_ * o.free_stride;
  } else {  // [k][rows]
    o.k_stride = rows_;
    o.piece = packed_k_ * rows_ + apart(rows_);
  }
  return o;
}

ContractEmitter::Operand ContractEmitter::plan_rhs() const {
  Operand o{stage_.rhs, axes_.n};
  const Linear& access = info_.access[static_cast<std::size_t>(o.value)];
  const bool plain = expr(o.value).kind == Expr::load && expr(o.value).args.empty() && access.indirect.empty() &&
                     access.coefficient[static_cast<std::size_t>(axes_.n)] == 1 && panels_fit(access, nr_);
  o.packed = schedule_.pack_rhs || !plain;
  if (!o.packed) {
    o.k_stride = access.coefficient[static_cast<std::size_t>(axes_.k)];
    o.in_runs = is_in_runs(o.value);
    if (access.panel_axis == axes_.n && nr_ > access.panel_width)
      o.panel_width = access.panel_width, o.panel_gap = access.panel_gap;
    return o;
  }
  o.along_k =
      packs_along_k() && load_cost(kernel_, info_, o.value, axes_.k) < load_cost(kernel_, info_, o.value, axes_.n);
  o.k_stride = nr_;
  o.piece = (round_up(packed_k_, tile_lanes_) + (roles_.k.size() > 1 ? tile_lanes_ : 0)) * nr_ + apart(nr_);
  return o;
}

}  // namespace weft::codegen

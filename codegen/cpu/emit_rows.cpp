// Rows side by side. A reduction along a row is one chain of operations: its stripes fill one or a few registers, and
// each fold waits for the one before (the maximum of 16 elements for 7 cycles on Zen 4, most of them idle).
// Rows are independent of one another, so that the chains of several overlap; each row keeps the contract's order.
#include <algorithm>

#include "codegen/cpu/emit.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {
namespace {

/// Registers that one fold of all rows should fill: as many as hide the latency of a fold.
constexpr int kChains = 4;
/// What one of several threads gets from memory while they write as much.
constexpr double kBytesPerCycle = 5;
constexpr unsigned kToL2 = 2;  // of the prefetch instruction

}  // namespace

/// Where no stage folds stripes there is nothing to hide. Rows that the L2 holds one of, but not several, run alone; so
/// do rows that take longer to come from memory than to compute: the machine runs ahead of one stream best.
std::size_t PhaseEmitter::rows_at_once(AxisId along, double row_cycles) const {
  std::size_t element = 0;
  for (const KernelStage& s : info_.phase.stages)
    if (s.kind == KernelStage::reduce && s.order == FoldOrder::striped)
      element = std::max(element, size_of(expr(s.value).dtype));
  if (element == 0) return 1;
  double streamed_bytes = 0;
  for (ExprId e : streamed_loads(along))
    streamed_bytes += static_cast<double>(extent(along)) * static_cast<double>(size_of(expr(e).dtype));
  if (streamed_bytes > kBytesPerCycle * row_cycles) return 1;
  const int registers = std::max(1, kReduceStripes * static_cast<int>(element) / target_.vector_bytes);
  const std::int64_t row_bytes = extent(along) * static_cast<std::int64_t>(element) + kept_bytes_;
  std::int64_t rows = std::max(1, kChains / registers);
  while (rows > 1 && (rows > info_.points() || rows * row_bytes > target_.l2_bytes / 4)) rows /= 2;
  return static_cast<std::size_t>(rows);
}

void PhaseEmitter::bind_rows(const std::vector<AxisId>& axes, std::vector<Values> at) {
  for (std::size_t i = 0; i < axes.size(); ++i) bind(axes[i], at[0][i]);
  row_axes_ = axes;
  rows_.clear();
  for (Values& v : at) rows_.push_back({std::move(v), i64(static_cast<std::int64_t>(rows_.size()) * kept_bytes_)});
  row_ = 0;
}

void PhaseEmitter::select_row(std::size_t row) {
  row_ = row;
  for (std::size_t i = 0; i < row_axes_.size(); ++i)
    coordinate_[static_cast<std::size_t>(row_axes_[i])] = rows_[row].at[i];
}

void PhaseEmitter::for_rows(llvm::function_ref<void()> body) {
  if (rows_.size() == 1) return body();
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    select_row(row);
    body();
  }
  select_row(0);
}

bool PhaseEmitter::differs_by_row(ExprId e) const {
  const Dependence& d = info_.depends[static_cast<std::size_t>(e)];
  return rows_.size() > 1 &&
         (d.accumulator || std::ranges::any_of(row_axes_, [&](AxisId a) { return d.axes >> a & 1; }));
}

/// Loads of whole lines along the rows of operands that the L2 does not hold.
std::vector<ExprId> PhaseEmitter::streamed_loads(AxisId along) const {
  std::vector<ExprId> loads;
  if (info_.phase.parallel.empty()) return loads;
  const auto step = [](const Linear& l, AxisId a) { return l.coefficient[static_cast<std::size_t>(a)]; };
  for (std::size_t e = 0; e < kernel_.exprs.size(); ++e) {
    const Expr& load = kernel_.exprs[e];
    if (!info_.used[e] || load.kind != Expr::load || !load.args.empty()) continue;
    const Linear& l = info_.access[e];
    const Type& type = program_.buffers[static_cast<std::size_t>(load.buffer)].type;
    const bool along_lines = static_cast<std::int64_t>(size_of(type.dtype)) * row_lanes_ >= kCacheLine;
    if (l.indirect.empty() && step(l, along) == 1 && step(l, info_.phase.parallel.back()) != 0 && along_lines &&
        byte_size(type) > target_.l2_bytes)
      loads.push_back(static_cast<ExprId>(e));
  }
  return loads;
}

/// The first stage would wait for memory and the others leave it idle, so that each asks for some rows of the next
/// group: the last one for the first row, the one before for the second, and so on in turn.
void PhaseEmitter::prefetch_next_row() {
  if (streamed_.empty() || lanes_.axis != lane_axis(kernel_)) return;
  std::size_t loops = 0, after = 0;
  for (std::size_t s = 0; s < info_.phase.stages.size(); ++s) {
    const bool along =
        stage(s).axis == lanes_.axis && (stage(s).kind == KernelStage::map || stage(s).order == FoldOrder::striped);
    loops += along;
    after += along && s > stage_;
  }
  if (row_ % loops != after) return;
  for (ExprId e : streamed_) {
    const Linear& l = info_.access[static_cast<std::size_t>(e)];
    prefetch(e, static_cast<std::int64_t>(rows_.size()) * l.coefficient[static_cast<std::size_t>(row_axes_.back())]);
  }
}

/// Asks for the lines of the bound vector of a load, `ahead` elements on: past the end is no fault.
void PhaseEmitter::prefetch(ExprId load, std::int64_t ahead) {
  const DType t = expr(load).dtype;
  Value* next =
      offset_elements(t, address(expr(load).buffer, info_.access[static_cast<std::size_t>(load)]).pointer, i64(ahead));
  for (std::int64_t at = 0; at < lanes_.active; at += kCacheLine / static_cast<std::int64_t>(size_of(t)))
    b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                       {offset_elements(t, next, i64(at)), b_.getInt32(0), b_.getInt32(kToL2), b_.getInt32(1)});
}

}  // namespace weft::codegen

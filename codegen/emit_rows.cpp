// Rows side by side. A reduction along a row is one chain of operations: its stripes fill one or a few registers, and
// each fold waits for the one before (the maximum of 16 elements for 7 cycles, of which the machine has work for 2).
// Rows are independent of one another, so that the chains of several overlap; each row keeps the contract's order.
#include <algorithm>

#include "codegen/emit.h"
#include "ir/eval.h"

namespace weft::codegen {
namespace {

/// Registers that one fold of all rows should fill: as many as hide the latency of a fold.
constexpr int kChains = 4;

}  // namespace

/// Where no stage folds stripes there is nothing to hide; rows that the L2 holds one of, but not several, run alone.
std::size_t PhaseEmitter::rows_at_once(AxisId along) const {
  std::size_t element = 0;
  for (const KernelStage& s : info_.phase.stages)
    if (s.kind == KernelStage::reduce && s.striped) element = std::max(element, size_of(expr(s.value).dtype));
  if (element == 0) return 1;
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
  for (Values& v : at) rows_.push_back({std::move(v), {}});
}

void PhaseEmitter::for_rows(llvm::function_ref<void()> body) {
  auto select = [&](std::size_t row) {
    row_ = row;
    for (std::size_t i = 0; i < row_axes_.size(); ++i)
      coordinate_[static_cast<std::size_t>(row_axes_[i])] = rows_[row].at[i];
  };
  if (rows_.size() == 1) return body();
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    select(row);
    body();
  }
  select(0);
}

bool PhaseEmitter::differs_by_row(ExprId e) const {
  const Dependence& d = info_.depends[static_cast<std::size_t>(e)];
  return rows_.size() > 1 &&
         (d.accumulator || std::ranges::any_of(row_axes_, [&](AxisId a) { return d.axes >> a & 1; }));
}

}  // namespace weft::codegen

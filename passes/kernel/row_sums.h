// Long sums along few rows, split into chunks that threads own.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// For a CPU, before schedules. A kernel that does nothing along its rows but fold them, where the rows are fewer than
/// a machine may have threads, longer than many chunks and together larger than the L2, folds their chunks in a phase
/// of its own. Results keep their bits: chunks and the tree over them are those of the contract (ReduceOrder in
/// ir/ops/sum_order.h).
void split_row_sums(Program&, const CpuTarget&);

}  // namespace weft

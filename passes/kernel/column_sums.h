// Long sums down the columns of a table, split into chunks of rows that threads own.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// For a CPU, before schedules. Where a table of many rows is larger than the L2:
///   - sums of what a row kernel reads or computes are added up while it has the row at hand (the gradients of a layer
///     norm's scale and shift, beside the one of its input), so that memory is read once;
///   - sums of a table of few columns become a phase over its rows, so that it occupies more threads than columns
///   would.
/// Results keep their bits: runs and chunks are those of the contract (sequential_order in ir/ops/sum_order.h).
void split_column_sums(Program&, const CpuTarget&);

}  // namespace weft

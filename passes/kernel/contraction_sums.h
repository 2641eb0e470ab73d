// Long contractions of small results, split into chunks that threads own.
#pragma once
#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// For a CPU, before schedules. A contraction of several chunks whose result is small beside its operands, as the
/// gradient of a weight is, sums its chunks in a phase of its own, so that threads share out the products: each operand
/// is read and packed once, and not by every thread. Results keep their bits: chunks and the order in which they are
/// added are those of the contract (kContractChunk in ir/ops/sum_order.h).
void split_contractions(Program&, const CpuTarget&);

}  // namespace weft

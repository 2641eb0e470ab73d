// Lowering: a fused graph becomes a program of kernels. A state's new value is a temporary that the last kernels copy
// to the state; passes/kernel/order.h saves what copies it can.
#pragma once
#include <weft/ir/graph/graph.h>
#include <weft/ir/kernel/kernel.h>
#include <weft/passes/graph/stored_values.h>

namespace weft {

/// `g` is fused (every node that needs a kernel has a group), static, and its contractions are canonical
/// (passes/graph/canonicalize.h); `large_bytes` is what it was fused with (large_values, passes/graph/stored_values.h).
/// The result has no schedules (passes/schedule/schedule.h) and no arena offsets (passes/kernel/memory.h) yet.
Program lower(const Graph& g, std::int64_t large_bytes = kLargeBytes);

}  // namespace weft

// Lowering: a fused graph becomes a program of kernels, ordered so that states can be updated in place.
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

// Lowering: a fused graph becomes a program of kernels, ordered so that states can be updated in place.
#pragma once
#include <weft/ir/graph.h>
#include <weft/ir/kernel.h>
#include <weft/passes/placement.h>

namespace weft {

/// `g` is fused (every node that needs a kernel has a group), static, and its contractions are canonical
/// (passes/canonicalize.h); `large_bytes` is what it was fused with (large_values, passes/placement.h). The result has
/// no schedules (passes/schedule.h) and no arena offsets (passes/memory.h) yet.
Program lower(const Graph& g, std::int64_t large_bytes = kLargeBytes);

}  // namespace weft

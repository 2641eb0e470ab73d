// The steps of a phase whose points are rows, as a pipeline runs them: which stages walk along a row together, and
// which have to wait until an earlier walk is over.
#pragma once
#include <cstddef>
#include <vector>

#include "codegen/cpu/analysis.h"

namespace weft::codegen {

/// One walk along a row.
struct PipelineStep {
  std::vector<std::size_t> stages;    // run along the row, all of them at each element
  std::vector<std::size_t> after;     // run once, when the walk is over
  std::vector<std::int32_t> results;  // accumulators that the stages read
};

/// Each stage in the earliest step that it may run in: after those whose results or stores it needs. Empty where some
/// stage neither runs along the axis `along` nor once, or where there would be but one step.
std::vector<PipelineStep> pipeline_steps(const Program&, const PhaseInfo&, const Kernel&, AxisId along);

/// Walks of a tick (codegen/cpu/emit_pipeline.cpp): as few as leave what a tick touches in `l1_bytes`, more or less. A row
/// stays in the cache from the first step that touches it to the last.
std::int64_t walks_of_tick(const Program&, const PhaseInfo&, const Kernel&, AxisId along,
                           const std::vector<PipelineStep>&, const std::vector<KeptRow>&, std::int64_t l1_bytes);

/// For each step, the accumulators that a row brings along when it enters: made before, and read there or later.
std::vector<std::vector<std::int32_t>> accumulators_brought(const PhaseInfo&, const std::vector<PipelineStep>&);

}  // namespace weft::codegen

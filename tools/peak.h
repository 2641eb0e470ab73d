// The machine's own limit, measured in the same run that it judges.
#pragma once

namespace weft::tools {

/// Multiply-adds a second times two (FLOP/s) that `threads` threads reach together in f32 with the widest vectors this
/// CPU has: the best of several rounds of a loop of independent fused multiply-adds that touches no memory.
double measure_peak_flops(int threads);

}  // namespace weft::tools

// The machine's own limits, measured in the same run that they judge.
#pragma once
#include <cstdint>

namespace weft::tools {

/// Multiply-adds a second times two (FLOP/s) that `threads` threads reach together in f32 with the widest vectors this
/// CPU has: the best of several rounds of a loop of independent fused multiply-adds that touches no memory.
double measure_peak_flops(int threads);

/// Bytes a second, read and written, that `threads` threads copy together within `bytes` of memory, each in a part of
/// its own: the rate of whichever cache or memory holds so much. The best of several rounds.
double measure_copy_rate(int threads, std::int64_t bytes);

}  // namespace weft::tools

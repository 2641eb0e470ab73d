// The machine's own limits, measured in the same run that they judge.
#pragma once
#include <cstdint>
#include <string>

#include "ir/base/target.h"

namespace weft::tools {

/// Multiply-adds a second times two (FLOP/s) that `threads` threads reach together in f32 with the vectors of `target`,
/// which this machine must be able to run: the best of several rounds of a loop of independent fused multiply-adds that
/// touches no memory. A target without them is measured with products and sums, two operations as well: no code reaches
/// that there which the IR's fused multiply-adds are computed in, one by one, by the C library.
double measure_peak_flops(int threads, const CpuTarget& target);

/// What that loop is made of: "fma of 16 f32", "mul and add of 4 f32".
std::string peak_name(const CpuTarget& target);

/// Bytes a second, read and written, that `threads` threads copy together within `bytes` of memory, each in a part of
/// its own: the rate of whichever cache or memory holds so much. The best of several rounds of the C library's copy,
/// for which any vectors of this machine may do.
double measure_copy_rate(int threads, std::int64_t bytes);

}  // namespace weft::tools

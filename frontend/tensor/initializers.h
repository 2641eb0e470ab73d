// Initial values of parameters, deterministic from a seed on every machine (Philox 4x32-10 through ir/base/philox.h).
#pragma once
#include <functional>

#include <weft/frontend/tensor/here.h>
#include <weft/ir/base/array.h>

namespace weft {

/// Fills an f32 array of the given shape from the Philox stream (seed, stream), stream < 2^40
/// (frontend/tensor/random.h).
using Initializer = std::function<Array(const Shape&, std::uint64_t seed, std::uint64_t stream)>;

Initializer zeros();
Initializer ones();
// Error unless the numbers are finite values of f32, low <= high, stddev >= 0.
Initializer constant_value(double value, WEFT_HERE);
Initializer uniform(double low = -0.05, double high = 0.05, WEFT_HERE);
Initializer normal(double mean = 0, double stddev = 0.05, WEFT_HERE);
/// Normal, redrawn beyond two standard deviations.
Initializer truncated_normal(double mean = 0, double stddev = 0.05, WEFT_HERE);
// Scaled by the fans: for a shape [.., in, out] fan_in = in * receptive, fan_out = out * receptive, receptive = the
// extents before.
Initializer glorot_uniform();  ///< limit sqrt(6 / (fan_in + fan_out))
Initializer glorot_normal();   ///< truncated, stddev sqrt(2 / (fan_in + fan_out))
Initializer he_uniform();      ///< limit sqrt(6 / fan_in)
Initializer he_normal();       ///< truncated, stddev sqrt(2 / fan_in)

}  // namespace weft

// Random tensors: pure functions of the graph's seed, the call's own key and a step counter (Philox 4x32-10). An
// executable that draws random numbers advances the counter `weft.step` once a call, so calls differ and a resumed run
// repeats them.
#pragma once
#include <weft/frontend/functions.h>

namespace weft {

Tensor random_bits(const Shape& shape, WEFT_HERE);                                      ///< i32, all 32 bits random
Tensor random_uniform(const Shape& shape, double low = 0, double high = 1, WEFT_HERE);  ///< f32 in [low, high)
Tensor random_normal(const Shape& shape, double mean = 0, double stddev = 1, WEFT_HERE);
Tensor random_bernoulli(const Shape& shape, double probability, WEFT_HERE);  ///< bool
/// x with each element zeroed with probability `rate` and the rest scaled by 1 / (1 - rate); x itself outside of
/// training.
Tensor dropout(const Tensor& x, double rate, WEFT_HERE);

}  // namespace weft

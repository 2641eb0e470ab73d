// Random tensors. A number is a pure function of a seed, the random call that it belongs to, a step and its index in
// the tensor: the calls of a compiled function are numbered in the order in which they were traced, whatever else the
// graph holds. A function that draws advances the step once a call, so calls differ and a resumed run repeats them.
// Seed and step are the graph's states `weft.seed` and `weft.step`, or those that CompileOptions names; a Model has its
// own.
//
// Which Philox 4x32-10 block a number comes from (ir/base/philox.h), words from low to high; the key is the seed, and in a
// turn of scan() (frontend/tensor/control.h) one made of the seed and the turn's number:
//
//   initial values  counter = (index < 2^44 with redraw << 48, stream < 2^40)
//   random calls    counter = (index < 2^44, step < 2^40 with (call + 1) << 40)
//   data sets       counter = (number, Purpose, stream < 2^40), which runtime/data/random.h draws
//
// so that, in these limits, parameters, calls, steps and data never share a block under one seed.
#pragma once
#include <weft/frontend/tensor/functions.h>

namespace weft {

Tensor random_bits(const Shape& shape, WEFT_HERE);  ///< i32, all 32 bits random
/// f32 in [low, high), and `low` where they are equal. Error when they are not finite values of f32, or no f32 lies
/// between them.
Tensor random_uniform(const Shape& shape, double low = 0, double high = 1, WEFT_HERE);
Tensor random_normal(const Shape& shape, double mean = 0, double stddev = 1, WEFT_HERE);
Tensor random_bernoulli(const Shape& shape, double probability, WEFT_HERE);  ///< bool
/// x with each element zeroed with probability `rate` and the rest scaled by 1 / (1 - rate); x itself outside of
/// training.
Tensor dropout(const Tensor& x, double rate, WEFT_HERE);

}  // namespace weft

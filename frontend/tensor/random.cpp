// Random tensors over Op::random.
#include "frontend/tensor/random.h"

#include <cmath>
#include <limits>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

Tensor counter(std::string_view name, std::int64_t initial) {
  const std::shared_ptr<Trace>& trace = current_trace();
  if (ValueId id = trace->graph.find_input(name); id != kNoValue) return {trace, id};
  return state(Array::scalar(initial), std::string(name));
}

/// Uniform in [0, 1): the top 24 bits.
Tensor unit(const Shape& shape) { return astype(random_bits(shape) >> 8, f32) * 0x1p-24; }

}  // namespace

Tensor random_bits(const Shape& shape, std::source_location where) {
  LocScope scope(where);
  const std::shared_ptr<Trace>& trace = current_trace();
  if (trace->random_calls == kMostCalls) fail("{}more than {} random tensors in one graph", call_prefix(), kMostCalls);
  Tensor seed = counter(kSeedName, static_cast<std::int64_t>(trace->seed));
  for (ValueId turn : trace->turns)  // odd factors: no two turns, or seeds of one, meet
    seed = (seed + (Tensor(trace, turn) + 1) * std::int64_t{0x1e3779b97f4a7c15}) * std::int64_t{0x3f58476d1ce4e5b9};
  const Tensor step = counter(kStepName, 0) + literal(trace, Array::scalar(call_offset(trace->random_calls)));
  const Tensor bits = node(Op::random, {seed, step}, {}, Type{i32, shape});
  ++trace->random_calls;
  return bits;
}

Tensor random_uniform(const Shape& shape, double low, double high, std::source_location where) {
  LocScope scope(where);
  constexpr auto kInfinity = std::numeric_limits<float>::infinity();
  check_number("random_uniform", "low", low, Domain::finite);
  check_number("random_uniform", "high", high, Domain::finite);
  if (low > high) fail("{}random_uniform: low {} is above high {}", where_prefix(), low, high);
  const Tensor u = unit(shape);
  if (low == 0 && high == 1) return u;
  // The least and the largest f32 of [low, high). A sum of rounded terms may reach `high`, or beyond.
  auto least = static_cast<float>(low), most = static_cast<float>(high);
  if (least < low) least = std::nextafter(least, kInfinity);
  if (low == high)
    most = least = static_cast<float>(low);
  else if (most >= high)
    most = std::nextafter(most, -kInfinity);
  if (least > most) fail("{}random_uniform: there is no f32 in [{}, {})", where_prefix(), low, high);
  const double half = is_finite_f32(high - low) ? 1 : 0.5;  // a width beyond f32 is computed at half its size
  Tensor x = u * ((high - low) * half) + low * half;
  if (half != 1) x = x * 2;
  return minimum(maximum(x, least), most);
}

// Box-Muller: sqrt(-2 log u) cos(2 pi v) with u in (0, 1], v in [0, 1).
Tensor random_normal(const Shape& shape, double mean, double stddev, std::source_location where) {
  LocScope scope(where);
  check_number("random_normal", "mean", mean, Domain::finite);
  check_number("random_normal", "stddev", stddev, Domain::not_negative);
  const Tensor u = unit(shape) + 0x1p-24, v = unit(shape);
  const Tensor z = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
  return mean == 0 && stddev == 1 ? z : z * stddev + mean;
}

Tensor random_bernoulli(const Shape& shape, double probability, std::source_location where) {
  LocScope scope(where);
  check_number("random_bernoulli", "probability", probability, Domain::fraction);
  return unit(shape) < probability;
}

Tensor dropout(const Tensor& x, double rate, std::source_location where) {
  LocScope scope(where);
  check_operands({x});
  check_number("dropout", "rate", rate, Domain::below_one);
  if (rate == 0) return x;
  GraphScope graph(x.trace());
  const Tensor kept = weft::where(random_bernoulli(x.shape(), 1 - rate), x * (1 / (1 - rate)), 0.0);
  return weft::where(training(), kept, x);
}

}  // namespace weft

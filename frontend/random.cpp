// Random tensors over Op::random.
#include "frontend/random.h"

#include "frontend/node.h"

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

// The key of call i is seed + i * the odd constant of the golden ratio: calls have streams of their own under any seed.
Tensor random_bits(const Shape& shape, std::source_location where) {
  LocScope scope(where);
  Trace& trace = *current_trace();
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;
  const auto offset = static_cast<std::int64_t>(kGolden * static_cast<std::uint64_t>(trace.random_calls++));
  const Tensor key =
      counter(kSeedName, static_cast<std::int64_t>(trace.seed)) + literal(current_trace(), Array::scalar(offset));
  return node(Op::random, {key, counter(kStepName, 0)}, {}, Type{i32, shape});
}

Tensor random_uniform(const Shape& shape, double low, double high, std::source_location where) {
  LocScope scope(where);
  if (!(low <= high)) fail("{}random_uniform: low {} is above high {}", where_prefix(), low, high);
  const Tensor u = unit(shape);
  return low == 0 && high == 1 ? u : u * (high - low) + low;
}

// Box-Muller: sqrt(-2 log u) cos(2 pi v) with u in (0, 1], v in [0, 1).
Tensor random_normal(const Shape& shape, double mean, double stddev, std::source_location where) {
  LocScope scope(where);
  const Tensor u = unit(shape) + 0x1p-24, v = unit(shape);
  const Tensor z = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
  return mean == 0 && stddev == 1 ? z : z * stddev + mean;
}

Tensor random_bernoulli(const Shape& shape, double probability, std::source_location where) {
  LocScope scope(where);
  if (!(probability >= 0 && probability <= 1))
    fail("{}random_bernoulli: probability {} is outside [0, 1]", where_prefix(), probability);
  return unit(shape) < probability;
}

Tensor dropout(const Tensor& x, double rate, std::source_location where) {
  LocScope scope(where);
  check_operands("dropout", {x});
  if (!(rate >= 0 && rate < 1)) type_error("dropout", {x}, fmt::format("rate {} is outside [0, 1)", rate));
  if (rate == 0) return x;
  GraphScope graph(x.trace());
  const Tensor kept = weft::where(random_bernoulli(x.shape(), 1 - rate), x * (1 / (1 - rate)), 0.0);
  return weft::where(training(), kept, x);
}

}  // namespace weft

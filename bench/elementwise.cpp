// Chains of elementwise ops, each compiled to one loop: the rate at which memory is read and written.
#include "bench/bench.h"

namespace weft::bench {
namespace {

using Chain = Tensor (*)(const Tensor&);

void elementwise(benchmark::State& state, Chain chain) {
  GraphScope scope;
  const std::int64_t n = state.range(0);
  const Tensor x = placeholder(f32, {n}, "x");
  time_calls(state, compile({chain(x)}), {random({n})}, 0, 8.0 * static_cast<double>(n));
}

BENCHMARK_CAPTURE(elementwise, scale_and_shift, [](const Tensor& x) { return x * 2 + 1; })
    ->Range(1 << 10, 1 << 24)
    ->UseRealTime();
BENCHMARK_CAPTURE(elementwise, exp, [](const Tensor& x) { return weft::exp(x); })
    ->Range(1 << 10, 1 << 24)
    ->UseRealTime();
BENCHMARK_CAPTURE(elementwise, tanh, [](const Tensor& x) { return weft::tanh(x); })
    ->Range(1 << 10, 1 << 24)
    ->UseRealTime();
BENCHMARK_CAPTURE(elementwise, gelu, [](const Tensor& x) { return gelu(x); })->Range(1 << 10, 1 << 24)->UseRealTime();

}  // namespace
}  // namespace weft::bench

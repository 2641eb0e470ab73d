// Reductions over rows and over columns, and the row chains that fuse into one kernel (softmax, layer norm).
#include "bench/bench.h"

namespace weft::bench {
namespace {

using Function = Tensor (*)(const Tensor&);

void rows(benchmark::State& state, Function function) {
  GraphScope scope;
  const std::int64_t m = state.range(0), n = state.range(1);
  const Tensor x = placeholder(f32, {m, n}, "x");
  time_calls(state, compile({function(x)}), {random({m, n})}, 0, 4.0 * static_cast<double>(m * n));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->Args({128, 10})->Args({128, 784})->Args({4096, 1024})->Args({1, 1 << 22});
}

BENCHMARK_CAPTURE(rows, sum_last_axis, [](const Tensor& x) { return sum(x, -1); })->Apply(shapes)->UseRealTime();
BENCHMARK_CAPTURE(rows, sum_first_axis, [](const Tensor& x) { return sum(x, 0); })->Apply(shapes)->UseRealTime();
BENCHMARK_CAPTURE(rows, max_last_axis, [](const Tensor& x) { return weft::max(x, -1); })->Apply(shapes)->UseRealTime();
BENCHMARK_CAPTURE(rows, softmax, [](const Tensor& x) { return softmax(x); })->Apply(shapes)->UseRealTime();
BENCHMARK_CAPTURE(rows, layer_norm, [](const Tensor& x) { return layer_norm(x); })->Apply(shapes)->UseRealTime();

}  // namespace
}  // namespace weft::bench

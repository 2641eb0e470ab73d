// Matrix products: the shapes of the reference MLP's step (forward, weight gradient, input gradient), and large
// squares.
#include "bench/bench.h"

namespace weft::bench {
namespace {

/// c[m,n] = sum over k of a and b, each stored with k last (`t`) or first.
void product(benchmark::State& state, bool lhs_k_last, bool rhs_k_last) {
  GraphScope scope;
  const std::int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  const Shape a_shape = lhs_k_last ? Shape{m, k} : Shape{k, m}, b_shape = rhs_k_last ? Shape{n, k} : Shape{k, n};
  const Tensor a = placeholder(f32, a_shape, "a"), b = placeholder(f32, b_shape, "b");
  const Tensor c = contract(a, b, {lhs_k_last ? 1 : 0}, {rhs_k_last ? 1 : 0});
  time_calls(state, compile({c}), {random(a_shape, 0), random(b_shape, 1)}, 2.0 * static_cast<double>(m * k * n), 0);
}

/// z[m,n] = sum over k of x and the weights, which lie in panels.
void layer(benchmark::State& state) {
  GraphScope scope;
  const std::int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  const Tensor x = placeholder(f32, {m, k}, "x"), w = weft::state(random({k, n}, 1), "w");
  time_calls(state, compile({contract(x, w, {1}, {0})}), {random({m, k}, 0)}, 2.0 * static_cast<double>(m * k * n), 0);
}

// Arguments: m, k, n.
BENCHMARK_CAPTURE(product, forward, true, false)
    ->Args({128, 784, 512})
    ->Args({128, 512, 256})
    ->Args({128, 256, 10})
    ->UseRealTime();
BENCHMARK_CAPTURE(product, wide, true, false)->Args({16, 2048, 2048})->Args({128, 2048, 2048})->UseRealTime();
BENCHMARK(layer)->Args({128, 784, 512})->Args({16, 2048, 2048})->Args({128, 2048, 2048})->UseRealTime();
BENCHMARK_CAPTURE(product, weight_gradient, false, false)
    ->Args({784, 128, 512})
    ->Args({512, 128, 256})
    ->Args({256, 128, 10})
    ->UseRealTime();
BENCHMARK_CAPTURE(product, input_gradient, true, true)->Args({128, 256, 512})->Args({128, 10, 256})->UseRealTime();
BENCHMARK_CAPTURE(product, square, true, false)
    ->Args({256, 256, 256})
    ->Args({1024, 1024, 1024})
    ->Args({37, 1000, 41})
    ->UseRealTime();

}  // namespace
}  // namespace weft::bench

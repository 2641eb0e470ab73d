// What the benchmarks share: random operands, and the loop that calls a compiled function.
#pragma once
#include <benchmark/benchmark.h>
#include <weft/weft.h>

namespace weft::bench {

inline Array random(const Shape& shape, std::uint64_t stream = 0) { return uniform(-1, 1)(shape, 1, stream); }

/// Times calls of `f` on `inputs`; reports `flops` and `bytes` a call as rates.
inline void time_calls(benchmark::State& state, const Executable& f, const std::vector<Array>& inputs, double flops,
                       double bytes) {
  f(inputs);  // compiles
  for (auto _ : state) benchmark::DoNotOptimize(f(inputs));
  const auto rate = [](double per_call) {
    return benchmark::Counter(per_call, benchmark::Counter::kIsIterationInvariantRate);
  };
  if (flops > 0) state.counters["FLOP/s"] = rate(flops);
  if (bytes > 0) state.counters["B/s"] = rate(bytes);
}

}  // namespace weft::bench

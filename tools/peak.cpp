// Measures the peak rate of f32 multiply-adds: one loop, compiled for each vector width, on all threads at once.
//
// A fused multiply-add has a latency of 4 cycles and up to two start every cycle, so 8 independent accumulators are the
// least that keep both pipes full; 12 leave room for slower ones and still fit 16 registers beside the two factors.
#include "tools/peak.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "runtime/thread_team.h"

namespace weft::tools {
namespace {

constexpr int kAccumulators = 12;
constexpr std::int64_t kIterations = 1 << 18;
constexpr int kRounds = 12;

// Each loop multiplies by 0.5 and adds 1, which tends to 2: no overflow, no subnormals, nothing a compiler could fold.
// `opaque` hides the factors from the optimiser. Returns a value that depends on every accumulator.

__attribute__((target("avx512f"))) float loop_avx512(float opaque) {
  const __m512 a = _mm512_set1_ps(opaque), b = _mm512_set1_ps(1.0f);
  __m512 acc[kAccumulators];
  for (auto& x : acc) x = b;
  for (std::int64_t i = 0; i < kIterations; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; ++j) acc[j] = _mm512_fmadd_ps(acc[j], a, b);
  for (int j = 1; j < kAccumulators; ++j) acc[0] = _mm512_add_ps(acc[0], acc[j]);
  return _mm512_cvtss_f32(acc[0]);
}

__attribute__((target("avx2,fma"))) float loop_avx2(float opaque) {
  const __m256 a = _mm256_set1_ps(opaque), b = _mm256_set1_ps(1.0f);
  __m256 acc[kAccumulators];
  for (auto& x : acc) x = b;
  for (std::int64_t i = 0; i < kIterations; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; ++j) acc[j] = _mm256_fmadd_ps(acc[j], a, b);
  for (int j = 1; j < kAccumulators; ++j) acc[0] = _mm256_add_ps(acc[0], acc[j]);
  return _mm256_cvtss_f32(acc[0]);
}

float loop_sse2(float opaque) {
  const __m128 a = _mm_set1_ps(opaque), b = _mm_set1_ps(1.0f);
  __m128 acc[kAccumulators];
  for (auto& x : acc) x = b;
  for (std::int64_t i = 0; i < kIterations; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; ++j) acc[j] = _mm_add_ps(_mm_mul_ps(acc[j], a), b);
  for (int j = 1; j < kAccumulators; ++j) acc[0] = _mm_add_ps(acc[0], acc[j]);
  return _mm_cvtss_f32(acc[0]);
}

struct Loop {
  float (*run)(float);
  int lanes;
};

Loop widest_loop() {
  if (__builtin_cpu_supports("avx512f")) return {loop_avx512, 16};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {loop_avx2, 8};
  return {loop_sse2, 4};
}

}  // namespace

double measure_peak_flops(int threads) {
  using clock = std::chrono::steady_clock;
  const Loop loop = widest_loop();
  volatile float opaque = 0.5f, sink = 0;
  double best_seconds = std::numeric_limits<double>::infinity();
  ThreadTeam team(threads);
  team.run([&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      team.barrier();
      const auto start = clock::now();
      const float result = loop.run(opaque);
      team.barrier();  // a round takes as long as its slowest thread
      if (thread != 0) continue;
      best_seconds = std::min(best_seconds, std::chrono::duration<double>(clock::now() - start).count());
      sink = result;  // keeps the loop
    }
  });
  return 2.0 * loop.lanes * kAccumulators * kIterations * threads / best_seconds;
}

}  // namespace weft::tools

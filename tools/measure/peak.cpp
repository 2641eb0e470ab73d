// Measures the rate of a copy, and the peak rate of f32 multiply-adds: one loop, compiled for each vector width, on all
// threads at once.
//
// A fused multiply-add has a latency of 4 cycles and up to two start every cycle, so 8 independent accumulators are the
// least that keep both pipes full; 12 leave room for slower ones and still fit 16 registers beside the two factors.
#include "tools/measure/peak.h"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "ir/base/error.h"
#include "runtime/host/thread_team.h"

namespace weft::tools {
namespace {

constexpr int kAccumulators = 12;
constexpr std::int64_t kIterations = 1 << 18;
constexpr int kRounds = 12;
constexpr std::int64_t kCopied = 4 << 20;  // bytes that a thread copies in a round, at least

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

__attribute__((target("avx"))) float loop_avx(float opaque) {
  const __m256 a = _mm256_set1_ps(opaque), b = _mm256_set1_ps(1.0f);
  __m256 acc[kAccumulators];
  for (auto& x : acc) x = b;
  for (std::int64_t i = 0; i < kIterations; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kAccumulators; ++j) acc[j] = _mm256_add_ps(_mm256_mul_ps(acc[j], a), b);
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

Loop loop_of(const CpuTarget& target) {
  if (target.vector_bytes >= 64) return {loop_avx512, 16};
  if (target.vector_bytes >= 32) return {target.fma ? loop_avx2 : loop_avx, 8};
  return {loop_sse2, 4};
}

/// Seconds of the fastest of several rounds of work(thread) on all threads at once; a round takes as long as its
/// slowest thread.
template <class F>
double fastest_round(int threads, F&& work) {
  using clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  ThreadTeam team(threads);
  team.run([&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      team.barrier();
      const auto start = clock::now();
      work(thread);
      team.barrier();
      if (thread == 0) best = std::min(best, std::chrono::duration<double>(clock::now() - start).count());
    }
  });
  return best;
}

}  // namespace

double measure_peak_flops(int threads, const CpuTarget& target) {
  const Loop loop = loop_of(target);
  volatile float opaque = 0.5f, sink = 0;
  const double seconds = fastest_round(threads, [&](int thread) {
    const float result = loop.run(opaque);
    if (thread == 0) sink = result;  // keeps the loop
  });
  return 2.0 * loop.lanes * kAccumulators * kIterations * threads / seconds;
}

std::string peak_name(const CpuTarget& target) {
  const Loop loop = loop_of(target);
  const bool fused = loop.run == loop_avx512 || loop.run == loop_avx2;
  return fmt::format("{} of {} f32", fused ? "fma" : "mul and add", loop.lanes);
}

double measure_copy_rate(int threads, std::int64_t bytes) {
  const std::int64_t half = std::max<std::int64_t>(1, bytes / 2 / threads);
  const std::int64_t repeats = std::max<std::int64_t>(1, kCopied / half);
  std::vector<std::vector<char>> memory(static_cast<std::size_t>(threads));
  const double seconds = fastest_round(threads, [&](int thread) {
    std::vector<char>& own = memory[static_cast<std::size_t>(thread)];
    if (own.empty()) own.assign(static_cast<std::size_t>(2 * half), 1);  // in a round that is not the fastest
    for (std::int64_t i = 0; i < repeats; ++i)
      std::memcpy(own.data() + half, own.data(), static_cast<std::size_t>(half));
  });
  return 2.0 * static_cast<double>(half * repeats) * threads / seconds;
}

}  // namespace weft::tools

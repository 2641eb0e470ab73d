// Loops that reach the roofs, and the count of a graph's operations.
#include "bench/roof.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

#include "frontend/tensor/trace.h"
#include "ir/ops/functions.h"
#include "tools/measure/peak.h"

namespace weft::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Vector = float __attribute__((vector_size(64), aligned(64)));  // a register or several, by the function's target

[[gnu::always_inline]] inline void copy_in_registers(const Vector* from, Vector* to, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const Vector a = from[i], b = from[i + 1], c = from[i + 2], d = from[i + 3];
    to[i] = a, to[i + 1] = b, to[i + 2] = c, to[i + 3] = d;
  }
  for (; i < n; ++i) to[i] = from[i];
}

[[gnu::target("avx512f")]] void copy_avx512(const Vector* from, Vector* to, std::int64_t n) {
  copy_in_registers(from, to, n);
}
[[gnu::target("avx2")]] void copy_avx2(const Vector* from, Vector* to, std::int64_t n) {
  copy_in_registers(from, to, n);
}
void copy_sse2(const Vector* from, Vector* to, std::int64_t n) { copy_in_registers(from, to, n); }

/// Lines are written whole by four stores in a row; wider ones reach the same bandwidth.
void copy_streaming(const Vector* from, Vector* to, std::int64_t n) {
  const auto* in = reinterpret_cast<const __m128*>(from);
  auto* out = reinterpret_cast<float*>(to);
  for (std::int64_t i = 0; i < 4 * n; i += 4)
    for (std::int64_t j = i; j < i + 4; ++j) _mm_stream_ps(out + 4 * j, in[j]);
  _mm_sfence();
}

/// x[i] = 3 / x[i] and x[i] = sqrt(x[i]), in 256 bits: the units are no wider.
__attribute__((target("avx"))) void divide_avx(float* x, int n) {
  for (int i = 0; i < n; i += 8) _mm256_store_ps(x + i, _mm256_div_ps(_mm256_set1_ps(3), _mm256_load_ps(x + i)));
}
__attribute__((target("avx"))) void root_avx(float* x, int n) {
  for (int i = 0; i < n; i += 8) _mm256_store_ps(x + i, _mm256_sqrt_ps(_mm256_load_ps(x + i)));
}
void divide_sse(float* x, int n) {
  for (int i = 0; i < n; i += 4) _mm_store_ps(x + i, _mm_div_ps(_mm_set1_ps(3), _mm_load_ps(x + i)));
}
void root_sse(float* x, int n) {
  for (int i = 0; i < n; i += 4) _mm_store_ps(x + i, _mm_sqrt_ps(_mm_load_ps(x + i)));
}

using Words = std::int32_t __attribute__((vector_size(64), aligned(64)));
constexpr int kChains = 3, kOpsPerElement = 2 * kChains;

/// kOpsPerElement operations on integers for each element that it is told of: in independent chains, so that all vector
/// units are busy, and with two kinds of operation in turn, which no compiler folds.
[[gnu::always_inline]] inline void count_in_registers(float* x, int n) {
  const Words step = Words{} + static_cast<int>(x[0]);
  Words a = step, b = step + 1, c = step + 2;
  for (int i = 0; i < n; i += 16) a = (a + step) ^ step, b = (b + step) ^ step, c = (c + step) ^ step;
  for (int k = 0; k < 16; ++k) x[k] += static_cast<float>((a[k] + b[k] + c[k]) & 1);
}

[[gnu::target("avx512f")]] void count_avx512(float* x, int n) { count_in_registers(x, n); }
[[gnu::target("avx2")]] void count_avx2(float* x, int n) { count_in_registers(x, n); }
void count_sse2(float* x, int n) { count_in_registers(x, n); }

/// Loops in the registers of a target.
struct Loops {
  void (*copy)(const Vector*, Vector*, std::int64_t);
  void (*count)(float*, int);
  void (*divide)(float*, int);
  void (*root)(float*, int);
};
Loops loops_of(const CpuTarget& t) {
  if (t.vector_bytes >= 64) return {copy_avx512, count_avx512, divide_avx, root_avx};
  if (t.vector_bytes >= 32 && t.fma) return {copy_avx2, count_avx2, divide_avx, root_avx};
  if (t.vector_bytes >= 32) return {copy_sse2, count_sse2, divide_avx, root_avx};
  return {copy_sse2, count_sse2, divide_sse, root_sse};
}

/// Elements a second of a loop over an array in L1, on all threads at once, at best.
double rate_in_l1(ThreadTeam& team, void (*loop)(float*, int)) {
  constexpr int kElements = 2048, kCalls = 200, kRounds = 12;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = Clock::now();
    team.run([&](int) {
      alignas(64) float x[kElements];
      std::fill_n(x, kElements, 1.5f);
      for (int i = 0; i < kCalls; ++i) loop(x, kElements);
    });
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, 1.0 * kElements * kCalls * team.size() / elapsed);
  }
  return best;
}

/// The machine of ir/ops/approx.h that counts.
struct Count {
  static constexpr bool is_f64 = false;
  struct F {};
  struct I {};
  struct B {};
  Work work;

  F f(double) { return {}; }
  I i(std::int64_t) { return {}; }
  template <class R>
  R one() {
    ++work.other;
    return {};
  }
  F multiply() {
    ++work.multiply;
    return {};
  }
  F add(F, F) { return one<F>(); }
  F sub(F, F) { return one<F>(); }
  F mul(F, F) { return multiply(); }
  F fma(F, F, F) { return multiply(); }
  F div(F, F) {
    ++work.div;
    return {};
  }
  F abs(F) { return one<F>(); }
  F neg(F x) { return x; }  // a multiply-add can negate
  B lt(F, F) { return one<B>(); }
  B le(F, F) { return one<B>(); }
  F select(B, F, F) { return one<F>(); }
  I bits(F) { return {}; }
  F from_bits(I) { return {}; }
  I iadd(I, I) { return one<I>(); }
  I isub(I, I) { return one<I>(); }
  I iand(I, I) { return one<I>(); }
  I ixor(I, I) { return one<I>(); }
  I shl(I, int) { return one<I>(); }
  I shr(I, int) { return one<I>(); }
  B is_zero(I) { return one<B>(); }
  template <class Body>
  std::array<F, 2> rarely(B, std::array<F, 2> usual, Body) {
    return usual;
  }
};

Work work_of(Op op) {
  Count m;
  if (is_function(op)) {
    apply_function(m, op, {}, {});
    return m.work;
  }
  switch (op) {
    case Op::mul:
    case Op::fma: return {1, 0, 0, 0};
    case Op::div: return {0, 0, 1, 0};
    case Op::sqrt: return {0, 0, 0, 1};
    // Ten rounds on pairs of words: two products, two shifts, two three-way xors, for half a register of elements each.
    case Op::random: return {40, 80, 0, 0};
    case Op::reduce_max:
    case Op::reduce_min: return {0, 4, 0, 0};  // two compares, their union, a blend
    default: return {0, 1, 0, 0};
  }
}

}  // namespace

Copy::Copy(std::shared_ptr<ThreadTeam> team, const CpuTarget& target, std::int64_t bytes)
    : team_(std::move(team)),
      target_(target),
      half_((bytes / 2 + 63) / 64 * 64),
      from_(Array::filled({u8, {half_}}, 1)),
      to_(Array::filled({u8, {half_}}, 2)) {}

double Copy::seconds(bool streaming) {
  constexpr std::int64_t kSample = 1 << 20;  // bytes: some tens of microseconds
  const std::int64_t times = std::max<std::int64_t>(1, kSample / half_), n = half_ / 64;
  const auto* from = reinterpret_cast<const Vector*>(from_.data());
  auto* to = reinterpret_cast<Vector*>(to_.data());
  const auto loop = streaming ? copy_streaming : loops_of(target_).copy;
  const auto start = Clock::now();
  team_->run([&](int thread) {
    const std::int64_t begin = n * thread / team_->size(), end = n * (thread + 1) / team_->size();
    for (std::int64_t i = 0; i < times; ++i) loop(from + begin, to + begin, end - begin);
  });
  return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(times);
}

Work work_of(const Graph& g) {
  Work total;
  const auto live = reached_from(g, [&] {
    std::vector<ValueId> roots;
    for (const Output& o : g.outputs()) roots.push_back(o.id);
    for (const Update& u : g.updates()) roots.push_back(u.value);
    return roots;
  }());
  for (ValueId v = 0; v < g.size(); ++v) {
    const OpClass cls = info(g[v].op).cls;
    if (!live[v] || (cls != OpClass::elementwise && cls != OpClass::reduce && g[v].op != Op::random)) continue;
    const Shape& domain = cls == OpClass::reduce ? g[g[v].operands[0]].type.shape : g[v].type.shape;
    const auto n = static_cast<double>(element_count(domain));
    const Work w = work_of(g[v].op);
    total.multiply += n * w.multiply, total.other += n * w.other;
    total.div += n * w.div, total.sqrt += n * w.sqrt;
  }
  return total;
}

const Rates& rates(int threads, const CpuTarget& target) {
  static std::map<std::pair<int, std::string>, Rates> known;
  auto [at, fresh] = known.try_emplace({threads, target.cpu});
  if (fresh) {
    ThreadTeam team(threads);
    const Loops loops = loops_of(target);
    at->second = {tools::measure_peak_flops(threads, target) / 2, kOpsPerElement * rate_in_l1(team, loops.count),
                  rate_in_l1(team, loops.divide), rate_in_l1(team, loops.root)};
  }
  return at->second;
}

double seconds(const Work& w, const Rates& r) {
  const double all = w.multiply + w.other + w.div + w.sqrt;
  return std::max({w.multiply / r.multiply, all / r.all, w.div / r.div + w.sqrt / r.sqrt});
}

}  // namespace weft::bench

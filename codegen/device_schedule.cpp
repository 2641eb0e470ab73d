// The cost model of a contraction's tile.
//
// A multiprocessor that has enough warps is bound by the units that multiply, or by shared memory; one that has few
// waits: for a stage to arrive, and for its own sums. Small products are of the second kind, so that their tiles are
// small.
#include "codegen/device_schedule.h"

#include <algorithm>

#include "ir/eval.h"
#include "ir/simt.h"

namespace weft::codegen {
namespace {

constexpr double kMemoryLatency = 600;  // cycles from a copy's start until its bytes lie in shared memory
constexpr double kSumLatency = 4;       // cycles from one fused multiply-add to the next of the same sum
constexpr double kBarrier = 40;         // cycles of a stage's barrier and of its bookkeeping
constexpr double kStart = 2000;         // cycles of a block's beginning and end
constexpr int kSchedulers = 4;          // warps that issue in one cycle
constexpr double kSharedBytes = 128;    // a cycle
constexpr int kOtherRegisters = 40;     // addresses and the like

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t registers(const ContractShape& s, const ContractTile& t) {
  const std::int64_t words = s.element / 4, vector = 16 / s.element;
  return words * (t.tm * t.tn + vector * t.tm + t.tn) + kOtherRegisters;
}

std::int64_t shared_bytes(const ContractShape& s, const ContractTile& t) {
  const std::int64_t pad = 16 / s.element;
  return t.stages * s.element * (t.m() + t.n()) * (t.k + pad);
}

}  // namespace

double tile_cycles(const ContractShape& s, const ContractTile& t, const GpuTarget& target) {
  const double warps = static_cast<double>(t.threads()) / simt::kWarp;
  const std::int64_t blocks = s.batches * ceil_div(s.m, t.m()) * ceil_div(s.n, t.n());
  const std::int64_t on_one = ceil_div(blocks, target.multiprocessors);  // of the busiest multiprocessor
  const std::int64_t resident = std::max<std::int64_t>(
      1, std::min({static_cast<std::int64_t>(target.threads / t.threads()),
                   target.registers / (registers(s, t) * t.threads()), target.shared_bytes / shared_bytes(s, t)}));
  const double words = static_cast<double>(s.element) / 4, k = static_cast<double>(s.k);
  // Throughput, all warps of the multiprocessor together; each thread of a warp reads its operands from shared memory,
  // half of them broadcast.
  const double multiply = warps * simt::kWarp * t.tm * t.tn * words / target.fma_per_cycle;
  const double read = warps * simt::kWarp * (t.tm + t.tn) * static_cast<double>(s.element) / kSharedBytes / 2;
  const double throughput = static_cast<double>(on_one) * k * std::max(multiply, read);
  // Latency of one block: a warp issues one instruction at a time.
  const double vector = 16.0 / static_cast<double>(s.element);
  const double issue = std::max(1.0, warps / kSchedulers) * (t.tm * t.tn * words + (t.tm + t.tn) / vector);
  const double compute = t.k * std::max(issue, kSumLatency * words) + kBarrier;
  const double in_flight = s.async ? t.stages - 1 : 1;
  const double stage = std::max(compute, (kMemoryLatency + kBarrier) / in_flight);
  const double rounds = static_cast<double>(ceil_div(on_one, resident));
  const double latency = rounds * (std::max(1.0, k / t.k) * stage + kStart);
  return std::max(throughput, latency);
}

ContractTile choose_tile(const ContractShape& s, const GpuTarget& target) {
  ContractTile best;
  double least = -1;
  for (int threads = 32; threads <= 256; threads *= 2)
    for (int cols = 4; cols <= std::min(threads, 32); cols *= 2)
      for (int tm = 1; tm <= 8; tm *= 2)
        for (int tn = 1; tn <= 8; tn *= 2)
          for (int k = 8; k <= 64; k *= 2)
            for (int stages = 2; stages <= (s.async ? 4 : 2); stages *= 2) {
              const ContractTile t{threads / cols, cols, tm, tn, k, stages};
              const bool wasteful =
                  (t.m() >= 2 * s.m && t.m() > 8) || (t.n() >= 2 * s.n && t.n() > 8) || (k >= 2 * s.k && k > 8);
              if (wasteful || t.m() > 128 || t.n() > 128 || registers(s, t) > 250 ||
                  shared_bytes(s, t) > target.shared_bytes)
                continue;
              const double cycles = tile_cycles(s, t, target);
              if (least < 0 || cycles < 0.99 * least) least = cycles, best = t;
            }
  return best;
}

}  // namespace weft::codegen

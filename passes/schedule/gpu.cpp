// The cost model of a contraction's tile.
//
// A multiprocessor that has enough warps is bound by the units that multiply, or by shared memory; one that has few
// waits: for a stage to arrive, and for its own sums. Small products are of the second kind, so that their tiles are
// small.
#include "passes/schedule/gpu.h"

#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/unproven.h"
#include "ir/kernel/verify_kernel.h"
#include "ir/ops/sum_order.h"
#include "ir/simt/simt.h"

namespace weft {
namespace {

constexpr double kMemoryLatency = 600;  // cycles from a copy's start until its bytes lie in shared memory
constexpr double kSumLatency = 4;       // cycles from one fused multiply-add to the next of the same sum
constexpr double kMatrixLatency = 18;   // the same of a matrix product
constexpr double kBarrier = 40;         // cycles of a stage's barrier and of its bookkeeping
constexpr double kStart = 2000;         // cycles of a block's beginning and end
constexpr int kSchedulers = 4;          // warps that issue in one cycle
constexpr double kSharedBytes = 128;    // a cycle
constexpr int kOtherRegisters = 40;     // addresses and the like
constexpr int kMostRegisters = 176;     // of a thread, so that what the model misses spills nothing
constexpr int kMatrixK = 8;             // products of one matrix instruction (tf32)

/// Of a thread.
std::int64_t registers(const ContractShape& s, const GpuSchedule& t) {
  const std::int64_t words = s.element / 4, vector = 16 / s.element;
  const std::int64_t on_its_way = s.async ? 0 : words * (t.m() + t.n()) * t.k / t.threads();
  if (t.matrices) return 4 * t.tm * t.tn + 8 * t.tm + 4 * t.tn + on_its_way + kOtherRegisters;
  return words * (t.tm * t.tn + vector * t.tm + t.tn) + on_its_way + kOtherRegisters;
}

/// Cycles of one product (one step of k) of a tile.
struct StepCycles {
  double throughput;  // of the multiprocessor's units
  double latency;     // of a block by itself
};
StepCycles step_cycles(const ContractShape& s, const GpuSchedule& t, const GpuTarget& target) {
  const double warps = static_cast<double>(t.threads()) / simt::kWarp;
  const double words = static_cast<double>(s.element) / 4, vector = 16.0 / static_cast<double>(s.element);
  const double area = static_cast<double>(t.m()) * t.n();
  if (t.matrices) {
    const double fragments = 4.0 * t.tm + 2.0 * t.tn;  // words of a thread for kMatrixK products
    const double rate = target.mma_per_cycle * (target.numerics == Numerics::bf16 ? 2 : 1);
    const double read = warps * fragments / kMatrixK * simt::kWarp * 4 / kSharedBytes;
    const double issue = std::max(1.0, warps / kSchedulers) * (2.0 * t.tm * t.tn + fragments) / kMatrixK;
    return {std::max(area / rate, read), std::max(issue, kMatrixLatency / kMatrixK)};
  }
  // Half of what the threads of a warp read is broadcast.
  const double read = warps * simt::kWarp * (t.tm + t.tn) * static_cast<double>(s.element) / kSharedBytes / 2;
  const double issue = std::max(1.0, warps / kSchedulers) * (t.tm * t.tn * words + (t.tm + t.tn) / vector);
  return {std::max(area * words / target.fma_per_cycle, read), std::max(issue, kSumLatency * words)};
}

template <class F>
void for_each_tile(const ContractShape& s, const GpuTarget& target, F&& f) {
  const bool matrices = target.numerics != Numerics::exact && s.element == 4;
  for (int threads = matrices ? 1 : 32; threads <= (matrices ? 8 : 256); threads *= 2)
    for (int cols = matrices ? 1 : 4; cols <= std::min(threads, 32); cols *= 2)
      for (int tm = 1; tm <= 8; tm *= 2)
        for (int tn = 1; tn <= 8; tn *= 2)
          for (int k = matrices ? 16 : 8; k <= (matrices ? 32 : 64); k *= 2)  // unrolled: ptxas loads ahead
            for (int stages = 2; stages <= (s.async ? 4 : 2); stages *= 2)
              f(GpuSchedule{kNone, threads / cols, cols, tm, tn, k, stages, matrices});
}

}  // namespace

double tile_cycles(const ContractShape& s, const GpuSchedule& t, const GpuTarget& target) {
  const std::int64_t blocks = s.batches * ceil_div(s.m, t.m()) * ceil_div(s.n, t.n());
  const std::int64_t on_one = ceil_div(blocks, target.multiprocessors);  // of the busiest multiprocessor
  const std::int64_t resident = std::max<std::int64_t>(
      1,
      std::min({static_cast<std::int64_t>(target.threads / t.threads()),
                target.registers / (registers(s, t) * t.threads()), target.shared_bytes / t.shared_bytes(s.element)}));
  const StepCycles step = step_cycles(s, t, target);
  const double k = static_cast<double>(s.k), stages = std::max(1.0, k / t.k);
  const double throughput = static_cast<double>(on_one) * stages * (t.k * step.throughput + kBarrier / 4);
  const double in_flight = s.async ? t.stages - 1 : 1;
  const double stage = std::max(t.k * step.latency + kBarrier, (kMemoryLatency + kBarrier) / in_flight);
  const double latency = static_cast<double>(ceil_div(on_one, resident)) * (stages * stage + kStart);
  // Every block reads its rows and columns through the second-level cache.
  const double bytes = static_cast<double>(blocks) * k * static_cast<double>((t.m() + t.n()) * s.element);
  const double traffic = bytes / target.l2_bytes_per_cycle;
  return std::max({throughput, latency, traffic}) + 0.05 * (throughput + latency + traffic);
}

GpuSchedule choose_tile(const ContractShape& s, const GpuTarget& target) {
  GpuSchedule best;
  double least = -1;
  for_each_tile(s, target, [&](const GpuSchedule& t) {
    // More than half of the tile empty, though it could be smaller.
    const int least_m = t.matrices ? 16 : 8, least_k = t.matrices ? 16 : 8;
    const bool wasteful =
        (t.m() >= 2 * s.m && t.m() > least_m) || (t.n() >= 2 * s.n && t.n() > 8) || (t.k >= 2 * s.k && t.k > least_k);
    if (wasteful || t.m() > 128 || t.n() > 128 || registers(s, t) > kMostRegisters ||
        t.shared_bytes(s.element) > target.shared_bytes)
      return;
    const double cycles = tile_cycles(s, t, target);
    if (least < 0 || cycles < 0.99 * least) least = cycles, best = t;
  });
  return best;
}

ContractShape contract_shape(const Program& p, const Kernel& k) {
  const KernelStage& sum = *leading_contraction(k);
  const RoleAxes axes = role_axes(k);
  const auto extent = [&](AxisId a) { return a == kNone ? 1 : at(k.axes, a).extent; };
  const DType t = at(k.exprs, sum.lhs).dtype;
  const std::vector<UnprovenIndex> unproven = p.check_indices ? unproven_indices(p, k) : std::vector<UnprovenIndex>{};
  const auto is_copied = [&](ExprId id) {
    const Expr& e = at(k.exprs, id);
    return e.kind == Expr::load && e.args.empty() && size_of(e.dtype) >= 4 &&
           std::ranges::find(unproven, id, &UnprovenIndex::load) == unproven.end();
  };
  return {extent(axes.b),
          extent(axes.m),
          extent(axes.n),
          extent(axes.k),
          static_cast<std::int64_t>(size_of(t)),
          is_copied(sum.lhs) && is_copied(sum.rhs)};
}

void tile_contraction(const Program& p, Kernel& k, const GpuTarget& target) {
  if (!gpu_tile_objection(k).empty()) return;
  GpuTarget machine = target;
  if (at(k.exprs, leading_contraction(k)->lhs).dtype != f32) machine.numerics = Numerics::exact;
  GpuSchedule tile = choose_tile(contract_shape(p, k), machine);
  const auto* before = std::get_if<GpuSchedule>(&k.schedule);
  tile.thread_axis = before ? before->thread_axis : role_axes(k).n;
  k.schedule = tile;
}

}  // namespace weft

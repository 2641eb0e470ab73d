// Loops as what they stand for: kernels one after the other.
#include "ir/kernel/loops.h"

#include "ir/base/error.h"
#include "ir/kernel/kernel_builder.h"

namespace weft {
namespace {

class Walk {
 public:
  Walk(const Program& p, const std::function<void(std::size_t, std::span<const std::int64_t>)>& f) : p_(p), f_(f) {}

  /// Kernels [begin, end), in which the loops from number `loop` on are.
  void run(std::size_t begin, std::size_t end, std::size_t loop) {
    for (std::size_t k = begin; k < end;) {
      if (loop >= p_.loops.size() || p_.loops[loop].begin != k || p_.loops[loop].end > end) {
        f_(k++, turns_);
        continue;
      }
      const Loop& l = p_.loops[loop++];
      for (std::int64_t t = 0; t < l.turns; ++t) {
        turns_.push_back(t);
        run(l.begin, l.end, loop);
        turns_.pop_back();
      }
      k = l.end;
      while (loop < p_.loops.size() && p_.loops[loop].begin < k) ++loop;
    }
  }

 private:
  const Program& p_;
  const std::function<void(std::size_t, std::span<const std::int64_t>)>& f_;
  std::vector<std::int64_t> turns_;
};

}  // namespace

Kernel at_turn(const Kernel& k, std::span<const std::int64_t> turns) {
  ensure(std::ssize(turns) == k.turns, "kernel @{} is in {} loops, not {}", k.name, k.turns, turns.size());
  if (k.turns == 0) return k;
  const auto now = [&](AxisId a) { return a == kNone ? kNone : static_cast<AxisId>(a - k.turns); };
  const auto all_now = [&](std::vector<AxisId>& axes) {
    for (AxisId& a : axes) a = now(a);
  };
  KernelBuilder b;
  b.kernel.name = k.name;
  b.kernel.locs = k.locs;
  b.kernel.axes.assign(k.axes.begin() + k.turns, k.axes.end());
  KernelRewriter rw(k, b, [&](AxisId a) {
    return a < k.turns ? constant_index(turns[static_cast<std::size_t>(a)]) : axis_index(now(a));
  });
  b.kernel.schedule = k.schedule;
  if (auto* cpu = std::get_if<CpuSchedule>(&b.kernel.schedule)) cpu->vector_axis = now(cpu->vector_axis);
  if (auto* gpu = std::get_if<GpuSchedule>(&b.kernel.schedule)) gpu->thread_axis = now(gpu->thread_axis);
  for (ExprId e = 0; e < static_cast<ExprId>(k.exprs.size()); ++e) rw.copy(e);
  for (const Phase& old : k.phases) {
    Phase phase{old.parallel, {}, old.chunk};
    all_now(phase.parallel);
    for (const KernelStage& s : old.stages) {
      KernelStage stage = rw.stage(s);
      stage.axis = now(stage.axis);
      for (std::vector<AxisId>* role : {&stage.roles.b, &stage.roles.m, &stage.roles.n, &stage.roles.k}) all_now(*role);
      phase.stages.push_back(std::move(stage));
    }
    b.kernel.phases.push_back(std::move(phase));
  }
  return std::move(b.kernel);
}

void for_each_run(const Program& p, const std::function<void(std::size_t, std::span<const std::int64_t>)>& f) {
  Walk(p, f).run(0, p.kernels.size(), 0);
}

std::int64_t listed_size(const Program& p, std::int64_t most, std::size_t first) {
  std::int64_t all = 0;
  for (std::size_t k = first; k < p.kernels.size(); ++k) {
    std::int64_t size = std::ssize(p.kernels[k].exprs) + 1;
    for (const Loop& l : p.loops)
      if (l.holds(k)) size = size == 0 || l.turns <= most / size ? size * l.turns : most + 1;
    if (size > most - all) return most + 1;
    all += size;
  }
  return all;
}

}  // namespace weft

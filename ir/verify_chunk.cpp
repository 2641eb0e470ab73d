// Invariant 14 of ir/verify_kernel.cpp: a phase whose points run in order within chunks. A chunk is not negative and at
// most kMaxPoints, there is no contraction, and what a scatter adds to is the business of that scatter alone: all else
// is as if the points were independent, so that several rows may be under way at once.
#include "ir/at.h"
#include "ir/kernel_walk.h"
#include "ir/print_kernel.h"
#include "ir/verify_kernel.h"

namespace weft {
namespace {

/// Whether some stage of the phase, other than `scatter`, loads or stores the storage that it adds to.
bool is_shared(const Program& p, const Kernel& k, const Phase& phase, const KernelStage& scatter) {
  const BufferId sum = storage(p, scatter.stores[0].buffer);
  for (const KernelStage& s : phase.stages)
    for (const Store& t : s.stores)
      if (&s != &scatter && storage(p, t.buffer) == sum) return true;
  std::vector<ExprId> roots;
  for (const KernelStage& s : phase.stages)
    for (ExprId e : roots_of(s)) roots.push_back(e);
  const std::vector<bool> used = needed(k, roots);
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i] && k.exprs[i].kind == Expr::load && storage(p, k.exprs[i].buffer) == sum) return true;
  return false;
}

}  // namespace

std::optional<Violation> find_chunk_violation(const Program& p) {
  for (std::size_t i = 0; i < p.kernels.size(); ++i) {
    const Kernel& k = p.kernels[i];
    const auto broken = [&](std::string what) { return Violation{static_cast<std::int32_t>(i), std::move(what)}; };
    for (const Phase& phase : k.phases) {
      if (phase.chunk < 0 || phase.chunk > kMaxPoints) return broken(fmt::format("a chunk of {} points", phase.chunk));
      if (phase.chunk == 0) continue;
      for (const KernelStage& s : phase.stages) {
        if (s.kind == KernelStage::contract) return broken("a contraction in a phase with a chunk");
        if (s.kind == KernelStage::scatter && is_shared(p, k, phase, s))
          return broken(fmt::format("another stage of a phase with a chunk uses %{}, to which a scatter adds",
                                    at(p.buffers, s.stores[0].buffer).name));
      }
    }
  }
  return {};
}

}  // namespace weft

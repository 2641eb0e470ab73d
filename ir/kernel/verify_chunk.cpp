// Invariant 14 of ir/kernel/verify_kernel.cpp: a phase whose points run in order within chunks. A chunk is not negative
// and at most kMaxPoints, there is no contraction, and what a scatter adds to is the business of that scatter alone:
// all else is as if the points were independent, so that several rows may be under way at once. Only there does a
// scatter have a second store: to another buffer, with the access and the value of the first one, and without a
// predicate.
//
// The axis that counts the chunks of a contraction is parallel there, has as many values as there are chunks, and is no
// axis of its roles, of what its factors change with, or of lanes: points that are computed together share a chunk.
#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/print_kernel.h"
#include "ir/kernel/verify_kernel.h"

namespace weft {
namespace {

/// Whether some stage of the phase, other than `scatter`, loads or stores the storage `sum` that it adds to.
bool is_shared(const Program& p, const Kernel& k, const Phase& phase, const KernelStage& scatter, BufferId sum) {
  return std::ranges::any_of(phase.stages, [&](const KernelStage& s) {
    const Touched t = touched(p, k, s);
    return std::ranges::count(t.loads, sum) || (&s != &scatter && std::ranges::count(t.stores, sum));
  });
}

/// What is wrong with a scatter's stores, the first of which is well-formed; empty: nothing.
std::string stores_violation(const Program& p, const Phase& phase, const KernelStage& s) {
  if (s.stores.size() == 1) return {};
  const std::string& buffer = at(p.buffers, s.stores[0].buffer).name;
  if (s.stores.size() > 2) return fmt::format("a scatter to %{} with {} stores", buffer, s.stores.size());
  const Store &run = s.stores[0], &sum = s.stores[1];
  if (phase.chunk == 0) return fmt::format("runs of %{} are added up in a phase without a chunk", buffer);
  if (s.predicate != kNone) return fmt::format("runs of %{} are added up where a predicate holds", buffer);
  if (storage(p, run.buffer) == storage(p, sum.buffer) || run.access != sum.access || run.value != sum.value ||
      at(p.buffers, run.buffer).panels != at(p.buffers, sum.buffer).panels ||
      at(p.buffers, run.buffer).type != at(p.buffers, sum.buffer).type)
    return fmt::format("runs of %{} are added to %{}, at another place or in another shape", buffer,
                       at(p.buffers, sum.buffer).name);
  return {};
}

/// What is wrong with the axis that counts a stage's chunks; empty: nothing.
std::string chunk_axis_violation(const Kernel& k, const Phase& phase, const KernelStage& s) {
  const AxisId c = s.chunk_axis;
  if (c == kNone) return {};
  if (s.kind != KernelStage::contract) return "chunks of what is no contraction";
  if (std::ranges::count(phase.parallel, c) == 0)
    return fmt::format("chunks are counted by axis {}, which is not parallel", c);
  const Axis& axis = at(k.axes, c);
  for (const auto& [name, role] : kRoles)
    if (std::ranges::count(s.roles.*role, c))
      return fmt::format("axis {} counts chunks and is an axis of {}", axis.name, name);
  const std::int64_t chunks = ceil_div(extent_of(k, s.roles.k), kContractChunk);
  if (axis.extent != chunks)
    return fmt::format("chunks are counted by axis {} of {}, expected {}", axis.name, axis.extent, chunks);
  const std::vector<bool> used = needed(k, {s.lhs, s.rhs});
  for (std::size_t e = 0; e < used.size(); ++e)
    for (const Index& index : k.exprs[e].access)
      for (const auto& [a, coefficient] : index.terms)
        if (used[e] && a == c) return fmt::format("a factor changes with axis {}, which counts chunks", axis.name);
  if (lane_axis(k) == c) return fmt::format("lanes run along axis {}, which counts chunks", axis.name);
  return {};
}

}  // namespace

std::optional<Violation> find_chunk_violation(const Program& p) {
  for (std::size_t i = 0; i < p.kernels.size(); ++i) {
    const Kernel& k = p.kernels[i];
    const auto broken = [&](std::string what) { return Violation{static_cast<std::int32_t>(i), std::move(what)}; };
    for (const Phase& phase : k.phases) {
      for (const KernelStage& s : phase.stages) {
        if (std::string what = chunk_axis_violation(k, phase, s); !what.empty()) return broken(std::move(what));
        if (s.kind == KernelStage::scatter)
          if (std::string what = stores_violation(p, phase, s); !what.empty()) return broken(std::move(what));
      }
      if (phase.chunk < 0 || phase.chunk > kMaxPoints) return broken(fmt::format("a chunk of {} points", phase.chunk));
      if (phase.chunk == 0) continue;
      for (const KernelStage& s : phase.stages) {
        if (s.kind == KernelStage::contract) return broken("a contraction in a phase with a chunk");
        for (const Store& t : s.stores)
          if (s.kind == KernelStage::scatter && is_shared(p, k, phase, s, storage(p, t.buffer)))
            return broken(fmt::format("another stage of a phase with a chunk uses %{}, to which a scatter adds",
                                      at(p.buffers, t.buffer).name));
      }
    }
  }
  return {};
}

}  // namespace weft

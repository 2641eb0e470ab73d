// Which expressions of a kernel others need, and where it touches memory.
#pragma once
#include <concepts>
#include <type_traits>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// The axes that a stage walks along, the first outermost; none where it runs once. Of a contraction: those it sums
/// over.
std::vector<AxisId> axes_of(const KernelStage&);

/// What a stage evaluates: its operands, predicate and stored values, and the indirect indices of its stores. Some are
/// kNone.
std::vector<ExprId> roots_of(const KernelStage&);
std::vector<ExprId> roots_of(const Phase&);  ///< of all its stages
/// need[e]: expression e is one of `roots` (kNone: none) or something that they are computed from, indices included.
std::vector<bool> needed(const Kernel&, const std::vector<ExprId>& roots);

/// Kernel, const or not: what is visited may be changed where the kernel may.
template <class K>
concept AKernel = std::same_as<std::remove_const_t<K>, Kernel>;

/// Calls f(buffer, access, load) for each access of the kernel: the loads, in order, then the stores. `load` is the
/// expression; kNone: a store.
template <AKernel K, class F>
void for_each_access(K& k, F&& f) {
  for (std::size_t e = 0; e < k.exprs.size(); ++e)
    if (auto& x = k.exprs[e]; x.kind == Expr::load) f(x.buffer, x.access, static_cast<ExprId>(e));
  for (auto& phase : k.phases)
    for (auto& stage : phase.stages)
      for (auto& store : stage.stores) f(store.buffer, store.access, kNone);
}

/// The loads that evaluating `roots` takes, in order: f(buffer, access, load).
template <class F>
void for_each_load(const Kernel& k, const std::vector<ExprId>& roots, F&& f) {
  const std::vector<bool> need = needed(k, roots);
  for (std::size_t e = 0; e < need.size(); ++e)
    if (const Expr& x = k.exprs[e]; need[e] && x.kind == Expr::load) f(x.buffer, x.access, static_cast<ExprId>(e));
}

/// The same of what one stage, or one phase, of the kernel loads and stores.
template <class F>
void for_each_access(const Kernel& k, const KernelStage& stage, F&& f) {
  for_each_load(k, roots_of(stage), f);
  for (const Store& store : stage.stores) f(store.buffer, store.access, kNone);
}
template <class F>
void for_each_access(const Kernel& k, const Phase& phase, F&& f) {
  for_each_load(k, roots_of(phase), f);
  for (const KernelStage& stage : phase.stages)
    for (const Store& store : stage.stores) f(store.buffer, store.access, kNone);
}

/// The buffers whose storage is loaded, and stored to, each as often as that happens.
struct Touched {
  std::vector<BufferId> loads, stores;
};
Touched touched(const Program&, const Kernel&);
Touched touched(const Program&, const Kernel&, const Phase&);
Touched touched(const Program&, const Kernel&, const KernelStage&);

}  // namespace weft

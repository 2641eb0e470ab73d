// Arguments precede their users, so that one walk from the last expression to the first finds all that is needed.
#include "ir/kernel/kernel_walk.h"

namespace weft {

std::vector<AxisId> axes_of(const KernelStage& s) {
  if (s.kind == KernelStage::contract) return s.roles.k;
  return s.axis == kNone ? std::vector<AxisId>{} : std::vector<AxisId>{s.axis};
}

std::vector<ExprId> roots_of(const KernelStage& s) {
  std::vector<ExprId> roots = {s.predicate, s.value, s.lhs, s.rhs};
  for (const Store& t : s.stores) {
    roots.push_back(t.value);
    for (const Index& i : t.access) roots.push_back(i.indirect);
  }
  return roots;
}

std::vector<ExprId> roots_of(const Phase& phase) {
  std::vector<ExprId> roots;
  for (const KernelStage& s : phase.stages)
    for (ExprId e : roots_of(s)) roots.push_back(e);
  return roots;
}

std::vector<bool> needed(const Kernel& k, const std::vector<ExprId>& roots) {
  std::vector<bool> need(k.exprs.size(), false);
  const auto use = [&](ExprId e) {
    if (e != kNone) need[static_cast<std::size_t>(e)] = true;
  };
  for (ExprId e : roots) use(e);
  for (std::size_t i = need.size(); i-- > 0;) {
    if (!need[i]) continue;
    for (ExprId arg : k.exprs[i].args) use(arg);
    for (const Index& index : k.exprs[i].access) use(index.indirect);
  }
  return need;
}

namespace {

template <class... Part>
Touched touched_by(const Program& p, const Part&... part) {
  Touched t;
  for_each_access(part..., [&](BufferId id, const std::vector<Index>&, ExprId load) {
    (load == kNone ? t.stores : t.loads).push_back(storage(p, id));
  });
  return t;
}

}  // namespace

Touched touched(const Program& p, const Kernel& k) { return touched_by(p, k); }
Touched touched(const Program& p, const Kernel& k, const Phase& phase) { return touched_by(p, k, phase); }
Touched touched(const Program& p, const Kernel& k, const KernelStage& s) { return touched_by(p, k, s); }

}  // namespace weft

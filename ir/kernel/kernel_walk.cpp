// Arguments precede their users, so that one walk from the last expression to the first finds all that is needed.
#include "ir/kernel/kernel_walk.h"

namespace weft {

std::vector<ExprId> roots_of(const KernelStage& s) {
  std::vector<ExprId> roots = {s.predicate, s.value, s.lhs, s.rhs};
  for (const Store& t : s.stores) {
    roots.push_back(t.value);
    for (const Index& i : t.access) roots.push_back(i.indirect);
  }
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

}  // namespace weft

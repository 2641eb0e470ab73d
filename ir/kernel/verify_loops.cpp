// Invariant 15 of ir/kernel/verify_kernel.cpp: loops hold kernels and are sorted; those that share kernels are one in
// the other. The first axes of a kernel count the turns of the loops around it, and only those. A program with loops
// has no arena yet, and the kernels of all turns are few enough to list.
#include "ir/base/error.h"
#include "ir/kernel/loops.h"
#include "ir/kernel/verify_kernel.h"

namespace weft {

std::optional<Violation> find_loop_violation(const Program& p) {
  std::optional<Violation> found;
  const auto broken = [&]<class... Args>(std::int32_t kernel, fmt::format_string<Args...> format, Args&&... args) {
    found = Violation{.kernel = kernel, .what = fmt::format(format, std::forward<Args>(args)...)};
    return found;
  };
  std::vector<const Loop*> open;
  for (std::size_t i = 0; i < p.loops.size(); ++i) {
    const Loop& l = p.loops[i];
    if (l.begin >= l.end || l.end > p.kernels.size()) return broken(kNone, "loop {} has no kernels", i);
    if (l.turns < 0) return broken(kNone, "loop {} has {} turns", i, l.turns);
    if (i > 0 && l.begin < p.loops[i - 1].begin) return broken(kNone, "loop {} begins before the one before it", i);
    while (!open.empty() && open.back()->end <= l.begin) open.pop_back();
    if (!open.empty() && l.end > open.back()->end) return broken(kNone, "loop {} ends after the one around it", i);
    open.push_back(&l);
  }
  if (!p.loops.empty() && p.arena_bytes != 0)
    return broken(kNone, "has loops and an arena, which is for what they have become");
  if (!p.loops.empty() && listed_size(p, kMaxListed) > kMaxListed)
    return broken(kNone, "all turns of its loops are more than {} kernels and expressions", kMaxListed);
  for (std::size_t i = 0; i < p.kernels.size(); ++i) {
    const Kernel& k = p.kernels[i];
    const auto number = static_cast<std::int32_t>(i);
    std::vector<std::int64_t> turns;
    for (const Loop& l : p.loops)
      if (l.holds(i)) turns.push_back(l.turns);
    if (k.turns != std::ssize(turns) || k.turns > std::ssize(k.axes))
      return broken(number, "counts the turns of {}, and is in {}", counted(k.turns, "loop"), turns.size());
    for (std::size_t a = 0; a < turns.size(); ++a)
      if (k.axes[a].extent != turns[a])
        return broken(number, "axis {} counts {} of a loop of {}", k.axes[a].name, counted(k.axes[a].extent, "turn"),
                      turns[a]);
  }
  return found;
}

}  // namespace weft

// A kernel for each turn; code generation makes the code of equal ones once.
#include "passes/kernel/unroll.h"

#include <set>

#include "ir/kernel/loops.h"

namespace weft {

void unroll_loops(Program& p) {
  if (p.loops.empty()) return;
  std::set<std::string> names;
  for (const Kernel& k : p.kernels)
    if (k.turns == 0) names.insert(k.name);
  std::vector<Kernel> kernels;
  for_each_run(p, [&](std::size_t number, std::span<const std::int64_t> turns) {
    Kernel& k = kernels.emplace_back(at_turn(p.kernels[number], turns));
    if (turns.empty()) return;
    for (const std::int64_t t : turns) k.name += fmt::format("_{}", t);
    while (!names.insert(k.name).second) k.name += '_';
  });
  p.kernels = std::move(kernels);
  p.loops.clear();
}

}  // namespace weft

// Which expressions of a kernel others need.
#pragma once
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// What a stage evaluates: its operands, predicate and stored values, and the indirect indices of its stores. Some are
/// kNone.
std::vector<ExprId> roots_of(const KernelStage&);
/// need[e]: expression e is one of `roots` (kNone: none) or something that they are computed from, indices included.
std::vector<bool> needed(const Kernel&, const std::vector<ExprId>& roots);

}  // namespace weft

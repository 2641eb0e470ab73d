// Which kernels can use buffers in panels (ir/memory/panels.h).
#pragma once
#include <string>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// What keeps a kernel from using `buffer` in panels, or "": in each of its accesses the last index is one axis alone,
/// of which no other index depends; in a contraction that axis is n, or k of the right operand (an axis that lanes walk
/// through from its beginning, so that no vector lies in two panels); a scatter uses rows.
std::string panel_objection(const Kernel&, BufferId buffer);

}  // namespace weft

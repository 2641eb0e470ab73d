// CPU schedules: vector axes and contraction tiles from the target's registers and caches. Results do not depend on them.
#pragma once
#include "ir/kernel.h"
#include "ir/target.h"

namespace weft {

/// Sets Kernel::schedule of every kernel. Contractions keep the axis roles (b, m, n, k) that lowering gave them.
void schedule(Program&, const Target&);

}  // namespace weft

// Programs without loops.
#pragma once
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Lists the kernels of all turns of all loops, one after the other: @k of turns 2 and 5 is @k_2_5.
void unroll_loops(Program&);

}  // namespace weft

// Memory planning: one arena for all temporaries, its exact size known before the run.
#pragma once
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Sets the offset of every temp and Program::arena_bytes. Temps whose lifetimes (first store to last load, in kernel order) do not
/// overlap may share bytes. Temps that no kernel touches get offset 0 and no bytes.
void plan_memory(Program&);

}  // namespace weft

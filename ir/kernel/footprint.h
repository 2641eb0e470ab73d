// What a phase of a kernel touches: by it the runtime knows which launches must wait for which.
#pragma once
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

struct Footprint {
  std::vector<BufferUse> uses;  ///< each once, in order; constants apart
  double bytes = 0;             ///< loaded and stored, at most
};
/// Of a phase whose work is shared out along the axis `split` (kNone: in another way).
Footprint footprint(const Program&, const Kernel&, const Phase&, AxisId split);

}  // namespace weft

// What a device must know of a function to launch it.
#include "ir/artifact/device_artifact.h"

namespace weft {

DeviceLaunch launch_of(const simt::Function& f, std::string symbol) {
  DeviceLaunch launch{f.name, std::move(symbol), f.blocks, f.threads, simt::shared_layout(f).back(), {}};
  for (const simt::Memory& m : f.memories)
    if (m.space == simt::Memory::global) launch.buffers.push_back(m.buffer);
  return launch;
}

}  // namespace weft

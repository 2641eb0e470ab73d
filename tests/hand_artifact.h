// Artefacts whose code is functions of the test.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "ir/artifact/host_artifact.h"

namespace weft::test {

struct HandLaunch {
  KernelFn function = nullptr;
  std::int64_t units = 0;
  double cycles = 0;
  std::int64_t scratch_bytes = 0;
};
/// Each launch is said to store to all of every buffer: one after the other.
inline HostArtifact hand_artifact(std::shared_ptr<const BufferTable> table, const std::vector<HandLaunch>& launches) {
  HostArtifact a{.memory = std::move(table)};
  for (const HandLaunch& hand : launches) {
    HostLaunch l{.kernel = static_cast<std::int32_t>(a.launches.size()), .units = hand.units};
    l.cycles = hand.cycles;
    l.scratch_bytes = hand.scratch_bytes;
    if (a.memory)
      for (std::size_t b = 0; b < a.memory->buffers.size(); ++b)
        l.uses.push_back(
            {.buffer = static_cast<BufferId>(b), .store = true, .end = byte_size(a.memory->buffers[b].type)});
    a.launches.push_back(std::move(l));
    a.code.functions.push_back(hand.function);
  }
  return a;
}

}  // namespace weft::test

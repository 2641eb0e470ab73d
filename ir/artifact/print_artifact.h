// Artefacts as text, to be read by people.
#pragma once
#include <string>

#include <weft/ir/artifact/device_artifact.h>
#include <weft/ir/artifact/host_artifact.h>

namespace weft {

/// The buffers, then each launch: how much work it is and how it is shared out, what it touches, and its code.
std::string print(const HostArtifact&);
/// The buffers, then each launch: its blocks and threads, and its code.
std::string print(const DeviceArtifact&);

}  // namespace weft

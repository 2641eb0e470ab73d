// Buffers as text, as kernels and artefacts write them.
#pragma once
#include <string>
#include <string_view>

#include <weft/ir/memory/buffer.h>

namespace weft {

/// The buffer kinds by name, in the order of Buffer::Kind.
inline constexpr std::string_view kBufferKinds[] = {"input", "state", "output", "temp", "constant", "view"};

/// `%t0`; `%?7` for an id that is none.
std::string buffer_name(const BufferTable&, BufferId);
/// The buffers, the arena, and the lists of inputs, outputs and updates: lines indented by two spaces.
std::string buffers_text(const BufferTable&);

}  // namespace weft

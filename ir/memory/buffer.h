// The memory of a compiled function: what kernels, device code and the runtime mean by a buffer.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <weft/ir/base/array.h>
#include <weft/ir/base/at.h>

namespace weft {

using BufferId = std::int32_t;

/// A named piece of memory.
struct Buffer {
  enum Kind : std::uint8_t {
    input,     // the caller's memory, read only
    state,     // kept between calls, updated in place
    output,    // handed to the caller
    temp,      // in the arena
    constant,  // `literal`
    view,      // the storage of `base` under another shape
  } kind = temp;
  std::string name;
  Type type;
  BufferId base = kNone;    // view
  std::int64_t offset = 0;  // temp: bytes from the start of the arena, a multiple of 64
  /// State, temp, their views: the last dimension is stored in panels this wide (ir/memory/panels.h).
  std::int64_t panels = 0;
  std::shared_ptr<const Array> literal;
};

/// Bytes of a buffer that code loads, or stores.
struct BufferUse {
  BufferId buffer = kNone;
  bool store = false;
  std::int64_t begin = 0, end = 0;
  /// Where work is shared out along an axis by which the bytes lie: those of one index of it, and work on indices [a, b)
  /// touches [begin + a * row, begin + b * row) alone. 0: it may touch all of them.
  std::int64_t row = 0;
  friend auto operator<=>(const BufferUse&, const BufferUse&) = default;
};

/// The memory that a compiled function works on.
struct BufferTable {
  std::string name;  ///< of the function
  std::vector<Buffer> buffers;
  std::vector<BufferId> inputs;   ///< one for each Graph::inputs(), data and state
  std::vector<BufferId> outputs;  ///< one for each Graph::outputs()
  /// One for each Graph::updates(): the state's buffer, which holds the new value afterwards.
  std::vector<BufferId> updates;
  std::int64_t arena_bytes = 0;  ///< size of the arena that the temps share; set by plan_memory
};

/// The buffer that owns the storage of `id`.
inline BufferId storage(const BufferTable& t, BufferId id) {
  while (t.buffers[static_cast<std::size_t>(id)].kind == Buffer::view)
    id = t.buffers[static_cast<std::size_t>(id)].base;
  return id;
}

}  // namespace weft

// Signed ids, of kernels and of buffers, and subscripts by them.
#pragma once
#include <cstddef>
#include <cstdint>

namespace weft {

/// The id of nothing.
inline constexpr std::int32_t kNone = -1;

/// c[i] for an id that is known to be valid (not kNone).
template <class C>
decltype(auto) at(C& c, std::int32_t i) {
  return c[static_cast<std::size_t>(i)];
}

}  // namespace weft

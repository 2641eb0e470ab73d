// Subscripts by the signed ids of the kernel IR.
#pragma once
#include <cstddef>
#include <cstdint>

namespace weft {

/// c[i] for an id that is known to be valid (not kNone).
template <class C>
decltype(auto) at(C& c, std::int32_t i) {
  return c[static_cast<std::size_t>(i)];
}

}  // namespace weft

// Names of the element types.
#include "ir/base/dtype.h"

#include <array>

namespace weft {
namespace {
constexpr std::array<std::string_view, 9> kNames = {"f32", "f64", "i32", "i64", "u8", "bool", "bf16", "f16", "tuple"};
}

std::string_view name(DType t) { return kNames[static_cast<std::size_t>(t)]; }

std::optional<DType> parse_dtype(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == text && static_cast<DType>(i) != tuple) return static_cast<DType>(i);
  return {};
}

}  // namespace weft

// How far results may be from the interpreter's: the one choice that trades bits for speed.
#pragma once
#include <cstdint>
#include <string_view>

namespace weft {

enum class Numerics : std::uint8_t {
  exact,  ///< the same bits on every device
  fast,   ///< rewrite rules may change values; GPUs multiply f32 on tensor cores, operands rounded to tf32 (10 bits)
  bf16,   ///< fast, with operands rounded to bf16 (7 bits)
};

std::string_view name(Numerics);
/// Throws Error listing the names for an unknown one.
Numerics parse_numerics(std::string_view name);

}  // namespace weft

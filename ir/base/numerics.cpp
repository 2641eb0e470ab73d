// Names of numerics.
#include "ir/base/numerics.h"

#include <array>

#include "ir/base/error.h"

namespace weft {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"exact", "fast", "bf16"};

}  // namespace

std::string_view name(Numerics n) { return kNames[static_cast<std::size_t>(n)]; }

Numerics parse_numerics(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Numerics>(i);
  fail("numerics: expected exact, fast or bf16, found '{}'", name);
}

}  // namespace weft

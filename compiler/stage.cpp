// Names of stages.
#include "compiler/stage.h"

namespace weft {
namespace {

constexpr std::string_view kNames[] = {"graph", "optimized", "kernels", "llvm",
                                       "asm",   "device",    "ptx",     "artifact"};  // by Stage

}  // namespace

std::string_view name(Stage stage) { return kNames[static_cast<std::size_t>(stage)]; }

std::optional<Stage> stage_named(std::string_view wanted) {
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    if (kNames[i] == wanted) return static_cast<Stage>(i);
  return {};
}

std::string stage_names() {
  std::string names;
  for (const std::string_view n : kNames) names += (names.empty() ? "" : ", ") + std::string(n);
  return names;
}

}  // namespace weft

// The stages of compilation that have a text.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// Up to what runs on a CPU, or on a GPU. `kernels` and `artifact` are those of the machine that the function is
/// compiled for.
enum class Stage : std::uint8_t { graph, optimized, kernels, llvm, assembly, device, ptx, artifact };

std::string_view name(Stage);  ///< "graph", "asm", …
std::optional<Stage> stage_named(std::string_view);
std::string stage_names();  ///< "graph, optimized, …"

constexpr bool is_cpu_code(Stage s) { return s == Stage::llvm || s == Stage::assembly; }
constexpr bool is_gpu_code(Stage s) { return s == Stage::device || s == Stage::ptx; }

}  // namespace weft

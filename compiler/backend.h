// What compiled functions can run on.
#pragma once
#include <cstdint>
#include <string_view>

namespace weft {

/// How a compiled function runs. The results are the same bits.
enum class Backend : std::uint8_t {
  cpu,          // fused kernels through LLVM, on a team of threads
  cuda,         // fused kernels as PTX, on an NVIDIA GPU
  emulator,     // the same device code as `cuda`, run on the host: to test and debug with
  interpreter,  // the reference interpreter: slow; to debug with, or to check a kernel against
};

/// Runs device code, in memory of its own.
constexpr bool is_device(Backend b) { return b == Backend::cuda || b == Backend::emulator; }
std::string_view name(Backend);  ///< "cpu", "cuda", …
/// The backend of that name; "auto" is cuda where there is a usable GPU, else cpu. Throws Error for an unknown name.
Backend backend_named(std::string_view name);

}  // namespace weft

// What this machine can hold, so that a program that needs more gets an error before anything is allocated.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace weft {

/// Bytes that this process may use: the machine's memory, or what its control group or address-space limit leaves of
/// it.
std::int64_t memory_limit();
/// "16.0 GiB".
std::string size_text(std::int64_t bytes);
/// Throws Error "WHAT needs 1.0 TiB of memory, more than the 16.0 GiB that …" when `bytes` are more than that.
void check_memory(std::int64_t bytes, std::string_view what);

}  // namespace weft

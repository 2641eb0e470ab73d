// How memory that compiled code works on is aligned.
#pragma once
#include <cstdint>

namespace weft {

/// Bytes. 64 is the cache line of every x86-64 processor and the widest register that code is generated for (AVX-512).
/// What begins at a multiple of it takes aligned stores of whole vectors, and shares no line with what another thread
/// writes. It is no field of CpuTarget: one array serves code for any of them.
inline constexpr std::int64_t kCacheLine = 64;

/// `bytes` rounded up to whole lines.
constexpr std::int64_t whole_lines(std::int64_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine; }

}  // namespace weft

// Philox4x32-10, the counter-based random generator of Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011). A random tensor is a pure function of a key, a step and an index, on every device.
#pragma once
#include <array>
#include <cstdint>

namespace weft {

/// The 128-bit block for a 128-bit counter and a 64-bit key, words from low to high.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
    counter = {high(b) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b), high(a) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

/// The op `random` at one index: word 0 of the block for counter (index, step), key (key), each split into low and high
/// words.
constexpr std::uint32_t random_word(std::int64_t key, std::int64_t step, std::int64_t index) {
  const auto low = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::int64_t x) { return static_cast<std::uint32_t>(static_cast<std::uint64_t>(x) >> 32); };
  return philox4x32({low(index), high(index), low(step), high(step)}, {low(key), high(key)})[0];
}

}  // namespace weft

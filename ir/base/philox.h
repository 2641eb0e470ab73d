// Philox4x32-10, the counter-based random generator of Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011). A random tensor is a pure function of a key, a step and an index, on every device.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace weft {

/// The 128-bit blocks for N 128-bit counters and one 64-bit key; counters[w][i] and the result's [w][i] are word w of
/// block i, words from low to high. The loops over blocks are such that compilers vectorise them.
template <std::size_t N>
constexpr std::array<std::array<std::uint32_t, N>, 4> philox4x32(std::array<std::array<std::uint32_t, N>, 4> counters,
                                                                 std::array<std::uint32_t, 2> key) {
  auto& [c0, c1, c2, c3] = counters;
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < N; ++i) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * c0[i], b = std::uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ key[0];
      c1[i] = static_cast<std::uint32_t>(b);
      c2[i] = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ key[1];
      c3[i] = static_cast<std::uint32_t>(a);
    }
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counters;
}

/// The block for one counter.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  const auto [c0, c1, c2, c3] = philox4x32<1>({{{counter[0]}, {counter[1]}, {counter[2]}, {counter[3]}}}, key);
  return {c0[0], c1[0], c2[0], c3[0]};
}

/// The op `random` at one index: word 0 of the block for counter (index, step), key (key), each split into low and high
/// words.
constexpr std::uint32_t random_word(std::int64_t key, std::int64_t step, std::int64_t index) {
  const auto low = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::int64_t x) { return static_cast<std::uint32_t>(static_cast<std::uint64_t>(x) >> 32); };
  return philox4x32({low(index), high(index), low(step), high(step)}, {low(key), high(key)})[0];
}

}  // namespace weft

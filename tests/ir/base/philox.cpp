// Philox4x32-10 against the known answers that its authors publish (Random123, kat_vectors).
#include "ir/base/philox.h"

#include <bit>
#include <set>

#include "catch.h"

using namespace weft;

TEST_CASE("Philox gives the published known answers") {
  struct Known {
    std::array<std::uint32_t, 4> counter;
    std::array<std::uint32_t, 2> key;
    std::array<std::uint32_t, 4> block;
  };
  const Known known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Known& k : known) CHECK(philox4x32(k.counter, k.key) == k.block);
}

TEST_CASE("Philox gives each of several blocks what it gives one") {
  constexpr std::size_t kBlocks = 5;
  std::array<std::array<std::uint32_t, kBlocks>, 4> counters;
  for (std::size_t w = 0; w < 4; ++w)
    for (std::size_t i = 0; i < kBlocks; ++i) counters[w][i] = static_cast<std::uint32_t>(0x9E3779B9 * (4 * i + w + 1));
  const std::array<std::uint32_t, 2> key{0xa4093822, 0x299f31d0};
  const auto blocks = philox4x32(counters, key);
  for (std::size_t i = 0; i < kBlocks; ++i)
    CHECK(philox4x32({counters[0][i], counters[1][i], counters[2][i], counters[3][i]}, key) ==
          std::array{blocks[0][i], blocks[1][i], blocks[2][i], blocks[3][i]});
}

TEST_CASE("a random word is word 0 of the block for (index, step) under the key") {
  // The third known answer, with its words joined low first.
  CHECK(random_word(0x299f31d0a4093822, 0x0370734413198a2e, static_cast<std::int64_t>(0x85a308d3243f6a88)) ==
        0xd16cfe09);
  CHECK(random_word(-1, -1, -1) == 0x408f276d);
  static_assert(random_word(0, 0, 0) == 0x6627e8d5);
}

TEST_CASE("random words of neighbouring keys, steps and indices differ, and their bits are balanced") {
  std::set<std::uint32_t> seen;
  std::int64_t ones = 0;
  for (std::int64_t key = 0; key < 10; ++key)
    for (std::int64_t step = 0; step < 10; ++step)
      for (std::int64_t index = 0; index < 10; ++index) {
        const std::uint32_t word = random_word(key, step, index);
        seen.insert(word);
        ones += std::popcount(word);
      }
  CHECK(seen.size() == 1000);
  CHECK(std::abs(ones - 16000) < 400);  // 16000 expected, standard deviation 89
}

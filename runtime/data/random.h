// A stream of random numbers from Philox4x32-10 for data sets: any stream can be opened at once, without running those
// before it.
#pragma once
#include <array>
#include <cstdint>

#include <weft/ir/base/philox.h>

namespace weft {

/// What a stream is for; streams of different purposes never overlap.
enum class Purpose : std::uint32_t { permutation = 0x70e12u, train_digit, test_digit, next_token };

/// The stream named (seed, purpose, index). Only integer operations and exact float ones: the same on every machine.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, Purpose purpose, std::uint64_t index)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        counter_{0, static_cast<std::uint32_t>(purpose), static_cast<std::uint32_t>(index),
                 static_cast<std::uint32_t>(index >> 32)} {}

  std::uint32_t bits() {
    if (left_ == 0) {
      block_ = philox4x32(counter_, key_);
      ++counter_[0];
      left_ = 4;
    }
    return block_[static_cast<std::size_t>(--left_)];
  }
  /// Uniform in 0 … n-1 for 0 < n < 2^32, unbiased (Lemire's multiply with rejection).
  std::uint32_t below(std::uint32_t n) {
    std::uint64_t product = std::uint64_t{bits()} * n;
    if (static_cast<std::uint32_t>(product) < n)
      for (const std::uint32_t least = (0u - n) % n; static_cast<std::uint32_t>(product) < least;)
        product = std::uint64_t{bits()} * n;
    return static_cast<std::uint32_t>(product >> 32);
  }
  /// Uniform in [0, 1), a multiple of 2^-24.
  float unit() { return static_cast<float>(bits() >> 8) * 0x1p-24f; }
  /// Uniform in [lo, hi].
  float between(float lo, float hi) { return lo + (hi - lo) * unit(); }
  /// Bell-shaped with mean 0 and standard deviation 1, within ±3.47: the sum of four uniforms, scaled. The sum is of
  /// integers, so that it does not depend on the order in which a compiler evaluates its operands.
  float bell() {
    const std::uint32_t sum =
        (bits() >> 10) + (bits() >> 10) + (bits() >> 10) + (bits() >> 10);  // < 2^24: exact in f32
    return (static_cast<float>(sum) * 0x1p-22f - 2.0f) * 1.7320508f;
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_, block_{};
  int left_ = 0;
};

}  // namespace weft

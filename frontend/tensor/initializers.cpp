// Initial values from Philox blocks: element i of stream s under a seed depends on (seed, s, i) alone.
#include "frontend/tensor/initializers.h"

#include <algorithm>
#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"
#include "ir/base/float_environment.h"
#include "ir/base/native_fma.h"
#include "ir/base/philox.h"
#include "ir/ops/scalar.h"

namespace weft {
namespace {

constexpr double kTwoPi = 6.283185307179586;

/// The random words 0 and 1 of elements first … first + N - 1; `attempt` numbers redraws.
template <std::size_t N>
std::array<std::array<std::uint32_t, N>, 2> words(std::uint64_t seed, std::uint64_t stream, std::int64_t first,
                                                  std::uint32_t attempt) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  std::array<std::array<std::uint32_t, N>, 4> counters;
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint64_t index = static_cast<std::uint64_t>(first) + i;
    counters[0][i] = low(index), counters[1][i] = high(index) ^ attempt << 16;
    counters[2][i] = low(stream), counters[3][i] = high(stream);
  }
  const auto blocks = philox4x32(counters, {low(seed), high(seed)});
  return {blocks[0], blocks[1]};
}

/// Box-Muller on two words, with weft's own log and cos: the same bits on every machine.
double standard_normal(std::uint32_t word0, std::uint32_t word1) {
  ScalarMachine<double> m;
  const double u = (word0 + 1.0) * 0x1p-32, v = word1 * 0x1p-32;
  return std::sqrt(-2 * approx::log(m, u)) * approx::cos(m, kTwoPi * v);
}

/// Element i is element(i, word 0 of its block, word 1).
template <class F>
Array filled(const Shape& shape, std::uint64_t seed, std::uint64_t stream, F&& element) {
  const DefaultFloats floats;
  Array a(Type{f32, shape});
  const auto values = a.as<float>();
  constexpr std::int64_t kAtOnce = 64;
  with_native_fma([&] {
    for (std::int64_t first = 0; first < a.size(); first += kAtOnce) {
      const auto [word0, word1] = words<kAtOnce>(seed, stream, first, 0);
      const std::int64_t n = std::min(kAtOnce, a.size() - first);
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        values[static_cast<std::size_t>(first) + at] = element(first + i, word0[at], word1[at]);
      }
    }
  });
  return a;
}

struct Fans {
  double in = 1, out = 1;
};

Fans fans(const Shape& shape) {
  const int rank = shape.rank();
  if (rank == 0) return {};
  if (rank == 1) return {static_cast<double>(shape[0]), static_cast<double>(shape[0])};
  double receptive = 1;
  for (int i = 0; i < rank - 2; ++i) receptive *= static_cast<double>(shape[i]);
  return {receptive * static_cast<double>(shape[rank - 2]), receptive * static_cast<double>(shape[rank - 1])};
}

/// make(scale of the fans).
template <class Make, class Scale>
Initializer scaled(Make make, Scale scale) {
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    const DefaultFloats floats;
    if (element_count(shape) == 0) return Array(Type{f32, shape});
    return make(scale(fans(shape)))(shape, seed, stream);
  };
}
Initializer symmetric(double limit) { return uniform(-limit, limit); }
Initializer centred(double stddev) { return truncated_normal(0, stddev); }

void check_normal(const char* what, double mean, double stddev, const std::source_location& where) {
  const LocScope scope(where);
  check_number(what, "mean", mean, Domain::finite);
  check_number(what, "stddev", stddev, Domain::not_negative);
}

}  // namespace

Initializer zeros() { return constant_value(0); }
Initializer ones() { return constant_value(1); }

Initializer constant_value(double value, std::source_location where) {
  const LocScope scope(where);
  check_number("constant_value", "value", value, Domain::finite);
  return [=](const Shape& shape, std::uint64_t, std::uint64_t) { return Array::filled({f32, shape}, value); };
}

Initializer uniform(double low, double high, std::source_location where) {
  const LocScope scope(where);
  check_number("uniform", "low", low, Domain::finite);
  check_number("uniform", "high", high, Domain::finite);
  if (low > high) fail("{}uniform: low {} is above high {}", where_prefix(), low, high);
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    return filled(shape, seed, stream, [&](std::int64_t, std::uint32_t word, std::uint32_t) {
      return static_cast<float>(low + (high - low) * (word * 0x1p-32));
    });
  };
}

Initializer normal(double mean, double stddev, std::source_location where) {
  check_normal("normal", mean, stddev, where);
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    return filled(shape, seed, stream, [&](std::int64_t, std::uint32_t word0, std::uint32_t word1) {
      return static_cast<float>(mean + stddev * standard_normal(word0, word1));
    });
  };
}

Initializer truncated_normal(double mean, double stddev, std::source_location where) {
  check_normal("truncated_normal", mean, stddev, where);
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    return filled(shape, seed, stream, [&](std::int64_t i, std::uint32_t word0, std::uint32_t word1) {
      double z = standard_normal(word0, word1);
      for (std::uint32_t attempt = 1; std::abs(z) > 2; ++attempt) {
        const auto again = words<1>(seed, stream, i, attempt);
        z = standard_normal(again[0][0], again[1][0]);
      }
      return static_cast<float>(mean + stddev * z);
    });
  };
}

// A normal cut at two standard deviations keeps 0.8796 of its standard deviation; the scale makes up for it.
constexpr double kTruncation = 0.87962566103423978;

Initializer glorot_uniform() {
  return scaled(symmetric, [](Fans f) { return std::sqrt(6 / (f.in + f.out)); });
}
Initializer glorot_normal() {
  return scaled(centred, [](Fans f) { return std::sqrt(2 / (f.in + f.out)) / kTruncation; });
}
Initializer he_uniform() {
  return scaled(symmetric, [](Fans f) { return std::sqrt(6 / f.in); });
}
Initializer he_normal() {
  return scaled(centred, [](Fans f) { return std::sqrt(2 / f.in) / kTruncation; });
}

}  // namespace weft

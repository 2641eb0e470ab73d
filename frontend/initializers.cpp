// Initial values from Philox blocks: element i of stream s under a seed depends on (seed, s, i) alone.
#include "frontend/initializers.h"

#include <cmath>

#include "ir/philox.h"
#include "ir/scalar.h"

namespace weft {
namespace {

constexpr double kTwoPi = 6.283185307179586;

/// The random words of one element; `attempt` numbers redraws.
std::array<std::uint32_t, 4> block(std::uint64_t seed, std::uint64_t stream, std::int64_t i, std::uint32_t attempt) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const auto index = static_cast<std::uint64_t>(i);
  return philox4x32({low(index), high(index) ^ attempt << 16, low(stream), high(stream)}, {low(seed), high(seed)});
}

/// Box-Muller on one block, with weft's own log and cos: the same bits on every machine.
double standard_normal(std::uint64_t seed, std::uint64_t stream, std::int64_t i, std::uint32_t attempt) {
  const auto words = block(seed, stream, i, attempt);
  ScalarMachine<double> m;
  const double u = (words[0] + 1.0) * 0x1p-32, v = words[1] * 0x1p-32;
  return std::sqrt(-2 * approx::log(m, u)) * approx::cos(m, kTwoPi * v);
}

template <class F>
Array filled(const Shape& shape, F&& element) {
  Array a(Type{f32, shape});
  const auto values = a.as<float>();
  for (std::int64_t i = 0; i < a.size(); ++i) values[static_cast<std::size_t>(i)] = element(i);
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

/// An initialiser whose scale depends on the fans.
template <class Scale>
Initializer scaled(Initializer (*make)(double, double), double sign, Scale scale) {
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    const double s = scale(fans(shape));
    return make(sign * s, s)(shape, seed, stream);
  };
}

}  // namespace

Initializer zeros() { return constant_value(0); }
Initializer ones() { return constant_value(1); }

Initializer constant_value(double value) {
  return [=](const Shape& shape, std::uint64_t, std::uint64_t) { return Array::filled({f32, shape}, value); };
}

Initializer uniform(double low, double high) {
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    return filled(shape, [&](std::int64_t i) {
      return static_cast<float>(low + (high - low) * (block(seed, stream, i, 0)[0] * 0x1p-32));
    });
  };
}

Initializer normal(double mean, double stddev) {
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    return filled(
        shape, [&](std::int64_t i) { return static_cast<float>(mean + stddev * standard_normal(seed, stream, i, 0)); });
  };
}

Initializer truncated_normal(double mean, double stddev) {
  return [=](const Shape& shape, std::uint64_t seed, std::uint64_t stream) {
    return filled(shape, [&](std::int64_t i) {
      double z = standard_normal(seed, stream, i, 0);
      for (std::uint32_t attempt = 1; std::abs(z) > 2; ++attempt) z = standard_normal(seed, stream, i, attempt);
      return static_cast<float>(mean + stddev * z);
    });
  };
}

// A normal cut at two standard deviations keeps 0.8796 of its standard deviation; the scale makes up for it.
constexpr double kTruncation = 0.87962566103423978;

Initializer glorot_uniform() {
  return scaled(uniform, -1, [](Fans f) { return std::sqrt(6 / (f.in + f.out)); });
}
Initializer glorot_normal() {
  return scaled(truncated_normal, 0, [](Fans f) { return std::sqrt(2 / (f.in + f.out)) / kTruncation; });
}
Initializer he_uniform() {
  return scaled(uniform, -1, [](Fans f) { return std::sqrt(6 / f.in); });
}
Initializer he_normal() {
  return scaled(truncated_normal, 0, [](Fans f) { return std::sqrt(2 / f.in) / kTruncation; });
}

}  // namespace weft

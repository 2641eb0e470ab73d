// Element-wise maps and row shuffles over host arrays.
#include "runtime/data/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "ir/base/float_environment.h"
#include "runtime/data/random.h"

namespace weft::data {
namespace {

/// The shape of one sample of x [N, …]. Throws Error when x is a scalar.
Shape sample_shape(const Array& x, std::string_view what) {
  if (x.shape().rank() == 0) fail("{}: {} has no sample axis", what, to_string(x.type()));
  Shape shape = x.shape();
  shape.erase(0);
  return shape;
}

/// f(index, element as f64) for each element, stored as f64 for f64 and as f32 for any other dtype.
template <class F>
Array mapped(const Array& x, F&& f) {
  Array result(Type{x.dtype() == f64 ? f64 : f32, x.shape()});
  visit_dtype(result.dtype(), [&](auto zero) {
    const auto to = result.as<decltype(zero)>();
    for (std::int64_t i = 0; i < x.size(); ++i)
      to[static_cast<std::size_t>(i)] = static_cast<decltype(zero)>(f(i, x.at(i)));
  });
  return result;
}

}  // namespace

Array scale(const Array& x, double factor, double offset) {
  const DefaultFloats floats;
  return mapped(x, [&](std::int64_t, double value) { return value * factor + offset; });
}

Array scale_to(const Array& x, double lo, double hi) {
  const DefaultFloats floats;
  if (!(lo < hi)) fail("scale_to: the range must have lo < hi, got {} and {}", lo, hi);
  if (x.size() == 0) fail("scale_to: {} has no elements", to_string(x.type()));
  check_finite(x, "scale_to");
  double least = x.at(0), most = least;
  for (std::int64_t i = 1; i < x.size(); ++i) {
    least = std::min(least, x.at(i));
    most = std::max(most, x.at(i));
  }
  const double factor = most > least ? (hi - lo) / (most - least) : 0;
  return mapped(x, [&](std::int64_t, double value) { return (value - least) * factor + lo; });
}

void check_labels(const Array& labels, std::int64_t classes, std::string_view what) {
  if (!is_integer(labels.dtype())) fail("{}: class labels are integers, got {}", what, to_string(labels.type()));
  if (classes <= 0) fail("{}: {} classes; at least 1 is needed", what, classes);
  const std::int64_t rows = labels.shape().rank() == 0 ? 1 : labels.shape()[0];
  visit_dtype(labels.dtype(), [&](auto zero) {
    const auto values = labels.as<decltype(zero)>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<std::int64_t>(values[i]);
      if (value < 0 || value >= classes)
        fail("{}: label {} in row {} is outside 0 … {} ({} classes)", what, value,
             static_cast<std::int64_t>(i) / (labels.size() / rows), classes - 1, classes);
    }
  });
}

void check_finite(const Array& x, std::string_view what) {
  if (!is_float(x.dtype())) return;
  const std::int64_t rows = x.shape().rank() == 0 ? 1 : x.shape()[0];
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const std::int64_t row_size = x.size() / rows;
    if (!std::isfinite(x.at(i)))
      fail("{}: the value in row {}, element {} is {}; expected finite numbers", what, i / row_size, i % row_size,
           plain_nan(x.at(i)));
  }
}

Array one_hot(const Array& labels, std::int64_t classes, DType dtype) {
  const DefaultFloats floats;
  check_labels(labels, classes, "one_hot");
  Shape shape = labels.shape();
  shape.push_back(classes);
  Array result(Type{dtype, shape});
  visit_dtype(dtype, [&](auto zero) {
    const auto to = result.as<decltype(zero)>();
    for (std::int64_t i = 0; i < labels.size(); ++i)
      to[static_cast<std::size_t>(i * classes + static_cast<std::int64_t>(labels.at(i)))] = decltype(zero){1};
  });
  return result;
}

Standardiser::Standardiser(const Array& x)
    : mean_(Type{f64, sample_shape(x, "standardise")}), deviation_(mean_.type()) {
  const DefaultFloats floats;
  const std::int64_t count = x.shape()[0], features = mean_.size();
  if (count == 0) fail("standardise: {} has no samples", to_string(x.type()));
  check_finite(x, "standardise");
  const auto mean = mean_.as<double>(), deviation = deviation_.as<double>();
  const auto each = [&](auto&& f) {
    for (std::int64_t n = 0; n < count; ++n)
      for (std::int64_t i = 0; i < features; ++i) f(static_cast<std::size_t>(i), x.at(n * features + i));
  };
  // Sums of differences to the first sample: for a constant feature they are 0, and its mean is exact.
  std::vector<double> sum(mean.size());
  for (std::int64_t i = 0; i < features; ++i) mean[static_cast<std::size_t>(i)] = x.at(i);
  each([&](std::size_t i, double value) { sum[i] += value - mean[i]; });
  for (std::size_t i = 0; i < sum.size(); ++i) mean[i] += sum[i] / static_cast<double>(count);
  each([&](std::size_t i, double value) { deviation[i] += (value - mean[i]) * (value - mean[i]); });
  for (double& d : deviation) d = d > 0 ? std::sqrt(d / static_cast<double>(count)) : 1;
}

Array Standardiser::apply(const Array& x) const {
  const DefaultFloats floats;
  const Shape shape = sample_shape(x, "standardise");
  if (shape != mean_.shape())
    fail("standardise: samples of shape {} cannot use the mean of samples of shape {}", to_string(shape),
         to_string(mean_.shape()));
  const auto mean = mean_.as<double>(), deviation = deviation_.as<double>();
  return mapped(x, [&](std::int64_t i, double value) {
    const auto feature = static_cast<std::size_t>(i % mean_.size());
    return (value - mean[feature]) / deviation[feature];
  });
}

Dataset Standardiser::apply(const Dataset& set) const { return {apply(set.x), set.y, set.source}; }

std::vector<std::int32_t> permutation(std::int64_t count, std::uint64_t seed, std::uint64_t epoch) {
  if (count < 0 || count > std::numeric_limits<std::int32_t>::max())
    fail("permutation: {} samples; expected 0 … 2^31-1", count);
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, Purpose::permutation, epoch);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  return order;
}

Array take(const Array& x, std::span<const std::int32_t> rows) {
  Shape shape = sample_shape(x, "take");
  const std::int64_t count = x.shape()[0];
  shape.insert(0, static_cast<std::int64_t>(rows.size()));
  Array result(Type{x.dtype(), shape});
  const std::size_t row_bytes = count > 0 ? x.bytes() / static_cast<std::size_t>(count) : 0;
  std::byte* to = result.data();
  for (const std::int32_t row : rows) {
    if (row < 0 || row >= count) fail("take: no row {} among {}", row, count);
    if (row_bytes > 0) std::memcpy(to, x.data() + static_cast<std::size_t>(row) * row_bytes, row_bytes);
    to += row_bytes;
  }
  return result;
}

Dataset take(const Dataset& set, std::span<const std::int32_t> rows) {
  set.size();  // checks that x and y belong together
  return {take(set.x, rows), take(set.y, rows), set.source};
}

Dataset shuffle(const Dataset& set, std::uint64_t seed) { return take(set, permutation(set.size(), seed, 0)); }

std::pair<Dataset, Dataset> split(const Dataset& set, double fraction, std::optional<std::uint64_t> seed) {
  const DefaultFloats floats;
  if (!(fraction > 0 && fraction < 1)) fail("split: the fraction must be between 0 and 1, got {}", fraction);
  const std::int64_t count = set.size();
  const auto first = static_cast<std::int64_t>(static_cast<double>(count) * (1 - fraction));
  if (first == 0 || first == count)
    fail("split: {} samples at fraction {} leave parts of {} and {}; each needs at least 1", count, fraction, first,
         count - first);
  const Dataset ordered = seed ? shuffle(set, *seed) : set;
  return {ordered.rows(0, first), ordered.rows(first, count)};
}

}  // namespace weft::data

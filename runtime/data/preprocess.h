// What is done to data before training: scaling, one-hot labels, standardising, shuffling, splitting. All of it is
// deterministic.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <weft/runtime/data/data.h>

namespace weft::data {

/// x * factor + offset, element by element: computed in f64 and rounded once, to f64 for f64 and to f32 for any other
/// dtype.
Array scale(const Array& x, double factor, double offset = 0);

/// The affine map that takes the smallest element of x to `lo` and the largest to `hi` (all to `lo` when they are
/// equal), with dtypes as in scale(). Throws Error when x has no elements or one that is not finite, or unless lo < hi.
Array scale_to(const Array& x, double lo, double hi);

/// Labels, integers [N, …], to [N, …, classes]: 1 at the label's place, 0 elsewhere. Throws Error as check_labels()
/// does, and when the labels are already of rank kMaxRank.
Array one_hot(const Array& labels, std::int64_t classes, DType dtype = f32);

/// Throws Error unless the labels are integers and each is in 0 … classes-1: the first that is not, its row, and
/// `what`.
void check_labels(const Array& labels, std::int64_t classes, std::string_view what = "labels");

/// Throws Error at the first element that is NaN or infinite: its value, its row and its place in the row, and `what`.
void check_finite(const Array& x, std::string_view what = "data");

/// Removes the mean and the scale of each feature (all axes but the first), as measured on one array, from any other.
class Standardiser {
 public:
  /// Measures x [N, …], N >= 1, in f64. Throws Error when x is empty, a scalar, or not finite.
  explicit Standardiser(const Array& x);
  /// (x - mean) / deviation, with dtypes as in scale(); a feature that was constant is divided by 1, not by 0.
  /// Throws Error when the features of x do not have the shape of those measured.
  Array apply(const Array& x) const;
  Dataset apply(const Dataset&) const;

  const Array& mean() const { return mean_; }            ///< f64, the shape of one sample
  const Array& deviation() const { return deviation_; }  ///< f64: sqrt(mean((x - mean)²)); 1 for a constant feature

 private:
  Array mean_, deviation_;
};

/// The order of `count` samples in epoch `epoch`: a permutation of 0 … count-1, uniformly random (Fisher-Yates over
/// Philox), the same on every machine for the same arguments. Throws Error for a negative count or one beyond 2^31-1.
std::vector<std::int32_t> permutation(std::int64_t count, std::uint64_t seed, std::uint64_t epoch);

/// The given rows, in the given order; a row may occur several times. Throws Error for a row that does not exist.
Array take(const Array& x, std::span<const std::int32_t> rows);
Dataset take(const Dataset&, std::span<const std::int32_t> rows);

/// The samples in the order permutation(size, seed, 0).
Dataset shuffle(const Dataset&, std::uint64_t seed);

/// {the first floor(N (1 - fraction)) samples, the rest}; shuffled before when there is a seed. Throws Error unless
/// 0 < fraction < 1 and both parts have a sample.
std::pair<Dataset, Dataset> split(const Dataset&, double fraction, std::optional<std::uint64_t> seed = {});

}  // namespace weft::data

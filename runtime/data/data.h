// Data sets in memory, and where MNIST is found.
#pragma once
#include <cstdint>
#include <string>

#include <weft/ir/base/array.h>

namespace weft {

/// Samples and their targets: row i of `x` belongs to row i of `y` (axis 0 of both is the sample).
struct Dataset {
  Array x;  ///< any dtype, [N, …]; MNIST: u8[N,784], so that a training step gathers bytes and scales them itself
  Array y;  ///< any dtype, [N, …]; class labels: i32[N]
  std::string source;  ///< where it came from, for people: a directory, a file or "embedded digits"

  /// N. Throws Error when x or y is a scalar or their N differ (an empty Dataset, both scalars, has size 0).
  std::int64_t size() const;
  /// A copy of samples [begin, end).
  Dataset rows(std::int64_t begin, std::int64_t end) const;
};

namespace data {

inline constexpr std::int64_t kImageSide = 28, kImagePixels = kImageSide * kImageSide, kClasses = 10;

struct MnistOptions {
  std::string dir = {};              ///< where the four files are; empty: the environment's WEFT_DATA, then ./data
  std::int64_t train_count = 60000;  ///< samples wanted: of files the first so many (fewer if the file has fewer),
  std::int64_t test_count = 10000;   ///<   of the embedded digits exactly so many
  std::uint64_t seed = 0;            ///< of the embedded digits
  bool quiet = false;                ///< do not say on stderr that the embedded digits are used
};

struct Mnist {
  Dataset train, test;  ///< x: u8[N,784], 0 (paper) … 255 (ink); y: i32[N], 0 … 9
  std::string source;   ///< "MNIST in DIR" or "embedded digits"
};

/// MNIST from its IDX files (original names, each plain or .gz), or else the embedded digits, which is said on stderr.
/// Throws Error when `dir` is given and lacks a file, when only some of the files are found, and for a bad file: wrong
/// rank, size or dtype, images and labels that do not match in number, a label outside 0 … 9, no samples.
Mnist mnist(const MnistOptions& = {});

/// The embedded digits, whatever files there are (`dir` and `quiet` are not looked at).
Mnist digits(const MnistOptions& = {});

}  // namespace data
}  // namespace weft

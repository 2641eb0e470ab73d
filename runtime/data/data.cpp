// Finds MNIST's four files, checks them against each other, and falls back to the embedded digits.
#include "runtime/data/data.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "runtime/data/digits.h"
#include "runtime/files/idx.h"

namespace weft {

std::int64_t Dataset::size() const {
  const int x_rank = x.shape().rank(), y_rank = y.shape().rank();
  if (x_rank == 0 && y_rank == 0) return 0;
  if (x_rank == 0 || y_rank == 0 || x.shape()[0] != y.shape()[0])
    fail("data set{}{}: x is {} and y is {}; axis 0 of both must be the sample, and as long", source.empty() ? "" : " ",
         source, to_string(x.type()), to_string(y.type()));
  return x.shape()[0];
}

Dataset Dataset::rows(std::int64_t begin, std::int64_t end) const {
  if (begin < 0 || begin > end || end > size()) fail("data set: no rows [{}, {}) among {}", begin, end, size());
  if (size() == 0) return *this;
  return {x.rows(begin, end), y.rows(begin, end), source};
}

namespace data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFiles[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                       "t10k-labels-idx1-ubyte"};
enum : std::size_t { train_images, train_labels, test_images, test_labels };

/// The four files as they are in a directory, plain or else .gz, and the names of those that are missing.
struct Found {
  std::vector<std::string> paths;  // in the order of kFiles; all four, or fewer when some are missing
  std::vector<std::string_view> missing;
};

Found look_in(const fs::path& dir) {
  Found found;
  for (const std::string_view file : kFiles) {
    const std::string plain = (dir / file).string(), zipped = plain + ".gz";
    std::error_code ignored;
    if (fs::is_regular_file(plain, ignored)) {
      found.paths.push_back(plain);
    } else if (fs::is_regular_file(zipped, ignored)) {
      found.paths.push_back(zipped);
    } else {
      found.missing.push_back(file);
    }
  }
  return found;
}

[[noreturn]] void fail_missing(const std::string& dir, const Found& found) {
  std::error_code ignored;
  if (!fs::is_directory(dir, ignored)) fail("no MNIST in '{}': there is no such directory", dir);
  fail("no MNIST in '{}': it lacks {} (each may be plain or .gz); scripts/download_mnist.sh {} fetches them", dir,
       fmt::join(found.missing, ", "), dir);
}

Dataset read_pair(const std::string& images_path, const std::string& labels_path, std::int64_t most) {
  const Array images = read_idx(images_path);
  const Shape& shape = images.shape();
  if (images.dtype() != u8 || shape.rank() != 3 || shape[1] != kImageSide || shape[2] != kImageSide)
    fail("{}: holds {}; MNIST's images are u8[N,{},{}]", images_path, to_string(images.type()), kImageSide, kImageSide);
  const Array labels = read_idx(labels_path);
  if (labels.dtype() != u8 || labels.shape().rank() != 1)
    fail("{}: holds {}; MNIST's labels are u8[N]", labels_path, to_string(labels.type()));
  const std::int64_t count = shape[0];
  if (count == 0) fail("{}: holds no images", images_path);
  if (labels.size() != count)
    fail("{}: {} labels for the {} images of {}", labels_path, labels.size(), count, images_path);
  const auto values = labels.as<std::uint8_t>();
  const auto bad = std::find_if(values.begin(), values.end(), [](std::uint8_t v) { return v >= kClasses; });
  if (bad != values.end())
    fail("{}: label {} at index {} is outside 0 … {}", labels_path, *bad, bad - values.begin(), kClasses - 1);
  const Dataset all{images.reshaped({count, kImagePixels}), labels.converted(i32), {}};
  return most < count ? all.rows(0, most) : all;
}

Mnist read_mnist(const std::string& dir, const Found& found, const MnistOptions& options) {
  Mnist mnist{read_pair(found.paths[train_images], found.paths[train_labels], options.train_count),
              read_pair(found.paths[test_images], found.paths[test_labels], options.test_count), "MNIST in " + dir};
  mnist.train.source = mnist.test.source = mnist.source;
  return mnist;
}

void check_counts(const MnistOptions& options) {
  if (options.train_count <= 0 || options.test_count <= 0)
    fail("MNIST: asked for {} training and {} test samples; at least 1 of each is needed", options.train_count,
         options.test_count);
}

}  // namespace

Mnist mnist(const MnistOptions& options) {
  check_counts(options);
  std::vector<std::string> places;
  if (!options.dir.empty()) {
    places = {options.dir};
  } else {
    if (const char* dir = std::getenv("WEFT_DATA"); dir && *dir) places.emplace_back(dir);
    places.emplace_back("data");
  }
  for (const std::string& dir : places) {
    const Found found = look_in(dir);
    if (found.missing.empty()) return read_mnist(dir, found, options);
    if (!options.dir.empty() || !found.paths.empty()) fail_missing(dir, found);
  }
  if (!options.quiet) {
    const std::string notice = fmt::format(
        "no MNIST found (looked in {}): using the embedded digits; scripts/download_mnist.sh fetches MNIST\n",
        fmt::join(places, ", "));
    std::fputs(notice.c_str(), stderr);
  }
  return digits(options);
}

Mnist digits(const MnistOptions& options) {
  check_counts(options);
  Mnist mnist{digits::generate(options.seed, Purpose::train_digit, options.train_count),
              digits::generate(options.seed, Purpose::test_digit, options.test_count),
              {}};
  mnist.source = mnist.train.source;
  return mnist;
}

}  // namespace data
}  // namespace weft

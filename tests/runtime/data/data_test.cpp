// Where MNIST is looked for, what is checked in its files, and the script that fetches them.
#include "runtime/data/data.h"

#include <unistd.h>
#include <cstdlib>

#include <cstdio>
#include <filesystem>
#include <optional>

#include "catch.h"
#include "runtime/files/idx.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// Sets an environment variable (nullptr: none) for the life of the object.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }

 private:
  void set(const char* value) { value ? ::setenv(name_, value, 1) : ::unsetenv(name_); }
  const char* name_;
  std::optional<std::string> old_;
};

/// The working directory for the life of the object.
class WorkingDirectory {
 public:
  explicit WorkingDirectory(const std::string& path) : old_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  ~WorkingDirectory() { std::filesystem::current_path(old_); }

 private:
  std::filesystem::path old_;
};

/// count images, image i all of value i, and label i % 10.
Array images(std::int64_t count) {
  Array a(Type{u8, {count, 28, 28}});
  for (std::int64_t i = 0; i < a.size(); ++i) a.as<std::uint8_t>()[static_cast<std::size_t>(i)] = std::uint8_t(i / 784);
  return a;
}
Array labels(std::int64_t count) {
  Array a(Type{u8, {count}});
  for (std::int64_t i = 0; i < count; ++i) a.as<std::uint8_t>()[static_cast<std::size_t>(i)] = std::uint8_t(i % 10);
  return a;
}
void write_mnist(const std::string& dir, bool gzip) {
  const std::string end = gzip ? ".gz" : "";
  std::filesystem::create_directories(dir);
  write_idx(dir + "/train-images-idx3-ubyte" + end, images(12), gzip);
  write_idx(dir + "/train-labels-idx1-ubyte" + end, labels(12), gzip);
  write_idx(dir + "/t10k-images-idx3-ubyte" + end, images(3), gzip);
  write_idx(dir + "/t10k-labels-idx1-ubyte" + end, labels(3), gzip);
}

data::MnistOptions in(const std::string& dir) {
  data::MnistOptions options;
  options.dir = dir;
  return options;
}
data::MnistOptions few() {
  data::MnistOptions options;
  options.train_count = 20;
  options.test_count = 5;
  options.quiet = true;
  return options;
}

}  // namespace

TEST_CASE("data: MNIST from files") {
  const TempDir dir;
  for (const bool gzip : {false, true}) {
    const std::string place = dir.file(gzip ? "zipped" : "plain");
    write_mnist(place, gzip);
    const data::Mnist mnist = data::mnist(in(place));
    CHECK(mnist.source == "MNIST in " + place);
    CHECK(mnist.train.source == mnist.source);
    CHECK(mnist.train.x.same_bits(images(12).reshaped({12, 784})));
    CHECK(mnist.train.y.same_bits(labels(12).converted(i32)));
    CHECK(mnist.test.size() == 3);
  }
  auto options = in(dir.file("plain"));
  options.train_count = 7;
  options.test_count = 3;
  CHECK(data::mnist(options).train.y.same_bits(labels(7).converted(i32)));
  CHECK(data::mnist(options).test.size() == 3);
}

TEST_CASE("data: the order in which places are looked in") {
  const TempDir dir;
  std::filesystem::create_directories(dir.file("empty"));
  const WorkingDirectory here(dir.path());
  {
    const Environment none("WEFT_DATA", nullptr);
    CHECK(data::mnist(few()).source == "embedded digits");
    write_mnist("data", true);
    CHECK(data::mnist(few()).source == "MNIST in data");
    CHECK(data::digits(few()).source == "embedded digits");
    CHECK(data::digits(few()).train.size() == 20);
  }
  write_mnist("elsewhere", false);
  const Environment elsewhere("WEFT_DATA", "elsewhere");
  CHECK(data::mnist(few()).source == "MNIST in elsewhere");
  CHECK(data::mnist(in("data")).source == "MNIST in data");
  const Environment empty("WEFT_DATA", "empty");
  CHECK(data::mnist(few()).source == "MNIST in data");
}

TEST_CASE("data: the embedded digits are announced once, unless quiet") {
  const TempDir dir;
  const WorkingDirectory here(dir.path());
  const Environment none("WEFT_DATA", "nowhere");
  for (const bool quiet : {false, true}) {
    auto options = few();
    options.quiet = quiet;
    std::fflush(stderr);
    const int saved = ::dup(2);
    FILE* log = std::fopen("log", "wb");
    ::dup2(::fileno(log), 2);
    const data::Mnist mnist = data::mnist(options);
    std::fflush(stderr);
    ::dup2(saved, 2);
    ::close(saved);
    std::fclose(log);
    CHECK(mnist.train.size() == 20);
    CHECK(slurp("log") == (quiet ? ""
                                 : "no MNIST found (looked in nowhere, data): using the embedded digits; "
                                   "scripts/download_mnist.sh fetches MNIST\n"));
  }
}

TEST_CASE("data: missing files") {
  const TempDir dir;
  const std::string gone = dir.file("gone"), part = dir.file("part");
  CHECK(error_of([&] { data::mnist(in(gone)); }) == "no MNIST in '" + gone + "': there is no such directory");
  write_mnist(part, false);
  std::filesystem::remove(part + "/train-labels-idx1-ubyte");
  std::filesystem::remove(part + "/t10k-images-idx3-ubyte");
  const std::string message = "no MNIST in '" + part +
                              "': it lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte (each may be plain or .gz); "
                              "scripts/download_mnist.sh " +
                              part + " fetches them";
  CHECK(error_of([&] { data::mnist(in(part)); }) == message);
  const Environment incomplete("WEFT_DATA", part.c_str());  // some files are there: not a case for other data
  CHECK(error_of([] { data::mnist(few()); }) == message);
  auto none = few();
  none.test_count = 0;
  CHECK(error_of([&] { data::mnist(none); }) ==
        "MNIST: asked for 20 training and 0 test samples; at least 1 of each is needed");
}

TEST_CASE("data: files that are wrong") {
  Array high = labels(12);
  high.as<std::uint8_t>()[7] = 12;
  const struct {
    const char* file;
    Array content;
    std::string message;
  } rows[] = {
      {"train-images-idx3-ubyte", Array(Type{u8, {12, 28}}),
       "D/train-images-idx3-ubyte: holds u8[12,28]; MNIST's images are u8[N,28,28]"},
      {"train-images-idx3-ubyte", Array(Type{u8, {12, 28, 32}}),
       "D/train-images-idx3-ubyte: holds u8[12,28,32]; MNIST's images are u8[N,28,28]"},
      {"t10k-images-idx3-ubyte", Array(Type{f32, {3, 28, 28}}),
       "D/t10k-images-idx3-ubyte: holds f32[3,28,28]; MNIST's images are u8[N,28,28]"},
      {"train-images-idx3-ubyte", Array(Type{u8, {0, 28, 28}}), "D/train-images-idx3-ubyte: holds no images"},
      {"train-labels-idx1-ubyte", Array(Type{i32, {12}}),
       "D/train-labels-idx1-ubyte: holds i32[12]; MNIST's labels are u8[N]"},
      {"train-labels-idx1-ubyte", Array(Type{u8, {12, 1}}),
       "D/train-labels-idx1-ubyte: holds u8[12,1]; MNIST's labels are u8[N]"},
      {"train-labels-idx1-ubyte", labels(11),
       "D/train-labels-idx1-ubyte: 11 labels for the 12 images of D/train-images-idx3-ubyte"},
      {"train-labels-idx1-ubyte", high, "D/train-labels-idx1-ubyte: label 12 at index 7 is outside 0 … 9"},
  };
  for (const auto& row : rows) {
    const TempDir dir;
    write_mnist(dir.path(), false);
    write_idx(dir.file(row.file), row.content);
    std::string message = error_of([&] { data::mnist(in(dir.path())); });
    for (std::size_t at; (at = message.find(dir.path())) != std::string::npos;)
      message.replace(at, dir.path().size(), "D");
    CHECK(message == row.message);
  }
}

TEST_CASE("data: size and rows of a data set") {
  CHECK(Dataset{}.size() == 0);
  CHECK(Dataset{}.rows(0, 0).size() == 0);
  const Dataset set{images(4), labels(4), "s"};
  CHECK(set.rows(1, 3).y.same_bits(Array::from<std::uint8_t>({1, 2}, {2})));
  CHECK(set.rows(4, 4).size() == 0);
  CHECK(error_of([&] { set.rows(2, 5); }) == "data set: no rows [2, 5) among 4");
  CHECK(error_of([&] { set.rows(-1, 2); }) == "data set: no rows [-1, 2) among 4");
  CHECK(error_of([] {
          Dataset{images(4), labels(3), ""}.size();
        }) == "data set: x is u8[4,28,28] and y is u8[3]; axis 0 of both must be the sample, and as long");
  CHECK(error_of([] {
          Dataset{images(4), {}, "s"}.size();
        }) == "data set s: x is u8[4,28,28] and y is f32[]; axis 0 of both must be the sample, and as long");
}

TEST_CASE("data: the download script refuses what is not MNIST") {
  if (std::system("command -v curl >/dev/null && command -v sha256sum >/dev/null") != 0) return;
  const TempDir dir;
  write_mnist(dir.file("mirror"), true);
  const auto run = [&](const std::string& mirror) {
    return std::system(
        fmt::format("WEFT_MNIST_MIRRORS='file://{0}/missing file://{0}/{1}' {2}/scripts/download_mnist.sh "
                    "{0}/out >{0}/log 2>&1",
                    dir.path(), mirror, WEFT_SOURCE_DIR)
            .c_str());
  };
  CHECK(run("mirror") != 0);
  const std::string log = slurp(dir.file("log")), name = "train-images-idx3-ubyte.gz", at = "file://" + dir.path();
  INFO(log);
  CHECK(log.find("download_mnist: cannot get " + at + "/missing/" + name) != std::string::npos);
  CHECK(log.find(at + "/mirror/" + name + " is not the file expected (its SHA-256 differs)") != std::string::npos);
  CHECK(log.find("download_mnist: no mirror has " + name) != std::string::npos);
  CHECK(std::filesystem::is_empty(dir.file("out")));
  spill(dir.file("out/train-images-idx3-ubyte"), "mine");  // never overwritten
  CHECK(run("mirror") != 0);
  CHECK(slurp(dir.file("log")).find("is not MNIST's (its SHA-256 differs); move it away and run again") !=
        std::string::npos);
  CHECK(slurp(dir.file("out/train-images-idx3-ubyte")) == "mine");
}

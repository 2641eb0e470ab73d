// Shell commands and a tiny data set for the tests of the command.
#include "tools/command.h"

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <ostream>

#include "ir/base/error.h"
#include "runtime/files/idx.h"

namespace weft::test {

std::ostream& operator<<(std::ostream& os, const Result& r) {
  return os << "exit code " << r.code << "\nstdout: " << r.out << "\nstderr: " << r.err;
}

Result shell(const std::string& command, const std::string& directory, const std::string& input) {
  const TempDir io;
  spill(io.file("in"), input);
  const std::string bin = std::filesystem::path(WEFT_BIN).parent_path().string();
  spill(io.file("script"),
        fmt::format("cd '{}' || exit 99\nexport PATH='{}':\"$PATH\"\n{}\n", directory, bin, command));
  const std::string line = fmt::format("bash '{0}/script' <'{0}/in' >'{0}/out' 2>'{0}/err'", io.path());
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(io.file("out")),
          slurp(io.file("err"))};
}

namespace {

void write_part(const std::string& directory, const std::string& prefix, int count) {
  Array images(Type{u8, {count, 28, 28}}), labels(Type{u8, {count}});
  std::uint8_t* pixel = images.as<std::uint8_t>().data();
  for (int i = 0; i < count; ++i) {
    const int label = i * 7 % 10;
    labels.as<std::uint8_t>()[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(label);
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x)
        *pixel++ = static_cast<std::uint8_t>(y * 10 / 28 == label ? 200 + (x * 5 + i) % 50 : (x * y + i) % 30);
  }
  write_idx(directory + "/" + prefix + "-images-idx3-ubyte", images);
  write_idx(directory + "/" + prefix + "-labels-idx1-ubyte", labels);
}

}  // namespace

void write_tiny_mnist(const std::string& directory, int train, int test) {
  std::filesystem::create_directories(directory);
  write_part(directory, "train", train);
  write_part(directory, "t10k", test);
}

}  // namespace weft::test

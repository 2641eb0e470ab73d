// Temporary directories, shell commands and a tiny data set for the tests of the command.
#include "tools/command.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <ostream>

#include "ir/error.h"
#include "runtime/idx.h"

namespace weft::test {
namespace fs = std::filesystem;

TempDir::TempDir() {
  std::string name = (fs::temp_directory_path() / "weft-test-XXXXXX").string();
  if (!mkdtemp(name.data())) fail("cannot make a temporary directory {}", name);
  path_ = name;
}
TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot read {}", path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_text(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::ostream& operator<<(std::ostream& os, const Result& r) {
  return os << "exit code " << r.code << "\nstdout: " << r.out << "\nstderr: " << r.err;
}

Result shell(const std::string& command, const fs::path& directory, const std::string& input) {
  const TempDir io;
  write_text(io / "in", input);
  const std::string bin = fs::path(WEFT_BIN).parent_path().string();
  write_text(io / "script",
             "cd '" + directory.string() + "' || exit 99\nexport PATH='" + bin + "':\"$PATH\"\n" + command + "\n");
  const std::string line = fmt::format("bash '{0}/script' <'{0}/in' >'{0}/out' 2>'{0}/err'", io.path().string());
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_text(io / "out"),
          read_text(io / "err")};
}

namespace {

void write_part(const fs::path& directory, const std::string& prefix, int count) {
  Array images(Type{u8, {count, 28, 28}}), labels(Type{u8, {count}});
  std::uint8_t* pixel = images.as<std::uint8_t>().data();
  for (int i = 0; i < count; ++i) {
    const int label = i * 7 % 10;
    labels.as<std::uint8_t>()[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(label);
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x)
        *pixel++ = static_cast<std::uint8_t>(y * 10 / 28 == label ? 200 + (x * 5 + i) % 50 : (x * y + i) % 30);
  }
  write_idx((directory / (prefix + "-images-idx3-ubyte")).string(), images);
  write_idx((directory / (prefix + "-labels-idx1-ubyte")).string(), labels);
}

}  // namespace

void write_tiny_mnist(const fs::path& directory, int train, int test) {
  fs::create_directories(directory);
  write_part(directory, "train", train);
  write_part(directory, "t10k", test);
}

}  // namespace weft::test

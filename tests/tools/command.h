// Runs shell commands for tests and keeps their exit code, stdout and stderr.
#pragma once
#include <filesystem>
#include <iosfwd>
#include <string>
#include <string_view>

namespace weft::test {

/// A directory that lives as long as the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path&);
void write_text(const std::filesystem::path&, const std::string&);

struct Result {
  int code = 0;  // 128 + N when signal N ended it
  std::string out, err;
};
std::ostream& operator<<(std::ostream&, const Result&);
inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }
/// Runs `command` in bash, in `directory`, with the built `weft` first on PATH and `input` as stdin.
Result shell(const std::string& command, const std::filesystem::path& directory, const std::string& input = "");

/// Writes a small learnable data set in MNIST's four files (28x28; the label is which of ten bands is bright).
void write_tiny_mnist(const std::filesystem::path& directory, int train, int test);

}  // namespace weft::test

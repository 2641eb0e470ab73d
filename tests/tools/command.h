// Runs shell commands for tests and keeps their exit code, stdout and stderr.
#pragma once
#include <iosfwd>
#include <string>
#include <string_view>

#include "runtime/support.h"  // TempDir, slurp, spill

namespace weft::test {

struct Result {
  int code = 0;  // 128 + N when signal N ended it
  std::string out, err;
};
std::ostream& operator<<(std::ostream&, const Result&);
inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }
/// Runs `command` in bash, in `directory`, with the built `weft` first on PATH and `input` as stdin.
Result shell(const std::string& command, const std::string& directory, const std::string& input = "");

/// Writes a small learnable data set in MNIST's four files (28x28; the label is which of ten bands is bright).
void write_tiny_mnist(const std::string& directory, int train, int test);

}  // namespace weft::test

// Golden tests: text compared with tests/golden/<name>.txt. `BLESS=1 ctest -L golden` rewrites the files. Tag the test
// case [golden].
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "catch.h"

namespace weft {

/// Checks that `text` is what tests/golden/<name>.txt holds; `name` may have folders in it.
inline void check_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(WEFT_SOURCE_DIR) / "tests/golden" / (name + ".txt");
  const char* bless = std::getenv("BLESS");
  if (bless && std::string(bless) == "1") {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    SUCCEED("blessed " << path.string());
    return;
  }
  std::ifstream file(path, std::ios::binary);
  std::stringstream expected;
  expected << file.rdbuf();
  INFO(path.string() << (file ? " differs" : " cannot be read") << "; BLESS=1 ctest -L golden accepts the new text");
  CHECK(text == expected.str());
}

}  // namespace weft

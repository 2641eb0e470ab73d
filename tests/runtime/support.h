// What the runtime's tests share: a folder that vanishes, files from bytes, and the message of an Error.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

#include "error_of.h"

namespace weft::test {

/// A fresh folder, removed with everything in it at the end of the scope.
class TempDir {
 public:
  TempDir() {
    std::string pattern = std::filesystem::temp_directory_path() / "weft-test-XXXXXX";
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string file(const std::string& name) const { return path_ / name; }
  std::string path() const { return path_; }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline void spill(const std::string& path, std::string_view bytes) {
  std::filesystem::remove(path);  // writing over a file makes ext4 flush it: 5 ms each time
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Mutates `seed` n times (bytes flipped, cut, inserted, repeated; reproducible) and hands each mutant to f(bytes).
template <class F>
void mutate(const std::string& seed, int n, F&& f) {
  std::mt19937 random(12345);
  for (int i = 0; i < n; ++i) {
    std::string bytes = seed;
    for (unsigned edits = 1 + random() % 4; edits > 0 && !bytes.empty(); --edits) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 6) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8)); break;
        case 2: bytes.resize(at); break;
        case 3: bytes.insert(at, 1 + random() % 8, static_cast<char>(random())); break;
        case 4: bytes.erase(at, 1 + random() % 8); break;
        case 5: bytes += bytes.substr(at); break;
      }
    }
    f(bytes);
  }
}

}  // namespace weft::test

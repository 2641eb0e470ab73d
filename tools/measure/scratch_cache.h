// An object cache of this process's own, empty at first: what a cold start and a start from the cache are timed with.
#pragma once
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "ir/base/error.h"

namespace weft::tools {

/// From its construction on this process, and those that it starts, use no other cache; the destructor removes it. To
/// be made before other threads run. Throws Error when there is no room for it.
class ScratchCache {
 public:
  ScratchCache() {
    if (!mkdtemp(path_.data())) fail("cannot make a temporary directory {}: {}", path_, std::strerror(errno));
    unsetenv("WEFT_CACHE");
    unsetenv("WEFT_CACHE_LIMIT");
    setenv("WEFT_CACHE_DIR", path_.c_str(), 1);
  }
  ~ScratchCache() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchCache(const ScratchCache&) = delete;
  ScratchCache& operator=(const ScratchCache&) = delete;

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "weft-XXXXXX").string();
};

}  // namespace weft::tools

// Private to codegen/: a directory of files that may be lost at any time. It knows names and bytes, not what they mean.
// Safe with any number of threads and processes: files appear whole, under their final name, or not at all.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cache/cache.h"

namespace weft::codegen {

class CacheDirectory {
 public:
  explicit CacheDirectory(CacheOptions);
  ~CacheDirectory();
  CacheDirectory(const CacheDirectory&) = delete;
  CacheDirectory& operator=(const CacheDirectory&) = delete;

  /// Why the directory is not used, or "" when it is, or may be created.
  const std::string& unusable() const { return unusable_; }
  bool off() const { return options_.directory.empty() || !unusable_.empty(); }
  std::string path(std::string_view name) const;

  enum class Found { absent, unreadable, file };
  /// The bytes of a file. Unreadable: there is something of that name, but no regular file that belongs to the user
  /// alone.
  Found read(const std::string& name, std::string& bytes) const;
  void mark_used(const std::string& name) const;  ///< now
  /// Creates or replaces a file, and the directory if need be; then removes the files used least recently if the limit
  /// is passed. Where that fails the old file may be gone. Never throws for what the file system does.
  void write(const std::string& name, std::string_view bytes);
  bool remove(const std::string& name) const;  ///< false when it is still there

  struct File {
    std::string name;
    std::int64_t bytes = 0;
    std::int64_t used = 0;  // nanoseconds since the epoch
  };
  /// All files under names that entries have (digests in hexadecimal), whatever they hold.
  std::vector<File> list() const;
  void forget_usage() const;      ///< what has been written so far no longer counts towards the limit
  void remove_leftovers() const;  ///< temporary files of processes that ended before they were renamed

 private:
  bool open();
  void create();
  void account(std::int64_t bytes) const;
  std::int64_t evict() const;

  CacheOptions options_;
  std::mutex creating_;  // guards what follows while files are written
  std::string unusable_;
  int fd_ = -1;
};

}  // namespace weft::codegen

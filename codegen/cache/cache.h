// The object cache: compiled kernels on disk, found again by all that determines their code. Free of LLVM.
//
// One file a kernel, shared by all programs and processes of a user. An entry holds its whole key and a checksum and is
// used only when both are right: one that is damaged counts as absent and is replaced. Nothing about the cache is ever
// an error of a compilation: where it cannot be read or written, kernels are compiled.
//
// Whoever can write to the directory can make this process run their code. So the directory must belong to the user and
// be writable by no one else, and so must each entry; it is not used otherwise.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace weft {

struct CacheOptions {
  std::string directory;                 ///< empty: no cache
  std::int64_t limit_bytes = 256 << 20;  ///< of all entries together; those that were used least recently go first
};

/// What the environment says: no cache when $WEFT_CACHE is 0; the directory is $WEFT_CACHE_DIR, else
/// $XDG_CACHE_HOME/weft, else ~/.cache/weft; $WEFT_CACHE_LIMIT is a number of bytes, perhaps with a suffix K, M or G
/// (of 1024). A process that runs with another user's rights has none. Throws Error for a limit that is no such number.
CacheOptions cache_from_environment();

/// What the cache did for one compilation; kernels that are copies of others count once.
struct CacheStatistics {
  std::int64_t hits = 0;     ///< kernels loaded
  std::int64_t misses = 0;   ///< kernels compiled because there was no entry
  std::int64_t damaged = 0;  ///< kernels compiled because their entry was not what it should be
};

struct CacheInfo {
  std::string unusable;  ///< why the directory is not used; empty when it is, or when it does not exist yet
  std::int64_t entries = 0;
  std::int64_t bytes = 0;  ///< of the entries
};
CacheInfo cache_info(const CacheOptions&);

/// Removes all entries and returns how many there were. Throws Error when the directory is unusable or one cannot be
/// removed.
std::int64_t clear_cache(const CacheOptions&);

struct CacheProblem {
  std::string file;   ///< its path
  std::string found;  ///< what was wrong with it
};
struct CacheVerification {
  std::int64_t verified = 0;   ///< entries that are what compiling their kernel again gives, to the byte
  std::int64_t unchecked = 0;  ///< sound entries of another build of weft or LLVM, which this one cannot compile
  std::vector<CacheProblem> problems;  ///< entries that were damaged or different; they have been removed
};
/// Compiles every entry again, on `threads` threads (0: one a core). Throws Error when the directory is unusable.
CacheVerification verify_cache(const CacheOptions&, int threads = 0);

}  // namespace weft

// Private to codegen/: the object cache as compile() sees it.
#pragma once
#include <atomic>
#include <optional>

#include "codegen/cache/cache_directory.h"
#include "codegen/cache/cache_entry.h"
#include "codegen/cache/kernel_key.h"
#include "codegen/llvm/module.h"

namespace weft::codegen {

/// The entry for a compiled kernel; it refers to its arguments.
CacheEntry entry_of(std::string_view key, const CompiledKernel&);

/// One compilation's view of the cache. store() may be called by several threads.
class ObjectCache {
 public:
  explicit ObjectCache(const CacheOptions& options) : directory_(options), on_(!directory_.off()) {}
  /// The code of a kernel with so many phases, unless it is absent or not what it should be.
  std::optional<CompiledKernel> load(const KernelKey&, std::size_t phases);
  void store(const KernelKey&, const CompiledKernel&);
  void add_to(CacheStatistics&) const;

 private:
  CacheDirectory directory_;
  const bool on_;
  CacheStatistics statistics_;
};

}  // namespace weft::codegen

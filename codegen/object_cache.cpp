// Kernels to and from the cache.
#include "codegen/object_cache.h"

#include "codegen/cache_entry.h"

namespace weft::codegen {

std::optional<CompiledKernel> ObjectCache::load(const KernelKey& key, std::size_t phases) {
  if (directory_.off()) return {};
  std::string bytes;
  const auto found = directory_.read(key.digest, bytes);
  if (found == CacheDirectory::Found::absent) return ++statistics_.misses, std::nullopt;
  CacheEntry e;
  if (found == CacheDirectory::Found::unreadable || !decode(bytes, e).empty() || e.key != key.text ||
      e.phases.size() != phases)
    return ++statistics_.damaged, std::nullopt;
  directory_.mark_used(key.digest);
  ++statistics_.hits;
  for (std::size_t p = 0; p < phases; ++p) e.phases[p].symbol = phase_symbol(key.symbol(), p);
  return CompiledKernel{std::move(e.phases), llvm::MemoryBuffer::getMemBufferCopy(e.object)};
}

void ObjectCache::store(const KernelKey& key, const CompiledKernel& code) {
  if (!directory_.off()) directory_.write(key.digest, encode({key.text, code.phases, code.object->getBuffer()}));
}

void ObjectCache::add_to(CacheStatistics& s) const {
  s.hits += statistics_.hits;
  s.misses += statistics_.misses;
  s.damaged += statistics_.damaged;
}

}  // namespace weft::codegen

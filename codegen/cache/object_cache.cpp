// Kernels to and from the cache.
#include "codegen/cache/object_cache.h"

namespace weft::codegen {

CacheEntry entry_of(std::string_view key, const CompiledKernel& code) {
  CacheEntry e{key, {}, code.object->getBuffer()};
  for (const PhaseCode& p : code.phases) {
    const AxisSplit& s = p.split;
    e.phases.push_back({p.units, p.scratch_bytes, p.cost, s.axis, s.units, s.values, s.fewer, s.last});
  }
  return e;
}

std::optional<CompiledKernel> ObjectCache::load(const KernelKey& key, std::size_t phases) {
  if (!on_) return {};
  std::string bytes;
  const auto found = directory_.read(key.digest, bytes);
  if (found == CacheDirectory::Found::absent) return ++statistics_.misses, std::nullopt;
  CacheEntry e;
  if (found == CacheDirectory::Found::unreadable || !decode(bytes, e).empty() || e.key != key.text ||
      e.phases.size() != phases)
    return ++statistics_.damaged, std::nullopt;
  directory_.mark_used(key.digest);
  ++statistics_.hits;
  CompiledKernel code{{}, llvm::MemoryBuffer::getMemBufferCopy(e.object)};
  for (const PhaseRecord& p : e.phases) {
    const AxisSplit split{static_cast<AxisId>(p.split_axis), p.split_units, p.split_values, p.split_fewer,
                          p.split_last};
    code.phases.push_back({phase_symbol(key.symbol(), code.phases.size()), p.units, p.scratch_bytes, p.cost, split});
  }
  return code;
}

void ObjectCache::store(const KernelKey& key, const CompiledKernel& code) {
  if (on_) directory_.write(key.digest, encode(entry_of(key.text, code)));
}

void ObjectCache::add_to(CacheStatistics& s) const {
  s.hits += statistics_.hits;
  s.misses += statistics_.misses;
  s.damaged += statistics_.damaged;
}

}  // namespace weft::codegen

// Best-fit allocation in kernel order. A buffer is freed after the last kernel that loads it, never within that kernel,
// because other threads may still be reading.
#include "passes/kernel/memory.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "ir/base/cache_line.h"
#include "ir/base/error.h"
#include "ir/kernel/kernel_walk.h"

namespace weft {
namespace {

struct FreeList {
  std::map<std::int64_t, std::int64_t> blocks;              // offset -> size, never adjacent
  std::set<std::pair<std::int64_t, std::int64_t>> by_size;  // the same as (size, offset): the best fit in log time
  std::int64_t end = 0;

  void insert(std::int64_t offset, std::int64_t size) {
    blocks.emplace(offset, size);
    by_size.emplace(size, offset);
  }
  /// Removes the block and returns its (offset, size).
  std::pair<std::int64_t, std::int64_t> remove(std::map<std::int64_t, std::int64_t>::iterator it) {
    const auto block = *it;
    by_size.erase({block.second, block.first});
    blocks.erase(it);
    return block;
  }

  std::int64_t take(std::int64_t size) {
    if (const auto best = by_size.lower_bound({size, 0}); best != by_size.end()) {
      const auto [offset, room] = remove(blocks.find(best->second));
      if (room > size) insert(offset + size, room - size);
      return offset;
    }
    std::int64_t offset = end;
    if (!blocks.empty() && std::prev(blocks.end())->first + std::prev(blocks.end())->second == end)
      offset = remove(std::prev(blocks.end())).first;  // grow the last free block
    end = offset + size;
    return offset;
  }

  void give(std::int64_t offset, std::int64_t size) {
    auto next = blocks.lower_bound(offset);
    if (next != blocks.begin() && std::prev(next)->first + std::prev(next)->second == offset) {
      const auto before = remove(std::prev(next));
      offset = before.first, size += before.second;
    }
    if (next != blocks.end() && offset + size == next->first) size += remove(next).second;
    insert(offset, size);
  }
};

}  // namespace

void plan_memory(Program& p) {
  const int kernels = static_cast<int>(p.kernels.size());
  std::vector<int> first(p.buffers.size(), kernels), last(p.buffers.size(), -1);
  for (int k = 0; k < kernels; ++k)
    for_each_access(p.kernels[static_cast<std::size_t>(k)], [&](BufferId b, const std::vector<Index>&, ExprId) {
      const auto s = static_cast<std::size_t>(storage(p, b));
      first[s] = std::min(first[s], k);
      last[s] = std::max(last[s], k);
    });
  std::vector<std::vector<std::size_t>> starts(p.kernels.size()), ends(p.kernels.size());
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    if (p.buffers[b].kind != Buffer::temp) continue;
    p.buffers[b].offset = 0;
    if (last[b] < 0) continue;
    starts[static_cast<std::size_t>(first[b])].push_back(b);
    ends[static_cast<std::size_t>(last[b])].push_back(b);
  }
  FreeList free;
  auto size = [&](std::size_t b) { return whole_lines(byte_size(p.buffers[b].type)); };
  for (std::size_t k = 0; k < p.kernels.size(); ++k) {
    // Larger first: they are the harder ones to place.
    std::ranges::stable_sort(starts[k], std::greater<>(), size);
    for (std::size_t b : starts[k])
      if (const std::int64_t n = size(b)) p.buffers[b].offset = free.take(n);
    for (std::size_t b : ends[k])
      if (const std::int64_t n = size(b)) free.give(p.buffers[b].offset, n);
  }
  p.arena_bytes = free.end;
}

}  // namespace weft

// Bytes are told apart by the leading indices of an access: what a kernel does with one row of a buffer, or with rows
// of its own, is nothing to one that is busy with others.
#include "ir/kernel/footprint.h"

#include <algorithm>

#include "ir/kernel/coverage.h"
#include "ir/kernel/kernel_walk.h"

namespace weft {
namespace {

/// An index `count` * split + rest, with rest in [first, first + count): each value of the split axis has `count` of
/// them to itself. 0: it does not go so.
struct Rows {
  std::int64_t count = 0, first = 0;
};
Rows rows_by(const Kernel& k, const Index& index, AxisId split) {
  const auto own = std::ranges::find(index.terms, split, &std::pair<AxisId, std::int64_t>::first);
  if (split == kNone || own == index.terms.end()) return {};
  Index rest = index;
  std::erase_if(rest.terms, [&](const auto& term) { return term.first == split; });
  const auto [low, high] = affine_range(k, rest);
  const std::int64_t count = own->second;
  if (low < 0 || high - low >= count) return {};
  const std::int64_t first = low / count * count;  // where the rest stays within as many from there on
  return {count, high - first < count ? first : low};
}

/// The dimensions before the first that is no constant say where the bytes begin; that one, where they end, and whether
/// they lie by the axis `split`.
BufferUse use_of(const Kernel& k, const Buffer& b, BufferId id, const std::vector<Index>& access, bool store,
                 AxisId split) {
  BufferUse use{id, store, 0, byte_size(b.type), 0};
  if (b.panels > 0 || use.end == 0) return use;
  const auto is_constant = [](const Index& i) { return i.terms.empty() && i.indirect == kNone; };
  std::int64_t pitch = use.end;  // bytes of one index of the dimension before
  for (std::size_t d = 0; d < access.size(); ++d) {
    const Index& index = access[d];
    const std::int64_t extent = b.type.shape[static_cast<int>(d)];
    pitch /= extent;
    if (index.indirect != kNone) break;
    auto [low, high] = affine_range(k, index);
    low = std::clamp<std::int64_t>(low, 0, extent - 1), high = std::clamp<std::int64_t>(high, 0, extent - 1);
    if (const auto rows = rows_by(k, index, split); rows.count > 0) use.row = rows.count * pitch, low = rows.first;
    use.end = use.begin + (high + 1) * pitch;
    use.begin += low * pitch;
    if (!is_constant(index)) break;
  }
  return use;
}

/// An element for every point of the axes that the access depends on, and no more than there are.
double bytes_of(const Kernel& k, const Buffer& b, const std::vector<Index>& access) {
  std::vector<AxisId> axes;
  for (const Index& i : access)
    for (const auto& [axis, coefficient] : i.terms)
      if (!std::ranges::count(axes, axis)) axes.push_back(axis);
  double bytes = static_cast<double>(size_of(b.type.dtype));
  for (const AxisId axis : axes) bytes *= static_cast<double>(at(k.axes, axis).extent);
  return std::min(bytes, static_cast<double>(byte_size(b.type)));
}

}  // namespace

Footprint footprint(const Program& p, const Kernel& k, const Phase& phase, AxisId split) {
  Footprint result;
  for_each_access(k, phase, [&](BufferId id, const std::vector<Index>& access, ExprId load) {
    if (at(p.buffers, storage(p, id)).kind == Buffer::constant) return;
    const Buffer& b = at(p.buffers, id);
    result.uses.push_back(use_of(k, b, id, access, load == kNone, split));
    result.bytes += bytes_of(k, b, access);
  });
  std::ranges::sort(result.uses);
  result.uses.erase(std::ranges::unique(result.uses).begin(), result.uses.end());
  return result;
}

}  // namespace weft

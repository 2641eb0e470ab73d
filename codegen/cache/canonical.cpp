// The canonical form of a kernel.
#include "codegen/cache/canonical.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "codegen/cpu/analysis.h"
#include "ir/base/at.h"
#include "ir/base/error.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/memory/panels.h"

namespace weft::codegen {
namespace {

std::string numbered(const char* prefix, std::size_t i) { return prefix + std::to_string(i); }

/// The lowest value of an index at any point of the kernel's axes: how far its buffer can begin later. 0 when it may be
/// negative (where a predicate keeps it from memory) or is not known.
std::int64_t lowest(const Kernel& k, const Index& index) {
  if (index.indirect != kNone) return 0;
  __int128 low = index.offset;
  for (const auto& [axis, coefficient] : index.terms)
    low += std::min<__int128>(0, __int128{coefficient} * (at(k.axes, axis).extent - 1));
  return static_cast<std::int64_t>(std::max<__int128>(0, low));
}

/// Numbers the buffers by first use and replaces them by states and views.
void renumber_buffers(const Program& program, CanonicalKernel& c) {
  std::unordered_map<BufferId, BufferId> number, root;  // new numbers, by buffer and by its storage
  for_each_access(c.program.kernels[0], [&](BufferId& id, const std::vector<Index>& access, ExprId) {
    ensure(static_cast<int>(access.size()) == at(program.buffers, id).type.shape.rank(),
           "an access of {} indices to {}", access.size(), to_string(at(program.buffers, id).type));
    const auto next = static_cast<BufferId>(c.arguments.size());
    const auto [at_number, is_new] = number.emplace(id, next);
    if (is_new) {
      const auto [at_root, owns] = root.emplace(storage(program, id), next);
      Buffer b{.kind = owns ? Buffer::state : Buffer::view, .name = numbered("b", c.arguments.size())};
      b.type = at(program.buffers, id).type;
      b.panels = at(program.buffers, id).panels;
      if (!owns) b.base = at_root->second;
      if (owns) c.program.inputs.push_back(next);
      c.program.buffers.push_back(std::move(b));
      c.arguments.push_back({id});
    }
    id = at_number->second;
  });
}

/// Takes out of the indices what is common to all accesses of a buffer: in each dimension, the lowest index. Bounds
/// hold as before, since no index becomes negative and all become smaller. Buffers that share storage stay as they are.
/// Whole vectors may be stored as aligned ones: of a buffer that is stored to and would begin within a cache line,
/// whole lines are taken out, in each dimension, so that there are as many forms as places in a line.
void rebase_indices(CanonicalKernel& c) {
  Kernel& k = c.program.kernels[0];
  std::vector<std::vector<std::int64_t>> begin(c.arguments.size());  // in each dimension
  for (std::size_t b = 0; b < begin.size(); ++b)
    begin[b].assign(static_cast<std::size_t>(c.program.buffers[b].type.shape.rank()),
                    std::numeric_limits<std::int64_t>::max());
  std::vector<bool> stored(begin.size(), false);
  for_each_access(k, [&](BufferId id, const std::vector<Index>& access, ExprId load) {
    if (load == kNone) stored[static_cast<std::size_t>(id)] = true;
    for (std::size_t d = 0; d < access.size(); ++d) at(begin, id)[d] = std::min(at(begin, id)[d], lowest(k, access[d]));
  });
  for (std::size_t b = 0; b < begin.size(); ++b)
    if (const Buffer& buffer = c.program.buffers[b]; buffer.kind == Buffer::view)
      for (std::vector<std::int64_t>* shared : {&begin[b], &at(begin, buffer.base)}) std::ranges::fill(*shared, 0);
  for (std::size_t b = 0; b < begin.size(); ++b) {
    const Type& type = c.program.buffers[b].type;
    const Dims strides = storage_strides(c.program.buffers[b]);  // in panels the last index is an axis: it begins at 0
    const auto step = [&](std::size_t d) {
      return strides[static_cast<int>(d)] * static_cast<std::int64_t>(size_of(type.dtype));
    };
    const auto bytes = [&] {
      std::int64_t sum = 0;
      for (std::size_t d = 0; d < begin[b].size(); ++d) sum += begin[b][d] * step(d);
      return sum;
    };
    if (stored[b] && bytes() % kCacheLine != 0)
      for (std::size_t d = 0; d < begin[b].size(); ++d)
        begin[b][d] -= begin[b][d] % (kCacheLine / std::gcd(step(d), kCacheLine));
    c.arguments[b].bytes = bytes();
  }
  for_each_access(k, [&](BufferId id, std::vector<Index>& access, ExprId) {
    for (std::size_t d = 0; d < access.size(); ++d) access[d].offset -= at(begin, id)[d];
  });
}

}  // namespace

CanonicalKernel canonical(const Program& program, const Kernel& kernel) {
  CanonicalKernel c;
  c.program.name = "canonical";
  Kernel& k = c.program.kernels.emplace_back(kernel);
  k.name = "kernel";
  k.locs = {};
  for (std::size_t a = 0; a < k.axes.size(); ++a) k.axes[a].name = numbered("x", a);
  c.program.check_indices = program.check_indices;
  renumber_buffers(program, c);
  if (!c.program.check_indices) rebase_indices(c);  // indices are checked against the buffer that they count in
  return c;
}

}  // namespace weft::codegen

// Takes a kernel out of its program.
#include "tools/measure/lone_kernel.h"

#include <algorithm>
#include <random>

#include "ir/base/at.h"
#include "ir/base/dtype.h"
#include "ir/kernel/kernel_walk.h"

namespace weft::tools {
namespace {

/// The least extent that the integers under `root` index in the kernel; grows smaller only.
void limit(const Kernel& k, ExprId root, std::int64_t extent, std::vector<std::int64_t>& most) {
  const Expr& e = at(k.exprs, root);
  if (e.kind == Expr::load) at(most, e.buffer) = std::min(at(most, e.buffer), std::max<std::int64_t>(1, extent));
  for (ExprId arg : e.args) limit(k, arg, extent, most);
}

}  // namespace

Program lone_kernel(const Program& p, const Kernel& kernel) {
  std::vector<bool> stored(p.buffers.size()), used(p.buffers.size());
  for_each_access(kernel, [&](BufferId id, const std::vector<Index>&, ExprId load) {
    const auto root = static_cast<std::size_t>(storage(p, id));
    used[static_cast<std::size_t>(id)] = used[root] = true;
    if (load == kNone) stored[root] = true;
  });
  Program lone;
  lone.name = "lone";
  std::vector<BufferId> number(p.buffers.size(), kNone);
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    if (!used[i]) continue;
    Buffer b = p.buffers[i];
    const auto id = number[i] = static_cast<BufferId>(lone.buffers.size());
    b.name = fmt::format("b{}", id);
    b.offset = 0;
    if (b.kind == Buffer::view) {
      b.base = at(number, storage(p, b.base));
    } else if (b.kind != Buffer::constant) {
      b.kind = stored[i] ? Buffer::state : Buffer::input;
      lone.inputs.push_back(id);
      if (stored[i]) lone.updates.push_back(id);
    }
    lone.buffers.push_back(std::move(b));
  }
  lone.kernels.push_back(kernel);
  for_each_access(lone.kernels[0], [&](BufferId& id, const std::vector<Index>&, ExprId) { id = at(number, id); });
  return lone;
}

std::vector<Array> random_values(const Program& p) {
  constexpr std::int64_t kMostInteger = 10;  // of integers that index nothing: labels, say
  std::vector<std::int64_t> most(p.buffers.size(), std::numeric_limits<std::int64_t>::max());
  for (const Kernel& k : p.kernels)
    for (const Expr& e : k.exprs)
      for (std::size_t d = 0; d < e.access.size(); ++d)
        if (e.access[d].indirect != kNone && e.kind == Expr::load)
          limit(k, e.access[d].indirect, at(p.buffers, e.buffer).type.shape[static_cast<int>(d)], most);
  std::mt19937_64 random(1);
  std::vector<Array> values;
  for (BufferId id : p.inputs) {
    const Type& type = at(p.buffers, id).type;
    Array a(type);
    const std::int64_t bound = at(most, id) == std::numeric_limits<std::int64_t>::max() ? kMostInteger : at(most, id);
    visit_dtype(type.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (T& x : a.as<T>()) {
        const std::uint64_t r = random();
        if constexpr (std::is_same_v<T, bool>)
          x = r & 1;
        else if constexpr (std::is_floating_point_v<T>)
          x = static_cast<T>(static_cast<double>(r >> 11) * 0x1p-53);
        else
          x = static_cast<T>(r %
                             static_cast<std::uint64_t>(std::min<std::int64_t>(bound, std::numeric_limits<T>::max())));
      }
    });
    values.push_back(std::move(a));
  }
  return values;
}

}  // namespace weft::tools

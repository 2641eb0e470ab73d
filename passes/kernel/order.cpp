// Topological order over data dependences (store before load) and anti-dependences (load before overwrite).
#include "passes/kernel/order.h"

#include <algorithm>
#include <set>

#include "ir/base/lexer.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/kernel_walk.h"

namespace weft {
namespace {

struct Order {
  Program& p;
  std::vector<bool> is_new;                            // of buffers: an in-place view
  std::vector<std::vector<std::size_t>> next;          // kernel -> kernels that must come later
  std::vector<int> data_waits, state_waits;            // unfinished predecessors, by kind of edge
  std::vector<std::set<std::size_t>> state_next;       // anti-dependences only
  std::vector<std::vector<std::size_t>> state_before;  // the same, from later to earlier
  std::vector<std::pair<BufferId, BufferId>> late;     // (temporary, state) to copy at the end

  Buffer& buffer(BufferId b) { return p.buffers[static_cast<std::size_t>(b)]; }

  /// What a load or store of `b` touches: a plain buffer, or the new value of a state.
  BufferId version(BufferId b) {
    while (buffer(b).kind == Buffer::view && !is_new[static_cast<std::size_t>(b)]) b = buffer(b).base;
    return b;
  }

  void update_late(BufferId updated) {
    late.emplace_back(updated, buffer(updated).base);
    Buffer& b = buffer(updated);
    b.kind = Buffer::temp;
    b.base = kNone;
    is_new[static_cast<std::size_t>(updated)] = false;
  }

  /// A kernel that loads the old value at another index than the one it stores the new value to may not store in place.
  void find_unsafe() {
    for (const Kernel& k : p.kernels)
      for_each_access(k, [&](BufferId stored, const std::vector<Index>& place, ExprId load) {
        if (load != kNone || !is_new[static_cast<std::size_t>(stored)]) return;
        const BufferId state = buffer(stored).base;
        const bool unsafe = std::ranges::any_of(k.exprs, [&](const Expr& e) {
          return e.kind == Expr::load && version(e.buffer) == state && !(e.buffer == state && e.access == place);
        });
        if (unsafe) update_late(stored);
      });
  }

  void find_edges() {
    const std::size_t n = p.kernels.size();
    next.assign(n, {});
    state_next.assign(n, {});
    state_before.assign(n, {});
    data_waits.assign(n, 0);
    state_waits.assign(n, 0);
    std::vector<std::set<std::size_t>> writers(p.buffers.size()), readers(p.buffers.size());
    for (std::size_t k = 0; k < n; ++k)
      for_each_access(p.kernels[k], [&](BufferId id, const std::vector<Index>&, ExprId load) {
        (load == kNone ? writers : readers)[static_cast<std::size_t>(version(id))].insert(k);
      });
    std::set<std::pair<std::size_t, std::size_t>> seen;
    for (std::size_t b = 0; b < p.buffers.size(); ++b)
      for (std::size_t w : writers[b]) {
        for (std::size_t r : readers[b])
          if (r != w && seen.insert({w, r}).second) next[w].push_back(r), ++data_waits[r];
        if (!is_new[b]) continue;
        for (std::size_t r : readers[static_cast<std::size_t>(p.buffers[b].base)])
          if (r != w && state_next[r].insert(w).second) state_before[w].push_back(r), ++state_waits[w];
      }
  }

  void sort() {
    const std::size_t n = p.kernels.size();
    std::set<std::size_t> ready, blocked;  // blocked: waits for readers of an old state only
    std::vector<std::size_t> order;
    std::vector<bool> done(n, false);
    auto settle = [&](std::size_t k) {
      if (data_waits[k]) return;
      (state_waits[k] ? blocked : ready).insert(k);
      if (!state_waits[k]) blocked.erase(k);
    };
    for (std::size_t k = 0; k < n; ++k) settle(k);
    while (order.size() < n) {
      if (ready.empty()) {
        ensure(!blocked.empty(), "kernels depend on each other in a circle");
        const std::size_t k = *blocked.begin();
        for_each_access(p.kernels[k], [&](BufferId id, const std::vector<Index>&, ExprId load) {
          if (load == kNone && is_new[static_cast<std::size_t>(id)]) update_late(id);
        });
        for (std::size_t r : state_before[k]) state_next[r].erase(k);
        state_waits[k] = 0;
        settle(k);
      }
      const std::size_t k = *ready.begin();
      ready.erase(ready.begin());
      order.push_back(k);
      for (std::size_t r : next[k]) --data_waits[r], settle(r);
      for (std::size_t w : state_next[k]) --state_waits[w], settle(w);
    }
    std::vector<Kernel> sorted;
    for (std::size_t k : order) sorted.push_back(std::move(p.kernels[k]));
    p.kernels = std::move(sorted);
  }
};

}  // namespace

Kernel copy_kernel(const Program& p, BufferId from, BufferId to, LocSet locs) {
  const Buffer& b = p.buffers[static_cast<std::size_t>(to)];
  KernelBuilder k;
  k.kernel.name = "copy_" + identifier_of(b.name);
  k.kernel.locs = locs;
  Phase phase;
  std::vector<Index> place;
  for (int d = 0; d < b.type.shape.rank(); ++d) {
    place.emplace_back();
    if (b.type.shape[d] == 1) continue;
    phase.parallel.push_back(k.axis(fmt::format("i{}", d), b.type.shape[d]));
    place.back() = axis_index(phase.parallel.back());
  }
  phase.stages.push_back({.stores = {{to, place, k.load(from, place, b.type.dtype)}}});
  k.kernel.phases.push_back(std::move(phase));
  return std::move(k.kernel);
}

void order_kernels(Program& p, const std::vector<BufferId>& in_place) {
  Order o{p, std::vector<bool>(p.buffers.size(), false), {}, {}, {}, {}, {}, {}};
  for (BufferId b : in_place) o.is_new[static_cast<std::size_t>(b)] = true;
  o.find_unsafe();
  o.find_edges();
  o.sort();
  for (auto [from, to] : o.late) p.kernels.push_back(copy_kernel(p, from, to, {}));
}

}  // namespace weft

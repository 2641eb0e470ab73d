// Topological order over data dependences (store before load) and anti-dependences (load before overwrite).
#include "passes/kernel/order.h"

#include <algorithm>
#include <set>

#include "ir/base/lexer.h"

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

  template <class F>
  void for_each_store(const Kernel& k, F&& f) {
    for (const Phase& phase : k.phases)
      for (const KernelStage& stage : phase.stages)
        for (const Store& store : stage.stores) f(store);
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
      for_each_store(k, [&](const Store& s) {
        if (!is_new[static_cast<std::size_t>(s.buffer)]) return;
        const BufferId state = buffer(s.buffer).base;
        const bool unsafe = std::ranges::any_of(k.exprs, [&](const Expr& e) {
          return e.kind == Expr::load && version(e.buffer) == state && !(e.buffer == state && e.access == s.access);
        });
        if (unsafe) update_late(s.buffer);
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
    for (std::size_t k = 0; k < n; ++k) {
      for_each_store(p.kernels[k],
                     [&](const Store& s) { writers[static_cast<std::size_t>(version(s.buffer))].insert(k); });
      for (const Expr& e : p.kernels[k].exprs)
        if (e.kind == Expr::load) readers[static_cast<std::size_t>(version(e.buffer))].insert(k);
    }
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
        for_each_store(p.kernels[k], [&](const Store& s) {
          if (is_new[static_cast<std::size_t>(s.buffer)]) update_late(s.buffer);
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
  Kernel k;
  k.name = "copy_" + identifier_of(p.buffers[static_cast<std::size_t>(to)].name);
  k.locs = locs;
  const Type& type = p.buffers[static_cast<std::size_t>(to)].type;
  Expr load;
  load.kind = Expr::load;
  load.dtype = type.dtype;
  load.buffer = from;
  Phase phase;
  for (int d = 0; d < type.shape.rank(); ++d) {
    Index i;
    if (type.shape[d] != 1) {
      k.axes.push_back({fmt::format("i{}", d), type.shape[d]});
      const auto axis = static_cast<AxisId>(k.axes.size() - 1);
      phase.parallel.push_back(axis);
      i.terms = {{axis, 1}};
    }
    load.access.push_back(i);
  }
  KernelStage map;
  map.stores.push_back({to, load.access, 0});
  phase.stages.push_back(std::move(map));
  k.exprs.push_back(std::move(load));
  k.phases.push_back(std::move(phase));
  return k;
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

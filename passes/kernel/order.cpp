// Topological order over dependences of data (what a kernel stores, others load or overwrite later) and of states (who
// loads the old value runs before it is overwritten in place).
#include "passes/kernel/order.h"

#include <algorithm>
#include <optional>
#include <set>

#include "ir/base/at.h"
#include "ir/base/lexer.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/kernel_walk.h"

namespace weft {
namespace {

/// What a kernel copies as a whole.
struct Copy {
  BufferId from, to;
};
std::optional<Copy> as_copy(const Program& p, const Kernel& k) {
  if (k.exprs.size() != 1 || k.exprs[0].kind != Expr::load || k.phases.size() != 1 || k.phases[0].stages.size() != 1 ||
      k.phases[0].stages[0].stores.size() != 1)
    return {};
  const Copy c{k.exprs[0].buffer, k.phases[0].stages[0].stores[0].buffer};
  if (!(at(p.buffers, c.from).type == at(p.buffers, c.to).type)) return {};
  std::vector<std::int64_t> loops;
  for (int i = 0; i < k.turns; ++i) loops.push_back(k.axes[static_cast<std::size_t>(i)].extent);
  const Kernel copy = copy_kernel(p, c.from, c.to, {}, loops);
  const bool same = copy.exprs == k.exprs && copy.phases == k.phases &&
                    std::ranges::equal(copy.axes, k.axes, {}, &Axis::extent, &Axis::extent);
  return same ? std::optional(c) : std::nullopt;
}

/// Kernels that follow each other in every run, those of one turn where they are in a loop.
class Order {
 public:
  /// `own[b]`: no other kernels touch buffer b.
  Order(Program& p, const std::vector<bool>& own) : p_(p), own_(own), state_of_(p.buffers.size(), kNone) {}

  void run() {
    find_updates();
    find_edges();
    sort();
    finish();
  }

 private:
  struct Update {
    Kernel copy;
    BufferId value, state;
    bool late = false;  // it is copied when all else has run
  };

  /// Whether the buffer holds a value from before these kernels run: a state does, and what a loop carries.
  bool keeps_value(const Kernel& k, BufferId b) const {
    const Buffer::Kind kind = at(p_.buffers, b).kind;
    return kind == Buffer::state || (k.turns > 0 && (kind == Buffer::temp || kind == Buffer::output));
  }

  /// Takes the copies of new values out of the program.
  void find_updates() {
    // The kernels that load and store each storage, in order.
    std::vector<std::vector<std::size_t>> loads(p_.buffers.size()), stores(p_.buffers.size());
    for (std::size_t k = 0; k < p_.kernels.size(); ++k) {
      const Touched t = touched(p_, p_.kernels[k]);
      for (const BufferId b : t.loads) at(loads, b).push_back(k);
      for (const BufferId b : t.stores) at(stores, b).push_back(k);
    }
    std::vector<Kernel> others;
    for (std::size_t k = 0; k < p_.kernels.size(); ++k) {
      const std::optional<Copy> c = as_copy(p_, p_.kernels[k]);
      const auto before = [&](const std::vector<std::size_t>& kernels) {
        return std::ranges::all_of(kernels, [&](std::size_t other) { return other < k; });
      };
      // The state holds its old value until then, and nothing but the new one afterwards.
      if (c && at(p_.buffers, c->from).kind == Buffer::temp && at(own_, c->from) && keeps_value(p_.kernels[k], c->to) &&
          c->to < c->from && at(p_.buffers, c->from).panels == at(p_.buffers, c->to).panels &&
          at(state_of_, c->from) == kNone && at(stores, c->to).size() == 1 && before(at(loads, c->to)) &&
          before(at(stores, c->from))) {
        at(state_of_, c->from) = c->to;
        updates_.push_back({std::move(p_.kernels[k]), c->from, c->to});
      } else {
        others.push_back(std::move(p_.kernels[k]));
      }
    }
    p_.kernels = std::move(others);
    for (const Kernel& k : p_.kernels) find_unsafe(k);
  }

  /// A kernel stores in place where it loads the old value at the very index that it stores to, and not after that.
  void find_unsafe(const Kernel& k) {
    std::vector<std::vector<bool>> needs;  // of each stage of all phases, in order: the expressions that it evaluates
    std::vector<const KernelStage*> stages;
    for (const Phase& phase : k.phases)
      for (const KernelStage& stage : phase.stages) stages.push_back(&stage);
    for (std::size_t at_stage = 0; at_stage < stages.size(); ++at_stage)
      for (const Store& store : stages[at_stage]->stores) {
        const BufferId state = at(state_of_, storage(p_, store.buffer));
        if (state == kNone) continue;
        if (needs.empty())
          for (const KernelStage* stage : stages) needs.push_back(needed(k, roots_of(*stage)));
        const AxisId axis =
            stages[at_stage]->axis;  // along which it stores anew at every step, unless to another index
        const bool again = axis != kNone && std::ranges::none_of(store.access, [&](const Index& i) {
                             return std::ranges::count(i.terms, axis, &std::pair<AxisId, std::int64_t>::first) > 0;
                           });
        bool unsafe = storage(p_, store.buffer) != store.buffer;
        for (std::size_t e = 0; e < k.exprs.size(); ++e) {
          const Expr& load = k.exprs[e];
          if (load.kind != Expr::load || storage(p_, load.buffer) != state) continue;
          const bool same = load.buffer == state && load.access == store.access;
          unsafe |= !same || (again && needs[at_stage][e]);
          for (std::size_t later = at_stage + 1; later < stages.size(); ++later) unsafe |= needs[later][e];
        }
        if (unsafe) update_late(storage(p_, store.buffer));
      }
  }

  void update_late(BufferId value) {
    const auto u = std::ranges::find(updates_, value, &Update::value);
    if (u->late) return;
    u->late = true;
    at(state_of_, value) = kNone;
    late_.push_back(static_cast<std::size_t>(u - updates_.begin()));
  }

  void find_edges() {
    const std::size_t n = p_.kernels.size();
    next_.assign(n, {});
    state_next_.assign(n, {});
    state_before_.assign(n, {});
    data_waits_.assign(n, 0);
    state_waits_.assign(n, 0);
    constexpr auto kNobody = static_cast<std::size_t>(-1);
    std::vector<std::set<std::size_t>> loads(p_.buffers.size()), stores(p_.buffers.size());
    // Of each storage: who stored to it last, and who has loaded it since. Later kernels wait for those alone, which
    // have waited for the ones before.
    std::vector<std::size_t> writer(p_.buffers.size(), kNobody);
    std::vector<std::vector<std::size_t>> readers(p_.buffers.size());
    std::set<std::pair<std::size_t, std::size_t>> seen;
    for (std::size_t k = 0; k < n; ++k) {
      const auto wait_for = [&](std::size_t before) {
        if (before == kNobody || before == k || !seen.insert({before, k}).second) return;
        next_[before].push_back(k);
        ++data_waits_[k];
      };
      const Touched t = touched(p_, p_.kernels[k]);
      for (const BufferId b : t.loads) {
        wait_for(at(writer, b));
        at(readers, b).push_back(k);
        at(loads, b).insert(k);
      }
      for (const BufferId b : t.stores) {
        wait_for(at(writer, b));
        std::ranges::for_each(at(readers, b), wait_for);
        at(readers, b).clear();
        at(writer, b) = k;
        at(stores, b).insert(k);
      }
    }
    for (std::size_t b = 0; b < p_.buffers.size(); ++b)
      if (state_of_[b] != kNone)
        for (std::size_t w : stores[b])
          for (std::size_t r : at(loads, state_of_[b]))
            if (r != w && state_next_[r].insert(w).second) state_before_[w].push_back(r), ++state_waits_[w];
  }

  void sort() {
    const std::size_t n = p_.kernels.size();
    std::set<std::size_t> ready, blocked;  // blocked: waits for readers of an old state only
    std::vector<std::size_t> order;
    const auto unblock = [&](std::size_t k) {
      if (data_waits_[k]) return;
      (state_waits_[k] ? blocked : ready).insert(k);
      if (!state_waits_[k]) blocked.erase(k);
    };
    for (std::size_t k = 0; k < n; ++k) unblock(k);
    while (order.size() < n) {
      if (ready.empty()) {
        ensure(!blocked.empty(), "kernels depend on each other in a circle");
        const std::size_t k = *blocked.begin();
        for (const BufferId id : touched(p_, p_.kernels[k]).stores)
          if (at(state_of_, id) != kNone) update_late(id);
        for (std::size_t r : state_before_[k]) state_next_[r].erase(k);
        state_waits_[k] = 0;
        unblock(k);
      }
      const std::size_t k = *ready.begin();
      ready.erase(ready.begin());
      order.push_back(k);
      for (std::size_t r : next_[k]) --data_waits_[r], unblock(r);
      for (std::size_t w : state_next_[k]) --state_waits_[w], unblock(w);
    }
    std::vector<Kernel> sorted;
    for (std::size_t k : order) sorted.push_back(std::move(p_.kernels[k]));
    p_.kernels = std::move(sorted);
  }

  void finish() {
    for (const Update& u : updates_) {
      if (u.late) continue;
      Buffer& value = at(p_.buffers, u.value);
      value.kind = Buffer::view;
      value.base = u.state;
      value.offset = 0;
    }
    for (std::size_t u : late_) p_.kernels.push_back(std::move(updates_[u].copy));
    if (!updates_.empty()) p_.arena_bytes = 0;  // what was placed for another order is placed anew
  }

  Program& p_;
  const std::vector<bool>& own_;
  std::vector<Update> updates_;
  std::vector<std::size_t> late_;                       // updates, in the order in which that was found
  std::vector<BufferId> state_of_;                      // of each buffer: the state that it is stored to in place
  std::vector<std::vector<std::size_t>> next_;          // kernel -> kernels that must come later
  std::vector<int> data_waits_, state_waits_;           // unfinished predecessors, by kind of edge
  std::vector<std::set<std::size_t>> state_next_;       // for states only
  std::vector<std::vector<std::size_t>> state_before_;  // the same, from later to earlier
};

}  // namespace

Kernel copy_kernel(const Program& p, BufferId from, BufferId to, LocSet locs, std::span<const std::int64_t> loops) {
  const Buffer& b = p.buffers[static_cast<std::size_t>(to)];
  KernelBuilder k;
  k.kernel.name = "copy_" + identifier_of(b.name);
  k.kernel.locs = locs;
  for (const std::int64_t turns : loops) k.axis("t", turns);
  k.kernel.turns = static_cast<int>(loops.size());
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

void order_kernels(Program& p) {
  std::set<std::size_t> ends{p.kernels.size()};  // of what follows each other in every run
  for (const Loop& l : p.loops) ends.insert({l.begin, l.end});
  ends.erase(0);
  std::vector<std::size_t> parts(p.buffers.size(), 0);  // that touch a buffer
  for (std::size_t begin = 0; const std::size_t end : ends) {
    std::set<BufferId> touches;
    for (; begin < end; ++begin) {
      const Touched t = touched(p, p.kernels[begin]);
      touches.insert(t.loads.begin(), t.loads.end());
      touches.insert(t.stores.begin(), t.stores.end());
    }
    for (const BufferId b : touches) ++at(parts, b);
  }
  std::vector<bool> own;
  for (const std::size_t count : parts) own.push_back(count == 1);

  Program part;
  std::vector<Kernel> kernels;
  std::vector<Loop> loops = p.loops;
  std::swap(part.buffers, p.buffers);
  part.arena_bytes = p.arena_bytes;
  for (std::size_t begin = 0; const std::size_t end : ends) {
    part.kernels.assign(std::make_move_iterator(p.kernels.begin() + static_cast<std::ptrdiff_t>(begin)),
                        std::make_move_iterator(p.kernels.begin() + static_cast<std::ptrdiff_t>(end)));
    begin = end;
    Order(part, own).run();
    std::ranges::move(part.kernels, std::back_inserter(kernels));
    for (std::size_t l = 0; l < loops.size(); ++l) {
      if (p.loops[l].begin == end) loops[l].begin = kernels.size();
      if (p.loops[l].end == end) loops[l].end = kernels.size();
    }
  }
  std::swap(part.buffers, p.buffers);
  p.arena_bytes = part.arena_bytes;
  p.kernels = std::move(kernels);
  p.loops = std::move(loops);
}

}  // namespace weft

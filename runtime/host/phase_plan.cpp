// Greedy list scheduling of phases into groups that need no barrier inside; the rule is in phase_plan.h.
#include "runtime/host/phase_plan.h"

#include <algorithm>
#include <optional>

#include "ir/base/at.h"
#include "ir/base/error.h"

namespace weft {
namespace {

// Below this many cycles (about 2 microseconds) a phase is not worth a barrier to be shared: two cores would save at
// most half, and it costs up to two barriers (0.3 microseconds each on two Zen 4 cores) and the transfer of the other
// half's cache lines. (Measured: a product of 10,000 cycles takes 0.64 of the time when it is shared.)
constexpr double kSharedCycles = 6'000;
// What one core gets from the L3 in a cycle: a phase takes at least its bytes over this (a matrix-vector product does).
constexpr double kBytesPerCycle = 16;
// A share that is cut like another phase's may be this much more than an equal one.
constexpr double kUneven = 1.25;
// Phases that may be overtaken, and phases of a group: bounds on the time to plan a program of very many kernels.
constexpr std::size_t kWindow = 64, kGroup = 256;

constexpr BufferId kArena = -1;  // a place that is no buffer of its own

/// Bytes that a phase touches. With `row` > 0, a thread whose units take values [a, b) of the split axis touches
/// [begin + a * row, begin + b * row) only.
struct Access {
  BufferId place = kArena;
  std::int64_t begin = 0, end = 0, row = 0;
  bool store = false;
};

struct Range {
  std::int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
  bool meets(const Range& o) const { return std::max(begin, o.begin) < std::min(end, o.end); }
  void extend(const Range& o) {
    if (o.empty()) return;
    *this = empty() ? o : Range{std::min(begin, o.begin), std::max(end, o.end)};
  }
};

using Bounds = std::vector<std::int64_t>;

struct Node {
  std::size_t index = 0;  // in HostArtifact::launches
  const HostLaunch* launch = nullptr;
  double cycles = 0;  // estimated
  std::vector<Access> accesses;
  Bounds bounds;  // once it is in a group
};

/// The bytes of what a launch uses.
std::vector<Access> accesses_of(const BufferTable& t, const HostLaunch& launch) {
  std::vector<Access> accesses;
  for (const BufferUse& use : launch.uses) {
    const BufferId root = storage(t, use.buffer);
    const Buffer& from = at(t.buffers, root);
    const bool in_arena = from.kind == Buffer::temp;
    const std::int64_t base = in_arena ? from.offset : 0;
    accesses.push_back({in_arena ? kArena : root, base + use.begin, base + use.end, use.row, use.store});
  }
  return accesses;
}

class Planner {
 public:
  Planner(const HostArtifact& artifact, int threads) : threads_(static_cast<std::size_t>(threads)), load_(threads_, 0) {
    for (std::size_t i = 0; i < artifact.launches.size(); ++i) {
      const HostLaunch& l = artifact.launches[i];
      if (l.units > 0)
        nodes_.push_back({i, &l, std::max(l.cycles, l.bytes / kBytesPerCycle), accesses_of(*artifact.memory, l), {}});
    }
  }

  std::vector<PlannedPhase> plan() {
    std::vector<PlannedPhase> result;
    if (threads_ == 1 || std::ranges::none_of(nodes_, [&](const Node& n) { return is_large(n); })) {
      for (Node& n : nodes_) result.push_back({n.index, on_thread(n, 0)});
      return result;
    }
    std::vector<Node*> waiting;  // considered before, and not yet in a group
    for (std::size_t next = 0; next < nodes_.size() || !waiting.empty();) {
      std::vector<Node*> group, deferred;
      std::fill(load_.begin(), load_.end(), 0.0);
      const auto consider = [&](Node* n) {
        const bool overtakes_any = std::ranges::any_of(deferred, [&](Node* d) { return conflict_anywhere(*d, *n); });
        (!overtakes_any && join(*n, group) ? group : deferred).push_back(n);
      };
      std::ranges::for_each(waiting, consider);
      while (next < nodes_.size() && deferred.size() < kWindow && group.size() < kGroup) consider(&nodes_[next++]);
      for (const Node* n : group) result.push_back({n->index, n->bounds});
      result.back().barrier = true;
      waiting = std::move(deferred);
    }
    if (!result.empty()) result.back().barrier = false;  // the end of a run is a barrier of its own
    return result;
  }

 private:
  bool is_large(const Node& n) const { return n.launch->units > 1 && n.cycles >= kSharedCycles; }

  Bounds on_thread(const Node& n, std::size_t thread) const {
    Bounds bounds(threads_ + 1, 0);
    std::fill(bounds.begin() + static_cast<std::ptrdiff_t>(thread) + 1, bounds.end(), n.launch->units);
    return bounds;
  }

  /// Units whose work is nearest to an equal share of it all.
  Bounds equal_shares(const Node& n) const {
    const auto threads = static_cast<std::int64_t>(threads_);
    const std::int64_t units = n.launch->units, of_last = std::min(units, n.launch->split.units);
    const double before = static_cast<double>(units - of_last), last = n.launch->split.last;  // the last group
    const double work = before + static_cast<double>(of_last) * last;
    Bounds bounds;
    for (std::int64_t t = 0; t < threads; ++t) {
      const double share = work * static_cast<double>(t) / static_cast<double>(threads);
      const double beyond = std::max(share - before, 0.0);  // in the last group
      bounds.push_back(static_cast<std::int64_t>(share - beyond + beyond / last));
    }
    bounds.push_back(units);
    return bounds;
  }

  /// Values of the split axis that units [bounds[t], bounds[t + 1]) take.
  static Range values(const Node& n, const Bounds& bounds, std::size_t t) {
    if (bounds[t] >= bounds[t + 1]) return {};
    const UnitSplit& s = n.launch->split;
    const std::int64_t end = s.start((bounds[t + 1] - 1) / s.units + 1);
    return {s.start(bounds[t] / s.units), std::min(end, s.extent)};
  }

  static Range touched(const Node& n, const Bounds& bounds, const Access& a, std::size_t t) {
    if (bounds[t] >= bounds[t + 1]) return {};
    if (a.row == 0) return {a.begin, a.end};
    const Range v = values(n, bounds, t);
    return {a.begin + v.begin * a.row, a.begin + v.end * a.row};
  }

  static bool may_conflict(const Access& a, const Access& b) {
    if (!a.store && !b.store) return false;
    return a.place == b.place && Range{a.begin, a.end}.meets({b.begin, b.end});
  }

  static bool conflict_anywhere(const Node& a, const Node& b) {
    for (const Access& x : a.accesses)
      for (const Access& y : b.accesses)
        if (may_conflict(x, y)) return true;
    return false;
  }

  /// Whether a share of `a` and another thread's share of `b` conflict.
  bool conflict(const Node& a, const Node& b, const Bounds& of_b) const {
    for (const Access& x : a.accesses)
      for (const Access& y : b.accesses) {
        if (!may_conflict(x, y)) continue;
        for (const bool upwards : {true, false}) {
          Range others;  // what threads before (after) t touch
          for (std::size_t i = 0; i < threads_; ++i) {
            const std::size_t t = upwards ? i : threads_ - 1 - i;
            if (touched(b, of_b, y, t).meets(others)) return true;
            others.extend(touched(a, a.bounds, x, t));
          }
        }
      }
    return false;
  }

  const Node* first_conflict(const std::vector<Node*>& group, const Node& n, const Bounds& bounds) const {
    for (const Node* g : group)
      if (conflict(*g, n, bounds)) return g;
    return nullptr;
  }

  /// Shares of n that take the same values of its axis as those of g do of g's.
  std::optional<Bounds> cut_like(const Node& g, const Node& n) const {
    const UnitSplit &from = g.launch->split, &to = n.launch->split;
    if (from.extent == 0 || from.extent != to.extent) return {};
    const std::int64_t groups = n.launch->units / to.units;
    Bounds bounds{0};
    for (std::size_t t = 1; t < threads_; ++t) {
      if (g.bounds[t] % from.units != 0) return {};
      const std::int64_t value = std::min(from.start(g.bounds[t] / from.units), from.extent);
      std::int64_t low = 0, high = groups;  // the first group that starts at `value` or after it
      while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (to.start(middle) < value)
          low = middle + 1;
        else
          high = middle;
      }
      if (std::min(to.start(low), to.extent) != value) return {};
      bounds.push_back(low * to.units);
    }
    bounds.push_back(n.launch->units);
    return bounds;
  }

  bool is_even(const Bounds& bounds) const {
    const double fair = static_cast<double>(bounds.back()) / static_cast<double>(threads_);
    for (std::size_t t = 0; t < threads_; ++t)
      if (static_cast<double>(bounds[t + 1] - bounds[t]) > std::max(fair * kUneven, fair + 1)) return false;
    return true;
  }

  bool accept(Node& n, const std::vector<Node*>& group, const Bounds& bounds) {
    if (first_conflict(group, n, bounds)) return false;
    n.bounds = bounds;
    for (std::size_t t = 0; t < threads_; ++t)
      load_[t] += n.cycles * static_cast<double>(bounds[t + 1] - bounds[t]) / static_cast<double>(n.launch->units);
    return true;
  }

  /// Finds shares of n that conflict with nothing in the group, or says that there are none.
  bool join(Node& n, const std::vector<Node*>& group) {
    const bool large = is_large(n);
    const bool shared = large || (n.launch->units >= static_cast<std::int64_t>(threads_) && n.launch->split.extent > 0);
    const Node* obstacle = nullptr;
    if (shared) {
      const Bounds equal = equal_shares(n);
      obstacle = first_conflict(group, n, equal);
      if (!obstacle) return accept(n, group, equal);
      if (const auto cut = cut_like(*obstacle, n); cut && (!large || is_even(*cut)) && accept(n, group, *cut))
        return true;
      if (large) return false;
    }
    const auto idle = static_cast<std::size_t>(std::ranges::min_element(load_) - load_.begin());
    const Bounds alone = on_thread(n, idle);
    obstacle = first_conflict(group, n, alone);
    if (!obstacle) return accept(n, group, alone);
    for (std::size_t t = 0; t < threads_; ++t)  // where one thread has all of what is in the way
      if (obstacle->bounds[t + 1] - obstacle->bounds[t] == obstacle->launch->units)
        return t != idle && accept(n, group, on_thread(n, t));
    return false;
  }

  const std::size_t threads_;
  std::vector<Node> nodes_;
  std::vector<double> load_;  // estimated cycles of each thread in this group
};

}  // namespace

std::vector<PlannedPhase> plan_phases(const HostArtifact& artifact, int threads) {
  return Planner(artifact, threads).plan();
}

}  // namespace weft

// Greedy list scheduling of phases into groups that need no barrier inside; the rule is in phase_plan.h.
#include "runtime/host/phase_plan.h"

#include <algorithm>
#include <optional>

#include "ir/base/error.h"
#include "ir/kernel/kernel_walk.h"

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

constexpr BufferId kArena = -1, kAnything = -2;  // places that are no buffer of their own

/// Bytes that a phase touches. With `row` > 0, a thread whose units take values [a, b) of the split axis touches
/// [begin + a * row, begin + b * row) only.
struct Access {
  BufferId place = kAnything;
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
  std::size_t code = 0;
  const KernelCode* kernel = nullptr;
  std::int64_t extent = 0;  // of the split axis
  double cycles = 0;        // estimated
  std::vector<Access> accesses;
  Bounds bounds;  // once it is in a group
};

class Footprint {
 public:
  Footprint(const Program& p, const Kernel& k, const Phase& phase, const UnitSplit& split)
      : p_(p), k_(k), split_(split) {
    std::vector<ExprId> roots;
    for (const KernelStage& s : phase.stages) {
      for (const Store& t : s.stores) add(t.buffer, t.access, true);
      for (ExprId e : roots_of(s)) roots.push_back(e);
    }
    const std::vector<bool> used = needed(k, roots);
    for (std::size_t i = k.exprs.size(); i-- > 0;)
      if (const Expr& e = k.exprs[i]; used[i] && e.kind == Expr::load) add(e.buffer, e.access, false);
  }
  std::vector<Access> take() { return std::move(accesses_); }
  double bytes() const { return bytes_; }  ///< loaded and stored, at most

 private:
  void add(BufferId id, const std::vector<Index>& access, bool store) {
    const BufferId root = storage(p_, id);
    const Buffer& from = p_.buffers[static_cast<std::size_t>(root)];
    if (from.kind == Buffer::constant) return;
    const bool in_panels = p_.buffers[static_cast<std::size_t>(id)].panels > 0;  // no row is a range of bytes
    const Type& type = p_.buffers[static_cast<std::size_t>(id)].type;
    Access a{root, 0, byte_size(type), 0, store};
    if (from.kind == Buffer::temp) a = {kArena, from.offset, from.offset + a.end, 0, store};
    const std::vector<std::pair<AxisId, std::int64_t>> rows = {{split_.axis, 1}};
    if (split_.axis != kNone && !in_panels && !access.empty() && access[0].terms == rows && access[0].offset == 0 &&
        access[0].indirect == kNone && type.shape[0] > 0)
      a.row = byte_size(type) / type.shape[0];
    accesses_.push_back(a);
    std::vector<AxisId> axes;
    for (const Index& i : access)
      for (auto [axis, coefficient] : i.terms)
        if (!std::ranges::count(axes, axis)) axes.push_back(axis);
    double bytes = static_cast<double>(size_of(type.dtype));
    for (const AxisId axis : axes) bytes *= static_cast<double>(k_.axes[static_cast<std::size_t>(axis)].extent);
    bytes_ += std::min(bytes, static_cast<double>(byte_size(type)));
  }

  const Program& p_;
  const Kernel& k_;
  const UnitSplit& split_;
  std::vector<Access> accesses_;
  double bytes_ = 0;
};

class Planner {
 public:
  Planner(const Image& image, int threads) : threads_(static_cast<std::size_t>(threads)), load_(threads_, 0) {
    std::size_t phase = 0;
    for (std::size_t i = 0; i < image.code.size(); ++i) {
      const KernelCode& code = image.code[i];
      phase = i > 0 && image.code[i - 1].kernel == code.kernel ? phase + 1 : 0;
      if (code.units > 0) nodes_.push_back(node(*image.program, i, code, phase));
    }
  }

  std::vector<PlannedPhase> plan() {
    std::vector<PlannedPhase> result;
    if (threads_ == 1 || std::ranges::none_of(nodes_, [&](const Node& n) { return is_large(n); })) {
      for (Node& n : nodes_) result.push_back({n.code, on_thread(n, 0)});
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
      for (const Node* n : group) result.push_back({n->code, n->bounds});
      result.back().barrier = true;
      waiting = std::move(deferred);
    }
    if (!result.empty()) result.back().barrier = false;  // the end of a run is a barrier of its own
    return result;
  }

 private:
  static Node node(const Program& p, std::size_t i, const KernelCode& code, std::size_t phase) {
    Node n{i, &code, 0, code.cost, {}, {}};
    const auto kernel = static_cast<std::size_t>(code.kernel);
    if (kernel >= p.kernels.size() || phase >= p.kernels[kernel].phases.size()) {
      n.accesses = {{kAnything, 0, 1, 0, true}};  // code without a kernel that says what it touches
      return n;
    }
    const Kernel& k = p.kernels[kernel];
    if (code.split.axis != kNone) n.extent = k.axes[static_cast<std::size_t>(code.split.axis)].extent;
    Footprint footprint(p, k, k.phases[phase], code.split);
    n.cycles = std::max(code.cost, footprint.bytes() / kBytesPerCycle);
    n.accesses = footprint.take();
    return n;
  }

  bool is_large(const Node& n) const { return n.kernel->units > 1 && n.cycles >= kSharedCycles; }

  Bounds on_thread(const Node& n, std::size_t thread) const {
    Bounds bounds(threads_ + 1, 0);
    std::fill(bounds.begin() + static_cast<std::ptrdiff_t>(thread) + 1, bounds.end(), n.kernel->units);
    return bounds;
  }

  Bounds equal_shares(const Node& n) const {
    const auto threads = static_cast<std::int64_t>(threads_);
    Bounds bounds;
    for (std::int64_t t = 0; t <= threads; ++t) bounds.push_back(n.kernel->units * t / threads);
    return bounds;
  }

  /// Values of the split axis that units [bounds[t], bounds[t + 1]) take.
  static Range values(const Node& n, const Bounds& bounds, std::size_t t) {
    if (bounds[t] >= bounds[t + 1]) return {};
    const UnitSplit& s = n.kernel->split;
    const std::int64_t end = s.start((bounds[t + 1] - 1) / s.units + 1);
    return {s.start(bounds[t] / s.units), std::min(end, n.extent)};
  }

  static Range touched(const Node& n, const Bounds& bounds, const Access& a, std::size_t t) {
    if (bounds[t] >= bounds[t + 1]) return {};
    if (a.row == 0) return {a.begin, a.end};
    const Range v = values(n, bounds, t);
    return {a.begin + v.begin * a.row, a.begin + v.end * a.row};
  }

  static bool may_conflict(const Access& a, const Access& b) {
    if (!a.store && !b.store) return false;
    if (a.place == kAnything || b.place == kAnything) return true;
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
        const bool unknown = x.place == kAnything || y.place == kAnything;
        for (const bool upwards : {true, false}) {
          Range others;  // what threads before (after) t touch
          for (std::size_t i = 0; i < threads_; ++i) {
            const std::size_t t = upwards ? i : threads_ - 1 - i;
            Range mine = touched(b, of_b, y, t), theirs = touched(a, a.bounds, x, t);
            if (unknown) mine = Range{0, !mine.empty()}, theirs = Range{0, !theirs.empty()};
            if (mine.meets(others)) return true;
            others.extend(theirs);
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
    const UnitSplit &from = g.kernel->split, &to = n.kernel->split;
    if (from.axis == kNone || to.axis == kNone || g.extent != n.extent) return {};
    const std::int64_t groups = n.kernel->units / to.units;
    Bounds bounds{0};
    for (std::size_t t = 1; t < threads_; ++t) {
      if (g.bounds[t] % from.units != 0) return {};
      const std::int64_t value = std::min(from.start(g.bounds[t] / from.units), g.extent);
      std::int64_t low = 0, high = groups;  // the first group that starts at `value` or after it
      while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (to.start(middle) < value)
          low = middle + 1;
        else
          high = middle;
      }
      if (std::min(to.start(low), n.extent) != value) return {};
      bounds.push_back(low * to.units);
    }
    bounds.push_back(n.kernel->units);
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
      load_[t] += n.cycles * static_cast<double>(bounds[t + 1] - bounds[t]) / static_cast<double>(n.kernel->units);
    return true;
  }

  /// Finds shares of n that conflict with nothing in the group, or says that there are none.
  bool join(Node& n, const std::vector<Node*>& group) {
    const bool large = is_large(n);
    const bool shared =
        large || (n.kernel->units >= static_cast<std::int64_t>(threads_) && n.kernel->split.axis != kNone);
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
      if (obstacle->bounds[t + 1] - obstacle->bounds[t] == obstacle->kernel->units)
        return t != idle && accept(n, group, on_thread(n, t));
    return false;
  }

  const std::size_t threads_;
  std::vector<Node> nodes_;
  std::vector<double> load_;  // estimated cycles of each thread in this group
};

}  // namespace

std::vector<PlannedPhase> plan_phases(const Image& image, int threads) { return Planner(image, threads).plan(); }

}  // namespace weft

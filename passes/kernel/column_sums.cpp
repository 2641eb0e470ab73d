// A kernel that sums columns, y[c] = sum over r of x[r, c], becomes three phases:
//
//   phase (q, c)         part[q, c] = run[q, c] = 0               rows of partial sums for each chunk of the rows
//   phase (r) chunk=n    run[r / n, c] += x[r, c]  over c,        beside whatever a row kernel does with its row r
//                        into part[r / n, c]
//   phase (c)            y[c] = tree over q of part[q, c] + run[q, c]    and what is computed from it
//
// A row kernel takes part where the sums read or recompute what it has at hand: a value that it stores only for the
// sums is not stored any more.
#include "passes/kernel/column_sums.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "ir/base/at.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/ops/sum_order.h"
#include "passes/graph/stored_values.h"

namespace weft {
namespace {

constexpr std::int64_t kLeastChunks = 16;  // fewer would leave threads without work
constexpr std::size_t kWindow = 32;        // kernels looked back at for one that has the rows at hand
constexpr std::int64_t kNarrowest = 16;    // columns: fewer do not fill a vector

/// What a kernel is that sums columns: `folds` leading stages over `rows`, then stores at each of `columns`.
struct ColumnSums {
  AxisId rows = kNone, columns = kNone;
  std::size_t folds = 0;
};

std::int64_t extent(const Kernel& k, AxisId a) { return at(k.axes, a).extent; }

std::optional<ColumnSums> as_column_sums(const Kernel& k) {
  if (k.phases.size() != 1 || k.phases[0].parallel.size() != 1 || k.phases[0].chunk) return {};
  const std::vector<KernelStage>& stages = k.phases[0].stages;
  ColumnSums s{stages[0].axis, k.phases[0].parallel[0], 0};
  for (const KernelStage& stage : stages) {
    const bool folds = stage.kind == KernelStage::reduce && stage.op == Op::reduce_sum &&
                       stage.order == FoldOrder::sequential && stage.axis == s.rows;
    if (!folds) break;
    ++s.folds;
    const std::vector<bool> need = needed(k, {stage.value});
    for (std::size_t e = 0; e < need.size(); ++e)
      if (need[e] && k.exprs[e].kind == Expr::accumulator) return {};
  }
  const auto once = [](const KernelStage& stage) { return stage.kind == KernelStage::map && stage.axis == kNone; };
  const bool all =
      s.folds > 0 && std::all_of(stages.begin() + static_cast<std::ptrdiff_t>(s.folds), stages.end(), once);
  return all ? std::optional(s) : std::nullopt;
}

/// The axis along which a row kernel walks, or kNone.
AxisId row_axis(const Kernel& k) {
  if (k.phases.size() != 1 || k.phases[0].chunk || k.phases[0].parallel.empty()) return kNone;
  AxisId axis = kNone;
  for (const KernelStage& s : k.phases[0].stages)
    if (s.kind == KernelStage::reduce && s.order == FoldOrder::striped) axis = s.axis;
  for (const KernelStage& s : k.phases[0].stages)
    if ((s.axis != kNone && s.axis != axis) || s.kind == KernelStage::contract || s.kind == KernelStage::scatter)
      return kNone;
  return axis;
}

template <class T>
bool meet(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::any_of(a, [&](const T& x) { return std::ranges::find(b, x) != b.end(); });
}

/// An access as one index into its buffer's elements; none where it has an indirect part.
std::optional<Index> flat(const Program& p, BufferId buffer, const std::vector<Index>& access) {
  Index sum_of;
  const Shape& shape = at(p.buffers, buffer).type.shape;
  std::int64_t stride = 1;
  for (int d = shape.rank(); d-- > 0; stride *= shape[d]) {
    if (at(access, d).indirect != kNone) return {};
    sum_of = sum(sum_of, scaled(at(access, d), stride));
  }
  return sum_of;
}

/// A kernel in the making: the leader's phase, and sums that are added to it.
class Split {
 public:
  /// A row kernel, which keeps its stages.
  Split(Program& p, const Kernel& leader) : p_(p), b_(leader), columns_(row_axis(leader)) {
    for (AxisId a : leader.phases[0].parallel) row_ = sum(scaled(row_, extent(leader, a)), axis_index(a));
    for (const KernelStage& s : leader.phases[0].stages) results_ = std::max(results_, s.result + 1);
    begin(extents(leader.phases[0].parallel));
  }
  /// Nothing but the sums of `joiner`.
  Split(Program& p, const Kernel& joiner, const ColumnSums& sums) : p_(p), columns_(sums.columns) {
    b_.kernel.name = joiner.name;
    b_.kernel.axes = joiner.axes;
    b_.kernel.phases = {{{sums.rows}, {}}};
    row_ = axis_index(sums.rows);
    begin(extent(joiner, sums.rows));
  }

  /// False, and nothing is changed, where the sums need what the leader has not at hand.
  bool add(const Kernel& joiner, const ColumnSums& sums) {
    const KernelBuilder before = b_;
    KernelRewriter copy(joiner, b_, [&](AxisId a) { return a == sums.rows ? row_ : axis_index(columns_); });
    if (copy_exprs(joiner, copy)) {
      add_stages(joiner, sums, copy);
      return true;
    }
    b_ = before;
    return false;
  }

  Kernel finish() {
    fold_.stages.insert(fold_.stages.end(), once_.begin(), once_.end());
    b_.kernel.phases = {zero_, rows(), fold_};
    return std::move(b_.kernel);
  }

 private:
  std::int64_t extents(const std::vector<AxisId>& axes) const {
    std::int64_t n = 1;
    for (AxisId a : axes) n *= extent(b_.kernel, a);
    return n;
  }
  Phase& rows() { return b_.kernel.phases[0]; }

  void begin(std::int64_t n) {
    const std::int64_t chunk = sequential_order(n).chunk;
    parts_ = ceil_div(n, chunk);
    part_ = b_.axis("part", parts_);
    const ExprId row = b_.add({.kind = Expr::index, .dtype = i64, .access = {row_}});
    chunk_.indirect = b_.op(Op::div, i64, {row, b_.constant(i64, static_cast<std::uint64_t>(chunk))});
    rows().chunk = chunk;
    zero_.parallel = {part_, columns_};
    zero_.stages.resize(1);
    fold_.parallel = {columns_};
  }

  /// A stage from `first` on stores to what a value is computed from.
  bool overwritten(ExprId value, std::size_t first) {
    bool found = false;
    for_each_load(b_.kernel, {value}, [&](BufferId id, const std::vector<Index>&, ExprId) {
      for (std::size_t s = first; s < rows().stages.size(); ++s)
        found |= std::ranges::any_of(rows().stages[s].stores,
                                     [&](const Store& t) { return storage(p_, t.buffer) == storage(p_, id); });
    });
    return found;
  }

  /// What the leader stores at the element that a load reads: its value, or the load after the store where computing
  /// the value anew would give another one. kNone where the leader does not store there.
  ExprId at_hand(const Expr& load) {
    const std::optional<Index> element = flat(p_, load.buffer, load.access);
    const std::vector<KernelStage>& stages = rows().stages;
    for (std::size_t s = stages.size(); s-- > 0;)
      for (const Store& t : stages[s].stores)
        if (stages[s].kind == KernelStage::map && storage(p_, t.buffer) == storage(p_, load.buffer) && element &&
            flat(p_, t.buffer, t.access) == element)
          return overwritten(t.value, s) ? b_.add(load) : t.value;
    return kNone;
  }

  bool copy_exprs(const Kernel& joiner, KernelRewriter& copy) {
    std::vector<BufferId> stored;
    for (const KernelStage& s : rows().stages)
      for (const Store& t : s.stores) stored.push_back(storage(p_, t.buffer));
    for (ExprId id = 0; id < static_cast<ExprId>(joiner.exprs.size()); ++id) {
      Expr e = copy.mapped(id);
      if (e.kind == Expr::accumulator) e.result += results_;
      ExprId known = kNone;
      if (e.kind == Expr::load && std::ranges::count(stored, storage(p_, e.buffer))) {
        known = e.args.empty() ? at_hand(e) : kNone;
        if (known == kNone) return false;
      }
      copy.set(id, known == kNone ? b_.add(std::move(e)) : known);
    }
    return true;
  }

  void add_stages(const Kernel& joiner, const ColumnSums& sums, const KernelRewriter& copy) {
    const std::vector<KernelStage>& stages = joiner.phases[0].stages;
    for (std::size_t f = 0; f < sums.folds; ++f) {
      const ExprId x = copy(stages[f].value);
      const DType t = at(b_.kernel.exprs, x).dtype;
      const Type parts{t, {parts_, extent(b_.kernel, columns_)}};
      const BufferId part = add_buffer("part", parts), run = add_buffer("run", parts);
      const std::vector<Index> place = {axis_index(part_), axis_index(columns_)};
      for (BufferId b : {part, run}) zero_.stages[0].stores.push_back({b, place, b_.constant(t, 0)});
      KernelStage into;
      into.kind = KernelStage::scatter;
      into.axis = columns_;
      into.stores = {{run, {chunk_, axis_index(columns_)}, x}, {part, {chunk_, axis_index(columns_)}, x}};
      rows().stages.push_back(into);
      std::vector<ExprId> loads;
      for (BufferId b : {part, run}) loads.push_back(b_.load(b, place, t));
      KernelStage total = stages[f];
      total.axis = part_;
      total.order = FoldOrder::tree;
      total.value = b_.op(Op::add, t, std::move(loads));
      total.result += results_;
      fold_.stages.push_back(total);
    }
    for (std::size_t s = sums.folds; s < stages.size(); ++s) once_.push_back(copy.stage(stages[s]));
    results_ += static_cast<std::int32_t>(sums.folds);
    b_.kernel.locs |= joiner.locs;
  }

  BufferId add_buffer(std::string_view what, Type type) {
    const std::size_t number = zero_.stages[0].stores.size() / 2;
    return add_temporary(p_, fmt::format("{}.{}{}", b_.kernel.name, what, number), std::move(type));
  }

  Program& p_;
  KernelBuilder b_;
  AxisId columns_ = kNone, part_ = kNone;
  std::int64_t parts_ = 0;
  Index row_, chunk_;  // of the point's row: its number, the number of its chunk
  Phase zero_, fold_;
  std::vector<KernelStage> once_;  // after the folds
  std::int32_t results_ = 0;
};

/// Drops stores to temporaries that nothing loads, and what only they need.
void drop_unread(Program& p, Kernel& k) {
  const auto read = [&](BufferId root) {
    return std::ranges::any_of(p.kernels, [&](const Kernel& other) {
      return std::ranges::any_of(other.exprs,
                                 [&](const Expr& e) { return e.kind == Expr::load && storage(p, e.buffer) == root; });
    });
  };
  KernelBuilder b;
  KernelRewriter kept(k, b);
  std::vector<Phase> phases = k.phases;
  std::vector<ExprId> roots;
  for (Phase& phase : phases) {
    for (KernelStage& s : phase.stages)
      std::erase_if(s.stores, [&](const Store& t) {
        const BufferId root = storage(p, t.buffer);
        return at(p.buffers, root).kind == Buffer::temp && !read(root);
      });
    std::erase_if(phase.stages, [](const KernelStage& s) { return s.kind == KernelStage::map && s.stores.empty(); });
    for (ExprId e : roots_of(phase)) roots.push_back(e);
  }
  kept.copy_all(roots);
  for (Phase& phase : phases)
    for (KernelStage& s : phase.stages) s = kept.stage(std::move(s));
  k.exprs = std::move(b.kernel.exprs);
  k.phases = std::move(phases);
}

/// Removes the temporaries that no kernel touches, and their views.
void remove_untouched(Program& p) {
  std::vector<bool> keep(p.buffers.size());
  for (std::size_t b = 0; b < keep.size(); ++b)
    keep[b] = p.buffers[b].kind != Buffer::temp;  // of a view, its storage decides
  for (const Kernel& k : p.kernels) {
    const Touched t = touched(p, k);
    for (BufferId id : t.loads) keep[static_cast<std::size_t>(id)] = true;
    for (BufferId id : t.stores) keep[static_cast<std::size_t>(id)] = true;
  }
  for (std::size_t b = 0; b < keep.size(); ++b) keep[b] = at(keep, storage(p, static_cast<BufferId>(b)));
  std::vector<BufferId> moved(p.buffers.size(), kNone);
  std::vector<Buffer> buffers;
  for (std::size_t b = 0; b < keep.size(); ++b) {
    if (!keep[b]) continue;
    moved[b] = static_cast<BufferId>(buffers.size());
    buffers.push_back(std::move(p.buffers[b]));
    if (BufferId& base = buffers.back().base; base != kNone) base = at(moved, base);
  }
  p.buffers = std::move(buffers);
  for (std::vector<BufferId>* list : {&p.inputs, &p.outputs, &p.updates})
    for (BufferId& id : *list) id = at(moved, id);
  for (Kernel& k : p.kernels)
    for_each_access(k, [&](BufferId& id, const std::vector<Index>&, ExprId) { id = at(moved, id); });
}

class Splitter {
 public:
  Splitter(Program& p, const CpuTarget& target) : p_(p), target_(target), gone_(p.kernels.size(), false) {}

  void run() {
    for (std::size_t i = 0; i < p_.kernels.size(); ++i)
      if (const std::optional<ColumnSums> sums = as_column_sums(p_.kernels[i]); sums && is_large(p_.kernels[i], *sums))
        if (!join(i, *sums)) alone(i, *sums);
    finish();
  }

 private:
  struct Leader {
    std::size_t kernel;
    Split split;
  };

  std::int64_t element(const Kernel& k) const {
    return static_cast<std::int64_t>(size_of(at(k.exprs, k.phases[0].stages[0].value).dtype));
  }
  bool is_large(const Kernel& k, const ColumnSums& s) const {
    const std::int64_t rows = extent(k, s.rows), columns = extent(k, s.columns);
    return rows >= kLeastChunks * kReduceChunk && columns >= kNarrowest &&
           rows * columns * element(k) > target_.l2_bytes;
  }

  /// The joiner loads something as large as its table that the leader loads or stores too.
  bool share_table(const Kernel& joiner, const ColumnSums& s, const Touched& leader) const {
    return std::ranges::any_of(joiner.exprs, [&](const Expr& e) {
      return e.kind == Expr::load &&
             element_count(at(p_.buffers, e.buffer).type.shape) >= extent(joiner, s.rows) * extent(joiner, s.columns) &&
             (std::ranges::count(leader.loads, storage(p_, e.buffer)) ||
              std::ranges::count(leader.stores, storage(p_, e.buffer)));
    });
  }

  bool join(std::size_t joiner, const ColumnSums& sums) {
    const Kernel& k = p_.kernels[joiner];
    const Touched own = touched(p_, k);
    for (std::size_t i = joiner; i-- > 0 && joiner - i <= kWindow;) {
      const Kernel& leader = p_.kernels[i];
      const Touched before = touched(p_, leader);
      if (is_leader(leader, k, sums) && share_table(k, sums, before) && !meet(own.stores, before.stores)) {
        const auto known = std::ranges::find(leaders_, i, &Leader::kernel);
        if (known != leaders_.end()) return gone_[joiner] = known->split.add(k, sums);
        Split split(p_, leader);
        if (!split.add(k, sums)) return false;
        leaders_.push_back({i, std::move(split)});
        return gone_[joiner] = true;
      }
      // (Of a kernel that has joined a leader, too: wherever that is, the two may not change places.)
      if (meet(own.loads, before.stores) || meet(own.stores, before.loads) || meet(own.stores, before.stores))
        return false;
    }
    return false;
  }

  bool is_leader(const Kernel& leader, const Kernel& joiner, const ColumnSums& s) const {
    const AxisId along = row_axis(leader);
    if (along == kNone || extent(leader, along) != extent(joiner, s.columns)) return false;
    std::int64_t rows = 1;
    for (AxisId a : leader.phases[0].parallel) rows *= extent(leader, a);
    return rows == extent(joiner, s.rows);
  }

  /// Rows in order are one stream; columns would be walked down in pieces of rows, and few of them feed few threads.
  void alone(std::size_t i, const ColumnSums& sums) {
    const Kernel& k = p_.kernels[i];
    const std::int64_t row_bytes = extent(k, sums.columns) * element(k);
    const bool cached = extent(k, sums.rows) * row_bytes <= 4 * target_.l2_bytes;
    if (cached || static_cast<std::int64_t>(sums.folds) * row_bytes > target_.l1_bytes / 2) return;
    Split split(p_, k, sums);
    if (split.add(k, sums)) leaders_.push_back({i, std::move(split)});
  }

  void finish() {
    for (Leader& h : leaders_) p_.kernels[h.kernel] = h.split.finish();
    std::vector<Kernel> kept;
    for (std::size_t i = 0; i < p_.kernels.size(); ++i)
      if (!gone_[i]) kept.push_back(std::move(p_.kernels[i]));
    p_.kernels = std::move(kept);
    if (leaders_.empty()) return;
    for (Kernel& k : p_.kernels)
      if (k.phases.size() == 3 && k.phases[1].chunk) drop_unread(p_, k);
    remove_untouched(p_);
  }

  Program& p_;
  const CpuTarget& target_;
  std::vector<Leader> leaders_;
  std::vector<bool> gone_;
};

}  // namespace

void split_column_sums(Program& p, const CpuTarget& target) { Splitter(p, target).run(); }

}  // namespace weft

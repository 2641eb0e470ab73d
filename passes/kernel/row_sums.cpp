// A kernel that folds rows, y[p] = fold over k of x[p, k], becomes three phases:
//
//   phase (p, q)   part[p, q] = fold over i of x[p, 4096 q + i]      a whole chunk of a row for each point
//   phase (p)      part[p, last] = fold over t of x[p, 4096 last + t]    where the last chunk is shorter
//   phase (p)      y[p] = tree over q of part[p, q]                  and what is computed from it
#include "passes/kernel/row_sums.h"

#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/kernel_walk.h"
#include "passes/graph/stored_values.h"

namespace weft {
namespace {

constexpr std::int64_t kLeastChunks = 16;  // fewer would leave threads without work
constexpr std::int64_t kMostRows = 64;     // more feed the threads by themselves
constexpr std::int64_t kChunk = kStripedOrder.chunk;

std::int64_t extent(const Kernel& k, AxisId a) { return at(k.axes, a).extent; }

/// The axis of the rows that a kernel folds and does nothing else along, or kNone.
AxisId folded_axis(const Program& p, const Kernel& k) {
  if (k.phases.size() != 1 || k.phases[0].chunk) return kNone;
  AxisId axis = kNone;
  std::vector<ExprId> values;
  for (const KernelStage& s : k.phases[0].stages) {
    const bool once = s.kind == KernelStage::map && s.axis == kNone;
    const bool folds =
        s.kind == KernelStage::reduce && s.order == FoldOrder::striped && (axis == kNone || s.axis == axis);
    if (!once && !folds) return kNone;
    if (folds) axis = s.axis, values.push_back(s.value);
  }
  const std::vector<BufferId> stored = touched(p, k).stores;
  const std::vector<bool> need = needed(k, values);
  for (std::size_t e = 0; e < need.size(); ++e) {
    const Expr& expr = k.exprs[e];
    if (need[e] && expr.kind == Expr::accumulator) return kNone;
    if (need[e] && expr.kind == Expr::load && std::ranges::count(stored, storage(p, expr.buffer))) return kNone;
  }
  return axis;
}

bool is_large(const Kernel& k, AxisId row, const CpuTarget& target) {
  std::int64_t rows = 1, element = 1;
  for (AxisId a : k.phases[0].parallel) rows *= extent(k, a);
  for (const KernelStage& s : k.phases[0].stages)
    if (s.kind == KernelStage::reduce)
      element = std::max(element, static_cast<std::int64_t>(size_of(at(k.exprs, s.value).dtype)));
  return rows < kMostRows && extent(k, row) >= kLeastChunks * kChunk &&
         rows * extent(k, row) * element > target.l2_bytes;
}

class Split {
 public:
  Split(Program& p, const Kernel& k, AxisId row) : p_(p), from_(k), row_(row) {
    Kernel& made = to_.kernel;
    made.name = k.name, made.axes = k.axes, made.locs = k.locs;
    const std::int64_t n = extent(k, row), whole = n / kChunk, rest = n % kChunk;
    at(made.axes, row).extent = kChunk;
    const AxisId chunk = to_.axis("chunk", whole), all = rest ? to_.axis("chunks", whole + 1) : chunk;
    for (AxisId a : points()) parts_.push_back(extent(k, a));
    parts_.push_back(extent(made, all));
    for (const KernelStage& s : stages())
      if (s.kind == KernelStage::reduce) {
        next_result_ = std::max(next_result_, s.result + 1);
        add_buffer(at(k.exprs, s.value).dtype);
      }

    std::vector<AxisId> chunks = points();
    chunks.push_back(chunk);
    fold_chunks(chunks, row, sum(axis_index(row), scaled(axis_index(chunk), kChunk)), axis_index(chunk));
    if (rest) {
      const AxisId tail = to_.axis("tail", rest);
      fold_chunks(points(), tail, sum(axis_index(tail), constant_index(whole * kChunk)), constant_index(whole));
    }
    fold_parts(all);
  }
  Kernel finish() { return std::move(to_.kernel); }

 private:
  const std::vector<AxisId>& points() const { return from_.phases[0].parallel; }
  const std::vector<KernelStage>& stages() const { return from_.phases[0].stages; }

  void add_buffer(DType t) {
    buffers_.push_back(add_temporary(p_, fmt::format("{}.chunks{}", from_.name, buffers_.size()), {t, parts_}));
  }

  /// With `k` in place of the row axis.
  KernelRewriter rewriter(Index k) {
    return {from_, to_, [row = row_, k = std::move(k)](AxisId a) { return a == row ? k : axis_index(a); }};
  }

  std::vector<Index> part(const Index& chunk) const {
    std::vector<Index> access;
    for (AxisId a : points()) access.push_back(axis_index(a));
    access.push_back(chunk);
    return access;
  }

  /// A phase that folds along `axis`, where k is the place in the row, and stores the results as those of `chunk`.
  void fold_chunks(std::vector<AxisId> parallel, AxisId axis, const Index& k, const Index& chunk) {
    Phase phase{std::move(parallel), {}};
    KernelStage store;
    KernelRewriter copy = rewriter(k);
    for (const KernelStage& s : stages()) {
      if (s.kind != KernelStage::reduce) continue;
      copy.copy_all({s.value});
      KernelStage fold = copy.stage(s);
      fold.axis = axis, fold.result = next_result_++;
      const ExprId result = to_.accumulator(fold.result, at(to_.kernel.exprs, fold.value).dtype);
      store.stores.push_back({buffers_[store.stores.size()], part(chunk), result});
      phase.stages.push_back(std::move(fold));
    }
    phase.stages.push_back(std::move(store));
    to_.kernel.phases.push_back(std::move(phase));
  }

  /// The last phase: the trees over `chunks`, and what the kernel does once for each row.
  void fold_parts(AxisId chunks) {
    Phase phase{points(), {}};
    std::size_t folds = 0;
    KernelRewriter copy = rewriter({});
    for (const KernelStage& s : stages()) {
      if (s.kind == KernelStage::reduce) {
        const BufferId parts = buffers_[folds++];
        KernelStage tree = s;
        tree.axis = chunks, tree.order = FoldOrder::tree;
        tree.value = to_.load(parts, part(axis_index(chunks)), at(p_.buffers, parts).type.dtype);
        phase.stages.push_back(std::move(tree));
      } else {
        copy.copy_all(roots_of(s));
        phase.stages.push_back(copy.stage(s));
      }
    }
    to_.kernel.phases.push_back(std::move(phase));
  }

  Program& p_;
  const Kernel& from_;
  AxisId row_;
  KernelBuilder to_;
  Shape parts_;                    // of a buffer of chunks
  std::vector<BufferId> buffers_;  // of each reduction's chunks
  std::int32_t next_result_ = 0;
};

}  // namespace

void split_row_sums(Program& p, const CpuTarget& target) {
  for (Kernel& k : p.kernels)
    if (const AxisId row = folded_axis(p, k); row != kNone && is_large(k, row, target)) k = Split(p, k, row).finish();
}

}  // namespace weft

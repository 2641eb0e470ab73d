// Reductions down the columns of memory: out[j] = fold over i of x[i, j].
//
// Walking down one vector of columns at a time would touch a new page at each step and come back to every row once for
// each vector. Rows are outermost here instead: the accumulators of a block of columns live in scratch space, in L1,
// and each is loaded and stored once for a group of rows, whose elements are folded in registers in the contract's
// order: a run, or a part of what is one run. What depends on the row alone (a mean, say) is computed once for all
// columns of a block.
//
// Each column has an accumulator for the chunk, and one for each level of the tree of chunks (a binary counter, as in
// PhaseEmitter::fold_tree).
#include <algorithm>
#include <bit>

#include "codegen/cpu/emit.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kGroup = kRun;     // rows folded for one load and store of the accumulators
constexpr int kNarrowest = 16;            // columns: fewer do not fill a vector
constexpr int kWide = 32;                 // columns side by side, for several chains; kNarrowest in panels
constexpr std::int64_t kGranule = 64;     // columns that threads share out; neighbours go to one thread as one block
constexpr std::int64_t kBlock = 2048;     // columns whose accumulators stay in L1
constexpr std::int64_t kLeastRows = 8;    // fewer are not worth accumulators in memory
constexpr std::int64_t kShortest = 4096;  // elements in all: a smaller table is in L1 however it is walked

}  // namespace

/// The number of leading stages that fold the same axis down contiguous columns; 0 where that is no gain.
std::size_t PhaseEmitter::column_folds() const {
  const std::vector<AxisId>& parallel = info_.phase.parallel;
  if (parallel.empty() || parallel.back() != lane_axis(kernel_)) return 0;
  std::size_t n = 0;
  for (const KernelStage& s : info_.phase.stages) {
    const bool folds = s.kind == KernelStage::reduce && s.order != FoldOrder::striped && !is_arg_reduce(s.op);
    if (!folds || s.axis == kNone || s.axis != stage(0).axis || s.order != stage(0).order) break;
    const Dependence& d = info_.depends[static_cast<std::size_t>(s.value)];
    if (d.accumulator || d.pinned) break;
    ++n;
  }
  const std::int64_t columns = extent(parallel.back());
  if (n == 0 || extent(stage(0).axis) < kLeastRows || columns < kNarrowest ||
      extent(stage(0).axis) * columns < kShortest || !loads_neighbours())
    return 0;
  return n;
}

PhaseCode PhaseEmitter::emit_columns(const std::string& symbol, std::size_t folds, double cost) {
  const std::vector<AxisId>& parallel = info_.phase.parallel;
  const AxisId inner = parallel.back(), axis = stage(0).axis;
  const std::vector<AxisId> outer(parallel.begin(), parallel.end() - 1);
  const std::int64_t columns = extent(inner), rows = extent(axis);
  const int width = walks_panels(inner) ? kNarrowest : kWide;
  const ReduceOrder order = reduce_order(stage(0), rows);
  std::int64_t outer_points = 1;
  for (AxisId a : outer) outer_points *= extent(a);
  const bool whole_range = outer_points == 1;  // all units of a call are neighbours: they make one block

  // Threads share out whole lines of a row, so that a table of few columns occupies more than one of them; not where
  // the table comes from memory, which delivers pieces of two lines of a row at half the rate of the whole row.
  std::int64_t element = kCacheLine;
  for (std::size_t f = 0; f < folds; ++f)
    element = std::min(element, static_cast<std::int64_t>(size_of(expr(stage(f).value).dtype)));
  const bool cached = rows * columns * element <= 4 * target_.l2_bytes;  // what an L3 may be relied on to hold
  const std::int64_t granule = cached ? std::max<std::int64_t>(width, kCacheLine / element) : kGranule;
  const std::int64_t block = whole_range ? granule : std::min(kBlock, columns);
  const std::int64_t blocks = (columns + block - 1) / block;
  PhaseCode code{symbol, outer_points * blocks, 0, cost};
  const std::int64_t in_chunk = std::min(rows, order.chunk), chunks = ceil_div(rows, order.chunk);
  const std::int64_t levels = std::bit_width(static_cast<std::uint64_t>(chunks)), tree_slots = 1;  // after the chunk's
  const std::int64_t group = std::min(kGroup, in_chunk);
  const std::int64_t rest = rows % order.chunk % group;  // of the last chunk's rows
  auto has_runs = [&](std::size_t f) {
    return in_chunk > order.run && !is_associative(stage(f).op, expr(stage(f).value).dtype);
  };
  const std::int64_t held = std::min(kBlock, ceil_div(columns, width) * width);
  std::vector<std::int64_t> offsets, slot_bytes;  // of each fold's accumulators; from one slot to the next
  for (std::size_t f = 0; f < folds; ++f) {
    slot_bytes.push_back(held * static_cast<std::int64_t>(size_of(expr(stage(f).value).dtype)));
    offsets.push_back(code.scratch_bytes);
    code.scratch_bytes += slot_bytes[f] * (tree_slots + (chunks > 1 ? levels : 0));
  }

  auto run_block = [&](Value* from, Value* to) {
    auto slot = [&](std::size_t f, Value* which) {
      Value* column = b_.CreateSub(coordinate_[static_cast<std::size_t>(inner)], from);
      Value* offset = b_.CreateAdd(b_.CreateMul(which, i64(slot_bytes[f])), i64(offsets[f]));
      return offset_elements(expr(stage(f).value).dtype, b_.CreateGEP(b_.getInt8Ty(), scratch_, offset), column);
    };
    auto get = [&](std::size_t f, Value* which) { return read(expr(stage(f).value).dtype, slot(f, which), width); };
    auto put = [&](std::size_t f, Value* which, Value* v) { write(expr(stage(f).value).dtype, slot(f, which), v); };
    auto of_each = [&](llvm::function_ref<Value*(std::size_t)> f) {
      Values v;
      for (std::size_t i = 0; i < folds; ++i) v.push_back(f(i));
      return v;
    };
    auto identity = [&](std::size_t f) {
      return emit_splat(b_, identity_of(b_, stage(f).op, expr(stage(f).value).dtype, stage(f).order), width);
    };
    auto get_all = [&](Value* which) { return of_each([&](std::size_t f) { return get(f, which); }); };
    auto put_all = [&](Value* which, const Values& v) {
      for (std::size_t f = 0; f < folds; ++f) put(f, which, v[f]);
    };
    auto combined = [&](const Values& earlier, const Values& later) {
      return of_each([&](std::size_t f) { return fold(stage(f), earlier[f], later[f]); });
    };
    // Rows [first, first + count), a group of a chunk; `begins`: its first one.
    auto fold_rows = [&](Value* first, std::int64_t count, Value* begins) {
      std::vector<Values> at;
      for (std::int64_t r = 0; r < count; ++r) at.push_back({b_.CreateAdd(first, i64(r))});
      bind_rows({axis}, at);
      for_lanes(inner, width, from, to, [&] {
        const Values chunk =
            of_each([&](std::size_t f) { return b_.CreateSelect(begins, identity(f), get(f, i64(0))); });
        Values acc = of_each([&](std::size_t f) { return has_runs(f) ? identity(f) : chunk[f]; });
        for_rows([&] { acc = combined(acc, of_each([&](std::size_t f) { return lanes(stage(f).value); })); });
        put_all(i64(0),
                of_each([&](std::size_t f) { return has_runs(f) ? fold(stage(f), chunk[f], acc[f]) : acc[f]; }));
      });
      bind_rows({}, {{}});
    };
    auto fold_chunk = [&](Value* begin, Value* end) {
      auto begins = [&](Value* row) { return b_.CreateICmpEQ(row, begin); };
      Value* whole = b_.CreateSub(end, b_.CreateURem(b_.CreateSub(end, begin), i64(group)));
      for_each("rows", begin, whole, group, [&](Value* row) { fold_rows(row, group, begins(row)); });
      if (rest) when(b_.CreateICmpSLT(whole, end), [&] { fold_rows(whole, rest, begins(whole)); });
    };
    auto tree_slot = [&](Value* level) { return b_.CreateAdd(level, i64(tree_slots)); };
    if (chunks == 1) {
      fold_chunk(i64(0), i64(rows));
    } else {
      for_each("chunk", i64(0), i64(rows), order.chunk, [&](Value* begin) {
        fold_chunk(begin, minimum(b_.CreateAdd(begin, i64(order.chunk)), i64(rows)));
        Value* carries = trailing_ones(b_.CreateUDiv(begin, i64(order.chunk)));
        for_lanes(inner, width, from, to, [&] {
          put_all(tree_slot(carries),
                  loop("carry", i64(0), carries, 1, get_all(i64(0)),
                       [&](Value* level, const Values& later) { return combined(get_all(tree_slot(level)), later); }));
        });
      });
    }
    for_lanes(inner, width, from, to, [&] {
      point_level_ = depth();
      Values total;
      for (std::int64_t level = 0; chunks > 1 && level < levels; ++level)
        if (chunks >> level & 1) {
          const Values earlier = get_all(tree_slot(i64(level)));
          total = total.empty() ? earlier : combined(earlier, total);
        }
      if (chunks == 1) total = get_all(i64(0));
      for (std::size_t f = 0; f < folds; ++f) accumulator(stage(f).result) = total[f];
      stages(folds);
    });
  };

  open_function(symbol);
  if (whole_range) {
    for (AxisId a : outer) bind(a, i64(0));
    Value* last = minimum(b_.CreateMul(end_, i64(block)), i64(columns));
    for_each("block", b_.CreateMul(begin_, i64(block)), last, kBlock,
             [&](Value* from) { run_block(from, minimum(b_.CreateAdd(from, i64(kBlock)), last)); });
  } else {
    for_units(outer, blocks, 1, [&](Value* index) {
      Value* from = b_.CreateMul(index, i64(block));
      run_block(from, blocks == 1 ? i64(columns) : minimum(b_.CreateAdd(from, i64(block)), i64(columns)));
    });
  }
  close_function();
  return code;
}

}  // namespace weft::codegen

// Reductions down the columns of memory: out[j] = fold over i of x[i, j].
//
// Walking down one vector of columns at a time would touch a new page at each step and come back to every row once for
// each vector. Rows are outermost here instead: the accumulators of a block of columns live in scratch space, in L1,
// and each is loaded and stored once for kRows rows, whose elements it folds in the contract's order. What depends on
// the row alone (a mean, say) is computed once for all columns of a block.
#include <algorithm>
#include <array>

#include "codegen/emit.h"
#include "ir/eval.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kRows = 8;         // rows folded for one load and store of the accumulators
constexpr int kWidth = 16;                // columns in a vector
constexpr std::int64_t kGranule = 64;     // columns that threads share out; neighbours go to one thread as one block
constexpr std::int64_t kBlock = 2048;     // columns whose accumulators stay in L1
constexpr std::int64_t kShortest = 4096;  // elements in all: a smaller table is in L1 however it is walked

}  // namespace

/// The number of leading stages that fold the same axis down contiguous columns; 0 where that is no gain.
std::size_t PhaseEmitter::column_folds() const {
  const std::vector<AxisId>& parallel = info_.phase.parallel;
  if (parallel.empty() || parallel.back() != kernel_.schedule.vector_axis) return 0;
  std::size_t n = 0;
  for (const KernelStage& s : info_.phase.stages) {
    const bool folds = s.kind == KernelStage::reduce && !s.striped && !is_arg_reduce(s.op);
    if (!folds || s.axis == kNone || s.axis != info_.phase.stages[0].axis) break;
    const Dependence& d = info_.depends[static_cast<std::size_t>(s.value)];
    if (d.accumulator || d.pinned) break;
    ++n;
  }
  const std::int64_t columns = extent(parallel.back());
  if (n == 0 || extent(stage(0).axis) < kRows || columns < kWidth || extent(stage(0).axis) * columns < kShortest ||
      !loads_neighbours())
    return 0;
  return n;
}

PhaseCode PhaseEmitter::emit_columns(const std::string& symbol, std::size_t folds, double cost) {
  const std::vector<AxisId>& parallel = info_.phase.parallel;
  const AxisId inner = parallel.back(), axis = stage(0).axis;
  const std::vector<AxisId> outer(parallel.begin(), parallel.end() - 1);
  const std::int64_t columns = extent(inner), rows = extent(axis), chunk = reduce_chunk(rows, false);
  std::int64_t outer_points = 1;
  for (AxisId a : outer) outer_points *= extent(a);
  const bool whole_range = outer_points == 1;  // all units of a call are neighbours: they make one block

  // Threads share out whole lines of a row, so that a table of few columns occupies more than one of them; not where
  // the table comes from memory, which delivers pieces of two lines of a row at half the rate of the whole row.
  std::int64_t element = kCacheLine;
  for (std::size_t f = 0; f < folds; ++f)
    element = std::min(element, static_cast<std::int64_t>(size_of(expr(stage(f).value).dtype)));
  const bool cached = rows * columns * element <= 4 * target_.l2_bytes;  // what an L3 may be relied on to hold
  const std::int64_t granule = cached ? std::max<std::int64_t>(kWidth, kCacheLine / element) : kGranule;
  const std::int64_t block = whole_range ? granule : std::min(kBlock, columns);
  const std::int64_t blocks = (columns + block - 1) / block;
  PhaseCode code{symbol, outer_points * blocks, 0, cost};
  // Accumulators of each fold: those of the chunk, and the total where there is more than one chunk.
  std::vector<std::array<std::int64_t, 2>> offsets;
  const std::int64_t held = std::min(kBlock, (columns + kWidth - 1) / kWidth * kWidth);
  for (std::size_t f = 0; f < folds; ++f) {
    const auto bytes = held * static_cast<std::int64_t>(size_of(expr(stage(f).value).dtype));
    offsets.push_back({code.scratch_bytes, code.scratch_bytes + bytes});
    code.scratch_bytes += rows > chunk ? 2 * bytes : bytes;
  }

  auto run_block = [&](Value* from, Value* to) {
    auto slot = [&](std::size_t f, int which) {
      Value* column = b_.CreateSub(coordinate_[static_cast<std::size_t>(inner)], from);
      Value* base = b_.CreateConstGEP1_64(b_.getInt8Ty(), scratch_, static_cast<std::uint64_t>(offsets[f][which]));
      return offset_elements(expr(stage(f).value).dtype, base, column);
    };
    auto get = [&](std::size_t f, int which) { return read(expr(stage(f).value).dtype, slot(f, which), kWidth); };
    auto put = [&](std::size_t f, int which, Value* v) { write(expr(stage(f).value).dtype, slot(f, which), v); };
    auto fold_rows = [&](Value* first, std::int64_t count) {
      std::vector<Values> at;
      for (std::int64_t r = 0; r < count; ++r) at.push_back({b_.CreateAdd(first, i64(r))});
      bind_rows({axis}, at);
      for_lanes(inner, kWidth, from, to, [&] {
        Values acc;
        for (std::size_t f = 0; f < folds; ++f) acc.push_back(get(f, 0));
        for_rows([&] {
          for (std::size_t f = 0; f < folds; ++f) acc[f] = fold(stage(f), acc[f], lanes(stage(f).value));
        });
        for (std::size_t f = 0; f < folds; ++f) put(f, 0, acc[f]);
      });
      bind_rows({}, {{}});
    };
    auto run_chunk = [&](Value* begin, Value* end) {
      for_lanes(inner, kWidth, from, to, [&] {
        for (std::size_t f = 0; f < folds; ++f)
          put(f, 0, emit_splat(b_, identity_of(b_, stage(f).op, expr(stage(f).value).dtype), kWidth));
      });
      Value* whole = b_.CreateSub(end, b_.CreateURem(b_.CreateSub(end, begin), i64(kRows)));
      for_each("rows", begin, whole, kRows, [&](Value* row) { fold_rows(row, kRows); });
      for_each("row", whole, end, 1, [&](Value* row) { fold_rows(row, 1); });
    };
    // The first chunk's result is the total; each later one is folded into it.
    run_chunk(i64(0), i64(std::min(rows, chunk)));
    if (rows > chunk) {
      for_lanes(inner, kWidth, from, to, [&] {
        for (std::size_t f = 0; f < folds; ++f) put(f, 1, get(f, 0));
      });
      for_each("chunk", i64(chunk), i64(rows), chunk, [&](Value* begin) {
        run_chunk(begin, minimum(b_.CreateAdd(begin, i64(chunk)), i64(rows)));
        for_lanes(inner, kWidth, from, to, [&] {
          for (std::size_t f = 0; f < folds; ++f) put(f, 1, fold(stage(f), get(f, 1), get(f, 0)));
        });
      });
    }
    for_lanes(inner, kWidth, from, to, [&] {
      point_level_ = depth();
      for (std::size_t f = 0; f < folds; ++f) accumulator(stage(f).result) = get(f, rows > chunk ? 1 : 0);
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

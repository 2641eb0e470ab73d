// Rows in a pipeline. A row kernel such as softmax walks along its row once for each step: the maximum, the
// exponentials and their sum, the quotients. One row after the other, the machine waits for memory in the first step,
// for a chain of dependent folds in each, and writes everything in the last one.
//
// Here one loop runs step k for the row that entered k ticks ago, so that memory is read, computed with and written at
// an even pace, in one stream each, and the chains of several rows overlap:
//
//   tick t:  for each vector of columns:  step 2 of row t - 2,  step 1 of row t - 1,  step 0 of row t
//
// While the pipeline fills and drains, the steps of the rows that exist run by themselves.
#include <llvm/IR/Constants.h>

#include <algorithm>

#include "codegen/emit.h"
#include "ir/eval.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kLeastColumns = 128;  // in shorter rows the work of a tick itself would count
constexpr std::int64_t kAhead = 6144;        // bytes, some way into the row after the next page

}  // namespace

/// The steps of the rows along `along`; empty where rows are too short, too few, or too long for the caches.
std::vector<PipelineStep> PhaseEmitter::pipeline(AxisId along) const {
  std::vector<PipelineStep> steps = pipeline_steps(program_, info_, kernel_, along);
  const auto depth = static_cast<std::int64_t>(steps.size());
  std::size_t element = 1;
  for (const KernelStage& s : info_.phase.stages)
    if (s.kind == KernelStage::reduce) element = std::max(element, size_of(expr(s.value).dtype));
  const bool fits = depth * (extent(along) * static_cast<std::int64_t>(element) + kept_bytes_) <= target_.l2_bytes / 2;
  if (!fits || extent(along) < kLeastColumns || info_.points() < 2 * depth) return {};
  return steps;
}

llvm::Constant* PhaseEmitter::nothing(std::int32_t result) {
  for (const KernelStage& s : info_.phase.stages)
    if (s.result == result) return llvm::Constant::getNullValue(register_type(b_, expr(s.value).dtype));
  ensure(false, "kernel {}: no stage gives the accumulator {}", kernel_.name, result);
  return nullptr;
}

/// Runs step k of row k in flight, for first <= k < end: one walk for all of them. Returns the results of their
/// reductions, the oldest row's first.
Values PhaseEmitter::walk(const std::vector<PipelineStep>& steps, std::size_t first, std::size_t end) {
  struct Job {
    std::size_t row, stage;
  };
  std::vector<Job> jobs, reductions;
  for (std::size_t k = end; k-- > first;)
    for (std::size_t s : steps[k].stages) {
      jobs.push_back({k, s});
      if (stage(s).kind == KernelStage::reduce) reductions.push_back({k, s});
    }
  push_level();
  stage_level_ = depth();
  const AxisId axis = kernel_.schedule.vector_axis;
  auto step = [&](const Values& acc) {
    Values next;
    for (const Job& job : jobs) {
      select_row(job.row);
      stage_ = job.stage;
      if (stage(stage_).kind == KernelStage::reduce)
        next.push_back(fold_lanes(stage(stage_), acc[next.size()]));
      else
        store_values(stage_);
    }
    if (first == 0 && lanes_.full()) {
      select_row(0);
      for (ExprId e : streamed_) prefetch(e, kAhead / static_cast<std::int64_t>(size_of(expr(e).dtype)));
    }
    return next;
  };
  auto chunk = [&](Value* from, Value* to) {
    Values acc;
    for (const Job& r : reductions)
      acc.push_back(
          emit_splat(b_, identity_of(b_, stage(r.stage).op, expr(stage(r.stage).value).dtype), kReduceStripes));
    acc = for_lanes(axis, kReduceStripes, from, to, acc, step);
    for (std::size_t i = 0; i < acc.size(); ++i) acc[i] = halve(stage(reductions[i].stage), acc[i]);
    return acc;
  };
  Values results;
  if (const std::int64_t n = extent(axis); n <= kReduceChunk) {
    results = chunk(i64(0), i64(n));
  } else {  // the first chunk's result is the total; each later one is folded into it
    for (const Job& r : reductions) results.push_back(nothing(stage(r.stage).result));
    results = loop("chunk", i64(0), i64(n), kReduceChunk, results, [&](Value* from, const Values& so_far) {
      Values total = chunk(from, minimum(b_.CreateAdd(from, i64(kReduceChunk)), i64(n)));
      Value* is_first = b_.CreateICmpEQ(from, i64(0));
      for (std::size_t i = 0; i < total.size(); ++i)
        total[i] = b_.CreateSelect(is_first, total[i], fold(stage(reductions[i].stage), so_far[i], total[i]));
      return total;
    });
  }
  for (std::size_t i = 0; i < results.size(); ++i)
    rows_[reductions[i].row].accumulators[stage(reductions[i].stage).result] = results[i];
  for (std::size_t k = end; k-- > first;)
    for (std::size_t s : steps[k].after) {
      select_row(k);
      stage_ = s;
      store_values(s);
    }
  pop_level();
  return results;
}

void PhaseEmitter::for_units_in_pipeline(const std::vector<AxisId>& outer, const std::vector<PipelineStep>& steps) {
  const std::size_t length = steps.size();
  const std::vector<std::vector<std::int32_t>> brought = accumulators_brought(info_, steps);
  std::vector<std::vector<std::int32_t>> made(length);  // results of each step
  for (std::size_t k = 0; k < length; ++k)
    for (std::size_t s : steps[k].stages)
      if (stage(s).kind == KernelStage::reduce) made[k].push_back(stage(s).result);
  std::vector<std::int64_t> radix;
  for (AxisId a : outer) radix.push_back(extent(a));

  // The rows in flight as values that the loop carries. The oldest shares its scratch space with the newest: it reads
  // an element before that one writes it.
  auto pack = [&](const std::vector<Row>& rows) {
    Values v;
    for (std::size_t k = 0; k < length; ++k) {
      v.append(rows[k].at.begin(), rows[k].at.end());
      if (k + 1 < length) v.push_back(rows[k].kept);
      for (std::int32_t r : brought[k]) v.push_back(rows[k].accumulators.lookup(r));
    }
    return v;
  };
  auto unpack = [&](const Values& v) {
    std::vector<Row> rows(length);
    const auto* next = v.begin();
    for (std::size_t k = 0; k < length; ++k) {
      rows[k].at.append(next, next + outer.size());
      next += outer.size();
      rows[k].kept = k + 1 < length ? *next++ : rows[0].kept;
      for (std::int32_t r : brought[k]) rows[k].accumulators[r] = *next++;
    }
    return rows;
  };

  std::vector<Row> start(length);
  for (std::size_t k = 0; k < length; ++k) {
    start[k].at = unit_at(begin_, radix);
    start[k].kept = i64(static_cast<std::int64_t>(k) * kept_bytes_);
    for (std::int32_t r : brought[k]) start[k].accumulators[r] = nothing(r);
  }
  Value* ticks = b_.CreateAdd(end_, i64(static_cast<std::int64_t>(length) - 1));
  loop("tick", begin_, ticks, 1, pack(start), [&](Value* tick, const Values& carried) -> Values {
    const std::vector<Row> rows = unpack(carried);
    auto exists = [&](std::size_t k) {  // row k in flight
      Value* unit = b_.CreateSub(tick, i64(static_cast<std::int64_t>(k)));
      return b_.CreateAnd(b_.CreateICmpSGE(unit, begin_), b_.CreateICmpSLT(unit, end_));
    };
    auto run = [&](std::size_t first, std::size_t end) {
      rows_ = rows;
      row_axes_ = outer;
      for (std::size_t i = 0; i < outer.size(); ++i) bind(outer[i], rows[first].at[i]);
      point_level_ = depth();
      return walk(steps, first, end);
    };
    Values results;
    for (std::size_t k = length; k-- > 0;)
      for (std::int32_t r : made[k]) results.push_back(nothing(r));
    Value* full = b_.CreateAnd(exists(0), exists(length - 1));
    results = when(full, results, [&](const Values&) { return run(0, length); });
    results = when(b_.CreateNot(full), results, [&](const Values& init) {
      Values each;
      for (std::size_t k = length; k-- > 0;) {
        const Values own(init.begin() + static_cast<std::ptrdiff_t>(each.size()),
                         init.begin() + static_cast<std::ptrdiff_t>(each.size() + made[k].size()));
        each.append(when(exists(k), own, [&](const Values&) { return run(k, k + 1); }));
      }
      return each;
    });
    std::vector<Row> next(length);
    next[0] = {next_unit(rows[0].at, radix), rows[std::max<std::size_t>(length, 2) - 2].kept};
    const auto* result = results.end();
    for (std::size_t k = 1; k < length; ++k) {
      next[k] = rows[k - 1];
      for (std::size_t i = made[k - 1].size(); i-- > 0;) next[k].accumulators[made[k - 1][i]] = *--result;
    }
    return pack(next);
  });
}

}  // namespace weft::codegen

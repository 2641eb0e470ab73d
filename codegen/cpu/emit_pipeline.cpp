// Rows in a pipeline. A row kernel such as softmax walks along its row once for each step: the maximum, the
// exponentials and their sum, the quotients. One row after the other, the machine waits for memory in the first step,
// for a chain of dependent folds in each, and writes everything in the last one.
//
// Here one loop runs step k for the row that entered k ticks ago, so that memory is read, computed with and written at
// an even pace, in one stream each, and the chains of several rows overlap:
//
//   tick t:  for each vector of columns:  step 2 of row t - 2,  step 1 of row t - 1,  step 0 of row t
//
// Where so many rows do not fit the L1, a tick takes several walks, and each row several steps further: with two,
//
//   tick t:  for each vector:  step 2 of row t - 1,  step 0 of row t
//            for each vector:  step 3 of row t - 1,  step 1 of row t
//
// While the pipeline fills and drains, the steps of the rows that exist run by themselves.
#include <llvm/IR/Constants.h>

#include <algorithm>

#include "codegen/cpu/emit.h"
#include "ir/ops/sum_order.h"

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

/// Runs the given steps, each for its row in flight: one walk for all of them. Returns the results of their reductions,
/// the last step's first.
Values PhaseEmitter::walk(const std::vector<PipelineStep>& steps, const std::vector<StepOfRow>& which) {
  struct Job {
    std::size_t row, stage;
  };
  std::vector<Job> jobs, reductions;
  for (std::size_t i = which.size(); i-- > 0;)
    for (std::size_t s : steps[which[i].step].stages) {
      jobs.push_back({which[i].row, s});
      if (stage(s).kind == KernelStage::reduce) reductions.push_back({which[i].row, s});
    }
  push_level();
  stage_level_ = depth();
  const AxisId axis = lane_axis(kernel_);
  auto step = [&](const Values& acc) {
    Values next;
    in_walk_ = true;
    for (const Job& job : jobs) {
      select_row(job.row);
      stage_ = job.stage;
      switch (stage(stage_).kind) {
        case KernelStage::reduce: next.push_back(fold_lanes(stage(stage_), acc[next.size()])); break;
        case KernelStage::scatter: add_along_row(stage_); break;
        default: store_values(stage_);
      }
    }
    in_walk_ = false;
    if (which[0].step == 0 && lanes_.full()) {
      select_row(0);
      for (ExprId e : streamed_) prefetch(e, kAhead / static_cast<std::int64_t>(size_of(expr(e).dtype)));
    }
    for (const auto& store : deferred_) store();
    deferred_.clear();
    return next;
  };
  for (const Job& job : jobs) {
    select_row(job.row);
    end_run(job.stage);
  }
  Values identity;
  for (const Job& r : reductions)
    identity.push_back(
        emit_splat(b_, identity_of(b_, stage(r.stage).op, expr(stage(r.stage).value).dtype), kReduceStripes));
  const std::int64_t n = extent(axis);
  auto stage_of = [&](std::size_t i) -> const KernelStage& { return stage(reductions[i].stage); };
  auto combine = [&](std::size_t i, Value* earlier, Value* later) { return fold(stage_of(i), earlier, later); };
  auto chunk = [&](Value* begin, Value* end) {
    Values v = fold_runs(n, kStripedOrder.run, begin, end, identity, stage_of,
                         [&](Value* from, Value* to, const Values& start) {
                           return for_lanes(axis, kReduceStripes, from, to, start, step);
                         });
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = halve(stage_of(i), v[i]);
    return v;
  };
  const Values results = fold_tree(n, kStripedOrder.chunk, chunk, combine);
  for (std::size_t i = 0; i < results.size(); ++i)
    rows_[reductions[i].row].accumulators[stage(reductions[i].stage).result] = results[i];
  for (std::size_t i = which.size(); i-- > 0;)
    for (std::size_t s : steps[which[i].step].after) {
      select_row(which[i].row);
      stage_ = s;
      store_values(s);
    }
  pop_level();
  return results;
}

void PhaseEmitter::for_units_in_pipeline(const std::vector<AxisId>& outer, const std::vector<PipelineStep>& steps,
                                         std::size_t walks) {
  const std::size_t length = steps.size(), in_flight = (length + walks - 1) / walks;
  const std::vector<std::vector<std::int32_t>> brought = accumulators_brought(info_, steps);
  std::vector<std::int64_t> radix;
  for (AxisId a : outer) radix.push_back(extent(a));

  // The rows in flight as values that the loop carries, each with the accumulators that its next steps read.
  auto pack = [&](const std::vector<Row>& rows) {
    Values v;
    for (std::size_t r = 0; r < in_flight; ++r) {
      v.append(rows[r].at.begin(), rows[r].at.end());
      v.push_back(rows[r].kept);
      for (std::int32_t a : brought[r * walks]) v.push_back(rows[r].accumulators.lookup(a));
    }
    return v;
  };
  auto unpack = [&](const Values& v) {
    std::vector<Row> rows(in_flight);
    const auto* next = v.begin();
    for (std::size_t r = 0; r < in_flight; ++r) {
      rows[r].at.append(next, next + outer.size());
      next += outer.size();
      rows[r].kept = *next++;
      for (std::int32_t a : brought[r * walks]) rows[r].accumulators[a] = *next++;
    }
    return rows;
  };

  std::vector<Row> start(in_flight);
  for (std::size_t r = 0; r < in_flight; ++r) {
    start[r].at = unit_at(begin_, radix);
    start[r].kept = i64(static_cast<std::int64_t>(r) * kept_bytes_);
    for (std::int32_t a : brought[r * walks]) start[r].accumulators[a] = nothing(a);
  }
  Value* ticks = b_.CreateAdd(end_, i64(static_cast<std::int64_t>(in_flight) - 1));
  loop("tick", begin_, ticks, 1, pack(start), [&](Value* tick, const Values& carried) -> Values {
    std::vector<Row> rows = unpack(carried);
    auto exists = [&](std::size_t row) {
      Value* unit = b_.CreateSub(tick, i64(static_cast<std::int64_t>(row)));
      return b_.CreateAnd(b_.CreateICmpSGE(unit, begin_), b_.CreateICmpSLT(unit, end_));
    };
    auto run = [&](const std::vector<StepOfRow>& which) {
      rows_ = rows;
      row_axes_ = outer;
      for (std::size_t i = 0; i < outer.size(); ++i) bind(outer[i], rows[which[0].row].at[i]);
      point_level_ = depth();
      return walk(steps, which);
    };
    Value* full = b_.CreateAnd(exists(0), exists(in_flight - 1));
    for (std::size_t w = 0; w < walks; ++w) {
      std::vector<StepOfRow> which;
      for (std::size_t k = w; k < length; k += walks) which.push_back({k, k / walks});
      struct Made {
        std::size_t row;
        std::int32_t result;
      };
      std::vector<Made> made;
      Values results;
      for (std::size_t i = which.size(); i-- > 0;)
        for (std::size_t s : steps[which[i].step].stages)
          if (stage(s).kind == KernelStage::reduce) {
            made.push_back({which[i].row, stage(s).result});
            results.push_back(nothing(stage(s).result));
          }
      results = when(full, results, [&](const Values&) { return run(which); });
      results = when(b_.CreateNot(full), results, [&](const Values& init) {
        Values each;
        for (std::size_t i = which.size(); i-- > 0;) {
          const auto own = static_cast<std::size_t>(std::ranges::count(made, which[i].row, &Made::row));
          const Values before(init.begin() + static_cast<std::ptrdiff_t>(each.size()),
                              init.begin() + static_cast<std::ptrdiff_t>(each.size() + own));
          each.append(when(exists(which[i].row), before, [&](const Values&) { return run({which[i]}); }));
        }
        return each;
      });
      for (std::size_t i = 0; i < made.size(); ++i) rows[made[i].row].accumulators[made[i].result] = results[i];
    }
    std::vector<Row> next(in_flight);
    for (std::size_t r = 1; r < in_flight; ++r) next[r] = rows[r - 1];
    next[0] = {next_unit(rows[0].at, radix), rows.back().kept};
    return pack(next);
  });
}

}  // namespace weft::codegen

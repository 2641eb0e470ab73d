// Dependences between the stages of a row.
#include "codegen/cpu/row_pipeline.h"

#include <algorithm>
#include <map>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"

namespace weft::codegen {
namespace {

/// What a stage reads and writes, as far as other stages are concerned.
struct StageUse {
  std::vector<std::int32_t> results;
  Touched memory;
};

template <class T>
bool meet(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::any_of(a, [&](T x) { return std::ranges::find(b, x) != b.end(); });
}

StageUse use_of(const Program& program, const Kernel& kernel, const KernelStage& s) {
  StageUse use{{}, touched(program, kernel, s)};
  const std::vector<bool> need = needed(kernel, roots_of(s));
  for (std::size_t e = 0; e < need.size(); ++e)
    if (need[e] && kernel.exprs[e].kind == Expr::accumulator) use.results.push_back(kernel.exprs[e].result);
  return use;
}

}  // namespace

std::vector<PipelineStep> pipeline_steps(const Program& program, const PhaseInfo& info, const Kernel& kernel,
                                         AxisId along) {
  const std::vector<KernelStage>& stages = info.phase.stages;
  std::vector<PipelineStep> steps;
  std::vector<StageUse> uses;
  std::vector<std::size_t> step_of;
  for (const KernelStage& s : stages) {
    const bool once = s.kind == KernelStage::map && s.axis == kNone;
    const bool walks = s.kind == KernelStage::map || is_along_row(info, kernel, uses.size()) ||
                       (s.kind == KernelStage::reduce && s.order == FoldOrder::striped && !is_arg_reduce(s.op));
    if (!once && (s.axis != along || !walks)) return {};
    const StageUse& use = uses.emplace_back(use_of(program, kernel, s));
    std::size_t step = 0;
    for (std::size_t i = 0; i < step_of.size(); ++i) {
      const bool needs = std::ranges::count(use.results, stages[i].result) > 0 ||
                         meet(use.memory.loads, uses[i].memory.stores) ||
                         meet(use.memory.stores, uses[i].memory.stores);
      // A walk may overwrite the element that it has just read, but nothing may be overwritten before it is read.
      const bool overwrites = meet(use.memory.stores, uses[i].memory.loads);
      const bool waits = !once && (needs || (overwrites && stages[i].axis == kNone));
      if (needs || overwrites) step = std::max(step, step_of[i] + (waits ? 1 : 0));
    }
    step_of.push_back(step);
    if (steps.size() <= step) steps.resize(step + 1);
    (once ? steps[step].after : steps[step].stages).push_back(step_of.size() - 1);
    steps[step].results.insert(steps[step].results.end(), use.results.begin(), use.results.end());
  }
  const bool walk_each = std::ranges::none_of(steps, [](const PipelineStep& s) { return s.stages.empty(); });
  return steps.size() > 1 && walk_each ? steps : std::vector<PipelineStep>{};
}

std::int64_t walks_of_tick(const Program& program, const PhaseInfo& info, const Kernel& kernel, AxisId along,
                           const std::vector<PipelineStep>& steps, const std::vector<KeptRow>& kept,
                           std::int64_t l1_bytes) {
  struct Span {
    std::int64_t first, last, bytes;
  };
  std::map<BufferId, Span> rows;            // what lies at the row, by buffer
  std::map<ExprId, Span> kept_rows;         // by value
  std::map<BufferId, std::int64_t> shared;  // what all rows read or add to: bytes
  const std::int64_t extent = info.extent[static_cast<std::size_t>(along)];
  const auto touch = [](auto& spans, auto key, std::int64_t step, std::int64_t bytes) {
    Span& s = spans.try_emplace(key, Span{step, step, bytes}).first->second;
    s.last = step;
  };
  const auto access = [&](BufferId buffer, const Linear& l, std::int64_t step) {
    if (l.coefficient[static_cast<std::size_t>(along)] == 0) return;
    const std::int64_t bytes = extent * static_cast<std::int64_t>(size_of(at(program.buffers, buffer).type.dtype));
    const bool of_row = std::ranges::any_of(info.phase.parallel,
                                            [&](AxisId a) { return l.coefficient[static_cast<std::size_t>(a)] != 0; });
    if (of_row)
      touch(rows, buffer, step, bytes);
    else
      shared[buffer] = bytes;
  };
  for (std::size_t k = 0; k < steps.size(); ++k)
    for (std::size_t s : steps[k].stages) {
      const auto step = static_cast<std::int64_t>(k);
      const KernelStage& stage = info.phase.stages[s];
      std::vector<bool> needed(kernel.exprs.size(), false);
      const auto need = [&](ExprId e) {
        if (e != kNone) needed[static_cast<std::size_t>(e)] = true;
      };
      need(stage.value);
      for (const Store& t : stage.stores) need(t.value);
      if (stage.kind == KernelStage::scatter) access(stage.stores[0].buffer, info.store[s][0], step);
      for (std::size_t e = needed.size(); e-- > 0;) {
        if (!needed[e]) continue;
        const auto row = std::ranges::find(kept, static_cast<ExprId>(e), &KeptRow::value);
        if (row != kept.end()) touch(kept_rows, row->value, step, row->bytes);
        if (row != kept.end() && s > row->first_stage) continue;
        for (ExprId arg : kernel.exprs[e].args) need(arg);
        if (kernel.exprs[e].kind == Expr::load) access(kernel.exprs[e].buffer, info.access[e], step);
      }
    }
  const auto length = static_cast<std::int64_t>(steps.size());
  const auto in_flight = [&](std::int64_t walks) {
    std::int64_t bytes = 0;
    const auto add = [&](const auto& spans) {
      for (const auto& [key, s] : spans) bytes += (s.last / walks - s.first / walks + 1) * s.bytes;
    };
    add(rows), add(kept_rows);
    for (const auto& [buffer, of_all] : shared) bytes += of_all;
    return bytes;
  };
  std::int64_t walks = 1;
  while (walks < length && in_flight(walks) > l1_bytes + l1_bytes / 8) ++walks;
  return walks;
}

std::vector<std::vector<std::int32_t>> accumulators_brought(const PhaseInfo& info,
                                                            const std::vector<PipelineStep>& steps) {
  std::vector<std::vector<std::int32_t>> brought(steps.size());
  for (std::size_t made = 0; made < steps.size(); ++made)
    for (std::size_t s : steps[made].stages) {
      const std::int32_t result = info.phase.stages[s].result;
      if (result == kNone) continue;
      std::size_t last = made;
      for (std::size_t later = made + 1; later < steps.size(); ++later)
        if (std::ranges::count(steps[later].results, result)) last = later;
      for (std::size_t k = made + 1; k <= last; ++k) brought[k].push_back(result);
    }
  return brought;
}

}  // namespace weft::codegen

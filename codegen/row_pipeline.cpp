// Dependences between the stages of a row.
#include "codegen/row_pipeline.h"

#include <algorithm>

namespace weft::codegen {
namespace {

/// What a stage reads and writes, as far as other stages are concerned.
struct StageUse {
  std::vector<std::int32_t> results;
  std::vector<BufferId> loaded, stored;
};

template <class T>
bool meet(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::any_of(a, [&](T x) { return std::ranges::find(b, x) != b.end(); });
}

StageUse use_of(const Program& program, const PhaseInfo& info, const Kernel& kernel, const KernelStage& s) {
  StageUse use;
  std::vector<bool> needed(kernel.exprs.size(), false);
  auto need = [&](ExprId e) {
    if (e != kNone) needed[static_cast<std::size_t>(e)] = true;
  };
  for (ExprId e : {s.predicate, s.value, s.lhs, s.rhs}) need(e);
  for (const Store& t : s.stores) {
    need(t.value);
    for (const Index& i : t.access) need(i.indirect);
    use.stored.push_back(storage(program, t.buffer));
  }
  for (std::size_t i = needed.size(); i-- > 0;) {
    if (!needed[i]) continue;
    const Expr& e = kernel.exprs[i];
    for (ExprId arg : e.args) need(arg);
    for (auto [stride, arg] : info.access[i].indirect) need(arg);
    if (e.kind == Expr::accumulator) use.results.push_back(e.result);
    if (e.kind == Expr::load) use.loaded.push_back(storage(program, e.buffer));
  }
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
                       (s.kind == KernelStage::reduce && s.striped && !is_arg_reduce(s.op));
    if (!once && (s.axis != along || !walks)) return {};
    const StageUse& use = uses.emplace_back(use_of(program, info, kernel, s));
    std::size_t step = 0;
    for (std::size_t i = 0; i < step_of.size(); ++i) {
      const bool needs = std::ranges::count(use.results, stages[i].result) > 0 || meet(use.loaded, uses[i].stored) ||
                         meet(use.stored, uses[i].stored);
      // A walk may overwrite the element that it has just read, but nothing may be overwritten before it is read.
      const bool overwrites = meet(use.stored, uses[i].loaded);
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

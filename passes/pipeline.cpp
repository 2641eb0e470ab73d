// Read top to bottom: the order of the passes, each with its reason.
#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "passes/graph/canonicalize.h"
#include "passes/graph/fold.h"
#include "passes/graph/fuse.h"
#include "passes/kernel/column_sums.h"
#include "passes/kernel/layout.h"
#include "passes/kernel/lower.h"
#include "passes/kernel/memory.h"
#include "passes/kernel/row_sums.h"
#include "passes/schedule/schedule.h"

namespace weft {
namespace {

Graph run_simplify(const Graph& g, const PipelineOptions& o) { return simplify(g, {o.numerics, o.ledger}); }

constexpr PassInfo kPasses[] = {
    {"dead", "drop what no output and no update needs", false,
     [](const Graph& g, const PipelineOptions&) { return remove_dead(g); }},
    {"fold", "evaluate what is constant, so that rules see literals", false,
     [](const Graph& g, const PipelineOptions&) { return fold(g); }},
    {"simplify", "rewrite by rules, before contractions get reshapes around them", false, run_simplify},
    {"canonicalize", "bring contractions and scatters to the forms that lowering knows", true,
     [](const Graph& g, const PipelineOptions&) { return canonicalize(g); }},
    {"simplify-canonical", "merge the reshapes and transposes that canonical forms brought", false, run_simplify},
    {"fuse", "give every value the kernel that computes it", true,
     [](const Graph& g, const PipelineOptions& o) { return fuse(g, o.large_bytes); }},
};

const PassInfo& find(std::string_view name) {
  auto it = std::ranges::find(kPasses, name, &PassInfo::name);
  if (it == std::end(kPasses)) {
    std::string names;
    for (const PassInfo& p : kPasses) names += (names.empty() ? "" : ", ") + std::string(p.name);
    fail("no pass is called '{}'; there are: {}", name, names);
  }
  return *it;
}

/// Times, verifies and reports every pass; errors say which one failed.
Graph run(const PassInfo& pass, const Graph& g, const PipelineOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Graph out = [&] {
    try {
      Graph result = pass.run(g, options);
      if (options.verify) verify(result);
      return result;
    } catch (const InternalError& e) {
      throw InternalError(fmt::format("pass '{}' failed: {}", pass.name, e.what()));
    } catch (const Error& e) {
      throw Error(fmt::format("pass '{}' failed: {}", pass.name, e.what()));
    }
  }();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (options.timings || options.after) {
    const bool changed = !(out == g);
    if (options.timings) options.timings->push_back({std::string(pass.name), seconds.count(), changed});
    if (options.after) options.after(pass.name, out, changed);
  }
  return out;
}

}  // namespace

std::span<const PassInfo> passes() { return kPasses; }

Graph run_pass(std::string_view name, const Graph& g, const PipelineOptions& options) {
  return run(find(name), g, options);
}

Graph optimize(const Graph& g, const PipelineOptions& options) {
  for (const std::string& name : options.disable)
    if (find(name).required) fail("pass '{}' cannot be disabled: lowering needs it", name);
  Graph out = g;
  for (const PassInfo& pass : kPasses)
    if (std::ranges::find(options.disable, pass.name) == options.disable.end()) out = run(pass, out, options);
  return out;
}

Program make_program(const Graph& g, const Target& target, const PipelineOptions& options) {
  for (ValueId v = 0; v < g.size(); ++v)
    if (!is_static(g[v].type.shape))
      fail("{}: {} of type {} still has the unbound batch extent; bind the batch size before compiling",
           g[v].locs.str(), name(g[v].op), to_string(g[v].type));
  Program p = lower(g, options.large_bytes);
  if (options.for_cpu) {  // before schedules, which depend on phases and on what can be read in place
    split_column_sums(p, target);
    split_row_sums(p, target);
    assign_layouts(p, target);
  }
  schedule(p, target, options.schedules);
  plan_memory(p);
  if (options.verify) verify(p);
  return p;
}

}  // namespace weft

// Read top to bottom: the order of the passes, each with its reason.
#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "ir/graph/body.h"
#include "passes/graph/canonicalize.h"
#include "passes/graph/fold.h"
#include "passes/graph/fuse.h"
#include "passes/graph/inline.h"
#include "passes/graph/share.h"
#include "passes/graph/sink.h"
#include "passes/graph/trim.h"
#include "passes/kernel/column_sums.h"
#include "passes/kernel/contraction_sums.h"
#include "passes/kernel/layout.h"
#include "passes/kernel/lower.h"
#include "passes/kernel/memory.h"
#include "passes/kernel/order.h"
#include "passes/kernel/row_sums.h"
#include "passes/kernel/unroll.h"
#include "passes/schedule/schedule.h"

namespace weft {
namespace {

Graph run_simplify(const Graph& g, const PipelineOptions& o) { return simplify(g, {o.numerics, o.ledger}); }

void check_bound(const Graph& g) {
  for (const BodyRef& body : bodies_of(g)) check_bound(*body->graph);
  for (ValueId v = 0; v < g.size(); ++v)
    if (!is_static(g[v].type.shape))
      fail("{}: {} of type {} still has an unbound extent; bind the batch size and other extents before compiling",
           g[v].locs.str(), name(g[v].op), to_string(g[v].type));
}

/// Lowering trusts what a graph says of its kernels, which a text may have made up and a pass after fuse undone.
void check_fused(const Graph& g, const PipelineOptions& options) {
  const Graph bare = without_groups(g);
  const auto fused = [&](const Graph& own) { return fuse(own, options.large_bytes); };
  if (!(canonicalize(rewrite_bodies(bare, canonicalize)) == bare) || !(fused(rewrite_bodies(bare, fused)) == g))
    fail(
        "pass 'lower' takes a graph as 'canonicalize', then 'fuse', leave it; run them first, and no other in between");
}

/// A pass that only programs for a CPU have use for.
template <void (*pass)(Program&, const CpuTarget&)>
void on_cpu(Program& p, const Target& target, const PipelineOptions&) {
  if (const auto* cpu = std::get_if<CpuTarget>(&target)) pass(p, *cpu);
}

constexpr PassInfo kPasses[] = {
    {"dead", "drop what no output and no update needs", false,
     [](const Graph& g, const PipelineOptions&) { return remove_dead(g); }},
    {"inline", "bring functions that nodes hold into the graph, all but the bodies of long loops", true,
     [](const Graph& g, const PipelineOptions& o) { return inline_bodies(g, o.loop_turns); }},
    {"trim", "drop what loops carry, read or give in vain, and give them constants as such, before folding", false,
     [](const Graph& g, const PipelineOptions&) { return trim_loops(g); }},
    {"fold", "evaluate what is constant, so that rules see literals", false,
     [](const Graph& g, const PipelineOptions&) { return fold(g); }},
    {"simplify", "rewrite by rules, before contractions get reshapes around them", false, run_simplify},
    {"sink", "compute in the turns of loops what they alone read", false,
     [](const Graph& g, const PipelineOptions&) { return sink_into_loops(g); }},
    {"share", "compute what several loops have in common once, when their bodies are as simple as they get", false,
     [](const Graph& g, const PipelineOptions&) { return share_turns(g); }},
    {"trim-simplified", "drop what loops no longer need", false,
     [](const Graph& g, const PipelineOptions&) { return trim_loops(g); }},
    {"canonicalize", "bring contractions and scatters to the forms that lowering knows", true,
     [](const Graph& g, const PipelineOptions&) { return canonicalize(g); }},
    {"simplify-canonical", "merge the reshapes and transposes that canonical forms brought", false, run_simplify},
    {"fuse", "give every value the kernel that computes it", true,
     [](const Graph& g, const PipelineOptions& o) { return fuse(g, o.large_bytes); }},

    {"lower", "make the kernels", true,
     [](const Graph& g, const PipelineOptions& o) {
       check_bound(g);
       return lower(g, o.large_bytes);
     }},
    {"order", "sort kernels so that states are updated in place, before passes that look at neighbours", false,
     [](Program& p, const Target&, const PipelineOptions&) { order_kernels(p); }},
    {"unroll", "list the kernels of all turns of loops, which the passes below do not know", true,
     [](Program& p, const Target&, const PipelineOptions&) { unroll_loops(p); }},
    {"column-sums", "CPU: share out long sums down columns, before schedules, which depend on phases", false,
     on_cpu<split_column_sums>},
    {"row-sums", "CPU: share out long sums along few rows", false, on_cpu<split_row_sums>},
    {"contraction-sums", "CPU: share out long contractions of small results", false, on_cpu<split_contractions>},
    {"layout", "CPU: lay weights out in panels, before schedules, which depend on what can be read in place", false,
     [](Program& p, const Target& target, const PipelineOptions& o) {
       if (const auto* cpu = std::get_if<CpuTarget>(&target)) assign_layouts(p, *cpu, o.row_major);
     }},
    {"lanes", "choose the axis that lanes, or the threads of a block, run along", true,
     [](Program& p, const Target& target, const PipelineOptions&) { assign_lanes(p, target); }},
    {"tiles", "tile contractions; CPU: pack and split them too", true,
     [](Program& p, const Target& target, const PipelineOptions& o) { tile_contractions(p, target, o.schedules); }},
    {"memory", "place temporaries, when nothing will change any more what is alive where", true,
     [](Program& p, const Target&, const PipelineOptions&) { plan_memory(p); }},
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

bool is_enabled(const PassInfo& pass, const PipelineOptions& options) {
  return std::ranges::find(options.disable, pass.name) == options.disable.end();
}

void check_disabled(const PipelineOptions& options) {
  for (const std::string& name : options.disable)
    if (find(name).required) fail("pass '{}' cannot be disabled: what follows needs it", name);
}

/// Runs, times, verifies and reports one pass; errors say which one failed.
Function run(const PassInfo& pass, Function function, const Target& target, const PipelineOptions& options) {
  const auto is_looked_at = options.timings || options.after;
  const bool was_graph = std::holds_alternative<Graph>(function);
  std::optional<Graph> graph_before;
  std::string program_before;
  if (is_looked_at && was_graph) graph_before = std::get<Graph>(function);
  if (is_looked_at && !was_graph) program_before = print(std::get<Program>(function));

  const auto start = std::chrono::steady_clock::now();
  try {
    if (const auto* of_graph = std::get_if<GraphPass>(&pass.run)) {
      const auto apply = [&](const Graph& g) { return (*of_graph)(g, options); };
      function = apply(rewrite_bodies(std::get<Graph>(function), apply));
    } else if (const auto* lowering = std::get_if<Lowering>(&pass.run)) {
      function = (*lowering)(std::get<Graph>(function), options);
    } else {
      std::get<ProgramPass>(pass.run)(std::get<Program>(function), target, options);
    }
    if (options.verify) std::visit([](const auto& f) { verify(f); }, function);
  } catch (const InternalError& e) {
    throw InternalError(fmt::format("pass '{}' failed: {}", pass.name, e.what()));
  } catch (const Error& e) {
    if (!pass.is_of_graphs()) throw;  // of a schedule's text, which it names
    throw Error(fmt::format("pass '{}' failed: {}", pass.name, e.what()));
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  if (is_looked_at) {
    PassResult result{pass.name, std::get_if<Graph>(&function), std::get_if<Program>(&function), true};
    if (was_graph && result.graph) result.changed = !(*result.graph == *graph_before);
    if (!was_graph) result.changed = print(*result.program) != program_before;
    if (options.timings) options.timings->push_back({std::string(pass.name), seconds.count(), result.changed});
    if (options.after) options.after(result);
  }
  return function;
}

}  // namespace

std::span<const PassInfo> passes() { return kPasses; }

Function run_pass(std::string_view name, Function function, const Target& target, const PipelineOptions& options) {
  const PassInfo& pass = find(name);
  const bool is_graph = std::holds_alternative<Graph>(function);
  if (is_graph == std::holds_alternative<ProgramPass>(pass.run))
    fail("pass '{}' runs on {}, and this is {}", name, is_graph ? "a program of kernels" : "a graph",
         is_graph ? "a graph" : "a program of kernels");
  if (std::holds_alternative<Lowering>(pass.run)) check_fused(std::get<Graph>(function), options);
  return run(pass, std::move(function), target, options);
}

Graph run_pass(std::string_view name, const Graph& g, const PipelineOptions& options) {
  ensure(find(name).is_of_graphs(), "pass '{}' does not give a graph", name);
  return std::get<Graph>(run(find(name), g, CpuTarget{}, options));
}

Graph optimize(const Graph& g, const PipelineOptions& options) {
  check_disabled(options);
  Function function = g;
  for (const PassInfo& pass : kPasses)
    if (pass.is_of_graphs() && is_enabled(pass, options))
      function = run(pass, std::move(function), CpuTarget{}, options);
  return std::get<Graph>(std::move(function));
}

Program make_program(const Graph& g, const Target& target, const PipelineOptions& options) {
  check_disabled(options);
  Function function = g;
  for (const PassInfo& pass : kPasses)
    if (!pass.is_of_graphs() && is_enabled(pass, options)) function = run(pass, std::move(function), target, options);
  return std::get<Program>(std::move(function));
}

}  // namespace weft

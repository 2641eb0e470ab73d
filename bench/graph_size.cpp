// Compile time against the size of the graph: microseconds of processor time per node of every stage, for the families
// of tests/graph_families.h at 100 to 100,000 nodes. The figures of a family are flat when no stage is super-linear.
// Counters are per node of the graph as traced; `kernels` and `nodes` are counts.
#include <benchmark/benchmark.h>

#include <map>
#include <string>

#include "codegen/codegen.h"
#include "graph_families.h"
#include "passes/kernel/lower.h"
#include "passes/kernel/memory.h"
#include "passes/kernel/order.h"
#include "passes/pipeline.h"
#include "passes/schedule/schedule.h"
#include "runtime/host/executor.h"

namespace weft::bench {
namespace {

using Stages = std::map<std::string, double>;  // seconds of processor time

template <class F>
auto timed(Stages& stages, const std::string& name, F&& f) {
  return test::timed(stages[name], std::forward<F>(f));
}

struct Counts {
  std::size_t nodes = 0, kernels = 0;
};

/// Compiles one graph and does what else the tools do with it.
Counts run_stages(const test::GraphFamily& family, std::int64_t size, Stages& stages) {
  test::FrontEndTimes front;
  const Graph graph = family.build(size, front);
  stages["trace"] += front.trace, stages["autodiff"] += front.autodiff, stages["extract"] += front.extract;

  std::vector<PassTiming> timings;
  PipelineOptions options;
  options.verify = false;
  options.timings = &timings;
  const Graph fused = optimize(graph, options);
  for (const PassTiming& t : timings) stages[t.name] += t.seconds;
  Program program = timed(stages, "lower", [&] { return lower(fused); });
  timed(stages, "order", [&] { order_kernels(program); });
  timed(stages, "schedule", [&] { assign_lanes(program, host_target()), tile_contractions(program, host_target()); });
  timed(stages, "memory", [&] { plan_memory(program); });

  timed(stages, "verify.graph", [&] { verify(graph), verify(fused); });
  timed(stages, "verify.kernels", [&] { verify(program); });
  const std::string text = timed(stages, "print.graph", [&] { return print(fused, {.locs = true}); });
  timed(stages, "parse.graph", [&] { return parse_graph(text); });
  const std::string kernels = timed(stages, "print.kernels", [&] { return print(program, true); });
  timed(stages, "parse.kernels", [&] { return parse_program(kernels); });

  const auto shared = std::make_shared<const Program>(std::move(program));
  // Every kernel is compiled; linking is on this thread alone.
  Image image = timed(stages, "codegen", [&] { return compile(shared, host_target(), {.cache = {}}); });
  stages["codegen"] -= image.link_seconds;
  stages["link"] += image.link_seconds;
  timed(stages, "load", [&] { return Executor(std::move(image), 1); });
  return {graph.size(), shared->kernels.size()};
}

void graph_size(benchmark::State& state, const test::GraphFamily& family) {
  Stages stages;
  Counts counts;
  for (auto _ : state) counts = run_stages(family, state.range(0), stages);
  const double each = 1e6 / static_cast<double>(counts.nodes) / static_cast<double>(state.iterations());
  double total = 0;
  for (const auto& [name, seconds] : stages) {
    state.counters[name + "_us"] = seconds * each;
    total += seconds * each;
  }
  state.counters["all_us"] = total;
  state.counters["nodes"] = static_cast<double>(counts.nodes);
  state.counters["kernels"] = static_cast<double>(counts.kernels);
}

const bool registered = [] {
  for (const test::GraphFamily& family : test::graph_families())
    benchmark::RegisterBenchmark(("graph_size/" + std::string(family.name)).c_str(),
                                 [&family](benchmark::State& state) { graph_size(state, family); })
        ->RangeMultiplier(10)
        ->Range(100, 100'000)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  return true;
}();

}  // namespace
}  // namespace weft::bench

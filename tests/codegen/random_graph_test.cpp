// Whole compilations of random graphs, and of their gradients, against the interpreter, in bits.
#include "random_graph.h"

#include <algorithm>
#include <iterator>

#include "catch.h"
#include "codegen/codegen.h"
#include "device_under_test.h"
#include "error_of.h"
#include "ir/graph/build.h"
#include "mlp_step.h"
#include "passes/pipeline.h"
#include "passes/transform/autodiff.h"
#include "plain_program.h"
#include "programs.h"
#include "runtime/host/executor.h"

using namespace weft;

namespace {

HostArtifact artifact_of(const Graph& g, const CpuTarget& target, PipelineOptions options = {}) {
  options.disable = test::kCpuPasses;
  return compile(make_program(optimize(g, options), target, options), target, {.threads = 1});
}

/// With `share_all`, threads share out even the smallest kernels: lost barriers show.
Evaluation run(const Graph& g, std::span<const Array> inputs, HostArtifact artifact, int threads, bool share_all) {
  for (HostLaunch& l : artifact.launches)
    if (share_all) l.cycles = 1e9;
  Executor executor(std::move(artifact), threads);
  std::vector<Array> bound;
  for (std::size_t i = 0; i < inputs.size(); ++i) executor.bind(i, bound.emplace_back(inputs[i].clone()));
  executor.run();
  Evaluation e;
  for (std::size_t i = 0; i < executor.output_count(); ++i) e.outputs.push_back(executor.output(i).clone());
  for (const Update& u : g.updates())
    for (std::size_t i = 0; i < g.inputs().size(); ++i)
      if (g.inputs()[i].id == u.state) e.states.push_back(bound[i]);
  return e;
}

test::RunFn compiled(const CpuTarget& target, int threads, PipelineOptions options = {}, bool share_all = false) {
  return [=](const Graph& g, std::span<const Array> inputs) {
    return run(g, inputs, artifact_of(g, target, options), threads, share_all);
  };
}

/// The graph with the gradient of its float outputs, weighted and summed, to its float inputs; the graph itself when it
/// has none.
Graph with_gradient(Graph g, std::string_view prefix = "gradient") {
  Builder b{g, LocSet::of(Loc{"gradient", 1, 1})};
  ValueId loss = kNoValue;
  const std::vector<Output> outputs = g.outputs();
  for (const Output& o : outputs) {
    if (!(b.type(o.id).dtype == f32)) continue;
    ValueId sum = o.id;
    while (!b.type(sum).shape.empty()) sum = b.reduce(Op::reduce_sum, sum, b.type(sum).shape.rank() - 1);
    loss = loss == kNoValue ? sum : b.add(loss, sum);
  }
  std::vector<ValueId> wrt;
  for (const Input& i : g.inputs())
    if (b.type(i.id).dtype == f32) wrt.push_back(i.id);
  if (loss == kNoValue || wrt.empty()) return g;
  const auto gradients = differentiate(g, loss, wrt, b.locs);
  for (std::size_t i = 0; i < gradients.size(); ++i) g.output(fmt::format("{}{}", prefix, i), gradients[i]);
  return g;
}

/// The device code of a graph.
test::RunFn on_device(const GpuTarget& target, PipelineOptions options) {
  return [=](const Graph& g, std::span<const Array> inputs) {
    return test::run_on_device(make_program(optimize(g, options), target, options), inputs, target);
  };
}

/// This machine's own code for two graphs of three, for the third that of the next cpu with multiply-adds in turn: the
/// others' code is long, with calls.
const CpuTarget& target_of(std::uint64_t seed) {
  static const std::vector<CpuTarget> others = [] {
    std::vector<CpuTarget> all{host_target()};
    std::ranges::copy_if(played_cpus(), std::back_inserter(all), &CpuTarget::fma);
    return all;
  }();
  return others[seed % 3 ? 0 : seed / 3 % others.size()];
}

enum class On { cpu, device };

void compare(const Graph& g, std::uint64_t seed, On where, PipelineOptions options) {
  if (seed % 5 == 0) options.disable = {"fold", "simplify", "simplify-canonical"};
  const test::RunFn run = where == On::cpu
                              ? compiled(target_of(seed), 1 + static_cast<int>(seed % 3), options, seed % 2 == 0)
                              : on_device(test::device_targets()[seed / 2 % test::device_targets().size()], options);
  test::compare(g, run, seed, test::Values::special);
}

void sweep(std::uint64_t begin, std::uint64_t end, On where = On::cpu) {
  if (where == On::cpu && test::only_device()) return;
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    const test::RandomGraphOptions options{.nodes = seed % 8 == 0 ? 30 : 8, .bodies = seed % 4 == 2};
    Graph g = test::random_graph(seed, options);
    if (seed % 2) g = with_gradient(std::move(g));
    compare(g, seed, where, {});
  }
}

/// Chains of views of everything that has an index in it, and their first and second derivatives. Of half of the
/// graphs, what large_values says of large values is done with all.
void sweep_views(std::uint64_t begin, std::uint64_t end, On where = On::cpu) {
  if (where == On::cpu && test::only_device()) return;
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    const test::RandomGraphOptions options{.nodes = seed % 8 == 0 ? 24 : 12, .large = 0.02, .views = true};
    Graph g = test::random_graph(seed, options);
    if (seed % 3 > 0) g = with_gradient(std::move(g));
    if (seed % 3 > 1) g = with_gradient(std::move(g), "second");
    compare(g, seed, where, {.large_bytes = seed % 4 < 2 ? 0 : kLargeBytes});
  }
}

}  // namespace

TEST_CASE("random graphs 0 to 250, compiled") { sweep(0, 250); }
TEST_CASE("random graphs 250 to 500, compiled") { sweep(250, 500); }
TEST_CASE("random graphs 500 to 750, compiled") { sweep(500, 750); }
TEST_CASE("random graphs 750 to 1000, compiled") { sweep(750, 1000); }
TEST_CASE("random graphs 1000 to 1250, compiled") { sweep(1000, 1250); }
TEST_CASE("random graphs 1250 to 1500, compiled") { sweep(1250, 1500); }
TEST_CASE("random graphs 1500 to 1750, compiled") { sweep(1500, 1750); }
TEST_CASE("random graphs 1750 to 2000, compiled") { sweep(1750, 2000); }

TEST_CASE("random graphs 0 to 250 on a device") { sweep(0, 250, On::device); }
TEST_CASE("random graphs 250 to 500 on a device") { sweep(250, 500, On::device); }
TEST_CASE("random graphs 500 to 750 on a device") { sweep(500, 750, On::device); }
TEST_CASE("random graphs 750 to 1000 on a device") { sweep(750, 1000, On::device); }

TEST_CASE("views 0 to 250, compiled") { sweep_views(0, 250); }
TEST_CASE("views 250 to 500, compiled") { sweep_views(250, 500); }
TEST_CASE("views 500 to 750, compiled") { sweep_views(500, 750); }
TEST_CASE("views 750 to 1000, compiled") { sweep_views(750, 1000); }
TEST_CASE("views 0 to 250 on a device") { sweep_views(0, 250, On::device); }
TEST_CASE("views 250 to 500 on a device") { sweep_views(250, 500, On::device); }
TEST_CASE("views 500 to 750 on a device") { sweep_views(500, 750, On::device); }
TEST_CASE("views 750 to 1000 on a device") { sweep_views(750, 1000, On::device); }

TEST_CASE("random graphs, one for each cpu that this machine can play") {
  if (test::only_device()) return;
  std::uint64_t seed = 0;
  for (const CpuTarget& target : played_cpus()) {
    INFO(target.cpu);
    ++seed;
    test::compare(test::random_graph(seed, {.nodes = 8}), compiled(target, 1), seed, test::Values::special);
  }
  CHECK(seed > 10);
}

TEST_CASE("as many random graphs on a device as $WEFT_TEST_GRAPHS says") {
  const char* count = std::getenv("WEFT_TEST_GRAPHS");
  const std::uint64_t end = 1000 + (count ? std::strtoull(count, nullptr, 10) : 0);
  sweep(1000, end, On::device);
  sweep_views(1000, end, On::device);
}

TEST_CASE("the MLP step on a device equals the interpreter") {
  const MlpStep size{.rows = 100, .batch = 37, .widths = {50, 65, 33, 10}};
  const Graph g = mlp_step(size);
  const auto inputs = mlp_inputs(g, size);
  for (const GpuTarget& target : test::device_targets())
    CHECK(test::difference(interpret(g, inputs), on_device(target, {})(g, inputs), g) == "");
}

TEST_CASE(
    "the MLP step compiled for every instruction set of this machine, on 1, 2 and 3 threads, equals the interpreter") {
  if (test::only_device()) return;
  const MlpStep size{.rows = 100, .batch = 37, .widths = {50, 65, 33, 10}};
  const Graph g = mlp_step(size);
  const auto inputs = mlp_inputs(g, size);
  const Evaluation expected = interpret(g, inputs);
  for (const char* cpu : {"x86-64-v2", "sandybridge", "haswell", "znver3", "skylake-avx512", "znver4", "native"}) {
    CpuTarget target;
    if (error_of([&] { target = target_for(cpu, host_target()); }) != "no error") continue;
    const HostArtifact artifact = artifact_of(g, target);
    for (int threads : {1, 2, 3}) {
      INFO(target.cpu << ", " << threads << " threads");
      for (const bool share_all : {false, true})
        CHECK(test::difference(expected, run(g, inputs, artifact, threads, share_all), g) == "");
    }
  }
}

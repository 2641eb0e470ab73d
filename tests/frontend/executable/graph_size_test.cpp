// Large graphs through every stage: the families that users make, against the interpreter, in bits and within a bound
// on time that only a super-linear stage could miss. Elsewhere counts stand for time.
#include <set>

#include "codegen/cache/canonical.h"
#include "codegen/codegen.h"
#include "graph_families.h"
#include "passes/pipeline.h"
#include "plain_program.h"
#include "random_graph.h"
#include "runtime/host/executor.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double kBoundPerNode = 1e-3;  // seconds; about ten times what the costliest family takes in a release build

Program program_of(const Graph& g) {
  PipelineOptions options;
  options.verify = false;  // once at the end, below
  options.disable = test::kCpuPasses;
  return make_program(optimize(g, options), host_target(), options);
}

Evaluation run(const Graph& g, const Program& program, std::span<const Array> inputs) {
  Executor executor(weft::compile(program, host_target(), CodegenOptions{}), 1);
  std::vector<Array> bound;
  std::map<ValueId, std::size_t> position;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    executor.bind(i, bound.emplace_back(inputs[i].clone()));
    position[g.inputs()[i].id] = i;
  }
  executor.run();
  Evaluation e;
  for (std::size_t i = 0; i < executor.output_count(); ++i) e.outputs.push_back(executor.output(i).clone());
  for (const Update& u : g.updates()) e.states.push_back(bound[position.at(u.state)]);
  return e;
}

void check_family(std::string_view name, std::int64_t nodes) {
  INFO(name << " of " << nodes);
  double seconds = 0;
  FrontEndTimes times;
  const Graph g = timed(seconds, [&] { return graph_family(name).build(nodes, times); });
  CHECK(g.size() > static_cast<std::size_t>(nodes) / 2);
  const std::vector<Array> inputs = random_inputs(g, 1);
  const Evaluation expected = interpret(g, inputs);
  const Evaluation actual = timed(seconds, [&] {
    verify(g);
    const std::string graph_text = print(g, {.locs = true});
    CHECK(print(parse_graph(graph_text), {.locs = true}) == graph_text);
    Program p = program_of(g);
    verify(p);
    const std::string text = print(p);
    CHECK(print(parse_program(text)) == text);
    return run(g, p, inputs);
  });
  CHECK(difference(expected, actual, g) == "");
  CHECK(seconds < kBoundPerNode * static_cast<double>(g.size()) + 5);
}

std::size_t distinct_kernels(std::string_view family, std::int64_t nodes) {
  FrontEndTimes times;
  const Program p = program_of(graph_family(family).build(nodes, times));
  std::set<std::string> forms;
  for (const Kernel& k : p.kernels) forms.insert(print(codegen::canonical(p, k).program));
  return forms.size();
}

}  // namespace

TEST_CASE("a chain of 100,000 ops, traced, compiled and run") { check_family("chain", 100'000); }

TEST_CASE("large graphs of every family compile in linear time to the interpreter's bits") {
  for (const GraphFamily& f : graph_families()) check_family(f.name, f.name == "random" ? 500 : 5'000);
}

TEST_CASE("layers and steps that are alike share their code however many they are") {
  for (const char* family : {"wide", "mlp", "recurrent"}) {
    INFO(family);
    CHECK(distinct_kernels(family, 4'000) <= distinct_kernels(family, 1'500) + 2);
  }
}

TEST_CASE("thousands of readers of one value share kernels") {
  FrontEndTimes times;
  const Graph g = graph_family("fan_out").build(6'000, times);
  CHECK(g.outputs().size() > 900);
  CHECK(program_of(g).kernels.size() < 20);
}

TEST_CASE("rules fire and nodes are added in proportion to the graph") {
  for (const GraphFamily& f : graph_families()) {
    INFO(f.name);
    double per_node[2];
    for (int i = 0; i < 2; ++i) {
      FrontEndTimes times;
      const Graph g = f.build(i ? 20'000 : 4'000, times);
      Ledger ledger;
      PipelineOptions options;
      options.ledger = &ledger;
      std::size_t work = optimize(g, options).size();
      for (const auto& [rule, count] : ledger) work += static_cast<std::size_t>(count);
      per_node[i] = static_cast<double>(work) / static_cast<double>(g.size());
    }
    CHECK(per_node[1] < 1.25 * per_node[0]);
  }
}

TEST_CASE("a deep model is built, trained and saved in linear time") {
  double seconds = 0;
  timed(seconds, [] {
    GraphScope scope;
    const Tensor x = input(f32, {8});
    Tensor h = x;
    for (int i = 0; i < 600; ++i) h = Dense(8, relu)(h);
    Model model(x, h);
    model.compile({.optimizer = Adam{1e-3}, .loss = mse});
    model.training_step({{f32, {64, 8}}}, {{f32, {64, 8}}}, 16).prepare(16);
    CHECK(model.parameters().size() == 1200);
  });
  CHECK(seconds < 60);
}

// `weft bench`: the time of one training step of a reference model, beside the peak that the machine reached in the
// same run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "codegen/codegen.h"
#include "tools/commands.h"
#include "tools/io.h"
#include "tools/options.h"
#include "tools/peak.h"
#include "tools/profile.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kBatchSize = 128;
constexpr int kWarmUp = 10;

struct Options {
  std::string model;
  DeviceOptions device;
  ScheduleOptions schedules;
  int steps = 200;
  bool json = false, report = false;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// 2 * m * n * k summed over the contractions of the graph.
double contraction_flops(const Graph& graph) {
  double flops = 0;
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    if (node.op != Op::contract) continue;
    double products = static_cast<double>(element_count(node.type.shape));
    for (std::int64_t axis : node.attrs.dims[0])
      products *= static_cast<double>(graph[node.operands[0]].type.shape[static_cast<int>(axis)]);
    flops += 2 * products;
  }
  return flops;
}

/// The compiled step and the seconds that tracing, the passes and code generation took.
struct Compiled {
  Executable step;
  double seconds;
};
Compiled compile_step(const BuiltinModel& builtin, const Dataset& data, const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  Model model = builtin.make(0, train_options(o.device.threads, o.schedules));
  Executable step = model.training_step({data.x.type()}, {data.y.type()}, kBatchSize);
  step.prepare(kBatchSize);
  return {step, seconds_since(start)};
}

/// Row numbers of step `i`: a walk over the data with a stride that is coprime to its size, so that every row comes up.
Array batch_indices(std::int64_t i, std::int64_t samples) {
  std::vector<std::int32_t> rows(kBatchSize);
  for (std::int64_t r = 0; r < kBatchSize; ++r)
    rows[static_cast<std::size_t>(r)] = static_cast<std::int32_t>((i * kBatchSize + r) * 7919 % samples);
  return Array::from(rows, {kBatchSize});
}

/// The profile of the step, from the states that it has reached.
std::string report(const Executable& step, const Dataset& data, const ScheduleTable* schedules) {
  const Graph fused = step.optimized(kBatchSize);
  std::vector<Array> inputs, given = {data.x, data.y, batch_indices(0, data.size())};
  auto next = given.begin();
  for (const Input& in : fused.inputs()) inputs.push_back(in.kind == InputKind::data ? *next++ : step.state(in.name));
  return profile_report(fused, inputs, step.threads(), schedules);
}

void bench(const Options& o) {
  o.device.check();
  const BuiltinModel& builtin = builtin_model(o.model);
  const Dataset data = data::mnist({.test_count = 1, .quiet = true}).train;

  const Compiled cold = compile_step(builtin, data, o);
  const Compiled again = compile_step(builtin, data, o);
  const Executable& step = cold.step;

  std::vector<double> times;
  double loss = 0;
  for (int i = 0; i < kWarmUp + o.steps; ++i) {
    const Array indices = batch_indices(i, data.size());
    const auto start = std::chrono::steady_clock::now();
    const std::vector<Array> outputs = step({data.x, data.y, indices});
    if (i >= kWarmUp) times.push_back(seconds_since(start));
    loss = outputs[0].at(0);
  }
  std::sort(times.begin(), times.end());
  const double step_s = times[times.size() / 2];
  const double flops = contraction_flops(step.graph(kBatchSize));
  const double peak = measure_peak_flops(step.threads());

  if (o.json) {
    nlohmann::ordered_json line;
    line["model"] = builtin.name;
    line["device"] = o.device.device;
    line["threads"] = step.threads();
    line["compile_s"] = cold.seconds;
    line["cached_compile_s"] = again.seconds;
    line["step_ms"] = step_s * 1e3;
    line["gflops"] = flops / step_s * 1e-9;
    line["peak_fraction"] = flops / step_s / peak;
    line["loss"] = loss;
    print_line(line.dump());
    return;
  }
  print_line(fmt::format("{}: {:.3f} ms a step of {} samples (median of {}; fastest {:.3f}) on {} threads",
                         builtin.name, step_s * 1e3, kBatchSize, o.steps, times.front() * 1e3, step.threads()));
  print_line(fmt::format(
      "{:.3f} GFLOP of contractions: {:.1f} GFLOP/s, {:.0f} % of the {:.1f} GFLOP/s measured on this machine",
      flops * 1e-9, flops / step_s * 1e-9, 100 * flops / step_s / peak, peak * 1e-9));
  print_line(fmt::format("compiled in {:.3f} s, again in {:.3f} s; loss {:.4f}", cold.seconds, again.seconds, loss));
  if (o.report) print_line(report(step, data, o.schedules.read(host_target()).get()));
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("bench", "Time one training step of a reference model");
  command->add_option("MODEL", o->model, "mlp, cnn, lstm or vit")->required();
  command->add_option("--steps", o->steps, "steps to time, after a warm-up")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 24));
  o->device.add_to(*command);
  o->schedules.add_to(*command);
  command->add_flag("--report", o->report, "also print the time, FLOP/s, traffic and source lines of each kernel");
  command->add_flag("--json", o->json, "print one JSON object instead of text");
  command->callback([o] { bench(*o); });
}

}  // namespace weft::tools

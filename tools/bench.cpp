// `weft bench`: the time of a training step, or of a forward pass, of a reference model, beside the peak that the
// machine reached in the same run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/compilation.h"
#include "ir/ops/body.h"
#include "tools/commands.h"
#include "tools/measure/bench_device.h"
#include "tools/measure/peak.h"
#include "tools/measure/profile.h"
#include "tools/measure/scratch_cache.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

constexpr int kWarmUp = 10;  // steps
// Training steps of a call, unless told otherwise. A call of a device carries the states there and back.
constexpr int kStepsPerCall = 10, kStepsPerCudaCall = 1000;
constexpr int kSteps = 200, kCudaSteps = 10000;

struct Options {
  std::string model;
  DeviceOptions device;
  ScheduleOptions schedules;
  int steps = 0, steps_per_call = 0;  // 0: as suits the device
  std::int64_t batch_size = 0;        // 0: the model's
  bool json = false, report = false, inference = false, small = false;
  Placement place;  // that `device` names
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// 2 * m * n * k summed over the contractions of the graph, those of a loop in each turn.
double contraction_flops(const Graph& graph) {
  double flops = 0;
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph[id];
    if (node.op == Op::scan)
      flops += static_cast<double>(node.attrs.scalar(Attr::length)) * contraction_flops(*node.attrs.bodies[0]->graph);
    if (node.op != Op::contract) continue;
    double products = static_cast<double>(element_count(node.type.shape));
    for (std::int64_t axis : node.attrs[Attr::lhs])
      products *= static_cast<double>(graph[node.operands[0]].type.shape[static_cast<int>(axis)]);
    flops += 2 * products;
  }
  return flops;
}

/// The compiled step and the seconds that it took from the model with its initial weights: tracing, passes, code
/// generation.
struct Compiled {
  Executable step;
  double seconds;
};
Compiled compile_step(const BuiltinModel& builtin, const Dataset& data, const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  Model model = builtin.make(0, train_options(o.place, o.schedules));
  const Executable step =
      o.inference ? compile({model.outputs().begin(), model.outputs().end()}, {.backend = o.place.backend,
                                                                               .threads = o.place.threads,
                                                                               .check = o.place.check,
                                                                               .numerics = o.place.numerics,
                                                                               .pin = o.place.pin,
                                                                               .cpu = o.place.cpu,
                                                                               .name = "prediction",
                                                                               .schedules = o.schedules.paths})
                  : model.training_step({data.x.type()}, {data.y.type()}, o.batch_size);
  step.prepare(o.batch_size);
  return {step, seconds_since(start)};
}

/// Row numbers of `steps` steps from step `first` on, [steps, batch]: a walk over the data with a stride that is
/// coprime to its size, so that every row comes up.
Array batch_indices(std::int64_t first, std::int64_t steps, std::int64_t batch, std::int64_t samples) {
  Array rows(Type{i32, {steps, batch}});
  for (std::int64_t r = 0; r < rows.size(); ++r)
    rows.as<std::int32_t>()[static_cast<std::size_t>(r)] =
        static_cast<std::int32_t>((first * batch + r) % samples * 7919 % samples);
  return rows;
}

/// A batch of samples as the model's input wants them.
Array forward_batch(const Executable& step, const Dataset& data, std::int64_t batch) {
  const Graph graph = step.graph(batch);
  Array x(graph[graph.inputs()[0].id].type);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double value = data.x.at(i % data.x.size());
    if (x.dtype() == i32)
      x.as<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(value);
    else
      x.as<float>()[static_cast<std::size_t>(i)] = static_cast<float>(value / 255);
  }
  return x;
}

/// The arguments of steps.
class Arguments {
 public:
  Arguments(const Executable& step, const Dataset& data, const Options& o)
      : samples_(data.size()),
        batch_(o.batch_size),
        fixed_{o.inference ? std::vector{resident(forward_batch(step, data, o.batch_size))}
                           : std::vector{resident(data.x), resident(data.y)}},
        moves_(!o.inference) {}
  /// Of `n` steps from step `first` on.
  std::vector<StepArgument> of(std::int64_t first, std::int64_t n) const {
    std::vector<StepArgument> all = fixed_;
    if (moves_) all.push_back(per_step(batch_indices(first, n, batch_, samples_)));
    return all;
  }

 private:
  std::int64_t samples_, batch_;
  std::vector<StepArgument> fixed_;
  bool moves_;  // another batch in each step
};

/// Seconds that a step took in each call, sorted, and the first output's last value.
struct Timing {
  std::vector<double> seconds;
  double last = 0;
};
Timing time_steps(const Executable& step, const Dataset& data, const Options& o) {
  Timing t;
  const bool cuda = o.place.backend == Backend::cuda;
  const int steps = o.steps ? o.steps : cuda ? kCudaSteps : kSteps;
  const int per_call = o.steps_per_call ? o.steps_per_call : o.inference ? 1 : cuda ? kStepsPerCudaCall : kStepsPerCall;
  const int end = kWarmUp + steps;
  const Arguments arguments(step, data, o);
  for (int i = 0, n; i < end; i += n) {
    n = std::min(per_call, (i < kWarmUp ? kWarmUp : end) - i);
    const std::vector<StepArgument> given = arguments.of(i, n);
    const auto start = std::chrono::steady_clock::now();
    const auto outputs = o.inference && n == 1 ? step({given[0].array}) : step.run_steps(n, given).outputs;
    if (i >= kWarmUp) t.seconds.push_back(seconds_since(start) / n);
    t.last = outputs[0].at(outputs[0].size() - 1);
  }
  std::sort(t.seconds.begin(), t.seconds.end());
  return t;
}

/// The profile of the step, from the states that it has reached.
std::string report(const Executable& step, const Dataset& data, const Options& o) {
  const Graph fused = step.optimized(o.batch_size);
  std::vector<Array> inputs, given;
  for (const StepArgument& a : Arguments(step, data, o).of(0, 1))
    given.push_back(a.per_step ? a.array.reshaped({o.batch_size}) : a.array);
  auto next = given.begin();
  for (const Input& in : fused.inputs()) inputs.push_back(in.kind == InputKind::data ? *next++ : step.state(in.name));
  return profile_report(fused, inputs, o.place, o.schedules.read(machine_of(o.place).host).get());
}

void bench(Options o) {
  o.place = o.device.place();
  const bool on_cpu = o.place.backend == Backend::cpu;
  if (o.report && !on_cpu) fail("--report is for --device cpu");
  if (o.model == "limits") return bench_limits(o.place, o.small, o.json);
  if (o.model == "ops") return bench_ops(o.place, o.small, o.json);
  const BuiltinModel& builtin = builtin_model(o.model);
  if (o.batch_size == 0) o.batch_size = builtin.batch;
  const Dataset data = builtin.data();

  const ScratchCache cache;
  const Compiled cold = compile_step(builtin, data, o);
  const Compiled cached = compile_step(builtin, data, o);
  const Executable& step = cold.step;

  const Timing timing = time_steps(step, data, o);
  const std::vector<double>& times = timing.seconds;
  const double step_s = times[times.size() / 2];
  const double flops = contraction_flops(step.optimized(o.batch_size));
  const CpuTarget cpu = machine_of(o.place).host;
  const double peak = on_cpu ? measure_peak_flops(step.threads(), cpu) : 0;  // 0: not known

  if (o.json) {
    nlohmann::ordered_json line;
    line["model"] = builtin.name;
    line["device"] = name(o.place.backend);
    if (on_cpu) line["cpu"] = cpu.cpu;
    line["threads"] = step.threads();
    line["compile_s"] = cold.seconds;
    line["cached_compile_s"] = cached.seconds;
    line["step_ms"] = step_s * 1e3;
    line["gflops"] = flops / step_s * 1e-9;
    if (peak > 0) line["peak_fraction"] = flops / step_s / peak;
    if (o.inference)
      line["batch_size"] = o.batch_size;
    else
      line["loss"] = timing.last;
    print_line(line.dump());
    return;
  }
  print_line(fmt::format("{}: {:.3f} ms a {} of {} samples (median of {} calls; fastest {:.3f}) on {}", builtin.name,
                         step_s * 1e3, o.inference ? "forward pass" : "step", o.batch_size, times.size(),
                         times.front() * 1e3, place_name(o.place)));
  std::string rate = fmt::format("{:.3f} GFLOP of contractions: {:.1f} GFLOP/s", flops * 1e-9, flops / step_s * 1e-9);
  if (peak > 0)
    rate += fmt::format(", {:.0f} % of the {:.1f} GFLOP/s measured on this machine ({})", 100 * flops / step_s / peak,
                        peak * 1e-9, peak_name(cpu));
  print_line(rate);
  print_line(fmt::format("compiled in {:.3f} s, from the cache in {:.3f} s{}", cold.seconds, cached.seconds,
                         o.inference ? "" : fmt::format("; loss {:.4f}", timing.last)));
  if (o.report) print_line(report(step, data, o));
}

}  // namespace

void add_bench(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("bench", "Time a training step, or a forward pass, of a reference model");
  command->add_option("MODEL", o->model, "mlp, cnn, lstm, vit or gpt; or, on a device, limits or ops")->required();
  command->add_option("--steps", o->steps, "steps to time, after a warm-up (default: 200; 10000 on cuda)")
      ->check(CLI::Range(1, 1 << 24));
  command
      ->add_option("--steps-per-call", o->steps_per_call,
                   "steps that one timed call runs (default: 10; 1000 on cuda; 1 of forward passes)")
      ->check(CLI::Range(1, 1 << 16));
  command->add_option("--batch-size", o->batch_size, "samples of a step (default: 128; of gpt 32)")
      ->check(CLI::Range(1, 1 << 16));
  command->add_flag("--small", o->small, "limits and ops in sizes for a dry run");
  command->add_flag("--inference", o->inference, "time forward passes, one a call, instead of training steps");
  o->device.add_to(*command);
  o->schedules.add_to(*command);
  command->add_flag("--report", o->report,
                    "also print the time, FLOP/s, traffic, share of its roof and source lines of each kernel");
  command->add_flag("--json", o->json, "print one JSON object instead of text");
  command->callback([o] { bench(*o); });
}

}  // namespace weft::tools

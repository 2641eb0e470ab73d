// `weft tune`: searches schedules for the contractions of a graph or of a reference model's training step, offline, and
// stores those that are faster than the cost model's.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "codegen/codegen.h"
#include "ir/print_kernel.h"
#include "passes/schedule_space.h"
#include "tools/commands.h"
#include "tools/emit.h"
#include "tools/io.h"
#include "tools/lone_kernel.h"
#include "tools/options.h"
#include "tools/profile.h"
#include "tools/tuner.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kBatchSize = 128;
constexpr std::int64_t kSamples = 60000;  // rows of the resident data set, as MNIST has
constexpr double kCheckShare = 0.1;       // of the time: the whole program before and after

struct Options {
  std::string what, output;
  std::int64_t batch = 0;
  double seconds = 60;
  int threads = 0;
  bool json = false;
};

/// The fused graph of a model's training step, or of a file.
Graph graph_of(const Options& o) {
  const bool is_model = std::ranges::any_of(builtin_models(), [&](const auto& m) { return m.name == o.what; });
  if (is_model) {
    Model model = builtin_model(o.what).make(0, train_options(o.threads));
    const std::int64_t batch = o.batch ? o.batch : kBatchSize;
    return fused(model.training_step({{u8, {kSamples, 784}}}, {{i32, {kSamples}}}, batch).graph(batch));
  }
  const std::string text = read_text(o.what);
  if (is_program(text))
    fail("{}: schedules are tuned for graphs, and this is a program of kernels", display_name(o.what));
  Graph g = parse_graph(text, display_name(o.what));
  return fused(o.batch > 0 ? bind_batch(g, o.batch) : g);
}

/// Kernels of one signature, which share a schedule.
struct Task {
  std::uint64_t signature = 0;
  const Kernel* kernel = nullptr;
  int count = 0;
  LocSet locs;
  double flops = 0;  // of one of them
};

std::vector<Task> tasks_of(const Program& p) {
  std::vector<Task> tasks;
  for (const Kernel& k : p.kernels) {
    if (!is_tiled_contraction(k)) continue;
    const std::uint64_t signature = schedule_signature(p, k);
    auto task = std::ranges::find(tasks, signature, &Task::signature);
    if (task == tasks.end()) {
      const Contraction c = contraction_of(p, k);
      const double flops = 2.0 * static_cast<double>(c.b * c.m) * static_cast<double>(c.n) * static_cast<double>(c.k);
      task = tasks.insert(task, {signature, &k, 0, {}, flops});
    }
    ++task->count;
    task->locs |= k.locs;
  }
  return tasks;
}

std::string sizes(const Schedule& s) {
  std::string text;
  for (const ScheduleField& f : kScheduleFields) {
    const std::string separator = text.empty() ? "" : " ";
    if (f.small) text += fmt::format("{}{}={}", separator, f.name, s.*f.small);
    if (f.big) text += fmt::format("{}{}={}", separator, f.name, s.*f.big);
    if (f.flag && s.*f.flag) text += fmt::format("{}{}", separator, f.name);
  }
  return text;
}

void print_result(const Options& o, const Task& task, const Contraction& c, const TuneResult& r) {
  const double gain = 1 - r.after_s / r.before_s;
  if (o.json) {
    nlohmann::ordered_json line;
    line["kernel"] = task.kernel->name;
    line["count"] = task.count;
    line["dtype"] = name(c.dtype);
    line["extents"] = {c.b, c.m, c.n, c.k};
    line["default_us"] = r.before_s * 1e6;
    line["best_us"] = r.after_s * 1e6;
    line["gain"] = gain;
    line["tried"] = r.tried;
    line["default"] = sizes(r.before);
    line["best"] = sizes(r.after);
    line["lines"] = source_lines(task.locs);
    return print_line(line.dump());
  }
  print_line(fmt::format("{:<16} {:>2} {:>18} {:>10.1f} {:>10.1f} {:>6.1f} %  {:>5}  {}", task.kernel->name, task.count,
                         fmt::format("{}x{}x{}x{}", c.b, c.m, c.n, c.k), r.before_s * 1e6, r.after_s * 1e6, 100 * gain,
                         r.tried, source_lines(task.locs)));
}

void tune_command(const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  const Target target = host_target();
  check_writable(o.output);
  if (std::filesystem::exists(o.output)) read_schedules(o.output, target);  // now, not after the search
  const Graph graph = graph_of(o);
  const auto before = std::make_shared<const Program>(make_program(graph, target));
  const std::vector<Task> tasks = tasks_of(*before);
  if (tasks.empty()) fail("{}: there is no contraction to tune", display_name(o.what));
  const auto team = std::make_shared<ThreadTeam>(o.threads);

  // Half of the time goes to all kernels alike, half by the work they do.
  double all_flops = 0;
  for (const Task& t : tasks) all_flops += t.flops * t.count;
  const double budget = o.seconds * (1 - kCheckShare);
  if (!o.json)
    print_line(fmt::format("{:<16} {:>2} {:>18} {:>10} {:>10} {:>8}  {:>5}  {}", "kernel", "", "b x m x n x k",
                           "default us", "best us", "gain", "tried", "lines"));
  ScheduleTable found;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = tasks[i];
    fmt::print(stderr, "weft: tuning kernel @{} ({} of {})\n", task.kernel->name, i + 1, tasks.size());
    const double share = 0.5 / static_cast<double>(tasks.size()) + 0.5 * task.flops * task.count / all_flops;
    const Contraction c = contraction_of(*before, *task.kernel);
    const TuneResult r = tune(lone_kernel(*before, *task.kernel), target, team, budget * share);
    print_result(o, task, c, r);
    if (!r.faster) continue;
    ScheduleRow row{task.signature, c, TargetKey::of(target), r.after, "", ""};
    row.remark = fmt::format("{:.1f} us, was {:.1f} us on {} threads; {}", r.after_s * 1e6, r.before_s * 1e6,
                             team->size(), source_lines(task.locs));
    found.set(row);
  }
  add_schedules(o.output, found, target);

  PipelineOptions tuned;
  tuned.schedules = &found;
  const auto after = std::make_shared<const Program>(make_program(graph, target, tuned));
  const auto [was, is] = compare_times(before, after, target, team, o.seconds * kCheckShare);
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (o.json) {
    nlohmann::ordered_json line;
    line["kernels"] = tasks.size();
    line["stored"] = found.size();
    line["threads"] = team->size();
    line["default_us"] = was * 1e6;
    line["best_us"] = is * 1e6;
    line["gain"] = 1 - is / was;
    line["seconds"] = spent;
    return print_line(line.dump());
  }
  print_line(fmt::format(
      "the whole: {:.1f} us, was {:.1f} us ({:.1f} %), on {} threads; {} of {} schedules stored in {}; {:.1f} s",
      is * 1e6, was * 1e6, 100 * (1 - is / was), team->size(), found.size(), tasks.size(), o.output, spent));
}

}  // namespace

void add_tune(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("tune", "Search faster schedules for contractions and store them in a file");
  command->add_option("FILE", o->what, "a graph as a .weft file, - for stdin, or a reference model: its training step")
      ->required();
  command->add_option("-o,--output", o->output, "the file that the schedules are added to")->required();
  command->add_option("--batch", o->batch, "bind the batch extent `?` to this number (a model: 128)")
      ->check(CLI::Range(1, 1 << 30));
  command->add_option("--seconds", o->seconds, "time for the search")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1e6));
  command->add_option("--threads", o->threads, "threads to run on (default: as many as this process may use)")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--json", o->json, "print one JSON object a kernel, and one for the whole, instead of text");
  command->callback([o] { tune_command(*o); });
}

}  // namespace weft::tools

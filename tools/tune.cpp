// `weft tune`: searches schedules for the contractions of a graph or of a reference model's training step, offline, and
// stores those that are faster than the cost model's.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "compiler/compilation.h"
#include "ir/kernel/print_kernel.h"
#include "passes/schedule/schedule_space.h"
#include "runtime/files/file.h"
#include "tools/commands.h"
#include "tools/measure/lone_kernel.h"
#include "tools/measure/profile.h"
#include "tools/measure/tuner.h"
#include "tools/support/emit.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kSamples = 60000;    // rows of the resident data set, as MNIST has
constexpr std::int64_t kLeastBytes = 4096;  // that the disk must have room for
constexpr double kProgramShare = 0.15;      // of the time, twice: the whole program before and after

struct Options {
  std::string what, output;
  ExtentOptions extents;
  double seconds = 60;
  int threads = 0;
  std::string cpu;
  bool json = false;

  Placement place() const { return {.threads = threads, .cpu = cpu}; }
};

/// The fused graph of a model's training step, or of a file.
Graph graph_of(const Options& o) {
  const bool is_model = std::ranges::any_of(builtin_models(), [&](const auto& m) { return m.name == o.what; });
  if (is_model) {
    const BuiltinModel& builtin = builtin_model(o.what);
    Model model = builtin.make(0, train_options(o.place()));
    const std::int64_t batch = o.extents.batch ? o.extents.batch : builtin.batch;
    const auto [x, y] = builtin.types(kSamples);
    return model.training_step({x}, {y}, batch).optimized(batch);
  }
  const std::string text = read_text(o.what);
  if (is_program(text))
    fail("{}: schedules are tuned for graphs, and this is a program of kernels", display_name(o.what));
  return Compilation(bound(o.extents.bind(parse_graph(text, display_name(o.what)))), machine_of(o.place())).optimized();
}

/// Kernels of one signature, which share a schedule.
struct Task {
  std::uint64_t signature = 0;
  const Kernel* kernel = nullptr;
  LocSet locs;
  double flops = 0;                  // of one of them
  std::vector<std::size_t> kernels;  // their numbers in the program
  TuneResult alone;
  double before_s = 0, after_s = 0;  // all of them, in the program
  bool stored = false;
};

std::vector<Task> tasks_of(const Program& p) {
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < p.kernels.size(); ++i) {
    const Kernel& k = p.kernels[i];
    if (!is_tiled_contraction(k)) continue;
    const std::uint64_t signature = schedule_signature(p, k);
    auto task = std::ranges::find(tasks, signature, &Task::signature);
    if (task == tasks.end()) {
      const Contraction c = contraction_of(p, k);
      const double flops = 2.0 * static_cast<double>(c.b * c.m) * static_cast<double>(c.n) * static_cast<double>(c.k);
      task = tasks.insert(task, {.signature = signature, .kernel = &k, .flops = flops});
    }
    task->kernels.push_back(i);
    task->locs |= k.locs;
  }
  return tasks;
}

std::string sizes(const CpuSchedule& s) {
  std::string text;
  for (const auto& f : kCpuFields) {
    const std::string separator = text.empty() ? "" : " ";
    if (f.small) text += fmt::format("{}{}={}", separator, f.name, s.*f.small);
    if (f.big) text += fmt::format("{}{}={}", separator, f.name, s.*f.big);
    if (f.flag && s.*f.flag) text += fmt::format("{}{}", separator, f.name);
  }
  return text;
}

void print_result(const Options& o, const Task& task, const Contraction& c) {
  const TuneResult& r = task.alone;
  if (o.json) {
    nlohmann::ordered_json line;
    line["kernel"] = task.kernel->name;
    line["count"] = task.kernels.size();
    line["dtype"] = name(c.dtype);
    line["extents"] = {c.b, c.m, c.n, c.k};
    line["default_us"] = r.before_s * 1e6;
    line["best_us"] = r.after_s * 1e6;
    line["gain"] = 1 - r.after_s / r.before_s;
    line["program_default_us"] = task.before_s * 1e6;
    line["program_best_us"] = task.after_s * 1e6;
    line["stored"] = task.stored;
    line["tried"] = r.tried;
    line["default"] = sizes(r.before);
    line["best"] = sizes(r.after);
    line["lines"] = source_lines(task.locs);
    return print_line(line.dump());
  }
  print_line(fmt::format("{:<14} {:>2} {:>18} {:>10.1f} {:>9.1f} {:>5.1f} % {:>10.1f} {:>9.1f} {:>6} {:>5}  {}",
                         task.kernel->name, task.kernels.size(), fmt::format("{}x{}x{}x{}", c.b, c.m, c.n, c.k),
                         r.before_s * 1e6, r.after_s * 1e6, 100 * (1 - r.after_s / r.before_s), task.before_s * 1e6,
                         task.after_s * 1e6, task.stored ? "yes" : "no", r.tried, source_lines(task.locs)));
}

/// What the search found and the program confirmed, and the program's time without and with it.
struct Outcome {
  ScheduleTable table;
  double before_s = 0, after_s = 0;
};

ScheduleTable table_of(const Program& p, const std::vector<Task>& tasks, const CpuTarget& target, int threads) {
  ScheduleTable table;
  for (const Task& t : tasks) {
    if (!t.stored) continue;
    ScheduleRow row{t.signature, contraction_of(p, *t.kernel), TargetKey::of(target), t.alone.after, "", ""};
    row.remark = fmt::format("{:.1f} us, was {:.1f} us on {} threads; {}", t.alone.after_s * 1e6,
                             t.alone.before_s * 1e6, threads, source_lines(t.locs));
    table.set(row);
  }
  return table;
}

/// Keeps of the schedules that won alone those that win in the program too, among its other kernels and its memory, and
/// none when the program as a whole is slower for them.
Outcome confirm(const Graph& graph, const std::shared_ptr<const Program>& before, std::vector<Task>& tasks,
                const Machine& machine, const std::shared_ptr<ThreadTeam>& team, double seconds) {
  const CpuTarget& target = machine.host;
  Outcome outcome;
  std::vector<std::size_t> all(before->kernels.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  auto with = [&](const ScheduleTable& table) {
    PipelineOptions options;
    options.schedules = &table;
    return race({before, Compilation(graph, machine, options).program()}, target, team, seconds);
  };
  for (Task& t : tasks) t.stored = t.alone.faster;
  const auto single = with(table_of(*before, tasks, target, team->size()));
  for (Task& t : tasks) {
    t.before_s = single[0].least(t.kernels), t.after_s = single[1].least(t.kernels);
    t.stored = t.stored && single[1].beat(single[0], t.kernels, kNoise);
  }
  outcome.table = table_of(*before, tasks, target, team->size());
  const auto together = with(outcome.table);
  outcome.before_s = together[0].least(all), outcome.after_s = together[1].least(all);
  if (!outcome.table.empty() && !together[1].beat(together[0], all, 1)) {
    outcome.table = {};
    for (Task& t : tasks) t.stored = false;
  }
  return outcome;
}

void tune_command(const Options& o) {
  const auto start = std::chrono::steady_clock::now();
  const Machine machine = machine_of(o.place());
  const CpuTarget& target = machine.host;
  check_writable(o.output, kLeastBytes);  // now, not after the search
  {
    const FolderLock lock(o.output);
    if (std::filesystem::exists(o.output)) read_schedules(o.output, target);
  }
  const Graph graph = graph_of(o);
  const std::shared_ptr<const Program> program = Compilation(graph, machine).program();
  std::vector<Task> tasks = tasks_of(*program);
  if (tasks.empty()) fail("{}: there is no contraction to tune", display_name(o.what));
  const auto team = std::make_shared<ThreadTeam>(o.threads);

  // Half of the time goes to all kernels alike, half by the work they do.
  double all_flops = 0;
  for (const Task& t : tasks) all_flops += t.flops * static_cast<double>(t.kernels.size());
  const double budget = o.seconds * (1 - 2 * kProgramShare);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    Task& t = tasks[i];
    say(fmt::format("weft: tuning kernel @{} ({} of {})\n", t.kernel->name, i + 1, tasks.size()));
    const double work = t.flops * static_cast<double>(t.kernels.size()) / all_flops;
    const double share = 0.5 / static_cast<double>(tasks.size()) + 0.5 * work;
    t.alone = tune(lone_kernel(*program, *t.kernel), target, team, budget * share);
  }
  say("weft: confirming in the whole program\n");
  const Outcome outcome = confirm(graph, program, tasks, machine, team, o.seconds * kProgramShare);
  add_schedules(o.output, outcome.table, target);

  if (!o.json)
    print_line(fmt::format("{:<14} {:>2} {:>18} {:>10} {:>9} {:>7} {:>10} {:>9} {:>6} {:>5}  {}", "kernel", "",
                           "b x m x n x k", "default us", "best us", "gain", "in program", "best us", "stored", "tried",
                           "lines"));
  for (const Task& t : tasks) print_result(o, t, contraction_of(*program, *t.kernel));
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double gain = 1 - outcome.after_s / outcome.before_s;
  if (o.json) {
    nlohmann::ordered_json line;
    line["kernels"] = tasks.size();
    line["stored"] = outcome.table.size();
    line["threads"] = team->size();
    line["cpu"] = target.cpu;
    line["default_us"] = outcome.before_s * 1e6;
    line["best_us"] = outcome.after_s * 1e6;
    line["gain"] = gain;
    line["seconds"] = spent;
    return print_line(line.dump());
  }
  print_line(fmt::format(
      "the whole: {:.1f} us, was {:.1f} us ({:.1f} %), on {} threads, {}; {} of {} schedules stored in {}; {:.1f} s",
      outcome.after_s * 1e6, outcome.before_s * 1e6, 100 * gain, team->size(), target.cpu, outcome.table.size(),
      tasks.size(), o.output, spent));
}

}  // namespace

void add_tune(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("tune", "Search faster schedules for contractions and store them in a file");
  command->add_option("FILE", o->what, "a graph as a .weft file, - for stdin, or a reference model: its training step")
      ->required();
  command->add_option("-o,--output", o->output, "the file that the schedules are added to")->required();
  o->extents.add_to(*command, "bind the batch extent `?` to this number (a model: 128)");
  command->add_option("--seconds", o->seconds, "time for the search")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1e6));
  command->add_option("--threads", o->threads, "threads to run on (default: as many as this process may use)")
      ->check(CLI::Range(1, 1024));
  add_cpu_option(*command, o->cpu);
  command->add_flag("--json", o->json, "print one JSON object a kernel, and one for the whole, instead of text");
  command->callback([o] { tune_command(*o); });
}

}  // namespace weft::tools

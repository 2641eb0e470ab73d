// `weft opt`: reads a graph or a program as text, runs passes over it, and prints it at any later stage.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/support/emit.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

struct Options {
  std::string file;
  std::vector<std::string> passes, disable;
  ExtentOptions extents;
  bool print_after_all = false, stats = false, trust = false;
  EmitOptions emit;
  ScheduleOptions schedules;
};

/// What the runner reports goes to stderr, so that stdout holds the result alone.
void print_after(const PassResult& r) {
  say(fmt::format("// after {}{}\n{}\n", r.name, r.changed ? "" : " (unchanged)", r.changed ? r.text() : ""));
}

void print_stats(const std::vector<PassTiming>& timings, const Ledger& ledger) {
  for (const PassTiming& t : timings)
    say(fmt::format("{:<20} {:8.3f} ms{}\n", t.name, t.seconds * 1e3, t.changed ? "" : "  (unchanged)"));
  for (const auto& [rule, count] : ledger) say(fmt::format("rule {:<34} {:>6} times\n", rule, count));
}

Function parse(const Options& o) {
  const std::string text = read_text(o.file);
  if (is_program(text)) {
    Program program = parse_program(text, display_name(o.file));
    program.check_indices = !o.trust;
    return program;
  }
  return o.extents.bind(parse_graph(text, display_name(o.file)));
}

void opt(Options o, bool emit_given) {
  o.emit.check();
  const Machine machine = o.emit.machine();
  const auto schedules = o.schedules.read(machine.host);
  Ledger ledger;
  std::vector<PassTiming> timings;
  PipelineOptions options;
  options.numerics = machine.device.numerics;
  options.verify = true;
  options.schedules = schedules.get();
  options.disable = o.disable;
  options.ledger = &ledger;
  options.timings = &timings;
  if (o.print_after_all) options.after = print_after;

  // Given passes stand in for the pipeline: what they leave is printed as it is, unless a later stage is asked for.
  Function function = parse(o);
  for (const std::string& name : o.passes) function = run_pass(name, std::move(function), machine.target(), options);
  std::string result;
  if (auto* program = std::get_if<Program>(&function)) {
    if (!o.passes.empty() && !emit_given) {
      result = print(*program, o.emit.locs);
    } else {
      if (!emit_given) o.emit.emit = "kernels";
      result = emit(Compilation(std::move(*program), machine), o.emit);
    }
  } else {
    if (!o.passes.empty() && (!emit_given || o.emit.emit == "optimized")) o.emit.emit = "graph";
    result = emit(Compilation(std::get<Graph>(std::move(function)), machine, options), o.emit);
  }
  if (o.stats) print_stats(timings, ledger);
  write_text(o.emit.output, result);
}

}  // namespace

void add_opt(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("opt", "Run passes over a graph, or a program of kernels, in text form");
  std::string names;
  for (const PassInfo& pass : passes()) names += fmt::format("\n  {:<20} {}", pass.name, pass.doc);
  command->footer("Passes, in pipeline order:" + names);
  command->add_option("FILE", o->file, "a .weft file, or - for stdin")->required();
  command->add_option("--pass", o->passes, "run this pass, in place of the pipeline (may be repeated)")->take_all();
  command->add_option("--disable", o->disable, "leave this pass out of the pipeline (may be repeated)")->take_all();
  o->extents.add_to(*command);
  command->add_flag("--print-after-all", o->print_after_all, "print what each pass leaves, on stderr");
  command->add_flag("--stats", o->stats, "print the time of each pass and how often each rule fired, on stderr");
  command->add_flag("--trust", o->trust, "a program of kernels: its code does not check indices as it runs");
  o->emit.add_to(*command);
  o->schedules.add_to(*command);
  command->callback([o, command] { opt(*o, command->count("--emit") > 0); });
}

}  // namespace weft::tools

// Options that several subcommands share, and the checks of their values.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "compiler/placement.h"
#include "compiler/stored_schedules.h"
#include "frontend/train/builtin.h"
#include "ir/graph/graph.h"

namespace weft::tools {

inline constexpr int kSignalExit = 128;  ///< the exit code of what signal 0 would have ended, as shells count them

/// --cpu: for which of the CPUs that LLVM knows to make code.
void add_cpu_option(CLI::App& command, std::string& cpu);

/// --device, --cpu, --threads, --pin, --check, --numerics and --persistent.
struct DeviceOptions {
  std::string device = "cpu", cpu;
  int threads = 0;
  bool pin = false, check = false, persistent = false;
  std::string numerics = "exact";
  void add_to(CLI::App& command);
  /// What the options name. The device that `auto` chose is said on stderr. Throws Error for an unknown device or cpu,
  /// for a GPU that is not there, saying why, and for a cpu whose code cannot run here.
  Placement place() const;
};

/// "2 threads, znver4", or the device's own name.
std::string place_name(const Placement&);

/// --batch and --extent: what unbound extents of a graph are.
struct ExtentOptions {
  std::int64_t batch = 0;
  std::vector<std::string> named;
  void add_to(CLI::App& command, const std::string& batch_help = "bind the batch extent `?` to this number");
  void add_names_to(CLI::App& command);  ///< --extent alone
  /// The graph with these extents bound. Throws Error for a name that the graph has no extent of.
  Graph bind(Graph) const;
};

/// --schedules.
struct ScheduleOptions {
  std::string paths;
  void add_to(CLI::App& command);
  /// The tables that the option, or $WEFT_SCHEDULES, names; null when there are none.
  std::shared_ptr<const ScheduleTable> read(const CpuTarget&) const;
};

/// How the reference models are compiled for a place, with these schedules.
TrainOptions train_options(const Placement& place = {}, const ScheduleOptions& schedules = {});

}  // namespace weft::tools

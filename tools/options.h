// Options that several subcommands share, and the checks of their values.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "frontend/train/builtin.h"
#include "compiler/stored_schedules.h"
#include "ir/graph/graph.h"

namespace weft::tools {

/// --device, --threads, --pin, --check, --numerics and --persistent.
struct DeviceOptions {
  std::string device = "cpu";
  int threads = 0;
  bool pin = false, check = false, persistent = false;
  std::string numerics = "exact";
  void add_to(CLI::App& command);
  /// The backend that --device names; what `auto` chose is said on stderr. Throws Error for an unknown one, and for a
  /// GPU that is not there, saying why.
  Backend backend() const;
};

/// "2 threads", or the device's own name.
std::string place_name(Backend backend, const std::string& device, int threads);

/// --batch and --extent: what unbound extents of a graph are.
struct ExtentOptions {
  std::int64_t batch = 0;
  std::vector<std::string> named;
  void add_to(CLI::App& command, const std::string& batch_help = "bind the batch extent `?` to this number");
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

/// How the reference models are compiled, with these schedules: on a CPU, …
TrainOptions train_options(const ScheduleOptions& schedules = {});
/// … or on the device that the options name.
TrainOptions train_options(const DeviceOptions& device, Backend backend, const ScheduleOptions& schedules);

}  // namespace weft::tools

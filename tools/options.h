// Options that several subcommands share, and the checks of their values.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "frontend/builtin.h"
#include "frontend/stored_schedules.h"

namespace weft::tools {

/// --device and --threads.
struct DeviceOptions {
  std::string device = "cpu";
  int threads = 0;
  void add_to(CLI::App& command);
  /// Throws Error for a device that is not yet built in, or none at all.
  void check() const;
};

/// --schedules.
struct ScheduleOptions {
  std::string paths;
  void add_to(CLI::App& command);
  /// The tables that the option, or $WEFT_SCHEDULES, names; null when there are none.
  std::shared_ptr<const ScheduleTable> read(const Target&) const;
};

/// How the reference models are compiled, with these threads and schedules.
TrainOptions train_options(int threads, const ScheduleOptions& schedules = {});

}  // namespace weft::tools

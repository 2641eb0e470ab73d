// Options that several subcommands share, and the checks of their values.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "frontend/builtin.h"

namespace weft::tools {

/// --device and --threads.
struct DeviceOptions {
  std::string device = "cpu";
  int threads = 0;
  void add_to(CLI::App& command);
  /// Throws Error for a device that is not yet built in, or none at all.
  void check() const;
};

/// How the reference models are compiled, with these threads.
TrainOptions train_options(int threads);

}  // namespace weft::tools

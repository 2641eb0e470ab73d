// Options that several subcommands share.
#include "tools/options.h"

#include "tools/io.h"

namespace weft::tools {

void DeviceOptions::add_to(CLI::App& command) {
  command.add_option("--device", device, "cpu, cuda or emulator")->capture_default_str();
  command.add_option("--threads", threads, "threads to run on (default: as many as this process may use)")
      ->check(CLI::Range(1, 1024));
}

void DeviceOptions::check() const {
  if (device == "cuda" || device == "emulator") not_built_in("--device " + device);
  if (device != "cpu") fail("--device: expected cpu, cuda or emulator, found '{}'", device);
}

void ScheduleOptions::add_to(CLI::App& command) {
  command.add_option("--schedules", paths, "files of measured schedules, separated by ':' (default: WEFT_SCHEDULES)");
}

std::shared_ptr<const ScheduleTable> ScheduleOptions::read(const Target& target) const {
  return read_schedules(paths, target);
}

TrainOptions train_options(int threads, const ScheduleOptions& schedules) {
  TrainOptions options;
  options.loss = softmax_cross_entropy;
  options.metrics = {accuracy};
  options.threads = threads;
  options.schedules = schedules.paths;
  return options;
}

}  // namespace weft::tools

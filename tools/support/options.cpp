// Options that several subcommands share.
#include "tools/support/options.h"

#include <algorithm>
#include <charconv>

#include "compiler/compilation.h"
#include "ir/base/lexer.h"
#include "runtime/cuda/cuda_device.h"
#include "tools/support/io.h"

namespace weft::tools {

void add_cpu_option(CLI::App& command, std::string& cpu) {
  command.add_option("--cpu", cpu,
                     "make code for this CPU, by LLVM's name (znver3, haswell, x86-64-v2, …), with the caches of this "
                     "machine, which must be able to run it (default: native)");
}

void DeviceOptions::add_to(CLI::App& command) {
  command.add_option("--device", device, "cpu, cuda, emulator, or auto: cuda where there is a GPU")
      ->capture_default_str();
  add_cpu_option(command, cpu);
  command.add_option("--threads", threads, "threads to run on (default: as many as this process may use)")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--pin", pin, "keep each thread on a CPU of its own, where nothing else runs");
  command.add_flag("--check", check, "let the emulator look for races and reads of what was never written");
  command.add_flag("--persistent", persistent, "GPUs run many steps as one kernel, not as a graph of many launches");
  command.add_option("--numerics", numerics, "exact: the same bits everywhere; fast or bf16: GPUs use tensor cores")
      ->capture_default_str();
}

Placement DeviceOptions::place() const {
  if (device != "cpu" && device != "cuda" && device != "emulator" && device != "auto")
    fail("--device: expected cpu, cuda, emulator or auto, found '{}'", device);
  const Backend backend = backend_named(device);
  if (check && backend != Backend::emulator) fail("--check is for --device emulator");
  if (device == "auto") say(fmt::format("weft: device: {}\n", name(backend)));
  if (!cpu.empty() && backend != Backend::cpu) fail("--cpu is for --device cpu");
  if (backend == Backend::cuda)
    if (const DeviceList list = list_devices(); list.devices.empty()) fail("--device cuda: {}", list.why_none);
  const Placement place{backend, threads, check, parse_numerics(numerics), persistent, pin, cpu};
  (void)machine_of(place);
  return place;
}

std::string place_name(const Placement& place) {
  return place.backend == Backend::cpu ? fmt::format("{} threads, {}", threads_of(place), machine_of(place).host.cpu)
                                       : describe(place);
}

void ExtentOptions::add_to(CLI::App& command, const std::string& batch_help) {
  command.add_option("--batch", batch, batch_help)->check(CLI::Range(1, 1 << 30));
  add_names_to(command);
}

void ExtentOptions::add_names_to(CLI::App& command) {
  command.add_option("--extent", named, "NAME=N: bind the extent `?NAME` to this number (may be repeated)")->take_all();
}

Graph ExtentOptions::bind(Graph g) const {
  Extents extents(batch);
  const std::vector<std::int64_t> known = symbols_of(g);
  for (const std::string& given : named) {
    const std::size_t equals = std::min(given.find('='), given.size());
    std::int64_t extent = 0;
    const char *first = given.data() + std::min(equals + 1, given.size()), *last = given.data() + given.size();
    const auto [end, error] = std::from_chars(first, last, extent);
    if (!is_identifier(given.substr(0, equals)) || error != std::errc() || end != last || extent < 1)
      fail("--extent: expected NAME=N with N of 1 or more, found '{}'", given);
    const std::int64_t unknown = symbol(given.substr(0, equals));
    if (std::ranges::find(known, unknown) == known.end())
      fail("--extent: @{} has no extent {}", g.name, extent_text(unknown));
    extents.set(unknown, extent);
  }
  return extents.empty() ? g : weft::bind(g, extents);
}

void ScheduleOptions::add_to(CLI::App& command) {
  command.add_option("--schedules", paths, "files of measured schedules, separated by ':' (default: WEFT_SCHEDULES)");
}

std::shared_ptr<const ScheduleTable> ScheduleOptions::read(const CpuTarget& target) const {
  return read_schedules(paths, target);
}

TrainOptions train_options(const Placement& place, const ScheduleOptions& schedules) {
  TrainOptions options;
  options.loss = softmax_cross_entropy;
  options.metrics = {accuracy};
  options.backend = place.backend;
  options.threads = place.threads;
  options.check = place.check;
  options.numerics = place.numerics;
  options.persistent = place.persistent;
  options.pin = place.pin;
  options.cpu = place.cpu;
  options.schedules = schedules.paths;
  return options;
}

}  // namespace weft::tools

// `weft devices`: what there is to run on, and why there is no GPU where there is none.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "codegen/codegen.h"
#include "compiler/placement.h"
#include "runtime/cuda/cuda_device.h"
#include "tools/commands.h"
#include "tools/support/io.h"

namespace weft::tools {
namespace {

void print_json(const DeviceList& gpus) {
  nlohmann::ordered_json all;
  all["cpu"] = {{"name", host_target().cpu}, {"threads", threads_of({Backend::cpu})}};
  all["cuda"] = nlohmann::ordered_json::array();
  for (const DeviceInfo& d : gpus.devices)
    all["cuda"].push_back({{"name", d.name},
                           {"sm", d.sm},
                           {"multiprocessors", d.target.multiprocessors},
                           {"memory_bytes", d.memory_bytes},
                           {"driver", d.driver}});
  if (gpus.devices.empty()) all["why_no_cuda"] = gpus.why_none;
  print_line(all.dump());
}

void devices(bool json) {
  const DeviceList gpus = list_devices();
  if (json) return print_json(gpus);
  print_line(fmt::format("cpu       {}, {} threads", host_target().cpu, threads_of({Backend::cpu})));
  for (const DeviceInfo& d : gpus.devices)
    print_line(fmt::format("cuda      {}, {}, {} multiprocessors, {:.1f} GiB, driver {}{}", d.name, d.sm,
                           d.target.multiprocessors, static_cast<double>(d.memory_bytes) / (1 << 30), d.driver,
                           d.ordinal == 0 ? "" : " (weft uses the first; CUDA_VISIBLE_DEVICES says which that is)"));
  if (gpus.devices.empty()) print_line("cuda      none: " + gpus.why_none);
  print_line("emulator  " + describe({Backend::emulator}));
}

}  // namespace

void add_devices(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  auto* command = app.add_subcommand("devices", "List what there is to run on, and why there is no GPU");
  command->add_flag("--json", *json, "print one JSON object instead of text");
  command->callback([json] { devices(*json); });
}

}  // namespace weft::tools

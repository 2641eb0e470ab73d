// `weft dump`: the training step of a reference model at any stage of its compilation.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/support/emit.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kSamples = 60000;  // rows of the resident data set, as MNIST has

struct Options {
  std::string model;
  EmitOptions emit;
  ScheduleOptions schedules;
};

void dump(const Options& o) {
  o.emit.check();
  const BuiltinModel& builtin = builtin_model(o.model);
  Model model = builtin.make(0, train_options());
  const auto [x, y] = builtin.types(kSamples);
  const Executable step = model.training_step({x}, {y}, builtin.batch);
  const auto schedules = o.schedules.read(o.emit.machine().host);
  PipelineOptions options;
  options.schedules = schedules.get();
  options.numerics = o.emit.machine().device.numerics;
  write_text(o.emit.output, emit(Compilation(step.graph(builtin.batch), o.emit.machine(), options), o.emit));
}

}  // namespace

void add_dump(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("dump", "Print the training step of a reference model at a stage of its compilation");
  command->add_option("MODEL", o->model, "mlp, cnn, lstm, vit or gpt")->required();
  o->emit.add_to(*command);
  o->schedules.add_to(*command);
  command->callback([o] { dump(*o); });
}

}  // namespace weft::tools

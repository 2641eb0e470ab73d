// `weft dump`: the training step of a reference model at any stage of its compilation.
#include <CLI/CLI.hpp>
#include <memory>

#include "tools/commands.h"
#include "tools/support/emit.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kBatchSize = 128;
constexpr std::int64_t kSamples = 60000;  // rows of the resident data set, as MNIST has

struct Options {
  std::string model;
  EmitOptions emit;
  ScheduleOptions schedules;
};

void dump(const Options& o) {
  o.emit.check();
  Model model = builtin_model(o.model).make(0, train_options());
  const Executable step = model.training_step({{u8, {kSamples, 784}}}, {{i32, {kSamples}}}, kBatchSize);
  const auto schedules = o.schedules.read(o.emit.machine().host);
  PipelineOptions options;
  options.schedules = schedules.get();
  options.numerics = o.emit.machine().device.numerics;
  write_text(o.emit.output, emit(Compilation(step.graph(kBatchSize), o.emit.machine(), options), o.emit));
}

}  // namespace

void add_dump(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command =
      app.add_subcommand("dump", "Print the training step of a reference model at a stage of its compilation");
  command->add_option("MODEL", o->model, "mlp, cnn, lstm or vit")->required();
  o->emit.add_to(*command);
  o->schedules.add_to(*command);
  command->callback([o] { dump(*o); });
}

}  // namespace weft::tools

// `weft train`: trains a reference model as its Keras original is trained, and scores it on the test set.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "compiler/compilation.h"
#include "frontend/train/interrupt.h"
#include "tools/commands.h"
#include "tools/support/io.h"
#include "tools/support/options.h"

namespace weft::tools {
namespace {

struct Options {
  std::string data_set, model = "mlp", data_dir, save;
  DeviceOptions device;
  ScheduleOptions schedules;
  int epochs = 10;
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  bool json = false;
};

constexpr int kSignalExit = 128;  // the exit code of what a signal ended, as shells count it

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void train(const Options& o) {
  if (o.data_set != "mnist") {
    const bool is_model = std::ranges::any_of(builtin_models(), [&](const auto& m) { return m.name == o.data_set; });
    fail("train: expected the data set mnist, found '{0}'{1}", o.data_set,
         is_model ? fmt::format("; a model is an option: weft train mnist --model {}", o.data_set) : "");
  }
  const Placement place = o.device.place();
  const BuiltinModel& builtin = builtin_model(o.model);
  Model model = builtin.make(o.seed, train_options(place, o.schedules));
  if (!o.save.empty()) model.check_save(o.save);  // now, not after the last epoch
  const data::Mnist mnist = data::mnist({.dir = o.data_dir});
  if (!o.json) {
    print_line(fmt::format("model: {} ({})\ndata: {}", builtin.name, builtin.about, mnist.source));
    model.summary();
  }
  std::optional<InterruptGuard> interrupt(std::in_place);  // until the model is saved
  const History history = model.fit(mnist.train, {.batch_size = o.batch_size,
                                                  .epochs = o.epochs,
                                                  .validation_split = 0.2,
                                                  .seed = o.seed,
                                                  .verbose = o.json ? 0 : 1});
  if (!o.save.empty()) model.save(o.save);
  const int signal = interrupt->signal();
  interrupt.reset();
  if (o.json && !history.stop_reason.empty()) say(fmt::format("weft: stopped: {}\n", history.stop_reason));
  if (history.epochs() == 0) {
    if (signal) throw CLI::RuntimeError(kSignalExit + signal);
    fail("stopped before the first epoch ended: {}", history.stop_reason);
  }
  const Scores scores = model.evaluate(mnist.test);

  const double step_ms = median(history.step_ms), epoch_s = median(history.seconds);
  if (o.json) {
    nlohmann::ordered_json line;
    line["model"] = builtin.name;
    line["device"] = name(place.backend);
    if (place.backend == Backend::cpu) line["cpu"] = machine_of(place).host.cpu;
    line["data"] = mnist.source;
    line["epochs"] = history.epochs();
    line["compile_s"] = history.compile_seconds;
    line["step_ms"] = step_ms;
    line["epoch_s"] = epoch_s;
    line["train_loss"] = history["loss"].back();
    line["val_accuracy"] = history["val_accuracy"].back();
    line["test_accuracy"] = scores["accuracy"];
    print_line(line.dump());
  } else {
    print_line(fmt::format("test {}", scores));
    print_line(fmt::format("compiled in {:.2f} s; {:.2f} s an epoch, {:.3f} ms a step on {}", history.compile_seconds,
                           epoch_s, step_ms, place_name(place)));
    if (!o.save.empty()) print_line("saved " + o.save);
  }
  if (signal) throw CLI::RuntimeError(kSignalExit + signal);
}

}  // namespace

void add_train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("train", "Train a reference model and score it on the test set");
  command->add_option("DATASET", o->data_set, "mnist")->required();
  command->add_option("--model", o->model, "mlp, cnn, lstm or vit")->capture_default_str();
  command->add_option("--data", o->data_dir,
                      "where MNIST's files are (default: WEFT_DATA, then ./data, else embedded digits)");
  o->device.add_to(*command);
  o->schedules.add_to(*command);
  command->add_option("--epochs", o->epochs)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  command->add_option("--batch-size", o->batch_size)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  command->add_option("--seed", o->seed, "of the weights and of the order of samples")->capture_default_str();
  command->add_option("--save", o->save, "write weights and optimiser state to this .safetensors file");
  command->add_flag("--json", o->json, "print one JSON object instead of text");
  command->callback([o] { train(*o); });
}

}  // namespace weft::tools

// `weft train`: trains a reference model as its Keras original is trained, and scores it on the test set; or a Gpt on a
// text, and scores it on the end of that.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>

#include "compiler/compilation.h"
#include "frontend/train/interrupt.h"
#include "ir/base/memory_limit.h"
#include "tools/commands.h"
#include "tools/support/io.h"
#include "tools/support/options.h"
#include "tools/support/text_model.h"

namespace weft::tools {
namespace {

struct Options {
  std::string data_set, model = "mlp", data, save;
  DeviceOptions device;
  ScheduleOptions schedules;
  GptOptions gpt;
  int epochs = 10;
  std::int64_t batch_size = 0;  // 0: the model's
  std::uint64_t seed = 0;
  bool json = false;
};

constexpr double kHeldOut = 0.1;             // of a text, for validation
constexpr std::int64_t kSampleLength = 300;  // characters that a model of a text shows of itself

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// What fit() did, and the signal that ended it.
struct Trained {
  History history;
  int signal = 0;
};

/// Trains and saves. Error, or the exit of a signal, when no epoch ended.
template <class Save>
Trained train_and_save(const Options& o, Model& model, const Dataset& data, const FitOptions& fit, const Save& save) {
  std::optional<InterruptGuard> interrupt(std::in_place);  // until the model is saved
  Trained done{model.fit(data, fit)};
  if (!o.save.empty()) save();
  done.signal = interrupt->signal();
  interrupt.reset();
  if (o.json && !done.history.stop_reason.empty()) say(fmt::format("weft: stopped: {}\n", done.history.stop_reason));
  if (done.history.epochs() == 0) {
    if (done.signal) throw CLI::RuntimeError(kSignalExit + done.signal);
    fail("stopped before the first epoch ended: {}", done.history.stop_reason);
  }
  return done;
}

/// The scores, as text or as one object with `line` in front, and how long it all took.
void report(const Options& o, const Placement& place, const History& history, nlohmann::ordered_json line,
            const nlohmann::ordered_json& scores, const std::string& text) {
  const double step_ms = median(history.step_ms), epoch_s = median(history.seconds);
  if (o.json) {
    line["compile_s"] = history.compile_seconds;
    line["step_ms"] = step_ms;
    line["epoch_s"] = epoch_s;
    line["train_loss"] = history["loss"].back();
    line.update(scores);
    print_line(line.dump());
    return;
  }
  print_line(text);
  print_line(fmt::format("compiled in {:.2f} s; {:.2f} s an epoch, {:.3f} ms a step on {}", history.compile_seconds,
                         epoch_s, step_ms, place_name(place)));
  if (!o.save.empty()) print_line("saved " + o.save);
}

/// What a report in JSON begins with.
nlohmann::ordered_json head(std::string_view model, const Placement& place, const std::string& source,
                            const History& history) {
  nlohmann::ordered_json line{{"model", model}, {"device", name(place.backend)}};
  if (place.backend == Backend::cpu) line["cpu"] = machine_of(place).host.cpu;
  line["data"] = source;
  line["epochs"] = history.epochs();
  return line;
}

FitOptions fit_options(const Options& o, std::int64_t batch_size) {
  return {.batch_size = o.batch_size > 0 ? o.batch_size : batch_size,
          .epochs = o.epochs,
          .seed = o.seed,
          .verbose = o.json ? 0 : 1};
}

void train_mnist(const Options& o) {
  const Placement place = o.device.place();
  const BuiltinModel& builtin = builtin_model(o.model);
  if (builtin.window > 0) fail("--model {0}: it is trained on a text: weft train {0} --data FILE", builtin.name);
  Model model = builtin.make(o.seed, train_options(place, o.schedules));
  if (!o.save.empty()) model.check_save(o.save);  // now, not after the last epoch
  const data::Mnist mnist = data::mnist({.dir = o.data});
  if (!o.json) {
    print_line(fmt::format("model: {} ({})\ndata: {}", builtin.name, builtin.about, mnist.source));
    model.summary();
  }
  FitOptions fit = fit_options(o, builtin.batch);
  fit.validation_split = 0.2;
  const auto [history, signal] = train_and_save(o, model, mnist.train, fit, [&] { model.save(o.save); });
  const Scores scores = model.evaluate(mnist.test);
  report(o, place, history, head(builtin.name, place, mnist.source, history),
         {{"val_accuracy", history["val_accuracy"].back()}, {"test_accuracy", scores["accuracy"]}},
         fmt::format("test {}", scores));
  if (signal) throw CLI::RuntimeError(kSignalExit + signal);
}

/// What the model writes by itself.
std::string continued(const TextModel& text) {
  Continuation continuation(text.net);
  continuation.read(text.characters.encode(first_of(text.characters)).as<std::int32_t>());
  std::vector<std::int32_t> made;
  while (std::ssize(made) < kSampleLength) made.push_back(continuation.next());
  return text.characters.decode(made);
}

void train_gpt(const Options& o) {
  if (o.data.empty()) fail("train gpt: there is no text; expected --data FILE");
  if (o.gpt.width % o.gpt.heads != 0)
    fail("train gpt: a width of {} for {} heads; expected a multiple", o.gpt.width, o.gpt.heads);
  const double width = static_cast<double>(o.gpt.width), layers = static_cast<double>(o.gpt.layers);
  const double parameters = layers * 12 * width * width + static_cast<double>(o.gpt.context) * width;
  constexpr double kBytes = 4 * sizeof(float);  // of a parameter: itself, its gradient, Adam's moments
  check_memory(static_cast<std::int64_t>(kBytes * parameters),
               fmt::format("train gpt: a model of {:.3g} parameters with its optimiser", parameters));
  const Placement place = o.device.place();
  const std::string text = read_text(o.data);
  const std::string file = display_name(o.data);
  const data::Characters characters = about(file, [&] { return data::Characters(text); });
  const Dataset all = about(file, [&] { return data::next_token_windows(characters.encode(text), o.gpt.context); });
  TextModel made = make_text_model(characters, o.gpt, o.seed);
  made.model.compile(train_options(place, o.schedules));
  if (!o.save.empty()) made.model.check_save(o.save);
  const auto held_out = static_cast<std::int64_t>(static_cast<double>(all.size()) * kHeldOut);
  const std::int64_t trained = all.size() - std::max<std::int64_t>(1, held_out);
  FitOptions fit = fit_options(o, builtin_model("gpt").batch);
  if (trained < fit.batch_size)
    fail("{}: {} characters are {} of {}, of which {} are for validation; expected a batch of {} besides",
         display_name(o.data), text.size(), counted(all.size(), "window"), o.gpt.context, all.size() - trained,
         fit.batch_size);
  fit.validation_data = all.rows(trained, all.size());
  if (!o.json) {
    print_line(
        fmt::format("model: gpt ({} layers of {} heads, width {}, context {})\ndata: {}: {} different characters",
                    o.gpt.layers, o.gpt.heads, o.gpt.width, o.gpt.context, display_name(o.data), characters.size()));
    made.model.summary();
  }
  const auto [history, signal] =
      train_and_save(o, made.model, all.rows(0, trained), fit, [&] { save_text_model(o.save, made); });
  const double loss = history["val_loss"].back();
  report(o, place, history, head("gpt", place, o.data, history),
         {{"val_loss", loss}, {"val_accuracy", history["val_accuracy"].back()}},
         fmt::format("{}\n\nheld-out loss {:.4f} ({:.3f} bits a character)", continued(made), loss,
                     loss / std::numbers::ln2));
  if (signal) throw CLI::RuntimeError(kSignalExit + signal);
}

void train(const Options& o) {
  if (o.data_set == "mnist") return train_mnist(o);
  if (o.data_set == "gpt") return train_gpt(o);
  const bool is_model = std::ranges::any_of(builtin_models(), [&](const auto& m) { return m.name == o.data_set; });
  fail("train: expected mnist or gpt, found '{0}'{1}", o.data_set,
       is_model ? fmt::format("; a model is an option: weft train mnist --model {}", o.data_set) : "");
}

}  // namespace

void add_train(CLI::App& app) {
  auto o = std::make_shared<Options>();
  auto* command = app.add_subcommand("train", "Train a reference model and score it on data that it has not seen");
  command->add_option("WHAT", o->data_set, "mnist, or gpt: a model of a text")->required();
  command->add_option("--model", o->model, "of mnist: mlp, cnn, lstm or vit")->capture_default_str();
  command->add_option(
      "--data", o->data,
      "where MNIST's files are (default: WEFT_DATA, then ./data, else embedded digits); of gpt the text");
  o->device.add_to(*command);
  o->schedules.add_to(*command);
  command->add_option("--epochs", o->epochs)->capture_default_str()->check(CLI::Range(1, 1 << 20));
  command->add_option("--batch-size", o->batch_size, "samples of a step (default: 128; of gpt 32)")
      ->check(CLI::Range(1, 1 << 20));
  for (const auto& [option, value, about] :
       {std::tuple{"--context", &o->gpt.context, "of gpt: characters that it sees"},
        std::tuple{"--layers", &o->gpt.layers, "of gpt: its blocks"},
        std::tuple{"--heads", &o->gpt.heads, "of gpt: of a block"},
        std::tuple{"--width", &o->gpt.width, "of gpt: numbers that stand for a character"}})
    command->add_option(option, *value, about)
        ->capture_default_str()
        ->check(CLI::Range(1, std::string_view(option) == "--layers" ? 1 << 8 : 1 << 14));
  command->add_option("--seed", o->seed, "of the weights and of the order of samples")->capture_default_str();
  command->add_option("--save", o->save, "write weights and optimiser state to this .safetensors file");
  command->add_flag("--json", o->json, "print one JSON object instead of text");
  command->callback([o] { train(*o); });
}

}  // namespace weft::tools

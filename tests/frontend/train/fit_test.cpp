// fit(): batches, splits, order, history, interruption, callbacks, progress, and every message about bad data.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "frontend/train/progress.h"
#include "line.h"

using namespace weft;
using namespace weft::test;

namespace {

/// SGD on Line in double precision, over the given batches: returns the sample-weighted loss of the epoch.
double reference_epoch(double& w, double& b, const Line& line, const std::vector<std::vector<int>>& batches,
                       double rate) {
  double total = 0;
  std::size_t samples = 0;
  for (const auto& batch : batches) {
    double loss = 0, gw = 0, gb = 0;
    const auto n = static_cast<double>(batch.size());
    for (int k : batch) {
      const double x = line.xs.at(k), e = w * x + b - line.ys.at(k);
      loss += e * e / n, gw += 2 * e * x / n, gb += 2 * e / n;
    }
    w -= rate * gw, b -= rate * gb;
    total += loss * n, samples += batch.size();
  }
  return total / static_cast<double>(samples);
}

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("weft_fit_test_" + name)).string();
}

std::string contents(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// As AtStep, at the end of each epoch.
struct AtEpoch {
  std::function<void(FitRun&)> act;
  void on_epoch_end(FitRun& run) { act(run); }
};

}  // namespace

TEST_CASE("the last batch is a smaller one, and the epoch's loss weighs it by its samples") {
  Line line(10);
  const History h = line.fit({.batch_size = 4, .epochs = 2, .shuffle = false});
  double w = 0, b = 0;
  for (double loss : h["loss"])
    REQUIRE(loss == Approx(reference_epoch(w, b, line, {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}}, 0.1)).epsilon(1e-5));
  REQUIRE(line.model.parameters()[0].value().at(0) == Approx(w).epsilon(1e-5));
  REQUIRE(line.model.parameters()[1].value().at(0) == Approx(b).epsilon(1e-5));
  REQUIRE(h.epochs() == 2);
  REQUIRE(h.step_ms.size() == 2);
  REQUIRE(h.compile_seconds > 0);
  REQUIRE(h.stop_reason.empty());
}

TEST_CASE("the validation split is the last fraction, and is not trained on") {
  Line line(10, SGD{0.1}, {mean_absolute_error});
  const History h = line.fit({.batch_size = 8, .epochs = 1, .validation_split = 0.2, .shuffle = false});
  double w = 0, b = 0;
  REQUIRE(h["loss"][0] == Approx(reference_epoch(w, b, line, {{0, 1, 2, 3, 4, 5, 6, 7}}, 0.1)).epsilon(1e-5));
  const Scores tail = line.model.evaluate(line.xs.rows(8, 10), line.ys.rows(8, 10));
  REQUIRE(h["val_loss"][0] == tail.loss);
  REQUIRE(h["val_mean_absolute_error"][0] == tail["mean_absolute_error"]);
  REQUIRE(h["learning_rate"][0] == Approx(0.1));

  Line other(10);
  const History given = other.fit(
      {.batch_size = 10, .epochs = 1, .validation_data = Dataset{line.xs.rows(0, 3), line.ys.rows(0, 3), ""}});
  REQUIRE(given["val_loss"][0] == other.model.evaluate(line.xs.rows(0, 3), line.ys.rows(0, 3)).loss);
}

TEST_CASE("shuffling depends on the seed and the epoch alone") {
  auto losses = [](std::uint64_t seed, bool shuffle) {
    Line line(20);
    std::vector<double> all;
    line.fit({.batch_size = 3, .epochs = 2, .shuffle = shuffle, .seed = seed, .callbacks = {AtStep{[&](FitRun& r) {
                                                                                all.push_back(r.loss);
                                                                              }}}});
    return all;
  };
  const auto a = losses(1, true);
  REQUIRE(a.size() == 14);
  REQUIRE(a == losses(1, true));
  REQUIRE(a != losses(2, true));
  REQUIRE(a != losses(1, false));
  REQUIRE(losses(1, false) == losses(2, false));
}

TEST_CASE("callbacks are called in order, and can stop a run") {
  struct Recorder {
    std::string* log;
    void on_train_begin(FitRun& r) { *log += fmt::format("train {} {};", r.epochs, r.batches); }
    void on_epoch_begin(FitRun& r) { *log += fmt::format("epoch {};", r.epoch); }
    void on_step_end(FitRun& r) {
      *log += fmt::format("step {} {};", r.step, r.batch);
      if (r.step == 3) r.stop("enough");
    }
    void on_epoch_end(FitRun& r) { *log += fmt::format("end {} {};", r.epoch, r.logs.size()); }
    void on_train_end(FitRun& r) { *log += "over " + r.stop_reason; }
  };
  Line line(8);
  std::string log;
  const History h = line.fit({.batch_size = 4, .epochs = 5, .callbacks = {Recorder{&log}}});
  REQUIRE(log == "train 5 2;epoch 0;step 1 0;step 2 1;end 0 2;epoch 1;step 3 0;over enough");
  REQUIRE(h.stop_reason == "enough");
  REQUIRE(h.epochs() == 1);
}

TEST_CASE("EarlyStopping waits, stops and puts the best weights back") {
  Line line(8, SGD{0.1});
  std::map<std::string, Array> best;
  // The rate explodes in the fourth epoch, so the third is the best.
  const History h =
      line.fit({.batch_size = 8,
                .epochs = 20,
                .callbacks = {LearningRate{RateSchedule([](std::int64_t e) { return e < 3 ? 0.1 : 30.0; })},
                              AtEpoch{[&](FitRun& r) {
                                if (r.epoch == 2) best = r.model.weights();
                              }},
                              EarlyStopping{.monitor = "loss", .patience = 2, .restore_best = true}}});
  REQUIRE(h.epochs() == 6);  // epoch 4 still reports the loss before its step
  REQUIRE(h.stop_reason ==
          "loss has not improved for 2 epochs; the best was " + fmt::format("{:.4f}", h["loss"][3]) + " in epoch 4");
  REQUIRE(h["learning_rate"][0] == Approx(0.1));
  REQUIRE(h["learning_rate"][4] == Approx(30));
  Line plain(8);
  const History p = plain.fit(
      {.batch_size = 8, .epochs = 5, .callbacks = {EarlyStopping{.monitor = "loss", .patience = 1, .min_delta = 10}}});
  REQUIRE(p.epochs() == 2);
  require_reported({FAILS(plain.fit({.batch_size = 8, .callbacks = {EarlyStopping{}}}),
                          "EarlyStopping: there is no 'val_loss' to monitor; there are learning_rate, loss (set "
                          "validation_split or validation_data)")});
}

TEST_CASE("BestCheckpoint saves when the monitored value improves") {
  Line line(8);
  const std::string path = temporary("best.safetensors");
  std::map<std::string, Array> first;
  line.fit({.batch_size = 8,
            .epochs = 3,
            .callbacks = {LearningRate{RateSchedule([](std::int64_t e) { return e == 0 ? 0.1 : 50.0; })},
                          AtEpoch{[&](FitRun& r) {
                            if (r.epoch == 1) first = r.model.weights();
                          }},
                          BestCheckpoint{.path = path, .monitor = "loss"}}});
  Line loaded(8);
  loaded.model.load(path);
  for (const auto& [name, value] : loaded.model.weights()) REQUIRE(value.same_bits(first.at(name)));
  // The least improvement counts.
  Line slow(8, SGD{1e-5});
  const History h =
      slow.fit({.batch_size = 8, .epochs = 3, .callbacks = {BestCheckpoint{.path = path, .monitor = "loss"}}});
  REQUIRE(h["loss"][2] < h["loss"][1]);
  REQUIRE(h["loss"][1] - h["loss"][2] < 1e-3);
  loaded.model.load(path);
  for (const auto& [name, value] : loaded.model.weights()) REQUIRE(value.same_bits(slow.model.weights().at(name)));
  std::filesystem::remove(path);
}

TEST_CASE("CsvLog writes a header and one line an epoch") {
  Line line(8);
  const std::string path = temporary("log.csv");
  const History h = line.fit({.batch_size = 8, .epochs = 2, .callbacks = {CsvLog{path}}});
  REQUIRE(contents(path) == fmt::format("epoch,learning_rate,loss\n0,{},{}\n1,{},{}\n", h["learning_rate"][0],
                                        h["loss"][0], h["learning_rate"][1], h["loss"][1]));
  line.fit({.batch_size = 8, .epochs = 1, .callbacks = {CsvLog{.path = path, .append = true}}});
  std::istringstream text(contents(path));
  std::string s;
  int lines = 0, headers = 0;
  while (std::getline(text, s)) ++lines, headers += s.starts_with("epoch");
  REQUIRE(lines == 4);
  REQUIRE(headers == 1);
  // A run that goes on from a file counts on, and one of a model that is compiled anew begins again.
  const std::string saved = temporary("logged.safetensors");
  line.model.save(saved);
  Line resumed(8);
  resumed.model.load(saved);
  resumed.fit({.batch_size = 8, .epochs = 2, .callbacks = {CsvLog{.path = path, .append = true}}});
  resumed.model.compile({.optimizer = SGD{0.1}, .loss = mse});
  resumed.fit({.batch_size = 8, .callbacks = {CsvLog{.path = path, .append = true}}});
  std::string epochs;
  std::istringstream all(contents(path));
  while (std::getline(all, s)) epochs += s.substr(0, s.find(',')) + " ";
  REQUIRE(epochs == "epoch 0 1 2 3 4 0 ");
  std::filesystem::remove(saved);
  std::filesystem::remove(path);
  require_reported({FAILS(line.fit({.batch_size = 8, .callbacks = {CsvLog{"/no/such/folder/log.csv"}}}),
                          "CsvLog: cannot write '/no/such/folder/log.csv': No such file or directory")});
}

TEST_CASE("the optimiser's schedule and a callback set the rate without compiling anew") {
  Line line(8, SGD{step_decay(0.1, 0.5, 2)});
  std::vector<double> rates;
  const History h = line.fit(
      {.batch_size = 2, .epochs = 1, .callbacks = {AtStep{[&](FitRun& r) { rates.push_back(r.learning_rate()); }}}});
  REQUIRE(rates == std::vector<double>{0.1, 0.05, 0.05, 0.025});  // of the step to come
  const double compiled = line.model.compile_seconds();
  line.model.set_learning_rate(0.7);
  REQUIRE(line.fit({.batch_size = 2})["learning_rate"][0] == Approx(0.7));
  REQUIRE(line.model.compile_seconds() == compiled);
  // Plain SGD with rate 0 changes nothing.
  const auto before = line.model.weights();
  line.model.set_learning_rate(0);
  line.fit({.batch_size = 2});
  for (const auto& [name, value] : line.model.weights()) REQUIRE(value.same_bits(before.at(name)));
}

TEST_CASE("what asks a process to end stops fit(), however often, unless the program ignores or handles it") {
  const struct {
    int signal;
    const char* reason;  // by default
    bool ours;           // fit() catches it even where the program has a handler
  } rows[] = {{SIGINT, "interrupted", true},
              {SIGTERM, "interrupted by SIGTERM", false},
              {SIGHUP, "interrupted by SIGHUP", false}};
  static int handled = 0;
  for (const auto& row : rows) {
    CAPTURE(row.signal);
    const auto run = [&](void (*handler)(int), int times) {
      Line line(12);
      std::signal(row.signal, handler);
      handled = 0;
      int steps = 0;
      const History h = line.fit({.batch_size = 4, .epochs = 2, .callbacks = {AtStep{[&](FitRun& r) {
                                                                  ++steps;
                                                                  for (int i = 0; r.step == 2 && i < times; ++i)
                                                                    std::raise(row.signal);
                                                                }}}});
      REQUIRE((steps == 2) == !h.stop_reason.empty());
      struct sigaction now {};
      sigaction(row.signal, nullptr, &now);
      REQUIRE(now.sa_handler == handler);
      std::signal(row.signal, SIG_DFL);
      return h.stop_reason;
    };
    REQUIRE(run(SIG_DFL, 1) == row.reason);
    REQUIRE(run(SIG_DFL, 2) == row.reason);
    REQUIRE(run(SIG_IGN, 3) == "");
    REQUIRE(run([](int) { ++handled; }, 2) == (row.ours ? row.reason : ""));
    REQUIRE(handled == (row.ours ? 0 : 2));
  }
}

TEST_CASE("BestCheckpoint to a place that cannot be written fails before the first step") {
  Line line(12);
  int steps = 0;
  const std::vector<Callback> callbacks = {BestCheckpoint{.path = "/no/such/folder/x", .monitor = "loss"},
                                           AtStep{[&](FitRun&) { ++steps; }}};
  require_reported({FAILS(line.fit({.batch_size = 4, .callbacks = callbacks}),
                          "cannot write '/no/such/folder/x': No such file or directory")});
  REQUIRE(steps == 0);
}

TEST_CASE("Ctrl-C stops after the step, keeps the weights, and the next fit goes on with the rest of the epoch") {
  static int outer = 0;
  std::signal(SIGINT, [](int) { ++outer; });
  Line straight(12), broken(12);
  const FitOptions o{.batch_size = 4, .epochs = 2, .seed = 4};
  straight.fit(o);
  FitOptions with_signal = o;
  with_signal.callbacks = {AtStep{[](FitRun& r) {
    if (r.step == 2) std::raise(SIGINT);
  }}};
  const History h = broken.fit(with_signal);
  REQUIRE(h.stop_reason == "interrupted");
  REQUIRE(h.epochs() == 0);
  REQUIRE(outer == 0);
  broken.fit(o);  // the third batch of epoch 1, then epoch 2
  for (const auto& [name, value] : broken.model.weights()) REQUIRE(value.same_bits(straight.model.weights().at(name)));
  std::raise(SIGINT);
  REQUIRE(outer == 1);  // the handler of before is back
  std::signal(SIGINT, SIG_DFL);
}

TEST_CASE("an epoch in one call is the same as step by step") {
  const Optimizer optimizers[] = {SGD{.learning_rate = warm_up(3, 0.1), .momentum = 0.9},
                                  Adam{step_decay(0.01, 0.5, 2)}, AdamW{cosine_decay(0.02, 9)}};
  // 19 samples to train on, in three batches of 5 and one of 4. Dropout counts its steps in a state.
  Array xs(Type{f32, {22, 6}}), ys(Type{i32, {22}});
  for (std::int64_t k = 0; k < xs.size(); ++k)
    xs.as<float>()[static_cast<std::size_t>(k)] = std::sin(0.7f * static_cast<float>(k));
  for (std::int64_t k = 0; k < ys.size(); ++k)
    ys.as<std::int32_t>()[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k % 3);
  for (const Backend backend : {Backend::cpu, Backend::interpreter, Backend::emulator})
    for (const int threads : {1, 2, 3})
      for (const Optimizer& optimizer : optimizers) {
        if (backend != Backend::cpu && threads > 1) continue;
        auto train = [&](std::vector<Callback> callbacks, std::string* log) {
          GraphScope graph;
          set_seed(1);
          const Tensor x = input(f32, {6}, "x");
          Model model(x, Dense(3)(Dropout(0.3)(Dense(40, relu)(x))));
          model.compile({.optimizer = optimizer,
                         .loss = softmax_cross_entropy,
                         .metrics = {accuracy, confusion_matrix(3)},
                         .backend = backend,
                         .threads = threads});
          callbacks.push_back(AtEpoch{[log](FitRun& r) {
            *log += fmt::format("{} {} {} {} {};", r.epoch, r.step, r.batch, r.loss, r.learning_rate());
            if (r.epoch == 1) r.set_learning_rate(0.003);
          }});
          History h = model.fit(
              xs, ys, {.batch_size = 5, .epochs = 4, .validation_split = 0.1, .callbacks = callbacks, .verbose = 0});
          return std::pair{std::move(h), model.weights()};
        };
        std::string whole_log, single_log;
        const auto [whole, whole_weights] = train({}, &whole_log);
        int steps = 0;
        const auto [single, single_weights] = train({AtStep{[&](FitRun&) { ++steps; }}}, &single_log);
        REQUIRE(steps == 4 * 4);
        REQUIRE(whole.values == single.values);
        REQUIRE(whole_log == single_log);
        for (const auto& [name, value] : whole_weights) REQUIRE(value.same_bits(single_weights.at(name)));
      }
}

TEST_CASE("Ctrl-C ends a call of many steps within its step, and training goes on from there") {
  constexpr std::int64_t kSamples = 60'000;
  Line straight(kSamples), broken(kSamples);
  const FitOptions o{.batch_size = 1, .epochs = 8, .seed = 4};
  straight.fit(o);
  struct Signal {  // 5 ms into the training
    std::chrono::steady_clock::time_point* sent;
    std::thread* sender;
    void on_train_begin(FitRun&) {
      *sender = std::thread([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        *sent = std::chrono::steady_clock::now();
        kill(getpid(), SIGINT);
      });
    }
  };
  std::chrono::steady_clock::time_point sent;
  std::thread sender;
  FitOptions with_signal = o;
  with_signal.callbacks = {Signal{&sent, &sender}};
  const History h = broken.fit(with_signal);
  const auto end = std::chrono::steady_clock::now();
  sender.join();
  REQUIRE(h.stop_reason == "interrupted");
  REQUIRE(end - sent < std::chrono::seconds(2));  // a machine that does much else
  broken.model.save(temporary("interrupted.safetensors"));
  Line resumed(kSamples);
  resumed.model.load(temporary("interrupted.safetensors"));
  std::filesystem::remove(temporary("interrupted.safetensors"));
  FitOptions left = o;  // the epoch that was broken off counts
  left.epochs -= h.epochs();
  resumed.fit(left);
  for (const auto& [name, value] : resumed.model.weights()) REQUIRE(value.same_bits(straight.model.weights().at(name)));
}

TEST_CASE("bad data and options are refused before anything is compiled") {
  Line line(6);
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x");
  Model classifier(x, Dense(3)(x));
  classifier.compile({.loss = softmax_cross_entropy});
  const Tensor z = input(f32, {2}, "z");
  Model binary(z, Dense(1, sigmoid)(z));
  binary.compile({.loss = binary_cross_entropy});
  const Array two = f({1, 2, 3, 4}, {2, 2});
  const Dataset empty{Array(Type{f32, {0, 2}}), Array(Type{i32, {0}}), ""};
  require_reported({
      FAILS(line.fit({.batch_size = 7}),
            "fit: batch_size 7 is larger than the 6 samples to train on; choose at most 6"),
      FAILS(line.fit({.batch_size = 6, .validation_split = 0.5}),
            "fit: batch_size 6 is larger than the 3 samples to train on"),
      FAILS(line.fit({.batch_size = 0}), "fit: batch_size is 0; expected at least 1"),
      FAILS(line.fit({.batch_size = 2, .epochs = 0}), "fit: epochs is 0; expected at least 1"),
      FAILS(line.fit({.batch_size = 2, .validation_split = 1}),
            "fit: validation_split is 1; expected 0 <= validation_split < 1"),
      FAILS(line.fit({.batch_size = 1, .validation_split = 0.99}),
            "fit: validation_split 0.99 of 6 samples leaves 0 to train on and 6 to validate with"),
      FAILS(line.fit({.batch_size = 1, .validation_split = 0.5, .validation_data = Dataset{}}),
            "both validation_split and validation_data are set"),
      FAILS(classifier.fit(empty, {.batch_size = 1}), "fit: the data set is empty; expected at least one sample"),
      FAILS(classifier.evaluate(empty), "evaluate: the data set is empty"),
      FAILS(classifier.fit(two, i({0}, {1}), {.batch_size = 1}),
            "fit: target 0 has 1 rows, the first array has 2; expected equal numbers of samples"),
      FAILS(classifier.fit(Array(), i({0}, {1}), {.batch_size = 1}),
            "fit: input 0 is a scalar; expected one row a sample"),
      FAILS(classifier.fit({two, two}, {i({0, 1}, {2})}, {.batch_size = 1}), "fit: 2 data arrays for 1 input;"),
      FAILS(classifier.fit({two}, {two, two}, {.batch_size = 1}), "fit: 2 targets for 1 output;"),
      FAILS(classifier.fit(two, i({0, 3}, {2}), {.batch_size = 1}), "fit: target 0", "3"),
      FAILS(classifier.evaluate(two, i({-1, 0}, {2})), "evaluate: target 0", "-1"),
      FAILS(classifier.evaluate(two, f({1, 0}, {2})), "evaluate: target 0"),
      FAILS(classifier.evaluate(two, i({1, 0}, {2}), 0), "evaluate: batch_size is 0"),
      FAILS(classifier.fit(two, i({0, 1}, {2}), {.batch_size = 1, .validation_data = Dataset{two, i({0, 5}, {2}), ""}}),
            "fit: validation data: target 0", "5"),
      FAILS(binary.fit(two, f({0, 2}, {2}), {.batch_size = 1}),
            "fit: the target of sample 1 is 2; the loss expects 0 or 1"),
      FAILS(classifier.fit(f({1, 2, 3}, {1, 3}), i({0}, {1}), {.batch_size = 1}),
            "input 'x' takes f32[?,2], the data has rows of f32[?,3]"),
      FAILS(line.fit({.batch_size = 6})["accuracy"], "the history has no 'accuracy'; it has learning_rate, loss"),
      FAILS(line.model.evaluate(line.xs, line.ys)["accuracy"], "there is no score 'accuracy'; there are loss"),
  });
}

TEST_CASE("progress: one line an epoch where there is no terminal") {
  Line line(8, SGD{0.1}, {mean_absolute_error});
  std::FILE* file = std::tmpfile();
  line.model.fit(line.xs, line.ys, {.batch_size = 4, .epochs = 2, .validation_split = 0.5, .log = file});
  line.model.fit(line.xs, line.ys, {.batch_size = 4, .verbose = 0, .log = file});
  std::rewind(file);
  char text[4096];
  const std::string out(text, std::fread(text, 1, sizeof text, file));
  std::fclose(file);
  require_parts(out, {"Epoch 1/2 - ", "ms/step - loss: ", " - mean_absolute_error: ", " - val_loss: ",
                      " - val_mean_absolute_error: ", "\n", "Epoch 2/2 - "});
  REQUIRE(std::count(out.begin(), out.end(), '\n') == 2);
  REQUIRE(format_logs({{"accuracy", 0.5}, {"loss", 2e-5}, {"val_loss", 1}, {"learning_rate", 1}}) ==
          "loss: 2.0000e-05 - accuracy: 0.5000 - val_loss: 1.0000");
  REQUIRE(fmt::format("{}", Scores{0.0712, {{"accuracy", 0.979}}, {}}) == "loss: 0.0712 - accuracy: 0.9790");
}

TEST_CASE("progress: a bar that is redrawn on a terminal") {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0) {
    WARN("there are no pseudo-terminals (is /dev/pts mounted?): no bar was drawn");
    return;
  }
  REQUIRE(grantpt(master) == 0);
  REQUIRE(unlockpt(master) == 0);
  std::FILE* terminal = std::fopen(ptsname(master), "w");
  REQUIRE(terminal != nullptr);
  Line line(8);
  line.model.fit(line.xs, line.ys,
                 {.batch_size = 1,
                  .epochs = 1,
                  .callbacks = {AtStep{[](FitRun& r) {
                    if (r.step == 4) std::this_thread::sleep_for(std::chrono::milliseconds(60));
                  }}},
                  .log = terminal});
  std::string out;
  char text[4096];
  fcntl(master, F_SETFL, O_NONBLOCK);
  for (ssize_t n; (n = read(master, text, sizeof text)) > 0;) out.append(text, static_cast<std::size_t>(n));
  std::fclose(terminal);
  close(master);
  require_parts(out, {"Epoch 1/1", "\r4/8 [==========>..........]",
                      "ms/step - loss: ", "\r8/8 [=====================] - ", "loss: "});
}

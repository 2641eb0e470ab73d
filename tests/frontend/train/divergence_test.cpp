// Training that goes wrong: losses that are no numbers, and rates that are none.
#include <filesystem>

#include "line.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("a diverging run says where and what to try; StopOnNaN ends it cleanly") {
  Line line(8, SGD{1e20});
  require_reported({FAILS(line.fit({.batch_size = 4, .epochs = 9}),
                          "fit: the loss is inf at step 2 of 2 in epoch 1: training has diverged",
                          "smaller learning rate (now 1e+20)", "clip_norm")});
  for (const auto& [name, value] : line.model.weights())
    for (const double v : doubles(value)) REQUIRE(std::isfinite(v));
  Line other(8, SGD{1e20});
  const History h = other.fit({.batch_size = 4, .epochs = 9, .callbacks = {StopOnNaN{}}});
  REQUIRE(h.stop_reason == "the loss is inf at step 2 of 2 in epoch 1");
  Line poisoned(4);
  poisoned.xs.as<float>()[2] = NAN;
  require_reported({FAILS(poisoned.fit({.batch_size = 4}),
                          "fit: the loss is nan at step 1 of 1 in epoch 1: input 0 is nan in row 2")});
}

TEST_CASE("a loss that is no number ends a call at its step") {
  // Finite, infinite, NaN: the epoch's other steps are not run.
  Line two(20, SGD{1e20}), single(20, SGD{1e20});
  FitOptions o{.batch_size = 4, .shuffle = false};
  o.callbacks = {StopOnNaN{}};
  REQUIRE(single.fit(o).stop_reason == "the loss is inf at step 2 of 5 in epoch 1");
  o.callbacks = {StopOnNaN{}, AtStep{[](FitRun& r) {
                   if (r.batch == 1) r.stop("enough");
                 }}};
  REQUIRE(two.fit(o).stop_reason == "enough");
  for (const auto& [name, value] : two.model.weights()) REQUIRE(value.same_bits(single.model.weights().at(name)));
}

TEST_CASE("a loss that is no number leaves the model as it was before the epoch, counters and optimiser included") {
  Line straight(8, Adam{0.1}), broken(8, Adam{0.1});
  const FitOptions o{.batch_size = 2, .epochs = 2, .seed = 3};
  straight.fit(o);
  broken.fit(o);
  const float good = broken.xs.as<float>()[6];
  for (const float bad : {NAN, HUGE_VALF}) {
    broken.xs.as<float>()[6] = bad;
    require_reported({FAILS(broken.fit(o), fmt::format("in epoch 1: input 0 is {} in row 6, element 0", bad),
                            "check_finite", "as it was before this epoch")});
  }
  FitOptions changes = o;
  changes.callbacks = {AtStep{[](FitRun& r) { r.set_learning_rate(0.7); }}};
  require_reported({FAILS(broken.fit(changes), "as it was before this epoch")});
  REQUIRE(broken.model.learning_rate() == straight.model.learning_rate());
  broken.xs.as<float>()[6] = good;
  broken.ys.as<float>()[5] = -HUGE_VALF;
  require_reported({FAILS(broken.fit(o), "in epoch 1: target 0 is -inf in row 5, element 0")});
  broken.ys.as<float>()[5] = straight.ys.as<float>()[5];
  const History a = straight.fit(o), b = broken.fit(o);
  REQUIRE(a.values == b.values);
  for (const auto& [name, value] : straight.model.weights()) REQUIRE(value.same_bits(broken.model.weights().at(name)));
}

TEST_CASE("a learning rate that is no finite number, or negative, is refused wherever it comes from") {
  for (const double bad : {-0.5, HUGE_VAL, double(NAN), 1e39}) {
    CAPTURE(bad);
    const std::string what = fmt::format("the learning rate is {}; expected a finite number, 0 or more", bad);
    Line line(8);
    require_reported({
        FAILS(line.model.set_learning_rate(bad), "set_learning_rate: " + what),
        FAILS(Line(8, SGD{bad}), what),
        FAILS(Line(8, SGD{[bad](std::int64_t step) { return step < 3 ? 0.1 : bad; }}).fit({.batch_size = 2}),
              "fit: step 3", what),
        FAILS(line.fit({.batch_size = 2, .callbacks = {LearningRate{[bad](std::int64_t) { return bad; }}}}), what),
    });
    line.fit({.batch_size = 2});
  }
}

TEST_CASE("validation data that makes the loss infinite or NaN is treated as training data is") {
  struct Row {
    float value;
    bool in_input;
    const char* what;
  };
  const Row rows[] = {
      {NAN, true, "the validation loss is nan in epoch 1: validation input 0 is nan in row 2, element 0"},
      {NAN, false, "the validation loss is nan in epoch 1: validation target 0 is nan in row 2"},
      {HUGE_VALF, true, "in epoch 1: validation input 0 is inf in row 2"},
      {3e38f, false, "the validation loss is inf in epoch 1: training has diverged"}};
  const std::string path = (std::filesystem::temp_directory_path() / "weft-unsaved.safetensors").string();
  for (const Row& row : rows) {
    Line line(8);
    Dataset bad{line.xs.clone(), line.ys.clone(), ""};
    (row.in_input ? bad.x : bad.y).as<float>()[2] = row.value;
    const auto before = line.model.weights();
    FitOptions o{.batch_size = 2, .epochs = 2, .validation_data = bad, .verbose = 0};
    require_reported(
        {MISTAKE(line.model.fit(line.xs, line.ys, o), ": fit: ", row.what, "is as it was before this epoch")});
    for (const auto& [name, value] : line.model.weights()) REQUIRE(value.same_bits(before.at(name)));
    // Handled: the epoch stays, and its end is the run's.
    o.callbacks = {StopOnNaN{}};
    const History h = line.model.fit(line.xs, line.ys, o);
    CHECK(h.epochs() == 1);
    CHECK(h.stop_reason.starts_with("the validation loss is "));
    // Of what is never saved somebody hears.
    o.callbacks = {StopOnNaN{}, BestCheckpoint{path}};
    require_reported({MISTAKE(line.model.fit(line.xs, line.ys, o), ": BestCheckpoint: nothing was saved to '", path,
                              "'val_loss' is ", "in epoch 1, and was no better before")});
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK_FALSE(std::isfinite(line.model.evaluate(bad).loss));
  }
  Line line(8);
  line.fit({.batch_size = 2, .validation_split = 0.25, .callbacks = {BestCheckpoint{path}}});
  CHECK(std::filesystem::remove(path));
}

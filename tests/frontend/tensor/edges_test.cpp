// Where a comparison decides: equal values, probabilities of 0 and 1, extents that only just do not fit, operands of
// two graphs.
#include <filesystem>

#include "support.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("a loss's operands are of one graph, and it is the loss that says so") {
  const Loss losses[] = {mse,
                         mae,
                         huber(),
                         softmax_cross_entropy,
                         sparse_cross_entropy,
                         categorical_cross_entropy,
                         categorical_cross_entropy_with_logits,
                         binary_cross_entropy,
                         binary_cross_entropy_with_logits};
  for (const Loss& loss : losses) {
    GraphScope one;
    const Tensor p = input(f32, {3}, "p");
    GraphScope two;
    const bool labels = loss.target() == Loss::labels;
    const Tensor t = labels ? input(i32, {}, "t") : input(f32, {3}, "t");
    require_reported({
        MISTAKE(loss(p, t), loss.name() + ": operands belong to different graphs"),
        MISTAKE(loss(p, Tensor()), loss.name() + ": operand 1 is an empty Tensor"),
        MISTAKE(loss(Tensor(), t), loss.name() + ": operand 0 is an empty Tensor"),
    });
  }
}

TEST_CASE("labels must be integers, one for each row of scores") {
  GraphScope graph;
  const Tensor p = placeholder(f32, {2, 3}, "p");
  for (const Loss& loss : {softmax_cross_entropy, sparse_cross_entropy})
    require_reported({
        MISTAKE(loss(p, placeholder(i32, {4})), loss.name() + ": expected scores [batch, classes] and integer labels"),
        MISTAKE(loss(p, placeholder(f32, {2})), loss.name() + ": expected scores [batch, classes] and integer labels"),
        MISTAKE(loss(p, placeholder(i32, {2, 2})), loss.name() + ": expected scores [batch, classes]"),
    });
}

TEST_CASE("probabilities are kept 1e-7 away from 0 and 1") {
  GraphScope graph;
  const Tensor p = input(f32, {2}, "p"), label = input(i32, {}, "label"), t = input(f32, {2}, "t");
  const double at0 = -std::log(1e-7f), at1 = -std::log(1 - 1e-7f);
  const Array certain = f({1, 0, 1, 0}, {2, 2}), labels = i({0, 1}, {2}), hot = f({1, 0, 0, 1}, {2, 2});
  auto require_kept = [&](const Tensor& loss, const std::vector<Array>& in, const std::vector<Tensor>& order) {
    const Array each = run(loss, in, order);
    REQUIRE(each.at(0) == Approx(at1).epsilon(0.2));
    REQUIRE(each.at(1) == Approx(at0).epsilon(1e-2));
  };
  require_kept(sparse_cross_entropy(p, label), {certain, labels}, {p, label});
  require_kept(categorical_cross_entropy(p, t), {certain, hot}, {p, t});
  require_kept(binary_cross_entropy(p, t), {certain, hot}, {p, t});
  // Rows that do not add up to 1 are divided by their sum.
  REQUIRE(run(categorical_cross_entropy(p, t), {f({0.2f, 0.2f}, {1, 2}), f({0, 1}, {1, 2})}, {p, t}).at(0) ==
          Approx(std::log(2)).epsilon(1e-5));
}

TEST_CASE("an equal value is no improvement, for EarlyStopping and BestCheckpoint") {
  for (const bool maximize : {false, true}) {
    GraphScope graph;
    const Tensor x = input(f32, {1}, "x");
    Model model(x, Dense(1, {}, {.weight_init = zeros()})(x));
    model.compile({.optimizer = SGD{0.0}, .loss = mse});  // the loss stays 1
    struct Removes {
      std::string path;
      void on_epoch_end(FitRun& run) { REQUIRE(std::filesystem::remove(path) == (run.epoch == 0)); }
    };
    const std::string path = (std::filesystem::temp_directory_path() / fmt::format("weft_edges_{}", maximize)).string();
    const History h = model.fit(f({0, 0}, {2, 1}), f({1, 1}, {2, 1}),
                                {.batch_size = 2,
                                 .epochs = 9,
                                 .callbacks = {BestCheckpoint{path, "loss", maximize}, Removes{path},
                                               EarlyStopping{.monitor = "loss", .patience = 3, .maximize = maximize}},
                                 .verbose = 0});
    REQUIRE(h.epochs() == 4);
    REQUIRE(h.stop_reason == "loss has not improved for 3 epochs; the best was 1.0000 in epoch 1");
  }
}

// What options may be: every number and count that an optimiser, a schedule, a loss, a metric, a layer, an initialiser
// or a training takes is checked where it is given.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double kNaN = NAN, kInf = HUGE_VAL;

/// What the numbers of a domain are not, and the words for those that are.
struct Outside {
  std::vector<double> values;
  const char* expected;
};
const Outside kFinite{{kNaN, -kNaN, kInf, -kInf, 1e39}, "; expected a finite value of f32"};
const Outside kNotNegative{{-1e-9, -3, kNaN, kInf, 1e39}, "; expected a finite number, 0 or more"};
const Outside kPositive{{0, -1, kNaN, kInf, 1e39}, "; expected a finite number above 0"};
const Outside kFraction{{-0.1, 1.1, -3, kNaN, kInf}, "; expected a number in [0, 1]"};
const Outside kBelowOne{{-0.1, 1, 2, kNaN, kInf}, "; expected a number in [0, 1)"};
const Outside kOne{{0, -1, -1000}, "; expected at least 1"};
const Outside kTwo{{1, 0, -7}, "; expected at least 2"};

struct Row {
  const char* option;  // "Adam: beta1 is "
  Outside outside;
  std::function<void(double)> give;
  std::string line = here();
};

std::int64_t count(double v) { return static_cast<std::int64_t>(v); }

void trained(const TrainOptions& o) {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  Model(x, Dense(1)(x)).compile(o);
}

}  // namespace

#define OPTION(name, domain, ...)                                      \
  Row {                                                                \
    name " is ", domain, [](double v) { (void)(__VA_ARGS__); }, here() \
  }

TEST_CASE(
    "an option outside of its domain is refused where it is given: its owner, its name, what was found, what was "
    "expected") {
  GraphScope graph;
  static const Tensor x = placeholder(f32, {2, 4}, "x");
  const Row rows[] = {
      OPTION("RateSchedule: the learning rate", kNotNegative, SGD{v}),
      OPTION("step_decay: the learning rate", kNotNegative, step_decay(v, 0.5, 3)),
      OPTION("step_decay: factor", kNotNegative, step_decay(1, v, 3)),
      OPTION("step_decay: every", kOne, step_decay(1, 0.5, count(v))),
      OPTION("exponential_decay: the learning rate", kNotNegative, exponential_decay(v, 0.5, 3)),
      OPTION("exponential_decay: factor", kNotNegative, exponential_decay(1, v, 3)),
      OPTION("exponential_decay: every", kOne, exponential_decay(1, 0.5, count(v))),
      OPTION("polynomial_decay: the learning rate", kNotNegative, polynomial_decay(v, 3)),
      OPTION("polynomial_decay: steps", kOne, polynomial_decay(1, count(v))),
      OPTION("polynomial_decay: last", kNotNegative, polynomial_decay(1, 3, v)),
      OPTION("polynomial_decay: power", kPositive, polynomial_decay(1, 3, 0, v)),
      OPTION("piecewise: the learning rate", kNotNegative, piecewise({2}, {1, v})),
      OPTION("one_cycle: the learning rate", kNotNegative, one_cycle(v, 3)),
      OPTION("one_cycle: steps", kOne, one_cycle(1, count(v))),
      OPTION("one_cycle: rise", kFraction, one_cycle(1, 3, v)),
      OPTION("one_cycle: divisor", kPositive, one_cycle(1, 3, 0.3, v)),
      OPTION("one_cycle: last_divisor", kPositive, one_cycle(1, 3, 0.3, 25, v)),
      OPTION("cosine_decay: the learning rate", kNotNegative, cosine_decay(v, 3)),
      OPTION("cosine_decay: steps", kOne, cosine_decay(1, count(v))),
      OPTION("cosine_decay: last", kNotNegative, cosine_decay(1, 3, v)),
      OPTION("warm_up: steps", kOne, warm_up(count(v), 1.0)),
      OPTION("SGD: momentum", kFraction, Optimizer(SGD{.momentum = v})),
      OPTION("RMSprop: rho", kBelowOne, Optimizer(RMSprop{.rho = v})),
      OPTION("RMSprop: momentum", kFraction, Optimizer(RMSprop{.momentum = v})),
      OPTION("RMSprop: epsilon", kNotNegative, Optimizer(RMSprop{.epsilon = v})),
      OPTION("Adagrad: initial_accumulator", kNotNegative, Optimizer(Adagrad{.initial_accumulator = v})),
      OPTION("Adagrad: epsilon", kNotNegative, Optimizer(Adagrad{.epsilon = v})),
      OPTION("Adam: beta1", kBelowOne, Optimizer(Adam{.beta1 = v})),
      OPTION("Adam: beta2", kBelowOne, Optimizer(Adam{.beta2 = v})),
      OPTION("Adam: epsilon", kNotNegative, Optimizer(Adam{.epsilon = v})),
      OPTION("AdamW: weight_decay", kNotNegative, Optimizer(AdamW{.weight_decay = v})),
      OPTION("AdamW: beta1", kBelowOne, Optimizer(AdamW{.beta1 = v})),
      OPTION("AdamW: beta2", kBelowOne, Optimizer(AdamW{.beta2 = v})),
      OPTION("AdamW: epsilon", kNotNegative, trained({.optimizer = AdamW{.epsilon = v}, .loss = mse})),
      OPTION("Adamax: beta1", kBelowOne, Optimizer(Adamax{.beta1 = v})),
      OPTION("Adamax: beta2", kBelowOne, Optimizer(Adamax{.beta2 = v})),
      OPTION("Adamax: epsilon", kNotNegative, Optimizer(Adamax{.epsilon = v})),
      OPTION("Nadam: beta1", kBelowOne, Optimizer(Nadam{.beta1 = v})),
      OPTION("Nadam: beta2", kBelowOne, Optimizer(Nadam{.beta2 = v})),
      OPTION("Nadam: epsilon", kNotNegative, Optimizer(Nadam{.epsilon = v})),
      OPTION("Adadelta: rho", kBelowOne, Optimizer(Adadelta{.rho = v})),
      OPTION("Adadelta: epsilon", kNotNegative, Optimizer(Adadelta{.epsilon = v})),
      OPTION("Lion: weight_decay", kNotNegative, Optimizer(Lion{.weight_decay = v})),
      OPTION("Lion: beta1", kBelowOne, Optimizer(Lion{.beta1 = v})),
      OPTION("Lion: beta2", kBelowOne, Optimizer(Lion{.beta2 = v})),
      OPTION("LAMB: weight_decay", kNotNegative, Optimizer(LAMB{.weight_decay = v})),
      OPTION("LAMB: beta1", kBelowOne, Optimizer(LAMB{.beta1 = v})),
      OPTION("LAMB: beta2", kBelowOne, Optimizer(LAMB{.beta2 = v})),
      OPTION("LAMB: epsilon", kNotNegative, Optimizer(LAMB{.epsilon = v})),
      OPTION("Adafactor: decay", kNotNegative, Optimizer(Adafactor{.decay = v})),
      OPTION("Adafactor: clip", kPositive, Optimizer(Adafactor{.clip = v})),
      OPTION("Adafactor: epsilon1", kNotNegative, Optimizer(Adafactor{.epsilon1 = v})),
      OPTION("Adafactor: epsilon2", kNotNegative, Optimizer(Adafactor{.epsilon2 = v})),
      OPTION("clip_by_norm: the norm", kPositive, clip_by_norm({x}, v)),
      OPTION("huber: delta", kPositive, huber(v)),
      OPTION("binary_focal_cross_entropy_with_logits: gamma", kNotNegative, binary_focal_cross_entropy_with_logits(v)),
      OPTION("binary_focal_cross_entropy_with_logits: alpha", kFraction, binary_focal_cross_entropy_with_logits(2, v)),
      OPTION("categorical_focal_cross_entropy_with_logits: gamma", kNotNegative,
             categorical_focal_cross_entropy_with_logits(v)),
      OPTION("categorical_focal_cross_entropy_with_logits: alpha", kFraction,
             categorical_focal_cross_entropy_with_logits(2, v)),
      OPTION("softmax_cross_entropy_smoothed: smoothing", kBelowOne, softmax_cross_entropy_smoothed(v)),
      OPTION("triplet_loss: margin", kNotNegative, triplet_loss(x, x, x, v)),
      OPTION("celu: alpha", kPositive, celu(x, v)),
      OPTION("top_k: k", kOne, top_k(static_cast<int>(v))),
      OPTION("confusion_matrix: classes", kTwo, confusion_matrix(static_cast<int>(v))),
      OPTION("Dense: units", kOne, Dense(count(v))),
      OPTION("Dense: l1", kNotNegative, Dense(1, {}, {.l1 = v})),
      OPTION("Dense: l2", kNotNegative, Dense(1, {}, {.l2 = v})),
      OPTION("Dropout: rate", kBelowOne, Dropout(v)),
      OPTION("LayerNorm: epsilon", kNotNegative, LayerNorm(v)),
      OPTION("Embedding: count", kOne, Embedding(count(v), 3)),
      OPTION("Embedding: width", kOne, Embedding(3, count(v))),
      OPTION("leaky_relu: slope", kFinite, leaky_relu(x, v)),
      OPTION("elu: alpha", kFinite, elu(x, v)),
      OPTION("dropout: rate", kBelowOne, dropout(x, v)),
      OPTION("layer_norm: epsilon", kNotNegative, layer_norm(x, {}, {}, v)),
      OPTION("constant_value: value", kFinite, constant_value(v)),
      OPTION("uniform: low", kFinite, uniform(v, 2)),
      OPTION("uniform: high", kFinite, uniform(-2, v)),
      OPTION("normal: mean", kFinite, normal(v, 1)),
      OPTION("normal: stddev", kNotNegative, normal(0, v)),
      OPTION("truncated_normal: mean", kFinite, truncated_normal(v, 1)),
      OPTION("truncated_normal: stddev", kNotNegative, truncated_normal(0, v)),
      OPTION("random_uniform: low", kFinite, random_uniform({3}, v, 2)),
      OPTION("random_uniform: high", kFinite, random_uniform({3}, -2, v)),
      OPTION("random_normal: mean", kFinite, random_normal({3}, v, 1)),
      OPTION("random_normal: stddev", kNotNegative, random_normal({3}, 0, v)),
      OPTION("random_bernoulli: probability", kFraction, random_bernoulli({3}, v)),
      OPTION("compile: a loss weight", kNotNegative, trained({.loss = mse, .loss_weights = {v}})),
      OPTION("compile: clip_norm", kNotNegative, trained({.loss = mse, .clip_norm = v})),
      OPTION("compile: clip_value", kNotNegative, trained({.loss = mse, .clip_value = v})),
  };
  for (const Row& row : rows)
    for (const double bad : row.outside.values) {
      CAPTURE(row.option, bad);
      const bool by_model = std::string(row.option).starts_with("compile:");  // whose line is that of its call above
      const std::string message = error_of([&] { row.give(bad); });
      require_parts(message, {by_model ? "options_test.cpp:" : row.line,
                              row.option + fmt::format("{}", plain_nan(bad)) + row.outside.expected});
    }
}

TEST_CASE("options at the ends of their domains work") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  const Array rows = f({0, 1, 2, 3, 7, 1, 0, 2, 1, 0, 2, 5, 2, 2, 8, 1}, {4, 4}), targets = f({1, 2, 3, 5}, {4, 1});
  const Optimizer optimizers[] = {
      SGD{.learning_rate = 0},
      SGD{.momentum = 1, .nesterov = true},
      RMSprop{.rho = 0, .momentum = 1, .epsilon = 0},
      Adagrad{.initial_accumulator = 0, .epsilon = 0},
      Adam{.beta1 = 0, .beta2 = 0},
      AdamW{.weight_decay = 0, .beta1 = 0.999999, .epsilon = 0},
      Adamax{.beta1 = 0, .beta2 = 0},
      Nadam{.beta1 = 0, .beta2 = 0},
      Adadelta{.rho = 0},
      Lion{.learning_rate = 0, .beta1 = 0, .beta2 = 0},
      LAMB{.weight_decay = 1, .beta1 = 0, .beta2 = 0},
      Adafactor{.decay = 0, .epsilon2 = 0},
  };
  for (const Optimizer& o : optimizers) {
    Model model(x, Dense(1, {}, {.l1 = 0, .l2 = 0})(Dropout(0)(LayerNorm(0)(x))));
    model.compile({.optimizer = o, .loss = huber(1e-3), .metrics = {mean_absolute_error}, .loss_weights = {0.5}});
    model.fit(rows, targets, {.batch_size = 4, .verbose = 0});
  }
  for (const Initializer& init : {he_uniform(), he_normal(), glorot_uniform(), uniform(2, 2), normal(1, 0)})
    CHECK(init({0, 0}, 1, 1).size() == 0);  // shapes without elements have no scale
  CHECK(step_decay(1, 0, 2)(5) == 0);
}

TEST_CASE("options that contradict each other, and names that mean something else, are refused") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  const auto named = [&](const std::string& name) {
    trained({.loss = mse, .metrics = {Metric{name, mean_squared_error.sums, mean_squared_error.result}}});
  };
  const auto counted = [&](int classes, std::int64_t scores) {
    Model model(x, Dense(scores)(x));
    model.compile({.loss = scores == 1 ? binary_cross_entropy_with_logits : softmax_cross_entropy,
                   .metrics = {confusion_matrix(classes)}});
    model.fit(Array(Type{f32, {4, 4}}), Array(Type{i32, {4}}), {.batch_size = 4, .verbose = 0});
  };
  require_reported({
      MISTAKE(piecewise({1, 2}, {1, 2}), ": piecewise: 2 rates for 2 places; expected one rate more than places"),
      MISTAKE(piecewise({3, 3}, {1, 2, 3}), ": piecewise: place 1 is 3; expected numbers of steps that ascend, from 1"),
      MISTAKE(piecewise({0}, {1, 2}), ": piecewise: place 0 is 0; expected numbers of steps"),
      MISTAKE(uniform(1, 0), "uniform: low 1 is above high 0"),
      MISTAKE(random_uniform({3}, 1, 0), "random_uniform: low 1 is above high 0"),
      FAILS(named("loss"), "compile: a metric is named 'loss'"),
      FAILS(named(""), "compile: a metric is named ''"),
      FAILS(named("val_loss"), "a metric is named 'val_loss'"),
      FAILS(named("learning_rate"), "a metric is named 'learning_rate'"),
      FAILS(trained({.loss = mse, .metrics = {accuracy, accuracy}}), "metric 'accuracy' is named twice"),
      FAILS(counted(3, 5), "confusion_matrix: 3 classes; expected 5"),
      FAILS(counted(3, 1), "confusion_matrix: 3 classes; expected 2"),
  });
  counted(2, 1);
  counted(5, 5);
}

TEST_CASE("a function that is empty, and a text that is none, are refused where they are given") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  using Own = std::function<Tensor(const Tensor&)>;
  const auto metric = [](bool sums, bool result) {
    Metric m = mean_squared_error;
    if (!sums) m.sums = nullptr;
    if (!result) m.result = nullptr;
    return m;
  };
  require_reported({
      MISTAKE(Loss{Loss::Fn{}}, ": Loss: the function is empty; expected one that can be called"),
      MISTAKE(Loss("own", Loss::Fn{}), ": Loss: the function is empty"),
      MISTAKE(Loss("own", nullptr, Loss::any), ": Loss: the function is empty"),
      MISTAKE(Dense(3, nullptr), ": Activation: the function is empty"),
      MISTAKE(Dense(3, Own{}), ": Activation: the function is empty"),
      MISTAKE(Activate(nullptr), ": Activation: the function is empty"),
      MISTAKE(Activate(ActivationFn{}), ": Activation: the function is empty"),
      MISTAKE(Dense(3, {}, {.weight_init = nullptr}), ": Dense: weight_init: the function is empty"),
      MISTAKE(Dense(3, {}, {.bias_init = nullptr}), ": Dense: bias_init: the function is empty"),
      MISTAKE(LSTM(3, {.weight_init = nullptr}), ": LSTM: weight_init: the function is empty"),
      MISTAKE(GRU(3, {.recurrent_init = nullptr}), ": GRU: recurrent_init: the function is empty"),
      MISTAKE(SimpleRNN(3, tanh, {.bias_init = nullptr}), ": SimpleRNN: bias_init: the function is empty"),
      MISTAKE(SimpleRNN(3, nullptr), ": Activation: the function is empty"),
      MISTAKE(LSTM(3, {.name = "\xc0"}), ": LSTM: the name '\xc0' is none"),
      MISTAKE(Embedding(3, 2, nullptr), ": Embedding: init: the function is empty"),
      MISTAKE(parameter({2}, nullptr), ": parameter: ", "empty Initializer"),
      MISTAKE(SGD{.learning_rate = std::function<double(std::int64_t)>{}}, ": RateSchedule: the function is empty"),
      MISTAKE(LearningRate{std::function<double(std::int64_t)>{}}, ": RateSchedule: the function is empty"),
      MISTAKE(Dense(3, {}, {.name = "\xc0"}), ": Dense: the name '\xc0' is none"),
      MISTAKE(Activate(relu, "\xc0"), ": Activation: the name '\xc0' is none"),
      MISTAKE(Flatten("\xc0"), ": Flatten: the name '\xc0' is none"),
      MISTAKE(Dropout(0.5, "\xc0"), ": Dropout: the name '\xc0' is none"),
      MISTAKE(LayerNorm(1e-3, "\xc0"), ": LayerNorm: the name '\xc0' is none"),
      MISTAKE(Embedding(3, 2, uniform(), "\xc0"), ": Embedding: the name '\xc0' is none"),
      FAILS(trained({.loss = mse, .metrics = {metric(false, true)}}),
            "metric 'mean_squared_error' has no function 'sums'"),
      FAILS(trained({.loss = mse, .metrics = {metric(true, false)}}), "has no function 'result'"),
      MISTAKE(Callback(EarlyStopping{.patience = -1}), ": EarlyStopping: patience is -1; expected at least 0"),
      MISTAKE(Callback(EarlyStopping{.min_delta = -0.5}),
              ": EarlyStopping: min_delta is -0.5; expected a finite number, 0"),
      MISTAKE(Callback(EarlyStopping{.min_delta = kNaN}), ": EarlyStopping: min_delta is nan"),
      MISTAKE(Callback(EarlyStopping{.monitor = ""}), ": EarlyStopping: monitor is empty"),
      MISTAKE(FitOptions{.callbacks = {EarlyStopping{.patience = -1}}}, ": EarlyStopping: patience is -1"),
      MISTAKE(Callback(BestCheckpoint{.path = ""}), ": BestCheckpoint: path is empty"),
      MISTAKE(Callback(BestCheckpoint{.path = "p", .monitor = ""}), ": BestCheckpoint: monitor is empty"),
      MISTAKE(Callback(CsvLog{.path = ""}), ": CsvLog: path is empty"),
  });
}

TEST_CASE("a callback of one's own is checked when it is made one") {
  struct Picky {
    int n = 0;
    void check() const {
      if (n < 0) fail("Picky: n is {}", n);
    }
    void on_step_end(FitRun&) {}
  };
  CHECK_NOTHROW(Callback(Picky{1}));
  CHECK(error_of([] { Callback(Picky{-1}); }) == "Picky: n is -1");
}

// Model: construction, summary, several inputs and outputs, shared layers, fit, evaluate and predict.
#include <functional>
#include <numeric>

#include "ir/ops/body.h"
#include "runtime/data/preprocess.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// Two classes on two interleaved spirals: x f32[n,2], labels i32[n].
Dataset spirals(std::int64_t n) {
  Dataset d{Array(Type{f32, {n, 2}}), Array(Type{i32, {n}}), "spirals"};
  for (std::int64_t k = 0; k < n; ++k) {
    const double t = 0.5 + 6.0 * static_cast<double>(k / 2) / static_cast<double>(n / 2), side = k % 2 ? M_PI : 0;
    d.x.as<float>()[static_cast<std::size_t>(2 * k)] = static_cast<float>(t * std::cos(t + side) / 6);
    d.x.as<float>()[static_cast<std::size_t>(2 * k + 1)] = static_cast<float>(t * std::sin(t + side) / 6);
    d.y.as<std::int32_t>()[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k % 2);
  }
  return d;
}

Model small_model(const TrainOptions& options, std::uint64_t seed = 1) {
  set_seed(seed);
  const Tensor x = input(f32, {2}, current_trace()->unique_name("x"));
  Model model(x, Dense(2)(Dense(16, tanh)(x)));
  model.compile(options);
  return model;
}

}  // namespace

TEST_CASE("a model learns XOR") {
  GraphScope graph;
  set_seed(3);
  const Tensor x = input(f32, {2});
  Model model(x, Dense(1, sigmoid)(Dense(8, tanh)(x)));
  model.compile({.optimizer = Adam{0.05}, .loss = binary_cross_entropy, .metrics = {accuracy}});
  const Array points = f({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), labels = i({0, 1, 1, 0}, {4});
  const History h = model.fit(points, labels, {.batch_size = 4, .epochs = 200, .verbose = 0});
  REQUIRE(h["loss"].size() == 200);
  REQUIRE(h["loss"].back() < 0.05);
  REQUIRE(model.evaluate(points, labels)["accuracy"] == 1);
  const Array p = model.predict(points);
  REQUIRE(p.shape() == Shape{4, 1});
  for (std::int64_t k = 0; k < 4; ++k) REQUIRE((p.at(k) > 0.5) == (k == 1 || k == 2));
}

TEST_CASE("a model learns two spirals, with the same bits on one and two threads and in every run") {
  const Dataset data = data::shuffle(spirals(200), 1);
  std::vector<Model> models;
  std::vector<History> histories;
  for (const TrainOptions& o :
       {TrainOptions{.threads = 1}, TrainOptions{.threads = 2}, TrainOptions{.threads = 2},
        TrainOptions{.backend = Backend::interpreter}, TrainOptions{.backend = Backend::emulator}}) {
    GraphScope graph;
    set_seed(5);
    const Tensor x = input(f32, {2});
    Model model(x, Dense(2)(Dropout(0.05)(Dense(32, tanh)(Dense(32, tanh)(x)))));
    model.compile({.optimizer = Adam{0.01},
                   .loss = softmax_cross_entropy,
                   .metrics = {accuracy},
                   .backend = o.backend,
                   .threads = o.threads});
    histories.push_back(
        model.fit(data, {.batch_size = 32, .epochs = 100, .validation_split = 0.1, .seed = 9, .verbose = 0}));
    models.push_back(model);
  }
  REQUIRE(models[0].evaluate(data)["accuracy"] > 0.95);
  for (Model& model : models) {
    REQUIRE(model.evaluate(data).str() == models[0].evaluate(data).str());
    REQUIRE(model.predict(data.x).same_bits(models[0].predict(data.x)));
  }
  const auto weights = models[0].weights();
  for (std::size_t k = 1; k < models.size(); ++k) {
    CAPTURE(k);
    for (const auto& [name, value] : models[k].weights()) REQUIRE(value.same_bits(weights.at(name)));
    REQUIRE(histories[k].values == histories[0].values);
  }
}

TEST_CASE("summary lists layers, shapes, parameters and where they are connected") {
  GraphScope graph;
  const Tensor image = input(f32, {28, 28}, "image");
  Dense shared(64, relu);
  const Tensor h = Flatten()(image);
  const Tensor own = parameter({64}, zeros(), "own");
  const Tensor a = shared(h), b = shared(relu(h));
  Dense unused(7);
  unused(a);
  Model model(image, Dense(10, {}, {.name = "logits"})(LayerNorm()(a + b * own)));
  const std::string text = model.summary(false);
  require_parts(text, {"Layer",
                       "Output shape",
                       "Parameters",
                       "From",
                       "image (Input)",
                       "(?, 28, 28)",
                       "flatten (Flatten)",
                       "(?, 784)",
                       "image",
                       "dense (Dense)",
                       "(?, 64)",
                       "50,240",
                       "flatten",
                       "dense (Dense)",
                       "shared",
                       "layer_norm (LayerNorm)",
                       "128",
                       "logits (Dense)",
                       "(?, 10)",
                       "650",
                       "layer_norm",
                       "(outside of layers)",
                       "64",
                       "51,082 parameters"});
  REQUIRE(text.find("(?, 7)") == std::string::npos);
  REQUIRE(model.parameter_count() == 51082);
  REQUIRE(model.parameters().size() == 7);
}

TEST_CASE("the summary says what a layer's input is computed from") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x"), y = input(f32, {4}, "y");
  const Tensor a = Dense(4, {}, {.name = "a"})(x * 2 + y), b = Dense(4, {}, {.name = "b"})(relu(-x));
  const Tensor c = Dense(4, {}, {.name = "c"})(a * b + softmax(a)), d = Dense(4, {}, {.name = "d"})(c + y);
  const Tensor e = Dense(1, {}, {.name = "e"})(d + parameter({4}) * random_uniform({kBatch, 4}));
  const std::string text = Model({x, y}, {e}).summary(false);
  const auto from = [&](const std::string& layer) {
    const std::size_t at = text.find(layer + " (Dense)"), end = text.find('\n', at);
    const std::string row = text.substr(at, end - at);
    return row.substr(row.find_last_of("0123456789") + 3);
  };
  CHECK(from("a") == "x, y");
  CHECK(from("b") == "x");
  CHECK(from("c") == "a, b");
  CHECK(from("d") == "c, y");
  CHECK(from("e") == "d");
}

TEST_CASE("a model called as a function says what its inputs take") {
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x"), wide = input(f32, {4}, "wide");
  const Model model(x, Dense(2)(x));
  require_reported({
      MISTAKE(model({wide}), ": Model: the model's input 'x' takes f32[?,3]; operand 0 is f32[?,4] from "),
      MISTAKE(model({astype(x, f64)}), "takes f32[?,3]; operand 0 is f64[?,3]"),
      MISTAKE(model({Tensor()}), "is an empty Tensor"),
      MISTAKE(model({x, x}), "the model takes 1 input and is called with 2"),
  });
}

TEST_CASE("several inputs and outputs, a shared layer, weighted losses") {
  GraphScope graph;
  const Tensor left = input(f32, {3}, "left"), right = input(f32, {3}, "right");
  Dense shared(4, tanh);
  const Tensor a = shared(left), b = shared(right);
  const Tensor difference = Dense(1)(a - b), both = Dense(2)(concat({a, b}));
  Model model({left, right}, {difference, both});
  REQUIRE(model.parameters().size() == 6);
  model.compile({.optimizer = Adam{0.02},
                 .metrics = {mean_absolute_error},
                 .losses = {mse, softmax_cross_entropy},
                 .loss_weights = {2, 0.5}});
  const std::int64_t n = 48;
  Array x1 = normal(0, 1)({n, 3}, 1, 0), x2 = normal(0, 1)({n, 3}, 1, 1), y1(Type{f32, {n, 1}}), y2(Type{u8, {n}});
  for (std::int64_t k = 0; k < n; ++k) {
    y1.as<float>()[static_cast<std::size_t>(k)] = static_cast<float>(x1.at(3 * k) - x2.at(3 * k));
    y2.as<std::uint8_t>()[static_cast<std::size_t>(k)] = x1.at(3 * k + 1) > x2.at(3 * k + 1);
  }
  const Scores before = model.evaluate({x1, x2}, {y1, y2});
  const History h = model.fit({x1, x2}, {y1, y2}, {.batch_size = 16, .epochs = 60, .verbose = 0});
  const Scores after = model.evaluate({x1, x2}, {y1, y2}, 7);
  REQUIRE(after.loss < 0.5 * before.loss);
  REQUIRE(after["mean_absolute_error"] < before["mean_absolute_error"]);
  const std::vector<Array> out = model.predict({x1, x2}, 10);
  REQUIRE(out[0].shape() == Shape{n, 1});
  REQUIRE(out[1].shape() == Shape{n, 2});
  // The reported loss is the weighted sum over all samples, however they are batched.
  double want = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    const double e = out[0].at(k) - y1.at(k), z0 = out[1].at(2 * k), z1 = out[1].at(2 * k + 1);
    want += 2 * e * e + 0.5 * (std::log(std::exp(z0) + std::exp(z1)) - (y2.at(k) == 1 ? z1 : z0));
  }
  REQUIRE(after.loss == Approx(want / n).epsilon(1e-5));
  REQUIRE(h["loss"].size() == 60);
}

TEST_CASE("evaluate and predict give the bits of one call a batch, however many batches a call has") {
  constexpr std::int64_t kRows = 200, kBatchSize = 7, kWide = 3000;  // twelve batches of results in a call
  Array x(Type{u8, {kRows, 3}}), y(Type{i32, {kRows}});
  for (std::int64_t k = 0; k < x.size(); ++k)
    x.as<std::uint8_t>()[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(k * 89);
  for (std::int64_t k = 0; k < kRows; ++k)
    y.as<std::int32_t>()[static_cast<std::size_t>(k)] = static_cast<std::int32_t>(k * 13 % 10);
  for (const TrainOptions& place :
       {TrainOptions{.threads = 1}, TrainOptions{.threads = 2}, TrainOptions{.backend = Backend::interpreter},
        TrainOptions{.backend = Backend::emulator}}) {
    GraphScope graph;
    set_seed(2);
    const Tensor image = input(f32, {3}, "image");
    const Tensor classes = Dense(10, tanh)(image);
    TrainOptions options = place;
    options.loss = softmax_cross_entropy, options.metrics = {accuracy, confusion_matrix(10)};
    Model classifier(image, classes);
    classifier.compile(options);
    options.loss = mse, options.metrics = {};
    Model two({image}, {image, Dense(kWide, tanh)(classes)});  // an output that is the input
    two.compile(options);

    std::vector<double> loss;
    std::vector<std::vector<Array>> totals;
    for (std::int64_t begin = 0; begin < kRows; begin += kBatchSize) {
      const std::int64_t end = std::min(kRows, begin + kBatchSize);
      const Scores s = classifier.evaluate(x.rows(begin, end), y.rows(begin, end), kBatchSize);
      loss.push_back(s.loss * static_cast<double>(end - begin));
      totals.push_back({s.totals[0][0], s.totals[1][0]});
    }
    const Scores all = classifier.evaluate(x, y, kBatchSize);
    REQUIRE(all.loss == Approx(std::accumulate(loss.begin(), loss.end(), 0.0) / kRows).epsilon(1e-12));
    for (std::size_t m : {0, 1})
      for (std::int64_t e = 0; e < all.totals[m][0].size(); ++e) {
        double sum = 0;  // of counts: exact
        for (const auto& t : totals) sum += t[m].at(e);
        REQUIRE(all.totals[m][0].at(e) == sum);
      }

    const Array converted = x.converted(f32);
    for (const Array& data : {x, converted}) {
      const auto predict = [&](const Array& rows, std::int64_t batch_size) {
        return two.predict(std::vector<Array>{rows}, batch_size);
      };
      const std::vector<Array> p = predict(data, kBatchSize);
      REQUIRE(p[0].same_bits(predict(data, kRows)[0]));
      REQUIRE(p[1].shape() == Shape{kRows, kWide});
      for (std::int64_t begin = 0; begin < kRows; begin += kBatchSize) {
        const std::int64_t end = std::min(kRows, begin + kBatchSize);
        REQUIRE(p[1].rows(begin, end).same_bits(predict(data.rows(begin, end), kBatchSize)[1]));
      }
    }
  }
}

TEST_CASE("a model is a function: calling it shares its parameters") {
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x"), y = input(f32, {3}, "y");
  Model encoder(x, Dense(2, tanh)(x));
  const Tensor d = encoder({x})[0] - encoder({y})[0];
  Model distance({x, y}, {sum(square(d), -1, true)});
  REQUIRE(distance.parameter_count() == encoder.parameter_count());
  const Array a = normal(0, 1)({5, 3}, 1, 0), b = normal(0, 1)({5, 3}, 1, 1);
  const Array ea = encoder.predict(a), eb = encoder.predict(b), got = distance.predict({a, b})[0];
  for (std::int64_t k = 0; k < 5; ++k)
    REQUIRE(got.at(k) ==
            Approx(std::pow(ea.at(2 * k) - eb.at(2 * k), 2) + std::pow(ea.at(2 * k + 1) - eb.at(2 * k + 1), 2))
                .margin(1e-6));
  require_reported({MISTAKE(encoder({x, y}), "the model takes 1 input and is called with 2")});
}

TEST_CASE("bytes are scaled and rows are reshaped to what the input takes") {
  GraphScope graph;
  const Tensor image = input(f32, {4}, "image");
  Model model(image, image * 1);
  const Array bytes = i({0, 51, 255, 102}, {1, 2, 2}).converted(u8);
  require_close(model.predict(bytes), {0, 0.2, 1, 0.4}, 1e-7);
  require_close(model.predict(i({0, 51, 255, 102}, {1, 4})), {0, 51, 255, 102});
  require_close(model.predict(f({1, 2, 3, 4}, {1, 4, 1})), {1, 2, 3, 4});
  require_reported(
      {FAILS(model.predict(f({1, 2, 3}, {1, 3})),
             "input 'image' takes f32[?,4], the data has rows of f32[?,3]: the numbers of elements differ")});
  const Tensor token = input(i32, {1}, "token");
  Model embed(token, Embedding(5, 2)(token));
  REQUIRE(embed.predict(i({3, 4}, {2, 1}).converted(u8)).shape() == Shape{2, 1, 2});
  require_reported({FAILS(embed.predict(f({3}, {1, 1})),
                          "input 'token' takes i32[?,1], the data has rows of f32[?,1]: convert the data first")});
}

TEST_CASE("penalties are part of the loss, and pull weights to zero") {
  auto train = [](double l1, double l2) {
    GraphScope graph;
    set_seed(2);
    const Tensor x = input(f32, {3}, "x");
    Model model(x, Dense(1, {}, {.use_bias = false, .l1 = l1, .l2 = l2})(x));
    model.compile({.optimizer = SGD{0.05}, .loss = mse});
    const Array zero = Array::filled({f32, {4, 3}}, 0), y = Array::filled({f32, {4, 1}}, 0);
    const Array w = model.parameters()[0].value();
    double want = 0;
    for (double v : doubles(w)) want += l1 * std::abs(v) + l2 * v * v;
    REQUIRE(model.evaluate(zero, y).loss == Approx(want).epsilon(1e-5));  // the data's own loss is 0
    model.fit(zero, y, {.batch_size = 4, .epochs = 1, .verbose = 0});
    const Array after = model.parameters()[0].value();
    for (std::int64_t k = 0; k < 3; ++k) {
      const double v = w.at(k), gradient = l1 * (v > 0 ? 1 : -1) + 2 * l2 * v;
      REQUIRE(after.at(k) == Approx(v - 0.05 * gradient).epsilon(1e-5));
    }
  };
  train(0.3, 0);
  train(0, 0.2);
  train(0.1, 0.2);
}

TEST_CASE("gradients are clipped by value and by their common norm") {
  auto step = [](const TrainOptions& o) {
    GraphScope graph;
    const Tensor x = input(f32, {2}, "x");
    Model model(x, Dense(1, {}, {.weight_init = zeros()})(x));
    model.compile({.optimizer = SGD{1}, .loss = mse, .clip_norm = o.clip_norm, .clip_value = o.clip_value});
    model.fit(f({3, 4}, {1, 2}), f({-1}, {1, 1}), {.batch_size = 1, .epochs = 1, .verbose = 0});
    std::vector<double> w = doubles(model.parameters()[0].value());
    w.push_back(model.parameters()[1].value().at(0));
    return w;
  };
  const std::vector<double> free = step({}), value = step({.clip_value = 2}),
                            norm = step({.clip_norm = 1});  // gradient (6, 8, 2)
  require_close(Array::from<double>(free, {3}), {-6, -8, -2});
  require_close(Array::from<double>(value, {3}), {-2, -2, -2});
  const double n = std::sqrt(104);
  require_close(Array::from<double>(norm, {3}), {-6 / n, -8 / n, -2 / n});
}

TEST_CASE("models refuse what they cannot be built from") {
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x"), other = input(f32, {2}, "other"), y = Dense(1)(x),
               whole = placeholder(f32, {4, 2}, "whole");
  Model model(x, y), fixed(x, x * 2), pair({x, other}, {y, Dense(1)(other)});
  require_reported({
      MISTAKE(Model(std::vector<Tensor>{}, std::vector<Tensor>{y}),
              "Model: 0 inputs and 1 output; expected at least one of each"),
      MISTAKE(Model(y, y), "Model: f32[?,1]", "is no input; expected a tensor made by input()"),
      MISTAKE(Model(whole, whole), "Model: input 'whole' is f32[4,2]", "expected a batch axis in front"),
      MISTAKE(Model(x, sum(y)), "Model: output f32[]", "expected one row a sample"),
      MISTAKE(Model(x, x + other), "Model: the outputs depend on input 'other' f32[?,2]",
              "not among the model's inputs"),
      MISTAKE(model.compile({}), "compile: no loss; set .loss, for example to softmax_cross_entropy or mse"),
      MISTAKE(fixed.compile({.loss = mse}), "compile: the model has no parameters to train"),
      MISTAKE(pair.compile({.losses = {mse}}), "compile: 1 loss for 2 outputs"),
      MISTAKE(pair.compile({.loss = mse, .loss_weights = {1}}), "compile: 1 loss weight for 2 outputs"),
      MISTAKE(model.compile({.loss = mse, .metrics = {accuracy, accuracy}}),
              "compile: metric 'accuracy' is named twice"),
  });
  for (const auto& use :
       std::vector<std::function<void()>>{[&] { model.fit(spirals(4)); }, [&] { model.evaluate(spirals(4)); },
                                          [&] { model.dump(Stage::graph); }, [&] { model.set_learning_rate(1); }})
    require_parts(error_of(use), {"the model is not compiled; call model.compile({.optimizer = …, .loss = …}) first"});
}

TEST_CASE("a layer, a loss, an optimiser, a metric and an initialiser of one's own") {
  struct Scale : Layer {
    Scale() : Layer("Scale") {}
    Tensor operator()(const Tensor& x) {
      enter(x);
      if (!built())
        weight("factor", {x.shape().back()}, [](const Shape& s, std::uint64_t, std::uint64_t) {
          return Array::filled({f32, s}, 3);
        });
      return called({x}, x * parameters()[0]);
    }
  };
  struct SignDescent {
    RateSchedule learning_rate = 0.25;
    Tensor operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
      return w - s.learning_rate() * sign(g);
    }
  };
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x");
  Model model(x, Scale()(x));
  const Metric largest{"largest", [](const Tensor& p, const Tensor&) -> std::vector<Tensor> { return {sum(p)}; },
                       [](std::span<const Array> s, std::int64_t n) { return s[0].at(0) / static_cast<double>(n); }};
  model.compile({.optimizer = SignDescent{},
                 .loss = [](const Tensor& p, const Tensor& t) { return mean(abs(p - t), -1); },
                 .metrics = {largest}});
  const Array in = f({1, -1, 2, -2}, {2, 2}), target = f({0, 0, 0, 0}, {2, 2});
  REQUIRE(model.evaluate(in, target)["largest"] == 0);
  REQUIRE(model.evaluate(in, target).loss == 4.5);
  model.fit(in, target, {.batch_size = 2, .epochs = 4, .verbose = 0});
  require_close(model.weights().at("scale.factor"), {2, 2});
}

TEST_CASE("the training step is one function over resident data") {
  GraphScope graph;
  Model model = small_model({.optimizer = Adam{1e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  require_parts(model.dump(Stage::graph),
                {"func @training_step(%x_data: f32[1024,2], %target_data: i32[1024], %indices: i32[128]",
                 "state %dense.weight", "gather %x_data, %indices", "update %dense.weight", "return loss ="});
  const Executable step = model.training_step({{u8, {50, 2}}}, {{u8, {50}}}, 8);
  REQUIRE(step.output_names() == std::vector<std::string>{"loss", "accuracy.0"});
  const auto out = step({Array(Type{u8, {50, 2}}), Array(Type{u8, {50}}), Array(Type{i32, {8}})});
  REQUIRE(out[0].at(0) == Approx(std::log(2)).epsilon(1e-3));
  REQUIRE(out[1].at(0) == 8);  // all samples are the origin: equal scores, so class 0
}

TEST_CASE("the reference models") {
  const struct {
    std::string name;
    std::int64_t parameters;
  } rows[] = {{"mlp", 535818}, {"cnn", 1199882}, {"lstm", 81674}, {"vit", 104970}, {"gpt", 826433}};
  REQUIRE(builtin_models().size() == std::size(rows));
  for (const auto& row : rows) {
    const BuiltinModel& builtin = builtin_model(row.name);
    Model model = builtin.make(1, {.loss = softmax_cross_entropy, .metrics = {accuracy}});
    CAPTURE(row.name);
    CHECK(model.parameter_count() == row.parameters);
    const std::function<double(const Graph&)> flops_of = [&](const Graph& g) {
      double flops = 0;
      for (ValueId id = 0; id < g.size(); ++id) {
        const Node& n = g[id];
        if (n.op == Op::contract) {
          double products = static_cast<double>(element_count(n.type.shape));
          for (const std::int64_t k : n.attrs[Attr::lhs])
            products *= static_cast<double>(g[n.operands[0]].type.shape[static_cast<int>(k)]);
          flops += 2 * products;
        }
        if (n.op == Op::scan)
          flops += static_cast<double>(n.attrs.scalar(Attr::length)) * flops_of(*n.attrs.bodies[0]->graph);
      }
      return flops;
    };
    const auto [x, y] = builtin.types(50);
    const Graph step = model.training_step({x}, {y}, builtin.batch).optimized(builtin.batch);
    const Dataset data = builtin.data();
    CHECK(data.x.dtype() == x.dtype);
    CHECK(data.y.dtype() == y.dtype);
    CHECK(data.size() >= builtin.batch);
    CHECK(builtin.gflop == Approx(flops_of(step) * 1e-9).epsilon(0.01));
  }
  REQUIRE(error_of([] { builtin_model("bert"); }) == "there is no model 'bert'; there is mlp, cnn, lstm, vit, gpt");
}

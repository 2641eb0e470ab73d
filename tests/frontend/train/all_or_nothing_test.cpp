// Every call that can fail leaves its object as it was: a table of failing calls, each with the model before and after.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / fmt::format("weft_all_or_nothing_{}_{}", getpid(), name)).string();
}

/// A model with a layer of each kind that holds something, and data for it.
struct Subject {
  Tensor ids = input(i32, {2}, "ids"), x = input(f32, {3}, "x");
  Tensor centre = state(f({1, 2, 3}, {3}), "centre");
  Model model{{ids, x},
              {Dense(3)(Dropout(0.5)(LayerNorm()(concat({flatten(Embedding(5, 2)(ids)), Dense(4)(x - centre)}))))}};
  std::vector<Array> data{i({0, 1, 2, 3, 4, 0, 1, 2}, {4, 2}), normal(0, 1)({4, 3}, 1, 1)};
  Array labels = i({0, 1, 2, 0}, {4});

  Subject() {
    model.compile({.optimizer = AdamW{0.01}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
    model.fit(data, {labels}, options());
    model.set_learning_rate(0.02);
  }
  static FitOptions options() { return {.batch_size = 3, .epochs = 1, .seed = 8, .verbose = 0}; }

  /// All that can be seen of the model: weights, states, optimiser, counters, how far training has come.
  std::string snapshot() const {
    const std::string path = temporary("snapshot");
    model.save(path);
    std::ifstream in(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::filesystem::remove(path);
    return bytes + model.summary(false) + fmt::format("{}", model.learning_rate());
  }
  /// The same after training goes on: what a snapshot does not show (the loss, the optimiser) would show there.
  std::string trained() {
    model.fit(data, {labels}, options());
    return snapshot();
  }
};

using Call = std::function<void(Subject&)>;
struct Failing {
  const char* name;
  Call call;
};

/// set_weights() with every weight changed, and this change on top.
template <class F>
Call weights(F change) {
  return [change](Subject& s) {
    auto w = s.model.weights();
    for (auto& [name, value] : w) value = Array::filled(value.type(), 7);
    change(w);
    s.model.set_weights(w);
  };
}

/// load() of the subject's checkpoint with every weight changed, and this change on top.
template <class F>
Call loads(F change) {
  return [change](Subject& s) {
    const std::string path = temporary("checkpoint");
    s.model.save(path);
    Checkpoint c = load_safetensors(path);
    for (NamedArray& a : c.arrays)
      if (is_float(a.value.dtype())) a.value = Array::filled(a.value.type(), 7);
    change(c);
    save_safetensors(path, c);
    s.model.load(path);
  };
}

Call loads_without(const std::string& name) {
  return loads([name](Checkpoint& c) { std::erase_if(c.arrays, [&](const NamedArray& a) { return a.name == name; }); });
}
Call loads_with(const std::string& name, const Array& value) {
  return loads([name, value](Checkpoint& c) {
    for (NamedArray& a : c.arrays)
      if (a.name == name) return void(a.value = value);
    c.arrays.push_back({name, value});
  });
}
Call loads_metadata(const std::string& key, const std::string& value) {
  return loads([key, value](Checkpoint& c) { c.metadata[key] = value; });
}

Call compiles(const TrainOptions& o) {
  return [o](Subject& s) { s.model.compile(o); };
}

/// Options of another order of samples: not to be remembered when the call fails.
FitOptions other_order() { return {.batch_size = 2, .epochs = 1, .seed = 99, .verbose = 0}; }
template <class F>
Call fits(F change) {
  return [change](Subject& s) {
    FitOptions o = other_order();
    change(o);
    s.model.fit(s.data, {s.labels}, o);
  };
}
/// fit() on data with a change.
template <class F>
Call fits_data(F change) {
  return [change](Subject& s) {
    std::vector<Array> x = s.data, y{s.labels};
    change(x, y);
    s.model.fit(x, y, other_order());
  };
}

struct Bad {
  RateSchedule learning_rate = 0.5;
  Tensor operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const { return sum(s.slot("x") + w + g); }
};
struct Throws {
  RateSchedule learning_rate = 0.5;
  Tensor operator()(OptimizerStep&, const Tensor&, const Tensor&) const { throw std::runtime_error("optimiser"); }
};
struct ThrowsAtBegin {
  void on_train_begin(FitRun&) { throw std::runtime_error("begin"); }
};

std::vector<Failing> failing() {
  using Weights = std::map<std::string, Array>;
  using Data = std::vector<Array>;
  const Array one = f({1}, {1});
  const Optimizer sgd = SGD{0.5};
  return {
      {"set_weights: missing", weights([](Weights& w) { w.erase("layer_norm.scale"); })},
      {"set_weights: no state", weights([](Weights& w) { w.erase("centre"); })},
      {"set_weights: shape", weights([=](Weights& w) { w["layer_norm.offset"] = one; })},
      {"set_weights: dtype", weights([](Weights& w) {
         w["embedding.table"] = Array(Type{f64, {5, 2}});
       })},
      {"set_weights: unknown", weights([=](Weights& w) { w["zzz"] = one; })},
      {"load: no file", [](Subject& s) { s.model.load("/no/such/file"); }},
      {"load: missing", loads_without("layer_norm.scale")},
      {"load: no state", loads_without("centre")},
      {"load: no slot", loads_without("optimizer.step")},
      {"load: shape", loads_with("layer_norm.offset", one)},
      {"load: slot's shape", loads_with("optimizer.v.dense.bias", one)},
      {"load: counter's type", loads_with("weft.step", one)},
      {"load: unknown", loads_with("zzz", one)},
      {"load: steps", loads_metadata("weft.steps", "-1")},
      {"load: epoch", loads_metadata("weft.epoch", "x")},
      {"load: batch", loads_metadata("weft.batch", "1 ")},
      {"load: rate", loads_metadata("weft.learning_rate", "nan")},
      {"save: no folder", [](Subject& s) { s.model.save("/no/such/folder/file"); }},
      {"compile: no loss", compiles({.optimizer = sgd})},
      {"compile: losses", compiles({.optimizer = sgd, .losses = {mse, mse}})},
      {"compile: loss weights", compiles({.optimizer = sgd, .loss = mse, .loss_weights = {1, 2}})},
      {"compile: metrics", compiles({.optimizer = sgd, .loss = mse, .metrics = {f1, f1}})},
      {"compile: clip_norm", compiles({.optimizer = sgd, .loss = mse, .clip_norm = -1})},
      {"compile: clip_value", compiles({.optimizer = sgd, .loss = mse, .clip_value = NAN})},
      {"compile: optimiser's shape", compiles({.optimizer = Bad{}, .loss = mse})},
      {"compile: optimiser throws", compiles({.optimizer = Throws{}, .loss = mse})},
      {"set_value", [=](Subject& s) { s.model.parameters()[0].set_value(one); }},
      {"set_state",
       [=](Subject& s) {
         s.model.training_step({{i32, {4, 2}}, {f32, {4, 3}}}, {{i32, {4}}}, 2).set_state("embedding.table", one);
       }},
      {"fit: batch_size", fits([](FitOptions& o) { o.batch_size = 0; })},
      {"fit: batch beyond data", fits([](FitOptions& o) { o.batch_size = 5; })},
      {"fit: epochs", fits([](FitOptions& o) { o.epochs = 0; })},
      {"fit: split", fits([](FitOptions& o) { o.validation_split = 1; })},
      {"fit: split of nothing", fits([](FitOptions& o) { o.validation_split = 0.999; })},
      {"fit: callback at the begin", fits([](FitOptions& o) { o.callbacks = {ThrowsAtBegin{}}; })},
      {"fit: inputs", fits_data([](Data& x, Data&) { x.pop_back(); })},
      {"fit: targets", fits_data([](Data&, Data& y) { y.push_back(y[0]); })},
      {"fit: rows", fits_data([](Data&, Data& y) { y[0] = y[0].rows(0, 3); })},
      {"fit: label", fits_data([](Data&, Data& y) {
         y[0] = i({0, 1, 2, 3}, {4});
       })},
      {"fit: id", fits_data([](Data& x, Data&) {
         x[0] = i({0, 1, 2, 3, 4, 5, 0, 0}, {4, 2});
       })},
      {"fit: features", fits_data([](Data& x, Data&) {
         x[1] = Array(Type{f32, {4, 4}});
       })},
      {"fit: dtype", fits_data([](Data& x, Data&) { x[0] = x[0].converted(f32); })},
      {"evaluate: features",
       [](Subject& s) {
         s.model.evaluate({s.data[0], Array(Type{f32, {4, 4}})}, {s.labels});
       }},
      {"evaluate: label",
       [](Subject& s) {
         s.model.evaluate(s.data, {i({0, 1, 2, -1}, {4})});
       }},
      {"predict: rows",
       [](Subject& s) {
         s.model.predict({s.data[0], s.data[1].rows(0, 2)});
       }},
  };
}

}  // namespace

TEST_CASE("a call that fails leaves the model as it was, and how it trains on") {
  GraphScope graph;
  set_seed(3);
  Subject reference;
  const std::string before = reference.snapshot(), after = reference.trained();
  for (const Failing& f : failing()) {
    GraphScope own;
    set_seed(3);
    Subject subject;
    CAPTURE(f.name);
    REQUIRE(subject.snapshot() == before);
    REQUIRE_THROWS(f.call(subject));
    REQUIRE(subject.snapshot() == before);
    REQUIRE(subject.trained() == after);
  }
  std::filesystem::remove(temporary("checkpoint"));
}

TEST_CASE("whichever time an optimiser is asked and throws, compile() leaves the model as it was") {
  struct Moody {
    RateSchedule learning_rate = 0.1;
    std::shared_ptr<int> until;
    Tensor operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
      if ((*until)-- == 0) throw std::runtime_error("no");
      return w - s.learning_rate() * g;
    }
  };
  GraphScope graph;
  set_seed(3);
  Subject reference;
  const std::string before = reference.snapshot(), after = reference.trained();
  int thrown = 0;
  for (int until = 0;; ++until) {
    GraphScope own;
    set_seed(3);
    Subject subject;
    CAPTURE(until);
    try {
      subject.model.compile({.optimizer = Moody{.until = std::make_shared<int>(until)}, .loss = mse, .losses = {}});
      break;  // it was asked no more
    } catch (const std::runtime_error&) {
      ++thrown;
    }
    REQUIRE(subject.snapshot() == before);
    REQUIRE(subject.trained() == after);
  }
  CHECK(thrown > 1);
}

TEST_CASE("a callback that throws leaves the model as the steps done made it, and fit goes on from there") {
  struct At {
    int epoch, batch;
    void on_step_end(FitRun& r) {
      if (r.epoch == epoch && r.batch == batch) throw std::runtime_error("step");
    }
  };
  struct AtEpoch {
    int epoch;
    bool begin;
    void on_epoch_begin(FitRun& r) {
      if (begin && r.epoch == epoch) throw std::runtime_error("epoch");
    }
    void on_epoch_end(FitRun& r) {
      if (!begin && r.epoch == epoch) throw std::runtime_error("epoch");
    }
  };
  struct Row {
    Callback callback;
    int epochs_left;  // of three, after the exception
  };
  GraphScope graph;
  set_seed(3);
  Subject straight;
  FitOptions o = Subject::options();
  o.epochs = 3;
  straight.model.fit(straight.data, {straight.labels}, o);
  const std::string want = straight.snapshot();
  // After the last step of an epoch its end is still to come, and counts.
  const Row rows[] = {{At{1, 0}, 2}, {At{1, 1}, 2}, {At{0, 0}, 3}, {AtEpoch{1, true}, 2}, {AtEpoch{1, false}, 1}};
  for (const Row& row : rows) {
    GraphScope own;
    set_seed(3);
    Subject s;
    FitOptions broken = o;
    broken.callbacks = {row.callback};
    REQUIRE_THROWS_AS(s.model.fit(s.data, {s.labels}, broken), std::runtime_error);
    FitOptions rest = o;
    rest.epochs = row.epochs_left;
    s.model.fit(s.data, {s.labels}, rest);
    CAPTURE(&row - rows);
    REQUIRE(s.snapshot() == want);
  }
}

TEST_CASE("a layer whose first call fails can be called again, in this graph and in another") {
  int fails = 0;
  auto moody = [&](const Initializer& init) {
    return Initializer([&fails, init](const Shape& s, std::uint64_t seed, std::uint64_t stream) {
      if (fails-- > 0) fail("initialiser");
      return init(s, seed, stream);
    });
  };
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x"), scalar = placeholder(f32, {});
  Dense dense(2, {}, {.bias_init = moody(zeros())});
  REQUIRE_THROWS_AS(dense(scalar), Error);
  fails = 1;
  REQUIRE_THROWS_AS(dense(x), Error);
  REQUIRE(dense.parameters().empty());
  {
    GraphScope other;
    fails = 1;
    REQUIRE_THROWS_AS(dense(input(f32, {3}, "x")), Error);
  }
  const Tensor y = dense(x);
  REQUIRE(dense.parameters().size() == 2);
  Model model(x, y);
  std::vector<std::string> names;
  for (const auto& [name, value] : model.weights()) names.push_back(name);
  REQUIRE(names == std::vector<std::string>{"dense.bias", "dense.weight"});
  REQUIRE(model.predict(f({1, 2, 3}, {1, 3})).shape() == Shape{1, 2});
  // A layer without parameters belongs to no graph.
  Flatten flat;
  flat(x);
  GraphScope third;
  flat(input(f32, {3, 4}));
  REQUIRE_THROWS_AS(dense(input(f32, {3}, "x")), Error);
  REQUIRE(dense.parameters().size() == 2);
}

// Normalisation against its equations: BatchNorm in training and outside of it, RMSNorm, GroupNorm.
#include <random>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

Array random_array(std::uint32_t seed, const Shape& shape, double centre = 0, double width = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(centre, width);
  Array a(Type{f32, shape});
  for (float& v : a.as<float>()) v = static_cast<float>(normal(random));
  return a;
}

struct Moments {
  double mean = 0, variance = 0;
};
template <class At>
Moments moments(std::int64_t n, const At& at) {
  Moments m;
  for (std::int64_t i = 0; i < n; ++i) m.mean += at(i) / static_cast<double>(n);
  for (std::int64_t i = 0; i < n; ++i) m.variance += (at(i) - m.mean) * (at(i) - m.mean) / static_cast<double>(n);
  return m;
}

}  // namespace

TEST_CASE("BatchNorm normalises by the batch in training and by its running statistics elsewhere") {
  GraphScope graph;
  constexpr std::int64_t kRows = 6, kPixels = 5, kChannels = 3;
  const Tensor x = placeholder(f32, {kRows, kPixels, kChannels}, "x");
  BatchNorm norm({.momentum = 0.75, .epsilon = 1e-5});
  const Tensor y = norm(x);
  REQUIRE(norm.parameters().size() == 2);
  REQUIRE(norm.states().size() == 2);
  norm.parameters()[0].set_value(f({1, 2, 0.5}, {3}));
  norm.parameters()[1].set_value(f({0, -1, 3}, {3}));
  const std::vector<Assignment> updates = updates_of({y});
  REQUIRE(updates.size() == 2);
  const Executable train = compile({y}, {.updates = updates, .training = true}), infer = compile({y});
  double mean[kChannels] = {}, variance[kChannels] = {1, 1, 1};
  for (std::uint32_t step = 0; step < 3; ++step) {
    const Array rows = random_array(step, {kRows, kPixels, kChannels}, 2, 3);
    const Array trained = train({rows})[0];
    for (std::int64_t c = 0; c < kChannels; ++c) {
      const double scale = norm.parameters()[0].value().at(c), offset = norm.parameters()[1].value().at(c);
      const Moments m = moments(kRows * kPixels, [&](std::int64_t i) { return rows.at(i * kChannels + c); });
      for (std::int64_t i = 0; i < kRows * kPixels; ++i)
        REQUIRE(close(trained.at(i * kChannels + c),
                      (rows.at(i * kChannels + c) - m.mean) / std::sqrt(m.variance + 1e-5) * scale + offset, 1e-5));
      mean[c] = 0.75 * mean[c] + 0.25 * m.mean;
      variance[c] = 0.75 * variance[c] + 0.25 * m.variance;
      REQUIRE(close(norm.states()[0].value().at(c), mean[c], 1e-5));
      REQUIRE(close(norm.states()[1].value().at(c), variance[c], 1e-5));
    }
    const Array inferred = infer({rows})[0];
    for (std::int64_t i = 0; i < inferred.size(); ++i) {
      const std::int64_t c = i % kChannels;
      const double scale = norm.parameters()[0].value().at(c), offset = norm.parameters()[1].value().at(c);
      REQUIRE(close(inferred.at(i), (rows.at(i) - mean[c]) / std::sqrt(variance[c] + 1e-5) * scale + offset, 1e-5));
    }
  }
}

TEST_CASE("a layer's states in a model: updated by fit(), read by predict(), saved, loaded, exported and frozen") {
  const auto path = "batch_norm_test.safetensors";
  const Array x = random_array(1, {64, 4}, 5, 2), y = random_array(2, {64, 2});
  const auto make = [](BatchNorm& norm) {
    const Tensor in = input(f32, {4}, "x");
    return Model(in, Dense(2)(norm(Dense(8, relu)(in))));
  };
  GraphScope graph;
  BatchNorm norm({.momentum = 0.5});
  Model model = make(norm);
  REQUIRE(model.weights().contains("batch_norm.mean"));
  require_parts(model.summary(false), {"batch_norm (BatchNorm)", "16", "batch_norm.mean (State)", "updated in training",
                                       "batch_norm.variance (State)", "16 numbers in states"});
  model.compile({.optimizer = SGD{0.01}, .loss = mse});
  const Array before = model.predict(x);
  model.fit(x, y, {.batch_size = 16, .epochs = 2, .verbose = 0});
  const Array mean = norm.states()[0].value();
  REQUIRE_FALSE(mean.same_bits(Array(Type{f32, {8}})));
  REQUIRE_FALSE(model.predict(x).same_bits(before));
  model.evaluate(x, y);
  REQUIRE(norm.states()[0].value().same_bits(mean));  // neither changes it

  model.save(path);
  {
    GraphScope own;
    BatchNorm other({.momentum = 0.5});
    Model loaded = make(other);
    loaded.compile({.optimizer = SGD{0.01}, .loss = mse});
    loaded.load(path);
    REQUIRE(other.states()[0].value().same_bits(mean));
    REQUIRE(loaded.predict(x).same_bits(model.predict(x)));
    loaded.fit(x, y, {.batch_size = 16, .verbose = 0});
    model.fit(x, y, {.batch_size = 16, .verbose = 0});
    REQUIRE(other.states()[0].value().same_bits(norm.states()[0].value()));
    REQUIRE(loaded.predict(x).same_bits(model.predict(x)));
  }
  std::remove(path);
  require_parts(model.compile_object({.training = true}).header, {"batch_norm.mean"});

  norm.set_trainable(false);
  REQUIRE_FALSE(norm.parameters()[0].trainable());
  const Array kept = norm.states()[0].value(), scale = norm.parameters()[0].value();
  model.compile({.optimizer = AdamW{0.01}, .loss = mse});
  require_parts(model.summary(false), {"16 frozen", "frozen", "16 of them are not trainable"});
  model.fit(x, y, {.batch_size = 16, .verbose = 0});
  REQUIRE(norm.states()[0].value().same_bits(kept));
  REQUIRE(norm.parameters()[0].value().same_bits(scale));
  norm.set_trainable(true);
  model.compile({.optimizer = AdamW{0.01}, .loss = mse});
  model.fit(x, y, {.batch_size = 16, .verbose = 0});
  REQUIRE_FALSE(norm.states()[0].value().same_bits(kept));
  REQUIRE_FALSE(norm.parameters()[0].value().same_bits(scale));
}

TEST_CASE("a layer called twice, and a model called on another tensor, update its states in turn") {
  GraphScope graph;
  const Tensor a = input(f32, {2}, "a"), b = input(f32, {2}, "b");
  BatchNorm norm({.momentum = 0.5, .scale = false, .offset = false});
  Dense head(1);
  Model one(a, head(norm(a)));
  Model both({a, b}, {head(norm(a)) + head(norm(b))});
  Model called({a, b}, {one({a})[0] - one({b})[0]});
  const Array ones = f({1, 1, 1, 1}, {2, 2}), threes = f({3, 3, 3, 3}, {2, 2}), y(Type{f32, {2, 1}});
  const auto mean_after = [&](Model& m, const std::vector<Array>& x) {
    norm.states()[0].set_value(f({0, 8}, {2}));
    m.compile({.optimizer = SGD{0.01}, .loss = mse});
    m.fit(x, {y}, {.batch_size = 2, .verbose = 0});
    return doubles(norm.states()[0].value());
  };
  REQUIRE(mean_after(one, {ones}) == std::vector<double>{0.5, 4.5});
  REQUIRE(mean_after(both, {ones, threes}) == std::vector<double>{1.75, 3.75});
  REQUIRE(mean_after(called, {ones, threes}) == std::vector<double>{1.75, 3.75});

  class Counter : public Layer {
   public:
    Counter() : Layer("Counter") {}
    Tensor operator()(const Tensor& x) {
      enter(x);
      if (!built()) state("calls", Array::scalar(0.0f));
      update(states()[0], states()[0] + 1);
      return called({x}, 2 * x);
    }
  } count;
  count(a);
  Model twice(a, head(count(count(a))));  // the first call is the one above
  twice.compile({.optimizer = SGD{0.01}, .loss = mse});
  twice.fit(ones, y, {.batch_size = 2, .verbose = 0});
  REQUIRE(count.states()[0].value().at(0) == 2);
}

TEST_CASE("update() of a state of one's own") {
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x"), other = input(f32, {2}, "other");
  const Tensor count = state(f({0}, {1}), "count"), largest = state(f({0, 0}, {2}), "largest"),
               alone = state(f({0}, {1}), "alone");
  update(count, count + 1);
  update(count, 2 * count);
  update(largest, maximum(largest, max(x, 0)));
  update(alone, alone + sum(other));
  Dense dense(1);
  Model m(x, dense(x));
  REQUIRE(m.weights().contains("count"));
  REQUIRE_FALSE(m.weights().contains("alone"));
  m.compile({.optimizer = SGD{0.0}, .loss = mse});
  m.fit(f({1, 5, 7, 2}, {2, 2}), Array(Type{f32, {2, 1}}), {.batch_size = 1, .epochs = 2, .verbose = 0});
  REQUIRE(doubles(count.value()) == std::vector<double>{2 + 4 + 8 + 16});
  REQUIRE(doubles(largest.value()) == std::vector<double>{7, 5});
  m.predict(f({9, 9}, {1, 2}));
  REQUIRE(doubles(largest.value()) == std::vector<double>{7, 5});
  REQUIRE(alone.value().at(0) == 0);
  const std::string line = here(2);
  require_reported({
      MISTAKE(update(x, x), "update: the first operand is no state; expected one made by state()"),
      FAILS(update(dense.parameters()[0], dense.parameters()[0]), "update: the first operand is a parameter"),
      FAILS(update(count, count + iota(f32, {3})), "update: the new value of state 'count' is f32[3]; expected f32[1]"),
      FAILS(update(Tensor(), count), "update"),
      FAILS(scan({x}, {},
                 [&](const Turn& t) {
                   update(count, count + 1);
                   return Turn{{t.carry[0] + 1}, {}};
                 },
                 {.length = 3}),
            "update: it stands in a scan(): carry what its turns make"),
      FAILS((x + 1).set_trainable(false), "set_trainable: ", "is no parameter or state"),
  });
}

TEST_CASE("parameters that are not trainable get no gradient and no optimiser") {
  for (const Optimizer& optimizer :
       {Optimizer(Adam{0.1}), Optimizer(AdamW{.learning_rate = 0.1, .weight_decay = 0.5})}) {
    GraphScope graph;
    const Tensor x = input(f32, {3}, "x");
    Dense base(4, tanh), head(1);
    base.set_trainable(false);  // before its first call
    Model m(x, head(base(x)));
    m.compile({.optimizer = optimizer, .loss = mse});
    const Array before = base.parameters()[0].value(), trained = head.parameters()[0].value();
    const Array rows = random_array(3, {8, 3});
    m.fit(rows, Array::filled({f32, {8, 1}}, 1), {.batch_size = 4, .epochs = 2, .verbose = 0});
    REQUIRE(base.parameters()[0].value().same_bits(before));
    REQUIRE_FALSE(head.parameters()[0].value().same_bits(trained));
    REQUIRE(m.parameter_count() == 21);
    require_parts(m.summary(false), {"16 frozen", "21 parameters", "16 of them are not trainable"});
    head.set_trainable(false);
    require_reported({MISTAKE(m.compile({.optimizer = optimizer, .loss = mse}),
                              "compile: none of the model's parameters is trainable")});
  }
}

TEST_CASE("a frozen BatchNorm normalises by its running statistics in training too, and models are frozen as a whole") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  BatchNorm norm;
  Model base(x, Dense(3)(norm(x)));
  base.compile({.optimizer = SGD{0.0}, .loss = mse});
  base.set_trainable(false);
  REQUIRE(base.states().size() == 2);
  norm.states()[0].set_value(f({1, 2, 3, 4}, {4}));
  norm.states()[1].set_value(f({4, 4, 4, 4}, {4}));
  Model whole(x, Dense(1)(base({x})[0]));
  whole.compile({.optimizer = SGD{0.0}, .loss = mse});
  const Array rows = random_array(5, {16, 4}, 30, 5), y(Type{f32, {16, 1}});
  const double before = whole.evaluate(rows, y).loss;
  REQUIRE(close(whole.fit(rows, y, {.batch_size = 16, .verbose = 0})["loss"][0], before, 1e-5));
  REQUIRE(norm.states()[0].value().same_bits(f({1, 2, 3, 4}, {4})));
  base.set_trainable(true);
  whole.compile({.optimizer = SGD{0.0}, .loss = mse});
  REQUIRE_FALSE(close(whole.fit(rows, y, {.batch_size = 16, .verbose = 0})["loss"][0], before, 1e-2));
  REQUIRE_FALSE(norm.states()[0].value().same_bits(f({1, 2, 3, 4}, {4})));
}

TEST_CASE("RMSNorm and GroupNorm") {
  GraphScope graph;
  const Array rows = random_array(4, {2, 5, 6}, 1, 2);
  const Tensor x = input(f32, {5, 6}, "x");
  RMSNorm rms;
  GroupNorm group(3);
  const Tensor r = rms(x), g = group(x);
  rms.parameters()[0].set_value(f({1, 2, 3, 4, 5, 6}, {6}));
  group.parameters()[1].set_value(f({1, 2, 3, 4, 5, 6}, {6}));
  const Array by_rms = run(r, {rows}), by_group = run(g, {rows});
  for (std::int64_t i = 0; i < 10; ++i) {
    double squares = 0;
    for (std::int64_t c = 0; c < 6; ++c) squares += rows.at(i * 6 + c) * rows.at(i * 6 + c) / 6;
    for (std::int64_t c = 0; c < 6; ++c)
      REQUIRE(close(by_rms.at(i * 6 + c), rows.at(i * 6 + c) / std::sqrt(squares + 1e-6) * static_cast<double>(c + 1),
                    1e-5));
  }
  for (std::int64_t n = 0; n < 2; ++n)
    for (std::int64_t k = 0; k < 3; ++k) {
      const auto at = [&](std::int64_t i) { return n * 30 + i / 2 * 6 + k * 2 + i % 2; };
      const Moments m = moments(10, [&](std::int64_t i) { return rows.at(at(i)); });
      for (std::int64_t i = 0; i < 10; ++i)
        REQUIRE(close(by_group.at(at(i)),
                      (rows.at(at(i)) - m.mean) / std::sqrt(m.variance + 1e-3) + static_cast<double>(k * 2 + i % 2 + 1),
                      1e-5));
    }
  require_reported({
      MISTAKE(GroupNorm(4)(x), "expected channels that 4 groups divide"),
      FAILS(rms(input(f32, {5, 7})), "rms_norm: the layer was built for 6 channels and is given 7"),
      FAILS(BatchNorm()(placeholder(f32, {3})), "expected a batch axis and channels"),
      FAILS(BatchNorm()(input(f64, {3})), "expected f32"),
      FAILS(group_norm(x, 5), "group_norm: expected [batch, .., channels]"),
  });
}

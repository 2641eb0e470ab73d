// Recurrent layers against their equations, and in training.
#include "support.h"

#include <random>

using namespace weft;
using namespace weft::test;

namespace {

Array random_array(std::mt19937& random, const Shape& shape) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  Array a(Type{f32, shape});
  for (float& v : a.as<float>()) v = uniform(random);
  return a;
}

double logistic(double v) { return 1 / (1 + std::exp(-v)); }

/// The hidden states [batch, time, units] of a cell in double precision.
std::vector<double> reference(std::string_view kind, const Array& x, const Array& w, const Array& u, const Array& b,
                              bool reverse) {
  const std::int64_t batch = x.shape()[0], time = x.shape()[1], features = x.shape()[2], units = u.shape()[0],
                     width = u.shape()[1];
  std::vector<double> out(static_cast<std::size_t>(batch * time * units));
  for (std::int64_t n = 0; n < batch; ++n) {
    std::vector<double> h(static_cast<std::size_t>(units)), c = h;
    for (std::int64_t i = 0; i < time; ++i) {
      const std::int64_t t = reverse ? time - 1 - i : i;
      std::vector<double> p(static_cast<std::size_t>(width)), q = p;
      for (std::int64_t k = 0; k < width; ++k) {
        p[static_cast<std::size_t>(k)] = b.at(k);
        for (std::int64_t f = 0; f < features; ++f)
          p[static_cast<std::size_t>(k)] += x.at((n * time + t) * features + f) * w.at(f * width + k);
        for (std::int64_t m = 0; m < units; ++m)
          q[static_cast<std::size_t>(k)] += h[static_cast<std::size_t>(m)] * u.at(m * width + k);
      }
      for (std::int64_t k = 0; k < units; ++k) {
        const auto at = [&](const std::vector<double>& v, std::int64_t g) {
          return v[static_cast<std::size_t>(g * units + k)];
        };
        double& hk = h[static_cast<std::size_t>(k)];
        double& ck = c[static_cast<std::size_t>(k)];
        if (kind == "rnn") {
          hk = std::tanh(at(p, 0) + at(q, 0));
        } else if (kind == "lstm") {
          const auto gate = [&](std::int64_t g) { return at(p, g) + at(q, g); };
          ck = logistic(gate(1)) * ck + logistic(gate(0)) * std::tanh(gate(2));
          hk = logistic(gate(3)) * std::tanh(ck);
        } else {
          const double z = logistic(at(p, 0) + at(q, 0)), r = logistic(at(p, 1) + at(q, 1));
          hk = (1 - z) * std::tanh(at(p, 2) + r * at(q, 2)) + z * hk;
        }
        out[static_cast<std::size_t>((n * time + t) * units + k)] = hk;
      }
    }
  }
  return out;
}

template <class L>
void check_layer(std::string_view kind, L layer, L last, bool reverse) {
  GraphScope graph;
  const Tensor x = placeholder(f32, {kBatch, symbol("time"), 3}, "x");
  const Tensor all = layer(x), final = last(x);
  CHECK(to_string(all.type()) == "f32[?,?time,4]");
  CHECK(to_string(final.type()) == "f32[?,4]");
  std::mt19937 random(5);
  const Executable both = compile({all, final});
  for (const L* l : {&layer, &last})  // the same values for both
    for (std::size_t i = 0; i < 3; ++i) {
      random.seed(static_cast<unsigned>(i));
      both.set_state(l->parameters()[i].name(), random_array(random, l->parameters()[i].shape()));
    }
  const auto value = [&](std::size_t i) { return layer.parameters()[i].value(); };
  for (const auto& [batch, time] : {std::pair{2, 5}, {1, 1}, {3, 2}}) {
    const Array data = random_array(random, {batch, time, 3});
    const Array sequence = run(all, {data});
    const std::vector<double> want = reference(kind, data, value(0), value(1), value(2), reverse);
    require_close(sequence, want);
    std::vector<double> end;
    for (std::int64_t n = 0; n < batch; ++n)
      for (std::int64_t k = 0; k < 4; ++k)
        end.push_back(want[static_cast<std::size_t>((n * time + (reverse ? 0 : time - 1)) * 4 + k)]);
    require_close(run(final, {data}), end);
  }
}

}  // namespace

TEST_CASE("recurrent layers compute their equations, forwards and backwards, on sequences of any length") {
  for (const bool reverse : {false, true}) {
    const RecurrentOptions all{.return_sequences = true, .reverse = reverse}, last{.reverse = reverse};
    check_layer("rnn", SimpleRNN(4, tanh, all), SimpleRNN(4, tanh, last), reverse);
    check_layer("lstm", LSTM(4, all), LSTM(4, last), reverse);
    check_layer("gru", GRU(4, all), GRU(4, last), reverse);
  }
}

TEST_CASE("stacked recurrent layers learn to tell sequences apart") {
  GraphScope graph;
  set_seed(1);
  const Tensor x = input(f32, {6, 2}, "x");
  const Tensor y = Dense(2)(GRU(8)(LSTM(8, {.return_sequences = true})(x)));
  Model model(x, y);
  model.compile({.optimizer = Adam{.learning_rate = 0.02}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  std::mt19937 random(2);
  const std::int64_t n = 64;
  const Array data = random_array(random, {n, 6, 2});
  Array labels(Type{i32, {n}});  // whether the last value of the first feature is above the first one
  for (std::int64_t i = 0; i < n; ++i)
    labels.as<std::int32_t>()[static_cast<std::size_t>(i)] = data.at(i * 12 + 10) > data.at(i * 12);
  const History history = model.fit(data, labels, {.batch_size = 16, .epochs = 40, .verbose = 0});
  CHECK(history["accuracy"].back() > 0.95);
  CHECK(model.summary().find("LSTM") != std::string::npos);
}

TEST_CASE("recurrent layers report mistakes at their lines") {
  GraphScope graph;
  const Tensor flat = input(f32, {4}, "flat"), x = input(f32, {5, 3}, "x"), wide = input(f32, {5, 4}, "wide");
  LSTM built(2);
  built(x);
  require_reported({
      MISTAKE(LSTM(0), "LSTM: units is 0; expected at least 1"),
      MISTAKE(GRU(-3), "GRU: units is -3; expected at least 1"),
      MISTAKE(LSTM(std::int64_t{1} << 62), "LSTM: units is 4611686018427387904; expected at most 16777216"),
      MISTAKE(SimpleRNN(2)(flat), "expected sequences, [batch, time, features]", "f32[?,4]"),
      MISTAKE(built(wide), "the layer was built for 3 features and is given 4"),
      MISTAKE(LSTM(2)(placeholder(f32, {2, 3, symbol("n")})), "the number of features is unbound"),
  });
}

// The Gpt: it learns a text, continues it with the bits of a pass over the whole text, and chooses tokens as it is
// told.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr GptOptions kSmall{.vocabulary = 7, .context = 12, .layers = 2, .heads = 2, .width = 16};

std::vector<std::int32_t> some_tokens(std::int64_t n) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < n; ++i) tokens.push_back(static_cast<std::int32_t>((i * i + 3 * i) % kSmall.vocabulary));
  return tokens;
}

}  // namespace

TEST_CASE("a Gpt learns what follows what, and continues accordingly") {
  GraphScope graph;
  Gpt net(kSmall);
  const Tensor tokens = input(i32, {kSmall.context}, "tokens");
  Model model(tokens, net(tokens));
  model.compile({.optimizer = Adam{1e-2}, .loss = softmax_cross_entropy, .metrics = {accuracy, top_k(2)}});
  std::vector<std::int32_t> text;
  for (int i = 0; i < 12 * 64 + 1; ++i) text.push_back(i % 7);
  const Dataset windows = data::next_token_windows(Array::from<std::int32_t>(text, {12 * 64 + 1}), kSmall.context);
  const History h = model.fit(windows, {.batch_size = 16, .epochs = 25, .verbose = 0});
  REQUIRE(h["loss"].back() < 0.05);
  REQUIRE(h["accuracy"].back() > 0.99);
  REQUIRE(h["top_2"].back() >= h["accuracy"].back());
  Continuation continuation(net);
  continuation.read(std::vector<std::int32_t>{2, 3});
  for (std::int32_t i = 0; i < 40; ++i) REQUIRE(continuation.next({.temperature = 0}) == (4 + i) % 7);
}

TEST_CASE(
    "a Continuation gives the bits of a pass over the text, and starts again from its last half when it is full") {
  GraphScope graph;
  Gpt net(kSmall);
  const Tensor tokens = input(i32, {kSmall.context}, "tokens");
  Model model(tokens, net(tokens));
  const std::vector<std::int32_t> text = some_tokens(40);
  /// The scores after the last of the tokens, by a pass over them and whatever follows.
  const auto by_pass = [&](std::span<const std::int32_t> seen) {
    Array window(Type{i32, {1, kSmall.context}});
    std::ranges::copy(seen, window.as<std::int32_t>().begin());
    const Array all = model.predict(window);
    std::vector<double> last;
    for (std::int64_t c = 0; c < kSmall.vocabulary; ++c)
      last.push_back(all.at((std::ssize(seen) - 1) * kSmall.vocabulary + c));
    return last;
  };
  for (const std::size_t at_once : {1, 5, 40}) {
    Continuation continuation(net);
    std::size_t first = 0;  // of what is seen
    for (std::size_t n = 0; n < text.size(); n += at_once) {
      const Array& scores = continuation.read(std::span(text).subspan(n, std::min(at_once, text.size() - n)));
      const std::size_t end = std::min(n + at_once, text.size());
      while (end - first > 12) first += 12 - 5;  // the last 5 and those that follow
      REQUIRE(doubles(scores) == by_pass(std::span(text).subspan(first, end - first)));
    }
  }
  Continuation one(net), two(net), three(net);
  for (Continuation* c : {&one, &two, &three}) c->read(text);
  std::vector<std::int32_t> a, b, c;
  for (int i = 0; i < 30; ++i) {
    a.push_back(one.next({.seed = 5}));
    b.push_back(two.next({.seed = 5}));
    c.push_back(three.next({.seed = 6}));
  }
  REQUIRE(a == b);
  REQUIRE(a != c);
  Continuation fresh(net);
  require_reported({
      FAILS(fresh.next(), "Continuation: nothing was read"),
      FAILS(fresh.read({}), "Continuation: nothing to read"),
      FAILS(fresh.read(std::vector<std::int32_t>{1, 7}), "Continuation: 7 is no token; expected 0 to 6"),
      FAILS(fresh.read(std::vector<std::int32_t>{-1}), "Continuation: -1 is no token"),
      MISTAKE(Continuation(Gpt(kSmall)), "the model has not been called yet"),
  });
}

TEST_CASE("choose_token: temperature, top_k, top_p, and scores that are no numbers") {
  const float kInf = HUGE_VALF;
  struct Row {
    std::vector<float> scores;
    SampleOptions options;
    double drawn;
    std::int32_t chosen;
  };
  const std::vector<float> likes = {std::log(1.0f), std::log(4.0f), std::log(3.0f), std::log(2.0f)};  // 0.1 0.4 0.3 0.2
  for (const Row& row : {
           Row{likes, {}, 0, 1},
           Row{likes, {}, 0.39, 1},
           Row{likes, {}, 0.41, 2},
           Row{likes, {}, 0.71, 3},
           Row{likes, {}, 0.91, 0},
           Row{likes, {}, 0.999999, 0},
           Row{likes, {.temperature = 0}, 0.99, 1},
           Row{likes, {.temperature = 1e-9}, 0.99, 1},
           Row{likes, {.top_k = 1}, 0.99, 1},
           Row{likes, {.top_k = 2}, 0.99, 2},
           Row{likes, {.top_k = 9}, 0.99, 0},
           Row{likes, {.top_p = 0.39}, 0.99, 1},
           Row{likes, {.top_p = 0.41}, 0.99, 2},
           Row{likes, {.top_p = 1e-9}, 0.99, 1},
           Row{{3, 3, 3}, {.temperature = 0}, 0.99, 0},
           Row{{NAN, 1, NAN}, {}, 0.99, 1},
           Row{{1, kInf, 2}, {}, 0.99, 1},
           Row{{-kInf, 0, -kInf}, {}, 0.99, 1},
           Row{{-kInf, -kInf}, {}, 0.99, 0},
           Row{{1e30f, -1e30f}, {}, 0.99, 0},
       }) {
    CAPTURE(row.drawn, row.options.temperature, row.options.top_k, row.options.top_p);
    REQUIRE(choose_token(row.scores, row.options, row.drawn) == row.chosen);
  }
  require_reported({
      FAILS(choose_token(std::vector<float>{NAN}, {}, 0), "no token has a score that is a number"),
      FAILS(choose_token({}, {}, 0), "no token has a score that is a number"),
      FAILS(choose_token(likes, {.temperature = -1}, 0), "SampleOptions: temperature is -1"),
      FAILS(choose_token(likes, {.temperature = NAN}, 0), "SampleOptions: temperature is nan"),
      FAILS(choose_token(likes, {.top_k = -1}, 0), "SampleOptions: top_k is -1"),
      FAILS(choose_token(likes, {.top_p = 0}, 0), "SampleOptions: top_p is 0"),
  });
}

TEST_CASE("losses and metrics of sequences: labels [batch, time] for scores [batch, time, classes]") {
  GraphScope graph;
  const Tensor p = placeholder(f32, {2, 3, 2}, "p"), t = placeholder(i32, {2, 3}, "t");
  const Array scores = f({0, 1, 2, 0, 0, 0, 5, 0, 0, 3, 1, 0}, {2, 3, 2}), labels = i({1, 0, 0, 1, 1, 0}, {2, 3});
  std::vector<double> want;
  for (int n = 0; n < 2; ++n) {
    double sum = 0;
    for (int k = 0; k < 3; ++k) {
      const double a = scores.at(n * 6 + k * 2), b = scores.at(n * 6 + k * 2 + 1);
      sum += std::log(std::exp(a) + std::exp(b)) - (labels.at(n * 3 + k) == 1 ? b : a);
    }
    want.push_back(sum / 3);
  }
  require_close(run(softmax_cross_entropy(p, t), {scores, labels}, {p, t}), want);
  require_close(run(softmax_cross_entropy_smoothed(0)(p, t), {scores, labels}, {p, t}), want);
  require_close(run(sparse_cross_entropy(softmax(p), t), {scores, labels}, {p, t}), want, 1e-5);
  require_close(run(categorical_cross_entropy_with_logits(p, one_hot(t, 2)), {scores, labels}, {p, t}), want);
  require_close(run(accuracy.sums(p, t)[0], {scores, labels}, {p, t}), {1 + 2.0 / 3});
  require_close(run(accuracy.sums(p, one_hot(t, 2))[0], {scores, labels}, {p, t}), {1 + 2.0 / 3});
  require_close(run(top_k(1).sums(p, t)[0], {scores, labels}, {p, t}), {4.0 / 3 + 1.0 / 3});

  const Tensor x = input(i32, {3}, "x");
  Model m(x, Dense(4)(Embedding(4, 8)(x)));
  m.compile({.optimizer = Adam{0.05}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  Array rows(Type{i32, {32, 3}}), follows(Type{i32, {32, 3}});
  for (std::size_t k = 0; k < 96; ++k) {
    rows.as<std::int32_t>()[k] = static_cast<std::int32_t>(k * k % 4);
    follows.as<std::int32_t>()[k] = (rows.as<std::int32_t>()[k] + 1) % 4;
  }
  REQUIRE(m.fit(rows, follows, {.batch_size = 8, .epochs = 20, .verbose = 0})["accuracy"].back() == 1);
  REQUIRE(m.evaluate(rows, follows)["accuracy"] == 1);
  Array wrong = follows.clone();
  wrong.as<std::int32_t>()[40] = 4;
  require_reported({
      FAILS(m.fit(rows, wrong, {.verbose = 0}), "label 4 in row 13 is outside 0 … 3 (4 classes)"),
      FAILS(m.fit(rows, Array(Type{i32, {32}}), {.verbose = 0}), "target 0 has rows of i32[?]",
            "expects integer labels, rows of i32[?,3]"),
      FAILS(softmax_cross_entropy(p, placeholder(i32, {2, 4})),
            "expected scores [batch, .., classes] and integer labels [batch, ..]"),
  });
}

// Losses and metrics against their definitions in double precision.
#include <map>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

// Three samples of four features (classes).
const std::vector<float> kScores = {1.5f, -0.5f, 0.25f, 2.f, -3.f, 0.f, 4.f, 1.f, 0.1f, 0.2f, 0.3f, -0.4f};
const std::vector<float> kTargets = {1.f, 0.5f, -0.25f, 2.25f, -1.f, 0.f, 0.f, 1.f, 0.f, 2.f, 3.f, -2.f};
const std::vector<std::int32_t> kLabels = {3, 0, 1};

std::vector<double> row(const std::vector<float>& v, std::size_t r) {
  return {v.begin() + static_cast<std::ptrdiff_t>(4 * r), v.begin() + static_cast<std::ptrdiff_t>(4 * r + 4)};
}

std::vector<double> softmax_of(std::vector<double> z) {
  double total = 0;
  for (double& v : z) total += v = std::exp(v);
  for (double& v : z) v /= total;
  return z;
}

/// The loss of each sample from a function of (prediction, target) rows.
template <class F>
std::vector<double> by_row(const std::vector<float>& p, const std::vector<float>& t, F f) {
  std::vector<double> out;
  for (std::size_t r = 0; r < p.size() / 4; ++r) out.push_back(f(row(p, r), row(t, r)));
  return out;
}

template <class F>
double mean_of(const std::vector<double>& p, const std::vector<double>& t, F f) {
  double total = 0;
  for (std::size_t k = 0; k < p.size(); ++k) total += f(p[k], t[k]);
  return total / static_cast<double>(p.size());
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<float> map(std::vector<float> v, double (*fn)(double)) {
  for (float& x : v) x = static_cast<float>(fn(x));
  return v;
}

std::vector<float> probabilities() {
  std::vector<float> out;
  for (std::size_t r = 0; r < 3; ++r)
    for (double p : softmax_of(row(kScores, r))) out.push_back(static_cast<float>(p));
  return out;
}

std::vector<float> one_hot_targets() {
  std::vector<float> out(12, 0);
  for (std::size_t r = 0; r < 3; ++r) out[4 * r + static_cast<std::size_t>(kLabels[r])] = 1;
  return out;
}

}  // namespace

TEST_CASE("losses on values") {
  struct Row {
    Loss loss;
    double (*element)(double p, double t);
  };
  const Row rows[] = {
      {mse, [](double p, double t) { return (p - t) * (p - t); }},
      {mae, [](double p, double t) { return std::abs(p - t); }},
      {huber(),
       [](double p, double t) {
         const double e = std::abs(p - t);
         return e <= 1 ? e * e / 2 : e - 0.5;
       }},
      {huber(0.3),
       [](double p, double t) {
         const double e = std::abs(p - t);
         return e <= 0.3 ? e * e / 2 : 0.3 * (e - 0.15);
       }},
  };
  for (const Row& r : rows) {
    GraphScope graph;
    CAPTURE(r.loss.name());
    const Tensor p = input(f32, {4}, "p"), t = input(f32, {4}, "t");
    const std::vector<double> want =
        by_row(kScores, kTargets, [&](auto a, auto b) { return mean_of(a, b, r.element); });
    require_close(run(r.loss(p, t), {f(kScores, {3, 4}), f(kTargets, {3, 4})}), want, 1e-6);
  }
}

TEST_CASE("cross-entropies from logits and from probabilities agree with their definition") {
  GraphScope graph;
  const Tensor z = input(f32, {4}, "z"), label = input(i32, {}, "label"), hot = input(f32, {4}, "hot");
  const Array scores = f(kScores, {3, 4}), p = f(probabilities(), {3, 4}), labels = i(kLabels, {3}),
              one_hot_rows = f(one_hot_targets(), {3, 4});
  std::vector<double> want;
  for (std::size_t r = 0; r < 3; ++r)
    want.push_back(-std::log(softmax_of(row(kScores, r))[static_cast<std::size_t>(kLabels[r])]));
  require_close(run(softmax_cross_entropy(z, label), {scores, labels}, {z, label}), want, 1e-6);
  require_close(run(sparse_cross_entropy(z, label), {p, labels}, {z, label}), want, 1e-6);
  require_close(run(categorical_cross_entropy_with_logits(z, hot), {scores, one_hot_rows}, {z, hot}), want, 1e-6);
  require_close(run(categorical_cross_entropy(z, hot), {p, one_hot_rows}, {z, hot}), want, 1e-6);
  // u8, i64 and [batch, 1] labels are labels too.
  for (DType dtype : {u8, i64}) {
    const Tensor l = input(dtype, {1}, "");
    require_close(run(softmax_cross_entropy(z, l), {scores, labels.converted(dtype).reshaped({3, 1})}, {z, l}), want,
                  1e-6);
  }
}

TEST_CASE("binary cross-entropy from logits and from probabilities") {
  GraphScope graph;
  const Tensor z = input(f32, {4}, "z"), t = input(f32, {4}, "t");
  const std::vector<float> targets = {1, 0, 1, 0, 0, 1, 1, 0, 0.5f, 0, 1, 1};
  const auto want = by_row(kScores, targets, [](auto a, auto b) {
    return mean_of(a, b, [](double x, double y) {
      return -(y * std::log(sigmoid_of(x)) + (1 - y) * std::log(1 - sigmoid_of(x)));
    });
  });
  require_close(run(binary_cross_entropy_with_logits(z, t), {f(kScores, {3, 4}), f(targets, {3, 4})}, {z, t}), want,
                1e-6);
  require_close(run(binary_cross_entropy(z, t), {f(map(kScores, sigmoid_of), {3, 4}), f(targets, {3, 4})}, {z, t}),
                want, 1e-6);
  // Targets [batch] fit predictions [batch, 1], whatever their dtype.
  const Tensor one = input(f32, {1}, "one"), flat = input(u8, {}, "flat");
  require_close(
      run(binary_cross_entropy_with_logits(one, flat), {f({2, -1}, {2, 1}), i({1, 0}, {2}).converted(u8)}, {one, flat}),
      {-std::log(sigmoid_of(2)), -std::log(sigmoid_of(1))}, 1e-6);
}

TEST_CASE("losses from logits stay finite, with finite gradients, at extreme scores") {
  GraphScope graph;
  const Tensor z = input(f32, {2}, "z"), label = input(i32, {}, "label"), t = input(f32, {2}, "t");
  const std::vector<float> extreme = {1000, -1000, -1000, 1000};
  const Tensor losses[] = {softmax_cross_entropy(z, label), categorical_cross_entropy_with_logits(z, t),
                           binary_cross_entropy_with_logits(z, t)};
  const double want[][2] = {{2000, 0}, {2000, 0}, {1000, 0}};
  for (std::size_t k = 0; k < 3; ++k) {
    const std::vector<Array> in = {f(extreme, {2, 2}), i({1, 1}, {2}), f({0, 1, 0, 1}, {2, 2})};
    require_close(run(losses[k], in, {z, label, t}), {want[k][0], want[k][1]});
    for (double g : doubles(run(grad(sum(losses[k]), {z})[0], in, {z, label, t}))) REQUIRE(std::abs(g) <= 1);
  }
}

TEST_CASE("the gradient of softmax cross-entropy is softmax minus one-hot") {
  GraphScope graph;
  const Tensor z = input(f32, {4}, "z"), label = input(i32, {}, "label");
  const Tensor g = grad(sum(softmax_cross_entropy(z, label)), {z})[0];
  std::vector<double> want;
  for (std::size_t r = 0; r < 3; ++r) {
    std::vector<double> p = softmax_of(row(kScores, r));
    p[static_cast<std::size_t>(kLabels[r])] -= 1;
    want.insert(want.end(), p.begin(), p.end());
  }
  require_close(run(g, {f(kScores, {3, 4}), i(kLabels, {3})}, {z, label}), want, 1e-6);
}

TEST_CASE("a loss of one's own gets its target as a built-in one of its kind does, and so do the metrics beside it") {
  const auto own_mse = [](const Tensor& p, const Tensor& t) { return mean(square(p - t), -1); };
  const auto own_binary = [](const Tensor& p, const Tensor& t) {
    return mean(-t * log_sigmoid(p) - (1 - t) * log_sigmoid(-p), -1);
  };
  const auto own_softmax = [](const Tensor& z, const Tensor& labels) {
    return -sum(weft::where(one_hot(labels, z.shape().back(), boolean), log_softmax(z), 0.0), -1);
  };
  struct Row {
    Loss built_in, own;
    Shape features;  // of the prediction
    std::vector<Type> targets;
  };
  const Row rows[] = {
      {mse, own_mse, {1}, {{f32, {4, 1}}, {f32, {4}}, {f64, {4}}, {i32, {4, 1}}, {i64, {4}}, {boolean, {4}}}},
      {mse, Loss("own", own_mse), {3}, {{f32, {4, 3}}, {f64, {4, 3}}, {i32, {4, 3}}}},
      {binary_cross_entropy_with_logits,
       Loss("own", own_binary, Loss::binary),
       {1},
       {{f32, {4, 1}}, {f64, {4}}, {i32, {4}}, {u8, {4}}, {boolean, {4, 1}}}},
      {softmax_cross_entropy,
       Loss("own", own_softmax, Loss::labels),
       {3},
       {{i32, {4}}, {i32, {4, 1}}, {i64, {4}}, {u8, {4, 1}}}},
  };
  const Array inputs = f({0.25, -1, 2, 0.5, 1, -0.75, 3, 0, 1, 2, 0, -2}, {4, 3});
  for (const Row& row : rows)
    for (const Type& type : row.targets) {
      CAPTURE(row.built_in.name(), to_string(type));
      Array y(Type{i32, type.shape});
      for (std::int64_t k = 0; k < y.size(); ++k) y.as<std::int32_t>()[static_cast<std::size_t>(k)] = k % 3 == 0;
      const Array target = y.converted(type.dtype);
      std::vector<Scores> scores;
      for (const Loss& loss : {row.built_in, row.own}) {
        GraphScope graph;
        const Tensor x = input(f32, {3}, "x");
        Model model(x, Dense(row.features[0])(x));
        const Metric same{"same",
                          [&](const Tensor& p, const Tensor& t) { return std::vector<Tensor>{sum(loss(p, t))}; },
                          accuracy.result};
        model.compile({.optimizer = SGD{0.1}, .loss = loss, .metrics = {same}});
        model.fit(inputs, target, {.batch_size = 2, .shuffle = false, .verbose = 0});
        scores.push_back(model.evaluate(inputs, target));
        CHECK(scores.back()["same"] == Approx(scores.back().loss));
      }
      CHECK(scores[0].loss == Approx(scores[1].loss).epsilon(1e-5));
    }
}

TEST_CASE("what does not fit a loss's kind of target is refused before its function sees it; any is handed on") {
  GraphScope graph;
  const Tensor p = input(f32, {4}, "p"), label = input(i32, {}, "label"), one = input(f64, {1}, "one");
  const auto never = [](const Tensor&, const Tensor&) -> Tensor { throw Error("called"); };
  require_reported({
      MISTAKE(Loss("loss", never)(p, label), "loss: prediction and target differ in shape; expected a target of [?,4]",
              "(a loss on labels is a Loss::labels)"),
      MISTAKE(Loss("mine", never, Loss::labels)(p, one),
              "mine: expected scores [batch, .., classes] and integer labels"),
  });
  const Loss any(
      "any", [](const Tensor& q, const Tensor& t) { return sum(q * astype(t, f32), -1); }, Loss::any);
  CHECK(any.prepared(p, one).same(one));
  CHECK(any(p, one).shape() == Shape{kBatch});
}

TEST_CASE("losses refuse targets that do not fit") {
  GraphScope graph;
  const Tensor p = input(f32, {4}, "p"), t = input(f32, {3}, "t"), label = input(i32, {}, "label"),
               wide = input(f32, {2, 2}, "wide");
  require_reported({MISTAKE(mse(p, t), "mse: prediction and target differ in shape; expected a target of [?,4]",
                            "f32[?,4] from", "f32[?,3] from")});
  require_reported(
      {MISTAKE(softmax_cross_entropy(p, t),
               "softmax_cross_entropy: expected scores [batch, .., classes] and integer labels [batch, ..]")});
  require_reported({MISTAKE(softmax_cross_entropy(wide, label), "softmax_cross_entropy: expected scores")});
  require_reported({MISTAKE(Loss()(p, t), "an empty Loss was called")});
  const Loss scalar("mine", [](const Tensor& a, const Tensor& b) { return mean(a) - mean(b); });
  require_reported({MISTAKE(scalar(p, p), "loss 'mine' gives f32[]", "expected one number a sample, [batch]")});
  const Loss whole("whole", [](const Tensor& a, const Tensor&) { return astype(sum(a, -1), i32); });
  require_reported({MISTAKE(whole(p, p), "loss 'whole' gives i32[?]", "expected one number a sample, [batch]")});
}

TEST_CASE("batch axes that do not lie on each other are refused") {
  GraphScope graph;
  const Tensor column = input(f32, {1}, "column"), rows = input(f32, {3}, "rows"), each = input(f32, {}, "each"),
               fixed = placeholder(f32, {4, 1}, "fixed");
  const char* what = "the batch axes do not meet: the result would be [?,?]";
  require_reported({
      MISTAKE(column - each, "sub: ", what, "expand_dims() or squeeze()", "f32[?,1] from", "f32[?] from"),
      MISTAKE(each < column, what),
      MISTAKE(maximum(column, each), what),
      MISTAKE(where(each > 0, column, 0.0), what),
      MISTAKE(where(column > 0, each, column), what),
  });
  // What lies on each other, and what is asked for.
  CHECK((column - expand_dims(each, -1)).shape() == Shape{kBatch, 1});
  CHECK((squeeze(column, 1) * each).shape() == Shape{kBatch});
  CHECK((rows * column).shape() == Shape{kBatch, 3});
  CHECK((column - expand_dims(each, 0)).shape() == Shape{kBatch, kBatch});
  CHECK((fixed + each).shape() == Shape{4, kBatch});
  const Tensor pairs = matmul(rows, transpose(rows));
  CHECK((pairs - each).shape() == Shape{kBatch, kBatch});
  CHECK((pairs + column).shape() == Shape{kBatch, kBatch});
}

TEST_CASE("metrics") {
  // Scores of six samples, three classes; arg max: 2, 0, 1, 1, 0, 2.
  const std::vector<float> scores = {1, 2, 3, 5, 1, 2, 0, 4, 1, 2, 3, 1, 9, 8, 7, 1, 2, 4};
  const std::vector<std::int32_t> labels = {2, 1, 1, 1, 2, 0};
  struct Row {
    Metric metric;
    double want;
  };
  const Row rows[] = {
      {accuracy, 3.0 / 6}, {top_k(1), 3.0 / 6}, {top_k(2), 3.0 / 6}, {top_k(3), 1},
      {precision, 1},      {recall, 2.0 / 3},   {f1, 0.8},           {confusion_matrix(3), 0.5},
  };
  auto result = [](const Metric& m, const Tensor& p, const Tensor& t, const std::vector<Array>& in) {
    std::vector<Array> totals;
    for (const Tensor& s : m.sums(p, t)) totals.push_back(run(s, in, {p, t}).converted(f64));
    return std::pair{m.result(totals, in[0].shape()[0]), totals};
  };
  for (const Row& r : rows) {
    GraphScope graph;
    CAPTURE(r.metric.name);
    const Tensor p = input(f32, {3}, "p"), t = input(i32, {}, "t");
    const std::vector<Array> in = {f(scores, {6, 3}), i(labels, {6})};
    REQUIRE(result(r.metric, p, t, in).first == Approx(r.want));
    // The same from one-hot targets.
    std::vector<float> hot(18, 0);
    for (std::size_t k = 0; k < 6; ++k) hot[3 * k + static_cast<std::size_t>(labels[k])] = 1;
    const Tensor h = input(f32, {3}, "h");
    REQUIRE(result(r.metric, p, h, {in[0], f(hot, {6, 3})}).first == Approx(r.want));
  }
  GraphScope graph;
  const Tensor p = input(f32, {3}, "p"), t = input(i32, {}, "t"), q = input(f32, {1}, "q");
  const auto [value, table] = result(confusion_matrix(3), p, t, {f(scores, {6, 3}), i(labels, {6})});
  require_close(table[0], {0, 0, 1, 1, 2, 0, 1, 0, 1});
  // Two samples by probability or logit of class 1, and values.
  const std::vector<Array> two = {f({0.4f, 0.6f}, {2, 1}), i({0, 0}, {2})};
  REQUIRE(result(accuracy, q, t, two).first == 0.5);
  REQUIRE(result(binary_accuracy_from_logits, q, t, two).first == 0);
  REQUIRE(result(precision, q, t, two).first == 0);
  REQUIRE(result(mean_absolute_error, q, t, two).first == Approx(0.5));
  REQUIRE(result(mean_squared_error, q, t, two).first == Approx(0.26));
}

// Metrics: counts as sums over the batch.
#include "frontend/nn/metrics.h"

#include "frontend/nn/early.h"
#include "frontend/nn/losses.h"
#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

double ratio(double a, double b) { return b == 0 ? 0 : a / b; }

/// Classes [batch, ..], i32 or i64, and whether a sample has one, bool (undefined: all have).
struct Classes {
  Tensor number, known;
};

Tensor both(const Tensor& p, const Tensor& q) { return !p.defined() ? q : !q.defined() ? p : p & q; }

/// Those with the highest score; where one is NaN, so is their maximum, and there is no class.
Classes highest(const Tensor& scores) {
  const Tensor top = max(scores, -1);
  return {argmax(scores), top == top};
}

/// The classes that a target for scores p names: labels (a float one must be whole), or the arg max of one-hot rows.
Classes target_class(const Tensor& p, const Tensor& t) {
  const bool has_rows = t.rank() == p.rank();
  if (has_rows && t.shape().back() > 1) return highest(t);
  const Tensor flat = has_rows ? squeeze(t, -1) : t;
  if (is_float(flat.dtype())) return {astype(flat, i32), floor(flat) == flat};
  return {flat.dtype() == i64 ? flat : astype(flat, i32), {}};
}

/// The classes that scores predict. One column is the probability of class 1.
Classes predicted_class(std::string_view metric, const Tensor& p, double threshold = 0.5) {
  if (p.rank() < 2) type_error_of(metric, {p}, "expected scores [batch, .., classes] or [batch, .., 1]");
  if (p.shape().back() > 1) return highest(p);
  const Tensor score = squeeze(p, -1);
  return {astype(score > threshold, i32), score == score};
}

Tensor is_class(const Classes& c, std::int64_t number) { return both(c.number == number, c.known); }

Tensor agree(const Classes& a, const Classes& b) {
  return both(both(astype(a.number, b.number.dtype()) == b.number, a.known), b.known);
}

double per_sample(std::span<const Array> s, std::int64_t samples) {
  return ratio(s[0].at(0), static_cast<double>(samples));
}

/// A metric that is the mean over the samples of something that is [batch, ..], its mean where a sample has several.
template <class F>
Metric mean_metric(std::string name, F of_sample) {
  return {name,
          [name, of_sample](const Tensor& p, const Tensor& t) -> std::vector<Tensor> {
            const BuiltinScope scope(name);
            return {sum(sample_mean(astype(of_sample(p, t), f32)))};
          },
          per_sample};
}

/// True positives, predicted positives, actual positives of class 1.
std::vector<Tensor> positives(std::string_view metric, const Tensor& p, const Tensor& t) {
  const BuiltinScope scope(metric);
  const Tensor predicted = is_class(predicted_class(metric, p), 1), actual = is_class(target_class(p, t), 1);
  return {sum(astype(predicted & actual, f32)), sum(astype(predicted, f32)), sum(astype(actual, f32))};
}

Metric positives_metric(const char* name, double (*result)(std::span<const Array>, std::int64_t)) {
  return {name, [name](const Tensor& p, const Tensor& t) { return positives(name, p, t); }, result};
}

}  // namespace

WEFT_CONSTANT(Metric, accuracy, mean_metric("accuracy", [](const Tensor& p, const Tensor& t) {
                return agree(predicted_class("accuracy", p), target_class(p, t));
              }))
WEFT_CONSTANT(Metric, binary_accuracy_from_logits, mean_metric("accuracy", [](const Tensor& p, const Tensor& t) {
                return agree(predicted_class("accuracy", p, 0), target_class(p, t));
              }))
WEFT_CONSTANT(Metric, mean_absolute_error,
              mean_metric("mean_absolute_error", [](const Tensor& p, const Tensor& t) { return mae(p, t); }))
WEFT_CONSTANT(Metric, mean_squared_error,
              mean_metric("mean_squared_error", [](const Tensor& p, const Tensor& t) { return mse(p, t); }))

WEFT_CONSTANT(Metric, precision, positives_metric("precision", [](std::span<const Array> s, std::int64_t) {
                return ratio(s[0].at(0), s[1].at(0));
              }))
WEFT_CONSTANT(Metric, recall, positives_metric("recall", [](std::span<const Array> s, std::int64_t) {
                return ratio(s[0].at(0), s[2].at(0));
              }))
WEFT_CONSTANT(Metric, f1, positives_metric("f1", [](std::span<const Array> s, std::int64_t) {
                return ratio(2 * s[0].at(0), s[1].at(0) + s[2].at(0));
              }))

// The label is among the k highest when fewer than k scores beat its own.
Metric top_k(int k, std::source_location where) {
  const LocScope scope(where);
  check_count("top_k", "k", k);
  return mean_metric(fmt::format("top_{}", k), [k](const Tensor& p, const Tensor& t) {
    if (p.rank() < 2) type_error_of("top_k", {p}, "expected scores [batch, .., classes]");
    const Classes target = target_class(p, t);
    const std::int64_t classes = p.shape().back();
    const Tensor own = sum(weft::where(one_hot(target.number, classes, boolean), p, 0.0), -1, true);
    const Tensor hit = (sum(p > own, -1) < k) & highest(p).known & in_classes(target.number, classes);
    return both(hit, target.known);
  });
}

// counts[a, b] = sum over the batch of [true class = a] [predicted class = b].
Metric confusion_matrix(int classes, std::source_location where) {
  const LocScope scope(where);
  check_count("confusion_matrix", "classes", classes, 2);
  return {"confusion_matrix",
          [classes](const Tensor& p, const Tensor& t) -> std::vector<Tensor> {
            const BuiltinScope scope("confusion_matrix");
            if (p.rank() != 2) type_error_of("confusion_matrix", {p}, "expected scores [batch, classes] or [batch, 1]");
            const Classes predicted = predicted_class("confusion_matrix", p), actual = target_class(p, t);
            if (const std::int64_t scored = std::max<std::int64_t>(2, p.shape().back()); scored != classes)
              type_error_of("confusion_matrix", {p}, fmt::format("{} classes; expected {}", classes, scored));
            const Tensor counted = astype(both(predicted.known, actual.known), f32);
            return {contract(one_hot(actual.number, classes) * expand_dims(counted, 1),
                             one_hot(predicted.number, classes), {0}, {0})};
          },
          [classes](std::span<const Array> s, std::int64_t samples) {
            double hits = 0;
            for (int i = 0; i < classes; ++i) hits += s[0].at(i * (classes + 1));
            return ratio(hits, static_cast<double>(samples));
          }};
}

}  // namespace weft

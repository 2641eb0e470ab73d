// Losses, from logits where they can be: no probability is formed that could round to 0.
#include "frontend/nn/losses.h"

#include <cmath>
#include <limits>

#include "frontend/nn/activations.h"
#include "frontend/nn/early.h"
#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

constexpr double kFar = 1024;      // e^-x is 0 from here on, all the more
constexpr double kEpsilon = 1e-7;  // probabilities are kept in [epsilon, 1 - epsilon], as in Keras

/// The target in the prediction's dtype, with its shape.
Tensor matching(const std::string& loss, const Tensor& p, const Tensor& t) {
  Tensor target = astype(t, p.dtype());
  if (target.rank() + 1 == p.rank() && p.shape().back() == 1) target = expand_dims(target, -1);
  if (!(target.shape() == p.shape()))
    type_error_of(loss, {p, t},
                  fmt::format("prediction and target differ in shape; expected a target of {}{}", to_string(p.shape()),
                              is_integer(t.dtype()) ? " (a loss on labels is a Loss::labels)" : ""));
  return target;
}

/// The integer labels [batch, ..] for scores [batch, .., classes].
Tensor class_labels(const std::string& loss, const Tensor& p, const Tensor& t) {
  Tensor labels = t;
  if (labels.rank() == p.rank() && labels.shape().back() == 1) labels = squeeze(labels, -1);
  if (p.rank() < 2 || !is_integer(t.dtype()) || !(labels.shape() == without_last(p.shape())))
    type_error_of(loss, {p, t}, "expected scores [batch, .., classes] and integer labels [batch, ..]");
  return labels;
}

/// The element of each row of x that the label names, NaN where it names none: a select and a sum over the classes,
/// which fuse into the row's kernel.
Tensor at_label(const Tensor& x, const Tensor& labels) {
  const std::int64_t classes = x.shape().back();
  const Tensor element = sum(where(one_hot(labels, classes, boolean), x, 0.0), -1);
  return where(in_classes(labels, classes), element, std::numeric_limits<double>::quiet_NaN());
}

/// t x, which is 0 where t is 0, also for an infinite x.
Tensor weighted(const Tensor& t, const Tensor& x) { return t * where((t == 0) & (abs(x) == HUGE_VAL), 0, x); }

Tensor mse_of(const Tensor& p, const Tensor& t) { return sample_mean(square(p - t)); }
Tensor mae_of(const Tensor& p, const Tensor& t) { return sample_mean(abs(p - t)); }

// log sum e^(z - max) - (z - max)[label]
Tensor softmax_cross_entropy_of(const Tensor& z, const Tensor& labels) {
  const Tensor s = z - spread_back(stop_gradient(max(z, -1)), z, {z.rank() - 1});
  return sample_mean(log(sum(exp(s), -1)) - at_label(s, labels));
}

Tensor sparse_cross_entropy_of(const Tensor& p, const Tensor& labels) {
  return sample_mean(-log(clip(at_label(p, labels), kEpsilon, 1 - kEpsilon)));
}

Tensor categorical_from_logits(const Tensor& z, const Tensor& target) {
  return sample_mean(-sum(weighted(target, log_softmax(z)), -1));
}

// Probabilities are divided by their sum first, as in Keras.
Tensor categorical_of(const Tensor& p, const Tensor& target) {
  return sample_mean(-sum(target * log(clip(p / sum(p, -1, true), kEpsilon, 1 - kEpsilon)), -1));
}

// -t log sigmoid(z) - (1 - t) log sigmoid(-z): both parts are positive, so that nothing cancels.
Tensor binary_from_logits(const Tensor& z, const Tensor& target) {
  return sample_mean(weighted(target, softplus(-z)) + weighted(1 - target, softplus(z)));
}

Tensor binary_of(const Tensor& p, const Tensor& target) {
  const Tensor q = clip(p, kEpsilon, 1 - kEpsilon);
  return sample_mean(-(target * log(q) + (1 - target) * log1p(-q)));
}

// Both in [epsilon, 1], as in Keras.
Tensor kl_divergence_of(const Tensor& p, const Tensor& target) {
  const Tensor t = clip(target, kEpsilon, 1);
  return sample_mean(sum(t * log(t / clip(p, kEpsilon, 1)), -1));
}

Tensor poisson_of(const Tensor& p, const Tensor& t) { return sample_mean(p - t * log(p + kEpsilon)); }

// For a small e by cosh e = 1 + 2 sinh(e / 2)^2, for a large one without overflow.
Tensor log_cosh_of(const Tensor& p, const Tensor& t) {
  const Tensor e = p - t, far = abs(e) > 1, h = 0.5 * where(far, 0.0, e), a = abs(where(far, e, 1.0));
  const Tensor twice_sinh = expm1(h) - expm1(-h);
  return sample_mean(where(far, a + (softplus(-2 * a) - 0.69314718055994530942), log1p(0.5 * square(twice_sinh))));
}

Tensor cosine_similarity_of(const Tensor& p, const Tensor& t) {
  const auto unit = [](const Tensor& x) {
    const Tensor length = norm(x, 2, -1, true);
    return x / where(length == 0, 1.0, length);
  };
  return sample_mean(-sum(unit(p) * unit(t), -1));
}

Tensor hinge_of(const Tensor& p, const Tensor& t) { return sample_mean(relu(1 - t * p)); }
Tensor squared_hinge_of(const Tensor& p, const Tensor& t) { return sample_mean(square(relu(1 - t * p))); }

// (1 - s)^gamma = e^(-gamma softplus(z)) and s^gamma = e^(-gamma softplus(-z)): the derivatives are finite for any
// gamma.
Tensor binary_focal_of(const Tensor& z, const Tensor& target, double gamma, double alpha) {
  const auto term = [&](const Tensor& x) {
    const Tensor far = abs(x) > kFar, power = exp(-gamma * softplus(where(far, 0.0, x)));
    return softplus(-x) * where(far, where(x > 0, 0.0, ones_like(x)), power);
  };
  return sample_mean(weighted(alpha * target, term(z)) + weighted((1 - alpha) * (1 - target), term(-z)));
}

// 1 - p = -expm1(log p), for which 1 stands in where it is 0: log p is 0 there.
Tensor categorical_focal_of(const Tensor& z, const Tensor& target, double gamma, double alpha) {
  const Tensor l = log_softmax(z), far = l < -kFar, q = -expm1(where(far, -kFar, l));
  const Tensor power = where(far, 1.0, pow(where(q > 0, q, 1.0), gamma));
  return sample_mean(sum(weighted(alpha * target, -l * power), -1));
}

// In terms of s = z - max: log sum e^s less what the target weighs s by.
Tensor smoothed_of(const Tensor& z, const Tensor& labels, double smoothing) {
  const Tensor s = z - spread_back(stop_gradient(max(z, -1)), z, {z.rank() - 1});
  return sample_mean(log(sum(exp(s), -1)) - ((1 - smoothing) * at_label(s, labels) + smoothing * mean(s, -1)));
}

/// A loss whose functions' errors are charged to the caller of the loss, and call it by its name.
template <class F>
Loss builtin(std::string name, F of, Loss::Target target = Loss::values) {
  return {name,
          [name, of](const Tensor& p, const Tensor& t) {
            const BuiltinScope scope(name);
            return of(p, t);
          },
          target};
}

}  // namespace

Tensor Loss::prepared(const Tensor& prediction, const Tensor& target, std::source_location where) const {
  LocScope scope(where, name_);
  check_operands({prediction, target});
  switch (target_) {
    case values:
    case binary: return matching(name_, prediction, target);
    case labels: return class_labels(name_, prediction, target);
    default: return target;
  }
}

Tensor Loss::operator()(const Tensor& prediction, const Tensor& target, std::source_location where) const {
  LocScope scope(where, name_);
  if (!fn_) fail("{}an empty Loss was called", where_prefix());
  const Tensor t = prepared(prediction, target);
  const Tensor loss = located("loss '" + name_ + "'", [&] { return call(fn_, "Loss", prediction, t); });
  if (!loss.defined() || loss.rank() != 1 || !is_float(loss.dtype()))
    fail("{}loss '{}' gives {}; expected one number a sample, [batch]", where_prefix(), name_,
         loss.defined() ? loss.str() : "nothing");
  return loss;
}

WEFT_CONSTANT(Loss, mse, builtin("mse", mse_of))
WEFT_CONSTANT(Loss, mae, builtin("mae", mae_of))
WEFT_CONSTANT(Loss, softmax_cross_entropy, builtin("softmax_cross_entropy", softmax_cross_entropy_of, Loss::labels))
WEFT_CONSTANT(Loss, sparse_cross_entropy, builtin("sparse_cross_entropy", sparse_cross_entropy_of, Loss::labels))
WEFT_CONSTANT(Loss, categorical_cross_entropy_with_logits,
              builtin("categorical_cross_entropy_with_logits", categorical_from_logits))
WEFT_CONSTANT(Loss, categorical_cross_entropy, builtin("categorical_cross_entropy", categorical_of))
WEFT_CONSTANT(Loss, binary_cross_entropy_with_logits,
              builtin("binary_cross_entropy_with_logits", binary_from_logits, Loss::binary))
WEFT_CONSTANT(Loss, binary_cross_entropy, builtin("binary_cross_entropy", binary_of, Loss::binary))

WEFT_CONSTANT(Loss, kl_divergence, builtin("kl_divergence", kl_divergence_of))
WEFT_CONSTANT(Loss, poisson, builtin("poisson", poisson_of))
WEFT_CONSTANT(Loss, log_cosh, builtin("log_cosh", log_cosh_of))
WEFT_CONSTANT(Loss, cosine_similarity, builtin("cosine_similarity", cosine_similarity_of))
WEFT_CONSTANT(Loss, hinge, builtin("hinge", hinge_of))
WEFT_CONSTANT(Loss, squared_hinge, builtin("squared_hinge", squared_hinge_of))

Loss binary_focal_cross_entropy_with_logits(double gamma, double alpha, std::source_location where) {
  const LocScope scope(where);
  const std::string name = "binary_focal_cross_entropy_with_logits";
  check_number(name, "gamma", gamma, Domain::not_negative);
  check_number(name, "alpha", alpha, Domain::fraction);
  return builtin(
      name, [=](const Tensor& z, const Tensor& t) { return binary_focal_of(z, t, gamma, alpha); }, Loss::binary);
}

Loss categorical_focal_cross_entropy_with_logits(double gamma, double alpha, std::source_location where) {
  const LocScope scope(where);
  const std::string name = "categorical_focal_cross_entropy_with_logits";
  check_number(name, "gamma", gamma, Domain::not_negative);
  check_number(name, "alpha", alpha, Domain::fraction);
  return builtin(name, [=](const Tensor& z, const Tensor& t) { return categorical_focal_of(z, t, gamma, alpha); });
}

Loss softmax_cross_entropy_smoothed(double smoothing, std::source_location where) {
  const LocScope scope(where);
  const std::string name = "softmax_cross_entropy_smoothed";
  check_number(name, "smoothing", smoothing, Domain::below_one);
  return builtin(
      name, [=](const Tensor& z, const Tensor& labels) { return smoothed_of(z, labels, smoothing); }, Loss::labels);
}

Tensor triplet_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin,
                    std::source_location where) {
  const LocScope scope(where);
  check_operands({anchor, positive, negative});
  check_number("triplet_loss", "margin", margin, Domain::not_negative);
  if (anchor.rank() < 2 || !(anchor.shape() == positive.shape()) || !(anchor.shape() == negative.shape()))
    type_error({anchor, positive, negative}, "expected three embeddings of one shape, [batch, …]");
  std::vector<int> features;
  for (int i = 1; i < anchor.rank(); ++i) features.push_back(i);
  const auto distance = [&](const Tensor& other) { return sum(square(anchor - other), features); };
  return relu(distance(positive) - distance(negative) + margin);
}

// With e = p - t and c = e within [-delta, delta]: c (e - c / 2), which is e^2 / 2 up to delta, delta (|e| - delta / 2)
// beyond, and twice differentiable at 0.
Loss huber(double delta, std::source_location where) {
  const LocScope scope(where);
  check_number("huber", "delta", delta, Domain::positive);
  return builtin("huber", [delta](const Tensor& p, const Tensor& t) {
    const Tensor e = p - t;
    const Tensor inner = clip(e, -delta, delta);
    return sample_mean(inner * (e - 0.5 * inner));
  });
}

}  // namespace weft

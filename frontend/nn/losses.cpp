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

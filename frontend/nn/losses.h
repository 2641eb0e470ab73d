// Losses: (prediction, target) -> one number a sample, f32[batch], the mean of a sample's positions where it has several
// (scores [batch, .., classes], labels [batch, ..]). A model trains on the mean over the samples. A label that is out of range
// gives NaN; fit() and evaluate() refuse it before they start.
#pragma once
#include <functional>

#include <weft/frontend/tensor/functions.h>
#include <weft/frontend/tensor/handle.h>

namespace weft {

/// A loss as a value: the constants below, or any callable Tensor(prediction, target) that gives one number a sample.
class Loss {
 public:
  using Fn = std::function<Tensor(const Tensor& prediction, const Tensor& target)>;
  /// What the target holds, which fit() checks before it trains.
  enum Target : std::uint8_t {
    values,  // of the prediction's shape
    labels,  // class numbers, one for each row of scores: integers in [0, classes)
    binary,  // 0 or 1 (or probabilities), of the prediction's shape
    any,     // whatever the function makes of it
  };
  Loss() = default;
  /// Error when the function is empty, here and below.
  Loss(std::string name, Fn fn, Target target = values, WEFT_HERE)
      : name_(std::move(name)), fn_(callable(std::move(fn), "Loss", where)), target_(target) {}
  template <class F>
  requires std::is_invocable_r_v<Tensor, const F&, const Tensor&, const Tensor&> Loss(F fn, WEFT_HERE)
      : Loss("loss", Fn(callable(std::move(fn), "Loss", where))) {}

  /// The target as the function gets it, a built-in one or the user's. Values and binary ones: in the prediction's
  /// dtype and shape ([batch] stands for [batch, 1]); labels: integers [batch, ..], also from [batch, .., 1], beside
  /// scores [batch, .., classes]; any: as it is. Error when it does not fit.
  Tensor prepared(const Tensor& prediction, const Tensor& target, WEFT_HERE) const;
  /// The loss of each sample, [batch]: the function of the prediction and the prepared target.
  Tensor operator()(const Tensor& prediction, const Tensor& target, WEFT_HERE) const;
  const std::string& name() const { return name_; }
  Target target() const { return target_; }
  explicit operator bool() const { return static_cast<bool>(fn_); }

 private:
  std::string name_;
  Fn fn_;
  Target target_ = values;
};

extern const Loss& mse;                                    ///< mean over the features of (p - t)^2
extern const Loss& mae;                                    ///< mean over the features of |p - t|
extern const Loss& softmax_cross_entropy;                  ///< logits [batch, .., classes], integer labels [batch, ..]
extern const Loss& sparse_cross_entropy;                   ///< probabilities and integer labels, likewise
extern const Loss& categorical_cross_entropy_with_logits;  ///< logits and one-hot (or soft) targets [batch, .., classes]
extern const Loss& categorical_cross_entropy;              ///< probabilities and one-hot (or soft) targets
extern const Loss& binary_cross_entropy_with_logits;       ///< logits and targets in [0, 1]
extern const Loss& binary_cross_entropy;                   ///< probabilities and targets in [0, 1]
extern const Loss& kl_divergence;      ///< sum of t log(t / p) over the last axis, both kept in [1e-7, 1]
extern const Loss& poisson;            ///< mean over the features of p - t log(p + 1e-7)
extern const Loss& log_cosh;           ///< mean over the features of log(cosh(p - t))
extern const Loss& cosine_similarity;  ///< -p t / (|p| |t|) over the last axis; 0 where either is 0
extern const Loss& hinge;              ///< mean over the features of max(1 - t p, 0), targets -1 or 1
extern const Loss& squared_hinge;      ///< mean over the features of max(1 - t p, 0)^2
/// Of Lin et al., 2017: logits and targets in [0, 1], the mean over the features of
/// -alpha t (1 - s)^gamma log s - (1 - alpha) (1 - t) s^gamma log(1 - s), s the sigmoid of the logit. Error unless gamma
/// is finite and at least 0, and alpha in [0, 1].
Loss binary_focal_cross_entropy_with_logits(double gamma = 2, double alpha = 0.25, WEFT_HERE);
/// Logits and one-hot (or soft) targets [batch, classes]: the sum over the classes of -alpha t (1 - p)^gamma log p, p
/// the softmax of the logits. Error likewise.
Loss categorical_focal_cross_entropy_with_logits(double gamma = 2, double alpha = 0.25, WEFT_HERE);
/// softmax_cross_entropy with (1 - smoothing) of the target on the label and the rest spread over all classes. Error
/// unless smoothing is in [0, 1).
Loss softmax_cross_entropy_smoothed(double smoothing = 0.1, WEFT_HERE);
/// Of Schroff et al., 2015: max(|a - p|^2 - |a - n|^2 + margin, 0) for each sample, [batch]. Error unless margin is
/// finite and at least 0, and the three have one shape.
Tensor triplet_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin = 1, WEFT_HERE);
/// Quadratic up to `delta`, linear beyond. Error unless delta is finite and above 0.
Loss huber(double delta = 1, WEFT_HERE);

}  // namespace weft

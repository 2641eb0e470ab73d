// Optimisers: the update of one parameter as tensors, so that it is differentiated, fused and compiled with the rest of
// the step.
#pragma once
#include <functional>
#include <map>
#include <memory>

#include <weft/frontend/executable/compile.h>
#include <weft/frontend/nn/schedules.h>
#include <weft/frontend/tensor/handle.h>

namespace weft {

/// What an optimiser sees while the training step is built: the learning rate, and states of its own.
class OptimizerStep {
 public:
  /// The current learning rate, an f32 scalar state.
  const Tensor& learning_rate() const { return rate_; }
  /// A state of the current parameter's shape, initially `initial`.
  Tensor slot(const std::string& name, double initial = 0, WEFT_HERE);
  /// A state of another shape that belongs to the current parameter.
  Tensor slot(const std::string& name, const Shape& shape, double initial = 0, WEFT_HERE);
  /// After the step, `state` holds `value`. Returns value.
  Tensor assign(const Tensor& state, const Tensor& value);
  /// A scalar state of the whole optimiser that becomes next(state) once a step. Returns the new value.
  Tensor scalar(const std::string& name, double initial, const std::function<Tensor(const Tensor&)>& next, WEFT_HERE);

  // Used by Model.
  /// `prefix` starts the names of the states; states of these names that exist are used again.
  OptimizerStep(Tensor rate, std::string prefix) : rate_(std::move(rate)), prefix_(std::move(prefix)) {}
  void begin(const Tensor& parameter) { parameter_ = parameter; }
  const std::vector<Assignment>& assignments() const { return assignments_; }

 private:
  Tensor own_state(const std::string& name, const Type&, double initial);
  Tensor rate_, parameter_;
  std::string prefix_;
  std::map<std::string, Tensor> scalars_;  // name -> new value
  std::vector<Assignment> assignments_;
};

/// Any optimiser as a value. An optimiser is a struct with `RateSchedule learning_rate` and
/// `Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& gradient) const`, which gives the new w; it may
/// have `void check() const`, an Error when an option makes no sense, which is called when the value is made of it.
class Optimizer {
 public:
  template <class T>
  requires requires(const T& t, OptimizerStep& s, const Tensor& x) {
    { t(s, x, x) } -> std::convertible_to<Tensor>;
    { t.learning_rate } -> std::convertible_to<RateSchedule>;
  }
  Optimizer(T t, WEFT_HERE)
      : schedule_(t.learning_rate),
        update_([t](OptimizerStep& s, const Tensor& w, const Tensor& g) { return t(s, w, g); }) {
    if constexpr (requires { t.check(); }) {
      const LocScope scope(where);
      t.check();
    }
  }
  const RateSchedule& learning_rate() const { return schedule_; }
  Tensor operator()(OptimizerStep& step, const Tensor& w, const Tensor& gradient) const {
    return call(update_, "Optimizer", step, w, gradient);
  }

 private:
  RateSchedule schedule_;
  std::function<Tensor(OptimizerStep&, const Tensor&, const Tensor&)> update_;
};

// The options of the optimisers: rho and the betas in [0, 1), a momentum in [0, 1], a clip above 0, the others finite
// and 0 or more. Error otherwise.

/// w -= lr g. With momentum: v = momentum v - lr g; w += v. Nesterov: w += momentum v - lr g.
struct SGD {
  RateSchedule learning_rate = 0.01;
  double momentum = 0;
  bool nesterov = false;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// a = rho a + (1 - rho) g^2; w -= lr g / sqrt(a + epsilon). With momentum: v = momentum v + the step; w -= v.
struct RMSprop {
  RateSchedule learning_rate = 1e-3;
  double rho = 0.9, momentum = 0, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// a += g^2; w -= lr g / sqrt(a + epsilon).
struct Adagrad {
  RateSchedule learning_rate = 1e-3;
  double initial_accumulator = 0.1, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).
struct Adam {
  RateSchedule learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// Adam with decoupled decay: first w -= lr weight_decay w.
struct AdamW {
  RateSchedule learning_rate = 1e-3;
  double weight_decay = 4e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// Adam with the largest of |g|, fading: m = b1 m + (1 - b1) g; u = max(b2 u, |g|);
/// w -= lr / (1 - b1^t) m / (u + epsilon). Kingma and Ba, 2015, section 7.1.
struct Adamax {
  RateSchedule learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// Adam with Nesterov's momentum, m and v as there: with b[t] = b1 (1 - 0.96^t / 2) and p[t] = b[1] … b[t],
/// n = b[t + 1] m / (1 - p[t + 1]) + (1 - b[t]) g / (1 - p[t]); w -= lr n / (sqrt(v / (1 - b2^t)) + epsilon).
/// Dozat, 2016.
struct Nadam {
  RateSchedule learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// a = rho a + (1 - rho) g^2; d = sqrt(s + epsilon) / sqrt(a + epsilon) g; s = rho s + (1 - rho) d^2; w -= lr d.
/// Zeiler, 2012, with a learning rate.
struct Adadelta {
  RateSchedule learning_rate = 1e-3;
  double rho = 0.95, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// w -= lr (sign(b1 m + (1 - b1) g) + weight_decay w); then m = b2 m + (1 - b2) g. Chen et al., 2023.
struct Lion {
  RateSchedule learning_rate = 1e-4;
  double weight_decay = 0, beta1 = 0.9, beta2 = 0.99;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// With m and v as in Adam: r = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay w;
/// w -= lr |w| / |r| r, with 1 for the quotient of the norms of all of w and r where either is 0. You et al., 2020.
struct LAMB {
  RateSchedule learning_rate = 1e-3;
  double weight_decay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};
/// Of parameters of rank 2 and more, the second moment is the product of its means over the last axis and over the one
/// before, r and c, so that a matrix [m, n] keeps m + n numbers. Shazeer and Stern, 2018, algorithms 4 and 5, without
/// momentum: with b = 1 - t^-decay and s = g^2 + epsilon1: r = b r + (1 - b) mean(s, -1), c likewise,
/// v = r c / mean(r) (of rank 0 and 1: v = b v + (1 - b) s); u = g / sqrt(v); u /= max(1, rms(u) / clip);
/// w -= max(epsilon2, rms(w)) min(lr, 1 / sqrt(t)) u.
struct Adafactor {
  RateSchedule learning_rate = 1e-2;
  double decay = 0.8, clip = 1, epsilon1 = 1e-30, epsilon2 = 1e-3;
  void check() const;
  Tensor operator()(OptimizerStep&, const Tensor& w, const Tensor& g) const;
};

/// Scales the gradients so that the norm of them all together is at most `norm`; left alone when one is inf or NaN.
std::vector<Tensor> clip_by_norm(const std::vector<Tensor>& gradients, double norm, WEFT_HERE);

}  // namespace weft

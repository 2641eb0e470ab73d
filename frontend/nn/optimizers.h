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

// The options of the optimisers: rho and the betas in [0, 1), a momentum in [0, 1], the others finite and 0 or more.
// Error otherwise.

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

/// Scales the gradients so that the norm of them all together is at most `norm`; left alone when one is inf or NaN.
std::vector<Tensor> clip_by_norm(const std::vector<Tensor>& gradients, double norm, WEFT_HERE);

}  // namespace weft

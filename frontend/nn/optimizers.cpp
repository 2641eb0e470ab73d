// Optimisers, after Keras' definitions and defaults.
#include "frontend/nn/optimizers.h"

#include <cmath>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/functions.h"
#include "frontend/tensor/node.h"

namespace weft {

Tensor OptimizerStep::own_state(const std::string& name, const Type& type, double initial) {
  const std::shared_ptr<Trace>& trace = rate_.trace();
  const std::string full = prefix_ + "." + name;
  if (const Variable* v = trace->find(full)) return {trace, v->id};
  GraphScope scope(trace);
  return state(Array::filled(type, initial), full);
}

Tensor OptimizerStep::slot(const std::string& name, double initial, std::source_location where) {
  const LocScope scope(where);
  return own_state(name + "." + parameter_.name(), parameter_.type(), initial);
}

Tensor OptimizerStep::assign(const Tensor& state, const Tensor& value) {
  assignments_.push_back({state, value});
  return value;
}

Tensor OptimizerStep::scalar(const std::string& name, double initial, const std::function<Tensor(const Tensor&)>& next,
                             std::source_location where) {
  const LocScope scope(where);
  if (auto it = scalars_.find(name); it != scalars_.end()) return it->second;
  const Tensor old = own_state(name, {f32, {}}, initial);
  return scalars_[name] = assign(old, call(next, "OptimizerStep::scalar", old));
}

namespace {

void check_adam(const char* name, double beta1, double beta2, double epsilon) {
  check_number(name, "beta1", beta1, Domain::below_one);
  check_number(name, "beta2", beta2, Domain::below_one);
  check_number(name, "epsilon", epsilon, Domain::not_negative);
}

}  // namespace

void SGD::check() const { check_number("SGD", "momentum", momentum, Domain::fraction); }

void RMSprop::check() const {
  check_number("RMSprop", "rho", rho, Domain::below_one);
  check_number("RMSprop", "momentum", momentum, Domain::fraction);
  check_number("RMSprop", "epsilon", epsilon, Domain::not_negative);
}

void Adagrad::check() const {
  check_number("Adagrad", "initial_accumulator", initial_accumulator, Domain::not_negative);
  check_number("Adagrad", "epsilon", epsilon, Domain::not_negative);
}

void Adam::check() const { check_adam("Adam", beta1, beta2, epsilon); }

void AdamW::check() const {
  check_number("AdamW", "weight_decay", weight_decay, Domain::not_negative);
  check_adam("AdamW", beta1, beta2, epsilon);
}

Tensor SGD::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("SGD");
  check();
  const Tensor step = s.learning_rate() * g;
  if (momentum == 0) return w - step;
  const Tensor v = s.slot("momentum");
  const Tensor v1 = s.assign(v, momentum * v - step);
  return nesterov ? w + momentum * v1 - step : w + v1;
}

Tensor RMSprop::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("RMSprop");
  check();
  const Tensor a = s.slot("mean_square");
  const Tensor a1 = s.assign(a, rho * a + (1 - rho) * (g * g));
  const Tensor step = s.learning_rate() * g / sqrt(a1 + epsilon);
  if (momentum == 0) return w - step;
  const Tensor v = s.slot("momentum");
  return w - s.assign(v, momentum * v + step);
}

Tensor Adagrad::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Adagrad");
  check();
  const Tensor a = s.slot("accumulator", initial_accumulator);
  const Tensor a1 = s.assign(a, a + g * g);
  return w - s.learning_rate() * g / sqrt(a1 + epsilon);
}

namespace {

/// The step of Adam. The bias correction, sqrt(1 - b2^t) / (1 - b1^t) in step t, is one scalar. 1 - b^t is taken from
/// t ln b, with the logarithm in double: b itself, rounded to f32, would put 1e-5 on 1 - b2. (t is exact up to 2^24,
/// where it stays and the correction has long been 1.)
Tensor adam_step(OptimizerStep& s, const Tensor& g, double beta1, double beta2, double epsilon) {
  const Tensor t = s.scalar("step", 0, [](const Tensor& last) {
    const BuiltinScope scope("Adam");
    return last + 1;
  });
  const auto rest = [&](double beta) { return -expm1(t * std::log(beta)); };
  const Tensor rate = s.learning_rate() * sqrt(rest(beta2)) / rest(beta1);
  const Tensor m = s.slot("m"), v = s.slot("v");
  const Tensor m1 = s.assign(m, beta1 * m + (1 - beta1) * g);
  const Tensor v1 = s.assign(v, beta2 * v + (1 - beta2) * (g * g));
  return rate * m1 / (sqrt(v1) + epsilon);
}

}  // namespace

Tensor Adam::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Adam");
  check();
  return w - adam_step(s, g, beta1, beta2, epsilon);
}

Tensor AdamW::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("AdamW");
  check();
  const Tensor decayed = w - s.learning_rate() * weight_decay * w;
  return decayed - adam_step(s, g, beta1, beta2, epsilon);
}

// Everything is in units of the largest element, so that no square overflows. Where that is 0 or not finite, the
// comparison is with infinity or NaN: the gradients stay as they are.
std::vector<Tensor> clip_by_norm(const std::vector<Tensor>& gradients, double norm, std::source_location where) {
  LocScope scope(where);
  check_number("clip_by_norm", "the norm", norm, Domain::positive);
  std::vector<Tensor> clipped;
  if (gradients.empty()) return clipped;
  Tensor top, squares;
  for (const Tensor& g : gradients) top = top.defined() ? maximum(top, max(abs(g))) : max(abs(g));
  for (const Tensor& g : gradients) {
    const Tensor part = sum(square(g / top));
    squares = squares.defined() ? squares + part : part;
  }
  const Tensor length = sqrt(squares), exceeds = length > norm / top;
  for (const Tensor& g : gradients) clipped.push_back(weft::where(exceeds, g / top * (norm / length), g));
  return clipped;
}

}  // namespace weft

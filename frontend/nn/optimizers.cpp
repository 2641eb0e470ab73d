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

Tensor OptimizerStep::slot(const std::string& name, const Shape& shape, double initial, std::source_location where) {
  const LocScope scope(where);
  return own_state(name + "." + parameter_.name(), {f32, shape}, initial);
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

void Adamax::check() const { check_adam("Adamax", beta1, beta2, epsilon); }

void Nadam::check() const { check_adam("Nadam", beta1, beta2, epsilon); }

void Adadelta::check() const {
  check_number("Adadelta", "rho", rho, Domain::below_one);
  check_number("Adadelta", "epsilon", epsilon, Domain::not_negative);
}

void Lion::check() const {
  check_number("Lion", "weight_decay", weight_decay, Domain::not_negative);
  check_number("Lion", "beta1", beta1, Domain::below_one);
  check_number("Lion", "beta2", beta2, Domain::below_one);
}

void LAMB::check() const {
  check_number("LAMB", "weight_decay", weight_decay, Domain::not_negative);
  check_adam("LAMB", beta1, beta2, epsilon);
}

void Adafactor::check() const {
  check_number("Adafactor", "decay", decay, Domain::not_negative);
  check_number("Adafactor", "clip", clip, Domain::positive);
  check_number("Adafactor", "epsilon1", epsilon1, Domain::not_negative);
  check_number("Adafactor", "epsilon2", epsilon2, Domain::not_negative);
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

/// 1, 2, … in the first step, the second, …; exact up to 2^24, where it stays.
Tensor step_number(OptimizerStep& s) {
  return s.scalar("step", 0, [](const Tensor& last) {
    const BuiltinScope scope("Adam");
    return last + 1;
  });
}

/// 1 - b^t in step t, taken from t ln b, with the logarithm in double: b itself, rounded to f32, would put 1e-5 on
/// 1 - b2.
Tensor rest_of(const Tensor& t, double beta) { return -expm1(t * std::log(beta)); }

/// The new mean of g, and that of g^2.
Tensor first_moment(OptimizerStep& s, const Tensor& g, double beta) {
  const Tensor m = s.slot("m");
  return s.assign(m, beta * m + (1 - beta) * g);
}
Tensor second_moment(OptimizerStep& s, const Tensor& g, double beta) {
  const Tensor v = s.slot("v");
  return s.assign(v, beta * v + (1 - beta) * (g * g));
}

/// The step of Adam. The bias correction, sqrt(1 - b2^t) / (1 - b1^t) in step t, is one scalar.
Tensor adam_step(OptimizerStep& s, const Tensor& g, double beta1, double beta2, double epsilon) {
  const Tensor t = step_number(s);
  const Tensor rate = s.learning_rate() * sqrt(rest_of(t, beta2)) / rest_of(t, beta1);
  const Tensor m1 = first_moment(s, g, beta1), v1 = second_moment(s, g, beta2);
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

Tensor Adamax::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Adamax");
  check();
  const Tensor m1 = first_moment(s, g, beta1), u = s.slot("u");
  const Tensor u1 = s.assign(u, maximum(beta2 * u, abs(g)));
  return w - s.learning_rate() / rest_of(step_number(s), beta1) * m1 / (u1 + epsilon);
}

// 1 - b[t] is 1 - b1 and more, and so is 1 - p[t]: neither cancels.
Tensor Nadam::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Nadam");
  check();
  const Tensor t = step_number(s);
  const auto beta = [&](const Tensor& step) { return beta1 * (1 - 0.5 * exp(std::log(0.96) * step)); };
  const Tensor now = beta(t), next = beta(t + 1);
  const Tensor product = s.scalar("product", 1, [&](const Tensor& last) {
    const BuiltinScope inner("Nadam");
    return last * now;
  });
  const Tensor m1 = first_moment(s, g, beta1), v1 = second_moment(s, g, beta2);
  const Tensor n = next / (1 - product * next) * m1 + (1 - now) / (1 - product) * g;
  return w - s.learning_rate() * n / (sqrt(v1 / rest_of(t, beta2)) + epsilon);
}

Tensor Adadelta::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Adadelta");
  check();
  const Tensor a = s.slot("mean_square"), d = s.slot("mean_square_step");
  const Tensor a1 = s.assign(a, rho * a + (1 - rho) * (g * g));
  const Tensor step = sqrt(d + epsilon) / sqrt(a1 + epsilon) * g;
  s.assign(d, rho * d + (1 - rho) * (step * step));
  return w - s.learning_rate() * step;
}

Tensor Lion::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Lion");
  check();
  const Tensor m = s.slot("m"), direction = sign(beta1 * m + (1 - beta1) * g);
  s.assign(m, beta2 * m + (1 - beta2) * g);
  return w - s.learning_rate() * (weight_decay == 0 ? direction : direction + weight_decay * w);
}

Tensor LAMB::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("LAMB");
  check();
  const Tensor t = step_number(s);
  const Tensor m1 = first_moment(s, g, beta1), v1 = second_moment(s, g, beta2);
  const Tensor adam = m1 / rest_of(t, beta1) / (sqrt(v1 / rest_of(t, beta2)) + epsilon);
  const Tensor step = weight_decay == 0 ? adam : adam + weight_decay * w;
  const Tensor size = norm(w), length = norm(step);
  const Tensor trust = where((size > 0) & (length > 0), size / where(length > 0, length, 1.0), 1.0);
  return w - s.learning_rate() * trust * step;
}

// The root of r c / mean(r) is taken of each factor: the products of small means would underflow.
Tensor Adafactor::operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
  const BuiltinScope scope("Adafactor");
  check();
  const Tensor t = step_number(s), fresh = exp(-decay * log(t));  // 1 - b, which is 1 in the first step
  const Tensor squares = g * g + epsilon1;
  const auto follow = [&](const Tensor& state, const Tensor& value) {
    return s.assign(state, (1 - fresh) * state + fresh * value);
  };
  Tensor u;
  if (g.rank() < 2) {
    u = g / sqrt(follow(s.slot("v"), squares));
  } else {
    Shape rows = g.shape(), columns = g.shape();
    rows.erase(rows.rank() - 1);
    columns.erase(columns.rank() - 2);
    const Tensor r = follow(s.slot("r", rows), mean(squares, -1)), c = follow(s.slot("c", columns), mean(squares, -2));
    u = g / (expand_dims(sqrt(r / mean(r, -1, true)), -1) * expand_dims(sqrt(c), -2));
  }
  const auto rms = [](const Tensor& x) { return sqrt(mean(square(x))); };
  const Tensor rate = maximum(rms(w), epsilon2) * minimum(s.learning_rate(), 1 / sqrt(t));
  return w - rate / maximum(rms(u) / clip, 1.0) * u;
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

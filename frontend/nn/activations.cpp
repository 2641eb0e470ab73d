// Activation functions, each in the form whose value and gradient stay finite.
#include "frontend/nn/activations.h"

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {

namespace {

/// x gate(x), for a gate that is 0 below -limit and 1 above limit, to all digits. The gate sees x within the limits, so
/// that its derivatives are finite; below, x counts as -limit, so that 0 times infinity does not occur.
template <class Gate>
Tensor gated(const Tensor& x, double limit, Gate gate) {
  const Tensor low = weft::where(x < -limit, -limit, x);
  return low * gate(weft::where(low > limit, limit, low));
}

}  // namespace

Tensor linear(const Tensor& x, std::source_location) { return x; }

// max(x, 0), which half of the gradient would pass at 0. The mask is that of the result: simplify makes the maximum of
// all this, and nothing else is kept for the backward pass.
Tensor relu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  const Tensor y = maximum(x, 0);
  return weft::where(y > 0, x, stop_gradient(y));
}

Tensor relu6(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return weft::where((x > 0) & (x < 6), x, stop_gradient(clip(x, 0, 6)));
}

Tensor leaky_relu(const Tensor& x, double slope, std::source_location where) {
  LocScope scope(where);
  check_number("leaky_relu", "slope", slope, Domain::finite);
  return weft::where(x >= 0, x, slope * x);
}
Tensor leaky_relu(const Tensor& x, std::source_location where) { return leaky_relu(x, 0.01, where); }

Tensor elu(const Tensor& x, double alpha, std::source_location where) {
  LocScope scope(where);
  check_number("elu", "alpha", alpha, Domain::finite);
  const Tensor positive = x > 0;
  return weft::where(positive, x, alpha * expm1(weft::where(positive, 0, x)));
}
Tensor elu(const Tensor& x, std::source_location where) { return elu(x, 1.0, where); }

Tensor celu(const Tensor& x, double alpha, std::source_location where) {
  LocScope scope(where);
  check_number("celu", "alpha", alpha, Domain::positive);
  const Tensor positive = x > 0;
  return weft::where(positive, x, alpha * expm1(weft::where(positive, 0, x) / alpha));
}
Tensor celu(const Tensor& x, std::source_location where) { return celu(x, 1.0, where); }

Tensor selu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  constexpr double scale = 1.0507009873554805, alpha = 1.6732632423543772;
  const Tensor positive = x > 0;
  return weft::where(positive, scale * x, scale * alpha * expm1(weft::where(positive, 0, x)));
}

Tensor hard_tanh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return clip(x, -1, 1);
}

Tensor hard_sigmoid(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return relu6(x + 3) / 6;
}

Tensor hard_swish(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  return gated(x, 3, [](const Tensor& v) { return hard_sigmoid(v); });
}

// Where |x| is large, 1 / (1 / x + sign x): 1 + |x| in the denominator of both terms of the gradient would cancel.
Tensor softsign(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  check_floats({x});
  const Tensor far = abs(x) > 1;
  const Tensor sign_of = weft::where(x < 0, -1, ones_like(x)), near = weft::where(far, 0, x);
  return weft::where(far, 1 / (1 / weft::where(far, x, 1) + sign_of), near / (1 + abs(near)));
}

Tensor sigmoid(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return node(Op::sigmoid, {x});
}

Tensor log_sigmoid(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return -softplus(-x);
}

Tensor silu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return gated(x, 1024, [](const Tensor& v) { return sigmoid(v); });
}

Tensor softplus(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return node(Op::softplus, {x});
}

// tanh(softplus(x)) = sigmoid(x + softplus(x - ln 2)), which keeps its digits where it is near 0, and its derivatives
// where it is near 1.
Tensor mish(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return gated(x, 1024, [](const Tensor& v) { return sigmoid(v + softplus(v - 0.69314718055994530942)); });
}

Tensor gelu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return gated(x, 64, [](const Tensor& v) { return 0.5 * (1 + erf(0.7071067811865476 * v)); });
}

// (1 + tanh(u)) / 2 = sigmoid(2 u), which keeps its digits where tanh(u) is near -1.
Tensor gelu_tanh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return gated(x, 32,
               [](const Tensor& v) { return sigmoid(v * (1.5957691216057308 + 0.07135481627260025 * (v * v))); });
}

namespace {

/// x - max(x) over the axis; the gradient through the maximum cancels in what is built on it.
Tensor shifted(const Tensor& x, int axis, const std::vector<int>& axes) {
  return x - spread_back(stop_gradient(max(x, axis)), x, axes);
}

}  // namespace

Tensor softmax(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  const std::vector<int> axes = Axes(axis).resolve(x);
  const Tensor e = exp(shifted(x, axis, axes));
  return e / spread_back(sum(e, axis), x, axes);
}
Tensor softmax(const Tensor& x, std::source_location where) { return softmax(x, -1, where); }

Tensor softmin(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  return softmax(-x, axis);
}
Tensor softmin(const Tensor& x, std::source_location where) { return softmin(x, -1, where); }

Tensor log_softmax(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  const std::vector<int> axes = Axes(axis).resolve(x);
  const Tensor s = shifted(x, axis, axes);
  return s - spread_back(log(sum(exp(s), axis)), x, axes);
}
Tensor log_softmax(const Tensor& x, std::source_location where) { return log_softmax(x, -1, where); }

}  // namespace weft

// Activation functions, each in the form whose value and gradient stay finite.
#include "frontend/activations.h"

#include "frontend/node.h"

namespace weft {

Tensor linear(const Tensor& x, std::source_location) { return x; }

Tensor relu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return maximum(x, 0);
}

Tensor leaky_relu(const Tensor& x, double slope, std::source_location where) {
  LocScope scope(where);
  return weft::where(x > 0, x, slope * x);
}
Tensor leaky_relu(const Tensor& x, std::source_location where) { return leaky_relu(x, 0.01, where); }

Tensor elu(const Tensor& x, double alpha, std::source_location where) {
  LocScope scope(where);
  const Tensor positive = x > 0;
  return weft::where(positive, x, alpha * expm1(weft::where(positive, 0, x)));
}
Tensor elu(const Tensor& x, std::source_location where) { return elu(x, 1.0, where); }

Tensor sigmoid(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return node(Op::sigmoid, {x});
}

Tensor silu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return x * sigmoid(x);
}

Tensor softplus(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return node(Op::softplus, {x});
}

Tensor gelu(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return 0.5 * x * (1 + erf(0.7071067811865476 * x));
}

Tensor gelu_tanh(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

namespace {

/// x - max(x) over the axis; the gradient through the maximum cancels in what is built on it.
Tensor shifted(const Tensor& x, int axis, const std::vector<int>& axes) {
  return x - spread_back(stop_gradient(max(x, axis)), x, axes);
}

}  // namespace

Tensor softmax(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  const std::vector<int> axes = Axes(axis).resolve("softmax", x);
  const Tensor e = exp(shifted(x, axis, axes));
  return e / spread_back(sum(e, axis), x, axes);
}
Tensor softmax(const Tensor& x, std::source_location where) { return softmax(x, -1, where); }

Tensor log_softmax(const Tensor& x, int axis, std::source_location where) {
  LocScope scope(where);
  const std::vector<int> axes = Axes(axis).resolve("log_softmax", x);
  const Tensor s = shifted(x, axis, axes);
  return s - spread_back(log(sum(exp(s), axis)), x, axes);
}
Tensor log_softmax(const Tensor& x, std::source_location where) { return log_softmax(x, -1, where); }

}  // namespace weft

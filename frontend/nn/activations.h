// Activation functions: plain functions Tensor -> Tensor, and the type that layers take them as.
#pragma once
#include <functional>

#include <weft/frontend/tensor/functions.h>
#include <weft/frontend/tensor/handle.h>

namespace weft {

using ActivationFn = Tensor (*)(const Tensor&, std::source_location);

/// What a layer applies to its result: a function below, or any callable Tensor(const Tensor&). Error on a function
/// that is empty; an Activation made of nothing is the identity.
class Activation {
 public:
  Activation() = default;
  Activation(ActivationFn f, WEFT_HERE)
      : fn_([f = callable(f, "Activation", where)](const Tensor& x, const std::source_location& w) {
          return f(x, w);
        }) {}
  template <class F>
  requires std::is_invocable_r_v<Tensor, const F&, const Tensor&> Activation(F f, WEFT_HERE)
      : fn_([f = callable(std::move(f), "Activation", where)](const Tensor& x, const std::source_location& w) {
          const LocScope call(w);
          const UserScope scope;
          return f(x);
        }) {}
  explicit operator bool() const { return static_cast<bool>(fn_); }
  Tensor operator()(const Tensor& x, WEFT_HERE) const { return fn_ ? fn_(x, where) : x; }

 private:
  std::function<Tensor(const Tensor&, const std::source_location&)> fn_;
};

Tensor linear(const Tensor& x, WEFT_HERE);                    ///< x
Tensor relu(const Tensor& x, WEFT_HERE);                      ///< max(x, 0), with gradient 0 at 0
Tensor relu6(const Tensor& x, WEFT_HERE);                     ///< min(max(x, 0), 6), with gradient 0 at both
Tensor leaky_relu(const Tensor& x, double slope, WEFT_HERE);  ///< x >= 0 ? x : slope * x
Tensor leaky_relu(const Tensor& x, WEFT_HERE);                ///< slope 0.01
Tensor elu(const Tensor& x, double alpha, WEFT_HERE);         ///< x > 0 ? x : alpha (e^x - 1)
Tensor elu(const Tensor& x, WEFT_HERE);                       ///< alpha 1
Tensor celu(const Tensor& x, double alpha, WEFT_HERE);        ///< x > 0 ? x : alpha (e^(x / alpha) - 1), alpha > 0
Tensor celu(const Tensor& x, WEFT_HERE);                      ///< alpha 1
Tensor selu(const Tensor& x, WEFT_HERE);                      ///< 1.0507 elu(x, 1.67326): of Klambauer et al., 2017
Tensor hard_tanh(const Tensor& x, WEFT_HERE);                 ///< clip(x, -1, 1)
Tensor hard_sigmoid(const Tensor& x, WEFT_HERE);              ///< relu6(x + 3) / 6
Tensor hard_swish(const Tensor& x, WEFT_HERE);                ///< x hard_sigmoid(x)
Tensor softsign(const Tensor& x, WEFT_HERE);                  ///< x / (1 + |x|)
Tensor sigmoid(const Tensor& x, WEFT_HERE);                   ///< 1 / (1 + e^-x)
Tensor log_sigmoid(const Tensor& x, WEFT_HERE);               ///< log sigmoid(x) = -softplus(-x)
Tensor silu(const Tensor& x, WEFT_HERE);                      ///< x sigmoid(x)
Tensor softplus(const Tensor& x, WEFT_HERE);                  ///< log(1 + e^x), without overflow
Tensor mish(const Tensor& x, WEFT_HERE);                      ///< x tanh(softplus(x))
Tensor gelu(const Tensor& x, WEFT_HERE);                      ///< x/2 (1 + erf(x / sqrt 2))
Tensor gelu_tanh(const Tensor& x, WEFT_HERE);                 ///< the tanh approximation of gelu
Tensor softmax(const Tensor& x, int axis, WEFT_HERE);         ///< e^(x - max) / sum e^(x - max)
Tensor softmax(const Tensor& x, WEFT_HERE);                   ///< over the last axis
Tensor softmin(const Tensor& x, int axis, WEFT_HERE);         ///< softmax(-x)
Tensor softmin(const Tensor& x, WEFT_HERE);                   ///< over the last axis
Tensor log_softmax(const Tensor& x, int axis, WEFT_HERE);     ///< x - max - log sum e^(x - max)
Tensor log_softmax(const Tensor& x, WEFT_HERE);               ///< over the last axis

}  // namespace weft

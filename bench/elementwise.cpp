// Elementwise chains, each compiled to one loop: activations forward and backward, dropout, Adam.
#include "bench/stream.h"

namespace weft::bench {
namespace {

Tensor scale_and_shift(const Tensor& x) { return x * 2 + 1; }
Tensor exponential(const Tensor& x) { return exp(x); }
Tensor logarithm(const Tensor& x) { return log(x); }
Tensor hyperbolic(const Tensor& x) { return tanh(x); }
Tensor gelu_erf_form(const Tensor& x) { return gelu(x); }
Tensor gelu_tanh_form(const Tensor& x) { return gelu_tanh(x); }
Tensor drop(const Tensor& x) { return where(random_bernoulli(x.shape(), 0.5), 2 * x, 0.0); }

Traced uniform_numbers(std::int64_t rows, std::int64_t columns) { return {{random_uniform({rows, columns})}}; }

Traced adam(std::int64_t rows, std::int64_t columns) {
  const Tensor w = state(Array(Type{f32, {rows, columns}}), "w"), g = operand(rows, columns, "g");
  OptimizerStep step(state(Array::filled({f32, {}}, 1e-3), "rate"), "adam");
  step.begin(w);
  const Tensor next = Adam{}(step, w, g);
  std::vector<Assignment> updates = step.assignments();
  updates.push_back({w, next});
  return {{}, updates};
}

const int registered = register_stream({
    {"scale_and_shift", forward<scale_and_shift>},
    {"exp", forward<exponential>},
    {"log", forward<logarithm>},
    {"tanh", forward<hyperbolic>},
    {"gelu", forward<gelu_erf_form>},
    {"gelu_grad", backward<gelu_erf_form>, 1024, 3},
    {"gelu_tanh", forward<gelu_tanh_form>},
    {"gelu_tanh_grad", backward<gelu_tanh_form>, 1024, 3},
    {"dropout", forward<drop>},
    {"random", uniform_numbers, 1024, 1},
    {"adam", adam, 1024, 7},
});

}  // namespace
}  // namespace weft::bench

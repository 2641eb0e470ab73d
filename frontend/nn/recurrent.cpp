// The products with the inputs of all steps are one contraction outside of the loop; in it, one product with the state.
#include "frontend/nn/recurrent.h"

#include "frontend/tensor/control.h"
#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"

namespace weft {

Recurrent::Recurrent(std::string kind, std::int64_t gates, std::int64_t units, RecurrentOptions options,
                     const std::source_location& where)
    : Layer(kind, options.name, where), gates_(gates), units_(units), options_(std::move(options)) {
  const LocScope scope(where);
  check_count(kind, "units", units_);
  constexpr std::int64_t kMost = 1 << 24;
  if (units_ > kMost) fail("{}{}: units is {}; expected at most {}", where_prefix(), kind, units_, kMost);
  callable(options_.weight_init, kind + ": weight_init", where);
  callable(options_.recurrent_init, kind + ": recurrent_init", where);
  callable(options_.bias_init, kind + ": bias_init", where);
}

Tensor Recurrent::gate(const Tensor& all, std::int64_t i) const {
  return gates_ == 1 ? all : slice(all, -1, i * units_, (i + 1) * units_);
}

Tensor Recurrent::run(const Tensor& x, std::size_t states, const Cell& cell) {
  enter(x);
  if (x.rank() != 3) type_error_of(name(), {x}, "expected sequences, [batch, time, features]");
  const std::int64_t features = x.shape()[2];
  if (is_symbol(features))
    type_error_of(name(), {x}, "the number of features is unbound; expected [batch, time, features]");
  if (!built()) {
    weight("weight", {features, gates_ * units_}, options_.weight_init);
    weight("recurrent", {units_, gates_ * units_}, options_.recurrent_init);
    if (options_.use_bias) weight("bias", {gates_ * units_}, options_.bias_init);
  }
  const Tensor& w = parameters()[0];
  if (features != w.shape()[0])
    type_error_of(name(), {x, w},
                  fmt::format("the layer was built for {} features and is given {}; expected [batch, time, {}]",
                              w.shape()[0], features, w.shape()[0]));
  const Tensor recurrent = parameters()[1];
  Tensor projected = contract(transpose(x, {1, 0, 2}), w, {2}, {0});  // [time, batch, gates * units]
  if (options_.use_bias) projected = projected + parameters()[2];
  const Tensor zero = full(f32, {}, 0);
  const Tensor state = spread(zero, {x.shape()[0], units_}, {});
  const Turn turns = scan(std::vector<Tensor>(states, state), {projected},
                          [&](const Turn& t) {
                            const BuiltinScope builtin(name());
                            const std::vector<Tensor> next = cell(t.carry, t.each[0], recurrent);
                            return Turn{next, options_.return_sequences ? std::vector{next[0]} : std::vector<Tensor>()};
                          },
                          {.reverse = options_.reverse});
  return called({x}, options_.return_sequences ? transpose(turns.each[0], {1, 0, 2}) : turns.carry[0]);
}

SimpleRNN::SimpleRNN(std::int64_t units, Activation activation, RecurrentOptions options, std::source_location where)
    : Recurrent("SimpleRNN", 1, units, std::move(options), where), activation_(std::move(activation)) {}

Tensor SimpleRNN::operator()(const Tensor& x, std::source_location where) {
  const LocScope scope(where);
  return run(x, 1, [&](const std::vector<Tensor>& s, const Tensor& projected, const Tensor& u) {
    return std::vector{activation_(projected + matmul(s[0], u))};
  });
}

LSTM::LSTM(std::int64_t units, RecurrentOptions options, std::source_location where)
    : Recurrent("LSTM", 4, units, std::move(options), where) {}

Tensor LSTM::operator()(const Tensor& x, std::source_location where) {
  const LocScope scope(where);
  return run(x, 2, [&](const std::vector<Tensor>& s, const Tensor& projected, const Tensor& u) {
    const Tensor gates = projected + matmul(s[0], u);
    const Tensor c = sigmoid(gate(gates, 1)) * s[1] + sigmoid(gate(gates, 0)) * tanh(gate(gates, 2));
    return std::vector{sigmoid(gate(gates, 3)) * tanh(c), c};
  });
}

GRU::GRU(std::int64_t units, RecurrentOptions options, std::source_location where)
    : Recurrent("GRU", 3, units, std::move(options), where) {}

Tensor GRU::operator()(const Tensor& x, std::source_location where) {
  const LocScope scope(where);
  return run(x, 1, [&](const std::vector<Tensor>& s, const Tensor& projected, const Tensor& u) {
    const Tensor h = s[0], product = matmul(h, u);
    const Tensor z = sigmoid(gate(projected, 0) + gate(product, 0));
    const Tensor r = sigmoid(gate(projected, 1) + gate(product, 1));
    const Tensor n = tanh(gate(projected, 2) + r * gate(product, 2));
    return std::vector{(1 - z) * n + z * h};
  });
}

}  // namespace weft

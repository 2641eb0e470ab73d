// Recurrent layers: one cell, run along the time axis by scan().
#pragma once
#include <weft/frontend/nn/layers.h>

namespace weft {

struct RecurrentOptions {
  bool return_sequences = false;  ///< the hidden state of every step, [batch, time, units], and not of the last alone
  bool reverse = false;           ///< from the last step to the first; sequences lie as the input does
  bool use_bias = true;
  Initializer weight_init = glorot_uniform();
  Initializer recurrent_init = glorot_uniform();
  Initializer bias_init = zeros();
  std::string name = "";
};

/// What the recurrent layers have in common. They take f32 [batch, time, features], where batch and time may be
/// unbound (in a Model the batch alone), and give [batch, units], or [batch, time, units]. States begin as zeros.
/// Parameters: weight [features, gates * units], recurrent [units, gates * units], bias [gates * units]; gates lie side
/// by side in the order in which they are named below.
class Recurrent : public Layer {
 protected:
  Recurrent(std::string kind, std::int64_t gates, std::int64_t units, RecurrentOptions options,
            const std::source_location& where);
  /// One step: the states, x w + b [batch, gates * units] and the recurrent weights give the next states, the hidden
  /// one first.
  using Cell = std::function<std::vector<Tensor>(const std::vector<Tensor>& states, const Tensor& projected,
                                                 const Tensor& recurrent)>;
  Tensor run(const Tensor& x, std::size_t states, const Cell& cell);
  /// Gate number i of [batch, gates * units].
  Tensor gate(const Tensor& all, std::int64_t i) const;

  std::int64_t gates_, units_;
  RecurrentOptions options_;
};

/// h = activation(x w + h u + b) (Elman, "Finding structure in time", 1990).
class SimpleRNN : public Recurrent {
 public:
  explicit SimpleRNN(std::int64_t units, Activation activation = tanh, RecurrentOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  Activation activation_;
};

/// Long short-term memory (Hochreiter, Schmidhuber 1997; Gers et al. 2000). Gates i, f, g, o:
/// c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).
class LSTM : public Recurrent {
 public:
  explicit LSTM(std::int64_t units, RecurrentOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);
};

/// Gated recurrent unit (Cho et al. 2014), the reset gate applied after the product, as cuDNN has it. Gates z, r, n:
/// h = (1 - z) n + z h with z, r = sigmoid(..) and n = tanh(x w + b + r (h u)).
class GRU : public Recurrent {
 public:
  explicit GRU(std::int64_t units, RecurrentOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);
};

}  // namespace weft

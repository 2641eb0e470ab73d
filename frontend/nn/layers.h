// Layers: plain objects that own parameters. Calling one twice shares them.
#pragma once
#include <weft/frontend/nn/activations.h>
#include <weft/frontend/tensor/random.h>

namespace weft {

/// What layers have in common: a name, and the record of their calls that Model::summary() prints. A layer of one's own
/// derives from it, creates parameters and states when first called (through weight() and state()) and passes its
/// result through called().
class Layer {
 public:
  const std::string& name() const { return name_; }  ///< "dense_1"; empty before the first call
  const std::vector<Tensor>& parameters() const { return parameters_; }  ///< those of layers within it included
  const std::vector<Tensor>& states() const { return states_; }          ///< likewise
  /// Tensor::set_trainable() of all its parameters and states, those that its first call will make included.
  void set_trainable(bool trainable);

 protected:
  /// `kind` is the class's name; `name`, unless it is empty, what the layer is called: Error unless it is UTF-8.
  explicit Layer(std::string kind, std::string name = "", WEFT_HERE);
  /// Starts a call: names the layer in x's graph. Error when its parameters live in another graph.
  void enter(const Tensor& x, WEFT_HERE);
  /// Adds a parameter named "layer.suffix". When that fails, the layer is as before its first call.
  Tensor weight(const std::string& suffix, const Shape& shape, const Initializer& init, WEFT_HERE);
  /// Adds a state named "layer.suffix", likewise.
  Tensor state(const std::string& suffix, const Array& initial, WEFT_HERE);
  /// As weft::update(), in models that the result of this call is part of.
  void update(const Tensor& state, const Tensor& value, WEFT_HERE);
  /// Counts the parameters and states of a layer within this one, which has been called, as its own.
  void adopt(const Layer& inner);
  /// Records the call and returns `output`.
  Tensor called(const std::vector<Tensor>& inputs, const Tensor& output);
  bool built() const { return !parameters_.empty() || !states_.empty(); }

 private:
  std::string kind_, asked_, name_;
  std::shared_ptr<Trace> trace_;
  std::uint64_t named_in_ = 0;  // the trace's name_generation that the name is of
  void check_entered() const;
  void drop_all();  // for another attempt at a first call
  std::vector<Tensor> parameters_, states_, adopted_;
  bool is_trainable_ = true;
  std::vector<std::pair<Tensor, Tensor>> updates_;  // of the call under way: states, new values
};

// A layer's constructor is an Error when an option makes no sense.

struct DenseOptions {
  bool use_bias = true;
  Initializer weight_init = glorot_uniform();
  Initializer bias_init = zeros();
  double l1 = 0, l2 = 0;  ///< adds l1 * sum|w| + l2 * sum w^2 to the loss of a model; finite, 0 or more
  std::string name = "";
};

/// y = activation(x w + b): [.., in] -> [.., units]. Parameters: weight [in, units], bias [units]. units >= 1.
class Dense : public Layer {
 public:
  explicit Dense(std::int64_t units, Activation activation = {}, DenseOptions options = {}, WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  std::int64_t units_;
  Activation activation_;
  DenseOptions options_;
};

/// An activation as a layer of its own.
class Activate : public Layer {
 public:
  explicit Activate(Activation activation, std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  Activation activation_;
};

/// [batch, a, b, …] -> [batch, a*b*…].
class Flatten : public Layer {
 public:
  explicit Flatten(std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);
};

/// Zeroes elements with probability `rate`, 0 <= rate < 1, in training and scales the rest by 1 / (1 - rate).
class Dropout : public Layer {
 public:
  explicit Dropout(double rate, std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  double rate_;
};

/// Normalises the last axis to mean 0 and variance 1, then scales and shifts. Parameters: scale and offset, [extent].
/// epsilon, finite and 0 or more, is added to the variance.
class LayerNorm : public Layer {
 public:
  explicit LayerNorm(double epsilon = 1e-3, std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& x, WEFT_HERE);

 private:
  double epsilon_;
};

/// Integers [..] in [0, count), which a Model checks in its data -> rows [.., width]. Parameter: table [count, width],
/// both at least 1.
class Embedding : public Layer {
 public:
  Embedding(std::int64_t count, std::int64_t width, Initializer init = uniform(), std::string name = "", WEFT_HERE);
  Tensor operator()(const Tensor& indices, WEFT_HERE);

 private:
  std::int64_t count_, width_;
  Initializer init_;
};

}  // namespace weft

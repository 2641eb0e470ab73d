// Lesson 10: attention, a language model, and layers with states.
//
// lesson10_transformer [EPOCHS] trains a small Gpt on the verses below for so many epochs (default 40). The command
// does the same with a text of yours: `weft train gpt --data FILE --save FILE.safetensors`, then `weft generate
// FILE.safetensors`.
#include <weft/weft.h>

#include <cstdlib>

using namespace weft;

const std::string verses =
    "The warp is strung, the weft is thrown,\nthe shuttle goes its way alone;\n"
    "the reed beats down, the shed is turned,\nand line by line the cloth is learned.\n"
    "The weft is thrown, the warp is strung,\nby thread and thread the song is sung;\n"
    "the shed is turned, the reed beats down,\nand row by row it makes a gown.\n";

/// What a layer of one's own keeps from step to step: the largest magnitude that it has seen in training, by which it
/// divides. state() is read by every call; update() says what it becomes once a step of training.
class Scale : public Layer {
 public:
  Scale() : Layer("Scale") {}
  Tensor operator()(const Tensor& x) {
    enter(x);
    if (!built()) largest_ = state("largest", Array::scalar(1.0f));
    update(largest_, maximum(largest_, max(abs(x))));
    return called({x}, x / largest_);
  }

 private:
  Tensor largest_;
};

int main(int argc, char** argv) {
  {
    // Each query gets a mean of the values, weighted by how well it fits the keys; a causal one sees no later key.
    GraphScope scope;
    const Tensor x = placeholder(f32, {2, 16, 8}, "x");  // [batch, time, width]
    const Tensor y = attention(x, x, x, {.causal = true});
    const Tensor z = MultiHeadAttention(4, {.key_value_heads = 2, .causal = true, .rope_base = 10000})(x);
    fmt::print("{} {}\n", to_string(y.shape()), to_string(z.shape()));  // prints: [2,16,8] [2,16,8]
  }

  {
    // States of layers are updated by fit(), read by predict(), saved and loaded with the weights.
    GraphScope scope;
    const Tensor x = input(f32, {4}, "x");
    Scale scale;
    Dense base(8, relu);
    Model model(x, Dense(1)(BatchNorm()(base(scale(x)))));
    base.set_trainable(false);  // no gradient, no optimiser, no decay
    model.compile({.optimizer = AdamW{1e-2}, .loss = mse});
    model.summary();
    // prints: dense (Dense)…40 frozen
    // prints: batch_norm.mean (State)…updated in training
    // prints: 40 of them are not trainable
    const Array rows = uniform(-5, 5)({64, 4}, 1, 0), y = Array::filled({f32, {64, 1}}, 1);
    model.fit(rows, y, {.batch_size = 16, .epochs = 2, .verbose = 0});
    fmt::print("largest: {:.0f}\n", scale.states()[0].value().at(0));  // prints: largest: 5
  }

  const int epochs = argc > 1 ? std::atoi(argv[1]) : 40;
  const data::Characters characters(verses);
  std::string text;
  for (int i = 0; i < 8; ++i) text += verses;
  const Dataset windows = data::next_token_windows(characters.encode(text), 32);  // x[i] is followed by y[i]

  Gpt net({.vocabulary = characters.size(), .context = 32, .layers = 2, .heads = 4, .width = 32});
  const Tensor tokens = input(i32, {32}, "tokens");
  Model model(tokens, net(tokens));  // [batch, 32] to scores [batch, 32, characters]
  model.compile({.optimizer = Adam{5e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  const History history = model.fit(windows, {.batch_size = 16, .epochs = epochs, .verbose = 0});
  fmt::print("loss {:.2f} to {:.2f}\n", history["loss"].front(), history["loss"].back());  // prints: loss 3.…to 0.

  // A token at a time: the keys and values of what was read are kept, so that it costs one pass over the weights, and
  // the scores are those of a pass over all that was read, bit for bit.
  Continuation continuation(net);
  std::string made = "The w";
  continuation.read(characters.encode(made).as<std::int32_t>());
  for (int i = 0; i < 60; ++i) {
    const std::int32_t token = continuation.next({.temperature = 0.5, .seed = 1});
    made += characters.decode({&token, 1});
  }
  fmt::print("{}\n", made);  // prints: The w
  return history["loss"].back() < 1 ? 0 : 1;
}

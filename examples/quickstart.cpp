// The model of README's first screen.
#include <weft/weft.h>
using namespace weft;

int main() {
  auto mnist = data::mnist();  // MNIST's files if they are found, else embedded digits; it says which
  Tensor image = input(f32, {784});
  Tensor h = Dense(512, relu)(image);
  h = Dense(256, relu)(h);
  Model model(image, Dense(10)(h));
  model.compile({.optimizer = Adam{1e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  model.fit(mnist.train, {.batch_size = 128, .epochs = 10, .validation_split = 0.2});
  fmt::print("{}\n", model.evaluate(mnist.test));
  fmt::print("{}\n", model.dump(Stage::optimized));
}

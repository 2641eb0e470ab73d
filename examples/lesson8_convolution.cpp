// Lesson 8: a convolutional net.
//
// lesson8_convolution [SAMPLES [EPOCHS]] trains on so many samples (default 4000) for so many epochs (default 3). On
// all of MNIST (60000, 5) it passes 99 % on the test set. The numbers come from MNIST's own files when they are found
// (`WEFT_DATA=DIR`, or ./data), else from digits that weft draws itself.
#include <weft/weft.h>

#include <cstdlib>

using namespace weft;

int main(int argc, char** argv) {
  // Windows slide over the axes between the batch and the channels, which come last.
  {
    GraphScope scope;
    Tensor signal = constant(Array::from<float>({1, 4, 2, 8, 5, 7}, {1, 6, 1}));
    Tensor smooth = constant(Array::from<float>({0.25f, 0.5f, 0.25f}, {3, 1, 1}));  // [size, channels, filters]
    Tensor valid = conv(signal, smooth), same = conv(signal, smooth, {.padding = Padding::same});
    Tensor pairs = max_pool(signal, 2);       // side by side
    Tensor rises = window(signal, {1}, {2});  // a view of all neighbours, [1, 5, 1, 2]
    const std::vector<Array> values = compile({valid, same, pairs, rises})({});
    for (const Array& v : values) fmt::print("{} ", to_string(v.shape()));
    fmt::print("\n{}\n", values[2].str());
    // prints: [1,4,1] [1,6,1] [1,3,1] [1,5,1,2]
    // prints: 4, 8, 7
  }

  {
    GraphScope scope;
    const Tensor image = placeholder(f32, {2, 9, 9, 3}, "pixels"), taps = placeholder(f32, {3, 3, 3, 8}, "taps");
    const Tensor map = conv(image, taps, {.stride = 2, .padding = Padding::same});  // [2, 5, 5, 8]
    const Tensor smaller = max_pool(map, 2);                                        // [2, 2, 2, 8]
    fmt::print("{} {}\n", to_string(map.shape()), to_string(smaller.shape()));      // prints: [2,5,5,8] [2,2,2,8]
  }

  const std::int64_t samples = argc > 1 ? std::atol(argv[1]) : 4000;
  const int epochs = argc > 2 ? std::atoi(argv[2]) : 3;
  auto mnist = data::mnist({.train_count = samples, .test_count = samples >= 60000 ? 10000 : 1000});
  fmt::print("data: {}\n", mnist.source);

  Tensor image = input(f32, {784});
  Tensor h = reshape(image, {-1, 28, 28, 1});
  h = Conv2D(16, 3, relu)(h);
  h = MaxPool(2)(Conv2D(32, 3, relu)(h));
  h = Dropout(0.25)(flatten(h));
  h = Dropout(0.25)(Dense(64, relu)(h));
  Model model(image, Dense(10)(h));
  model.compile({.optimizer = Adam{1e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  model.summary();
  // prints: conv2d (Conv2D)…(?, 26, 26, 16)
  // prints: max_pool (MaxPool)…(?, 12, 12, 32)

  model.fit(mnist.train, {.batch_size = 64, .epochs = epochs});
  Scores scores = model.evaluate(mnist.test);
  fmt::print("test {}\n", scores);  // prints: test loss: 0.… - accuracy: 0.9
  return scores["accuracy"] > 0.9 ? 0 : 1;
}

// Lesson 3: MNIST with Model, in Keras's terms.
//
// lesson3_mnist [SAMPLES [EPOCHS]] trains on so many samples (default 6000) for so many epochs (default 6). The numbers
// come from MNIST's own files when they are found (`WEFT_DATA=DIR`, or ./data), else from digits that weft draws
// itself.
#include <weft/weft.h>

#include <cstdlib>

using namespace weft;

int main(int argc, char** argv) {
  const std::int64_t samples = argc > 1 ? std::atol(argv[1]) : 6000;
  const int epochs = argc > 2 ? std::atoi(argv[2]) : 6;
  auto mnist = data::mnist({.train_count = samples, .test_count = 1000});
  fmt::print("data: {}\n", mnist.source);

  // A model is a function from tensors to tensors. Layers are objects: call one twice and its weights are shared.
  Tensor image = input(f32, {784});
  Tensor h = Dense(128, relu)(image);
  h = Dropout(0.1)(h);
  Model model(image, Dense(10)(h));
  model.compile({.optimizer = Adam{1e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  model.summary();
  // prints: dense (Dense)…(?, 128)
  // prints: 101,770

  // fit() shuffles by seed, so that the same call gives the same weights, bit for bit, on any number of threads.
  History history = model.fit(mnist.train, {.batch_size = 64,
                                            .epochs = epochs,
                                            .validation_split = 0.1,
                                            .callbacks = {EarlyStopping{.patience = 2, .restore_best = true}}});
  fmt::print("loss by epoch:");
  for (double loss : history["loss"]) fmt::print(" {:.3f}", loss);
  fmt::print("\n");  // prints: loss by epoch: …

  Scores before = model.evaluate(mnist.test);
  fmt::print("test {}\n", before);  // prints: test loss: 0.… - accuracy: 0.…

  // Save, load into a second model of the same shape, and look at one prediction.
  model.save("lesson3.safetensors");
  Tensor again = input(f32, {784});
  Model loaded(again, Dense(10)(Dropout(0.1)(Dense(128, relu)(again))));
  loaded.compile({.loss = softmax_cross_entropy, .metrics = {accuracy}});
  loaded.load("lesson3.safetensors");
  fmt::print("the loaded model scores the same: {}\n", loaded.evaluate(mnist.test)["accuracy"] == before["accuracy"]);
  // prints: the loaded model scores the same: true

  Array scores = loaded.predict(mnist.test.x.rows(0, 1));
  fmt::print("scores of the first digit: {}\n", scores.str());  // prints: scores of the first digit: f32[1,10]
  return before["accuracy"] > 0.9 ? 0 : 1;
}

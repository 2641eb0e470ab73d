// Lesson 7: branches, loops, and the recurrent layers that are made of them.
#include <weft/weft.h>

using namespace weft;

int main() {
  // 1. A branch. Only the side that is taken counts, also in gradients: where() would give NaN here.
  const Tensor v = placeholder(f32, {}, "v");
  const Tensor y = cond(
      v > 0, [&] { return log(v); }, [&] { return v; });
  const Executable branch = compile({y, grad(y, {v})[0]});
  const std::vector<Array> r = branch({Array::scalar(-2.0f)});
  fmt::print("log or itself: {} with slope {}\n", r[0].at(0), r[1].at(0));
  // prints: log or itself: -2 with slope 1

  // 2. A loop over the rows of x, of which there may be any number: a decaying sum, and all its values.
  const Tensor x = placeholder(f32, {symbol("time"), 2}, "x");
  const Turn sums = scan({full(f32, {2}, 0)}, {x}, [](const Turn& t) {
    const Tensor s = 0.5 * t.carry[0] + t.each[0];
    return Turn{{s}, {s}};  // what the next turn begins with; what is stacked
  });
  const Executable decay = compile({sums.carry[0], sums.each[0]});
  fmt::print("{}\n", decay({Array::from<float>({1, 2, 3, 4}, {2, 2})})[0].str());  // prints: f32[2] {3.5, 5}
  fmt::print("{}\n", to_string(decay({Array(Type{f32, {5, 2}})})[1].type()));      // prints: f32[5,2]

  // 3. The text shows the loop as a function of its own.
  fmt::print("{}\n", decay.dump(Stage::graph));  // prints: func @turn(%a0: f32[2], %a1: f32[2])…scan …length=5

  // 4. Digits read row by row: 28 steps of 28 pixels.
  set_seed(0);
  const auto mnist = data::mnist({.train_count = 2000, .test_count = 500});
  const Tensor image = input(f32, {784});
  Model model(image, Dense(10)(GRU(32)(reshape(image, {-1, 28, 28}))));
  model.compile({.optimizer = Adam{5e-3}, .loss = softmax_cross_entropy, .metrics = {accuracy}});
  model.summary();  // prints: gru (GRU)
  model.fit(mnist.train, {.batch_size = 50, .epochs = 4, .verbose = 0});
  const Scores scores = model.evaluate(mnist.test);
  fmt::print("test {}\n", scores);  // prints: test loss: …accuracy: 0.…
  return scores["accuracy"] > 0.5 ? 0 : 1;
}

// Lesson 2: grad() and a training loop by hand.
//
// grad(loss, parameters) adds the gradient's nodes to the same graph. The results are tensors like any other: you can
// print them, use them in an update, or differentiate them again.
#include <weft/weft.h>

using namespace weft;

int main() {
  // 1. Derivatives. y = x^3 has y' = 3 x^2 and y'' = 6 x; at x = 2 these are 12 and 12.
  Tensor x = placeholder(f32, {}, "x");
  Tensor y = x * x * x;
  Tensor dy = grad(y, {x})[0];
  Tensor ddy = grad(dy, {x})[0];
  std::vector<Array> values = compile({y, dy, ddy})({Array::scalar(2.0f)});
  fmt::print("y = {}, y' = {}, y'' = {}\n", values[0].item<float>(), values[1].item<float>(), values[2].item<float>());
  // prints: y = 8, y' = 12, y'' = 12

  // 2. A model: a straight line through noisy points. A parameter is a value that is kept between calls.
  Tensor t = input(f32, {}, "t");
  Tensor target = input(f32, {}, "target");
  Tensor slope = parameter({}, zeros(), "slope");
  Tensor offset = parameter({}, zeros(), "offset");
  Tensor loss = mean(square(slope * t + offset - target));

  // 3. One training step is one compiled function: forward, backward and the update. `updates` says what the parameters
  // hold
  //    after the call; it is done in place, and no gradient needs memory of its own.
  std::vector<Tensor> g = grad(loss, {slope, offset});
  const float rate = 0.2f;
  Executable step = compile({loss}, {.updates = {{slope, slope - rate * g[0]}, {offset, offset - rate * g[1]}}});

  // 4. The loop is plain C++. The points lie near 3 t + 2.
  std::vector<float> ts, targets;
  for (int i = 0; i < 64; ++i) {
    ts.push_back(static_cast<float>(i) / 32 - 1);
    targets.push_back(3 * ts.back() + 2 + (i % 2 ? 0.01f : -0.01f));
  }
  Array t_batch = Array::from(ts, {64}), target_batch = Array::from(targets, {64});
  for (int i = 0; i < 200; ++i) {
    Array l = step({t_batch, target_batch})[0];
    if (i % 50 == 0) fmt::print("step {:3}  loss {:.5f}\n", i, l.item<float>());
  }
  // prints: step   0  loss
  // prints: step 150  loss 0.00010
  fmt::print("slope {:.2f}, offset {:.2f}\n", slope.value().item<float>(), offset.value().item<float>());
  // prints: slope 3.00, offset 2.00
}

// A user's program outside weft's tree: exclusive or, learned by two layers.
#include <weft/weft.h>

int main() {
  using namespace weft;
  Tensor x = input(f32, {2});
  Model model(x, Dense(1)(Dense(16, weft::tanh)(x)));
  model.compile({.optimizer = Adam{0.05}, .loss = mse});

  const Array points = Array::from<float>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2});
  const Array answers = Array::from<float>({0, 1, 1, 0}, {4, 1});
  const double before = model.evaluate(points, answers)["loss"];
  model.fit(points, answers, {.batch_size = 4, .epochs = 200, .verbose = 0});
  const double after = model.evaluate(points, answers)["loss"];

  fmt::print("loss before {:.3f}, after {:.6f}\n", before, after);
  if (!(after < 0.01 && after < before)) return 1;
  fmt::print("loss fell\n");
}

// Lesson 5: a layer, a loss and an optimiser of one's own.
//
// All of them are C++ over tensors. What you write is traced, differentiated, fused and compiled with everything else:
// there is no slow path for one's own parts.
#include <weft/weft.h>

using namespace weft;

/// A gated layer: y = (x w) * sigmoid(x v). Deriving from Layer gives it a name, parameters and a row in the summary.
class Gated : public Layer {
 public:
  explicit Gated(std::int64_t units) : Layer("Gated"), units_(units) {}

  Tensor operator()(const Tensor& x) {
    enter(x);
    if (!built()) {  // the first call knows the input's width
      const Shape shape{x.shape().back(), units_};
      w_ = weight("w", shape, glorot_uniform());
      v_ = weight("v", shape, glorot_uniform());
    }
    return called({x}, matmul(x, w_) * sigmoid(matmul(x, v_)));
  }

 private:
  std::int64_t units_;
  Tensor w_, v_;
};

/// The focal loss, one number a sample: -(1 - p)^2 log p, where p is the probability of the right class. Easy samples
/// count less.
Tensor focal(const Tensor& logits, const Tensor& label) {
  Tensor log_p = sum(log_softmax(logits) * one_hot(label, logits.shape().back()), -1);
  return -square(1 - exp(log_p)) * log_p;
}

/// Signum: the step is the sign of the momentum. A slot is a state of the parameter's shape.
struct Signum {
  RateSchedule learning_rate = 1e-3;
  double beta = 0.9;

  Tensor operator()(OptimizerStep& step, const Tensor& w, const Tensor& g) const {
    Tensor m = step.slot("momentum");
    return w - step.learning_rate() * sign(step.assign(m, beta * m + (1 - beta) * g));
  }
};

int main() {
  auto digits = data::digits({.train_count = 3000, .test_count = 500});
  Tensor image = input(f32, {784});
  Model model(image, Dense(10)(Gated(64)(image)));
  model.compile({.optimizer = Signum{.learning_rate = cosine_decay(1e-3, 300)},
                 .loss = Loss("focal", focal, Loss::labels),
                 .metrics = {accuracy, top_k(3)}});
  model.summary();  // prints: gated (Gated)…(?, 64)
  model.fit(digits.train, {.batch_size = 50, .epochs = 5, .verbose = 2});

  Scores scores = model.evaluate(digits.test);
  fmt::print("test {}\n", scores);  // prints: test loss: 0.… - accuracy: 0.…
  fmt::print("chance would be 0.1; learned: {}\n", scores["accuracy"] > 0.8);  // prints: learned: true
}

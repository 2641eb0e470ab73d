// cond(): values, gradients, what branches may use, and mistakes.
#include <cmath>

#include "support.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("cond gives the branch that the predicate says") {
  GraphScope graph;
  const Tensor p = placeholder(boolean, {}, "p"), x = placeholder(f32, {3}, "x");
  const Tensor outer = x * 2;
  const Tensor y = cond(
      p, [&] { return exp(outer) + 1; }, [&] { return outer; });
  require_close(run(y, {Array::scalar(true), f({0, 1, -1}, {3})}), {2, std::exp(2.0) + 1, std::exp(-2.0) + 1});
  require_close(run(y, {Array::scalar(false), f({0, 1, -1}, {3})}), {0, 2, -2});
}

TEST_CASE("cond: branches give several tensors, nest, and read states and parameters") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {}, "x");
  const Tensor w = parameter({}, constant_value(3), "w");
  const std::vector<Tensor> r = cond(
      x > 0,
      [&] {
        const Tensor inner = cond(
            x > 10, [&] { return w * x; }, [&] { return x; });
        return std::vector{inner + 1, w};
      },
      [&] {
        return std::vector{parameter({}, constant_value(5), "v") * x, x};
      });
  REQUIRE(r.size() == 2);
  const Tensor both = stack(r);
  require_close(run(both, {Array::scalar(20.0f)}), {61, 3});
  require_close(run(both, {Array::scalar(2.0f)}), {3, 3});
  require_close(run(both, {Array::scalar(-2.0f)}), {-10, -2});
}

TEST_CASE("cond: the branch that is not taken makes no NaN in a gradient") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {}, "x");
  const Tensor safe = cond(
      x > 0, [&] { return sqrt(x); }, [&] { return x * 3; });
  const Tensor first = grad(safe, {x})[0], second = grad(first, {x})[0];
  for (const float v : {4.0f, 0.0f, -1.0f}) {
    const Array in = Array::scalar(v);
    CHECK(run(first, {in}).at(0) == (v > 0 ? 0.25 : 3));
    CHECK(run(second, {in}).at(0) == (v > 0 ? -1.0 / 32 : 0));
  }
}

TEST_CASE("cond: what a branch shares with the graph and with the other branch is found again") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {2}, "x");
  const Tensor s = sin(x);
  const Tensor y = cond(
      sum(x) > 0, [&] { return sin(x) * 2; }, [&] { return cos(x) * sin(x); });
  const Tensor z = cos(x);  // made in a branch before
  require_close(run(y + z, {f({1, 2}, {2})}), {2 * std::sin(1.0) + std::cos(1.0), 2 * std::sin(2.0) + std::cos(2.0)});
  CHECK(s.defined());
}

TEST_CASE("cond: random numbers in a branch are those of a call of their own") {
  const auto draw = [](bool unused_before) {
    GraphScope graph;
    set_seed(7);
    const Tensor p = placeholder(boolean, {}, "p");
    if (unused_before) random_uniform({4}, 0, 1);
    const Tensor a = cond(
        p, [&] { return random_uniform({4}, 0, 1); }, [&] { return full(f32, {4}, 0); });
    const Tensor b = random_uniform({4}, 0, 1);
    return run(stack({a, b}), {Array::scalar(true)});
  };
  const Array drawn = draw(false);
  CHECK_FALSE(drawn.rows(0, 1).same_bits(drawn.rows(1, 2)));
  CHECK(draw(true).same_bits(drawn));  // whatever else the graph has
}

TEST_CASE("cond: dropout in a branch, training and not") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {64}, "x");
  const Tensor y = cond(
      sum(x) > 0, [&] { return dropout(x, 0.5); }, [&] { return x; });
  const Array ones = f(std::vector<float>(64, 1.0f), {64});
  const Array still = compile({y})({ones})[0], dropped = compile({y}, {.training = true})({ones})[0];
  int zeros = 0;
  for (std::int64_t k = 0; k < 64; ++k) {
    CHECK(still.at(k) == 1);
    zeros += dropped.at(k) == 0;
  }
  CHECK((zeros > 10 && zeros < 54));
}

TEST_CASE("cond: a model with a branch trains, on a batch of any size") {
  GraphScope graph;
  const Tensor x = input(f32, {4}, "x");
  const Tensor h = Dense(8)(x);
  const Tensor y = cond(
      mean(x) > 0, [&] { return Dense(1, relu)(h); }, [&] { return Dense(1)(h * 2); });
  Model model(x, y);
  model.compile({.optimizer = SGD{.learning_rate = 0.01}, .loss = mse});
  std::vector<float> values(40), targets(10);
  for (std::size_t k = 0; k < values.size(); ++k)
    values[k] = static_cast<float>(std::sin(0.3 * static_cast<double>(k)));
  for (std::size_t k = 0; k < targets.size(); ++k) targets[k] = values[4 * k] + 1;
  const History history =
      model.fit(f(values, {10, 4}), f(targets, {10, 1}), {.batch_size = 4, .epochs = 20, .verbose = 0});
  CHECK(history["loss"].back() < history["loss"].front());
  CHECK(model.predict(f(values, {10, 4})).shape() == Shape{10, 1});
}

TEST_CASE("cond reports mistakes at their lines") {
  GraphScope graph;
  const Tensor p = placeholder(boolean, {}, "p"), x = placeholder(f32, {3}, "x"), k = placeholder(i32, {3}, "k");
  const auto same = [&] { return x; };
  Tensor other;
  {
    GraphScope apart;
    other = placeholder(f32, {3}, "other");
  }
  require_reported({
      MISTAKE(cond(x > 0, same, same), "cond: the condition is a bool scalar; use where()", "bool[3]"),
      MISTAKE(cond(Tensor(), same, same), "cond: operand 0 is an empty Tensor"),
      MISTAKE(cond(p, same, [&] { return k; }), "cond: result 0 of the branches differs in type", "f32[3]", "i32[3]"),
      MISTAKE(cond(p, same, [] { return Tensor(); }), "cond: the branch 'otherwise' gives an empty Tensor"),
      MISTAKE(cond(p, std::function<Tensor()>(), same), "cond: the function 'then' is empty"),
      MISTAKE(cond(p, same, [&] { return other; }), "cond: the branch 'otherwise' gives a tensor of another graph"),
      MISTAKE(cond(
                  p, [&] { return std::vector{x}; },
                  [&] {
                    return std::vector{x, x};
                  }),
              "cond: the branches give 1 tensor and 2; expected as many"),
      MISTAKE(cond(
                  p, [] { return std::vector<Tensor>(); }, [] { return std::vector<Tensor>(); }),
              "cond: the branch 'then' gives no tensor"),
      MISTAKE(cond(p, same, [&] { return matmul(x, k); }), "matmul: dtypes differ"),
  });
}

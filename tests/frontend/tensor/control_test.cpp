// cond() and scan(): values, gradients, what branches and turns may use, and mistakes.
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

TEST_CASE("scan carries from turn to turn and stacks what each gives") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {4, 2}, "x"), w = placeholder(f32, {2}, "w");
  for (const bool reverse : {false, true}) {
    const Turn r = scan({full(f32, {2}, 1)}, {x},
                        [&](const Turn& t) {
                          const Tensor next = t.carry[0] * w + t.each[0];
                          return Turn{{next}, {next * 2, t.carry[0]}};
                        },
                        {.reverse = reverse});
    REQUIRE((r.carry.size() == 1 && r.each.size() == 2));
    std::vector<Tensor> doubled(4), before(4);  // by hand
    Tensor c = full(f32, {2}, 1);
    for (int i = 0; i < 4; ++i) {
      const int t = reverse ? 3 - i : i;
      before[static_cast<std::size_t>(t)] = c;
      c = c * w + reshape(slice(x, 0, t, t + 1), {2});
      doubled[static_cast<std::size_t>(t)] = c * 2;
    }
    const std::vector<Array> in{f({1, -2, 3, 4, 0.5, 6, -7, 8}, {4, 2}), f({0.5, -1.5}, {2})};
    CHECK(run(r.carry[0], in, {x, w}).same_bits(run(c, in)));
    CHECK(run(r.each[0], in).same_bits(run(stack(doubled), in)));
    CHECK(run(r.each[1], in).same_bits(run(stack(before), in)));
    const Tensor loss = sum(square(r.each[0])) + sum(sin(r.carry[0]) * sum(r.each[1], 0));
    const Tensor same = sum(square(stack(doubled))) + sum(sin(c) * sum(stack(before), 0));
    const std::vector<Tensor> got = grad(loss, {x, w}), want = grad(same, {x, w});
    for (std::size_t i = 0; i < 2; ++i) require_close(run(got[i], in, {x, w}), doubles(run(want[i], in, {x, w})));
    const Tensor again = grad(sum(square(got[1])), {w})[0], once_more = grad(sum(square(want[1])), {w})[0];
    require_close(run(again, in, {x, w}), doubles(run(once_more, in, {x, w})), 1e-4);
  }
}

TEST_CASE("scan without slices, nested, with a branch and a parameter") {
  GraphScope graph;
  const Tensor w = parameter({}, constant_value(2), "w");
  const Turn r = scan({full(f32, {}, 1), full(i32, {}, 0)}, {},
                      [&](const Turn& t) {
                        const Tensor inner = scan({t.carry[0]}, {},
                                                  [&](const Turn& u) {
                                                    return Turn{{u.carry[0] * w}, {}};
                                                  },
                                                  {.length = 2})
                                                 .carry[0];
                        const Tensor next = cond(
                            t.carry[1] == 1, [&] { return inner + 1; }, [&] { return inner; });
                        return Turn{{next, t.carry[1] + 1}, {}};
                      },
                      {.length = 3});
  CHECK(run(r.carry[0]).at(0) == 68);  // 1 -> 4 -> 17 -> 68
  CHECK(run(r.carry[1]).at(0) == 3);
  CHECK(run(grad(r.carry[0], {w})[0]).at(0) == 2 * 3 * 32 + 2 * 2);  // d/dw (w^6 + w^2)
}

TEST_CASE("random numbers differ from turn to turn, and from scan to scan in another") {
  GraphScope graph;
  set_seed(3);
  const Turn r = scan({}, {}, [&](const Turn&) { return Turn{{}, {random_bits({2})}}; }, {.length = 5});
  const Turn nested =
      scan({}, {},
           [&](const Turn&) {
             const Turn inner = scan({}, {}, [&](const Turn&) { return Turn{{}, {random_bits({2})}}; }, {.length = 3});
             return Turn{{}, {inner.each[0], random_bits({2})}};
           },
           {.length = 3});
  const Array drawn =
      run(concat({reshape(r.each[0], {10}), reshape(nested.each[0], {18}), reshape(nested.each[1], {6})}));
  std::vector<std::int32_t> all(drawn.as<std::int32_t>().begin(), drawn.as<std::int32_t>().end());
  CHECK(all.size() == 10 + 18 + 6);
  std::ranges::sort(all);
  CHECK(std::ranges::adjacent_find(all) == all.end());
}

TEST_CASE("the length of a scan may be bound when it is compiled") {
  GraphScope graph;
  const std::int64_t steps = symbol("steps");
  const Turn r = scan({full(f32, {}, 1)}, {},
                      [](const Turn& t) {
                        return Turn{{t.carry[0] * 2}, {}};
                      },
                      {.length = steps});
  for (const Backend backend : {Backend::interpreter, Backend::cpu})
    CHECK(compile({r.carry[0]}, {.extents = {{steps, 5}}, .backend = backend})()[0].at(0) == 32);
  CHECK(error_of([&] { compile({r.carry[0]}); }).find("an axis ?steps and no input that would give its extent") !=
        std::string::npos);
}

TEST_CASE("what a turn is given is nothing outside of the scan") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {4, 2}, "x");
  Tensor leak;
  const Turn r = scan({full(f32, {2}, 0)}, {x}, [&](const Turn& t) {
    leak = t.each[0] * 2;
    return Turn{{t.carry[0] + t.each[0]}, {}};
  });
  run(r.carry[0], {f({1, 2, 3, 4, 5, 6, 7, 8}, {4, 2})});
  const std::string message = error_of([&] { compile({leak + r.carry[0]}); });
  require_parts(message, {"compile: the outputs depend on what a turn of the scan() at",
                          "control_test.cpp:", "is given, which is nothing outside of it"});
}

TEST_CASE("scan reports mistakes at their lines") {
  GraphScope graph;
  const Tensor x = placeholder(f32, {4, 2}, "x"), y = placeholder(f32, {3, 2}, "y"), c = placeholder(f32, {2}, "c"),
               s = placeholder(f32, {}, "s");
  const auto keep = [](const Turn& t) { return Turn{t.carry, {}}; };
  require_reported({
      MISTAKE(scan({c}, {x, y}, keep), "scan: slices differ in number: 4 and 3", "f32[4,2]", "f32[3,2]"),
      MISTAKE(scan({c}, {s}, keep), "scan: a scalar has no slices"),
      MISTAKE(scan({c}, {}, keep), "scan: there are no slices; expected ScanOptions::length"),
      MISTAKE(scan({c}, {}, keep, {.length = -2}), "scan: length is -2; expected 1 or more"),
      MISTAKE(scan({c}, {x}, keep, {.length = 3}), "scan: length is 3, and there are 4 slices"),
      MISTAKE(scan({}, {}, keep, {.length = 3}), "scan: the function gives no tensor"),
      MISTAKE(scan({Tensor()}, {x}, keep), "scan: operand 0 is an empty Tensor"),
      MISTAKE(scan({c}, {x}, TurnFunction()), "scan: the function is empty"),
      MISTAKE(scan({c}, {x}, [](const Turn&) { return Turn{}; }), "scan: the function gives no tensor"),
      MISTAKE(scan({c}, {x},
                   [](const Turn& t) {
                     return Turn{{}, t.each};
                   }),
              "scan: the carry is 1 tensor, and the function gives 0"),
      MISTAKE(scan({c}, {x},
                   [&](const Turn&) {
                     return Turn{{s}, {}};
                   }),
              "scan: carry 0 changes its type", "f32[2]", "f32[]"),
      MISTAKE(scan({c}, {x},
                   [&](const Turn& t) {
                     return Turn{t.carry, {Tensor()}};
                   }),
              "scan: the function gives an empty Tensor"),
      MISTAKE(scan({c}, {x},
                   [&](const Turn& t) {
                     return Turn{{t.carry[0] + y}, {}};
                   }),
              "scan: carry 0 changes its type"),
  });
}

// What fit(), evaluate() and predict() refuse in data: indices out of range, however they reach a gather, labels, bytes
// as targets; and what is not refused.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// fit, evaluate, validation data and predict refuse x with these parts in the message, and nothing is changed.
void require_refused(Model& model, const Array& good_x, const Array& bad_x, const Array& y, const std::string& what) {
  const auto before = model.weights();
  const FitOptions o{.batch_size = 1, .verbose = 0};
  FitOptions validated = o;
  validated.validation_data = Dataset{bad_x, y, ""};
  require_reported({
      MISTAKE(model.fit(bad_x, y, o), "fit: input ", what),
      MISTAKE(model.fit(good_x, y, validated), "fit: validation data: input ", what),
      MISTAKE(model.evaluate(bad_x, y), "evaluate: input ", what),
      MISTAKE(model.predict(bad_x), "predict: input ", what),
  });
  for (const auto& [name, value] : model.weights()) REQUIRE(value.same_bits(before.at(name)));
}

}  // namespace

TEST_CASE("ids out of range are refused with their row, however they reach the table") {
  struct Way {
    const char* name;
    DType dtype;
    std::function<Tensor(const Tensor& ids)> look_up;  // ids [?, 2] of a table of 10
  };
  const Way ways[] = {
      {"Embedding", i32, [](const Tensor& ids) { return Embedding(10, 3)(ids); }},
      {"Embedding of i64", i64, [](const Tensor& ids) { return Embedding(10, 3)(ids); }},
      {"gather", i32,
       [](const Tensor& ids) {
         return gather(parameter({10, 3}), ids);
       }},
      {"gather of an axis", i32,
       [](const Tensor& ids) {
         return transpose(gather(parameter({3, 10}), ids, 1), {1, 2, 0});
       }},
      {"through views", i32,
       [](const Tensor& ids) {
         return Embedding(10, 3)(transpose(reshape(concat({ids, ids}), {-1, 2, 2}), {0, 2, 1}));
       }},
      {"converted", f32, [](const Tensor& ids) { return Embedding(10, 3)(stop_gradient(astype(ids, i32))); }},
      {"two tables", i32, [](const Tensor& ids) { return Embedding(10, 3)(ids) + Embedding(1000, 3)(ids); }},
  };
  const Array y = Array::from<std::int32_t>({0, 1, 1}, {3});
  for (const Way& way : ways) {
    GraphScope graph;
    CAPTURE(way.name);
    const Tensor ids = input(way.dtype, {2}, "ids");
    Model model(ids, Dense(2)(flatten(way.look_up(ids))));
    model.compile({.optimizer = SGD{0.1}, .loss = softmax_cross_entropy});
    const Array good = i({0, 9, 5, 3, 9, 0}, {3, 2}).converted(way.dtype);
    for (const std::int64_t bad : {10, -1, 1000000}) {
      CAPTURE(bad);
      const Array wrong = Array::from<std::int64_t>({0, 9, 5, bad, 9, 0}, {3, 2}).converted(way.dtype);
      require_refused(model, good, wrong, y,
                      fmt::format("'ids': the index {} in row 1, element 1 is outside 0 … 9", bad));
    }
    model.fit(good, y, {.batch_size = 3, .verbose = 0});
  }
}

TEST_CASE("an id that only wraps into range, a number that is none, and the data's own dtype") {
  GraphScope graph;
  const Tensor ids = input(i32, {1}, "ids");
  Model model(ids, Dense(2)(flatten(Embedding(10, 3)(ids))));
  require_reported({FAILS(model.predict(Array::from<std::int64_t>({3, (std::int64_t{1} << 32) + 3}, {2, 1})),
                          "predict: input 'ids': the index 4294967299 in row 1, element 0 is outside 0 … 9 (",
                          "data_checks_test.cpp:")});
  require_reported({FAILS(model.predict(i({9, 10}, {2, 1}).converted(u8)), "the index 10 in row 1")});
  model.predict(i({9, 0}, {2, 1}).converted(u8));
  const Tensor x = input(f32, {1}, "x");
  Model real(x, Dense(2)(flatten(Embedding(10, 3)(astype(x, i32)))));
  require_reported({FAILS(real.predict(f({NAN}, {1, 1})), "the index nan in row 0")});
  real.predict(f({9.75, -0.5}, {2, 1}));  // truncated to 9 and 0
}

TEST_CASE("columns of one input have limits of their own; a computed index is not the user's") {
  GraphScope graph;
  const Tensor ids = input(i32, {3}, "ids");
  const Tensor small = slice(ids, 1, 0, 1), large = slice(ids, 1, 2, 3);
  Model model(ids, Dense(2)(flatten(concat({Embedding(4, 2)(small), Embedding(100, 2)(large)}))));
  model.predict(i({3, -77, 99}, {1, 3}));  // the middle column is not used
  require_reported(
      {FAILS(model.predict(i({0, 0, 0, 4, 0, 0}, {2, 3})), "the index 4 in row 1, element 0 is outside 0 … 3"),
       FAILS(model.predict(i({0, 0, 100}, {1, 3})), "the index 100 in row 0, element 2 is outside 0 … 99")});
  const Tensor any = input(i32, {1}, "any");
  for (const Tensor& index : {clip(any, 0, 3), any % 4, weft::where(any < 4, any, 0)})
    Model(any, Dense(2)(flatten(Embedding(4, 2)(index)))).predict(i({3, 1000}, {2, 1}));
}

TEST_CASE("ids that are computed from the data are checked too, whatever computes them") {
  struct Way {
    const char* name;
    std::function<Tensor(const Tensor& ids)> index;
    std::int32_t bad;
    const char* what;
  };
  const Way ways[] = {
      {"ids + 1", [](const Tensor& ids) { return ids + 1; }, 9, "the index 10 that is computed from row 2001"},
      {"of two columns", [](const Tensor& ids) { return slice(ids, 1, 0, 1) * 3 + slice(ids, 1, 1, 2); }, 8,
       "the index 11 that is computed from row 2001"},
      {"a sum", [](const Tensor& ids) { return sum(ids, 1, true); }, 9, "the index 10 that is computed from row 2001"},
      {"a maximum, less one", [](const Tensor& ids) { return max(ids, 1, true) - 1; }, 11, "the index 10 that is"},
      {"a table of one's own",
       [](const Tensor& ids) {
         return gather(constant(i({0, 1, 12}, {3})), ids);
       },
       2, "the index 12 that is computed from row 2001"},
      {"by columns", [](const Tensor& ids) { return transpose(ids + 1); }, 9,
       "the index 10 that is computed from rows"},
  };
  for (const Way& way : ways) {
    GraphScope graph;
    CAPTURE(way.name);
    const Tensor ids = input(i32, {2}, "ids");
    Tensor looked_up = Embedding(10, 3)(way.index(ids));
    if (std::string(way.name) == "by columns") looked_up = transpose(looked_up, {1, 0, 2});
    Model model(ids, Dense(2)(flatten(looked_up)));
    model.compile({.optimizer = SGD{0.1}, .loss = softmax_cross_entropy});
    const Array good = Array::filled({i32, {3000, 2}}, 1), y = Array(Type{i32, {3000}});
    Array wrong = good.clone();
    wrong.as<std::int32_t>()[4003] = way.bad;
    const auto before = model.weights();
    const FitOptions o{.batch_size = 100, .verbose = 0};
    FitOptions validated = o;
    validated.validation_data = Dataset{wrong, y, ""};
    require_reported({
        FAILS(model.fit(wrong, y, o), "fit: ", way.what, "is outside 0 … 9 (", "data_checks_test.cpp:"),
        FAILS(model.fit(good, y, validated), "fit: validation data: ", way.what),
        FAILS(model.evaluate(wrong, y), "evaluate: ", way.what),
        FAILS(model.predict(wrong.converted(i64)), "predict: ", way.what),
    });
    for (const auto& [name, value] : model.weights()) REQUIRE(value.same_bits(before.at(name)));
    model.fit(good, y, o);
  }
}

TEST_CASE("a conversion that changes a number makes another index of it") {
  struct Way {
    const char* name;
    DType dtype;  // of the input
    std::function<Tensor(const Tensor& ids)> index;
    Array good, bad;
    const char* what;  // of 10 rows
  };
  const Array near_ten = Array::from<double>({9.9999999999}, {1, 1});
  const Way ways[] = {
      {"f64 rounded to f32", f32, [](const Tensor& ids) { return astype(ids, i32); },
       Array::from<double>({9.5}, {1, 1}), near_ten, "the index 10 that is computed"},
      {"f64 as it is", f64, [](const Tensor& ids) { return astype(ids, i32); }, near_ten,
       Array::from<double>({10}, {1, 1}), "the index 10 in row 0"},
      {"a number as a bool", i32, [](const Tensor& ids) { return astype(astype(ids, boolean), i32) * 9; },
       i({5}, {1, 1}), i({5}, {1, 1}), ""},
      {"a bool", i32, [](const Tensor& ids) { return astype(astype(ids, boolean), i32); }, i({1000}, {1, 1}),
       i({5}, {1, 1}), ""},
      {"NaN", f32, [](const Tensor& ids) { return astype(ids + 1.0, i32); }, f({8.5f}, {1, 1}), f({NAN}, {1, 1}),
       "the index nan that is computed"},
  };
  for (const Way& way : ways) {
    GraphScope graph;
    CAPTURE(way.name);
    const Tensor ids = input(way.dtype, {1}, "ids");
    Model model(ids, Dense(2)(flatten(Embedding(10, 3)(way.index(ids)))));
    model.predict(way.good);
    if (*way.what) require_reported({FAILS(model.predict(way.bad), way.what)});
    if (!*way.what) model.predict(way.bad);
  }
}

TEST_CASE("an index that other rows of the batch have a part in is not the row's") {
  GraphScope graph;
  const Tensor ids = input(i32, {2}, "ids");
  const Tensor by_batch = expand_dims(sum(ids, std::vector<int>{0}), 0) + ids * 0;
  Model model(ids, Dense(2)(flatten(Embedding(8, 3)(by_batch))));
  model.compile({.optimizer = SGD{0.1}, .loss = mse});
  model.fit(Array::filled({i32, {4096, 2}}, 1), Array(Type{f32, {4096, 2}}), {.batch_size = 4, .verbose = 0});
}

TEST_CASE("an index that a state or a random number has a part in is not the data's") {
  GraphScope graph;
  const Tensor ids = input(i32, {1}, "ids"), offset = state(Array::scalar(std::int32_t{100}), "offset");
  Model(ids, Dense(2)(flatten(Embedding(10, 3)(ids + offset)))).predict(i({3}, {1, 1}));
  Model(ids, Dense(2)(flatten(Embedding(10, 3)(ids + random_bits({kBatch, 1}))))).predict(i({3}, {1, 1}));
}

TEST_CASE("labels, and targets that a loss uses as indices") {
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x");
  Model model(x, Dense(3)(x));
  const Array rows = f({1, 2, 3, 4}, {2, 2});
  model.compile({.optimizer = SGD{0.1},
                 .loss = Loss(
                     "picked",
                     [](const Tensor& p, const Tensor& t) {
                       return sum(square(p - gather(constant(f({1, 0, 0, 0, 1, 0, 0, 0, 1}, {3, 3})), t)), -1);
                     },
                     Loss::any)});
  require_reported({
      FAILS(model.fit(rows, i({2, 3}, {2}), {.batch_size = 1, .verbose = 0}),
            "fit: target 0: the index 3 in row 1, element 0 is outside 0 … 2"),
      FAILS(model.evaluate(rows, i({-1, 0}, {2})), "evaluate: target 0: the index -1 in row 0"),
  });
  model.compile({.loss = softmax_cross_entropy});
  require_reported({FAILS(model.evaluate(rows, i({2, 3}, {2})), "label 3 in row 1 is outside 0 … 2 (3 classes)")});
}

TEST_CASE("a label out of range makes the loss called as a function NaN, and the others' gradients stay") {
  for (const Loss& loss : {softmax_cross_entropy, sparse_cross_entropy})
    for (const DType dtype : {i32, i64, u8}) {
      GraphScope graph;
      CAPTURE(loss.name(), name(dtype));
      const Tensor p = input(f32, {3}, "p"), t = input(dtype, {}, "t");
      const Array scores = f({0.5f, 0.25f, 0.25f, 0.5f, 0.25f, 0.25f, 0.5f, 0.25f, 0.25f}, {3, 3});
      const Array labels = i({2, 3, -1}, {3}).converted(dtype);
      const Array each = run(loss(p, t), {scores, labels}, {p, t});
      REQUIRE(std::isfinite(each.at(0)));
      REQUIRE(std::isnan(each.at(1)));
      REQUIRE(std::isnan(each.at(2)));
      const Array g = run(grad(sum(loss(p, t)), {p})[0], {scores, labels}, {p, t});
      REQUIRE(std::abs(g.at(2)) > 0.1);
      for (int k = 0; k < 9; ++k) REQUIRE(std::isfinite(g.at(k)));
    }
}

TEST_CASE("bytes are scaled as inputs and refused as values to predict") {
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x");
  Model model(x, Dense(2)(x));
  model.compile({.loss = mse});
  model.set_weights({{"dense.weight", f({1, 0, 0, 1}, {2, 2})}, {"dense.bias", f({0, 0}, {2})}});
  const Array bytes = i({0, 255, 128, 64}, {2, 2}).converted(u8);
  require_reported({FAILS(model.evaluate(bytes, bytes), "evaluate: target 0 is u8[2,2], for a loss on values",
                          "data::scale(y, 1.0 / 255) or y.converted(f32)"),
                    FAILS(model.fit(bytes, bytes, {.batch_size = 1, .verbose = 0}), "fit: target 0 is u8[2,2]")});
  REQUIRE(model.evaluate(bytes, data::scale(bytes, 1.0 / 255)).loss < 1e-12);
  // Bytes that are labels, and 0 or 1, mean what they say.
  Model classes(x, Dense(4)(x));
  classes.compile(
      {.loss = Loss(
           "mine", [](const Tensor& p, const Tensor& t) { return softmax_cross_entropy(p, t); }, Loss::any)});
  classes.evaluate(bytes, i({3, 0}, {2}).converted(u8));
  Model one(x, Dense(1)(x));
  one.compile({.loss = binary_cross_entropy_with_logits});
  one.evaluate(bytes, i({1, 0}, {2}).converted(u8));
}

TEST_CASE("squeeze drops only axes of extent 1 that are named") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {5}), b = placeholder(f32, {5, 1}), c = placeholder(f32, {1, 5, 1}),
               x = input(f32, {1});
  REQUIRE(squeeze(c).shape() == Shape{5});
  REQUIRE(squeeze(c, -1).shape() == Shape{1, 5});
  REQUIRE(squeeze(c, {0, 2}).shape() == Shape{5});
  REQUIRE(squeeze(a).shape() == Shape{5});
  REQUIRE(squeeze(x, 1).shape() == Shape{kBatch});
  require_reported({
      MISTAKE(squeeze(a, 0), "squeeze: axis 0 has extent 5; expected 1"),
      MISTAKE(squeeze(b, {0, 1}), "squeeze: axis 0 has extent 5; expected 1"),
      MISTAKE(squeeze(c, {0, 1, 2}), "squeeze: axis 1 has extent 5; expected 1"),
      MISTAKE(squeeze(x, 0), "squeeze: axis 0 has extent ?; expected 1"),
      MISTAKE(squeeze(x, {0, 1}), "squeeze: axis 0 has extent ?; expected 1"),
      MISTAKE(squeeze(Tensor()), "squeeze: operand 0 is an empty Tensor"),
  });
}

TEST_CASE("an input that no output uses is refused by a model, and is an argument of a function that lists it") {
  GraphScope graph;
  const Tensor x = input(f32, {2}, "x"), idle = input(f32, {3}, "idle");
  require_reported({MISTAKE(Model({x, idle}, {Dense(1)(x)}), "Model: no output depends on input 'idle' f32[?,3]",
                            "leave it out, or use it")});
  const Executable exe = compile({x * 2}, {.inputs = {x, idle}});
  REQUIRE(exe.input_names() == std::vector<std::string>{"x", "idle"});
  REQUIRE(exe({f({1, 2}, {1, 2}), f({0, 0, 0}, {1, 3})})[0].same_bits(f({2, 4}, {1, 2})));
  require_reported({FAILS(exe({f({1, 2}, {1, 2}), f({0}, {1, 1})}), "input 'idle'", "expected f32[?,3]")});
}

TEST_CASE("whatever is wrong with data is reported at the line that gave it, before any part of a step is built") {
  struct Row {
    Loss loss;
    std::vector<Array> x, y;
    const char* what;
  };
  const Array x = f({1, 2, 3, 4}, {2, 2}), y = f({1, 0, 0, 1}, {2, 2}), labels = i({0, 1}, {2});
  const Row rows[] = {
      {mse, {}, {y}, "0 data arrays for 1 input"},
      {mse, {x, x}, {y}, "2 data arrays for 1 input"},
      {mse, {x}, {y, y}, "2 targets for 1 output"},
      {mse, {Array()}, {y}, "is a scalar"},
      {mse, {x}, {Array()}, "is a scalar"},
      {mse, {f({1, 2}, {1, 2})}, {y}, "target 0 has 2 rows, the first array has 1"},
      {mse, {Array(Type{f32, {0, 2}})}, {Array(Type{f32, {0, 2}})}, "the data set is empty"},
      {mse, {f({1, 2, 3, 4, 5, 6}, {2, 3})}, {y}, "takes f32[?,2], the data has rows of f32[?,3]: the numbers of"},
      {mse,
       {x},
       {f({1, 2}, {2})},
       "target 0 has rows of f32[?]; the loss 'mse' expects rows like the output's, f32[?,2]"},
      {mse, {x}, {labels}, "(a loss on labels is a Loss::labels)"},
      {mse, {x}, {i({0, 1, 1, 0}, {2, 2}).converted(u8)}, "for a loss on values: bytes are scaled"},
      {binary_cross_entropy, {x}, {f({0, 1, 2, 0}, {2, 2})}, "the target of sample 1 is 2; the loss expects 0 or 1"},
      {binary_cross_entropy, {x}, {f({NAN, 1, 1, 0}, {2, 2})}, "the target of sample 0 is nan"},
      {binary_cross_entropy, {x}, {f({0, 1}, {2, 1})}, "expects rows like the output's"},
      {softmax_cross_entropy, {x}, {f({0, 1}, {2})}, "the loss 'softmax_cross_entropy' expects integer labels, one a"},
      {softmax_cross_entropy, {x}, {i({0, 1, 1, 0}, {2, 2})}, "expects integer labels, one a sample"},
      {softmax_cross_entropy, {x}, {i({0, 2}, {2})}, "label 2 in row 1 is outside 0 … 1"},
      {mse, {x}, {f({1, NAN, 0, 1}, {2, 2})}, nullptr},
  };
  for (const Row& row : rows) {
    GraphScope graph;
    const Tensor in = input(f32, {2}, "x");
    Model model(in, Dense(2)(in));
    model.compile({.loss = row.loss});
    const FitOptions o{.batch_size = 1, .verbose = 0};
    if (!row.what) {  // what only shows when the loss is there
      require_reported({MISTAKE(model.fit(row.x, row.y, o), "fit: the loss is nan at step")});
      continue;
    }
    CAPTURE(row.what);
    require_reported({MISTAKE(model.fit(row.x, row.y, o), ": fit: ", row.what),
                      MISTAKE(model.evaluate(row.x, row.y), ": evaluate: ", row.what)});
    if (row.x.size() == 1 && row.y.size() == 1) {
      FitOptions validated = o;
      validated.validation_data = Dataset{row.x[0], row.y[0], ""};
      const Array good = row.loss.target() == Loss::labels ? labels : y;
      require_reported({MISTAKE(model.fit(x, good, validated), ": fit: validation data: ", row.what)});
    }
    if (row.x.size() != 1 || !row.x[0].same_bits(x)) {
      if (row.x.size() != 1 || row.x[0].shape() != Shape{1, 2})
        require_reported({MISTAKE(model.predict(row.x), ": predict: ")});
    }
  }
  GraphScope graph;
  const Tensor in = input(f32, {2}, "x");
  Model model(in, Dense(2)(in));
  require_reported({
      MISTAKE(model.fit(x, y), ": fit: the model is not compiled"),
      MISTAKE(model.evaluate(x, y), ": evaluate: the model is not compiled"),
      MISTAKE(model.predict(x, 0), ": predict: batch_size is 0"),
  });
  model.compile({.loss = mse, .threads = -1});
  const FitOptions o{.batch_size = 1, .verbose = 0};
  FitOptions unlogged = o, other = o;
  unlogged.log = nullptr, unlogged.verbose = 1;
  other.callbacks = {EarlyStopping{}};
  require_reported({
      MISTAKE(model.fit(x, y, o), "cannot use -1 threads"),
      MISTAKE(model.fit(x, y, unlogged), ": fit: the log is a null pointer"),
      MISTAKE(model.fit(x, y, {.batch_size = 3}), ": fit: batch_size 3 is larger than the 2 samples"),
  });
  model.compile({.loss = mse});
  require_reported({MISTAKE(model.fit(x, y, other), ": EarlyStopping: there is no 'val_loss' to monitor")});
  {
    const Tensor of_rank_1 = squeeze(Dense(1)(in), 1);
    Model flat(in, of_rank_1);
    flat.compile({.loss = softmax_cross_entropy});
    require_reported(
        {MISTAKE(flat.fit(x, labels), ": fit: output 0 is f32[?]; the loss 'softmax_cross_entropy' expects scores")});
  }
}

// Arrays that begin within a cache line: rows of others, where they lie.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr Backend kBackends[] = {Backend::cpu, Backend::interpreter, Backend::emulator};

/// Rows [begin, begin + n) of a larger array, of an odd width, as a view and as a copy.
struct View {
  Array view, copy;
};
View rows_from(std::int64_t begin, std::int64_t n, std::int64_t width, DType dtype = f32) {
  const Array all = uniform(0, 100)({begin + n + 1, width}, 9, 0).converted(dtype);
  return {all.view_rows(begin, begin + n), all.rows(begin, begin + n)};
}

}  // namespace

TEST_CASE("an executable takes arrays that begin anywhere, for every dtype") {
  for (const Backend backend : kBackends)
    for (const DType dtype : {f32, f64, i32, i64, u8})
      for (const std::int64_t begin : {3, 33}) {
        CAPTURE(name(backend), name(dtype), begin);
        GraphScope graph;
        const Tensor x = placeholder(dtype, {32, 3}), y = placeholder(dtype, {32, 3}), k = astype(x, f32);
        const Executable exe =
            compile({x + y, sum(x), transpose(x), matmul(k, transpose(k)), gather(x, astype(sum(x, 1), i32) % 32)},
                    {.backend = backend, .threads = 2});
        const View a = rows_from(begin, 32, 3, dtype), b = rows_from(begin + 1, 32, 3, dtype);
        const std::vector<Array> got = exe({a.view, b.view}), want = exe({a.copy, b.copy});
        for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i].same_bits(want[i]));
        const auto steps = [&](const Array& x3, const Array& y3) {
          return exe.run_steps(8, {per_step(x3), resident(y3)}).outputs;
        };
        const View many = rows_from(begin, 8 * 32, 3, dtype);
        const auto stepped = steps(many.view.reshaped({8, 32, 3}), b.view),
                   expected = steps(many.copy.reshaped({8, 32, 3}), b.copy);
        for (std::size_t i = 0; i < stepped.size(); ++i) CHECK(stepped[i].same_bits(expected[i]));
      }
}

TEST_CASE("a state begins where compiled code may store to it, wherever its first value lay") {
  GraphScope graph;
  const View first = rows_from(3, 5, 3);
  const Tensor s = state(first.view, "s"),
               w = parameter({5, 3}, [&](const Shape&, std::uint64_t, std::uint64_t) { return first.view; }),
               v = parameter({5, 3}, [&](const Shape&, std::uint64_t, std::uint64_t) { return first.view; });
  const Executable exe = compile({s + w + v}, {.updates = {{s, s * 2.0}, {w, w + 1.0}, {v, v + 2.0}}});
  const Array once = exe()[0];
  CHECK(first.view.same_bits(first.copy));
  CHECK(s.value().same_bits(compile({constant(first.copy) * 2.0})()[0]));
  s.set_value(rows_from(7, 5, 3).view);
  exe.set_state("s", first.view);
  CHECK(s.value().same_bits(first.copy));
  CHECK(once.same_bits(compile({constant(first.copy) + constant(first.copy) + constant(first.copy)})()[0]));
}

TEST_CASE("a model trains, validates, evaluates and predicts on rows of larger arrays") {
  const auto trained = [](bool views) {
    GraphScope graph;
    set_seed(6);
    const Tensor x = input(f32, {3});
    Model model(x, Dense(1)(Dense(7, relu)(x)));
    model.compile({.loss = mse, .metrics = {mean_absolute_error}});
    const auto pick = [&](const View& v) { return views ? v.view : v.copy; };
    const Array rows = pick(rows_from(5, 70, 3)), targets = pick(rows_from(3, 70, 1)), held = pick(rows_from(7, 30, 3)),
                wanted = pick(rows_from(9, 30, 1));
    const History history = model.fit(
        rows, targets, {.batch_size = 11, .epochs = 2, .validation_data = Dataset{held, wanted, ""}, .verbose = 0});
    std::vector<Array> made = {Array::from<double>(history["val_loss"], {2}), model.predict(held, 7)};
    made.push_back(Array::scalar(model.evaluate(held, wanted, 13).loss));
    return made;
  };
  const auto views = trained(true), copies = trained(false);
  for (std::size_t i = 0; i < views.size(); ++i) CHECK(views[i].same_bits(copies[i]));
}

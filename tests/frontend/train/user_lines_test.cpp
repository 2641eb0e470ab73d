// Whose line is charged where weft calls a function of the user's: the function's own, in errors and in the graph; and
// the call of weft's where a part of weft's stands in its place.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

const Array kRows = Array::filled({f32, {4, 3}}, 0.5), kTargets = Array::filled({f32, {4, 2}}, 0.5);

History learn(const TrainOptions& o, const Activation& activation = {}) {
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x");
  Model model(x, Dense(2, activation)(x));
  model.compile(o);
  return model.fit(kRows, kTargets, {.batch_size = 4, .verbose = 0});
}

/// An optimiser with something wrong in one place, and the line of that.
struct Wrong {
  RateSchedule learning_rate = 0.1;
  int where = 0;
  static inline std::string line[3];
  Tensor operator()(OptimizerStep& s, const Tensor& w, const Tensor& g) const {
    if (where == 0) {
      line[0] = here(1);
      return w - matmul(g, g);
    }
    if (where == 1) {
      line[1] = here(1);
      return w - s.slot("two\xff words") * g;
    }
    return w - g * s.scalar("t", 0, [](const Tensor& t) {
      line[2] = here(1);
      return t + placeholder(i32, {});
    });
  }
};

class Twice : public Layer {
 public:
  static inline std::string line;
  Twice() : Layer("Twice") {}
  Tensor operator()(const Tensor& x) {
    enter(x);
    line = here(1);
    weight("kBatch", {kBatch, 2}, zeros());
    return called({x}, x);
  }
};

}  // namespace

TEST_CASE("a mistake in a function of the user's is reported on its line in the function") {
  std::string line;
  const auto wrong = [&](const Tensor& p, const Tensor&) {
    line = here(1);
    return matmul(p, p);
  };
  struct Row {
    const char* name;
    std::function<void()> make;
    const std::string* line;
    const char* what;
  };
  const char* const kInner = "matmul: inner extents differ";
  const Row rows[] = {
      {"a loss", [&] { learn({.loss = wrong}); }, &line, kInner},
      {"a named loss", [&] { learn({.loss = Loss("mine", wrong)}); }, &line, kInner},
      {"a loss in a loss",
       [&] { learn({.loss = [&](const Tensor& p, const Tensor& t) { return Loss(wrong)(p, t); }}); }, &line, kInner},
      {"a built-in loss in a loss",
       [&] {
         learn({.loss = [&](const Tensor& p, const Tensor& t) {
           line = here(1);
           return mse(p, sum(t, -1));
         }});
       },
       &line, "mse: prediction and target differ in shape"},
      {"a metric",
       [&] {
         const auto sums = [&](const Tensor& p, const Tensor& t) { return std::vector<Tensor>{wrong(p, t)}; };
         learn({.loss = mse, .metrics = {Metric{"mine", sums, accuracy.result}}});
       },
       &line, kInner},
      {"an optimiser", [] { learn({.optimizer = Wrong{}, .loss = mse}); }, &Wrong::line[0], "matmul: inner extents"},
      {"a slot", [] { learn({.optimizer = Wrong{.where = 1}, .loss = mse}); }, &Wrong::line[1], "is no name"},
      {"a scalar of an optimiser", [] { learn({.optimizer = Wrong{.where = 2}, .loss = mse}); }, &Wrong::line[2],
       "add: dtypes differ"},
      {"an activation", [&] { learn({.loss = mse}, [&](const Tensor& x) { return wrong(x, x); }); }, &line, kInner},
      {"a layer", [] { Twice()(input(f32, {3})); }, &Twice::line, "Twice: shape [?,2] has an unbound extent"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const std::string message = error_of(row.make);
    CAPTURE(message);
    CHECK(message.substr(0, message.find(": ")).find("user_lines_test.cpp:") != std::string::npos);
    require_parts(message.substr(0, message.find(kInner)), {*row.line + ":"});
    require_parts(message, {*row.line + ":", row.what});
  }
}

TEST_CASE("an error without a place, thrown in a function of the user's, gets the line of the call") {
  const std::string message =
      error_of([] { learn({.loss = [](const Tensor&, const Tensor&) -> Tensor { throw Error("no such thing"); }}); });
  require_parts(message, {"user_lines_test.cpp:", "loss 'loss': no such thing"});
  struct Mine : Error {
    using Error::Error;
  };
  CHECK_THROWS_AS(learn({.loss = [](const Tensor&, const Tensor&) -> Tensor { throw Mine("as it is"); }}), Mine);
}

TEST_CASE("no node of a training step carries a line of weft's own sources") {
  const Optimizer optimizers[] = {SGD{.momentum = 0.9}, RMSprop{.momentum = 0.5}, Adagrad{}, Adam{}, AdamW{}};
  const Loss of_values[] = {mse,
                            mae,
                            huber(),
                            categorical_cross_entropy,
                            categorical_cross_entropy_with_logits,
                            binary_cross_entropy,
                            binary_cross_entropy_with_logits};
  const Loss of_labels[] = {softmax_cross_entropy, sparse_cross_entropy};
  const auto check = [](const Optimizer& o, const Loss& loss, const std::vector<Metric>& metrics) {
    GraphScope graph;
    const Tensor x = input(f32, {3}, "x");
    Model model(x, Dense(2, [](const Tensor& v) { return gelu(v); })(Dropout(0.5)(LayerNorm()(x))));
    model.compile({.optimizer = o, .loss = loss, .metrics = metrics, .clip_norm = 1});
    const Type target = loss.target() == Loss::labels ? Type{i32, {64}} : Type{f32, {64, 2}};
    const Graph g = model.training_step({Type{f32, {64, 3}}}, {target}, 8).graph();
    for (ValueId id = 0; id < g.size(); ++id)
      for (const Loc& loc : g[id].locs.locs()) {
        CAPTURE(loss.name(), to_string(loc), name(g[id].op));
        REQUIRE(loc.file.ends_with("user_lines_test.cpp"));
      }
  };
  for (const Optimizer& o : optimizers) check(o, mse, {mean_absolute_error, mean_squared_error});
  for (const Loss& loss : of_values) check(SGD{}, loss, {accuracy});
  for (const Loss& loss : of_labels)
    check(SGD{}, loss, {accuracy, precision, recall, f1, top_k(1), confusion_matrix(2)});
}

// What keeps a graph, its values and its memory alive: models that are built, compiled, trained and dropped in a loop
// leave nothing behind, however they are built.
//
// WEFT_MODELS=1000 test_frontend "[lifetime]" runs that many of each.
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <thread>

#include "catch.h"
#include "frontend/support.h"
#include "frontend/tensor/random.h"
#include "frontend/train/builtin.h"

using namespace weft;

namespace {

int models() {
  const char* n = std::getenv("WEFT_MODELS");
  return n ? std::max(10, std::atoi(n)) : 14;
}

double resident_mb() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * 4096 / 1e6;
}

constexpr std::int64_t kWidth = 384;  // 0.6 MB of weights, 2 with Adam's moments

void train(Model& m) {
  static const Array x = Array::filled({f32, {8, 32}}, 0.1), y = Array::filled({f32, {8, 1}}, 1);
  m.compile({.optimizer = Adam{1e-3}, .loss = mse});
  m.fit(x, y, {.batch_size = 8, .verbose = 0});
  m.evaluate(x, y);
  m.predict(x);
}

Tensor layers(const Tensor& x) { return Dense(1)(Dense(kWidth, relu)(Dense(kWidth, relu)(x))); }

/// Builds the model number i and drops what is not for the next.
struct Way {
  const char* name;
  std::function<void(int i)> build;
};

std::vector<Way> ways() {
  std::vector<Way> all;
  all.push_back({"in the thread's own graph", [](int) {
                   const Tensor x = input(f32, {32});
                   Model m(x, layers(x));
                   train(m);
                 }});
  all.push_back({"in a scope", [](int) {
                   const GraphScope scope;
                   const Tensor x = input(f32, {32});
                   Model m(x, layers(x));
                   train(m);
                 }});
  all.push_back({"on one input", [x = std::make_shared<Tensor>()](int) {
                   if (!x->defined()) *x = input(f32, {32});
                   Model m(*x, layers(*x));
                   train(m);
                 }});
  all.push_back({"beside the best so far", [best = std::make_shared<std::optional<Model>>()](int i) {
                   const Tensor x = input(f32, {32});
                   Model m(x, layers(x));
                   train(m);
                   if (i % 7 == 0) *best = m;
                 }});
  all.push_back({"compiled again", [m = std::make_shared<std::optional<Model>>()](int) {
                   if (!*m) {
                     const Tensor x = input(f32, {32});
                     *m = Model(x, layers(x));
                   }
                   train(**m);
                 }});
  all.push_back({"with penalties and dropout", [](int) {
                   const Tensor x = input(f32, {32});
                   const Tensor h = Dense(kWidth, relu, {.l2 = 1e-3})(Dropout(0.5)(Dense(kWidth, relu)(x)));
                   Model m(x, Dense(1)(h));
                   train(m);
                 }});
  all.push_back(
      {"with tensors and executables alone", [](int) {
         const Tensor x = placeholder(f32, {8, kWidth}), w = parameter({kWidth, kWidth});
         const Tensor loss = sum(square(matmul(x, w)));
         const Executable step = compile({loss}, {.updates = {{w, w - 0.1 * grad(loss, {w})[0]}}, .inputs = {x}});
         step({Array::filled({f32, {8, kWidth}}, 0.1)});
       }});
  all.push_back({"of constants", [](int i) {
                   const Tensor big = constant(Array::filled({f32, {kWidth, kWidth}}, i));
                   compile({sum(big)})();
                 }});
  return all;
}

}  // namespace

TEST_CASE("models that are built, trained and dropped leave nothing behind", "[lifetime]") {
  for (const Way& way : ways()) {
    INFO(way.name);
    double settled = 0;
    std::size_t nodes = 0, variables = 0;
    std::thread([&] {  // with a graph of its own
      const int n = models();
      for (int i = 0; i < n; ++i) {
        way.build(i);
        if (i == n / 2 - 1) settled = resident_mb(), nodes = 0, variables = 0;
        nodes = std::max(nodes, current_trace()->graph.size());
        variables = std::max(variables, current_trace()->variables.size());
      }
    })
        .join();
    const double grown = resident_mb() - settled;
    INFO(grown << " MB more, " << nodes << " nodes, " << variables << " variables");
    CHECK(grown < 0.15 * models() + 8);  // of half of them, each with 2 MB; and what fit() had to restore, in pieces
    CHECK(nodes < 1500);
    CHECK(variables < 70);
  }
}

TEST_CASE("with a model goes what was its alone, and no more", "[lifetime]") {
  const GraphScope scope;
  Trace& trace = *current_trace();
  const Tensor x = input(f32, {4}, "x");
  Dense shared(3);
  const Tensor h = shared(x);
  const std::size_t nodes = trace.graph.size();
  std::weak_ptr<StateValue> alone, kept = trace.find("dense.weight")->value;
  Executable still;
  {
    Model m(x, Dense(2)(h));
    alone = trace.find("dense_1.weight")->value;
    m.compile({.optimizer = Adam{1e-3}, .loss = mse});
    m.fit(Array::filled({f32, {4, 4}}, 1), Array::filled({f32, {4, 2}}, 1), {.batch_size = 4, .verbose = 0});
    CHECK(trace.graph.size() > nodes);
    still = compile({m.outputs()[0]});
  }
  CHECK(trace.graph.size() == nodes);
  CHECK(trace.layers.size() == 1);
  CHECK(trace.variables.size() == 2);
  CHECK_FALSE(kept.expired());
  CHECK_FALSE(alone.expired());  // the executable has it
  CHECK(still({Array::filled({f32, {1, 4}}, 0)})[0].shape() == Shape{1, 2});
  still = {};
  CHECK(alone.expired());
  // The names are free again where a name alone stood for the value, and taken where it does not.
  CHECK(Dense(2)(h).trace()->find("dense_2.weight") != nullptr);
}

TEST_CASE("what goes leaves no gap, and what stays is still what it was", "[lifetime]") {
  const GraphScope scope;
  Trace& trace = *current_trace();
  const auto make = [](float weight) {
    const Tensor x = input(f32, {4});
    return Model(x, Dense(3, relu, {.weight_init = constant_value(weight), .l2 = 0.5})(x));
  };
  const Array ones = Array::filled({f32, {2, 4}}, 1), y = Array::filled({f32, {2, 3}}, 0);
  std::optional<Model> gone = make(7);
  gone->compile({.optimizer = Adam{0.1}, .loss = mse});
  Model m = make(1);
  const Tensor outside = sum(m.outputs()[0] * 2);
  m.compile({.optimizer = Adam{0.1}, .loss = mse});
  const std::string name = m.parameters()[0].name(), summary = m.summary(false);
  const std::size_t both = trace.graph.size();
  gone.reset();
  CHECK(trace.graph.size() < both);
  CHECK(trace.layers.size() == 1);
  CHECK(trace.penalties.size() == 1);
  for (const Variable& v : trace.variables) CHECK(trace.graph[v.id].op == Op::input);
  CHECK(m.parameters()[0].name() == name);
  CHECK(m.parameters()[0].value().as<float>()[0] == 1);
  CHECK(m.summary(false) == summary);
  CHECK(m.predict(ones).as<float>()[0] == 4);
  CHECK(compile({outside})({ones})[0].item<float>() == 2 * 2 * 3 * 4);
  m.fit(ones, y, {.batch_size = 2, .verbose = 0});
  CHECK(m.evaluate(ones, y).loss == Approx(3.5 * 3.5 + 12 * 0.9 * 0.9 * 0.5));  // Adam moved each by 0.1
  m.save("compacted.st");
  CHECK(m.weights().contains("dense.weight"));
  Model again = make(0);
  again.load("compacted.st");
  CHECK(again.predict(ones).same_bits(m.predict(ones)));
  std::remove("compacted.st");
}

TEST_CASE("of a graph that stays, what goes is gone: its values at once, its nodes in bulk", "[lifetime]") {
  const GraphScope scope;
  Trace& trace = *current_trace();
  const auto make = [](const std::string& name) {
    const Tensor x = input(f32, {4}, name);
    return Model(x, Dense(3, relu)(x));
  };
  std::vector<std::optional<Model>> models;
  for (int i = 0; i < 64; ++i) models.emplace_back(make(fmt::format("x{}", i)));
  const std::size_t nodes = trace.graph.size();
  std::size_t rebuilt = 0, last = nodes;
  for (int i = 0; i < 64; ++i) {
    std::weak_ptr<StateValue> value = trace.find(models[static_cast<std::size_t>(i)]->parameters()[0].name())->value;
    models[static_cast<std::size_t>(i)].reset();
    CHECK(value.expired());
    CHECK(trace.variables.size() == 2 * static_cast<std::size_t>(63 - i));
    CHECK(trace.layers.size() == static_cast<std::size_t>(63 - i));
    CHECK(trace.graph.size() <= nodes * static_cast<std::size_t>(63 - i) / 64 * 8 / 7 + 1);
    rebuilt += trace.graph.size() != last;
    last = trace.graph.size();
  }
  CHECK(trace.graph.size() == 0);
  CHECK(rebuilt < 40);
  // A name that only what has gone bears is free.
  for (int i = 0; i < 32; ++i) models.emplace_back(make(fmt::format("x{}", i)));
  const std::size_t before = trace.graph.size();
  models.back().reset();
  CHECK(trace.graph.size() == before);
  CHECK(input(f32, {2}, "x31").shape() == Shape{kBatch, 2});
  CHECK_THROWS_AS(input(f32, {2}, "x30"), Error);
}

TEST_CASE("a layer without parameters does not share its name with one that came when all was gone", "[lifetime]") {
  const GraphScope scope;
  Flatten kept;
  const auto use = [](Flatten& layer) { return layer(input(f32, {2, 3})); };
  use(kept);
  CHECK(kept.name() == "flatten");
  use(kept);  // the first call's tensors are gone, and the graph starts anew
  Flatten other;
  const Tensor a = use(other), b = use(kept);
  CHECK(kept.name() != other.name());
  const Tensor c = use(other);
  CHECK(other.name() != kept.name());
}

namespace {
struct Forget {
  std::optional<Model>* model;
  void on_epoch_end(FitRun&) const { model->reset(); }
};
}  // namespace

TEST_CASE("a model may go in a callback of its own fit()", "[lifetime]") {
  const GraphScope scope;
  const Tensor x = input(f32, {4});
  std::optional<Model> m(Model(x, Dense(3)(x)));
  m->compile({.loss = mse});
  const Array data = Array::filled({f32, {4, 4}}, 1), y = Array::filled({f32, {4, 3}}, 1);
  const History h = m->fit(data, y, {.batch_size = 2, .epochs = 3, .callbacks = {Forget{&m}}, .verbose = 0});
  CHECK(h.epochs() == 3);
  CHECK_FALSE(m.has_value());
}

TEST_CASE("a graph is looked at on one thread while models go on another", "[lifetime]") {
  const GraphScope scope;
  const Tensor x = input(f32, {4});
  Model kept(x, Dense(3, {}, {.weight_init = ones()})(x));
  const Array data = Array::filled({f32, {2, 4}}, 1);
  kept.predict(data);
  std::vector<std::optional<Model>> going;
  for (int i = 0; i < 100; ++i) going.emplace_back(Model(x, Dense(2)(x)));
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0, looks = 0;
  std::thread other([&] {
    while (!stop) {
      const Tensor w = kept.parameters()[0];
      wrong += w.name() != "dense.weight" || w.value().as<float>()[0] != 1 || !(w.type() == Type{f32, {4, 3}});
      wrong += kept.predict(data).as<float>()[0] != 4;
      ++looks;
    }
  });
  for (std::optional<Model>& m : going) {  // compiling and destroying lock the graph, as tracing does not
    m->compile({.optimizer = Adam{1e-3}, .loss = mse});
    m.reset();
  }
  while (looks < 100) std::this_thread::yield();
  stop = true;
  other.join();
  CHECK(wrong == 0);
}

TEST_CASE("random numbers go on when a graph starts anew", "[lifetime]") {
  std::thread([] {
    std::vector<float> drawn;
    for (int i = 0; i < 3; ++i) drawn.push_back(compile({random_uniform({2})})()[0].as<float>()[0]);
    CHECK(drawn[0] != drawn[1]);
    CHECK(drawn[1] != drawn[2]);
    CHECK(drawn[0] != drawn[2]);
  }).join();
}

TEST_CASE("a thread's own graph that nothing refers to starts anew, and goes on drawing", "[lifetime]") {
  std::thread([] {
    std::map<std::string, Array> first, second;
    for (auto* weights : {&first, &second}) {
      const Tensor x = input(f32, {4});
      CHECK(x.name() == "input");
      *weights = Model(x, Dense(3)(x)).weights();
    }
    CHECK(first.at("dense.weight").shape() == second.at("dense.weight").shape());
    CHECK_FALSE(first.at("dense.weight").same_bits(second.at("dense.weight")));  // restarts are not copies
  }).join();
}

TEST_CASE("a model may go on a thread that does not build in its graph", "[lifetime]") {
  const GraphScope scope;
  const Tensor x = input(f32, {4}, "x");
  auto m = std::make_unique<Model>(x, Dense(2)(x));
  const std::size_t nodes = current_trace()->graph.size();
  std::thread([&] { m.reset(); }).join();
  CHECK(current_trace()->graph.size() == nodes);  // looked at here, when it is worth it
  current_trace()->collect();
  CHECK(current_trace()->graph.size() == 1);
}

TEST_CASE("a name is refused only while a tensor holds it", "[lifetime]") {
  for (const bool in_the_middle : {false, true}) {
    GraphScope scope;
    using Make = std::function<Tensor(const std::string&)>;
    const Make kinds[] = {[](const std::string& name) { return input(f32, {2}, name); },
                          [](const std::string& name) { return placeholder(f32, {2}, name); },
                          [](const std::string& name) { return parameter({2}, zeros(), name); },
                          [](const std::string& name) {
                            return state(Array(Type{f32, {2}}), name);
                          }};
    std::vector<Tensor> later;
    for (const Make& first : kinds)
      for (const Make& second : kinds) {
        {
          const Tensor x = first("x");
          CHECK(error_of([&] { second("x"); }).find("input 'x' exists already") != std::string::npos);
          if (in_the_middle) later.push_back(parameter({2}, ones()));  // it keeps what was before it in the graph
        }
        const Tensor again = second("x");
        CHECK(again.name() == "x");
        const Tensor y = sum(again * 2);
        CHECK(compile({y}).graph(1).inputs()[0].name == "x");
      }
    // What an expression needs is held by it.
    Tensor sum_of = sum(placeholder(f32, {2}, "held"));
    CHECK(error_of([] { placeholder(f32, {2}, "held"); }).find("exists already") != std::string::npos);
    sum_of = Tensor();
    CHECK(placeholder(f32, {2}, "held").name() == "held");
    for (const Tensor& t : later) CHECK(t.value().as<float>()[0] == 1);
  }
}

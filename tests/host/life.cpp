// A host program that uses weft before main(), after it, and while it ends: `host_life MODE`. The tests run each mode.
//
//   static   globals built before main() and destroyed after it, each kind of table and constant among them
//   late     globals that are filled in main(), so that they outlive what weft made for them
//   after    a global's destructor that traces, trains and runs; what it would compile is an error
//   thread   exit() on another thread while main() compiles and trains
//   inside   exit() in a callback of fit()
//   quick    exit() in the middle of run_steps(), on whichever thread
#include <weft/weft.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

using namespace weft;

namespace {

const Array& points() {
  static const Array& a = *new Array(Array::from<float>({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}));
  return a;
}
const Array& answers() {
  static const Array& a = *new Array(Array::from<float>({0, 1, 1, 0}, {4, 1}));
  return a;
}

Model build() {
  const Tensor x = input(f32, {2});
  Model m(x, Dense(1)(Dense(8, weft::tanh)(x)));
  m.compile({.optimizer = Adam{0.05}, .loss = mse, .metrics = {mean_absolute_error, mean_squared_error}});
  return m;
}

double train(Model& m) {
  m.fit(points(), answers(), {.batch_size = 4, .epochs = 50, .verbose = 0});
  return m.evaluate(points(), answers())["loss"];
}

float total(const Executable& sum_of_four) {
  return sum_of_four({Array::from<float>({1, 2, 3, 4}, {4})})[0].item<float>();
}

Executable summing() { return compile({sum(placeholder(f32, {4}))}); }

std::string mode;

/// What is destroyed last of the globals: it was made first.
struct After {
  ~After() {
    if (mode != "after") return;
    std::string refused;
    try {
      summing();
    } catch (const Error& e) {
      refused = e.what();
    }
    const bool right = train(*kept_model) < 1 && total(*kept_executable) == 10 && build().parameters().size() == 4;
    std::puts(right && refused.starts_with("the program is ending") ? "right" : "wrong");
    std::fflush(stdout);
  }
  Model* kept_model = nullptr;
  Executable* kept_executable = nullptr;
} after;
std::optional<Model> late_model;
std::optional<Executable> late_executable;

// A whole program's worth of what a global may use.
const std::vector<Loss> losses{mse,
                               mae,
                               softmax_cross_entropy,
                               sparse_cross_entropy,
                               categorical_cross_entropy_with_logits,
                               categorical_cross_entropy,
                               binary_cross_entropy_with_logits,
                               binary_cross_entropy};
const std::vector<Metric> metrics{accuracy, binary_accuracy_from_logits, precision,         recall,
                                  f1,       mean_absolute_error,         mean_squared_error};
const double digit = data::digits({.train_count = 10, .test_count = 10}).train.x.at(0);
const std::string ptx = [] {
  const Tensor x = placeholder(f32, {64});
  return compile({exp(x)}, {.backend = Backend::emulator}).dump(Stage::ptx);
}();
Model global_model = build();
Executable global_executable = summing();

struct Leave {
  void on_epoch_end(FitRun&) const { std::exit(0); }
};

int run() {
  if (mode == "static" || mode == "after") {
    bool right = train(global_model) < 1 && total(global_executable) == 10 && !ptx.empty() && digit >= 0;
    for (const Loss& l : losses) right = right && l && !l.name().empty();
    for (const Metric& m : metrics) right = right && m.sums && m.result && !m.name.empty();
    after.kept_model = new Model(build());
    after.kept_executable = new Executable(summing());
    right = right && train(*after.kept_model) < 1;
    if (mode == "static" || !right) std::puts(right ? "right" : "wrong");
  } else if (mode == "late") {
    late_model = build();
    late_executable = summing();
    std::puts(train(*late_model) < 1 && total(*late_executable) == 10 ? "right" : "wrong");
  } else if (mode == "thread") {
    std::thread([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      std::puts("right");
      std::exit(0);
    }).detach();
    for (int i = 0;; ++i) {
      const GraphScope scope;
      const Tensor x = input(f32, {2});
      Model m(x, Dense(1)(Dense(8 + i % 64, weft::tanh)(x)));
      m.compile({.optimizer = Adam{0.05}, .loss = mse});
      m.fit(points(), answers(), {.batch_size = 4, .epochs = 5, .verbose = 0});
    }
  } else if (mode == "inside") {
    Model m = build();
    std::puts("right");
    m.fit(points(), answers(), {.batch_size = 4, .epochs = 5, .callbacks = {Leave{}}, .verbose = 0});
  } else if (mode == "quick") {
    const Tensor x = placeholder(f32, {256, 256}, "x");
    const Executable f = compile({sum(matmul(x, x))}, {.threads = 0});
    std::puts("right");
    f.run_steps(5, {Array::filled({f32, {256, 256}}, 1)},
                {.after = [](std::int64_t, const std::vector<Array>&) -> bool { std::exit(0); }});
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mode = argc > 1 ? argv[1] : "";
  return run();
}

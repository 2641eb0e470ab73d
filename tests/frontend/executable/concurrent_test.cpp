// Calls that overlap: right answers, no update lost, nothing half done seen, and what may not overlap says so.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

// WEFT_CONCURRENT_CALLS=100000 makes the long test of it.
int calls() {
  const char* wanted = std::getenv("WEFT_CONCURRENT_CALLS");
  return wanted ? std::atoi(wanted) : 2'000;
}

/// Calls work(t) on threads t = 0 … n-1, and rethrows the first exception.
void on_threads(int n, const std::function<void(int)>& work) {
  std::mutex mutex;
  std::exception_ptr failure;
  std::vector<std::thread> threads;
  for (int t = 0; t < n; ++t)
    threads.emplace_back([&, t] {
      try {
        work(t);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    });
  for (std::thread& t : threads) t.join();
  if (failure) std::rethrow_exception(failure);
}

constexpr Backend kBackends[] = {Backend::cpu, Backend::interpreter, Backend::emulator};

/// Fewer where a call is slow.
int calls_on(Backend backend) { return backend == Backend::cpu ? calls() : 50; }

}  // namespace

TEST_CASE("calls of one executable at once have the right answers") {
  for (const Backend backend : kBackends)
    for (const int threads : {1, 2}) {
      CAPTURE(name(backend), threads);
      GraphScope graph;
      const Tensor x = input(f32, {64});
      const Tensor h = tanh(Dense(256)(x));
      // Two of one value, and one that is an input.
      const Executable exe =
          compile({h, reshape(h, {kBatch, 4, 64}), x}, {.batch = 1, .backend = backend, .threads = threads});
      std::vector<Array> in, out;
      for (int k = 0; k < 4; ++k) {
        in.push_back(Array::filled({f32, {1, 64}}, 0.25 * k - 0.5));
        out.push_back(exe({in.back()})[0]);
      }
      std::atomic<int> wrong = 0;
      on_threads(4, [&](int t) {
        const auto k = static_cast<std::size_t>(t);
        for (int i = 0; i < calls_on(backend); ++i) {
          const std::vector<Array> got = exe({in[k]});
          wrong += !got[0].same_bits(out[k]) || !got[1].reshaped(got[0].shape()).same_bits(out[k]) ||
                   !got[2].same_bits(in[k]) || got[0].data() == got[1].data();
        }
      });
      CHECK(wrong == 0);
    }
}

TEST_CASE("no update is lost, and none is seen half done") {
  for (const Backend backend : kBackends) {
    CAPTURE(name(backend));
    GraphScope graph;
    const Type type{f32, {64, 32}};
    const Tensor x = placeholder(f32, {64}), a = state(Array(type), "a"), b = state(Array(type), "b");
    const Executable step = compile({{"next", a + 1.0}},
                                    {.updates = {{a, a + 1.0}, {b, b + 1.0}}, .backend = backend, .threads = 1}),
                     both = compile({a - b, max(a), min(a)}, {.backend = backend, .threads = 1}),
                     product = compile({matmul(reshape(x, {1, 64}), a)}, {.backend = backend, .threads = 2});
    const int n = calls_on(backend) / 2;
    std::atomic<int> torn = 0, running = 2;
    std::vector<std::set<float>> seen(2);
    on_threads(5, [&](int t) {
      if (t < 2) {
        std::set<float>& mine = seen[static_cast<std::size_t>(t)];
        for (int i = 0; i < n; ++i) {
          const Array made = i % 10 < 9 ? step()[0] : step.run_steps(3, {}).outputs[0];
          for (std::int64_t k = 0; k < made.size(); k += 64 * 32)
            mine.insert(made.as<float>()[static_cast<std::size_t>(k)]);
        }
        --running;
      } else {
        const Array ones = Array::filled({f32, {64}}, 1);
        const auto even = [](const Array& v) {
          for (const float e : v.as<float>())
            if (e != v.as<float>()[0]) return false;
          return true;
        };
        while (running > 0) {
          if (t == 2) {
            const std::vector<Array> got = both();
            torn += !got[0].same_bits(Array(type)) || !got[1].same_bits(got[2]);
          } else if (t == 3) {
            torn += !even(a.value()) || !even(step.state("b"));
          } else {
            torn += !even(product({ones})[0]);
          }
        }
      }
    });
    CHECK(torn == 0);
    std::set<float> all = seen[0];
    all.insert(seen[1].begin(), seen[1].end());
    const auto steps = static_cast<float>(2 * (n / 10 * 12 + n % 10));
    CHECK(a.value().as<float>()[0] == steps);
    CHECK(static_cast<float>(all.size()) == steps);
    CHECK(seen[0].size() + seen[1].size() == all.size());
  }
}

TEST_CASE("states that a call sets for each step are its own meanwhile") {
  GraphScope graph;
  const Tensor rate = state(Array::scalar(1.0f), "rate");
  const Executable exe = compile({rate * 2.0}, {.threads = 1});
  std::atomic<int> wrong = 0;
  on_threads(3, [&](int t) {
    const auto first = static_cast<float>(10 * t);
    const Array rates = f({first, first + 1, first + 2}, {3});
    for (int i = 0; i < calls() / 4; ++i) {
      if (t == 2) {
        rate.set_value(Array::scalar(7.0f));
        continue;
      }
      const Array got = exe.run_steps(3, {}, {.states = {{"rate", rates}}}).outputs[0];
      wrong += !got.same_bits(f({2 * first, 2 * first + 2, 2 * first + 4}, {3}));
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("batch extents are compiled when they are called first, on any thread") {
  GraphScope graph;
  const Tensor x = input(f32, {8});
  const Executable exe = compile({sum(x * 2.0, 1)}, {.threads = 1});
  std::atomic<int> wrong = 0;
  on_threads(4, [&](int t) {
    for (std::int64_t n = 1; n <= 12; ++n) {
      const std::int64_t batch = t % 2 ? n : 13 - n;
      wrong += !exe({Array::filled({f32, {batch, 8}}, 1)})[0].same_bits(Array::filled({f32, {batch}}, 16));
      wrong += exe.memory(batch).output_bytes != 4 * batch || exe.output_types(batch)[0].shape[0] != batch;
      if (n % 4 == t) wrong += exe.dump(Stage::kernels, batch).empty() || exe.optimized(batch).size() == 0;
      wrong += exe.compile_seconds() <= 0;
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("graphs are traced, compiled and called on several threads at once, each its own") {
  std::atomic<int> wrong = 0;
  on_threads(4, [&](int t) {
    for (int i = 0; i < 5; ++i) {
      GraphScope graph;
      set_seed(1);
      const Tensor x = placeholder(f32, {16, 8});
      const Executable exe = compile({sum(matmul(x, parameter({8, 4 + t}, ones())))}, {.threads = 1 + i % 2});
      wrong += exe({Array::filled({f32, {16, 8}}, 1)})[0].item<float>() != static_cast<float>(16 * 8 * (4 + t));
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("a model predicts and evaluates on several threads, also while it is trained") {
  GraphScope graph;
  set_seed(4);
  const Tensor x = input(f32, {12});
  Model model(x, Dense(3)(Dropout(0.2)(Dense(16, relu)(x))));
  model.compile({.loss = mse, .metrics = {mean_absolute_error}, .threads = 1});
  const Array rows = uniform(-1, 1)({100, 12}, 1, 0), targets = uniform(-1, 1)({100, 3}, 1, 1);
  // Prediction functions are made by whichever thread asks first.
  std::vector<Array> first(4);
  on_threads(4, [&](int t) { first[static_cast<std::size_t>(t)] = model.predict(rows, 7 + t); });
  for (const Array& p : first) CHECK(p.same_bits(first[0]));
  std::atomic<bool> done{false};
  std::atomic<int> wrong = 0;
  on_threads(4, [&](int t) {
    if (t == 0) {
      for (int i = 0; i < 3; ++i) model.fit(rows, targets, {.batch_size = 10, .epochs = 3, .verbose = 0});
      done = true;
      return;
    }
    while (!done) {
      wrong += model.predict(rows, 32).shape()[0] != 100;
      wrong += !(model.evaluate(rows, targets, 25).loss > 0);
      wrong += model.weights().size() != 4 || !(model.compile_seconds() > 0);
    }
  });
  CHECK(wrong == 0);
}

TEST_CASE("a model is compiled anew while others use it: each ends with what it began with") {
  GraphScope graph;
  set_seed(4);
  const Tensor x = input(f32, {12});
  Model model(x, Dense(3)(Dropout(0.2)(Dense(16, relu)(x))));
  const Array rows = uniform(-1, 1)({100, 12}, 1, 0), targets = uniform(-1, 1)({100, 3}, 1, 1);
  const Array predicted = model.predict(rows);
  const auto file = std::filesystem::temp_directory_path() / fmt::format("weft_concurrent_{}", getpid());
  const std::vector<Optimizer> optimizers = {SGD{0.1}, Adam{0.1}, RMSprop{0.1}};
  model.compile({.loss = mse, .threads = 1});
  std::atomic<bool> done{false};
  std::atomic<int> wrong = 0;
  on_threads(4, [&](int t) {
    if (t == 0) {
      for (std::size_t i = 0; i < 60; ++i) {
        model.compile(
            {.optimizer = optimizers[i % 3], .loss = i % 2 ? mse : mae, .threads = 1 + static_cast<int>(i % 2)});
        if (i % 8 == 0) model.set_learning_rate(0.5);
      }
      done = true;
      return;
    }
    while (!done) {
      wrong += !model.predict(rows, 32 + t).same_bits(predicted);
      wrong += !(model.evaluate(rows, targets, 25 + t).loss > 0);
      if (t == 1) {
        model.save(file.string());
        wrong += load_safetensors(file.string()).arrays.size() < 6;
        wrong += !(model.learning_rate() > 0) || model.weights().size() != 4;
      }
      if (t == 2) wrong += model.dump(Stage::graph).empty() || model.summary(false).empty();
      if (t == 3) wrong += model.threads() < 1 || model.compile_seconds() < 0 || model.device().empty();
    }
  });
  std::filesystem::remove(file);
  CHECK(wrong == 0);
  CHECK(model.fit(rows, targets, {.batch_size = 10, .verbose = 0}).epochs() == 1);
}

TEST_CASE("what may not overlap is refused, and leaves all as it was") {
  GraphScope graph;
  const Tensor x = input(f32, {2}), y = placeholder(f32, {3}, "y"), s = state(Array::scalar(0.0f), "s");
  Model model(x, Dense(1)(x));
  model.compile({.loss = mse, .threads = 1});
  const Array rows = Array::filled({f32, {8, 2}}, 1), targets = Array::filled({f32, {8, 1}}, 1);
  struct Again {
    Model* model;
    Array rows, targets;
    void on_epoch_end(FitRun&) { model->fit(rows, targets, {.batch_size = 8, .verbose = 0}); }
  };
  require_reported(
      {FAILS(model.fit(rows, targets, {.batch_size = 8, .callbacks = {Again{&model, rows, targets}}, .verbose = 0}),
             "fit: ", "being changed by another call, fit(), which must return first")});
  CHECK(model.fit(rows, targets, {.batch_size = 8, .verbose = 0}).epochs() == 1);

  for (const Backend backend : kBackends)
    for (const int threads : {1, 2}) {
      CAPTURE(name(backend), threads);
      s.set_value(Array::scalar(0.0f));
      const Executable exe = compile({y + s}, {.updates = {{s, s + 1.0}}, .backend = backend, .threads = threads});
      const std::vector<StepArgument> arguments = {Array(Type{f32, {3}})};
      const auto after = [&](std::function<void()> act) {
        exe.run_steps(2, arguments, {.after = [act](std::int64_t, const std::vector<Array>&) {
                        act();
                        return true;
                      }});
      };
      require_reported({
          FAILS(after([&] {
                  exe({Array(Type{f32, {3}})});
                }),
                "'main' is called in StepOptions::after of a call"),
          FAILS(after([&] { exe.run_steps(1, arguments); }), "'main' is called in StepOptions::after of a call"),
          FAILS(after([] { fail("a mistake of the callback's"); }), "a mistake of the callback's"),
          FAILS(exe({Array(Type{f32, {4}})}), "input 'y'", "expected f32[3], got f32[4]"),
          FAILS(exe.run_steps(1, {per_step(Array(Type{f32, {2, 3}}))}), "expected one row for each of 1 steps"),
          FAILS(exe.set_state("s", Array(Type{f32, {2}})), "'s' is f32[], the new value is f32[2]"),
      });
      const float before = s.value().item<float>();
      // It may look at what the call holds.
      if (!is_device(backend)) after([&] { CHECK(s.value().item<float>() > before); });
      s.set_value(Array::scalar(5.0f));
      CHECK(exe({Array(Type{f32, {3}})})[0].same_bits(f({5, 5, 5}, {3})));
      CHECK(exe.state("s").item<float>() == 6);
    }
}

TEST_CASE("while fit() runs, what changes the model is refused on other threads, and allowed in its callbacks") {
  GraphScope graph;
  const Tensor x = input(f32, {2});
  Model model(x, Dense(1)(x));
  model.compile({.loss = mse, .threads = 1});
  const Array rows = Array::filled({f32, {8, 2}}, 1), targets = Array::filled({f32, {8, 1}}, 1);
  const std::string path = (std::filesystem::temp_directory_path() / "weft-changes.safetensors").string();
  model.save(path);
  const auto weights = model.weights();
  const FitOptions quiet{.batch_size = 8, .verbose = 0};
  struct Change {
    const char* name;
    bool in_a_callback;
    std::function<void()> make;
  };
  const Change changes[] = {
      {"load", true, [&] { model.load(path); }},
      {"set_weights", true, [&] { model.set_weights(weights); }},
      {"set_learning_rate", true, [&] { model.set_learning_rate(0.5); }},
      {"compile", false, [&] { model.compile({.loss = mse, .threads = 1}); }},
      {"fit", false, [&] { model.fit(rows, targets, quiet); }},
  };
  struct AtEnd {
    std::function<void()> act;
    void on_epoch_end(FitRun&) { act(); }
  };
  for (const Change& change : changes) {
    CAPTURE(change.name);
    const auto during = [&](std::function<void()> act) {
      FitOptions o = quiet;
      o.callbacks = {AtEnd{std::move(act)}};
      model.fit(rows, targets, o);
    };
    std::string message;
    during([&] { std::thread([&] { message = error_of(change.make); }).join(); });
    require_parts(message, {std::string(change.name) + ": the model is being changed by another call, fit() on another "
                                                       "thread, which must return first"});
    if (change.in_a_callback)
      during(change.make);
    else
      CHECK_THAT(error_of([&] { during(change.make); }), Catch::Contains("by another call, fit(), which must return"));
    std::thread(change.make).join();  // afterwards any thread may
    during([&] {
      std::thread([&] {
        model.evaluate(rows, targets);
        model.predict(rows);
        model.weights();
        model.save(path);
      }).join();
    });
  }
  std::filesystem::remove(path);
}

TEST_CASE("a thread that takes a graph's lock again and again lets the others in between") {
  FairRecursiveMutex mutex;
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  int last = -1, in_a_row = 0, total = 0, inside = 0;  // under the lock
  std::thread timer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop = true;
  });
  on_threads(4, [&](int t) {
    while (!stop) {
      const std::lock_guard outer(mutex), inner(mutex);
      wrong += ++inside != 1;
      const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
      while (std::chrono::steady_clock::now() < end) continue;
      in_a_row += std::exchange(last, t) == t;
      ++total;
      --inside;
    }
  });
  timer.join();
  CHECK(total > 100);
  CHECK(in_a_row < total / 4);  // nearly all of them with a lock that whoever runs may take again
  // Whoever finds it taken goes on, and whoever has it may take it again.
  CHECK(mutex.try_lock());
  CHECK(mutex.try_lock());
  std::thread([&] { wrong += mutex.try_lock(); }).join();
  mutex.unlock();
  std::thread([&] { wrong += mutex.try_lock(); }).join();
  mutex.unlock();
  std::thread([&] {
    if (mutex.try_lock())
      mutex.unlock();
    else
      ++wrong;
  }).join();
  CHECK(wrong == 0);
}

TEST_CASE("one thread's loop of compile() does not keep another's first calls waiting") {
  GraphScope graph;
  const Tensor x = input(f32, {8});
  Model often(x, Dense(4)(Dense(8, relu)(x)));
  std::vector<Model> others;
  for (int i = 0; i < 12; ++i) others.emplace_back(x, Dense(1)(x));
  std::atomic<bool> stop = false;
  std::atomic<int> turns = 0;
  std::thread greedy([&] {
    for (; !stop; ++turns) often.compile({.loss = mse});
  });
  while (turns == 0) std::this_thread::yield();
  for (Model& m : others) CHECK(m.predict(Array::filled({f32, {2, 8}}, 1)).shape() == Shape{2, 1});
  stop = true;
  greedy.join();
}

// fork(): a child calls what its parent compiled, compiles, trains and ends, whatever the parent's threads were doing.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

enum class End { exit, at_once };

/// How a child ended that checks `good` and leaves: "" when all was well, within a minute.
std::string child(End end, const std::function<bool()>& good) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    signal(SIGALRM, SIG_DFL);
    alarm(60);
    int code = 2;
    try {
      code = good() ? 0 : 1;
    } catch (const std::exception& e) {
      fmt::print(stderr, "child: {}\n", e.what());
    }
    if (end == End::exit) exit(code);
    _exit(code);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return "no child";
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGALRM ? "hangs" : fmt::format("signal {}", WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : fmt::format("exit {}", WEXITSTATUS(status));
}

/// A product that is worth several threads.
Executable product(int threads, double factor) {
  GraphScope graph;
  set_seed(1);
  const Tensor x = placeholder(f32, {128, 256});
  return compile({sum(relu(matmul(x, parameter({256, 256})) * factor))}, {.threads = threads});
}

Model model_of(int threads) {
  set_seed(2);
  const Tensor x = input(f32, {64});
  Model model(x, Dense(1)(Dense(64, relu)(x)));
  model.compile({.loss = mse, .threads = threads});
  return model;
}

}  // namespace

#if !defined(__SANITIZE_THREAD__)  // it does not follow forks of several threads

TEST_CASE("a child calls, compiles, trains and ends, on any number of threads") {
  const Array x = uniform(-1, 1)({128, 256}, 1, 0);
  const Array other = product(1, 0.5)({x})[0];
  for (const int threads : {1, 2, 4}) {
    const Executable exe = product(threads, 1);
    const Array want = exe({x})[0];
    for (const End end : {End::exit, End::at_once}) {
      CAPTURE(threads, end == End::exit);
      CHECK(child(end, [] { return true; }) == "");
      CHECK(child(end, [&] { return exe({x})[0].same_bits(want); }) == "");
      CHECK(child(end, [&] { return product(threads, 0.5)({x})[0].same_bits(other); }) == "");
      // A child's child, and both at once.
      CHECK(child(end, [&] {
              return exe({x})[0].same_bits(want) && child(end, [&] { return exe({x})[0].same_bits(want); }).empty() &&
                     exe({x})[0].same_bits(want);
            }) == "");
    }
    CHECK(exe({x})[0].same_bits(want));
  }
}

TEST_CASE("a child predicts with its parent's model, and trains it further") {
  GraphScope graph;
  Model model = model_of(2);
  const Array rows = uniform(-1, 1)({64, 64}, 1, 0), targets = uniform(-1, 1)({64, 1}, 1, 2);
  model.fit(rows, targets, {.verbose = 0});
  const Array predicted = model.predict(rows);
  CHECK(child(End::exit, [&] {
          const bool same = model.predict(rows).same_bits(predicted);
          model.fit(rows, targets, {.verbose = 0});
          return same && !model.predict(rows).same_bits(predicted);
        }) == "");
  CHECK(model.predict(rows).same_bits(predicted));
}

TEST_CASE("a child finds no lock held by a thread that it does not have") {
  const Array x = uniform(-1, 1)({128, 256}, 1, 0);
  const Executable alone = product(1, 1), shared = product(2, 1);
  const Array want = alone({x})[0];
  GraphScope graph;
  const Tensor n = state(Array::filled({f32, {4096}}, 0), "n");
  const Executable count = compile({sum(n)}, {.updates = {{n, n + 1.0}}, .threads = 1});
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  const auto loop = [&](std::function<void()> work) {
    busy.emplace_back([&stop, work] {
      while (!stop) work();
    });
  };
  loop([&] { alone({x}); });
  loop([&] { shared({x}); });
  loop([&] { count(); });
  loop([] { product(1, 0.25); });
  for (int k = 0; k < 8; ++k)
    CHECK(child(k % 2 ? End::exit : End::at_once, [&] {
            count();
            n.set_value(n.value());
            return alone({x})[0].same_bits(want) && shared({x})[0].same_bits(want) &&
                   product(2, 1)({x})[0].same_bits(want);
          }) == "");
  stop = true;
  for (std::thread& t : busy) t.join();
}

#endif

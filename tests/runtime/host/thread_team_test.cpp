// The thread team: every thread runs, barriers order memory, failures and oversubscription do no harm.
#include "runtime/host/thread_team.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

const std::size_t kSizes[] = {1, 2, 3, 8};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("run calls the function once on each thread, thread 0 being the caller") {
  for (const std::size_t n : kSizes) {
    ThreadTeam team(static_cast<int>(n));
    REQUIRE(team.size() == static_cast<int>(n));
    for (int round = 0; round < 200; ++round) {
      std::vector<std::thread::id> ids(n);
      std::vector<int> calls(n);
      team.run([&](int t) {
        ++calls[static_cast<std::size_t>(t)];
        ids[static_cast<std::size_t>(t)] = std::this_thread::get_id();
      });
      REQUIRE(calls == std::vector<int>(n, 1));
      REQUIRE(ids[0] == std::this_thread::get_id());
      REQUIRE(std::set(ids.begin(), ids.end()).size() == n);
    }
  }
}

TEST_CASE("what is written before a barrier is seen after it") {
  // Each thread adds up its neighbours' cells of the round before; plain memory, so ThreadSanitizer checks the ordering
  // too.
  for (const std::size_t n : kSizes) {
    ThreadTeam team(static_cast<int>(n));
    const int rounds = n > 2 ? 2'000 : 20'000;
    std::vector<long> cells(2 * n, 1);
    bool equal = true;
    team.run([&](int thread) {
      const auto t = static_cast<std::size_t>(thread);
      for (int r = 0; r < rounds; ++r) {
        const long* from = &cells[(r % 2 ? n : 0)];
        long* to = &cells[(r % 2 ? 0 : n)];
        to[t] = from[t] + from[(t + 1) % n] - from[(t + n - 1) % n] + 1;
        if (from[t] != r + 1) equal = false;
        team.barrier();
      }
    });
    CHECK(equal);
    CHECK(cells[rounds % 2 ? n : 0] == rounds + 1);
  }
}

TEST_CASE("the last thread at a barrier completes it before any goes on") {
  for (const std::size_t n : kSizes) {
    ThreadTeam team(static_cast<int>(n));
    const int rounds = n > 2 ? 1'000 : 10'000;
    std::vector<int> arrived(n);
    int completed = 0;  // plain memory: ordered by the barriers alone
    bool ordered = true;
    team.run([&](int thread) {
      for (int r = 0; r < rounds; ++r) {
        ++arrived[static_cast<std::size_t>(thread)];
        team.barrier([&] {
          for (const int a : arrived) ordered = ordered && a == r + 1;
          ++completed;
        });
        if (completed != r + 1) ordered = false;
        team.barrier();
      }
    });
    CHECK(ordered);
    CHECK(completed == rounds);
    CHECK(error_of([&] { team.run([&](int) { team.barrier([] { fail("incomplete"); }); }); }) == "incomplete");
  }
}

TEST_CASE("more threads than CPUs finish soon") {
  ThreadTeam team(4 * usable_cpus() + 1);
  const auto start = std::chrono::steady_clock::now();
  std::atomic<int> calls{0};
  for (int i = 0; i < 50; ++i)
    team.run([&](int) {
      for (int b = 0; b < 20; ++b) team.barrier();
      ++calls;
    });
  CHECK(calls == 50 * team.size());
  CHECK(seconds_since(start) < 20);  // 1,050 hand-overs: about 0.1 s; spinning through time slices would take minutes
}

TEST_CASE("an idle team sleeps and wakes up") {
  ThreadTeam team(2);
  int calls[2] = {};
  const auto cpu_before = std::clock();
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    team.run([&](int t) { ++calls[t]; });
  }
  CHECK(calls[0] == 3);
  CHECK(calls[1] == 3);
  CHECK(double(std::clock() - cpu_before) / CLOCKS_PER_SEC < 0.15);  // a spinning worker would burn 0.3 s
}

TEST_CASE("an exception reaches the caller, and nobody is left at a barrier") {
  for (const int n : {1, 2, 3, 8}) {
    ThreadTeam team(n);
    for (int thrower = 0; thrower < n; ++thrower)
      for (int round = 0; round < 20; ++round) {
        CHECK(error_of([&] {
                team.run([&](int t) {
                  team.barrier();
                  if (t == thrower) fail("thread {} fails in round {}", t, round);
                  for (int i = 0; i < 3; ++i) team.barrier();
                });
              }) == fmt::format("thread {} fails in round {}", thrower, round));
        std::atomic<int> calls{0};
        team.run([&](int) {  // the team is as good as new
          team.barrier();
          ++calls;
          team.barrier();
        });
        CHECK(calls == n);
      }
  }
}

TEST_CASE("when several threads throw, one of the exceptions arrives") {
  ThreadTeam team(3);
  for (int round = 0; round < 100; ++round) CHECK(error_of([&] { team.run([&](int) { fail("all"); }); }) == "all");
}

TEST_CASE("callers on several threads take turns on one team") {
  ThreadTeam team(2);
  std::vector<std::thread> callers;
  long counts[4] = {};
  std::atomic<int> inside{0};
  std::atomic<bool> overlap{false};
  for (int c = 0; c < 4; ++c)
    callers.emplace_back([&, c] {
      for (int i = 0; i < 200; ++i)
        team.run([&](int t) {
          if (t == 0 && inside.fetch_add(1) != 0) overlap = true;
          team.barrier();
          if (t == 0) ++counts[c];
          team.barrier();
          if (t == 0) inside.fetch_sub(1);
        });
    });
  for (auto& caller : callers) caller.join();
  CHECK(!overlap);
  for (const long count : counts) CHECK(count == 200);
}

TEST_CASE("subnormals are flushed on every thread during run, and only then") {
  volatile float tiny = std::numeric_limits<float>::min(), half = 0.5f;
  ThreadTeam team(3);
  float products[3] = {1, 1, 1};
  team.run([&](int t) { products[t] = tiny * half; });
  for (const float product : products) CHECK(product == 0.0f);
  CHECK(tiny * half != 0.0f);
}

TEST_CASE("threads float, unless they are to be pinned: then workers are, one to a CPU, when there are enough") {
  cpu_set_t mine;
  REQUIRE(sched_getaffinity(0, sizeof mine, &mine) == 0);
  const int cpus = CPU_COUNT(&mine);
  for (const Pinning pinning : {Pinning::none, Pinning::each_to_a_cpu})
    for (const int n : {cpus, cpus + 1}) {
      ThreadTeam team(n, pinning);
      const bool pinned = pinning == Pinning::each_to_a_cpu && n <= cpus;
      std::vector<cpu_set_t> sets(static_cast<std::size_t>(n));
      team.run([&](int t) { sched_getaffinity(0, sizeof(cpu_set_t), &sets[static_cast<std::size_t>(t)]); });
      CHECK(CPU_EQUAL(&sets[0], &mine));
      cpu_set_t seen;
      CPU_ZERO(&seen);
      for (std::size_t t = 1; t < sets.size(); ++t) {
        CHECK(CPU_COUNT(&sets[t]) == (pinned ? 1 : cpus));
        CPU_OR(&seen, &seen, &sets[t]);
      }
      if (pinned) CHECK(CPU_COUNT(&seen) == n - 1);
    }
}

TEST_CASE("the default number of threads follows the affinity mask and the quotas of control groups") {
  std::thread([] {  // a mask of its own
    const int all = usable_cpus(), cpu = affinity().front();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(cpu), &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(usable_cpus() == 1);
    CHECK(ThreadTeam().size() == 1);
    CHECK(all >= 1);
    ThreadTeam more(3);  // all on that CPU
    std::atomic<int> calls{0};
    for (int i = 0; i < 20; ++i)
      more.run([&](int) {
        more.barrier();
        ++calls;
      });
    CHECK(calls == 60);
  })
      .join();
  const double infinite = std::numeric_limits<double>::infinity();
  CHECK(cpus_worth("150000 100000") == 1.5);
  CHECK(cpus_worth("50000 100000\n") == 0.5);
  for (const char* none : {"max 100000", "", "x", "1", "1 ", "1 x", "0 100000", "-5 100000", "100000 0"})
    CHECK(cpus_worth(none) == infinite);
}

TEST_CASE("the number of threads is checked") {
  CHECK(ThreadTeam().size() == usable_cpus());
  CHECK(error_of([] { ThreadTeam(-1); }) == "cannot use -1 threads: expected 1 to 1024, or 0 for one per CPU");
  CHECK(error_of([] { ThreadTeam(1025); }) == "cannot use 1025 threads: expected 1 to 1024, or 0 for one per CPU");
}

TEST_CASE("run inside run is refused") {
  ThreadTeam team(2);
  CHECK_THROWS_AS(team.run([&](int) { team.run([](int) {}); }), InternalError);
}

#if !defined(__SANITIZE_THREAD__)

namespace {

/// What a child of fork() ends with that runs `body`: its result, or -1 when it does not end within a minute.
int in_child(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(60);
    _exit(body());
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a child of fork() has a team of its own") {
  for (const std::size_t n : kSizes) {
    ThreadTeam team(static_cast<int>(n));
    const auto sum = [&] {
      std::vector<int> calls(n);
      team.run([&](int t) {
        team.barrier();
        ++calls[static_cast<std::size_t>(t)];
        team.barrier();
      });
      return static_cast<int>(std::accumulate(calls.begin(), calls.end(), 0));
    };
    CHECK(in_child(sum) == static_cast<int>(n));  // before the parent has run anything
    sum();
    CHECK(in_child([&] { return sum() + sum(); }) == 2 * static_cast<int>(n));
    CHECK(in_child([&] { return in_child(sum); }) == static_cast<int>(n));
    CHECK(in_child([&] {
            std::make_unique<ThreadTeam>(static_cast<int>(n));
            return error_of([&] { team.run([](int) { fail("in the child"); }); }) == "in the child" ? sum() : 0;
          }) == static_cast<int>(n));
    // While another thread is in a run, and its workers are at a barrier.
    std::atomic<bool> stop{false};
    std::thread caller([&] {
      while (!stop) sum();
    });
    for (int i = 0; i < 10; ++i) CHECK(in_child(sum) == static_cast<int>(n));
    stop = true;
    caller.join();
    CHECK(sum() == static_cast<int>(n));
  }
}

#ifndef WEFT_SANITIZE  // whose memory is beyond any limit

TEST_CASE("threads that cannot be started are an error, or fewer where the number was left open") {
  CHECK(in_child([] {
          const rlimit none{1, 1};  // no address space for another stack
          if (setrlimit(RLIMIT_AS, &none) != 0) return 1;
          const std::string error = error_of([] { ThreadTeam(100); });  // stacks of threads that ended may be had again
          if (error.find("cannot start 100 threads: thread ") != 0) return 2;
          ThreadTeam some;
          std::atomic<int> calls{0};
          some.run([&](int) { ++calls; });
          return calls == some.size() ? 0 : 3;
        }) == 0);
}

#endif
#endif

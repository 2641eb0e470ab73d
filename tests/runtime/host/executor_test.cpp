// The executor with hand-written kernels: binding, order, work sharing, memory.
#include "runtime/host/executor.h"

#include <malloc.h>

#include <chrono>
#include <cstring>
#include <limits>
#include <numeric>
#include <thread>

#include "catch.h"
#include "hand_artifact.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

#ifdef WEFT_SANITIZE
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace {

constexpr double kCostly = 1e9, kCheap = 1;
constexpr std::int64_t n = 1000;

// The program that most tests run, buffers by position in kBuffers below:
//   sum: temp = x + w;   out: y = 2 * temp (through a view);   update: w = w + step;
enum : std::size_t { x, w, step, temp, y, temp_view, x_view, unused };

float* floats(std::byte* const* buffers, std::size_t id) { return reinterpret_cast<float*>(buffers[id]); }

void sum(std::byte* const* b, std::int64_t begin, std::int64_t end, std::byte*) {
  for (auto i = begin; i < end; ++i) floats(b, temp)[i] = floats(b, x_view)[i] + floats(b, w)[i];
}
// Reads what another thread's units of `sum` wrote: wrong without a barrier.
void twice_reversed(std::byte* const* b, std::int64_t begin, std::int64_t end, std::byte* scratch) {
  auto* s = reinterpret_cast<float*>(scratch);
  for (auto i = begin; i < end; ++i) {
    s[15] = floats(b, temp_view)[n - 1 - i];
    floats(b, y)[i] = 2 * s[15];
  }
}
void update(std::byte* const* b, std::int64_t begin, std::int64_t end, std::byte*) {
  for (auto i = begin; i < end; ++i) floats(b, w)[i] += *reinterpret_cast<const float*>(b[step]);
}
void never(std::byte* const*, std::int64_t, std::int64_t, std::byte*) { fail("a kernel without units ran"); }

const Type kVector{f32, {n}};

std::shared_ptr<BufferTable> program() {
  auto p = std::make_shared<BufferTable>();
  p->buffers = {{Buffer::input, "x", kVector},
                {Buffer::state, "w", kVector},
                {Buffer::constant, "step", {f32, {}}},
                {Buffer::temp, "temp", kVector},
                {Buffer::output, "y", kVector},
                {Buffer::view, "temp_view", {f32, {n / 10, 10}}},
                {Buffer::view, "x_view", {f32, {10, n / 10}}},
                {Buffer::temp, "unused", kVector}};
  p->buffers[step].literal = std::make_shared<const Array>(Array::scalar(0.5f));
  p->buffers[temp].offset = 64;
  p->buffers[temp_view].base = temp;
  p->buffers[x_view].base = x;
  p->arena_bytes = 64 + 4 * n;
  p->inputs = {x, w};
  p->outputs = {y};
  p->updates = {w};
  return p;
}

HostArtifact artifact(double cycles, std::shared_ptr<const BufferTable> table = program()) {
  return hand_artifact(std::move(table),
                       {{sum, n, cycles}, {never, 0, cycles}, {twice_reversed, n, cycles, 65}, {update, n, cycles}});
}

Array ramp(float first) {
  Array a(kVector);
  std::iota(a.as<float>().begin(), a.as<float>().end(), first);
  return a;
}

std::size_t allocated_bytes() {
#ifdef WEFT_SANITIZE
  return __sanitizer_get_current_allocated_bytes();
#else
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

}  // namespace

TEST_CASE("kernels run in order, states are updated in place, at any number of threads and any cost") {
  for (const int threads : {1, 2, 3, 8})
    for (const double cost : {kCheap, kCostly}) {
      Executor exe(artifact(cost), threads);
      CHECK(exe.threads() == threads);
      const Array state = ramp(0), input = ramp(100);
      exe.bind(0, input);
      exe.bind(1, state);
      for (int run = 0; run < 100; ++run) {
        exe.run();
        bool equal = true;
        for (int i = 0; i < n; ++i) {
          const float wi = static_cast<float>(n - 1 - i) + 0.5f * static_cast<float>(run);
          equal = equal && exe.output(0).as<float>()[static_cast<std::size_t>(i)] ==
                               2 * (100 + static_cast<float>(n - 1 - i) + wi);
        }
        REQUIRE(equal);
      }
      CHECK(state.as<float>()[7] == 7 + 50);
      CHECK(input.same_bits(ramp(100)));
    }
}

TEST_CASE("executors share states, and may share a team") {
  const auto team = std::make_shared<ThreadTeam>(2);
  Executor train(artifact(kCostly), team), evaluate(artifact(kCheap), team);
  const Array state = ramp(0);
  train.bind(0, ramp(0));
  train.bind(1, state);
  evaluate.bind(0, ramp(0));
  evaluate.bind(1, state);
  train.run();
  evaluate.run();
  CHECK(state.as<float>()[0] == 1.0f);
  CHECK(evaluate.output(0).as<float>()[static_cast<std::size_t>(n - 1)] == 2 * 0.5f);
  CHECK(train.output(0).as<float>()[static_cast<std::size_t>(n - 1)] == 0);
}

TEST_CASE("an input can be bound anew; its views follow") {
  Executor exe(artifact(kCheap), 1);
  exe.bind(1, Array(kVector));
  for (const float value : {1.0f, 2.0f}) {
    exe.bind(0, Array::filled(kVector, value));
    exe.bind(1, Array(kVector));
    exe.run();
    CHECK(exe.output(0).as<float>()[3] == 2 * value);
  }
}

TEST_CASE("units are shared out in contiguous ranges that cover them once") {
  static std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  static std::mutex lock;
  const auto record = [](std::byte* const*, std::int64_t begin, std::int64_t end, std::byte*) {
    std::lock_guard guard(lock);
    ranges.emplace_back(begin, end);
  };
  using Ranges = std::vector<std::pair<std::int64_t, std::int64_t>>;
  const struct {
    std::int64_t units;
    double cost;
    Ranges expected;  // on 3 threads
  } cases[] = {{10, kCostly, {{0, 3}, {3, 6}, {6, 10}}},
               {2, kCostly, {{0, 1}, {1, 2}}},
               {1, kCostly, {{0, 1}}},
               {10, kCheap, {{0, 10}}},
               {0, kCostly, {}}};
  for (const auto& c : cases) {
    ranges.clear();
    Executor exe(hand_artifact(std::make_shared<BufferTable>(), {{record, c.units, c.cost}}), 3);
    exe.run();
    std::ranges::sort(ranges);
    CHECK(ranges == c.expected);
  }
}

TEST_CASE("phases that thread 0 runs alone mix with shared ones") {
  // Thread 0 doubles all cells, then everybody adds 1 to its own share, and so on: wrong order or a lost barrier shows.
  auto p = std::make_shared<BufferTable>();
  p->buffers = {{Buffer::state, "cells", {i32, {64}}}};
  p->inputs = {0};
  const HandLaunch twice{[](std::byte* const* b, std::int64_t, std::int64_t, std::byte*) {
                           for (int i = 0; i < 64; ++i) reinterpret_cast<int*>(b[0])[i] *= 2;
                         },
                         1, kCostly};
  const HandLaunch increment{[](std::byte* const* b, std::int64_t begin, std::int64_t end, std::byte*) {
                               for (auto i = begin; i < end; ++i) ++reinterpret_cast<int*>(b[0])[i];
                             },
                             64, kCostly};
  const HostArtifact made = hand_artifact(p, {increment, twice, twice, increment, increment, twice});
  for (const int threads : {1, 2, 5}) {
    Executor exe(made, threads);
    for (int round = 0; round < 200; ++round) {
      const Array cells = Array::filled({i32, {64}}, 1);
      exe.bind(0, cells);
      exe.run();
      REQUIRE(cells.same_bits(Array::filled({i32, {64}}, ((1 + 1) * 4 + 2) * 2)));
    }
  }
}

TEST_CASE("kernels see flushed subnormals and 64-byte aligned private scratch") {
  static std::atomic<int> bad;
  bad = 0;
  const KernelFn check = [](std::byte* const*, std::int64_t begin, std::int64_t, std::byte* scratch) {
    volatile float tiny = std::numeric_limits<float>::min(), half = 0.5f;
    if (tiny * half != 0 || reinterpret_cast<std::uintptr_t>(scratch) % 64 != 0) ++bad;
    std::memset(scratch, static_cast<int>(begin), 100);  // ThreadSanitizer sees it if two threads share the bytes
    for (int i = 0; i < 100; ++i)
      if (scratch[i] != static_cast<std::byte>(begin)) ++bad;
  };
  for (const double cost : {kCheap, kCostly}) {
    Executor exe(hand_artifact(std::make_shared<BufferTable>(), {{check, 40, cost, 100}}), 4);
    CHECK(exe.memory().scratch_bytes == 4 * 128);
    for (int i = 0; i < 50; ++i) exe.run();
  }
  CHECK(bad == 0);
}

TEST_CASE("outputs may be inputs, states, constants or views") {
  auto p = program();
  p->buffers.push_back({Buffer::view, "y_view", {f32, {2, n / 2}}});
  p->buffers.back().base = y;
  p->outputs = {static_cast<BufferId>(unused + 1), x, w, step};
  Executor exe(artifact(kCheap, p), 1);
  CHECK(exe.output_count() == 4);
  CHECK(error_of([&] { exe.output(1); }) == "output number 1 is input 'x', which is not bound");
  const Array input = ramp(1), state = ramp(2);
  exe.bind(0, input);
  exe.bind(1, state);
  exe.run();
  CHECK(exe.output(0).shape() == Shape{2, n / 2});
  CHECK(exe.output(1).data() == input.data());
  CHECK(exe.output(2).data() == state.data());
  CHECK(exe.output(3).item<float>() == 0.5f);
  CHECK(error_of([&] { exe.output(4); }) == "no output number 4: the program has 4");
}

TEST_CASE("a kernel finds its output at a whole cache line, however long the rows are in which steps are collected") {
  static bool misaligned;
  auto p = std::make_shared<BufferTable>();
  p->buffers.push_back({Buffer::output, "y", {f32, {3}}});
  p->outputs = {0};
  const KernelFn add_one = [](std::byte* const* b, std::int64_t, std::int64_t, std::byte*) {
    misaligned |= reinterpret_cast<std::uintptr_t>(b[0]) % 64 != 0;
    floats(b, 0)[0] += 1;
  };
  Executor exe(hand_artifact(p, {{add_one, 1, kCheap}}), 1);
  misaligned = false;
  const std::vector<Array> rows{Array({f32, {4, 3}})};
  CHECK(exe.run_steps(4, {}, rows) == 4);
  CHECK(!misaligned);
  CHECK(rows[0].at(9) == rows[0].at(0) + 3);
}

TEST_CASE("many steps in one call are the same as many calls") {
  constexpr std::int64_t kSteps = 7;
  auto p = program();
  p->buffers.push_back({Buffer::view, "y_view", {f32, {2, n / 2}}});
  p->buffers.back().base = y;
  // An output twice, an input that has rows, a state, a constant: what is no memory of its own is copied.
  p->outputs = {y, static_cast<BufferId>(unused + 1), x, w, step};
  const auto stacked_outputs = [&] {
    std::vector<Array> outputs;
    for (const BufferId id : p->outputs) {
      Type type = p->buffers[static_cast<std::size_t>(id)].type;
      type.shape.insert(0, kSteps);
      outputs.emplace_back(type);
    }
    return outputs;
  };
  Array rows({f32, {kSteps, n}});
  std::iota(rows.as<float>().begin(), rows.as<float>().end(), 3.0f);
  for (const int threads : {1, 2, 3})
    for (const double cost : {kCheap, kCostly}) {
      Executor single(artifact(cost, p), threads), many(artifact(cost, p), threads);
      const Array single_state = ramp(5), state = ramp(5);
      single.bind(1, single_state);
      many.bind(1, state);
      std::vector<Array> expected = stacked_outputs(), outputs = stacked_outputs();
      for (std::int64_t s = 0; s < kSteps; ++s) {
        single.bind(0, rows.rows(s, s + 1).reshaped({n}));
        single.run();
        for (std::size_t i = 0; i < expected.size(); ++i) {
          const Array one = single.output(i);
          std::memcpy(expected[i].data() + one.bytes() * static_cast<std::size_t>(s), one.data(), one.bytes());
        }
      }
      const Executor::Rows step_rows[] = {{0, rows}};
      std::vector<std::int64_t> seen;
      CHECK(many.run_steps(kSteps, step_rows, outputs, [&](std::int64_t s) {
        seen.push_back(s);
        return outputs[0].same_bits(outputs[0]) && s < kSteps;
      }) == kSteps);
      CHECK(seen == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6});
      CHECK(state.same_bits(single_state));
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(outputs[i].same_bits(expected[i]));

      // Ended after the third: what the third left is there, nothing of a fourth.
      const Array short_state = ramp(5);
      many.bind(1, short_state);
      outputs = stacked_outputs();
      CHECK(many.run_steps(kSteps, step_rows, outputs, [](std::int64_t s) { return s < 2; }) == 3);
      CHECK(short_state.as<float>()[0] == 5 + 3 * 0.5f);
      CHECK(outputs[0].rows(0, 3).same_bits(expected[0].rows(0, 3)));
      CHECK(outputs[0].rows(3, 4).same_bits(Array({f32, {1, n}})));

      // The address of an input outlives a call with rows, and an exception ends a run without harm.
      many.bind(0, ramp(1));
      CHECK(error_of([&] {
              many.run_steps(kSteps, {}, outputs, [](std::int64_t s) { return s < 1 || (fail("enough"), true); });
            }) == "enough");
      many.run();
      CHECK(many.output(0).same_bits(many.output(0)));
      CHECK(short_state.as<float>()[0] == 5 + (3 + 2 + 1) * 0.5f);
    }
}

TEST_CASE("mistakes in the arrays of many steps are explained") {
  Executor exe(artifact(kCheap), 1);
  exe.bind(1, ramp(0));
  const Array rows({f32, {2, n}});
  const auto run = [&](std::vector<Executor::Rows> r, const Array& output, std::int64_t steps = 2) {
    return error_of([&] { exe.run_steps(steps, r, std::vector<Array>{output}); });
  };
  CHECK(run({}, rows) == "input 'x' (f32[1000]) is not bound");
  CHECK(run({{0, rows}}, rows, 3) == "input 'x': expected f32[3,1000], got f32[2,1000]");
  CHECK(run({{0, ramp(0)}}, rows) == "input 'x': expected f32[2,1000], got f32[1000]");
  CHECK(run({{0, rows}}, ramp(0)) == "output number 0: expected f32[2,1000], got f32[1000]");
  CHECK(run({{0, rows}, {1, rows.clone()}}, rows) ==
        "state 'w' is updated by the program and cannot have a value for each step");
  CHECK_THROWS_AS(run({{0, rows}}, rows.clone(), 0), InternalError);
  CHECK(run({{0, rows}}, rows.clone()) == "no error");
  CHECK(error_of([&] { exe.run(); }) == "input 'x' (f32[1000]) is not bound");
}

TEST_CASE("mistakes in binding are explained") {
  Executor exe(artifact(kCheap), 1);
  CHECK(exe.input_count() == 2);
  CHECK(error_of([&] { exe.bind(2, ramp(0)); }) == "cannot bind input number 2: the program has 2 inputs and states");
  CHECK(error_of([&] { exe.bind(0, Array({f32, {n, 1}})); }) == "input 'x': expected f32[1000], got f32[1000,1]");
  CHECK(error_of([&] { exe.bind(1, Array({f64, {n}})); }) == "state 'w': expected f32[1000], got f64[1000]");
  CHECK(error_of([&] { exe.run(); }) == "input 'x' (f32[1000]) is not bound");
  const Array both = ramp(0);
  exe.bind(0, both);
  CHECK(error_of([&] { exe.run_profiled(); }) == "state 'w' (f32[1000]) is not bound");
  exe.bind(1, both);
  CHECK(error_of([&] { exe.run(); }) ==
        "state 'w' and input 'x' are bound to the same memory: a state is updated in place and needs its own");
  exe.bind(1, both.clone());
  exe.run();
}

TEST_CASE("an artefact that breaks the contract is an internal error") {
  const struct {
    const char* message;
    std::function<void(BufferTable&, HostArtifact&)> spoil;
  } cases[] = {
      {"internal error: artefact without a table of buffers",
       [](BufferTable&, HostArtifact& a) { a.memory = nullptr; }},
      {"internal error: artefact of 4 launches with 3 functions",
       [](BufferTable&, HostArtifact& a) { a.code.functions.pop_back(); }},
      {"internal error: launch 0 (@) uses a buffer that there is not",
       [](BufferTable&, HostArtifact& a) { a.launches[0].uses.push_back({.buffer = 99}); }},
      {"internal error: launch 0 (@) has no code",
       [](BufferTable&, HostArtifact& a) { a.code.functions[0] = nullptr; }},
      {"internal error: launch 0 (@): -1 units, 0 scratch bytes",
       [](BufferTable&, HostArtifact& a) { a.launches[0].units = -1; }},
      {"internal error: buffer temp: 4000 bytes at 128 in an arena of 4064",
       [](BufferTable& p, HostArtifact&) { p.buffers[temp].offset = 128; }},
      {"internal error: buffer temp: 4000 bytes at 32 in an arena of 4064",
       [](BufferTable& p, HostArtifact&) { p.buffers[temp].offset = 32; }},
      {"internal error: buffer temp_view: view of buffer 99",
       [](BufferTable& p, HostArtifact&) { p.buffers[temp_view].base = 99; }},
      {"internal error: buffer x_view: view of another dtype or size",
       [](BufferTable& p, HostArtifact&) { p.buffers[x_view].base = step; }},
      {"internal error: buffer temp_view: its views do not end at storage",
       [](BufferTable& p, HostArtifact&) {
         p.buffers[x_view].base = temp_view;
         p.buffers[temp_view].base = x_view;
       }},
      {"internal error: buffer step: literal of another type",
       [](BufferTable& p, HostArtifact&) { p.buffers[step].literal = {}; }},
      {"internal error: input buffer 3 is neither input nor state",
       [](BufferTable& p, HostArtifact&) { p.inputs[0] = temp; }},
      {"internal error: input is buffer 99 of 8", [](BufferTable& p, HostArtifact&) { p.inputs[0] = 99; }},
      {"internal error: output buffer 5 is in the arena",
       [](BufferTable& p, HostArtifact&) { p.outputs[0] = temp_view; }},
      {"internal error: output is buffer -1 of 8", [](BufferTable& p, HostArtifact&) { p.outputs[0] = kNone; }},
  };
  for (const auto& c : cases) {
    const auto p = program();
    HostArtifact made = artifact(kCheap, p);
    c.spoil(*p, made);
    std::string message = "no error";
    try {
      Executor exe(made, 1);
    } catch (const InternalError& e) {
      message = e.what();
    }
    CHECK(message == c.message);
  }
}

TEST_CASE("memory is what the report says, and no more") {
  const std::int64_t big = 1 << 20;
  auto p = std::make_shared<BufferTable>();
  p->buffers = {{Buffer::input, "x", {u8, {3 * big}}},  {Buffer::state, "w", {u8, {5 * big}}},
                {Buffer::temp, "t", {u8, {7 * big}}},   {Buffer::temp, "u", {u8, {7 * big}}},
                {Buffer::output, "y", {u8, {2 * big}}}, {Buffer::view, "v", {u8, {2, big}}},
                {Buffer::constant, "c", {f64, {8}}}};
  p->buffers[5].base = 4;
  p->buffers[6].literal = std::make_shared<const Array>(Array({f64, {8}}));
  p->arena_bytes = 7 * big;
  p->inputs = {0, 1};
  p->outputs = {4};
  const KernelFn fn = [](std::byte* const* b, std::int64_t begin, std::int64_t end, std::byte* scratch) {
    std::memset(b[2] + begin, 1, static_cast<std::size_t>(end - begin));
    std::memset(scratch, 1, big);
  };
  const auto team = std::make_shared<ThreadTeam>(2);
  const HostArtifact made = hand_artifact(p, {{fn, 7 * big, kCostly, big}, {fn, 7 * big, kCheap, 10}});
  const std::int64_t before = static_cast<std::int64_t>(allocated_bytes());
  Executor exe(made, team);
  const MemoryReport& m = exe.memory();
  CHECK(m.arena_bytes == 7 * big);
  CHECK(m.state_bytes == 5 * big);
  CHECK(m.input_bytes == 3 * big);
  CHECK(m.output_bytes == 2 * big);
  CHECK(m.scratch_bytes == 2 * big);
  CHECK(m.constant_bytes == 64);
  CHECK(m.total() == 19 * big + 64);

  const std::int64_t own = m.arena_bytes + m.output_bytes + m.scratch_bytes;
  const std::int64_t slack = 64 << 10;  // vectors of pointers; page rounding of three large blocks
  const auto constructed = static_cast<std::int64_t>(allocated_bytes()) - before;
  CHECK(constructed >= own);
  CHECK(constructed <= own + slack);
  exe.bind(0, Array({u8, {3 * big}}));
  exe.bind(1, Array({u8, {5 * big}}));
  exe.run();
  const auto running = static_cast<std::int64_t>(allocated_bytes()) - before;
  CHECK(running >= m.total() - m.constant_bytes);
  CHECK(running <= m.total() + slack);
  for (int i = 0; i < 10; ++i) exe.run();
  CHECK(static_cast<std::int64_t>(allocated_bytes()) - before <= running + 1024);
}

#ifndef WEFT_SANITIZE  // whose allocators end the process instead
TEST_CASE("an arena that cannot be had is an error") {
  auto p = std::make_shared<BufferTable>();
  p->arena_bytes = std::int64_t{1} << 60;
  CHECK(error_of([&] {
          Executor(hand_artifact(p, {}), 1);
        }).starts_with("program @ needs 1.0 EiB of memory, more than the "));
}
#endif

TEST_CASE("a profile has one time for each kernel") {
  const KernelFn slow = [](std::byte* const*, std::int64_t begin, std::int64_t, std::byte*) {
    if (begin == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  const KernelFn fast = [](std::byte* const*, std::int64_t, std::int64_t, std::byte*) {};
  for (const int threads : {1, 2}) {
    Executor exe(hand_artifact(std::make_shared<BufferTable>(),
                               {{fast, 8, kCostly}, {slow, 8, kCostly}, {fast, 0, kCostly}, {slow, 8, kCheap}}),
                 threads);
    const auto seconds = exe.run_profiled();
    REQUIRE(seconds.size() == 4);
    CHECK(seconds[1] >= 0.020);
    CHECK(seconds[2] == 0);
    CHECK(seconds[3] >= 0.020);
    CHECK(seconds[0] < seconds[1]);
  }
}

TEST_CASE("an exception of a kernel reaches the caller, and the executor can run again") {
  static bool broken;
  const KernelFn fn = [](std::byte* const*, std::int64_t, std::int64_t end, std::byte*) {
    if (broken && end == 8) fail("kernel failed");  // on the last thread that has a share
  };
  Executor exe(hand_artifact(std::make_shared<BufferTable>(), {{fn, 8, kCostly}, {fn, 8, kCostly}}), 2);
  for (int i = 0; i < 20; ++i) {
    broken = true;
    CHECK(error_of([&] { exe.run(); }) == "kernel failed");
    broken = false;
    CHECK(error_of([&] { exe.run(); }) == "no error");
  }
}

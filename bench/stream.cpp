// Times one compiled function against a copy and against its arithmetic.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "bench/roof.h"
#include "bench/stream.h"
#include "codegen/codegen.h"
#include "compiler/compilation.h"
#include "runtime/host/executor.h"

namespace weft::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// Times that kernel and copies take turns; the fastest of each counts. Fixed, so that a row is set up only once.
constexpr int kRounds = 30;

CpuTarget target() {
  const char* cpu = std::getenv("WEFT_BENCH_TARGET");
  return target_for(cpu ? cpu : "", host_target());
}

/// A compiled function with its operands in place, so that a call is nothing but the kernels.
class Subject {
 public:
  Subject(const StreamRow& row, std::int64_t rows, std::shared_ptr<ThreadTeam> team) {
    GraphScope scope;
    const Traced traced = row.trace(rows, row.columns);
    // The interpreter's executable compiles nothing: only its graph is wanted.
    const Executable f = compile(traced.outputs, {.updates = traced.updates, .backend = Backend::interpreter});
    Compilation compilation(f.graph(), {Machine::cpu, target()});
    work = work_of(compilation.optimized());
    const std::shared_ptr<const Program> program = compilation.program();
    kernels = program->kernels.size();
    executor_ = std::make_unique<Executor>(compilation.artifact(), std::move(team));
    for (std::size_t i = 0; i < program->inputs.size(); ++i) {
      const Buffer& b = program->buffers[static_cast<std::size_t>(program->inputs[i])];
      executor_->bind(i, operand(b, row.columns, i));
    }
    const MemoryReport& m = executor_->memory();
    bytes = static_cast<double>(m.input_bytes + m.output_bytes);
    for (BufferId id : program->inputs)  // states are read, and those with an update written
      if (const Buffer& b = program->buffers[static_cast<std::size_t>(id)]; b.kind == Buffer::state)
        bytes += static_cast<double>(byte_size(b.type)) * (1 + std::ranges::count(program->updates, id));
  }

  double run(std::int64_t times) {
    const auto start = Clock::now();
    for (std::int64_t i = 0; i < times; ++i) executor_->run();
    return std::chrono::duration<double>(Clock::now() - start).count() / static_cast<double>(times);
  }

  double bytes = 0;  // of inputs, states and outputs, each once: what any implementation must move
  Work work;
  std::size_t kernels = 0;

 private:
  static constexpr std::int64_t kPeriod = 4099;
  /// Labels below the number of columns, second moments above 0, else uniform in [-1, 1).
  static Array operand(const Buffer& b, std::int64_t columns, std::size_t stream) {
    if (b.type.dtype == f32) {
      const Array period = uniform(b.kind == Buffer::state ? 0 : -1, 1)({kPeriod}, 1, stream);
      Array a(b.type);
      auto to = a.as<float>();
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = period.as<float>()[i % kPeriod];
      return a;
    }
    Array a(b.type);
    if (b.type.dtype == i32) {
      std::int64_t i = 0;
      for (auto& x : a.as<std::int32_t>()) x = static_cast<std::int32_t>(i++ * 31 % columns);
    }
    return a;
  }

  std::unique_ptr<Executor> executor_;
};

void time_stream(benchmark::State& state, const StreamRow& row, std::int64_t rows, int threads) {
  const auto team = std::make_shared<ThreadTeam>(threads);
  Subject subject(row, rows, team);
  Copy copy(team, target(), static_cast<std::int64_t>(subject.bytes));
  const auto times = std::max<std::int64_t>(1, static_cast<std::int64_t>(1e-4 / subject.run(1)));
  double own = HUGE_VAL, ordinary = HUGE_VAL, streaming = HUGE_VAL;
  for (auto _ : state) {
    const double now = subject.run(times);
    own = std::min(own, now);
    ordinary = std::min(ordinary, copy.seconds(false));
    streaming = std::min(streaming, copy.seconds(true));
    state.SetIterationTime(now);
  }
  const double scale = subject.bytes / static_cast<double>(copy.bytes());
  const double memory = std::min(ordinary, streaming) * scale;
  const double arithmetic = seconds(subject.work, rates(team->size(), target()));
  state.counters["us"] = own * 1e6;
  state.counters["GB/s"] = subject.bytes / own * 1e-9;
  state.counters["copy"] = subject.bytes / (ordinary * scale) * 1e-9;
  state.counters["copy_nt"] = subject.bytes / (streaming * scale) * 1e-9;
  state.counters["of_copy"] = memory / own;
  state.counters["of_arith"] = arithmetic / own;
  state.counters["of_roof"] = std::max(memory, arithmetic) / own;
  state.counters["kernels"] = static_cast<double>(subject.kernels);
  state.SetLabel(memory > arithmetic ? "memory" : "arithmetic");
}

}  // namespace

void register_stream(const StreamRow& row, const char* place, std::int64_t rows) {
  const int all = usable_cpus();
  for (int threads : all > 1 ? std::vector{1, all} : std::vector{1}) {
    const std::string name = fmt::format("{}/{}/{}x{}/threads:{}", row.name, place, rows, row.columns, threads);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { time_stream(state, row, rows, threads); })
        ->UseManualTime()
        ->Iterations(kRounds)
        ->Unit(benchmark::kMicrosecond);
  }
}

int register_stream(const std::vector<StreamRow>& list) {
  struct Place {
    const char* name;
    std::int64_t bytes;
  };
  const CpuTarget host = host_target();
  const Place places[] = {{"L1", host.l1_bytes * 3 / 4},
                          {"L2", host.l2_bytes / 2},
                          {"L3", host.l3_bytes / 3},
                          {"memory", std::max<std::int64_t>(4 * host.l3_bytes, 64 << 20)}};
  for (const StreamRow& row : list)
    for (const Place& p : places)
      register_stream(row, p.name, std::max<std::int64_t>(1, p.bytes / (4 * row.columns * row.arrays)));
  return 0;
}

}  // namespace weft::bench

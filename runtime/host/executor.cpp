// Static work sharing: every thread goes through the same phases and runs its share of each, as planned by
// phase_plan.h. Kernels are written so that no result depends on the shares.
#include "runtime/host/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>

#include "ir/base/cache_line.h"
#include "ir/base/error.h"
#include "ir/base/float_environment.h"
#include "ir/base/memory_limit.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

constexpr std::int64_t kMaxUnits = std::int64_t{1} << 46;  // times kMaxThreads it still fits 64 bits

/// A buffer that lies elsewhere at each step: at base + step * stride.
struct Moving {
  BufferId id;
  std::byte* base;
  std::int64_t stride;
};
/// An output that is no memory of its own (a state, say) or no whole lines: its bytes are copied to row `step` of `to`
/// after each step.
struct Copied {
  BufferId from;
  std::byte* to;
  std::int64_t bytes;
};

}  // namespace

void Executor::AlignedFree::operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{kCacheLine}); }

Executor::Block Executor::allocate(std::int64_t bytes, const char* what) {
  if (bytes == 0) return {};
  void* p = ::operator new[](static_cast<std::size_t>(bytes), std::align_val_t{kCacheLine}, std::nothrow);
  if (!p) fail("cannot allocate {} bytes for the {} of a compiled program", bytes, what);
  return Block(static_cast<std::byte*>(p));
}

Executor::Executor(HostArtifact artifact, int threads)
    : Executor(std::move(artifact), std::make_shared<ThreadTeam>(threads)) {}

Executor::Executor(HostArtifact artifact, std::shared_ptr<ThreadTeam> team)
    : Executor(make_plan(std::move(artifact), std::move(team))) {}

ExecutorMaker Executor::maker() const {
  return [plan = plan_] { return std::unique_ptr<ProgramExecutor>(new Executor(plan)); };
}

std::shared_ptr<const Executor::Plan> Executor::make_plan(HostArtifact artifact, std::shared_ptr<ThreadTeam> team) {
  ensure(team != nullptr, "executor without a thread team");
  ensure(artifact.memory != nullptr, "artefact without a table of buffers");
  ensure(artifact.code.functions.size() == artifact.launches.size(), "artefact of {} launches with {} functions",
         artifact.launches.size(), artifact.code.functions.size());
  check_table(*artifact.memory);
  auto plan = std::make_shared<Plan>();
  for (std::size_t i = 0; i < artifact.launches.size(); ++i) {
    const HostLaunch& l = artifact.launches[i];
    ensure(l.units >= 0 && l.units <= kMaxUnits && l.scratch_bytes >= 0, "launch {} (@{}): {} units, {} scratch bytes",
           i, l.name, l.units, l.scratch_bytes);
    ensure(l.checks.empty() || l.scratch_bytes >= static_cast<std::int64_t>(sizeof(IndexFault)),
           "launch {} (@{}) checks indices and has no place to report them", i, l.name);
    ensure(std::ranges::all_of(l.uses,
                               [&](const BufferUse& use) {
                                 return use.buffer >= 0 && use.buffer < std::ssize(artifact.memory->buffers);
                               }),
           "launch {} (@{}) uses a buffer that there is not", i, l.name);
    ensure(artifact.code.functions[i] != nullptr || l.units == 0, "launch {} (@{}) has no code", i, l.name);
    plan->scratch_stride = std::max(plan->scratch_stride, whole_lines(l.scratch_bytes));
  }
  plan->phases = plan_phases(artifact, team->size());
  // A phase is alone when thread 0 has all of it.
  if (!std::ranges::all_of(plan->phases, [](const PlannedPhase& p) { return p.bounds[1] == p.bounds.back(); }))
    plan->width = std::min(team->size(), usable_cpus());
  plan->artifact = std::move(artifact);
  plan->team = std::move(team);
  return plan;
}

Executor::Executor(std::shared_ptr<const Plan> plan)
    : ProgramExecutor(plan->artifact.memory), plan_(std::move(plan)), pace_(plan_->width) {
  if (__builtin_mul_overflow(plan_->scratch_stride, threads(), &memory_.scratch_bytes))
    fail("the scratch space of {} threads, {} bytes each, is too large", threads(), plan_->scratch_stride);
  check_memory(memory_.total(), fmt::format("program @{}", table().name));
  arena_ = allocate(memory_.arena_bytes, "arena");
  scratch_ = allocate(memory_.scratch_bytes, "scratch space");
  if (std::ranges::any_of(artifact().launches, [](const HostLaunch& l) { return !l.checks.empty(); }))
    faults_.resize(static_cast<std::size_t>(threads()));
  addresses_.resize(table().buffers.size());
  for (BufferId id = 0; id < static_cast<BufferId>(table().buffers.size()); ++id) {
    if (at(id).kind == Buffer::temp) place(id, arena_.get() + at(id).offset);
    if (array(id)) place(id, array(id)->data());
  }
}

void Executor::place(BufferId id, std::byte* address) {
  addresses_[static_cast<std::size_t>(id)] = address;
  for (const BufferId view : views(id)) addresses_[static_cast<std::size_t>(view)] = address;
}

void Executor::bound(BufferId id) { place(id, array(id)->data()); }

void Executor::run_phase(const PlannedPhase& phase, std::byte* const* addresses, std::int64_t begin, std::int64_t end,
                         int thread) {
  if (begin >= end) return;
  const KernelFn run = artifact().code.functions[phase.launch];
  std::byte* const scratch = scratch_.get() + plan_->scratch_stride * thread;
  if (artifact().launches[phase.launch].checks.empty()) return run(addresses, begin, end, scratch);
  ::new (scratch) IndexFault{};
  run(addresses, begin, end, scratch);
  Fault& fault = faults_[static_cast<std::size_t>(thread)];
  if (fault.what.number) return;
  std::memcpy(&fault.what, scratch, sizeof(IndexFault));
  fault.launch = phase.launch;
}

void Executor::report_fault() const {
  const Fault* first = nullptr;
  for (const Fault& f : faults_)
    if (f.what.number && (!first || f.launch < first->launch)) first = &f;
  if (!first) return;
  const std::vector<std::string>& checks = artifact().launches[first->launch].checks;
  throw Error(
      fmt::format("{}, found {}", checks.at(static_cast<std::size_t>(first->what.number - 1)), first->what.index));
}

void Executor::run_share(std::byte* const* addresses, int thread) {
  const auto t = static_cast<std::size_t>(thread);
  for (const PlannedPhase& phase : plan_->phases) {
    run_phase(phase, addresses, phase.bounds[t], phase.bounds[t + 1], thread);
    if (phase.barrier) plan_->team->barrier();
  }
}

void Executor::run_alone(std::byte* const* addresses) {
  for (const PlannedPhase& phase : plan_->phases) run_phase(phase, addresses, 0, phase.bounds.back(), 0);
}

void Executor::run() {
  check_bindings();
  clear_faults();
  const FlushSubnormals flush;
  if (pace_.is_fixed()) {
    run_alone(addresses_.data());
  } else {
    const auto start = Clock::now();
    if (pace_.together()) {
      plan_->team->run([this](int thread) { run_share(addresses_.data(), thread); });
    } else {
      run_alone(addresses_.data());
    }
    pace_.record(seconds(Clock::now() - start));
  }
  report_fault();
}

std::int64_t Executor::run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                                 const AfterStep& after) {
  const BufferTable& p = table();
  check_steps(steps, rows, outputs);
  check_bindings(rows);
  std::vector<Moving> moving;
  const auto move = [&](BufferId id, const Array& array, std::int64_t stride) {
    moving.push_back({id, array.data(), stride});
    for (const BufferId view : views(id)) moving.push_back({view, array.data(), stride});
  };
  for (const StepRows& r : rows) move(p.inputs[r.position], r.array, byte_size(at(p.inputs[r.position]).type));
  std::vector<Copied> copied;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const BufferId root = storage(p, p.outputs[i]);
    const std::int64_t bytes = byte_size(at(p.outputs[i]).type);
    // A kernel may store whole vectors as aligned ones, so a row that begins within a cache line is copied there.
    const bool own = at(root).kind == Buffer::output && bytes % kCacheLine == 0 &&
                     reinterpret_cast<std::uintptr_t>(outputs[i].data()) % kCacheLine == 0 &&
                     std::ranges::none_of(moving, [&](const Moving& m) { return m.id == root; });
    if (own)
      move(root, outputs[i], bytes);
    else
      copied.push_back({root, outputs[i].data(), bytes});
  }

  clear_faults();
  std::int64_t done = 0;
  bool go_on = true;
  auto start = Clock::now();
  const auto begin = [&](std::vector<std::byte*>& addresses, std::int64_t s) {
    for (const Moving& m : moving) addresses[static_cast<std::size_t>(m.id)] = m.base + s * m.stride;
  };
  const auto finish = [&](const std::vector<std::byte*>& addresses) {
    for (const Copied& c : copied)
      std::memcpy(c.to + done * c.bytes, addresses[static_cast<std::size_t>(c.from)],
                  static_cast<std::size_t>(c.bytes));
    go_on = (!after || after(done)) && done + 1 < steps;
    ++done;
    if (pace_.is_fixed()) return;
    const auto now = Clock::now();
    pace_.record(seconds(now - start));
    start = now;
  };
  while (go_on) {
    if (pace_.together()) {
      plan_->team->run([&](int thread) {
        std::vector<std::byte*> addresses = addresses_;  // each thread's own, so that nobody waits for them to change
        for (std::int64_t s = done; go_on && pace_.together(); ++s) {
          begin(addresses, s);
          run_share(addresses.data(), thread);
          plan_->team->barrier([&] { finish(addresses); });
        }
      });
    } else {
      const FlushSubnormals flush;
      std::vector<std::byte*> addresses = addresses_;
      while (go_on && !pace_.together()) {
        begin(addresses, done);
        run_alone(addresses.data());
        finish(addresses);
      }
    }
  }
  report_fault();
  return done;
}

std::vector<double> Executor::run_profiled() {
  check_bindings();
  clear_faults();
  std::vector<double> taken(artifact().launches.size());
  plan_->team->run([&](int thread) {
    plan_->team->barrier();  // waking the team is nobody's time
    auto start = Clock::now();
    for (const PlannedPhase& phase : plan_->phases) {
      const auto t = static_cast<std::size_t>(thread);
      run_phase(phase, addresses_.data(), phase.bounds[t], phase.bounds[t + 1], thread);
      plan_->team->barrier();
      if (thread != 0) continue;
      const auto now = Clock::now();
      taken[phase.launch] = seconds(now - start);
      start = now;
    }
  });
  report_fault();
  return taken;
}

}  // namespace weft

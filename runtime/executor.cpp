// Static work sharing: every thread goes through the same phases and runs its share of each, as planned by
// phase_plan.h. Kernels are written so that no result depends on the shares.
#include "runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>

#include "ir/cache_line.h"
#include "ir/error.h"
#include "ir/eval.h"
#include "ir/memory_limit.h"
#include "ir/unproven.h"

namespace weft {
namespace {

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

Executor::Memory Executor::allocate(std::int64_t bytes, const char* what) {
  if (bytes == 0) return {};
  void* p = ::operator new[](static_cast<std::size_t>(bytes), std::align_val_t{kCacheLine}, std::nothrow);
  if (!p) fail("cannot allocate {} bytes for the {} of a compiled program", bytes, what);
  return Memory(static_cast<std::byte*>(p));
}

Executor::Executor(Image image, int threads) : Executor(std::move(image), std::make_shared<ThreadTeam>(threads)) {}

Executor::Executor(Image image, std::shared_ptr<ThreadTeam> team)
    : ProgramExecutor(image.program), image_(std::move(image)), team_(std::move(team)) {
  ensure(team_ != nullptr, "executor without a thread team");
  check_code();
  phases_ = plan_phases(image_, team_->size());
  // A phase is alone when thread 0 has all of it.
  all_alone_ = std::ranges::all_of(phases_, [](const PlannedPhase& p) { return p.bounds[1] == p.bounds.back(); });
  place_buffers();
}

void Executor::check_code() const {
  for (const KernelCode& code : image_.code) {
    ensure(code.units >= 0 && code.units <= kMaxUnits && code.scratch_bytes >= 0,
           "kernel {}: {} units, {} scratch bytes", code.kernel, code.units, code.scratch_bytes);
    ensure(!code.checks || code.scratch_bytes >= static_cast<std::int64_t>(sizeof(IndexFault)),
           "kernel {} checks indices and has no place to report them", code.kernel);
    ensure(code.fn != nullptr || code.units == 0, "kernel {} has no code", code.kernel);
  }
}

void Executor::place_buffers() {
  for (const KernelCode& code : image_.code)
    scratch_stride_ = std::max(scratch_stride_, whole_lines(code.scratch_bytes));
  if (__builtin_mul_overflow(scratch_stride_, team_->size(), &memory_.scratch_bytes))
    fail("the scratch space of {} threads, {} bytes each, is too large", team_->size(), scratch_stride_);
  check_memory(memory_.total(), fmt::format("program @{}", program().name));
  arena_ = allocate(memory_.arena_bytes, "arena");
  scratch_ = allocate(memory_.scratch_bytes, "scratch space");
  if (std::ranges::any_of(image_.code, &KernelCode::checks)) faults_.resize(static_cast<std::size_t>(team_->size()));
  addresses_.resize(program().buffers.size());
  for (BufferId id = 0; id < static_cast<BufferId>(program().buffers.size()); ++id) {
    if (at(id).kind == Buffer::temp) place(id, arena_.get() + at(id).offset);
    if (array(id)) place(id, array(id)->data());
  }
}

void Executor::place(BufferId id, std::byte* address) {
  addresses_[static_cast<std::size_t>(id)] = address;
  for (const BufferId view : views(id)) addresses_[static_cast<std::size_t>(view)] = address;
}

void Executor::bound(BufferId id) { place(id, array(id)->data()); }

void Executor::share(const PlannedPhase& phase, int thread, std::byte* const* addresses) {
  const auto t = static_cast<std::size_t>(thread);
  const std::int64_t begin = phase.bounds[t], end = phase.bounds[t + 1];
  if (begin >= end) return;
  const KernelCode& code = image_.code[phase.code];
  std::byte* const scratch = scratch_.get() + scratch_stride_ * thread;
  if (code.checks) ::new (scratch) IndexFault{};
  code.fn(addresses, begin, end, scratch);
  if (!code.checks || faults_[t].what.number) return;
  std::memcpy(&faults_[t].what, scratch, sizeof(IndexFault));
  faults_[t].code = phase.code;
}

/// The first fault of the run by the program's order, if there is one.
void Executor::report_fault() const {
  const Fault* first = nullptr;
  for (const Fault& f : faults_)
    if (f.what.number && (!first || f.code < first->code)) first = &f;
  if (!first) return;
  const Kernel& k = program().kernels[static_cast<std::size_t>(image_.code[first->code].kernel)];
  const auto unproven = unproven_indices(program(), k);
  throw Error(out_of_bounds_text(program(), k, unproven.at(static_cast<std::size_t>(first->what.number - 1)),
                                 first->what.index));
}

/// Calls fn(thread) on the threads that the program needs.
template <class F>
void Executor::enter(F&& fn) {
  for (Fault& f : faults_) f = {};
  if (!all_alone_) {
    team_->run(fn);
  } else {
    FlushSubnormals flush;  // do not wake anybody
    fn(0);
  }
  report_fault();
}

void Executor::run() {
  check_bindings();
  enter([this](int thread) {
    for (const PlannedPhase& phase : phases_) {
      share(phase, thread, addresses_.data());
      if (phase.barrier) team_->barrier();
    }
  });
}

std::int64_t Executor::run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                                 const AfterStep& after) {
  const Program& p = program();
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
                     std::ranges::none_of(moving, [&](const Moving& m) { return m.id == root; });
    if (own)
      move(root, outputs[i], bytes);
    else
      copied.push_back({root, outputs[i].data(), bytes});
  }

  std::int64_t done = 0;
  bool go_on = true;
  enter([&](int thread) {
    std::vector<std::byte*> addresses = addresses_;  // each thread's own, so that nobody waits for them to change
    for (std::int64_t s = 0; s < steps && go_on; ++s) {
      for (const Moving& m : moving) addresses[static_cast<std::size_t>(m.id)] = m.base + s * m.stride;
      for (const PlannedPhase& phase : phases_) {
        share(phase, thread, addresses.data());
        if (phase.barrier) team_->barrier();
      }
      const auto finish = [&] {
        for (const Copied& c : copied)
          std::memcpy(c.to + s * c.bytes, addresses[static_cast<std::size_t>(c.from)],
                      static_cast<std::size_t>(c.bytes));
        done = s + 1;
        go_on = !after || after(s);
      };
      if (all_alone_)
        finish();
      else
        team_->barrier(finish);
    }
  });
  return done;
}

std::vector<double> Executor::run_profiled() {
  using Clock = std::chrono::steady_clock;
  check_bindings();
  std::vector<double> seconds(image_.code.size());
  for (Fault& f : faults_) f = {};
  team_->run([&](int thread) {
    team_->barrier();  // waking the team is nobody's time
    auto start = Clock::now();
    for (const PlannedPhase& phase : phases_) {
      share(phase, thread, addresses_.data());
      team_->barrier();
      if (thread != 0) continue;
      const auto now = Clock::now();
      seconds[phase.code] = std::chrono::duration<double>(now - start).count();
      start = now;
    }
  });
  report_fault();
  return seconds;
}

}  // namespace weft

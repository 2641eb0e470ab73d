// Static work sharing: thread t of T runs units [units*t/T, units*(t+1)/T) of each phase, and all meet after it.
// Kernels are written so that no result depends on the split.
#include "runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "ir/error.h"
#include "ir/eval.h"

namespace weft {
namespace {

// Below this many cycles (about 7 microseconds) one thread runs a phase alone. Sharing it over two cores would save at
// most half, and costs up to two barriers (0.3 microseconds each on two Zen 4 cores) and the transfer of the other
// half's cache lines; costs are estimates, so the threshold errs on the side of not sharing.
constexpr double kSharedCycles = 20'000;
constexpr std::int64_t kAlign = 64;
constexpr std::int64_t kMaxUnits = std::int64_t{1} << 46;  // times kMaxThreads it still fits 64 bits

std::int64_t round_up(std::int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

bool overlap(const Array& a, const Array& b) {
  return a.bytes() != 0 && b.bytes() != 0 && a.data() < b.data() + b.bytes() && b.data() < a.data() + a.bytes();
}

const Buffer& at(const Program& p, BufferId id) { return p.buffers[static_cast<std::size_t>(id)]; }

/// "input 'image'", for messages.
std::string describe(const Buffer& b) {
  return fmt::format("{} '{}'", b.kind == Buffer::state ? "state" : "input", b.name);
}

}  // namespace

void Executor::AlignedFree::operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{kAlign}); }

Executor::Memory Executor::allocate(std::int64_t bytes, const char* what) {
  if (bytes == 0) return {};
  void* p = ::operator new[](static_cast<std::size_t>(bytes), std::align_val_t{kAlign}, std::nothrow);
  if (!p) fail("cannot allocate {} bytes for the {} of a compiled program", bytes, what);
  return Memory(static_cast<std::byte*>(p));
}

Executor::Executor(Image image, int threads) : Executor(std::move(image), std::make_shared<ThreadTeam>(threads)) {}

Executor::Executor(Image image, std::shared_ptr<ThreadTeam> team) : image_(std::move(image)), team_(std::move(team)) {
  ensure(team_ != nullptr, "executor without a thread team");
  check_image();
  plan_steps();
  place_buffers();
}

void Executor::check_image() const {
  ensure(image_.program != nullptr, "image without a program");
  const Program& p = *image_.program;
  const auto count = static_cast<BufferId>(p.buffers.size());
  const auto known = [&](BufferId id) { return id >= 0 && id < count; };
  for (BufferId id = 0; id < count; ++id) {
    const Buffer& b = at(p, id);
    const auto bytes = byte_size(b.type);
    switch (b.kind) {
      case Buffer::view:
        ensure(known(b.base), "buffer {}: view of buffer {}", b.name, b.base);
        for (BufferId base = b.base, hops = 0; at(p, base).kind == Buffer::view; base = at(p, base).base, ++hops)
          ensure(hops < count && known(at(p, base).base), "buffer {}: its views do not end at storage", b.name);
        ensure(at(p, b.base).type.dtype == b.type.dtype && byte_size(at(p, b.base).type) == bytes,
               "buffer {}: view of another dtype or size", b.name);
        break;
      case Buffer::temp:
        ensure(b.offset >= 0 && b.offset % kAlign == 0 && b.offset <= p.arena_bytes - bytes,
               "buffer {}: {} bytes at {} in an arena of {}", b.name, bytes, b.offset, p.arena_bytes);
        break;
      case Buffer::constant:
        ensure(b.literal != nullptr && b.literal->type() == b.type, "buffer {}: literal of another type", b.name);
        break;
      default: break;
    }
  }
  for (const BufferId id : p.inputs) {
    ensure(known(id), "input is buffer {} of {}", id, count);
    const auto kind = at(p, id).kind;
    ensure(kind == Buffer::input || kind == Buffer::state, "input buffer {} is neither input nor state", id);
  }
  for (const BufferId id : p.outputs) {
    ensure(known(id), "output is buffer {} of {}", id, count);
    ensure(at(p, storage(p, id)).kind != Buffer::temp, "output buffer {} is in the arena", id);
  }
  for (const KernelCode& code : image_.code) {
    ensure(code.units >= 0 && code.units <= kMaxUnits && code.scratch_bytes >= 0,
           "kernel {}: {} units, {} scratch bytes", code.kernel, code.units, code.scratch_bytes);
    ensure(code.fn != nullptr || code.units == 0, "kernel {} has no code", code.kernel);
  }
}

void Executor::plan_steps() {
  for (std::size_t i = 0; i < image_.code.size(); ++i) {
    const KernelCode& code = image_.code[i];
    if (code.units == 0) continue;
    const bool alone = team_->size() == 1 || code.units == 1 || code.cost < kSharedCycles;
    steps_.push_back({i, alone, false});
    all_alone_ = all_alone_ && alone;
  }
  // Nothing to wait for between two phases of thread 0; after the last, run() joins anyway.
  for (std::size_t i = 0; i + 1 < steps_.size(); ++i) steps_[i].barrier = !(steps_[i].alone && steps_[i + 1].alone);
}

void Executor::place_buffers() {
  const Program& p = *image_.program;
  for (const KernelCode& code : image_.code) scratch_stride_ = std::max(scratch_stride_, round_up(code.scratch_bytes));
  memory_.arena_bytes = p.arena_bytes;
  memory_.scratch_bytes = scratch_stride_ * team_->size();
  arena_ = allocate(memory_.arena_bytes, "arena");
  scratch_ = allocate(memory_.scratch_bytes, "scratch space");

  arrays_.resize(p.buffers.size());
  addresses_.resize(p.buffers.size());
  views_.resize(p.buffers.size());
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const auto id = static_cast<BufferId>(i);
    if (at(p, id).kind == Buffer::view) views_[static_cast<std::size_t>(storage(p, id))].push_back(id);
  }
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const auto id = static_cast<BufferId>(i);
    const Buffer& b = at(p, id);
    const auto bytes = byte_size(b.type);
    switch (b.kind) {
      case Buffer::input: memory_.input_bytes += bytes; break;
      case Buffer::state: memory_.state_bytes += bytes; break;
      case Buffer::output:
        memory_.output_bytes += bytes;
        arrays_[i] = Array(b.type);
        place(id, arrays_[i]->data());
        break;
      case Buffer::temp: place(id, arena_.get() + b.offset); break;
      case Buffer::constant:
        memory_.constant_bytes += bytes;
        arrays_[i] = *b.literal;
        place(id, b.literal->data());
        break;
      case Buffer::view: break;  // placed with its storage
    }
  }
}

void Executor::place(BufferId id, std::byte* address) {
  addresses_[static_cast<std::size_t>(id)] = address;
  for (const BufferId view : views_[static_cast<std::size_t>(id)]) addresses_[static_cast<std::size_t>(view)] = address;
}

void Executor::bind(std::size_t position, Array array) {
  const Program& p = *image_.program;
  if (position >= p.inputs.size())
    fail("cannot bind input number {}: the program has {} inputs and states", position, p.inputs.size());
  const BufferId id = p.inputs[position];
  const Buffer& b = at(p, id);
  if (array.type() != b.type) fail("{}: expected {}, got {}", describe(b), to_string(b.type), to_string(array.type()));
  ensure(reinterpret_cast<std::uintptr_t>(array.data()) % kAlign == 0, "{}: storage at {} is not 64-byte aligned",
         describe(b), fmt::ptr(array.data()));
  place(id, array.data());
  arrays_[static_cast<std::size_t>(id)] = std::move(array);
  checked_ = false;
}

void Executor::check_bindings() {
  const Program& p = *image_.program;
  for (const BufferId id : p.inputs)
    if (!arrays_[static_cast<std::size_t>(id)])
      fail("{} ({}) is not bound", describe(at(p, id)), to_string(at(p, id).type));
  for (const BufferId state : p.inputs) {
    if (at(p, state).kind != Buffer::state) continue;
    for (const BufferId other : p.inputs)
      if (other != state &&
          overlap(*arrays_[static_cast<std::size_t>(state)], *arrays_[static_cast<std::size_t>(other)]))
        fail("{} and {} are bound to the same memory: a state is updated in place and needs its own",
             describe(at(p, state)), describe(at(p, other)));
  }
  checked_ = true;
}

Array Executor::output(std::size_t position) const {
  const Program& p = *image_.program;
  if (position >= p.outputs.size()) fail("no output number {}: the program has {}", position, p.outputs.size());
  const BufferId id = p.outputs[position];
  const BufferId root = storage(p, id);
  const auto& array = arrays_[static_cast<std::size_t>(root)];
  if (!array) fail("output number {} is {}, which is not bound", position, describe(at(p, root)));
  return array->reshaped(at(p, id).type.shape);
}

void Executor::share(const Step& step, int thread) const {
  if (step.alone && thread != 0) return;
  const KernelCode& code = image_.code[step.code];
  const std::int64_t threads = step.alone ? 1 : team_->size();
  const std::int64_t begin = code.units * thread / threads, end = code.units * (thread + 1) / threads;
  if (begin < end) code.fn(addresses_.data(), begin, end, scratch_.get() + scratch_stride_ * thread);
}

void Executor::run() {
  if (!checked_) check_bindings();
  if (all_alone_) {  // do not wake anybody
    FlushSubnormals flush;
    for (const Step& step : steps_) share(step, 0);
    return;
  }
  team_->run([this](int thread) {
    for (const Step& step : steps_) {
      share(step, thread);
      if (step.barrier) team_->barrier();
    }
  });
}

std::vector<double> Executor::run_profiled() {
  using Clock = std::chrono::steady_clock;
  if (!checked_) check_bindings();
  std::vector<double> seconds(image_.code.size());
  team_->run([&](int thread) {
    team_->barrier();  // waking the team is nobody's time
    auto start = Clock::now();
    for (const Step& step : steps_) {
      share(step, thread);
      team_->barrier();
      if (thread != 0) continue;
      const auto now = Clock::now();
      seconds[step.code] = std::chrono::duration<double>(now - start).count();
      start = now;
    }
  });
  return seconds;
}

}  // namespace weft

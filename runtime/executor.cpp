// Static work sharing: every thread goes through the same phases and runs its share of each, as planned by
// phase_plan.h. Kernels are written so that no result depends on the shares.
#include "runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>

#include "ir/error.h"
#include "ir/eval.h"

namespace weft {
namespace {

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

Type stacked(Type type, std::int64_t steps) {
  type.shape.insert(0, steps);
  return type;
}

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
  phases_ = plan_phases(image_, team_->size());
  // A phase is alone when thread 0 has all of it.
  all_alone_ = std::ranges::all_of(phases_, [](const PlannedPhase& p) { return p.bounds[1] == p.bounds.back(); });
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

void Executor::check_bindings(std::span<const Rows> rows) {
  const Program& p = *image_.program;
  std::vector<const Array*> arrays;  // by position in Program::inputs
  for (const BufferId id : p.inputs) {
    const auto& array = arrays_[static_cast<std::size_t>(id)];
    arrays.push_back(array ? &*array : nullptr);
  }
  for (const Rows& r : rows) arrays[r.position] = &r.array;
  for (std::size_t i = 0; i < arrays.size(); ++i)
    if (!arrays[i]) {
      const Buffer& b = at(p, p.inputs[i]);
      fail("{} ({}) is not bound", describe(b), to_string(b.type));
    }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    if (at(p, p.inputs[i]).kind != Buffer::state) continue;
    for (std::size_t j = 0; j < arrays.size(); ++j)
      if (i != j && overlap(*arrays[i], *arrays[j]))
        fail("{} and {} are bound to the same memory: a state is updated in place and needs its own",
             describe(at(p, p.inputs[i])), describe(at(p, p.inputs[j])));
  }
  checked_ = rows.empty();
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

void Executor::share(const PlannedPhase& phase, int thread, std::byte* const* addresses) const {
  const auto t = static_cast<std::size_t>(thread);
  const std::int64_t begin = phase.bounds[t], end = phase.bounds[t + 1];
  if (begin < end) image_.code[phase.code].fn(addresses, begin, end, scratch_.get() + scratch_stride_ * thread);
}

/// Calls fn(thread) on the threads that the program needs.
template <class F>
void Executor::enter(F&& fn) {
  if (!all_alone_) return team_->run(fn);
  FlushSubnormals flush;  // do not wake anybody
  fn(0);
}

void Executor::run() {
  if (!checked_) check_bindings();
  enter([this](int thread) {
    for (const PlannedPhase& phase : phases_) {
      share(phase, thread, addresses_.data());
      if (phase.barrier) team_->barrier();
    }
  });
}

std::int64_t Executor::run_steps(std::int64_t steps, std::span<const Rows> rows, std::span<const Array> outputs,
                                 const AfterStep& after) {
  const Program& p = *image_.program;
  ensure(steps >= 1 && outputs.size() == p.outputs.size(), "run_steps: {} steps, {} of {} outputs", steps,
         outputs.size(), p.outputs.size());
  std::vector<Moving> moving;
  const auto move = [&](BufferId id, const Array& array, std::int64_t stride) {
    moving.push_back({id, array.data(), stride});
    for (const BufferId view : views_[static_cast<std::size_t>(id)]) moving.push_back({view, array.data(), stride});
  };
  for (const Rows& r : rows) {
    ensure(r.position < p.inputs.size(), "run_steps: rows of input number {} of {}", r.position, p.inputs.size());
    const BufferId id = p.inputs[r.position];
    const Buffer& b = at(p, id);
    if (const Type want = stacked(b.type, steps); r.array.type() != want)
      fail("{}: expected {}, got {}", describe(b), to_string(want), to_string(r.array.type()));
    if (std::ranges::count(p.updates, id))
      fail("{} is updated by the program and cannot have a value for each step", describe(b));
    move(id, r.array, byte_size(b.type));
  }
  std::vector<Copied> copied;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const BufferId id = p.outputs[i], root = storage(p, id);
    const Type& type = at(p, id).type;
    if (const Type want = stacked(type, steps); outputs[i].type() != want)
      fail("output number {}: expected {}, got {}", i, to_string(want), to_string(outputs[i].type()));
    // A kernel may store whole vectors as aligned ones, so a row that begins within a cache line is copied there.
    const bool own = at(p, root).kind == Buffer::output && byte_size(type) % kAlign == 0 &&
                     std::ranges::none_of(moving, [&](const Moving& m) { return m.id == root; });
    if (own)
      move(root, outputs[i], byte_size(type));
    else
      copied.push_back({root, outputs[i].data(), byte_size(type)});
  }
  if (!checked_ || !rows.empty()) check_bindings(rows);

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
  if (!checked_) check_bindings();
  std::vector<double> seconds(image_.code.size());
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
  return seconds;
}

}  // namespace weft

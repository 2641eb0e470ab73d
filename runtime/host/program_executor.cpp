// Bindings of a program's inputs, states and outputs, and their checks.
#include "runtime/host/program_executor.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "ir/base/cache_line.h"
#include "ir/base/error.h"
#include "ir/base/memory_limit.h"

namespace weft {
namespace {

bool overlap(const Array& a, const Array& b) {
  return a.bytes() != 0 && b.bytes() != 0 && a.data() < b.data() + b.bytes() && b.data() < a.data() + a.bytes();
}

/// "input 'image'", for messages.
std::string describe(const Buffer& b) {
  return fmt::format("{} '{}'", b.kind == Buffer::state ? "state" : "input", b.name);
}

Type stacked(Type type, std::int64_t steps) {
  type.shape.insert(0, steps);
  return type;
}

}  // namespace

ArrayVersion new_version() {
  static std::atomic<ArrayVersion> last{kMayChange};
  return ++last;
}

ProgramExecutor::ProgramExecutor(std::shared_ptr<const BufferTable> table) : table_(std::move(table)) {
  ensure(table_ != nullptr, "artefact without a table of buffers");
  check_table(*table_);
  const BufferTable& p = *table_;
  arrays_.resize(p.buffers.size());
  versions_.resize(p.buffers.size(), kMayChange);
  views_.resize(p.buffers.size());
  memory_.arena_bytes = p.arena_bytes;
  for (const Buffer& b : p.buffers) {  // before anything is allocated
    const std::int64_t bytes = byte_size(b.type);
    if (b.kind == Buffer::input) memory_.input_bytes += bytes;
    if (b.kind == Buffer::state) memory_.state_bytes += bytes;
    if (b.kind == Buffer::output) memory_.output_bytes += bytes;
    if (b.kind == Buffer::constant) memory_.constant_bytes += bytes;
    check_memory(memory_.total(), fmt::format("program @{}", p.name));
  }
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const Buffer& b = p.buffers[i];
    switch (b.kind) {
      case Buffer::output: arrays_[i] = Array(b.type); break;
      case Buffer::constant: arrays_[i] = *b.literal; break;
      case Buffer::view: {
        const auto id = static_cast<BufferId>(i);
        views_[static_cast<std::size_t>(storage(p, id))].push_back(id);
        break;
      }
      default: break;
    }
  }
}

void ProgramExecutor::check_table(const BufferTable& p) {
  const auto at = [&](BufferId id) -> const Buffer& { return p.buffers[static_cast<std::size_t>(id)]; };
  const auto count = static_cast<BufferId>(p.buffers.size());
  const auto known = [&](BufferId id) { return id >= 0 && id < count; };
  for (BufferId id = 0; id < count; ++id) {
    const Buffer& b = at(id);
    const auto bytes = byte_size(b.type);
    switch (b.kind) {
      case Buffer::view:
        ensure(known(b.base), "buffer {}: view of buffer {}", b.name, b.base);
        for (BufferId base = b.base, hops = 0; at(base).kind == Buffer::view; base = at(base).base, ++hops)
          ensure(hops < count && known(at(base).base), "buffer {}: its views do not end at storage", b.name);
        ensure(at(b.base).type.dtype == b.type.dtype && byte_size(at(b.base).type) == bytes,
               "buffer {}: view of another dtype or size", b.name);
        break;
      case Buffer::temp:
        ensure(b.offset >= 0 && b.offset % kCacheLine == 0 && b.offset <= p.arena_bytes - bytes,
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
    const auto kind = at(id).kind;
    ensure(kind == Buffer::input || kind == Buffer::state, "input buffer {} is neither input nor state", id);
  }
  for (const BufferId id : p.outputs) {
    ensure(known(id), "output is buffer {} of {}", id, count);
    ensure(at(storage(p, id)).kind != Buffer::temp, "output buffer {} is in the arena", id);
  }
}

void ProgramExecutor::bind(std::size_t position, Array array, ArrayVersion version) {
  if (position >= table_->inputs.size())
    fail("cannot bind input number {}: the program has {} inputs and states", position, table_->inputs.size());
  const BufferId id = table_->inputs[position];
  const Buffer& b = at(id);
  if (array.type() != b.type) fail("{}: expected {}, got {}", describe(b), to_string(b.type), to_string(array.type()));
  ensure(b.kind != Buffer::state || reinterpret_cast<std::uintptr_t>(array.data()) % kCacheLine == 0,
         "{}: storage at {} is not {}-byte aligned", describe(b), fmt::ptr(array.data()), kCacheLine);
  arrays_[static_cast<std::size_t>(id)] = std::move(array);
  versions_[static_cast<std::size_t>(id)] = version;
  checked_ = false;
  bound(id);
}

std::vector<std::int64_t> ProgramExecutor::input_panels() const {
  std::vector<std::int64_t> panels;
  for (const BufferId id : table_->inputs) panels.push_back(at(id).panels);
  return panels;
}

void ProgramExecutor::check_bindings(std::span<const StepRows> rows) {
  if (checked_ && rows.empty()) return;
  const BufferTable& p = *table_;
  const auto bound_to = [&](std::size_t position) -> const Array* {
    for (const StepRows& r : rows)
      if (r.position == position) return &r.array;
    const std::optional<Array>& a = array(p.inputs[position]);
    return a ? &*a : nullptr;
  };
  for (std::size_t i = 0; i < p.inputs.size(); ++i)
    if (!bound_to(i)) {
      const Buffer& b = at(p.inputs[i]);
      fail("{} ({}) is not bound", describe(b), to_string(b.type));
    }
  for (std::size_t i = 0; i < p.inputs.size(); ++i) {
    if (at(p.inputs[i]).kind != Buffer::state) continue;
    for (std::size_t j = 0; j < p.inputs.size(); ++j)
      if (i != j && overlap(*bound_to(i), *bound_to(j)))
        fail("{} and {} are bound to the same memory: a state is updated in place and needs its own",
             describe(at(p.inputs[i])), describe(at(p.inputs[j])));
  }
  checked_ = rows.empty();
}

void ProgramExecutor::check_steps(std::int64_t steps, std::span<const StepRows> rows,
                                  std::span<const Array> outputs) const {
  const BufferTable& p = *table_;
  ensure(steps >= 1 && outputs.size() == p.outputs.size(), "run_steps: {} steps, {} of {} outputs", steps,
         outputs.size(), p.outputs.size());
  for (const StepRows& r : rows) {
    ensure(r.position < p.inputs.size(), "run_steps: rows of input number {} of {}", r.position, p.inputs.size());
    const BufferId id = p.inputs[r.position];
    const Buffer& b = at(id);
    if (const Type want = stacked(b.type, steps); r.array.type() != want)
      fail("{}: expected {}, got {}", describe(b), to_string(want), to_string(r.array.type()));
    if (std::ranges::count(p.updates, id))
      fail("{} is updated by the program and cannot have a value for each step", describe(b));
  }
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (const Type want = stacked(at(p.outputs[i]).type, steps); outputs[i].type() != want)
      fail("output number {}: expected {}, got {}", i, to_string(want), to_string(outputs[i].type()));
}

Array ProgramExecutor::output(std::size_t position) const {
  const BufferTable& p = *table_;
  if (position >= p.outputs.size()) fail("no output number {}: the program has {}", position, p.outputs.size());
  const BufferId id = p.outputs[position];
  const BufferId root = storage(p, id);
  if (!array(root)) fail("output number {} is {}, which is not bound", position, describe(at(root)));
  return array(root)->reshaped(at(id).type.shape);
}

std::vector<Array> ProgramExecutor::take_outputs() {
  const BufferTable& p = *table_;
  std::vector<Array> taken;
  taken.reserve(p.outputs.size());
  for (std::size_t i = 0; i < p.outputs.size(); ++i) {
    const BufferId root = storage(p, p.outputs[i]);
    const Shape& shape = at(p.outputs[i]).type.shape;
    std::size_t same = 0;  // the first output of that memory
    while (storage(p, p.outputs[same]) != root) ++same;
    if (same < i) {
      taken.push_back(taken[same].clone().reshaped(shape));
    } else if (at(root).kind == Buffer::output) {
      Array next(at(root).type);
      taken.push_back(std::exchange(*arrays_[static_cast<std::size_t>(root)], std::move(next)).reshaped(shape));
      bound(root);
    } else {
      taken.push_back(output(i).clone());
    }
  }
  return taken;
}

}  // namespace weft

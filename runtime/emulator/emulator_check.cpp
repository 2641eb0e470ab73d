// The emulator's checking mode (runtime/emulator/emulator_check.h).
#include "runtime/emulator/emulator_check.h"

#include <algorithm>
#include <bit>

#include "ir/simt/simt_inst.h"

namespace weft::emulator {

using simt::Inst, simt::Memory, simt::MemoryId;

Checker::Checker(const Code& code, const std::vector<std::byte*>& globals, const std::vector<Initialised>& initialised)
    : code_(code),
      storage_of_(code.function->memories.size()),
      start_(storage_of_.size()),
      initialised_(storage_of_.size()) {
  const auto& memories = code.function->memories;
  // By address, so that what overlaps is adjacent.
  std::vector<std::pair<std::byte*, std::size_t>> by_address;
  std::size_t global = 0;
  for (std::size_t i = 0; i < memories.size(); ++i) {
    if (memories[i].space == Memory::shared) {
      add_shared(i);
    } else {
      initialised_[i] = initialised.empty() ? nullptr : initialised[global];
      by_address.emplace_back(globals[global++], i);
    }
  }
  std::sort(by_address.begin(), by_address.end());
  for (const auto& [address, i] : by_address) add_global(i, address);
  for_each_inst(code.function->body, [&](const Inst& inst) {
    if (inst.kind == Inst::store) at(storage_, at(storage_of_, inst.memory)).stored = true;
  });
  for (Storage& s : storage_)
    if (s.stored) s.shadow.resize(static_cast<std::size_t>(s.bytes / s.grain + 1));
}

void Checker::add_shared(std::size_t i) {
  const Memory& m = code_.function->memories[i];
  const auto grain = static_cast<std::int64_t>(size_of(m.dtype));
  storage_of_[i] = static_cast<std::int32_t>(storage_.size());
  storage_.push_back({.bytes = m.elements * grain, .grain = grain, .stored = true});
  storage_.back().pending.resize(static_cast<std::size_t>(m.elements));
}

void Checker::add_global(std::size_t i, std::byte* address) {
  const Memory& m = code_.function->memories[i];
  const auto size = static_cast<std::int64_t>(size_of(m.dtype));
  const bool overlaps =
      !storage_.empty() && storage_.back().begin && address < storage_.back().begin + storage_.back().bytes;
  if (!overlaps) storage_.push_back({.begin = address});
  Storage& s = storage_.back();
  storage_of_[i] = static_cast<std::int32_t>(storage_.size() - 1);
  start_[i] = address - s.begin;
  s.bytes = std::max(s.bytes, start_[i] + m.elements * size);
  s.grain = std::min(s.grain, size);
  if (start_[i]) s.grain = std::min(s.grain, start_[i] & -start_[i]);
}

const Memory& Checker::memory(MemoryId id) const { return at(code_.function->memories, id); }

void Checker::begin_block(std::int32_t number) {
  block_ = number;
  interval_ = 0;
}

Checker::Touch Checker::now(const Step& s, int thread) const {
  return {block_, interval_, static_cast<std::uint32_t>(&s - code_.steps.data()), thread};
}

bool Checker::conflicts(const Touch& earlier, const Touch& now, bool shared) const {
  if (earlier.block == kNone) return false;
  if (earlier.block != now.block) return !shared;  // shared: what another block did to its own array
  return earlier.thread != now.thread && earlier.interval == now.interval;
}

void Checker::remember_reader(Shadow& shadow, const Touch& now) const {
  auto& [first, second] = shadow.readers;
  if (first.block == kNone) {
    first = now;
  } else if (first.block != now.block) {
    second = now;
  } else if (first.interval < now.interval) {
    first = now;
    if (second.block == now.block) second = {};
  } else if (first.thread != now.thread && second.block == kNone) {
    second = now;
  }
}

void Checker::touch(Access access, const Touch& now, MemoryId id, std::int64_t element) {
  const bool shared = memory(id).space == Memory::shared, loads = access == Access::load;
  const char* does = loads ? "loads" : "stores";
  Storage& storage = at(storage_, at(storage_of_, id));
  const auto size = static_cast<std::int64_t>(size_of(memory(id).dtype));
  if (shared) {
    if (const Touch& copy = at(storage.pending, static_cast<std::int32_t>(element)); copy.block == block_)
      report(fmt::format("missing wait_async for {}: {}; {}", element_name(id, element), who(now, does),
                         who(copy, "copies to it")));
  } else if (std::uint8_t* flags = at(initialised_, id)) {
    flags += element * size;
    if (loads && std::find(flags, flags + size, 0) != flags + size)
      report(fmt::format("uninitialised {}: {}", element_name(id, element), who(now, does)));
    if (!loads) std::fill(flags, flags + size, std::uint8_t{1});
  }
  if (!storage.stored) return;
  const std::int64_t begin = (at(start_, id) + element * size) / storage.grain;
  for (std::int64_t grain = begin; grain < begin + size / storage.grain; ++grain) {
    Shadow& shadow = storage.shadow[static_cast<std::size_t>(grain)];
    if (shared && shadow.writer.block != block_) {
      if (loads) report(fmt::format("uninitialised {}: {}", element_name(id, element), who(now, does)));
      if (shadow.readers[0].block != block_) shadow = {};
    }
    const auto race = [&](const Touch& earlier, const char* did) {
      if (!conflicts(earlier, now, shared)) return;
      const char* why = earlier.block == now.block ? "no barrier between them" : "nothing orders blocks";
      report(fmt::format("race on {}: {}; {}; {}", element_name(id, element), who(now, does), who(earlier, did), why));
    };
    race(shadow.writer, "stores");
    if (loads) {
      remember_reader(shadow, now);
    } else {
      for (const Touch& reader : shadow.readers) race(reader, "loads");
      shadow.writer = now;
    }
  }
}

template <class F>
void Checker::each_thread(const Step& s, Machine& m, const bool* active, Slot index, DType t, F&& f) {
  const auto each = [&](auto* elements) {
    if (s.n > 1) {
      for (int i = 0; i < s.n; ++i)
        if (!active || active[i]) f(i, std::int64_t{elements[i]});
    } else if (!active || *active) {  // all threads that are here, at the same element
      const bool* here = s.mask == kNoSlot ? nullptr : m.values<bool>(s.mask);
      for (int i = 0; i < code_.function->threads; ++i)
        if (!here || here[i]) f(i, std::int64_t{*elements});
    }
  };
  if (t == i32)
    each(m.values<std::int32_t>(index));
  else
    each(m.values<std::int64_t>(index));
}

void Checker::load(const Step& s, Machine& m, const bool* active) {
  each_thread(s, m, active, s.at[0], code_.function->type(s.inst->args[0]), [&](int thread, std::int64_t element) {
    for (int k = 0; k < s.inst->width; ++k) touch(Access::load, now(s, thread), s.inst->memory, element + k);
  });
}

void Checker::store(const Step& s, Machine& m, const bool* active) {
  each_thread(s, m, active, s.at[0], code_.function->type(s.inst->args[0]), [&](int thread, std::int64_t element) {
    for (int k = 0; k < s.inst->width; ++k) touch(Access::store, now(s, thread), s.inst->memory, element + k);
  });
}

void Checker::copy(const Step& s, Machine& m, const bool* here, const bool* wanted) {
  const Inst& inst = *s.inst;
  each_thread(s, m, wanted, s.at[1], code_.function->type(inst.args[1]), [&](int thread, std::int64_t element) {
    for (int k = 0; k < inst.width; ++k) touch(Access::load, now(s, thread), inst.source, element + k);
  });
  each_thread(s, m, here, s.at[0], code_.function->type(inst.args[0]), [&](int thread, std::int64_t element) {
    for (int k = 0; k < inst.width; ++k) {
      touch(Access::store, now(s, thread), inst.memory, element + k);
      at(at(storage_, at(storage_of_, inst.memory)).pending, static_cast<std::int32_t>(element + k)) = now(s, thread);
    }
  });
}

// The elements become stores of this thread in the interval of its wait.
void Checker::complete(const PendingCopies::Copy& c) {
  const Inst& inst = *c.step->inst;
  Storage& storage = at(storage_, at(storage_of_, inst.memory));
  for (std::int64_t e = c.element; e < c.element + inst.width; ++e) {
    storage.pending[static_cast<std::size_t>(e)] = {};
    storage.shadow[static_cast<std::size_t>(e)].writer = now(*c.step, c.thread);
  }
}

std::string Checker::who(const Touch& t, const char* does) const {
  return fmt::format("thread {} of block {} in interval {} {} ({})", t.thread, t.block, t.interval, does,
                     what_it_does(*code_.function, *code_.steps[t.step].inst));
}

std::string Checker::element_name(MemoryId id, std::int64_t element) const {
  const Memory& m = memory(id);
  return fmt::format("{} %{}[{}]", m.space == Memory::shared ? "shared" : "global", m.name, element);
}

void Checker::report(const std::string& what) const {
  throw InternalError(fmt::format("internal error: {}: {}", place_of(*code_.function), what));
}

}  // namespace weft::emulator

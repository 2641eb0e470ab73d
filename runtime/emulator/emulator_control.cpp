// The emulator's control flow and the running of a block. Compiled with -O3, as runtime/emulator/emulator_apply.cpp.
#include <algorithm>
#include <cstring>

#include "ir/ops/scalar.h"
#include "ir/simt/simt_inst.h"
#include "runtime/emulator/emulator_check.h"
#include "runtime/emulator/emulator_machine.h"

namespace weft::emulator {
namespace {

/// Completes a mask by whether all of its threads are here. Returns whether any is.
bool finish_mask(bool* mask, int threads) {
  int here = 0;
  for (int i = 0; i < threads; ++i) here += mask[i];
  mask[threads] = here == threads;
  return here > 0;
}

template <class T>
T wrapping_add(T x, std::uint64_t step) {
  using W = Wrapping<T>;
  return static_cast<T>(static_cast<W>(x) + static_cast<W>(step));
}

template <class T>
void loop_begin(const Step& s, Machine& m) {
  T* counter = m.values<T>(s.at[0]);
  *counter = *m.values<T>(s.at[1]);
  if (!(*counter < *m.values<T>(s.at[2]))) m.pc = s.target;
}

template <class T>
void loop_end(const Step& s, Machine& m) {
  T* counter = m.values<T>(s.at[0]);
  *counter = wrapping_add(*counter, s.inst->bits);
  if (*counter < *m.values<T>(s.at[2])) m.pc = s.target;
}

template <class T>
void parting_loop_begin(const Step& s, Machine& m) {
  T* counter = m.values<T>(s.at[0]);
  const T *start = m.values<T>(s.at[1]), *end = m.values<T>(s.at[2]);
  bool* mask = m.values<bool>(s.at[3]);
  const bool* outer = s.mask == kNoSlot ? nullptr : m.values<bool>(s.mask);
  for_lanes(s.n, [=](int i) {
    counter[i] = start[i];
    mask[i] = start[i] < end[i];
  });
  if (outer) for_lanes(s.n, [=](int i) { mask[i] &= outer[i]; });
  if (!finish_mask(mask, s.n)) m.pc = s.target;
}

template <class T>
void parting_loop_end(const Step& s, Machine& m) {
  T* counter = m.values<T>(s.at[0]);
  const T* end = m.values<T>(s.at[2]);
  bool* mask = m.values<bool>(s.at[3]);
  const std::uint64_t step = s.inst->bits;
  for_lanes(s.n, [=](int i) {
    counter[i] = wrapping_add(counter[i], step);
    mask[i] &= counter[i] < end[i];
  });
  if (finish_mask(mask, s.n)) m.pc = s.target;
}

}  // namespace

Handler loop_begin_handler(DType t, bool varying) {
  if (t == i32) return varying ? parting_loop_begin<std::int32_t> : loop_begin<std::int32_t>;
  return varying ? parting_loop_begin<std::int64_t> : loop_begin<std::int64_t>;
}

Handler loop_end_handler(DType t, bool varying) {
  if (t == i32) return varying ? parting_loop_end<std::int32_t> : loop_end<std::int32_t>;
  return varying ? parting_loop_end<std::int64_t> : loop_end<std::int64_t>;
}

void when_uniform(const Step& s, Machine& m) {
  if (!*m.values<bool>(s.at[0])) m.pc = s.target;
}

void when_varying(const Step& s, Machine& m) {
  bool* mask = m.values<bool>(s.at[0]);
  const bool* condition = m.values<bool>(s.at[1]);
  if (s.mask == kNoSlot) {
    for_lanes(s.n, [=](int i) { mask[i] = condition[i]; });
  } else {
    const bool* outer = m.values<bool>(s.mask);
    for_lanes(s.n, [=](int i) { mask[i] = condition[i] & outer[i]; });
  }
  if (!finish_mask(mask, s.n)) m.pc = s.target;
}

void Machine::enter(const Code& c, const std::vector<std::byte*>& globals, Checker* check) {
  code = &c;
  checker = check;
  const auto lines = [](std::size_t bytes) { return bytes / kLine + 1; };
  if (frame_lines.size() < lines(c.frame_bytes)) frame_lines.resize(lines(c.frame_bytes));
  shared_lines.resize(std::max(shared_lines.size(), lines(static_cast<std::size_t>(c.shared_bytes))));
  frame = frame_lines.data()->bytes;
  data.clear();
  std::size_t global = 0;
  for (std::size_t i = 0; i < c.function->memories.size(); ++i)
    data.push_back(c.function->memories[i].space == simt::Memory::global
                       ? globals[global++]
                       : shared_lines.data()->bytes + c.shared_offset[i]);
  // What masked threads compute from is never used, but it must be a bool where it is read as one.
  std::memset(frame, 0, c.frame_bytes);
  for (const Step& s : c.once) s.run(s, *this);
}

void Machine::run_block(std::int32_t number) {
  block = number;
  pending = {};
  // Undefined contents that show: NaN, -1.
  std::memset(shared_lines.data(), 0xff, static_cast<std::size_t>(code->shared_bytes));
  if (checker) checker->begin_block(number);
  const std::vector<Step>& steps = code->steps;
  for (pc = 0; pc < steps.size();) {
    const Step& s = steps[pc++];
    s.run(s, *this);
  }
}

std::string place_of(const simt::Function& f) {
  const std::string lines = f.locs.empty() ? "" : fmt::format(" ({})", f.locs.str());
  return fmt::format("device @{}, phase {}{}", f.name, f.phase, lines);
}

std::string what_it_does(const simt::Function& f, const simt::Inst& inst) {
  if (inst.origin == kNone) return inst_text(f, inst);
  return at(f.origins, inst.origin);
}

}  // namespace weft::emulator

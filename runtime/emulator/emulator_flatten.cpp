// Flattens the tree of a device function into steps: gives values slots in the frame, reused as values die so that the
// frame stays in the first caches, and lets an update of a variable write to the variable's slot at once.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "ir/simt/simt_inst.h"
#include "runtime/emulator/emulator_machine.h"

namespace weft::emulator {
namespace {

using simt::Function, simt::Inst, simt::Region, simt::RegisterId;

/// Facts about values that need the whole function. Positions number the instructions in order, and the ends of bodies.
struct Analysis {
  explicit Analysis(const Function&);

  std::vector<bool> varying;
  std::vector<bool> spread;  // has a slot with an element for each thread
  std::vector<int> parted;   // constructs around the definition at which threads may have parted
  std::vector<int> uses;
  std::vector<std::vector<RegisterId>> dying;  // by position: the values whose last use that is
  std::vector<RegisterId> written_to;          // the variable that an update may be written to directly, or kNone
  bool wide(const Inst&) const;                // does it work on an element for each thread?

 private:
  void walk(const Region&, int parted_here);
  void use(RegisterId, int position);
  void define(RegisterId, int position, int parted_here);
  void consider_update(const Inst& set, int region, int parted_here);

  std::vector<int> last_use_, defined_in_loops_, defined_at_, defined_in_region_;
  std::vector<int> last_touch_;  // of a variable
  std::vector<const Inst*> defined_by_;
  std::vector<std::vector<RegisterId>*> loops_;  // around: the values from outside that each uses
  int position_ = 0, regions_ = 0;
};

Analysis::Analysis(const Function& f)
    : varying(simt::varying_values(f)),
      spread(varying),
      parted(f.types.size()),
      uses(f.types.size()),
      written_to(f.types.size(), kNone),
      last_use_(f.types.size(), -1),
      defined_in_loops_(f.types.size()),
      defined_at_(f.types.size()),
      defined_in_region_(f.types.size()),
      last_touch_(f.types.size(), -1),
      defined_by_(f.types.size()) {
  walk(f.body, 0);
  dying.resize(static_cast<std::size_t>(position_));
  for (std::size_t v = 0; v < last_use_.size(); ++v)
    if (last_use_[v] >= 0) at(dying, last_use_[v]).push_back(static_cast<RegisterId>(v));
  for (std::size_t v = 0; v < written_to.size(); ++v)
    if (uses[v] != 1) written_to[v] = kNone;
}

bool Analysis::wide(const Inst& inst) const {
  switch (inst.kind) {
    case Inst::store:
    case Inst::copy_async: return true;
    case Inst::set:
    case Inst::when: return at(varying, inst.args[0]);
    default: return inst.result != kNone && at(varying, inst.result);
  }
}

void Analysis::use(RegisterId v, int position) {
  const auto depth = static_cast<std::size_t>(at(defined_in_loops_, v));
  if (depth < loops_.size())
    loops_[depth]->push_back(v);  // the loop may come round to this use again
  else
    at(last_use_, v) = std::max(at(last_use_, v), position);
}

void Analysis::define(RegisterId v, int position, int parted_here) {
  at(parted, v) = parted_here;
  at(defined_in_loops_, v) = static_cast<int>(loops_.size());
  at(defined_at_, v) = at(last_use_, v) = position;
}

void Analysis::walk(const Region& region, int parted_here) {
  const int number = regions_++;
  for (const Inst& inst : region.insts) {
    const int position = position_++;
    if (inst.kind == Inst::set) consider_update(inst, number, parted_here);
    simt::for_each_operand(inst, [&](RegisterId v) {
      use(v, position);
      ++at(uses, v);
      at(last_touch_, v) = position;
      if (wide(inst)) at(spread, v) = true;
    });
    std::vector<RegisterId> outside;
    if (inst.kind == Inst::loop) loops_.push_back(&outside);
    for (int i = 0; i < result_count(inst); ++i) {
      const RegisterId v = inst.result + i;
      define(v, position, parted_here + (inst.kind == Inst::loop && wide(inst)));
      at(defined_in_region_, v) = number;
      at(defined_by_, v) = &inst;
    }
    if (!has_body(inst)) continue;
    walk(*inst.body, parted_here + wide(inst));
    const int end = position_++;
    if (inst.kind != Inst::loop) continue;
    use(inst.result, end);
    loops_.pop_back();
    use(inst.args[1], end);
    for (RegisterId v : outside) use(v, end);
  }
}

// `t = apply …; set variable = t` may be done at once when nothing touches the variable in between, and the threads
// that are elsewhere, for which the step computes something too, have no such variable.
void Analysis::consider_update(const Inst& set, int region, int parted_here) {
  const RegisterId variable = set.args[0], value = set.args[1];
  const Inst& by = *at(defined_by_, value);
  if (by.kind == Inst::apply && at(defined_in_region_, value) == region && parted_here == at(parted, variable) &&
      at(varying, value) == at(varying, variable) && at(last_touch_, variable) <= at(defined_at_, value) &&
      at(defined_at_, variable) < at(defined_at_, value))
    at(written_to, value) = variable;
}

/// Hands out slots of a few sizes, the latest returned first: it is the likeliest to be in cache.
class Frame {
 public:
  explicit Frame(int threads) : threads_(static_cast<std::size_t>(threads)) {}
  Slot take(std::size_t element, bool spread) {
    std::vector<Slot>& free = free_[{element, spread}];
    if (free.empty()) return take_for_good(element, spread);
    const Slot p = free.back();
    free.pop_back();
    return p;
  }
  void give_back(Slot p, std::size_t element, bool spread) { free_[{element, spread}].push_back(p); }
  /// A slot that nothing else has: for what is set once, before the first block.
  Slot take_for_good(std::size_t element, bool spread) {
    const std::size_t lines = spread ? (threads_ * element / kLine + 1) | 1 : 1;  // a mask needs a byte more
    const std::size_t slot = std::exchange(bytes_, bytes_ + lines * kLine);
    ensure(bytes_ < kNoSlot, "emulator: a frame of {} bytes", bytes_);
    return static_cast<Slot>(slot);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t threads_, bytes_ = 0;
  std::map<std::pair<std::size_t, bool>, std::vector<Slot>> free_;
};

class Flattener {
 public:
  explicit Flattener(std::shared_ptr<const Function> f)
      : f_(*f), facts_(f_), frame_(f_.threads), slot_(f_.types.size(), kNoSlot) {
    code_.function = std::move(f);
  }
  Code run();

 private:
  void emit_region(const Region& region) {
    for (const Inst& inst : region.insts) emit(inst);
  }
  void emit(const Inst&);
  void emit_apply(const Inst&, Step);
  void emit_access(const Inst&, Step);
  void emit_set(const Inst&, Step);
  void emit_loop(const Inst&, Step);
  void emit_when(const Inst&, Step);
  void emit_body(const Inst&, Slot own_mask);
  void emit_constant(const Inst&);
  void emit_listed(Step, Handler, const Inst&);
  void emit(Step s, Handler run) {
    s.run = run;
    code_.steps.push_back(s);
  }
  /// Spreads a value that was computed once.
  void spread(RegisterId v) {
    if (at(facts_.varying, v) || !at(facts_.spread, v)) return;
    emit(Step{.at = {slot(v)}, .n = f_.threads}, splat_handler(f_.type(v)));
  }
  void take(RegisterId v) { at(slot_, v) = frame_.take(size_of(f_.type(v)), at(facts_.spread, v)); }
  void release_dying();
  Slot slot(RegisterId v) const { return v == kNone ? kNoSlot : at(slot_, v); }
  std::uint32_t here() const { return static_cast<std::uint32_t>(code_.steps.size()); }

  const Function& f_;
  Code code_;
  Analysis facts_;
  Frame frame_;
  std::vector<Slot> slot_;
  std::vector<bool> pinned_ = std::vector<bool>(f_.types.size(), false);  // shares a slot that stays taken
  std::map<std::tuple<DType, std::uint64_t, bool>, Slot> constants_;
  Slot threads_ = kNoSlot;  // the thread numbers
  Slot mask_ = kNoSlot;     // of the threads that are here
  int parted_ = 0;          // as Analysis::parted
  int position_ = 0;
};

Code Flattener::run() {
  emit_region(f_.body);
  code_.frame_bytes = frame_.bytes();
  const std::vector<std::int64_t> layout = shared_layout(f_);
  code_.shared_bytes = layout.back();
  std::size_t shared = 0;
  for (const simt::Memory& m : f_.memories) {
    const bool is_shared = m.space == simt::Memory::shared;
    code_.shared_offset.push_back(is_shared ? layout[shared++] : 0);
    code_.globals += !is_shared;
  }
  return std::move(code_);
}

// Those that have a slot by now: a result that nobody uses dies at its own definition.
void Flattener::release_dying() {
  for (RegisterId v : at(facts_.dying, position_)) {
    if (at(slot_, v) == kNoSlot || at(pinned_, v)) continue;
    frame_.give_back(std::exchange(at(slot_, v), kNoSlot), size_of(f_.type(v)), at(facts_.spread, v));
  }
}

void Flattener::emit(const Inst& inst) {
  const Step s{.inst = &inst, .n = facts_.wide(inst) ? f_.threads : 1, .mask = mask_};
  switch (inst.kind) {
    case Inst::constant: emit_constant(inst); break;
    case Inst::thread:
      if (threads_ == kNoSlot) {
        threads_ = frame_.take_for_good(size_of(i32), true);
        code_.once.push_back({.run = thread_numbers, .at = {threads_}, .n = f_.threads});
      }
      at(slot_, inst.result) = threads_;
      at(pinned_, inst.result) = true;
      break;
    case Inst::block:
      take(inst.result);
      emit(Step{.at = {slot(inst.result)}}, block_number);
      spread(inst.result);
      break;
    case Inst::apply: emit_apply(inst, s); break;
    case Inst::shuffle_down:
    case Inst::shuffle_from:
      take(inst.result);
      emit(Step{.inst = &inst, .at = {slot(inst.result), slot(inst.args[0])}, .n = s.n},
           shuffle_handler(inst.kind, inst.dtype));
      break;
    case Inst::load:
    case Inst::store:
    case Inst::copy_async: emit_access(inst, s); break;
    case Inst::commit_async: emit(s, commit_async); break;
    case Inst::wait_async: emit(s, wait_async); break;
    case Inst::barrier: emit(s, barrier); break;
    case Inst::variable:
      take(inst.result);
      emit(Step{.at = {slot(inst.result), slot(inst.args[0])}, .n = s.n}, copy_handler(inst.dtype));
      spread(inst.result);
      break;
    case Inst::set: emit_set(inst, s); break;
    case Inst::loop: emit_loop(inst, s); break;
    case Inst::when: emit_when(inst, s); break;
    case Inst::mma_tf32: emit_listed(s, mma_tf32, inst); break;
    case Inst::mma_bf16: emit_listed(s, mma_bf16, inst); break;
  }
  release_dying();
  ++position_;
}

void Flattener::emit_constant(const Inst& inst) {
  if (at(facts_.uses, inst.result) == 0) return;
  const bool spread = at(facts_.spread, inst.result);
  const auto [found, is_new] = constants_.try_emplace({inst.dtype, inst.bits, spread}, kNoSlot);
  if (is_new) {
    found->second = frame_.take_for_good(size_of(inst.dtype), spread);
    code_.once.push_back(
        {.run = constant_handler(inst.dtype), .inst = &inst, .at = {found->second}, .n = spread ? f_.threads : 1});
  }
  at(slot_, inst.result) = found->second;
  at(pinned_, inst.result) = true;
}

// The result may take the slot of an argument that dies: handlers read an element before they write it.
void Flattener::emit_apply(const Inst& inst, Step s) {
  for (std::size_t i = 0; i < inst.args.size(); ++i) s.at[i + 1] = slot(inst.args[i]);
  release_dying();
  const RegisterId variable = at(facts_.written_to, inst.result);
  if (variable == kNone) {
    take(inst.result);
  } else {
    at(slot_, inst.result) = slot(variable);
    at(pinned_, inst.result) = true;
  }
  s.at[0] = slot(inst.result);
  const DType operand = f_.type(inst.args[inst.op == Op::select ? 1 : 0]);
  emit(s, apply_handler(inst.op, operand, inst.dtype));
  spread(variable == kNone ? inst.result : variable);
}

/// A step whose results and arguments are listed in Code::slots.
void Flattener::emit_listed(Step s, Handler run, const Inst& inst) {
  s.more = static_cast<std::uint32_t>(code_.slots.size());
  for (int i = 0; i < result_count(inst); ++i) {
    take(inst.result + i);
    code_.slots.push_back(slot(inst.result + i));
  }
  for (RegisterId v : inst.args) code_.slots.push_back(slot(v));
  emit(s, run);
}

void Flattener::emit_access(const Inst& inst, Step s) {
  s.at[0] = slot(inst.args[0]);
  s.at[1] = slot(inst.predicate);
  const DType index = f_.type(inst.args[0]), dtype = at(f_.memories, inst.memory).dtype;
  s.more = static_cast<std::uint32_t>(code_.slots.size());
  switch (inst.kind) {
    case Inst::load:
      for (int i = 0; i < inst.width; ++i) {
        take(inst.result + i);
        code_.slots.push_back(slot(inst.result + i));
      }
      emit(s, load_handler(dtype, index, inst.width));
      for (int i = 0; i < inst.width; ++i) spread(inst.result + i);
      break;
    case Inst::store:
      for (std::size_t i = 1; i < inst.args.size(); ++i) code_.slots.push_back(slot(inst.args[i]));
      emit(s, store_handler(dtype, index, inst.width));
      break;
    default:
      s.at[2] = std::exchange(s.at[1], slot(inst.args[1]));
      emit(s, copy_async_handler(index, f_.type(inst.args[1])));
  }
}

void Flattener::emit_set(const Inst& inst, Step s) {
  const RegisterId variable = inst.args[0], value = inst.args[1];
  if (at(facts_.written_to, value) == variable) return;
  if (parted_ == at(facts_.parted, variable)) s.mask = kNoSlot;  // the threads elsewhere have no such variable
  s.at[0] = slot(variable);
  s.at[1] = slot(value);
  emit(s, copy_handler(f_.type(variable)));
  spread(variable);
}

// The body between two positions: that of the instruction and that of its end.
void Flattener::emit_body(const Inst& inst, Slot own_mask) {
  release_dying();
  ++position_;
  const bool parts = own_mask != kNoSlot;
  const Slot outer = std::exchange(mask_, parts ? own_mask : mask_);
  parted_ += parts;
  emit_region(*inst.body);
  parted_ -= parts;
  mask_ = outer;
}

void Flattener::emit_loop(const Inst& inst, Step s) {
  const bool varying = at(facts_.varying, inst.result);
  take(inst.result);
  const Slot own_mask = varying ? frame_.take(size_of(boolean), true) : kNoSlot;
  const Slot slots[] = {slot(inst.result), slot(inst.args[0]), slot(inst.args[1]), own_mask};
  std::copy(std::begin(slots), std::end(slots), s.at);
  const std::uint32_t begin = here();
  emit(s, loop_begin_handler(inst.dtype, varying));
  s.target = here();
  spread(inst.result);
  emit_body(inst, own_mask);
  emit(s, loop_end_handler(inst.dtype, varying));
  code_.steps[begin].target = here();
  if (varying) frame_.give_back(own_mask, size_of(boolean), true);
}

void Flattener::emit_when(const Inst& inst, Step s) {
  const bool varying = at(facts_.varying, inst.args[0]);
  const Slot condition = slot(inst.args[0]);
  const Slot own_mask = varying ? frame_.take(size_of(boolean), true) : kNoSlot;
  s.at[0] = varying ? own_mask : condition;
  s.at[1] = condition;
  const std::uint32_t begin = here();
  emit(s, varying ? when_varying : when_uniform);
  emit_body(inst, own_mask);
  code_.steps[begin].target = here();
  if (varying) frame_.give_back(own_mask, size_of(boolean), true);
}

}  // namespace

Code flatten(std::shared_ptr<const Function> f) {
  verify(*f);
  return Flattener(std::move(f)).run();
}

}  // namespace weft::emulator

// Facts about device code that its users share: the table of instructions, the layout of shared memory, uniformity.
#include "ir/simt/simt.h"

#include "ir/base/at.h"
#include "ir/simt/simt_inst.h"

namespace weft::simt {
namespace {

constexpr int kWidth = InstInfo::kWidth, kOperands = InstInfo::kOperands, kWidthMore = InstInfo::kWidthMore;

// clang-format off
constexpr InstInfo kInsts[] = {
  // kind               name            results  args        accesses collective
  {Inst::constant,      "constant",     1,       0,          false,   false},
  {Inst::thread,        "thread",       1,       0,          false,   false},
  {Inst::block,         "block",        1,       0,          false,   false},
  {Inst::apply,         "apply",        1,       kOperands,  false,   false},
  {Inst::shuffle_down,  "shuffle_down", 1,       1,          false,   true},
  {Inst::shuffle_from,  "shuffle_from", 1,       1,          false,   true},
  {Inst::load,          "load",         kWidth,  1,          true,    false},
  {Inst::store,         "store",        0,       kWidthMore, true,    false},
  {Inst::copy_async,    "copy_async",   0,       2,          true,    false},
  {Inst::commit_async,  "commit_async", 0,       0,          false,   true},
  {Inst::wait_async,    "wait_async",   0,       0,          false,   true},
  {Inst::barrier,       "barrier",      0,       0,          false,   true},
  {Inst::variable,      "variable",     1,       1,          false,   false},
  {Inst::set,           "set",          0,       2,          false,   false},
  {Inst::loop,          "loop",         1,       2,          false,   false},
  {Inst::when,          "when",         0,       1,          false,   false},
  {Inst::mma_tf32,      "mma_tf32",     4,       10,         false,   true},
  {Inst::mma_bf16,      "mma_bf16",     4,       16,         false,   true},
};
// clang-format on

// Marks values until nothing changes: a set late in a loop can make varying what stands before it.
class Uniformity {
 public:
  explicit Uniformity(const Function& f) : varying_(f.types.size(), false), defined_at_(f.types.size(), 0) {
    do {
      changed_ = false;
      walk(f.body, 0);
    } while (changed_);
  }
  std::vector<bool> take() { return std::move(varying_); }

 private:
  void mark(RegisterId v, bool varies) {
    if (!varies || at(varying_, v)) return;
    at(varying_, v) = true;
    changed_ = true;
  }
  // `parted`: the number of enclosing constructs at which control flow may part.
  void walk(const Region& region, int parted) {
    for (const Inst& inst : region.insts) {
      bool varies = inst.kind == Inst::thread || (info(inst.kind).collective && result_count(inst) > 0);
      for_each_operand(inst, [&](RegisterId v) { varies |= at(varying_, v); });
      if (inst.kind == Inst::set)
        mark(inst.args[0], at(varying_, inst.args[1]) || parted > at(defined_at_, inst.args[0]));
      for (int i = 0; i < result_count(inst); ++i) {
        mark(inst.result + i, varies);
        at(defined_at_, inst.result + i) = parted;
      }
      if (has_body(inst)) walk(*inst.body, parted + varies);
    }
  }

  std::vector<bool> varying_;
  std::vector<int> defined_at_;  // `parted` at a value's definition
  bool changed_ = false;
};

}  // namespace

const InstInfo& info(Inst::Kind kind) {
  static const bool ordered = [] {
    static_assert(std::size(kInsts) == Inst::mma_bf16 + 1);
    for (std::size_t i = 0; i < std::size(kInsts); ++i)
      ensure(kInsts[i].kind == i, "instruction row {} is out of order", i);
    return true;
  }();
  (void)ordered;
  return kInsts[kind];
}

std::vector<std::int64_t> shared_layout(const Function& f) {
  std::vector<std::int64_t> offsets;
  std::int64_t end = 0;
  for (const Memory& m : f.memories) {
    if (m.space != Memory::shared) continue;
    offsets.push_back(end);
    end = (end + m.elements * static_cast<std::int64_t>(size_of(m.dtype)) + 15) / 16 * 16;
  }
  offsets.push_back(end);
  return offsets;
}

std::vector<bool> varying_values(const Function& f) { return Uniformity(f).take(); }

}  // namespace weft::simt

// The kinds of device instructions, one row each, and which values may differ between the threads of a block: shared by
// the printer, the verifier and those who run or emit device code.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/simt/simt.h>

namespace weft::simt {

struct InstInfo {
  static constexpr int kWidth = -1;      // as many results as `width`
  static constexpr int kOperands = -1;   // as many arguments as the op has
  static constexpr int kWidthMore = -2;  // one argument and `width` more
  Inst::Kind kind;
  std::string_view name;
  int results, args;
  bool accesses;    // memory: has a memory and perhaps a predicate
  bool collective;  // all threads of the block must reach it together
};
const InstInfo& info(Inst::Kind);

inline bool has_body(const Inst& inst) { return inst.kind == Inst::loop || inst.kind == Inst::when; }
inline int result_count(const Inst& inst) {
  const int n = info(inst.kind).results;
  return n == InstInfo::kWidth ? inst.width : n;
}

/// Calls f(value) for everything that the instruction itself, not its body, reads or sets.
template <class F>
void for_each_operand(const Inst& inst, F&& f) {
  for (RegisterId v : inst.args) f(v);
  if (inst.predicate != kNone) f(inst.predicate);
}

/// Calls f(inst) for every instruction, a loop or a `when` before its body.
template <class F>
void for_each_inst(const Region& region, F&& f) {
  for (const Inst& inst : region.insts) {
    f(inst);
    if (has_body(inst)) for_each_inst(*inst.body, f);
  }
}

/// For each value: may it differ between threads of a block that execute its definition together? Threads, shuffles and
/// matrix products do, and what depends on them; a variable does when a value that does is set to it, or any value
/// where control flow has parted since its definition.
std::vector<bool> varying_values(const Function&);

/// `%5, %6: f32 = load.2 %image[%3] if %4`, the first line only of what has a body. Safe on instructions that break
/// invariants.
std::string inst_text(const Function&, const Inst&);

}  // namespace weft::simt

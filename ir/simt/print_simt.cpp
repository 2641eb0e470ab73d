// Device code as text, to be read: nesting by indentation, memories at the top, origins as trailing comments.
#include "ir/base/at.h"
#include "ir/base/text.h"
#include "ir/simt/simt_inst.h"

namespace weft::simt {
namespace {

std::string value_text(RegisterId v) { return v == kNone ? "%?" : fmt::format("%{}", v); }

std::string memory_name(const Function& f, MemoryId m) {
  return m >= 0 && static_cast<std::size_t>(m) < f.memories.size() ? "%" + at(f.memories, m).name
                                                                   : fmt::format("%?{}", m);
}

std::string memory_text(const Memory& m) {
  std::string s =
      fmt::format("{} %{}: {}[{}]", m.space == Memory::shared ? "shared" : "global", m.name, name(m.dtype), m.elements);
  if (m.buffer != kNone) s += fmt::format(" buffer={}", m.buffer);
  return s + (m.read_only ? " read_only" : "");
}

std::string results_text(const Inst& inst) {
  const int n = result_count(inst);
  if (n == 0) return "";
  std::string s;
  for (int i = 0; i < n; ++i) s += (i ? ", " : "") + value_text(inst.result == kNone ? kNone : inst.result + i);
  return fmt::format("{}: {}", s, name(inst.dtype));
}

/// Arguments first … end - 1; "%?" for one that is missing.
std::string args_text(const Inst& inst, std::size_t first, std::size_t end) {
  std::string s;
  for (std::size_t i = first; i < end; ++i)
    s += (i > first ? ", " : "") + value_text(i < inst.args.size() ? inst.args[i] : kNone);
  return s;
}

std::string access_text(const Function& f, MemoryId m, const Inst& inst, std::size_t index) {
  return fmt::format("{}[{}]", memory_name(f, m), args_text(inst, index, index + 1));
}

/// What follows `=`, or all of an instruction that has no result.
std::string operation_text(const Function& f, const Inst& inst) {
  const std::string name =
      inst.width == 1 ? std::string(info(inst.kind).name) : fmt::format("{}.{}", info(inst.kind).name, inst.width);
  const std::size_t n = inst.args.size();
  switch (inst.kind) {
    case Inst::constant: return name + " " + element_text(inst.dtype, reinterpret_cast<const std::byte*>(&inst.bits));
    case Inst::apply: return fmt::format("{} {}", weft::name(inst.op), args_text(inst, 0, n));
    case Inst::shuffle_down:
    case Inst::shuffle_from: return fmt::format("{} {}, {}", name, args_text(inst, 0, 1), inst.bits);
    case Inst::load: return fmt::format("{} {}", name, access_text(f, inst.memory, inst, 0));
    case Inst::store:
      return fmt::format("{} {} = {}", name, access_text(f, inst.memory, inst, 0), args_text(inst, 1, n));
    case Inst::copy_async:
      return fmt::format("{} {} = {}", name, access_text(f, inst.memory, inst, 0),
                         access_text(f, inst.source, inst, 1));
    case Inst::wait_async: return fmt::format("{} {}", name, inst.bits);
    case Inst::set: return fmt::format("{} {} = {}", name, args_text(inst, 0, 1), args_text(inst, 1, 2));
    case Inst::when: return fmt::format("{} {}", name, args_text(inst, 0, 1));
    case Inst::mma_tf32:
      return fmt::format("{} [{}] * [{}] + [{}]", name, args_text(inst, 0, 4), args_text(inst, 4, 6),
                         args_text(inst, 6, 10));
    case Inst::mma_bf16:
      return fmt::format("{} [{}] * [{}] + [{}]", name, args_text(inst, 0, 8), args_text(inst, 8, 12),
                         args_text(inst, 12, 16));
    default: return n ? fmt::format("{} {}", name, args_text(inst, 0, n)) : name;
  }
}

void append(const Function& f, const Region& region, const std::string& indent, std::string& s) {
  for (const Inst& inst : region.insts) {
    s += indent + inst_text(f, inst) + (has_body(inst) ? " {" : "");
    if (inst.origin >= 0 && static_cast<std::size_t>(inst.origin) < f.origins.size())
      s += "  ; " + at(f.origins, inst.origin);
    s += '\n';
    if (!has_body(inst)) continue;
    if (inst.body) append(f, *inst.body, indent + "  ", s);
    s += indent + "}\n";
  }
}

}  // namespace

std::string inst_text(const Function& f, const Inst& inst) {
  if (inst.kind == Inst::loop)
    return fmt::format("loop{} {} = {} to {} step {}", inst.unroll ? " unroll" : "", results_text(inst),
                       args_text(inst, 0, 1), args_text(inst, 1, 2), static_cast<std::int64_t>(inst.bits));
  std::string s = results_text(inst);
  s += (s.empty() ? "" : " = ") + operation_text(f, inst);
  return inst.predicate == kNone ? s : s + " if " + value_text(inst.predicate);
}

std::string print(const Function& f) {
  std::string s = fmt::format("device @{} blocks={} threads={} kernel={} phase={} {{{}\n", f.name, f.blocks, f.threads,
                              f.kernel, f.phase, locs_suffix(f.locs));
  for (const Memory& m : f.memories) s += "  " + memory_text(m) + '\n';
  append(f, f.body, "  ", s);
  return s + "}\n";
}

std::string print(const std::vector<Function>& functions) {
  std::string text;
  for (const Function& f : functions) text += print(f) + "\n";
  return text;
}

}  // namespace weft::simt

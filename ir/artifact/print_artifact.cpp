// `launch @contract2: 16 units, 2048 bytes of scratch, about 120000 cycles, 98304 bytes moved`
#include "ir/artifact/print_artifact.h"

#include "ir/base/error.h"
#include "ir/memory/buffer_text.h"

namespace weft {
namespace {

std::string header(const std::shared_ptr<const BufferTable>& table) {
  ensure(table != nullptr, "artefact without a table of buffers");
  return fmt::format("artifact @{} {{\n", table->name) + buffers_text(*table);
}

std::string arguments_text(const BufferTable& t, const std::vector<Argument>& arguments) {
  std::string s;
  for (const Argument& a : arguments) {
    s += (s.empty() ? "" : ", ") + buffer_name(t, a.buffer);
    if (a.bytes) s += fmt::format(" + {}", a.bytes);
  }
  return s;
}

/// `split 784 by 4, 3 fewer; 2 units each`
std::string split_text(const UnitSplit& s) {
  std::string text = fmt::format("    split {} by {}", s.extent, s.values);
  if (s.fewer) text += fmt::format(", the first {} by one less", s.fewer);
  if (s.units != 1) text += fmt::format("; {} units each", s.units);
  if (s.last != 1) text += fmt::format(", the last ones of {:.3g} of the others' work", s.last);
  return text + '\n';
}

/// `loads %x[0:4096] by 512, %w[0:2048]`
std::string uses_text(const BufferTable& t, const std::vector<BufferUse>& uses, bool store) {
  std::string s;
  for (const BufferUse& use : uses) {
    if (use.store != store) continue;
    s += (s.empty() ? fmt::format("    {} ", store ? "stores" : "loads") : ", ") + buffer_name(t, use.buffer);
    s += fmt::format("[{}:{}]", use.begin, use.end);
    if (use.row) s += fmt::format(" by {}", use.row);
  }
  return s.empty() ? s : s + '\n';
}

}  // namespace

std::string print(const HostArtifact& a) {
  std::string s = header(a.memory);
  for (const HostLaunch& l : a.launches) {
    s += fmt::format("  launch @{}: {} units, {} bytes of scratch, about {:.0f} cycles, {:.0f} bytes moved\n", l.name,
                     l.units, l.scratch_bytes, l.cycles, l.bytes);
    if (l.split.extent) s += split_text(l.split);
    s += uses_text(*a.memory, l.uses, false) + uses_text(*a.memory, l.uses, true);
    s += fmt::format("    call {}({})\n", l.symbol, arguments_text(*a.memory, l.arguments));
    for (const std::string& check : l.checks) s += fmt::format("    check \"{}\"\n", check);
  }
  return s + "}\n";
}

std::string print(const DeviceArtifact& a) {
  std::string s = header(a.memory);
  for (const DeviceLaunch& l : a.launches) {
    s += fmt::format("  launch @{}: {} blocks of {} threads, {} bytes shared\n", l.name, l.blocks, l.threads,
                     l.shared_bytes);
    std::vector<Argument> arguments;
    for (const BufferId id : l.buffers) arguments.push_back({id, 0});
    s += fmt::format("    call {}({})\n", l.symbol, arguments_text(*a.memory, arguments));
  }
  if (!a.persistent.entry.empty())
    s += fmt::format("  all, many times: {} by blocks of {} threads, {} bytes shared\n", a.persistent.entry,
                     a.persistent.threads, a.persistent.shared_bytes);
  return s + "}\n";
}

}  // namespace weft

// The grammar is in ir/README.md.
#include "ir/memory/buffer_text.h"

#include "ir/base/error.h"
#include "ir/base/lexer.h"
#include "ir/base/text.h"

namespace weft {
namespace {

std::string buffer_text(const BufferTable& t, const Buffer& b) {
  std::string s = fmt::format("{} %{}", kBufferKinds[b.kind], name_text(b.name));
  if (b.kind == Buffer::view) s += " of " + buffer_name(t, b.base);
  s += ": " + to_string(b.type);
  std::string storage;
  if (b.kind == Buffer::temp) storage = fmt::format("offset={}", b.offset);
  if (b.panels) storage += fmt::format("{}panels={}", storage.empty() ? "" : ", ", b.panels);
  if (!storage.empty()) s += fmt::format(" {{{}}}", storage);
  if (b.kind == Buffer::constant && b.literal) s += " = " + literal_text(*b.literal);
  return s;
}

}  // namespace

std::string buffer_name(const BufferTable& t, BufferId b) {
  return b >= 0 && static_cast<std::size_t>(b) < t.buffers.size() ? "%" + name_text(at(t.buffers, b).name)
                                                                  : fmt::format("%?{}", b);
}

std::string buffers_text(const BufferTable& t) {
  std::string s;
  for (const Buffer& b : t.buffers) s += "  " + buffer_text(t, b) + '\n';
  if (t.arena_bytes) s += fmt::format("  arena {}\n", t.arena_bytes);
  const auto list = [&](std::string_view what, const std::vector<BufferId>& ids) {
    for (std::size_t i = 0; i < ids.size(); ++i) s += (i ? ", " : fmt::format("  {} ", what)) + buffer_name(t, ids[i]);
    if (!ids.empty()) s += '\n';
  };
  list("inputs", t.inputs);
  list("outputs", t.outputs);
  list("updates", t.updates);
  return s;
}

}  // namespace weft

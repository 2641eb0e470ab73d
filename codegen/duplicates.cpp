// Finding copies: a kernel with its names removed and its buffers numbered by first use is equal to those of its
// copies.
#include "codegen/duplicates.h"

#include <algorithm>

namespace weft::codegen {
namespace {

struct Canonical {
  std::vector<Axis> axes;
  std::vector<Expr> exprs;
  std::vector<Phase> phases;
  Schedule schedule;
  std::vector<Type> types;            // of the buffers, by their new numbers
  std::vector<std::int32_t> storage;  // of each, the first buffer with the same storage
  friend bool operator==(const Canonical&, const Canonical&) = default;
};

Canonical canonical(const Program& program, const Kernel& kernel, std::vector<BufferId>& buffers) {
  Canonical c{kernel.axes, kernel.exprs, kernel.phases, kernel.schedule, {}, {}};
  auto renumber = [&](BufferId& id) {
    if (id == kNone) return;
    auto at = std::find(buffers.begin(), buffers.end(), id);
    if (at == buffers.end()) at = buffers.insert(at, id);
    id = static_cast<BufferId>(at - buffers.begin());
  };
  for (Axis& a : c.axes) a.name.clear();
  for (Expr& e : c.exprs) renumber(e.buffer);
  for (Phase& p : c.phases)
    for (KernelStage& s : p.stages)
      for (Store& t : s.stores) renumber(t.buffer);
  std::vector<BufferId> roots;
  for (BufferId id : buffers) {
    c.types.push_back(program.buffers[static_cast<std::size_t>(id)].type);
    roots.push_back(storage(program, id));
    c.storage.push_back(static_cast<std::int32_t>(std::find(roots.begin(), roots.end(), roots.back()) - roots.begin()));
  }
  return c;
}

}  // namespace

std::vector<Copy> find_copies(const Program& program) {
  const std::size_t n = program.kernels.size();
  std::vector<Canonical> forms;
  std::vector<std::vector<BufferId>> buffers(n);
  std::vector<Copy> copies(n);
  for (std::size_t k = 0; k < n; ++k) {
    forms.push_back(canonical(program, program.kernels[k], buffers[k]));
    for (std::size_t j = 0; j < k && copies[k].of == kNone; ++j) {
      if (copies[j].of != kNone || !(forms[j] == forms[k])) continue;
      copies[k].of = static_cast<std::int32_t>(j);
      for (std::size_t i = 0; i < buffers[k].size(); ++i) copies[k].buffers.emplace_back(buffers[j][i], buffers[k][i]);
    }
  }
  return copies;
}

}  // namespace weft::codegen

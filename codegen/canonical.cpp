// The canonical form of a kernel.
#include "codegen/canonical.h"

#include <unordered_map>

#include "ir/at.h"

namespace weft::codegen {
namespace {

std::string numbered(const char* prefix, std::size_t i) { return prefix + std::to_string(i); }

}  // namespace

CanonicalKernel canonical(const Program& program, const Kernel& kernel) {
  CanonicalKernel c;
  c.program.name = "canonical";
  Kernel& k = c.program.kernels.emplace_back(kernel);
  k.name = "kernel";
  k.locs = {};
  for (std::size_t a = 0; a < k.axes.size(); ++a) k.axes[a].name = numbered("x", a);

  std::unordered_map<BufferId, BufferId> number, root;  // new numbers, by buffer and by its storage
  auto renumber = [&](BufferId& id) {
    if (id == kNone) return;
    const auto next = static_cast<BufferId>(c.buffers.size());
    const auto [at_number, is_new] = number.emplace(id, next);
    if (is_new) {
      const auto [at_root, owns] = root.emplace(storage(program, id), next);
      Buffer b{.kind = owns ? Buffer::state : Buffer::view, .name = numbered("b", c.buffers.size())};
      b.type = at(program.buffers, id).type;
      if (!owns) b.base = at_root->second;
      if (owns) c.program.inputs.push_back(next);
      c.program.buffers.push_back(std::move(b));
      c.buffers.push_back(id);
    }
    id = at_number->second;
  };
  for (Expr& e : k.exprs) renumber(e.buffer);
  for (Phase& p : k.phases)
    for (KernelStage& s : p.stages)
      for (Store& t : s.stores) renumber(t.buffer);
  return c;
}

}  // namespace weft::codegen

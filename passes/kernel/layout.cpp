// Why panels: a microkernel reads nr neighbours of each of K rows. In row-major order those lie a whole row apart, each
// in a page of its own where rows are long (measured on Zen 4: [128, 2048] x [2048, 2048] at 143 GFLOP/s, 187 in panels
// of 32), and the rows that one tile of a weight gradient updates share two or four sets of the L1.
#include "passes/kernel/layout.h"

#include <algorithm>
#include <vector>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/panels.h"
#include "ir/memory/panels.h"
#include "ir/ops/sum_order.h"
#include "passes/schedule/cpu.h"

namespace weft {
namespace {

struct Use {
  bool possible = true, wanted = false;
};

class Layouts {
 public:
  Layouts(const Program& p, const CpuTarget& target) : p_(p), target_(target), uses_(p.buffers.size()) {
    for (std::size_t b = 0; b < p.buffers.size(); ++b) {
      const Buffer& buffer = p.buffers[b];
      const std::int64_t width = panel_width(buffer.type.dtype, target);
      uses_[b].possible = (buffer.kind == Buffer::state || buffer.kind == Buffer::temp) &&
                          panel_objection(buffer.type, width).empty() &&
                          buffer.type.shape[buffer.type.shape.rank() - 1] > width;
      if (Use& owner = of_storage(static_cast<BufferId>(b)); buffer.kind == Buffer::view)
        owner.possible = owner.possible && buffer.type == at(p.buffers, storage(p, static_cast<BufferId>(b))).type;
    }
    for (BufferId id : p.outputs) of_storage(id).possible = false;
    for (const Kernel& k : p.kernels) kernel(k);
  }

  std::int64_t width_of(BufferId id) const {
    const Use& use = at(uses_, storage(p_, id));
    return use.possible && use.wanted ? panel_width(at(p_.buffers, id).type.dtype, target_) : 0;
  }

 private:
  Use& of_storage(BufferId id) { return at(uses_, storage(p_, id)); }

  void kernel(const Kernel& k) {
    const KernelStage& first = k.phases[0].stages[0];
    const bool contraction = first.kind == KernelStage::contract;
    const AxisId n = role_axes(k).n;
    std::vector<BufferId> seen;
    auto use = [&](BufferId id, bool wants) {
      Use& u = of_storage(id);
      if (!u.possible) return;
      u.wanted |= wants;
      if (std::ranges::find(seen, id) != seen.end()) return;
      seen.push_back(id);
      u.possible = panel_objection(k, id).empty();
    };
    for_each_access(k, [&](BufferId id, const std::vector<Index>&, ExprId load) {
      const bool right = load != kNone && load == first.rhs && n != kNone && is_readable_in_place(p_, k, load, n);
      const bool state = load == kNone && at(p_.buffers, storage(p_, id)).kind == Buffer::state;
      use(id, contraction && (right || state));
    });
  }

  const Program& p_;
  const CpuTarget& target_;
  std::vector<Use> uses_;  // by storage
};

}  // namespace

std::int64_t panel_width(DType t, const CpuTarget& target) {
  return ceil_div(2 * lanes_of(t, target), kReduceStripes) * kReduceStripes;
}

void assign_layouts(Program& p, const CpuTarget& target, std::span<const std::string> row_major) {
  const Layouts layouts(p, target);
  for (std::size_t b = 0; b < p.buffers.size(); ++b) {
    const Buffer& owner = at(p.buffers, storage(p, static_cast<BufferId>(b)));
    const bool stays = owner.kind == Buffer::state && std::ranges::count(row_major, owner.name) > 0;
    p.buffers[b].panels = stays ? 0 : layouts.width_of(static_cast<BufferId>(b));
  }
}

}  // namespace weft

// Strides of panels, where they are allowed, and conversion.
#include "ir/kernel/panels.h"

#include <algorithm>
#include <cstring>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/verify_kernel.h"
#include "ir/ops/sum_order.h"

namespace weft {
namespace {

/// The axis that alone is the last index of an access, and that no other index of it has; kNone: there is none.
AxisId last_axis(const std::vector<Index>& access) {
  if (access.empty()) return kNone;
  const Index& last = access.back();
  if (last.indirect != kNone || last.offset != 0 || last.terms.size() != 1 || last.terms[0].second != 1) return kNone;
  const AxisId axis = last.terms[0].first;
  for (std::size_t d = 0; d + 1 < access.size(); ++d)
    for (const auto& [a, coefficient] : access[d].terms)
      if (a == axis) return kNone;
  return axis;
}

/// The buffers in panels that a kernel uses, each once.
std::vector<BufferId> panel_buffers(const Program& p, const Kernel& k) {
  std::vector<BufferId> found;
  for_each_access(k, [&](BufferId id, const std::vector<Index>&, ExprId) {
    if (at(p.buffers, id).panels && std::ranges::find(found, id) == found.end()) found.push_back(id);
  });
  return found;
}

/// Copies [outer][inner][width] to [inner][outer][width], in bytes.
Array exchanged(const Array& from, std::int64_t outer, std::int64_t inner, std::int64_t width) {
  Array to(from.type());
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i)
      std::memcpy(to.data() + (i * outer + o) * width, from.data() + (o * inner + i) * width,
                  static_cast<std::size_t>(width));
  return to;
}

Array convert(const Array& from, std::int64_t width, bool into_panels) {
  if (width == 0) return from.clone();
  const Type& type = from.type();
  if (const std::string why = panel_objection(type, width); !why.empty()) fail("{}", why);
  const std::int64_t columns = type.shape[type.shape.rank() - 1], panels = columns / width;
  const std::int64_t rows = columns ? element_count(type.shape) / columns : 0;
  const std::int64_t bytes = width * static_cast<std::int64_t>(size_of(type.dtype));
  return into_panels ? exchanged(from, rows, panels, bytes) : exchanged(from, panels, rows, bytes);
}

}  // namespace

Dims storage_strides(const Buffer& b) {
  Shape shape = b.type.shape;
  if (b.panels) shape[shape.rank() - 1] = b.panels;
  return row_major_strides(shape);
}

std::int64_t panel_gap(const Buffer& b) {
  if (!b.panels) return 0;
  return element_count(b.type.shape) / b.type.shape[b.type.shape.rank() - 1] * b.panels - b.panels;
}

std::string panel_objection(const Type& type, std::int64_t width) {
  if (width < kReduceStripes || width % kReduceStripes != 0)
    return fmt::format("panels are {} wide, expected a multiple of {}", width, kReduceStripes);
  const int rank = type.shape.rank();
  if (rank < 2 || type.shape[rank - 1] == 0 || type.shape[rank - 1] % width != 0)
    return fmt::format("{} has no panels of {}: expected two dimensions or more, the last a multiple of {}",
                       to_string(type), width, width);
  return "";
}

std::string panel_objection(const Kernel& k, BufferId buffer) {
  const KernelStage* contraction = nullptr;
  bool scatters = false;
  std::string why;
  auto check = [&](const std::vector<Index>& access, bool right_operand_only) {
    const AxisId axis = last_axis(access);
    if (axis == kNone)
      why = "its last index is not one axis alone";
    else if (contraction && !std::ranges::count(contraction->roles.n, axis) &&
             !(std::ranges::count(contraction->roles.k, axis) && right_operand_only))
      why = fmt::format("a contraction has panels along n, or k of its right operand, not along {}",
                        at(k.axes, axis).name);
  };
  for (const Phase& phase : k.phases)
    for (const KernelStage& stage : phase.stages) {
      if (stage.kind == KernelStage::contract) contraction = &stage;
      scatters |= stage.kind == KernelStage::scatter;
    }
  std::vector<bool> left, right;
  if (contraction) left = needed(k, {contraction->lhs}), right = needed(k, {contraction->rhs});
  bool used = false;
  for_each_access(k, [&](BufferId id, const std::vector<Index>& access, ExprId load) {
    if (id != buffer) return;
    used = true;
    check(access, contraction && load != kNone && at(right, load) && !at(left, load));
  });
  if (used && scatters) why = "a scatter uses it";
  return why;
}

std::optional<Violation> find_panel_violation(const Program& p) {
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const Buffer& b = p.buffers[i];
    const Buffer& owner = at(p.buffers, storage(p, static_cast<BufferId>(i)));
    const auto broken = [&](const std::string& what) { return Violation{kNone, fmt::format("%{}: {}", b.name, what)}; };
    if (b.panels != owner.panels || (b.panels && !(b.type == owner.type)))
      return broken(fmt::format("a view of %{}, {} in panels of {}, is {} in panels of {}", owner.name,
                                to_string(owner.type), owner.panels, to_string(b.type), b.panels));
    if (!b.panels) continue;
    if (owner.kind != Buffer::state && owner.kind != Buffer::temp) return broken("only states and temps lie in panels");
    if (std::ranges::count(p.outputs, static_cast<BufferId>(i))) return broken("an output does not lie in panels");
    if (const std::string why = panel_objection(b.type, b.panels); !why.empty()) return broken(why);
  }
  for (std::size_t k = 0; k < p.kernels.size(); ++k)
    for (BufferId id : panel_buffers(p, p.kernels[k]))
      if (const std::string why = panel_objection(p.kernels[k], id); !why.empty())
        return Violation{static_cast<std::int32_t>(k),
                         fmt::format("%{} lies in panels: {}", at(p.buffers, id).name, why)};
  return {};
}

Array to_panels(const Array& rows, std::int64_t width) { return convert(rows, width, true); }
Array from_panels(const Array& panels, std::int64_t width) { return convert(panels, width, false); }

}  // namespace weft

// Reverse mode: one backward walk over the nodes between `wrt` and the loss. Ids are a topological order, so that when
// the walk reaches a node, every contribution to its gradient has been added.
#include "passes/graph/autodiff.h"

#include <algorithm>

#include "passes/graph/op_gradient.h"

namespace weft {
namespace {

void require_scalar_loss(const Graph& g, ValueId loss) {
  const Node& n = g[loss];
  const std::string from = n.locs.empty() ? "" : " from " + n.locs.str();
  if (!n.type.shape.empty())
    fail("grad: the loss is {}{}; reduce it to a scalar first, for example by mean()", to_string(n.type), from);
  if (!is_float(n.type.dtype)) fail("grad: the loss is {}{}; expected f32[] or f64[]", to_string(n.type), from);
}

std::string described(const Graph& g, ValueId id) {
  for (const Input& i : g.inputs())
    if (i.id == id) return "'" + i.name + "'";
  return fmt::format("%{} ({})", id, name(g[id].op));
}

}  // namespace

std::vector<ValueId> differentiate(Graph& g, ValueId loss, std::span<const ValueId> wrt, LocSet where) {
  require_scalar_loss(g, loss);
  for (ValueId w : wrt)
    if (!is_float(g[w].type.dtype))
      fail("grad: cannot differentiate with respect to {}, which is {}{}; expected f32 or f64", described(g, w),
           to_string(g[w].type), g[w].locs.empty() ? "" : " from " + g[w].locs.str());

  // depends[id - first]: the value changes smoothly with some wrt.
  const ValueId first = wrt.empty() ? loss : std::min(loss, *std::min_element(wrt.begin(), wrt.end()));
  std::vector<bool> depends(loss - first + 1, false);
  auto is_active = [&](ValueId id) { return id >= first && id <= loss && depends[id - first]; };
  for (ValueId w : wrt)
    if (w <= loss) depends[w - first] = true;
  for (ValueId id = first; id <= loss; ++id) {
    const Node& n = g[id];
    if (is_float(n.type.dtype) && info(n.op).differentiable() && std::ranges::any_of(n.operands, is_active))
      depends[id - first] = true;
  }

  std::vector<ValueId> gradients(depends.size(), kNoValue);
  if (depends.back()) gradients.back() = Builder{g, g[loss].locs | where}.like(loss, 1);
  for (ValueId id = loss + 1; id-- > first;) {
    const ValueId incoming = gradients[id - first];
    if (incoming == kNoValue || !is_active(id) || !info(g[id].op).differentiable()) continue;
    const Node n = g[id];  // a copy: adding nodes moves the originals
    Builder b{g, n.locs | where};
    std::vector<std::int64_t> known;
    const GradientArgs args{id, incoming, n.operands, n.attrs, known};
    for (std::size_t i = 0; i < n.operands.size(); ++i) {
      if (!is_active(n.operands[i])) continue;
      const ValueId part = gradient(n.op, b, args, i);
      ValueId& sum = gradients[n.operands[i] - first];
      sum = sum == kNoValue ? part : b.add(sum, part);
    }
  }

  std::vector<ValueId> result;
  for (ValueId w : wrt) {
    const ValueId found = w <= loss ? gradients[w - first] : kNoValue;
    result.push_back(found != kNoValue ? found : Builder{g, g[w].locs | where}.like(w, 0));
  }
  return result;
}

}  // namespace weft

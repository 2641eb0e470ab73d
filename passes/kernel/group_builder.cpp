// Graph values to kernel expressions.
#include "passes/kernel/group_builder.h"

#include <algorithm>

#include "passes/graph/stored_values.h"

namespace weft {

std::size_t GroupBuilder::KeyHash::operator()(const Key& k) const {
  std::size_t h = hash_of(constant_index(k.predicate)) ^ k.value;
  for (const Index& i : k.index) h = 31 * h + hash_of(i);
  return h;
}

std::vector<Index> GroupBuilder::axes(const Shape& shape, std::string_view prefix) {
  std::vector<Index> index;
  for (int i = 0; i < shape.rank(); ++i)
    index.push_back(shape[i] == 1 ? constant_index(0) : axis_index(axis(fmt::format("{}{}", prefix, i), shape[i])));
  return index;
}

void GroupBuilder::bind_accumulator(ValueId v, const std::vector<Index>& index, std::int32_t result) {
  memo_[{v, index, kNone}] = accumulator(result, g_[v].type.dtype);
}

ExprId GroupBuilder::value(ValueId v, const std::vector<Index>& index, ExprId predicate) {
  const Key key{v, index, predicate};
  if (auto it = memo_.find(key); it != memo_.end()) return it->second;
  // An accumulator needs no predicate, nor does anything else that loads nothing.
  if (auto it = memo_.find({v, index, kNone});
      it != memo_.end() && kernel.exprs[static_cast<std::size_t>(it->second)].kind == Expr::accumulator)
    return it->second;
  kernel.locs |= g_[v].locs;
  if (std::ranges::count(g_[v].type.shape, 0))
    return constant(g_[v].type.dtype, 0);  // never read: there is no such element
  std::vector<Index> place = index;
  const BufferId buffer = buffers_.place_of(*this, v, group_, place);
  const ExprId e = buffer != kNone ? load(buffer, place, g_[v].type.dtype, predicate) : compute(v, index, predicate);
  memo_[key] = e;
  return e;
}

ExprId GroupBuilder::compute(ValueId v, const std::vector<Index>& index, ExprId predicate) {
  const Node& n = g_[v];
  if (n.op == Op::stop_gradient) return value(n.operands[0], index, predicate);
  if (const auto element = info(n.op).element) {
    std::vector<Type> types;
    for (ValueId o : n.operands) types.push_back(g_[o].type);
    return element({*this, n.type, n.operands, types, n.attrs, index, predicate});
  }
  ensure(is_elementwise(n.op), "kernel of group {} needs {} (value {}), which is not stored", group_, name(n.op), v);
  std::vector<ExprId> args;
  for (ValueId o : n.operands) args.push_back(value(o, index, predicate));
  return op(n.op, n.type.dtype, std::move(args));
}

}  // namespace weft

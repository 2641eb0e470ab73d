// The frame of every pass, and the two rewrites that need no rules: dead code and binding the batch extent.
#include <algorithm>

#include "ir/graph/body.h"

namespace weft {

Rewriter::Rewriter(const Graph& old) : old_(old), map_(old.size(), kNoValue) {
  graph_.name = old.name;
  for (const Group& g : old.groups()) graph_.add_group(g);
  for (const Input& i : old.inputs()) map_[i.id] = graph_.input(i.name, old[i.id].type, i.kind, old[i.id].locs);
  std::vector<bool> used(old.size(), false);
  for (const Output& o : old.outputs()) used[o.id] = true;
  for (const Update& u : old.updates()) used[u.value] = true;
  for (std::size_t id = old.size(); id-- > 0;)
    if (used[id])
      for (ValueId v : old[static_cast<ValueId>(id)].operands) used[v] = true;
  for (ValueId id = 0; id < old.size(); ++id)
    if (used[id] && old[id].op != Op::input) live_.push_back(id);
}

ValueId copy_node(Graph& to, const Node& n, std::span<const ValueId> map) {
  std::vector<ValueId> operands;
  for (ValueId v : n.operands) operands.push_back(map[v]);
  return to.add(n.op, std::move(operands), n.attrs, n.type, n.locs);
}

ValueId Rewriter::copy(ValueId old_id) {
  const Node& n = old_[old_id];
  const ValueId id = copy_node(graph_, n, map_);
  graph_.set_group(id, n.group);
  return map_[old_id] = id;
}

void Rewriter::set(ValueId old_id, ValueId new_id) {
  graph_.add_locs(new_id, old_[old_id].locs);
  map_[old_id] = new_id;
}

Graph Rewriter::finish() {
  for (const Output& o : old_.outputs()) graph_.output(o.name, map_[o.id]);
  for (const Update& u : old_.updates()) graph_.update(map_[u.state], map_[u.value]);
  return std::move(graph_);
}

Graph remove_dead(const Graph& g) {
  Rewriter rw(g);
  // Without dead nodes the copy is made directly: nothing has to be inferred and looked up again.
  const bool inputs_first = std::ranges::all_of(g.inputs(), [&](const Input& i) { return i.id < g.inputs().size(); });
  if (inputs_first && rw.live().size() + g.inputs().size() == g.size()) return g;
  for (ValueId id : rw.live()) rw.copy(id);
  return rw.finish();
}

Graph bind(const Graph& g, const Extents& extents) {
  auto bound = [&](Dims d) {
    for (int i = 0; i < d.rank(); ++i)
      if (const auto known = extents.find(d[i])) d[i] = *known;
    return d;
  };
  const auto bound_type = [&](const Type& t) {
    if (!is_tuple(t)) return Type{t.dtype, bound(t.shape)};
    std::vector<Type> parts;
    for (const Type& part : *t.parts) parts.push_back({part.dtype, bound(part.shape)});
    return tuple_of(std::move(parts));
  };
  BodyRewriter bound_bodies([&](const Graph& body) { return bind(body, extents); });
  Graph out;
  out.name = g.name;
  std::vector<ValueId> map(g.size(), kNoValue);
  for (const Input& i : g.inputs()) map[i.id] = out.input(i.name, bound_type(g[i.id].type), i.kind, g[i.id].locs);
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (n.op == Op::input) continue;
    std::vector<ValueId> operands;
    for (ValueId v : n.operands) operands.push_back(map[v]);
    if (n.op == Op::size && !is_symbol(out[operands[0]].type.shape[n.attrs.axis()])) {
      const std::int64_t extent = out[operands[0]].type.shape[n.attrs.axis()];
      map[id] = out.constant(Array::scalar(extent), n.locs);
      continue;
    }
    Attrs attrs = bound_bodies(n.attrs);
    for (const Attrs::Entry& e : n.attrs.entries())
      if (is_extent(e.name)) attrs[e.name] = bound(e.value);
    map[id] = out.add(n.op, std::move(operands), std::move(attrs), bound_type(n.type), n.locs);
  }
  for (const Output& o : g.outputs()) out.output(o.name, map[o.id]);
  for (const Update& u : g.updates()) out.update(map[u.state], map[u.value]);
  return out;
}

std::vector<std::int64_t> symbols_of(const Graph& g) {
  std::vector<std::int64_t> symbols;
  const auto add = [&](std::int64_t extent) {
    if (is_symbol(extent) && std::ranges::find(symbols, extent) == symbols.end())
      symbols.insert(extent == kBatch ? symbols.begin() : symbols.end(), extent);
  };
  const auto add_own = [&](const Graph& own) {
    for (ValueId id = 0; id < own.size(); ++id) {
      for (std::int64_t extent : own[id].type.shape) add(extent);
      for (const Attrs::Entry& e : own[id].attrs.entries())
        if (is_extent(e.name)) std::ranges::for_each(e.value, add);
    }
  };
  add_own(g);
  for (const BodyRef& body : bodies_of(g)) add_own(*body->graph);
  return symbols;
}

}  // namespace weft

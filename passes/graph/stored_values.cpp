// Which values of a fused graph are stored, and what computing the others again takes.
#include "passes/graph/stored_values.h"

#include <algorithm>

namespace weft {
namespace {

int wide_axes(const Shape& s, int begin, int end) {
  int n = 0;
  for (int i = begin; i < end; ++i) n += s[i] != 1;
  return n;
}

}  // namespace

int element_cost(const Node& n) {
  if (n.op == Op::concat) return static_cast<int>(n.operands.size()) - 1;  // a select for each but one
  return info(n.op).cost;
}

std::vector<bool> stored_concats(const Graph& g) {
  constexpr std::size_t kLong = 8;
  std::vector<bool> concats(g.size(), false), wanted(g.size(), false);
  for (const Output& o : g.outputs()) wanted[o.id] = true;
  for (const Update& u : g.updates()) wanted[u.value] = true;
  for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;) {
    const Node& n = g[v];
    concats[v] = n.op == Op::concat && (wanted[v] || n.operands.size() > kLong);
    if (concats[v] || info(n.op).cls == OpClass::contract || n.op == Op::scan)
      for (ValueId o : n.operands) wanted[o] = true;
    if (n.op == Op::reshape && wanted[v]) wanted[n.operands[0]] = true;
  }
  return concats;
}

bool is_unit_reshape(const Graph& g, ValueId v) {
  return g[v].op == Op::reshape && squeezed(g[v].type.shape) == squeezed(g[g[v].operands[0]].type.shape);
}

ValueId without_unit_axes(const Graph& g, ValueId v) {
  while (is_unit_reshape(g, v)) v = g[v].operands[0];
  return v;
}

bool is_plain_reshape(const Graph& g, ValueId v) {
  return g[v].op == Op::reshape && is_affine_reshape(g[g[v].operands[0]].type.shape, g[v].type.shape);
}

std::vector<ValueId> read_by_turns(const Graph& g, ValueId v) {
  if (g[v].op != Op::scan) return {};
  std::vector<ValueId> read;
  for (std::size_t i = static_cast<std::size_t>(g[v].attrs.scalar(Attr::carries)); i < g[v].operands.size(); ++i) {
    ValueId o = g[v].operands[i];
    while (is_plain_reshape(g, o)) o = g[o].operands[0];
    const bool is_there = is_given(g[o].op) || (g[o].op == Op::constant && g[o].attrs.literal->size() != 1);
    if (!is_there) read.push_back(o);
  }
  return read;
}

bool is_affine_reshape(const Shape& from, const Shape& to) {
  if (std::ranges::count(from, 0)) return true;  // nothing is read
  return std::ranges::all_of(reshape_runs(from, to),
                             [&](const ReshapeRun& r) { return wide_axes(from, r.from, r.from_end) <= 1; });
}

bool wants_memory(const Graph& g, ValueId y, const std::vector<bool>& large) {
  const Node& n = g[y];
  return n.op == Op::reshape && !large[n.operands[0]] && !is_affine_reshape(g[n.operands[0]].type.shape, n.type.shape);
}

std::vector<bool> large_values(const Graph& g, std::int64_t large_bytes) {
  std::vector<bool> large(g.size(), false);
  std::vector<std::int64_t> reads(g.size(), 0);  // bytes of the largest array in memory that v is computed from
  std::vector<int> cost(g.size(), 0), size(g.size(), 0);
  const std::vector<bool> concats = stored_concats(g);
  for (ValueId v = 0; v < g.size(); ++v) {
    const Node& n = g[v];
    const std::int64_t bytes = is_static(n.type.shape) ? byte_size(n.type) : 0;
    if (is_given(n.op) || is_anchor(n.op) || (n.op == Op::constant && n.attrs.literal->size() > 1)) {
      reads[v] = bytes;
      continue;
    }
    cost[v] = element_cost(n), size[v] = 1;
    for (ValueId o : n.operands) {
      if (n.op == Op::size) continue;  // of which nothing is read
      reads[v] = std::max(reads[v], reads[o]);
      cost[v] += cost[o], size[v] += size[o];
    }
    if (cost[v] > kMaxVirtualCost || concats[v] || size[v] > kMaxVirtual) {
      reads[v] = bytes, cost[v] = size[v] = 0;  // some kernel stores it
      continue;
    }
    large[v] = bytes > large_bytes && bytes / 2 > reads[v];
  }
  return large;
}

Shape squeezed(const Shape& shape) {
  Shape s;
  for (std::int64_t extent : shape)
    if (extent != 1) s.push_back(extent);
  return s;
}

bool takes_work(const Node& n) {
  return (is_elementwise(n.op) || n.op == Op::unwindow || n.op == Op::pad) && !n.type.shape.empty();
}

std::vector<bool> read_by_windows(const Graph& g) {
  std::vector<bool> read(g.size(), false);
  for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;) {
    const Op op = g[v].op;
    const bool is_view = info(op).cls == OpClass::view && !info(op).traits.indexed;
    if (op == Op::window || op == Op::unwindow || (is_view && read[v])) read[g[v].operands[0]] = true;
  }
  return read;
}

std::vector<std::vector<ValueId>> users(const Graph& g) {
  std::vector<std::vector<ValueId>> out(g.size());
  for (ValueId id = 0; id < g.size(); ++id)
    for (ValueId v : g[id].operands)
      if (out[v].empty() || out[v].back() != id) out[v].push_back(id);
  return out;
}

std::vector<bool> stored_values(const Graph& g, const std::vector<bool>& large) {
  std::vector<bool> must(g.size(), false), outside(g.size(), false), stored(g.size(), false);
  for (const Output& o : g.outputs()) must[o.id] = true;
  for (const Update& u : g.updates()) must[u.value] = true;
  const std::vector<bool> concats = stored_concats(g), windowed = read_by_windows(g);
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (windowed[id] && n.group != kNoGroup && takes_work(n) && !large[id]) must[id] = true;
    if (concats[id]) {
      must[id] = true;
      for (ValueId v : n.operands)
        if (const ValueId piece = without_unit_axes(g, v);
            g[piece].group != kNoGroup && g[piece].group != n.group && !large[piece])
          must[piece] = true;
    }
    for (const ValueId v : read_by_turns(g, id)) must[v] = true;
    for (ValueId v : n.operands) {
      if (wants_memory(g, id, large)) must[v] = true;
      if (n.group != g[v].group) outside[v] = true;
    }
  }
  // What a row's value is repeated to is not stored: the row's value is. Likewise for a value under another shape.
  auto stands_for_operand = [&](ValueId v) {
    const Node& n = g[v];
    if (n.group == kNoGroup || n.operands.empty() || g[n.operands[0]].group != n.group) return false;
    const Group& group = g.groups()[static_cast<std::size_t>(n.group)];
    if (group.kind != Group::reduce) return is_unit_reshape(g, v);
    Shape row = group.domain;
    row.erase(group.axis);
    return n.op == Op::broadcast && n.type.shape == group.domain && g[n.operands[0]].type.shape == row;
  };
  for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;)
    if (outside[v] && !must[v] && stands_for_operand(v)) outside[g[v].operands[0]] = true;
  std::vector<int> cost(g.size(), 0);   // of computing a value again, with what is not stored of what it takes; large
                                        // when that is impossible
  std::vector<int> size(g.size(), 0);   // nodes that computing it again takes, in all groups
  std::vector<int> reads(g.size(), 0);  // values in memory, no smaller than half of it, that doing so reads
  std::vector<bool> by_row(g.size(), false);      // doing so reads a value that its group computes once a row
  std::vector<bool> multiplied(g.size(), false);  // by a contraction, which then reads it best as it lies in memory
  for (ValueId v = 0; v < g.size(); ++v)
    if (info(g[v].op).cls == OpClass::contract)
      for (ValueId o : g[v].operands) multiplied[o] = true;
  auto is_worth_storing = [&](ValueId v) {
    return size[v] > kMaxVirtual ||
           (!large[v] && (cost[v] > kRecomputeCost || reads[v] > kMostReads || (by_row[v] && multiplied[v])));
  };
  for (ValueId v = 0; v < g.size(); ++v) {
    const Node& n = g[v];
    if (is_given(n.op) || n.op == Op::scan) continue;
    size[v] = 1;
    for (ValueId o : n.operands) {
      if (element_count(g[o].type.shape) < element_count(n.type.shape) / 2) continue;
      const bool in_memory = stored[o] || is_given(g[o].op) || is_anchor(g[o].op);
      reads[v] = std::min(reads[v] + (in_memory ? 1 : reads[o]), kMostReads + 1);
    }
    if (n.op == Op::broadcast && stands_for_operand(v) && is_worth_storing(n.operands[0])) {
      by_row[v] = true;  // the row's value will be in memory for whoever needs this
    } else {
      for (ValueId o : n.operands)
        if (!stored[o]) size[v] = std::min(size[v] + size[o], kMaxVirtual + 1);
      if (n.group == kNoGroup) continue;
      cost[v] = is_anchor(n.op) ? kRecomputeCost + 1 : element_cost(n);
      for (ValueId o : n.operands)
        if (!stored[o]) cost[v] += cost[o], by_row[v] = by_row[v] || (g[o].group == n.group && by_row[o]);
      cost[v] = std::min(cost[v], kRecomputeCost + 1);
    }
    stored[v] = must[v] || (outside[v] && is_worth_storing(v));
  }
  // What computes a value again needs its operands; those of full size are no dearer than the value itself.
  for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;) {
    if (!outside[v] || g[v].group == kNoGroup || g[v].op == Op::scan) continue;
    stored[v] = stored[v] || is_worth_storing(v);
    if (stored[v]) continue;
    for (ValueId o : g[v].operands)
      if (g[o].group == g[v].group) outside[o] = true;
  }
  return stored;
}

}  // namespace weft

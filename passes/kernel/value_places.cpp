// Buffers, and the way from an element of a value to one of a buffer.
#include "passes/kernel/value_places.h"

#include <algorithm>
#include <functional>

#include "ir/base/at.h"
#include "passes/graph/stored_values.h"

namespace weft {

ValuePlaces::ValuePlaces(const Graph& graph, std::int64_t large_bytes, Lowered& made, ValuePlaces* around, ValueId scan)
    : g(graph),
      large_bytes_(large_bytes),
      large(large_values(graph, large_bytes)),
      stored(stored_values(graph, large)),
      concats(stored_concats(graph)),
      made_(made),
      p(made.program),
      prefix_(around ? around->kernel_name(scan) + "." : ""),
      buffers(graph.size(), kNone),
      news(graph.updates().size(), kNone),
      under_shape_(graph.size(), false),
      around_(around),
      scan_(scan),
      loop_(static_cast<AxisId>(made.turns.size()) - 1),
      views_(graph.size(), kNone) {}

BufferId ValuePlaces::add_buffer(Buffer b) {
  while (!made_.buffer_names.insert(b.name).second) b.name += '_';  // an output may be called like an input
  p.buffers.push_back(std::move(b));
  return static_cast<BufferId>(p.buffers.size() - 1);
}

BufferId ValuePlaces::add_buffer(Buffer::Kind kind, std::string name, const Type& type) {
  Buffer b;
  b.kind = kind;
  b.name = std::move(name);
  b.type = type;
  return add_buffer(std::move(b));
}

BufferId ValuePlaces::add_temp(ValueId v) {
  return add_buffer(Buffer::temp, fmt::format("{}t{}", prefix_, v), g[v].type);
}

BufferId ValuePlaces::add_view(BufferId base, std::string name, const Type& type) {
  Buffer b;
  b.kind = Buffer::view;
  b.base = base;
  b.name = std::move(name);
  b.type = type;
  return add_buffer(std::move(b));
}

BufferId ValuePlaces::add_new_value(std::size_t update) {
  const Buffer& old = p.buffers[static_cast<std::size_t>(p.updates[update])];
  return news[update] = add_buffer(Buffer::temp, old.name + ".new", Type(old.type));
}

BufferId ValuePlaces::buffer_of(ValueId v, std::int32_t group) {
  const Node& n = g[v];
  if (is_given(n.op)) return buffers[v];
  if (stored[v] && n.group != group) return buffers[v];
  if (n.op == Op::constant && n.attrs.literal->size() != 1) return constant(v);
  return wants_memory(g, v, large) ? reshape_view(v) : kNone;
}

BufferId ValuePlaces::constant(ValueId v) {
  if (buffers[v] == kNone || stored[v]) {  // a stored constant's own buffer is where it is copied to
    Buffer b;
    b.kind = Buffer::constant;
    b.name = fmt::format("{}c{}", prefix_, v);
    b.type = g[v].type;
    b.literal = g[v].attrs.literal;
    const BufferId id = add_buffer(std::move(b));
    if (stored[v]) return id;
    buffers[v] = id;
  }
  return buffers[v];
}

BufferId ValuePlaces::reshape_view(ValueId v) {
  if (views_[v] != kNone) return views_[v];
  const BufferId base = buffer_of(g[v].operands[0], kNoGroup);
  ensure(base != kNone, "reshape {} of a value that is not in memory", v);
  return views_[v] = add_view(base, fmt::format("{}v{}", prefix_, v), g[v].type);
}

void ValuePlaces::store_under_shape(ValueId output) {
  if (g[output].op != Op::reshape) return;
  const ValueId v = g[output].operands[0];
  if (!stored[v] || buffers[v] != kNone || g[v].group == kNoGroup || g[v].group == g[output].group) return;
  buffers[v] = add_view(buffers[output], fmt::format("{}t{}", prefix_, v), g[v].type);
  under_shape_[output] = true;
}

/// plain[v]: whoever reads v does so at indices that are axes and offsets, unguarded. Of others the verifier could
/// not tell that they keep to a piece.
std::vector<bool> ValuePlaces::read_plainly(const std::vector<std::vector<ValueId>>& uses) const {
  std::vector<bool> plain(g.size(), true);
  for (ValueId v = static_cast<ValueId>(g.size()); v-- > 0;)
    plain[v] = std::ranges::all_of(uses[v], [&](ValueId u) {
      const Op op = g[u].op;
      const bool is_plain = info(op).cls != OpClass::view || op == Op::broadcast || op == Op::transpose ||
                            op == Op::slice || concats[u] ||
                            (op == Op::reshape && is_affine_reshape(g[v].type.shape, g[u].type.shape));
      return is_plain && info(op).cls != OpClass::scatter && (stored[u] || plain[u]);
    });
  return plain;
}

void ValuePlaces::find_pieces() {
  if (std::ranges::none_of(concats, std::identity())) return;
  const auto uses = users(g);
  const std::vector<bool> plain = read_plainly(uses);
  for (ValueId v = 0; v < g.size(); ++v) {
    if (!concats[v] || !stored[v] || g[v].group == kNoGroup) continue;
    std::int64_t begin = 0;
    for (const ValueId as : g[v].operands) {
      const ValueId piece = without_unit_axes(g, as);
      const Node& n = g[piece];
      const bool is_computed = n.group != kNoGroup && n.group != g[v].group && n.op != Op::constant &&
                               info(n.op).cls != OpClass::scatter && stored[piece] && buffers[piece] == kNone;
      const bool is_viewed = std::ranges::any_of(uses[piece], [&](ValueId u) { return wants_memory(g, u, large); });
      if (is_computed && !is_viewed && plain[piece] && !is_empty(n.type.shape))
        pieces_.try_emplace(piece, Piece{v, as, begin});
      begin += g[as].type.shape[g[v].attrs.axis()];
    }
  }
}

BufferId ValuePlaces::locate(ElementBuilder& b, ValueId v, std::vector<Index>& index) {
  for (auto it = pieces_.find(v); it != pieces_.end(); it = pieces_.find(v)) {
    index = b.reshaped(g[it->second.as].type.shape, g[v].type.shape, index);
    v = it->second.whole;
    index[static_cast<std::size_t>(g[v].attrs.axis())].offset += it->second.begin;
  }
  if (in_row_.contains(v)) index = in_row(std::move(index));
  return around_ && g[v].op == Op::input && buffers[v] == kNone ? locate_operand(b, v, index) : buffers[v];
}

BufferId ValuePlaces::place_of(ElementBuilder& b, ValueId v, std::int32_t group, std::vector<Index>& index) {
  const bool is_elsewhere = around_ && g[v].op == Op::input && buffers[v] == kNone;
  return is_elsewhere || (g[v].group != group && is_part(v)) ? locate(b, v, index) : buffer_of(v, group);
}

std::vector<Index> ValuePlaces::in_row(std::vector<Index> index) const {
  const Attrs& attrs = around_->g[scan_].attrs;
  Index row = axis_index(loop_);
  if (attrs.scalar(Attr::reverse)) row = sum(constant_index(attrs.scalar(Attr::length) - 1), scaled(row, -1));
  index.insert(index.begin(), row);
  return index;
}

/// Where an input of the body lies that is not carried: what the scan reads, which is no more than a number of
/// reshapes away from memory.
BufferId ValuePlaces::locate_operand(ElementBuilder& b, ValueId input, std::vector<Index>& index) {
  const auto position = static_cast<std::size_t>(std::ranges::find(g.inputs(), input, &Input::id) - g.inputs().begin());
  if (position < carries() + slices()) index = in_row(std::move(index));
  const Graph& outer = around_->g;
  ValueId v = outer[scan_].operands[position];
  for (; is_plain_reshape(outer, v) && !around_->stored[v]; v = outer[v].operands[0])
    index = b.reshaped(outer[outer[v].operands[0]].type.shape, outer[v].type.shape, index);
  const BufferId buffer = around_->place_of(b, v, outer[scan_].group, index);
  ensure(buffer != kNone, "{} reads value {}, which is not in memory", around_->kernel_name(scan_), v);
  return buffer;
}

bool ValuePlaces::is_computed(ValueId v) const {
  return stored[v] && g[v].group != kNoGroup && info(g[v].op).cls != OpClass::scatter && !concats[v];
}

std::vector<BufferId> ValuePlaces::place_carries(const std::vector<BufferId>& carried) {
  std::vector<BufferId> next(carried.size(), kNone);
  for (std::size_t i = 0; i < next.size(); ++i) buffers[g.inputs()[i].id] = carried[i];
  for (std::size_t i = 0; i < next.size(); ++i) {
    const ValueId v = g.outputs()[i].id;
    if (v == g.inputs()[i].id) continue;
    next[i] = add_buffer(Buffer::temp, at(p.buffers, carried[i]).name + ".next", g[v].type);
    if (is_computed(v) && buffers[v] == kNone) buffers[v] = next[i];
  }
  for (std::size_t i = next.size() + slices(); i < g.inputs().size(); ++i) {
    const ValueId v = around_->g[scan_].operands[i], x = g.inputs()[i].id;
    if (!around_->is_part(v)) buffers[x] = around_->buffer_of(v, around_->g[scan_].group);
  }
  return next;
}

void ValuePlaces::place_stacks(const std::vector<BufferId>& stacked) {
  std::vector<bool> viewed(g.size());
  for (ValueId v = 0; v < g.size(); ++v)
    if (wants_memory(g, v, large)) viewed[g[v].operands[0]] = true;
  for (std::size_t i = 0; i < stacked.size(); ++i) {
    const ValueId v = g.outputs()[carries() + i].id;
    const bool is_free = stored[v] && g[v].group != kNoGroup && info(g[v].op).cls != OpClass::scatter &&
                         buffers[v] == kNone && !viewed[v] && !is_empty(g[v].type.shape);
    if (stacked[i] != kNone && is_free) buffers[v] = stacked[i], in_row_.insert(v);
  }
}

void ValuePlaces::place_others() {
  find_pieces();
  for (ValueId v = 0; v < g.size(); ++v)
    if (is_in_memory(v) && buffers[v] == kNone && !is_piece(v)) buffers[v] = add_temp(v);
}

void ValuePlaces::make_buffers() {
  for (const Input& i : g.inputs()) {
    buffers[i.id] = add_buffer(i.kind == InputKind::state ? Buffer::state : Buffer::input, i.name, g[i.id].type);
    p.inputs.push_back(buffers[i.id]);
  }
  // An output that a kernel computes is stored where it belongs at once; a second name for it is a copy.
  for (const Output& o : g.outputs()) {
    const BufferId b = add_buffer(Buffer::output, o.name, g[o.id].type);
    p.outputs.push_back(b);
    if (is_in_memory(o.id) && buffers[o.id] == kNone) buffers[o.id] = b, store_under_shape(o.id);
  }
  for (std::size_t i = 0; i < g.updates().size(); ++i) {
    const Update& u = g.updates()[i];
    p.updates.push_back(buffers[u.state]);
    if (is_in_memory(u.value) && buffers[u.value] == kNone) buffers[u.value] = add_new_value(i);
  }
  place_others();
}

}  // namespace weft

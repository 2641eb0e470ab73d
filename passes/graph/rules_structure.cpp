// Rewrites of ops that move elements. Each function returns kNoValue, before it adds a node, where it does not apply.
#include "passes/graph/rules_structure.h"

#include "ir/ops/scalar.h"
#include "passes/graph/canonicalize.h"

namespace weft::structure {
namespace {

Shape without_units(const Shape& shape) {
  Shape s;
  for (std::int64_t e : shape)
    if (e != 1) s.push_back(e);
  return s;
}

/// Whether a reshape may exist between the two.
bool reshapable(Shape from, Shape to) {
  while (!is_static(from) || !is_static(to))
    if (!erase_leading_symbol(from, to)) return false;
  return element_count(from) == element_count(to);
}

Dims inverse(const Dims& perm) {
  Dims inv = perm;
  for (int i = 0; i < perm.rank(); ++i) inv[static_cast<int>(perm[i])] = i;
  return inv;
}

bool increasing(const Dims& d) {
  for (int i = 1; i < d.rank(); ++i)
    if (d[i] <= d[i - 1]) return false;
  return true;
}

/// Each axis of `axes`, an axis of a transposed value, as the axis of the value before the transpose.
Dims through(const Dims& axes, const Dims& perm) {
  Dims mapped;
  for (std::int64_t axis : axes) mapped.push_back(perm[static_cast<int>(axis)]);
  return mapped;
}

ValueId slice(Builder& b, ValueId x, const Dims& start, const Dims& limit, const Dims& stride) {
  return b.slice(x, start, limit, stride);
}

}  // namespace

bool keeps_type(const Match& m) { return m.type("x") == m.graph[m.root].type; }

bool same_broadcast(const Match& m) {
  return m.attr("t", Attr::axes) == m.attr("u", Attr::axes) && m.type("x").shape == m.type("y").shape;
}

bool pads_nothing(const Match& m) {
  const Dims none = Dims::filled(m.type("x").shape.rank(), 0);
  return m.attr("t", Attr::low) == none && m.attr("t", Attr::high) == none && m.attr("t", Attr::interior).empty();
}

bool reverses_nothing(const Match& m) {
  const Shape& x = m.type("x").shape;
  return std::ranges::all_of(m.attr("t", Attr::axes), [&](std::int64_t a) { return x[static_cast<int>(a)] <= 1; });
}

bool reverses_back(const Match& m) { return m.attr("t", Attr::axes) == m.attr("u", Attr::axes); }

bool scalar_operand(const Match& m) { return m.type("x").shape.empty(); }

// transpose(transpose(x)): y.shape[d] = x.shape[inner[outer[d]]].
ValueId compose_transposes(const Match& m, Builder& b) {
  const Dims perm = through(m.attr("t", Attr::perm), m.attr("u", Attr::perm));
  return b.transpose(m["x"], perm);
}

// A transpose that keeps the order of the axes whose extent is not 1 moves no element.
ValueId transpose_to_reshape(const Match& m, Builder& b) {
  const Dims perm = m.attr("t", Attr::perm);
  const Shape from = m.type("x").shape, to = m.type("t").shape;
  Dims moved;
  for (std::int64_t axis : perm)
    if (from[static_cast<int>(axis)] != 1) moved.push_back(axis);
  if (!increasing(moved) || !reshapable(from, to)) return kNoValue;
  return b.reshape(m["x"], to);
}

// transpose(broadcast(x)) = broadcast(transpose(x)): the smaller value is transposed, if any is.
ValueId transpose_broadcast(const Match& m, Builder& b) {
  const Dims inv = inverse(m.attr("t", Attr::perm)), axes = m.attr("u", Attr::axes);
  const Shape shape = m.type("t").shape;
  Dims order, sorted;  // axes of x by their place in the result
  for (int place = 0; place < shape.rank(); ++place)
    for (int i = 0; i < axes.rank(); ++i)
      if (inv[static_cast<int>(axes[i])] == place) order.push_back(i), sorted.push_back(place);
  return b.broadcast(b.transpose(m["x"], order), shape, sorted);
}

// A transpose that swaps the free axes of the two operands: contract(y, x). fma(a, b, acc) = fma(b, a, acc).
ValueId transpose_contract(const Match& m, Builder& b) {
  const Dims perm = m.attr("t", Attr::perm);
  const Dims lhs = m.attr("u", Attr::lhs), rhs = m.attr("u", Attr::rhs), lb = m.attr("u", Attr::lhs_batch),
             rb = m.attr("u", Attr::rhs_batch);
  const int batch = lb.rank(), free_x = m.type("x").shape.rank() - batch - lhs.rank();
  Dims swapped = Dims::iota(batch);
  for (int i = batch + free_x; i < perm.rank(); ++i) swapped.push_back(i);
  for (int i = batch; i < batch + free_x; ++i) swapped.push_back(i);
  if (!(perm == swapped)) return kNoValue;
  return b.contract(m["y"], m["x"], rhs, lhs, rb, lb);
}

ValueId broadcast_to_reshape(const Match& m, Builder& b) {
  const Shape from = m.type("x").shape, to = m.type("t").shape;
  if (from.empty() || !(without_units(from) == without_units(to)) || !reshapable(from, to)) return kNoValue;
  return b.reshape(m["x"], to);
}

ValueId compose_broadcasts(const Match& m, Builder& b) {
  const Dims axes = through(m.attr("u", Attr::axes), m.attr("t", Attr::axes));
  const Shape shape = m.type("t").shape;
  return b.op(Op::broadcast, {m["x"]}, {{Attr::axes, axes}}, Type{m.type("t").dtype, shape});
}

// The operand of a broadcast gets rid of its axes of extent 1.
ValueId squeeze_broadcast(const Match& m, Builder& b) {
  const Shape from = m.type("x").shape, squeezed = without_units(from), to = m.type("t").shape;
  if (from == squeezed || !reshapable(from, squeezed)) return kNoValue;
  Dims axes;
  for (int i = 0; i < from.rank(); ++i)
    if (from[i] != 1) axes.push_back(m.attr("t", Attr::axes)[i]);
  return b.broadcast(b.reshape(m["x"], squeezed), to, axes);
}

// reshape(broadcast(x)) where each axis of x keeps a place of its own: the axes that repeat x may be split and merged
// among themselves. Both shapes are cut into the shortest runs with equal products; a run with an axis of x must be
// alone.
ValueId broadcast_reshape(const Match& m, Builder& b) {
  const Shape from = m.type("u").shape, to = m.type("t").shape;
  if (!is_static(from) || !is_static(to) || element_count(from) == 0) return kNoValue;
  const Dims axes = m.attr("u", Attr::axes);
  Dims moved;
  int i = 0, j = 0;
  while (i < from.rank() || j < to.rank()) {
    if (i < from.rank() && from[i] == 1 && !axes.contains(i)) {
      ++i;
      continue;
    }
    if (j < to.rank() && to[j] == 1) {
      ++j;
      continue;
    }
    const int first = i, to_first = j;
    std::int64_t left = i < from.rank() ? from[i++] : 1, right = j < to.rank() ? to[j++] : 1;
    while (left != right) {
      if (left < right)
        left *= from[i++];
      else
        right *= to[j++];
    }
    for (int axis = first; axis < i; ++axis) {
      if (!axes.contains(axis)) continue;
      if (i - first != 1 || j - to_first != 1) return kNoValue;
      moved.push_back(to_first);
    }
  }
  return b.op(Op::broadcast, {m["x"]}, {{Attr::axes, moved}}, Type{m.type("t").dtype, to});
}

ValueId compose_slices(const Match& m, Builder& b) {
  const Shape out = m.type("t").shape;
  const Dims s2 = m.attr("t", Attr::start), st2 = m.attr("t", Attr::stride), s1 = m.attr("u", Attr::start),
             st1 = m.attr("u", Attr::stride);
  Dims start = s1, limit = out, stride = st1;
  for (int i = 0; i < out.rank(); ++i) {
    if (is_symbol(out[i])) continue;
    start[i] = out[i] ? s1[i] + s2[i] * st1[i] : 0;
    stride[i] = out[i] > 1 ? st1[i] * st2[i] : 1;
    limit[i] = out[i] ? start[i] + (out[i] - 1) * stride[i] + 1 : 0;
  }
  return slice(b, m["x"], start, limit, stride);
}

// slice(broadcast(x)) = broadcast(slice(x)).
ValueId slice_broadcast(const Match& m, Builder& b) {
  const Dims axes = m.attr("u", Attr::axes);
  const Shape x = m.type("x").shape, whole = m.type("u").shape, out = m.type("t").shape;
  Dims start, limit, stride;
  for (int i = 0; i < x.rank(); ++i) {
    const int axis = static_cast<int>(axes[i]);
    if (x[i] != whole[axis]) return kNoValue;  // an axis of extent 1, which squeeze_broadcast removes
    start.push_back(m.attr("t", Attr::start)[axis]);
    limit.push_back(m.attr("t", Attr::limit)[axis]);
    stride.push_back(m.attr("t", Attr::stride)[axis]);
  }
  const ValueId part = x.empty() ? m["x"] : slice(b, m["x"], start, limit, stride);
  return b.op(Op::broadcast, {part}, {{Attr::axes, axes}}, Type{b.type(part).dtype, out});
}

// slice(pad(x, v)): inside x a slice of x; outside it on some axis, v everywhere.
ValueId slice_pad(const Match& m, Builder& b) {
  const Shape x = m.type("x").shape, out = m.type("t").shape;
  const Dims low = m.attr("u", Attr::low), stride = m.attr("t", Attr::stride);
  Dims start = m.attr("t", Attr::start), limit = m.attr("t", Attr::limit);
  bool inside = true;
  if (!m.attr("u", Attr::interior).empty()) return kNoValue;
  for (int i = 0; i < x.rank(); ++i) {
    if (is_symbol(x[i])) continue;
    if (out[i] == 0) return kNoValue;
    start[i] -= low[i];
    limit[i] = start[i] + (out[i] - 1) * stride[i] + 1;
    if (start[i] >= x[i] || limit[i] <= 0) return b.broadcast(m["v"], out, {});
    inside &= start[i] >= 0 && limit[i] <= x[i];
  }
  return inside ? slice(b, m["x"], start, limit, stride) : kNoValue;
}

// slice(concat(…)) inside one operand. Wide concats have to wait until they are trees: trying all operands of one for
// each of its slices would take quadratic time.
ValueId slice_concat(const Match& m, Builder& b) {
  const int axis = m.node("u").attrs.axis();
  const Shape out = m.type("t").shape;
  const std::vector<ValueId> parts = m.node("u").operands;
  if (out[axis] == 0 || parts.size() > kMaxConcat) return kNoValue;
  Dims start = m.attr("t", Attr::start), limit = m.attr("t", Attr::limit);
  const Dims stride = m.attr("t", Attr::stride);
  limit[axis] = start[axis] + (out[axis] - 1) * stride[axis] + 1;
  for (ValueId part : parts) {
    const std::int64_t extent = b.type(part).shape[axis];
    if (start[axis] < extent) {
      if (limit[axis] > extent) return kNoValue;
      return slice(b, part, start, limit, stride);
    }
    start[axis] -= extent;
    limit[axis] -= extent;
  }
  return kNoValue;
}

ValueId compose_pads(const Match& m, Builder& b) {
  Dims low = m.attr("t", Attr::low), high = m.attr("t", Attr::high);
  if (!m.attr("t", Attr::interior).empty()) return kNoValue;
  for (int i = 0; i < low.rank(); ++i) {
    low[i] += m.attr("u", Attr::low)[i];
    high[i] += m.attr("u", Attr::high)[i];
  }
  return b.pad(m["x"], m["v"], low, high, m.attr("u", Attr::interior));
}

// Padding a broadcast of v with v.
ValueId pad_broadcast(const Match& m, Builder& b) {
  const Shape shape = m.type("t").shape;
  return b.op(Op::broadcast, {m["v"]}, {}, Type{m.type("t").dtype, shape});
}

// Windows side by side, each of neighbours: [n] -> [o, k] without a gap, and the k behind the other axes. Those of one
// element, and a lone one, are slices.
ValueId window_tiles(const Match& m, Builder& b) {
  const Shape x = m.type("x").shape, y = m.type("t").shape;
  const Dims axes = m.attr("t", Attr::axes), stride = m.attr("t", Attr::stride), dilation = m.attr("t", Attr::dilation);
  Dims start = Dims::filled(x.rank(), 0), limit = x, step = Dims::filled(x.rank(), 1);
  Dims size = step;  // of the windows along each axis of x
  for (int i = 0; i < axes.rank(); ++i) {
    const int axis = static_cast<int>(axes[i]), k = x.rank() + i;
    const std::int64_t apart = stride.empty() ? 1 : stride[i];
    size[axis] = y[k];
    limit[axis] = (y[axis] - 1) * apart + 1;
    if (y[k] == 1) {
      step[axis] = apart;
    } else if (y[axis] == 1) {
      step[axis] = dilation.empty() ? 1 : dilation[i];
      limit[axis] = (y[k] - 1) * step[axis] + 1;
    } else {
      if (apart != y[k] || !(dilation.empty() || dilation[i] == 1)) return kNoValue;
      limit[axis] += y[k] - 1;
    }
  }
  Shape split;
  Dims perm, behind;
  for (int d = 0; d < x.rank(); ++d) {
    perm.push_back(split.rank());
    split.push_back(y[d]);
    if (size[d] > 1 && split.rank() == kMaxRank) return kNoValue;
    if (size[d] > 1) split.push_back(size[d]);
  }
  for (const std::int64_t axis : axes)
    if (size[static_cast<int>(axis)] > 1) behind.push_back(perm[static_cast<int>(axis)] + 1);
  for (const std::int64_t k : behind) perm.push_back(k);
  const ValueId part = limit == x && step == Dims::filled(x.rank(), 1) ? m["x"] : slice(b, m["x"], start, limit, step);
  return b.reshape(b.transpose(b.reshape(part, split), perm), y);
}

// Operands that are concats along the same axis give way to their operands as long as there are few of them (joining
// pieces one by one would take quadratic time); empty ones disappear.
ValueId flatten_concat(const Match& m, Builder& b) {
  const Attrs attrs = m.node("t").attrs;
  const int axis = attrs.axis();
  const std::vector<ValueId> operands = m.node("t").operands;
  std::vector<ValueId> flat;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const ValueId v = operands[i];
    const Node& n = b.g[v];
    const bool fits = flat.size() + n.operands.size() + (operands.size() - i - 1) <= kMaxConcat;
    if (n.op == Op::concat && n.attrs == attrs && fits)
      flat.insert(flat.end(), n.operands.begin(), n.operands.end());
    else if (n.type.shape[axis] != 0 || operands.size() == 1)
      flat.push_back(v);
  }
  if (flat.empty()) flat.push_back(operands[0]);
  if (flat == operands) return kNoValue;
  for (ValueId v : operands) b.locs |= b.g[v].locs;
  return b.op(Op::concat, flat, attrs);
}

// Neighbouring slices of one value, laid end to end again.
ValueId concat_slices(const Match& m, Builder& b) {
  const Attrs attrs = m.node("t").attrs;
  const int axis = attrs.axis();
  const std::vector<ValueId> operands = m.node("t").operands;
  std::vector<ValueId> joined;
  for (ValueId v : operands) {
    const Node& n = b.g[v];
    const Node* last = joined.empty() ? nullptr : &b.g[joined.back()];
    if (last && n.op == Op::slice && last->op == Op::slice && n.operands == last->operands &&
        n.attrs[Attr::stride] == Dims::filled(n.type.shape.rank(), 1) &&
        n.attrs[Attr::stride] == last->attrs[Attr::stride]) {
      Dims start = last->attrs[Attr::start], limit = n.attrs[Attr::limit];
      Dims a0 = start, a1 = last->attrs[Attr::limit], b0 = n.attrs[Attr::start], b1 = limit;
      const bool touch = a1[axis] == b0[axis];
      a0[axis] = a1[axis] = b0[axis] = b1[axis] = 0;
      if (touch && a0 == b0 && a1 == b1) {
        const ValueId x = n.operands[0];
        b.locs |= n.locs | last->locs;
        joined.back() = slice(b, x, start, limit, Dims::filled(start.rank(), 1));
        continue;
      }
    }
    joined.push_back(v);
  }
  return joined.size() == operands.size() ? kNoValue : b.op(Op::concat, joined, attrs);
}

ValueId gather_iota(const Match& m, Builder& b) {
  const Shape x = m.type("x").shape;
  const int axis = m.node("t").attrs.axis();
  const Shape index = m.type("u").shape;
  if (index.rank() != 1 || is_symbol(index[0]) || is_symbol(x[axis]) || index[0] > x[axis]) return kNoValue;
  Dims limit = x;
  limit[axis] = index[0];
  return slice(b, m["x"], Dims::filled(x.rank(), 0), limit, Dims::filled(x.rank(), 1));
}

// One element of an axis, known now, is a slice.
ValueId gather_constant(const Match& m, Builder& b) {
  const Shape x = m.type("x").shape, out = m.type("t").shape;
  const int axis = m.node("t").attrs.axis();
  const double index = m.value("c");
  Dims start = Dims::filled(x.rank(), 0), limit = x, part = x;
  part[axis] = 1;
  if (!m.type("c").shape.empty() || is_symbol(x[axis]) || index < 0 || index >= static_cast<double>(x[axis]))
    return kNoValue;
  if (!reshapable(part, out)) return kNoValue;
  start[axis] = static_cast<std::int64_t>(index);
  limit[axis] = start[axis] + 1;
  return b.reshape(slice(b, m["x"], start, limit, Dims::filled(x.rank(), 1)), out);
}

ValueId static_size(const Match& m, Builder& b) {
  const std::int64_t extent = m.type("x").shape[m.node("t").attrs.axis()];
  return is_symbol(extent) ? kNoValue : b.g.constant(Array::scalar(extent), b.locs);
}

// contract(transpose(x), y) reads x directly, if the free axes of x come out in the same order.
ValueId contract_transposed_lhs(const Match& m, Builder& b) {
  const Dims perm = m.attr("u", Attr::perm), lhs = m.attr("t", Attr::lhs), lb = m.attr("t", Attr::lhs_batch);
  if (!increasing(through(free_axes(perm.rank(), lhs, lb), perm))) return kNoValue;
  const Dims rhs = m.attr("t", Attr::rhs), rb = m.attr("t", Attr::rhs_batch);
  return b.contract(m["x"], m["y"], through(lhs, perm), rhs, through(lb, perm), rb);
}

ValueId contract_transposed_rhs(const Match& m, Builder& b) {
  const Dims perm = m.attr("u", Attr::perm), rhs = m.attr("t", Attr::rhs), rb = m.attr("t", Attr::rhs_batch);
  if (!increasing(through(free_axes(perm.rank(), rhs, rb), perm))) return kNoValue;
  const Dims lhs = m.attr("t", Attr::lhs), lb = m.attr("t", Attr::lhs_batch);
  return b.contract(m["x"], m["y"], lhs, through(rhs, perm), lb, through(rb, perm));
}

// One element folded into the identity: 0 + x (not x: -0 becomes 0), 1 * x, x.
ValueId reduce_unit_axis(const Match& m, Builder& b) {
  const Node& n = m.node("t");
  const Shape from = m.type("x").shape, to = n.type.shape;
  const Op op = n.op;
  if (from[n.attrs.axis()] != 1 || !reshapable(from, to)) return kNoValue;
  const ValueId x = b.reshape(m["x"], to);
  if (op == Op::reduce_sum) return b.add(x, b.like(x, 0));
  if (op == Op::reduce_prod) return b.mul(x, b.like(x, 1));
  return x;
}

ValueId reduce_empty_axis(const Match& m, Builder& b) {
  const Node& n = m.node("t");
  if (m.type("x").shape[n.attrs.axis()] != 0) return kNoValue;
  return b.fill(n.type, reduce_identity<double>(n.op));
}

}  // namespace weft::structure

// Contractions of any rank to [b, m, k] x [b, k, n], those of windows aside; scatters to a list of indices; long
// concats to trees.
#include "passes/graph/canonicalize.h"

#include <algorithm>
#include <functional>

#include "ir/graph/build.h"
#include "ir/ops/scalar.h"
#include "passes/graph/stored_values.h"

namespace weft {
namespace {

/// One operand: its axes by role, in the order in which the contraction counts through them.
struct Side {
  ValueId value;
  Dims batch, contracted, free;
};

Dims axis_if(int axis) { return axis < 0 ? Dims{} : Dims{axis}; }

/// The same operand with at most one axis for each role. `rhs` puts k before the free axis where a transpose is needed.
Side merged(Builder& b, const Side& side, bool rhs) {
  const Shape shape = b.type(side.value).shape;
  Dims squeezed, position = Dims::filled(shape.rank(), -1);  // position[axis]: its place among the axes of extent > 1
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != 1) {
      position[i] = squeezed.rank();
      squeezed.push_back(shape[i]);
    }
  struct Role {
    Dims axes;  // places in `squeezed`
    std::int64_t extent = 1;
    int result = -1;  // its axis in the merged operand
  } batch, free, contracted;
  auto fill = [&](Role& role, const Dims& axes) {
    for (std::int64_t axis : axes) {
      const std::int64_t place = position[static_cast<int>(axis)];
      if (place < 0) continue;
      role.axes.push_back(place);
      role.extent *= shape[static_cast<int>(axis)];
    }
  };
  fill(batch, side.batch), fill(free, side.free), fill(contracted, side.contracted);

  std::vector<Role*> order;
  for (Role* role : {&batch, rhs ? &contracted : &free, rhs ? &free : &contracted})
    if (!role->axes.empty()) order.push_back(role);
  auto listed = [&] {
    Dims all;
    for (const Role* role : order)
      for (std::int64_t axis : role->axes) all.push_back(axis);
    return all;
  };
  const std::vector<Role*> preferred = order;
  std::ranges::sort(order, {}, [](const Role* role) { return role->axes[0]; });
  ValueId v = side.value;
  if (!(listed() == Dims::iota(squeezed.rank()))) {  // the roles are interleaved
    order = preferred;
    v = b.transpose(b.reshape(v, squeezed), listed());
  }
  Dims extents;
  for (Role* role : order) {
    role->result = extents.rank();
    extents.push_back(role->extent);
  }
  if (contracted.result < 0) {  // an outer product sums over one k
    contracted.result = extents.rank();
    extents.push_back(1);
  }
  return {b.reshape(v, extents), axis_if(batch.result), Dims{contracted.result}, axis_if(free.result)};
}

/// Windows, maybe under a transpose.
bool is_windows(const Builder& b, ValueId v) {
  if (b.g[v].op == Op::transpose) v = b.g[v].operands[0];
  return b.g[v].op == Op::window;
}

/// The free axes of windows, those first along which their elements lie farthest apart: strips are cut within the last
/// one.
Dims by_distance(const Builder& b, ValueId windows, Dims free) {
  const Node& outer = b.g[windows];
  const bool is_moved = outer.op == Op::transpose;
  const Node& w = is_moved ? b.g[outer.operands[0]] : outer;
  Dims apart = row_major_strides(b.type(w.operands[0]).shape);
  for (const std::int64_t axis : w.attrs[Attr::axes]) apart.push_back(apart[static_cast<int>(axis)]);
  const auto distance = [&](std::int64_t axis) {
    return apart[static_cast<int>(is_moved ? outer.attrs[Attr::perm][static_cast<int>(axis)] : axis)];
  };
  std::vector<std::int64_t> order(free.begin(), free.end());
  std::ranges::stable_sort(order, std::greater<>(), distance);
  return Dims(std::span<const std::int64_t>(order));
}

/// The axes of windows cannot be merged into one without a copy of every window. Such a contraction keeps its lists of
/// axes, and has the windows on its left, their free axes in the order of memory.
ValueId contract_windows(Builder& b, const Node& n) {
  ValueId x = n.operands[0], y = n.operands[1];
  Dims lhs = n.attrs[Attr::lhs], rhs = n.attrs[Attr::rhs], lb = n.attrs[Attr::lhs_batch], rb = n.attrs[Attr::rhs_batch];
  const bool swaps = !is_windows(b, x);
  if (swaps) std::swap(x, y), std::swap(lhs, rhs), std::swap(lb, rb);
  const int rank = b.type(x).shape.rank(), batch = lb.rank();
  const Dims free = free_axes(rank, lhs, lb), order = by_distance(b, x, free);
  const int m = free.rank(), all = n.type.shape.rank();
  Dims moved = Dims::iota(rank), place = moved;  // of x: which of its axes goes where
  Dims number = Dims::iota(m);                   // free axis i of x comes out as number[i] of them
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < m; ++j)
      if (order[j] == free[i]) number[i] = j, moved[static_cast<int>(free[j])] = free[i];
  for (int i = 0; i < rank; ++i) place[static_cast<int>(moved[i])] = i;
  const auto placed = [&](Dims axes) {
    for (int i = 0; i < axes.rank(); ++i) axes[i] = place[static_cast<int>(axes[i])];
    return axes;
  };
  const ValueId z = b.contract(b.transpose(x, moved), y, placed(lhs), rhs, placed(lb), rb);
  Dims perm = Dims::iota(batch);  // z is [b, m, n]; of a swapped one [b, n, m] is wanted
  const auto push_m = [&] {
    for (int i = 0; i < m; ++i) perm.push_back(batch + number[i]);
  };
  if (!swaps) push_m();
  for (int i = batch + m; i < all; ++i) perm.push_back(i);
  if (swaps) push_m();
  return b.transpose(z, perm);
}

ValueId canonical_contract(Builder& b, const Node& n) {
  const Dims &lhs = n.attrs[Attr::lhs], &rhs = n.attrs[Attr::rhs];
  const Dims &lb = n.attrs[Attr::lhs_batch], &rb = n.attrs[Attr::rhs_batch];
  const ValueId x = n.operands[0], y = n.operands[1];
  if (is_windows(b, x) || is_windows(b, y)) return contract_windows(b, n);
  const Side left{x, lb, lhs, free_axes(b.type(x).shape.rank(), lhs, lb)};
  const Side right{y, rb, rhs, free_axes(b.type(y).shape.rank(), rhs, rb)};
  const Side l = merged(b, left, false), r = merged(b, right, true);
  const ValueId z = b.contract(l.value, r.value, l.contracted, r.contracted, l.batch, r.batch);
  return b.reshape(z, n.type.shape);
}

/// A fold of few elements that are no neighbours, as a window's are, is a chain of binary ops: what reads its result
/// may compute it.
ValueId canonical_reduce(Builder& b, const Node& n) {
  constexpr std::int64_t kFew = 4;
  const ValueId x = n.operands[0];
  const Shape shape = b.type(x).shape;
  const int axis = n.attrs.axis();
  const auto fold = info(n.op).traits.fold;
  if (!fold || axis == shape.rank() - 1 || shape[axis] > kFew || shape[axis] < 2)
    return b.op(n.op, n.operands, n.attrs);
  Dims start = Dims::filled(shape.rank(), 0), limit = shape;
  const Dims stride = Dims::filled(shape.rank(), 1);
  // An extreme begins with its first element: that is what an identity and it give.
  ValueId total = info(*fold).traits.associates ? kNoValue : b.fill(n.type, reduce_identity<double>(n.op));
  for (std::int64_t i = 0; i < shape[axis]; ++i) {
    start[axis] = i, limit[axis] = i + 1;
    const ValueId element = b.reshape(b.slice(x, start, limit, stride), n.type.shape);
    total = total == kNoValue ? element : b.op(*fold, {total, element});
  }
  return total;
}

/// The same with axes that ascend, so that the windows' axes are in row-major order one by one.
ValueId with_ascending_axes(Builder& b, const Node& n) {
  const Dims& axes = n.attrs[Attr::axes];
  const int kept = n.type.shape.rank();
  std::vector<int> order;
  for (int i = 0; i < axes.rank(); ++i) order.push_back(i);
  std::ranges::sort(order, {}, [&](int i) { return axes[i]; });
  Attrs sorted = n.attrs;
  Dims perm = Dims::iota(kept);
  for (int i = 0; i < axes.rank(); ++i) perm.push_back(kept + order[static_cast<std::size_t>(i)]);
  for (const Attr list : {Attr::axes, Attr::stride, Attr::dilation})
    for (int i = 0; i < n.attrs[list].rank(); ++i) sorted[list][i] = n.attrs[list][order[static_cast<std::size_t>(i)]];
  return b.op(Op::unwindow, {b.transpose(n.operands[0], perm)}, sorted, n.type);
}

/// A place takes a select for each place of a window; those of many are scattered, to indices that are computed.
ValueId canonical_unwindow(Builder& b, const Node& given) {
  constexpr std::int64_t kMostPlaces = 16;
  const ValueId unwindow = with_ascending_axes(b, given);
  const Node n = b.g[unwindow];
  const ValueId x = n.operands[0];
  const Shape from = b.type(x).shape, to = n.type.shape;
  const Dims& axes = n.attrs[Attr::axes];
  Dims order;  // axes of x: those that stay, then the windows', then the places in them
  std::int64_t places = 1, whole = 1;
  for (int d = 0; d < to.rank(); ++d)
    if (!axes.contains(d)) order.push_back(d);
  const int kept = order.rank();
  for (const std::int64_t a : axes) order.push_back(a), whole *= to[static_cast<int>(a)];
  for (int i = to.rank(); i < from.rank(); ++i) order.push_back(i), places *= from[i];
  if (places <= kMostPlaces) return unwindow;
  Shape merged, split, windows;  // of the result, both ways; of the axes that are summed
  for (int i = 0; i < kept; ++i) merged.push_back(to[static_cast<int>(order[i])]);
  split = merged;
  for (const std::int64_t a : axes) split.push_back(to[static_cast<int>(a)]);
  for (int i = kept; i < from.rank(); ++i) windows.push_back(from[static_cast<int>(order[i])]);
  Shape rows = merged;
  rows.push_back(element_count(windows)), merged.push_back(whole);
  Dims strides = Dims::filled(windows.rank(), 0);  // of the windows, in the merged axis
  std::int64_t stride = 1;
  for (int i = axes.rank(); i-- > 0; stride *= to[static_cast<int>(axes[i])]) {
    const auto step = [&](Attr name, std::int64_t extent) {  // a lone one may be huge
      return extent == 1 || n.attrs[name].empty() ? 1 : n.attrs[name][i];
    };
    strides[i] = stride * step(Attr::stride, windows[i]);
    strides[axes.rank() + i] = stride * step(Attr::dilation, windows[axes.rank() + i]);
  }
  const Type numbers{i64, {rows.back()}};
  const auto whole_number = [&](std::int64_t v) {
    return b.broadcast(b.constant(Array::scalar(v)), numbers.shape, {});
  };
  ValueId left = b.op(Op::iota, {}, Attrs::axis(0), numbers), index = whole_number(0);
  for (int i = windows.rank(); i-- > 0;) {
    const ValueId extent = whole_number(windows[i]);
    index = b.add(index, b.mul(b.op(Op::rem, {left, extent}), whole_number(strides[i])));
    left = b.div(left, extent);
  }
  const ValueId updates = b.reshape(b.transpose(x, order), rows);
  const ValueId sum = b.op(Op::scatter_add, {b.fill({n.type.dtype, merged}, 0), index, updates}, Attrs::axis(kept));
  Dims back = Dims::iota(to.rank());
  for (int i = 0; i < kept; ++i) back[static_cast<int>(order[i])] = i;
  for (int i = 0; i < axes.rank(); ++i) back[static_cast<int>(axes[i])] = kept + i;
  return b.transpose(b.reshape(sum, split), back);
}

/// The updates j of a scatter count through all axes of the indices in row-major order, so those axes merge into one.
ValueId canonical_scatter(Builder& b, const Node& n) {
  const ValueId indices = n.operands[1];
  const std::int64_t count = element_count(b.type(indices).shape);
  const int axis = n.attrs.axis();
  Shape updates = b.type(n.operands[0]).shape;
  updates[axis] = count;
  return b.op(Op::scatter_add, {n.operands[0], b.reshape(indices, {count}), b.reshape(n.operands[2], updates)},
              n.attrs);
}

ValueId canonical_concat(Builder& b, const Node& n) {
  std::vector<ValueId> level = n.operands;
  while (level.size() > kMaxConcat) {
    std::vector<ValueId> next;
    for (std::size_t i = 0; i < level.size(); i += kMaxConcat) {
      const std::size_t end = std::min(i + kMaxConcat, level.size());
      const std::vector<ValueId> run(level.begin() + static_cast<std::ptrdiff_t>(i),
                                     level.begin() + static_cast<std::ptrdiff_t>(end));
      next.push_back(run.size() == 1 ? run[0] : b.op(Op::concat, run, n.attrs));
    }
    level = std::move(next);
  }
  return b.op(Op::concat, std::move(level), n.attrs);
}

/// op(reshape(x), y) as reshape(op(x, reshape(y))), where the first reshape merges axes of an elementwise x and the
/// second one only splits some. Else x would be stored, for memory alone can be read under such a shape.
/// `nobody_else[i]`: nothing else reads operand i.
ValueId canonical_elementwise(Builder& b, const Node& n, const std::vector<bool>& nobody_else) {
  for (std::size_t i = 0; i < n.operands.size(); ++i) {
    const Node reshape = b.g[n.operands[i]];
    if (reshape.op != Op::reshape || !nobody_else[i]) continue;
    const ValueId x = reshape.operands[0];
    const Shape from = b.type(x).shape, to = n.type.shape;
    if (!is_elementwise(b.g[x].op) || is_affine_reshape(from, to) || !is_affine_reshape(to, from)) continue;
    std::vector<ValueId> operands;
    for (const ValueId o : n.operands) operands.push_back(b.reshape(o, from));
    operands[i] = x;
    return b.reshape(b.op(n.op, operands, n.attrs, Type{n.type.dtype, from}), to);
  }
  return kNoValue;
}

}  // namespace

Graph canonicalize(const Graph& old) {
  Rewriter rw(old);
  const std::vector<std::vector<ValueId>> readers = users(old);
  std::vector<bool> is_result(old.size(), false);
  for (const Output& o : old.outputs()) is_result[o.id] = true;
  for (const Update& u : old.updates()) is_result[u.value] = true;
  for (ValueId id : rw.live()) {
    const ValueId copy = rw.copy(id);
    const Node n = rw.graph()[copy];
    const auto bound = [&](ValueId v) { return is_static(rw.graph()[v].type.shape); };
    if (!std::ranges::all_of(n.operands, bound)) continue;
    Builder b{rw.graph(), n.locs};
    if (is_elementwise(n.op)) {
      std::vector<bool> nobody_else;
      for (const ValueId o : old[id].operands) nobody_else.push_back(readers[o].size() == 1 && !is_result[o]);
      if (const ValueId v = canonical_elementwise(b, n, nobody_else); v != kNoValue) rw.set(id, v);
    }
    if (n.op == Op::contract) rw.set(id, canonical_contract(b, n));
    if (info(n.op).cls == OpClass::reduce) rw.set(id, canonical_reduce(b, n));
    if (n.op == Op::unwindow) rw.set(id, canonical_unwindow(b, n));
    if (n.op == Op::scatter_add) rw.set(id, canonical_scatter(b, n));
    if (n.op == Op::concat && n.operands.size() > kMaxConcat) rw.set(id, canonical_concat(b, n));
  }
  return remove_dead(rw.finish());
}

}  // namespace weft

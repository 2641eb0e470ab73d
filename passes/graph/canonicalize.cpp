// Contractions of any rank to [b, m, k] x [b, k, n]; scatters to a list of indices; long concats to trees.
#include "passes/graph/canonicalize.h"

#include <algorithm>

#include "ir/graph/build.h"

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

ValueId canonical_contract(Builder& b, const Node& n) {
  const Dims &lhs = n.attrs[Attr::lhs], &rhs = n.attrs[Attr::rhs];
  const Dims &lb = n.attrs[Attr::lhs_batch], &rb = n.attrs[Attr::rhs_batch];
  const ValueId x = n.operands[0], y = n.operands[1];
  const Side left{x, lb, lhs, free_axes(b.type(x).shape.rank(), lhs, lb)};
  const Side right{y, rb, rhs, free_axes(b.type(y).shape.rank(), rhs, rb)};
  const Side l = merged(b, left, false), r = merged(b, right, true);
  const ValueId z = b.contract(l.value, r.value, l.contracted, r.contracted, l.batch, r.batch);
  return b.reshape(z, n.type.shape);
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

}  // namespace

Graph canonicalize(const Graph& old) {
  Rewriter rw(old);
  for (ValueId id : rw.live()) {
    const ValueId copy = rw.copy(id);
    const Node n = rw.graph()[copy];
    const auto bound = [&](ValueId v) { return is_static(rw.graph()[v].type.shape); };
    if (!std::ranges::all_of(n.operands, bound)) continue;
    Builder b{rw.graph(), n.locs};
    if (n.op == Op::contract) rw.set(id, canonical_contract(b, n));
    if (n.op == Op::scatter_add) rw.set(id, canonical_scatter(b, n));
    if (n.op == Op::concat && n.operands.size() > kMaxConcat) rw.set(id, canonical_concat(b, n));
  }
  return remove_dead(rw.finish());
}

}  // namespace weft

// Gradients of ops that move elements: each is the adjoint (transpose) of a linear map that copies or drops elements.
#include "passes/graph/gradients.h"

namespace weft {
namespace {

ValueId zeros(Builder& b, const Type& type) { return b.fill(type, 0); }

/// y = x[start], x[start + stride], … along `axis`; puts the elements of `g` back to their places in an axis of
/// `extent`, zeros between them. With room for one more axis this is a view: [n] -> [n, 1] -> [n, stride] -> [n *
/// stride].
ValueId unslice_strided(Builder& b, ValueId g, int axis, std::int64_t start, std::int64_t stride, std::int64_t extent) {
  const Shape shape = b.type(g).shape;
  const DType dtype = b.type(g).dtype;
  const std::int64_t n = shape[axis];
  Shape split = shape;
  if (n == 0 || shape.rank() == kMaxRank) {
    std::vector<std::int64_t> index;
    for (std::int64_t i = 0; i < n; ++i) index.push_back(start + i * stride);
    const ValueId places = b.g.constant(Array::from(index, {n}), b.locs);
    split[axis] = extent;
    return b.op(Op::scatter_add, {zeros(b, {dtype, split}), places, g}, {{Dims{axis}}, {}});
  }
  split.insert(axis + 1, 1);
  Dims low = Dims::filled(split.rank(), 0), high = low;
  high[axis + 1] = stride - 1;
  const ValueId spread = b.op(Op::pad, {b.reshape(g, split), b.scalar(dtype, 0)}, {{low, high}, {}});
  Shape joined = shape;
  joined[axis] = n * stride;
  ValueId v = b.reshape(spread, joined);
  Dims from = Dims::filled(shape.rank(), 0), limit = joined, step = Dims::filled(shape.rank(), 1);
  limit[axis] = std::min(n * stride, extent - start);  // the zeros after the last element may reach beyond the axis
  if (limit[axis] < n * stride) v = b.op(Op::slice, {v}, {{from, limit, step}, {}});
  Dims before = from, after = from;
  before[axis] = start;
  after[axis] = extent - start - limit[axis];
  if (!before[axis] && !after[axis]) return v;
  return b.op(Op::pad, {v, b.scalar(dtype, 0)}, {{before, after}, {}});
}

ValueId slice_of(Builder& b, ValueId x, const Dims& start, const Dims& limit) {
  return b.op(Op::slice, {x}, {{start, limit, Dims::filled(start.rank(), 1)}, {}});
}

}  // namespace

ValueId sum_axes(Builder& b, ValueId x, const Dims& axes) {
  for (int end = axes.rank(); end > 0;) {
    int begin = end - 1;  // axes[begin, end) is a run of neighbours that can be merged into one
    auto mergeable = [&](int i) { return b.type(x).shape[static_cast<int>(axes[i])] != kBatch; };
    while (begin > 0 && axes[begin - 1] == axes[begin] - 1 && mergeable(begin) && mergeable(begin - 1)) --begin;
    const int axis = static_cast<int>(axes[begin]);
    if (end - begin > 1) {
      Shape merged = b.type(x).shape;
      for (int i = begin + 1; i < end; ++i) {
        merged[axis] *= merged[axis + 1];
        merged.erase(axis + 1);
      }
      x = b.reshape(x, merged);
    }
    x = b.reduce(Op::reduce_sum, x, axis);
    end = begin;
  }
  return x;
}

ValueId grad::broadcast(Builder& b, const GradientArgs& a, std::size_t) {
  const Shape from = b.type(a.operands[0]).shape, to = b.type(a.y).shape;
  Dims repeated, kept;  // axes of y that repeat x; axes of x that they leave
  for (int i = 0, x = 0; i < to.rank(); ++i) {
    const bool given = x < from.rank() && a.attrs.dims[0][x] == i;
    if (given && from[x] == to[i])
      kept.push_back(x);
    else
      repeated.push_back(i);
    x += given;
  }
  return b.broadcast(sum_axes(b, a.g, repeated), from, kept);  // brings back the axes of extent 1
}

ValueId grad::reshape(Builder& b, const GradientArgs& a, std::size_t) {
  const Shape shape = b.type(a.operands[0]).shape;
  return b.reshape(a.g, shape);
}

ValueId grad::transpose(Builder& b, const GradientArgs& a, std::size_t) {
  const Dims& perm = a.attrs.dims[0];
  Dims inverse = perm;
  for (int i = 0; i < perm.rank(); ++i) inverse[static_cast<int>(perm[i])] = i;
  return b.transpose(a.g, inverse);
}

ValueId grad::slice(Builder& b, const GradientArgs& a, std::size_t) {
  const Type x = b.type(a.operands[0]);
  const Dims &start = a.attrs.dims[0], &stride = a.attrs.dims[2];
  ValueId g = a.g;
  Dims low = Dims::filled(x.shape.rank(), 0), high = low;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (x.shape[i] == kBatch) continue;
    if (stride[i] > 1) {
      g = unslice_strided(b, g, i, start[i], stride[i], x.shape[i]);
    } else {
      low[i] = start[i];
      high[i] = x.shape[i] - start[i] - b.type(g).shape[i];
    }
  }
  const Dims none = Dims::filled(x.shape.rank(), 0);
  if (low == none && high == none) return g;
  return b.op(Op::pad, {g, b.scalar(x.dtype, 0)}, {{low, high}, {}});
}

ValueId grad::pad(Builder& b, const GradientArgs& a, std::size_t i) {
  const Type x = b.type(a.operands[0]);
  const Dims &low = a.attrs.dims[0], &high = a.attrs.dims[1];
  if (i == 0) {
    Dims limit = x.shape;
    for (int d = 0; d < limit.rank(); ++d)
      if (limit[d] != kBatch) limit[d] += low[d];
    return slice_of(b, a.g, low, limit);
  }
  const ValueId added = b.op(Op::pad, {b.fill({boolean, x.shape}, 0), b.scalar(boolean, 1)}, {{low, high}, {}});
  const ValueId outside = b.select(added, a.g, b.like(a.g, 0));
  return sum_axes(b, outside, Dims::iota(x.shape.rank()));
}

ValueId grad::concat(Builder& b, const GradientArgs& a, std::size_t i) {
  const int axis = static_cast<int>(a.attrs.dims[0][0]);
  const Shape shape = b.type(a.operands[i]).shape;
  Dims start = Dims::filled(shape.rank(), 0), limit = shape;
  if (a.known.empty()) {  // where each operand begins
    std::int64_t end = 0;
    for (ValueId v : a.operands) a.known.push_back(std::exchange(end, end + b.type(v).shape[axis]));
  }
  start[axis] = a.known[i];
  limit[axis] += start[axis];
  return slice_of(b, a.g, start, limit);
}

ValueId grad::gather(Builder& b, const GradientArgs& a, std::size_t) {
  const Type x = b.type(a.operands[0]);
  return b.op(Op::scatter_add, {zeros(b, x), a.operands[1], a.g}, a.attrs);
}

ValueId grad::scatter_add(Builder& b, const GradientArgs& a, std::size_t i) {
  return i == 0 ? a.g : b.op(Op::gather, {a.g, a.operands[1]}, a.attrs);
}

}  // namespace weft

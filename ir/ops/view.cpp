// The ops that move elements: what each infers, gives and hands back. A gradient is the adjoint (transpose) of a linear
// map that copies or drops elements.
#include <algorithm>

#include "ir/base/strided.h"
#include "ir/ops/index.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"

namespace weft {
using namespace infer;
namespace {

/// Copies x into y, whose element for x's index is at start + sum of index[d] * strides[d].
void place(const Array& x, Array& y, std::int64_t start, const Dims& strides) {
  visit_dtype(x.dtype(), [&](auto zero) {
    const auto* from = x.as<decltype(zero)>().data();
    auto* to = y.as<decltype(zero)>().data();
    for_each_offset(x.shape(), start, strides, [&](std::int64_t i, std::int64_t offset) { to[offset] = from[i]; });
  });
}

ValueId slice_of(NodeBuilder& b, ValueId x, const Dims& start, const Dims& limit) {
  return b.slice(x, start, limit, Dims::filled(start.rank(), 1));
}

/// What a pad puts elements of x apart along axis d: 1, and those between them.
std::int64_t step_of(const Attrs& pad, int d) { return pad[Attr::interior].empty() ? 1 : pad[Attr::interior][d] + 1; }
/// From the first of n elements to the last.
std::int64_t spread(std::int64_t n, std::int64_t step) { return n == 0 ? 0 : (n - 1) * step + 1; }

}  // namespace

Type infer::broadcast(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Shape& out = a.declared->shape;
  const Dims& axes = a.attrs[Attr::axes];
  if (a.declared->dtype != x.dtype)
    fail("keeps the dtype, but {} is declared as {}", to_string(x), to_string(*a.declared));
  require_rank(a, Attr::axes, x.shape.rank());
  require_axes(a, Attr::axes, out);
  for (int i = 0; i < axes.rank(); ++i) {
    if (i && axes[i] <= axes[i - 1]) fail("axes={} must increase; transpose first", list_text(axes));
    if (x.shape[i] != 1 && x.shape[i] != out[static_cast<int>(axes[i])])
      fail("cannot repeat {} along axes {} to {}: extent {} must be 1 or {}", to_string(x), list_text(axes),
           to_string(out), x.shape[i], out[static_cast<int>(axes[i])]);
  }
  return checked(*a.declared);
}

Array eval::broadcast(const EvalArgs& a) {
  const Array& x = a.operands[0];
  if (element_count(a.result.shape) == 0) return Array(a.result);
  const Dims x_strides = row_major_strides(x.shape());
  Dims strides = Dims::filled(a.result.shape.rank(), 0);
  for (int i = 0; i < x.shape().rank(); ++i)
    if (x.shape()[i] != 1) strides[static_cast<int>(a.attrs[Attr::axes][i])] = x_strides[i];
  return strided_copy(x, a.result.shape, 0, strides);
}

ExprId element::broadcast(const ElementArgs& a) {
  const Shape& from = a.types[0].shape;
  std::vector<Index> at(static_cast<std::size_t>(from.rank()));
  for (int i = 0; i < from.rank(); ++i)
    if (from[i] != 1) at[static_cast<std::size_t>(i)] = a.index[static_cast<std::size_t>(a.attrs[Attr::axes][i])];
  return a.operand(0, at);
}

ValueId grad::broadcast(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const Shape from = b.type(a.operands[0]).shape, to = b.type(a.y).shape;
  Dims repeated, kept;  // axes of y that repeat x; axes of x that they leave
  for (int i = 0, x = 0; i < to.rank(); ++i) {
    const bool given = x < from.rank() && a.attrs[Attr::axes][x] == i;
    if (given && from[x] == to[i])
      kept.push_back(x);
    else
      repeated.push_back(i);
    x += given;
  }
  return b.broadcast(b.sum(a.g, repeated), from, kept);  // brings back the axes of extent 1
}

Type infer::reshape(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Type& y = *a.declared;
  if (y.dtype != x.dtype) fail("keeps the dtype, but {} is declared as {}", to_string(x), to_string(y));
  Shape from = x.shape, to = y.shape;
  while (!is_static(from) || !is_static(to))
    if (!erase_leading_symbol(from, to))
      fail(
          "cannot reshape {} to {}: the batch axis must stay in front, and other unbound axes as they follow each "
          "other",
          to_string(x), to_string(y.shape));
  if (element_count(from) != element_count(to))
    fail("cannot reshape {} to {}: {} into {}", to_string(x), to_string(y.shape),
         counted(element_count(from), "element"), element_count(to));
  return checked(y);
}

Array eval::reshape(const EvalArgs& a) { return a.operands[0].reshaped(a.result.shape); }

ExprId element::reshape(const ElementArgs& a) {
  return a.operand(0, a.b.reshaped(a.types[0].shape, a.result.shape, a.index));
}

ValueId grad::reshape(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const Shape shape = b.type(a.operands[0]).shape;
  return b.reshape(a.g, shape);
}

Type infer::transpose(const InferArgs& a) {
  const Type& x = a.operands[0];
  require_rank(a, Attr::perm, x.shape.rank());
  require_axes(a, Attr::perm, x.shape);
  Type y = x;
  for (int i = 0; i < x.shape.rank(); ++i) y.shape[i] = x.shape[static_cast<int>(a.attrs[Attr::perm][i])];
  return y;
}

Array eval::transpose(const EvalArgs& a) {
  if (element_count(a.result.shape) == 0) return Array(a.result);
  const Dims x_strides = row_major_strides(a.operands[0].shape());
  Dims strides;
  for (std::int64_t d : a.attrs[Attr::perm]) strides.push_back(x_strides[static_cast<int>(d)]);
  return strided_copy(a.operands[0], a.result.shape, 0, strides);
}

ExprId element::transpose(const ElementArgs& a) {
  std::vector<Index> at(a.index.size());
  for (std::size_t d = 0; d < at.size(); ++d)
    at[static_cast<std::size_t>(a.attrs[Attr::perm][static_cast<int>(d)])] = a.index[d];
  return a.operand(0, at);
}

ValueId grad::transpose(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const Dims& perm = a.attrs[Attr::perm];
  Dims inverse = perm;
  for (int i = 0; i < perm.rank(); ++i) inverse[static_cast<int>(perm[i])] = i;
  return b.transpose(a.g, inverse);
}

Type infer::slice(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Dims &start = a.attrs[Attr::start], &limit = a.attrs[Attr::limit], &stride = a.attrs[Attr::stride];
  for (Attr name : {Attr::start, Attr::limit, Attr::stride}) require_rank(a, name, x.shape.rank());
  Type y = x;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (is_symbol(x.shape[i])) {
      if (start[i] != 0 || limit[i] != x.shape[i] || stride[i] != 1)
        fail("cannot slice the unbound {}axis of {}", x.shape[i] == kBatch ? "batch " : "", to_string(x));
      continue;
    }
    if (start[i] < 0 || limit[i] < start[i] || limit[i] > x.shape[i] || stride[i] < 1)
      fail("start {}, limit {}, stride {} do not fit axis {} of {}: expected 0 <= start <= limit <= {} and stride >= 1",
           start[i], limit[i], stride[i], i, to_string(x), x.shape[i]);
    y.shape[i] = limit[i] == start[i] ? 0 : (limit[i] - start[i] - 1) / stride[i] + 1;
  }
  return y;
}

Array eval::slice(const EvalArgs& a) {
  if (element_count(a.result.shape) == 0) return Array(a.result);
  const Dims &start = a.attrs[Attr::start], &stride = a.attrs[Attr::stride];
  const Dims x_strides = row_major_strides(a.operands[0].shape());
  Dims strides = Dims::filled(x_strides.rank(), 0);
  std::int64_t first = 0;
  for (int d = 0; d < x_strides.rank(); ++d) {
    first += start[d] * x_strides[d];
    if (a.result.shape[d] > 1) strides[d] = stride[d] * x_strides[d];  // a lone element's stride may be huge
  }
  return strided_copy(a.operands[0], a.result.shape, first, strides);
}

ExprId element::slice(const ElementArgs& a) {
  const Dims &start = a.attrs[Attr::start], &stride = a.attrs[Attr::stride];
  std::vector<Index> at;
  for (int d = 0; d < start.rank(); ++d)
    at.push_back(sum(constant_index(start[d]), a.b.times(a.index[static_cast<std::size_t>(d)], stride[d])));
  return a.operand(0, at);
}

ValueId grad::slice(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const Type x = b.type(a.operands[0]);
  const Dims &start = a.attrs[Attr::start], &stride = a.attrs[Attr::stride];
  const Shape y = b.type(a.y).shape;
  if (y == x.shape) return a.g;
  const Dims none = Dims::filled(x.shape.rank(), 0);
  Dims low = none, high = none, interior = none;
  for (int i = 0; i < x.shape.rank(); ++i) {
    if (is_symbol(x.shape[i])) continue;
    low[i] = start[i];
    interior[i] = y[i] > 1 ? stride[i] - 1 : 0;  // the stride of a lone element may be huge
    high[i] = x.shape[i] - start[i] - spread(y[i], interior[i] + 1);
  }
  return b.pad(a.g, b.scalar(x.dtype, 0), low, high, interior);
}

Type infer::pad(const InferArgs& a) {
  const Type& x = a.operands[0];
  if (!(a.operands[1] == Type{x.dtype, {}}))
    fail("the pad value must be {}[], found {}", name(x.dtype), to_string(a.operands[1]));
  const Dims &low = a.attrs[Attr::low], &high = a.attrs[Attr::high], &interior = a.attrs[Attr::interior];
  for (Attr name : {Attr::low, Attr::high}) require_rank(a, name, x.shape.rank());
  if (!interior.empty()) require_rank(a, Attr::interior, x.shape.rank());
  Type y = x;
  for (int i = 0; i < x.shape.rank(); ++i) {
    const std::int64_t between = interior.empty() ? 0 : interior[i];
    if (low[i] < 0 || high[i] < 0)
      fail("low={} and high={} must not be negative; slice to remove elements", list_text(low), list_text(high));
    if (between < 0) fail("interior={} must not be negative", list_text(interior));
    constexpr std::int64_t kMost = std::int64_t{1} << 46;
    if (low[i] > kMost || high[i] > kMost) fail("low={} or high={} is too large", list_text(low), list_text(high));
    const bool unbound = is_symbol(x.shape[i]);
    if (unbound && (low[i] || high[i] || between))
      fail("cannot pad the unbound {}axis of {}", x.shape[i] == kBatch ? "batch " : "", to_string(x));
    if (unbound) continue;
    if (between > kMost || between + 1 > kMost / std::max<std::int64_t>(1, x.shape[i]))
      fail("interior={} is too large", list_text(interior));
    y.shape[i] = low[i] + spread(x.shape[i], between + 1) + high[i];
  }
  return checked(y);
}

Array eval::pad(const EvalArgs& a) {
  const Array &x = a.operands[0], &v = a.operands[1];
  Array y(a.result);
  if (y.size() == 0) return y;
  visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::ranges::fill(y.as<T>(), v.item<T>());
  });
  if (x.size() == 0) return y;
  Dims strides = row_major_strides(a.result.shape);
  std::int64_t first = 0;
  for (int d = 0; d < strides.rank(); ++d) {
    first += a.attrs[Attr::low][d] * strides[d];
    strides[d] *= x.shape()[d] > 1 ? step_of(a.attrs, d) : 1;
  }
  place(x, y, first, strides);
  return y;
}

ExprId element::pad(const ElementArgs& a) {
  const Dims &low = a.attrs[Attr::low], &high = a.attrs[Attr::high];
  std::vector<Index> at = a.index;
  ExprId inside = kNone;
  for (int d = 0; d < low.rank(); ++d) {
    Index& i = at[static_cast<std::size_t>(d)];
    i.offset -= low[d];
    const std::int64_t step = step_of(a.attrs, d);
    if (low[d] || high[d] || step > 1) inside = a.b.both(inside, a.b.spread(i, step, a.types[0].shape[d]));
  }
  const ExprId x = a.b.value(a.operands[0], at, a.b.both(a.predicate, inside));
  return inside == kNone ? x : a.b.op(Op::select, a.result.dtype, {inside, x, a.operand(1, {})});
}

ValueId grad::pad(NodeBuilder& b, const GradientArgs& a, std::size_t i) {
  const Type x = b.type(a.operands[0]);
  const Dims low = a.attrs[Attr::low], high = a.attrs[Attr::high], interior = a.attrs[Attr::interior];
  if (i == 0) {
    Dims limit = x.shape, stride;
    for (int d = 0; d < limit.rank(); ++d) {
      stride.push_back(step_of(a.attrs, d));
      if (!is_symbol(limit[d])) limit[d] = low[d] + spread(limit[d], stride[d]);
    }
    return b.slice(a.g, low, limit, stride);
  }
  const ValueId added = b.pad(b.fill({boolean, x.shape}, 0), b.scalar(boolean, 1), low, high, interior);
  const ValueId outside = b.select(added, a.g, b.like(a.g, 0));
  return b.sum(outside, Dims::iota(x.shape.rank()));
}

Type infer::concat(const InferArgs& a) {
  Type y = a.operands[0];
  const int axis = axis_of(a, y.shape.rank());
  for (const Type& x : a.operands)
    if (axis < x.shape.rank() && is_symbol(x.shape[axis]))
      fail("cannot concat along the unbound {}axis of {}", x.shape[axis] == kBatch ? "batch " : "", to_string(x));
  for (std::size_t i = 1; i < a.operands.size(); ++i) {
    const Type& x = a.operands[i];
    if (x.dtype != y.dtype || x.shape.rank() != y.shape.rank() || !(without(x.shape, axis) == without(y.shape, axis)))
      fail("operand 0 is {} and operand {} is {}: expected equal dtypes and equal extents off axis {}",
           to_string(a.operands[0]), i, to_string(x), axis);
    y.shape[axis] += x.shape[axis];
  }
  return checked(y);
}

Array eval::concat(const EvalArgs& a) {
  Array y(a.result);
  if (y.size() == 0) return y;
  const int axis = a.attrs.axis();
  const Dims y_strides = row_major_strides(a.result.shape);
  std::int64_t at = 0;
  for (const Array& x : a.operands) {
    place(x, y, at * y_strides[axis], y_strides);
    at += x.shape()[axis];
  }
  return y;
}

/// select(i < end0, x0, select(i < end1, x1, …)), each operand loaded only inside its own range.
ExprId element::concat(const ElementArgs& a) {
  const auto axis = static_cast<std::size_t>(a.attrs.axis());
  std::vector<std::pair<ExprId, ExprId>> parts;  // (i < end, value)
  std::int64_t begin = 0;
  for (std::size_t o = 0; o < a.operands.size(); ++o) {
    const std::int64_t extent = a.types[o].shape[static_cast<int>(axis)];
    if (extent == 0) continue;
    std::vector<Index> at = a.index;
    at[axis].offset -= begin;
    const ExprId inside = a.b.in_range(a.b.index_value(at[axis]), extent);
    begin += extent;
    const ExprId before_end = a.b.op(Op::lt, boolean, {a.b.index_value(a.index[axis]), a.b.integer(begin)});
    parts.emplace_back(before_end, a.b.value(a.operands[o], at, a.b.both(a.predicate, inside)));
  }
  if (parts.empty()) return a.b.constant(a.result.dtype, 0);
  ExprId result = parts.back().second;
  for (std::size_t i = parts.size() - 1; i-- > 0;)
    result = a.b.op(Op::select, a.result.dtype, {parts[i].first, parts[i].second, result});
  return result;
}

ValueId grad::concat(NodeBuilder& b, const GradientArgs& a, std::size_t i) {
  const int axis = a.attrs.axis();
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

}  // namespace weft

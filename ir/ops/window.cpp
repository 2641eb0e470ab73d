// Windows: views that convolutions and pooling read through, their adjoints, and axes read backwards.
//
//   y = window(x):   y[…, o, …, k] = x[…, o * stride + k * dilation, …]
//   x = unwindow(y): x[…, i, …] = sum of y[…, o, …, k] where o * stride + k * dilation = i
#include <algorithm>

#include "ir/base/strided.h"
#include "ir/ops/index.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"

namespace weft {
using namespace infer;
namespace {

/// The windows along one axis: `count` of `size` elements each.
struct Windows {
  int axis;
  std::int64_t size, stride, dilation, count = 0;
  std::int64_t span() const { return (size - 1) * dilation + 1; }         ///< of the axis, by one window
  std::int64_t covered() const { return (count - 1) * stride + span(); }  ///< by all of them
  /// The elements of all windows lie as far apart as those of one, and no two windows share any.
  bool is_tile() const { return size == 1 || count == 1 || (dilation == 1 && stride == size); }
};

/// What the attributes say of window number i; lists that are empty have a 1 for each.
Windows windows(const Attrs& attrs, int i, std::int64_t size) {
  const auto entry = [&](Attr name) { return attrs[name].empty() ? 1 : attrs[name][i]; };
  return {static_cast<int>(attrs[Attr::axes][i]), size, entry(Attr::stride), entry(Attr::dilation)};
}

void require_steps(const InferArgs& a) {
  for (const Attr name : {Attr::stride, Attr::dilation}) {
    const Dims& list = a.attrs[name];
    if (list.empty()) continue;
    if (list.rank() != a.attrs[Attr::axes].rank())
      fail("{}={} needs an entry for each of axes={}", weft::name(name), list_text(list),
           list_text(a.attrs[Attr::axes]));
    for (const std::int64_t step : list)
      if (step < 1) fail("{}={} must be positive", weft::name(name), list_text(list));
  }
}

/// Those of y = window(x), with counts. The steps of a lone window, or a lone element, which may be huge, are 1.
std::vector<Windows> windows_of(const Attrs& attrs, const Shape& x, const Shape& y) {
  std::vector<Windows> all;
  for (int i = 0; i < attrs[Attr::axes].rank(); ++i) {
    Windows w = windows(attrs, i, y[x.rank() + i]);
    w.count = y[w.axis];
    if (w.count == 1) w.stride = 1;
    if (w.size == 1) w.dilation = 1;
    all.push_back(w);
  }
  return all;
}

void require_fit(const Windows& w, std::int64_t extent, const Type& x) {
  if (extent < 1 || w.size - 1 > (extent - 1) / w.dilation)
    fail("a window of {}{} does not fit axis {} of {}, which has {}", counted(w.size, "element"),
         w.dilation == 1 ? "" : fmt::format(", {} apart,", w.dilation), w.axis, to_string(x), extent);
}

/// The strides with which y = window(x) reads x.
Dims window_strides(const Attrs& attrs, const Shape& x, const Shape& y) {
  const Dims steps = row_major_strides(x);
  Dims strides = steps;
  for (const Windows& w : windows_of(attrs, x, y)) {
    strides.push_back(steps[w.axis] * w.dilation);
    strides[w.axis] *= w.stride;
  }
  return strides;
}

/// x's gradient where all windows are tiles: views of that of the windows.
ValueId side_by_side(NodeBuilder& b, const Type& x, const std::vector<Windows>& all, ValueId g) {
  const Shape y = b.type(g).shape;
  Dims perm;  // the axis of each window behind that of its number
  Shape joined = x.shape;
  Dims high = Dims::filled(x.shape.rank(), 0), interior = high;
  for (int d = 0; d < x.shape.rank(); ++d) {
    perm.push_back(d);
    joined[d] = y[d];
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Windows& w = all[i];
      if (w.axis != d) continue;
      perm.push_back(x.shape.rank() + static_cast<int>(i));
      joined[d] = w.count * w.size;
      interior[d] = (w.size == 1 ? w.stride : w.count == 1 ? w.dilation : 1) - 1;
      high[d] = x.shape[d] - w.covered();
    }
  }
  const Dims low = Dims::filled(x.shape.rank(), 0);
  const ValueId v = b.reshape(b.transpose(g, perm), joined);
  return joined == x.shape ? v : b.pad(v, b.scalar(x.dtype, 0), low, high, interior);
}

/// x's gradient, where that of its windows is a contraction p[…, o, …, c] * q[…, k, …, c]: contractions with p's
/// windows, so that no window's gradient is stored. With one window at each place,
///   dx[i] = sum over o + k * dilation = i, c of p[o, c] q[k, c]
///         = sum over j, c of P[i + j * dilation, c] q[size - 1 - j, c],
/// P being p with zeros around it. Of windows that lie s apart, dx[s * i + r] is that with each s-th place of q, from r
/// on.
class Correlation {
 public:
  /// False: the gradient g is none of that form.
  bool find(NodeBuilder& b, const Type& x, const std::vector<Windows>& all, ValueId g) {
    NodeView n = b.node(g);
    place_ = Dims::iota(b.type(g).shape.rank());
    if (n.op == Op::transpose) place_ = n.attrs[Attr::perm], n = b.node(n.operands[0]);
    if (n.op != Op::contract || all.empty()) return false;
    const Dims &lhs = n.attrs[Attr::lhs], &rhs = n.attrs[Attr::rhs];
    const Dims &lb = n.attrs[Attr::lhs_batch], &rb = n.attrs[Attr::rhs_batch];
    const ValueId l = n.operands[0], r = n.operands[1];
    const Dims m = free_axes(b.type(l).shape.rank(), lhs, lb), free = free_axes(b.type(r).shape.rank(), rhs, rb);
    const int first_m = lb.rank(), first_n = first_m + m.rank();
    left_ = place(all[0].axis) < first_n;
    p_ = left_ ? l : r, q_ = left_ ? r : l;
    p_folded_ = left_ ? lhs : rhs, q_folded_ = left_ ? rhs : lhs, p_batch_ = left_ ? lb : rb,
    q_batch_ = left_ ? rb : lb;
    int pieces = 1;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Windows& w = all[i];
      const int o = place(w.axis), k = place(x.shape.rank() + static_cast<int>(i));
      const bool o_left = o >= first_m && o < first_n, k_left = k >= first_m && k < first_n;
      if (o < first_m || k < first_m || o_left != left_ || k_left == left_) return false;
      if (w.stride > 1 && w.stride >= w.span()) return false;  // most products would be with zeros
      if (w.stride > 1 && (w.dilation > 1 || (pieces *= static_cast<int>(w.stride)) > kMostPieces)) return false;
      p_axes_.push_back(left_ ? m[o - first_m] : free[o - first_n]);
      q_axes_.push_back(left_ ? free[k - first_n] : m[k - first_m]);
      folded_.push_back(k);
    }
    x_ = x, all_ = all;
    return pieces == 1 || x.shape.rank() < kMaxRank;
  }

  /// dx at the phases given, of the windows along the first axes.
  ValueId build(NodeBuilder& b, Dims phases = {}) const {
    const auto i = static_cast<std::size_t>(phases.rank());
    if (i == all_.size()) return piece(b, phases);
    const Windows& w = all_[i];
    std::vector<ValueId> pieces;
    for (std::int64_t r = 0; r < w.stride; ++r) {
      phases.push_back(r);
      pieces.push_back(build(b, phases));
      phases.erase(phases.rank() - 1);
    }
    if (w.stride == 1) return pieces[0];
    Shape apart = b.type(pieces[0]).shape, joined = apart;
    joined[w.axis] *= w.stride;
    apart.insert(w.axis + 1, 1);
    for (ValueId& v : pieces) v = b.reshape(v, apart);
    const ValueId all = b.reshape(b.op(Op::concat, pieces, Attrs::axis(w.axis + 1)), joined);
    Shape limit = joined;
    limit[w.axis] = x_.shape[w.axis];
    if (limit == joined) return all;
    return b.slice(all, Dims::filled(limit.rank(), 0), limit, Dims::filled(limit.rank(), 1));
  }

 private:
  static constexpr int kMostPieces = 16;
  int place(int axis) const { return static_cast<int>(place_[axis]); }  // of g's axis in the contraction's result

  /// dx at places stride * i + phase along each axis.
  ValueId piece(NodeBuilder& b, const Dims& phases) const {
    const Shape p = b.type(p_).shape, q = b.type(q_).shape;
    Dims sizes, dilations, low = Dims::filled(p.rank(), 0), high = low;
    Dims start = Dims::filled(q.rank(), 0), stride = Dims::filled(q.rank(), 1);
    Shape shape = x_.shape;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const Windows& w = all_[i];
      const auto index = static_cast<int>(i);
      const int at = static_cast<int>(p_axes_[index]), k = static_cast<int>(q_axes_[index]);
      shape[w.axis] = (x_.shape[w.axis] + w.stride - 1) / w.stride;
      sizes.push_back(std::max<std::int64_t>(0, (w.size - phases[index] + w.stride - 1) / w.stride));
      dilations.push_back(w.dilation);
      start[k] = std::min(phases[index], w.size), stride[k] = w.stride;
      low[at] = (sizes[index] - 1) * w.dilation;
      high[at] = shape[w.axis] - w.count;
    }
    if (std::ranges::count(sizes, 0)) return b.fill({x_.dtype, shape}, 0);
    const ValueId around = b.window(b.pad(p_, b.scalar(x_.dtype, 0), low, high), p_axes_, sizes, {}, dilations);
    const bool is_whole = stride == Dims::filled(q.rank(), 1);
    const ValueId taps = is_whole ? q_ : b.slice(q_, start, q, stride);
    const ValueId turned = b.op(Op::reverse, {taps}, {{Attr::axes, q_axes_}});
    Dims p_folded, q_folded = q_axes_;
    for (int i = 0; i < p_axes_.rank(); ++i) p_folded.push_back(p.rank() + i);
    for (const std::int64_t a : p_folded_) p_folded.push_back(a);
    for (const std::int64_t a : q_folded_) q_folded.push_back(a);
    const ValueId d = left_ ? b.contract(around, turned, p_folded, q_folded, p_batch_, q_batch_)
                            : b.contract(turned, around, q_folded, p_folded, q_batch_, p_batch_);
    Dims perm;
    for (int axis = 0; axis < x_.shape.rank(); ++axis) {
      std::int64_t at = place(axis);
      for (const std::int64_t k : folded_) at -= k < place(axis);
      perm.push_back(at);
    }
    return b.transpose(d, perm);
  }

  Type x_;
  std::vector<Windows> all_;
  Dims place_;
  bool left_ = true;  // p is the left operand
  ValueId p_ = kNoValue, q_ = kNoValue;
  Dims p_axes_, q_axes_, p_folded_, q_folded_, p_batch_, q_batch_;
  Dims folded_;  // axes of g's contraction that those of a piece no longer have
};

}  // namespace

Type infer::window(const InferArgs& a) {
  const Type& x = a.operands[0];
  const Dims &axes = a.attrs[Attr::axes], &size = a.attrs[Attr::size];
  require_axes(a, Attr::axes, x.shape);
  if (size.rank() != axes.rank()) fail("size={} needs an entry for each of axes={}", list_text(size), list_text(axes));
  require_steps(a);
  Type y = x;
  for (int i = 0; i < axes.rank(); ++i) {
    Windows w = windows(a.attrs, i, size[i]);
    const std::int64_t extent = x.shape[w.axis];
    if (is_symbol(extent))
      fail("no window along the unbound {}axis of {}", extent == kBatch ? "batch " : "", to_string(x));
    if (w.size < 1) fail("size={} must be positive", list_text(size));
    require_fit(w, extent, x);
    y.shape[w.axis] = (extent - w.span()) / w.stride + 1;
    y.shape.push_back(w.size);
  }
  return checked(y);
}

Array eval::window(const EvalArgs& a) {
  const Array& x = a.operands[0];
  if (element_count(a.result.shape) == 0) return Array(a.result);
  return strided_copy(x, a.result.shape, 0, window_strides(a.attrs, x.shape(), a.result.shape));
}

ExprId element::window(const ElementArgs& a) {
  const Shape& x = a.types[0].shape;
  std::vector<Index> at(a.index.begin(), a.index.begin() + x.rank());
  int k = x.rank();
  for (const Windows& w : windows_of(a.attrs, x, a.result.shape)) {
    Index& i = at[static_cast<std::size_t>(w.axis)];
    i = a.b.plus(a.b.times(i, w.stride), a.b.times(a.index[static_cast<std::size_t>(k++)], w.dilation));
  }
  return a.operand(0, at);
}

ValueId grad::window(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const Type x = b.type(a.operands[0]);
  const Attrs attrs = a.attrs;
  if (attrs[Attr::axes].empty()) return a.g;
  const std::vector<Windows> all = windows_of(attrs, x.shape, b.type(a.y).shape);
  if (std::ranges::all_of(all, &Windows::is_tile)) return side_by_side(b, x, all, a.g);
  if (Correlation c; c.find(b, x, all, a.g)) return c.build(b);
  return b.op(
      Op::unwindow, {a.g},
      {{Attr::axes, attrs[Attr::axes]}, {Attr::stride, attrs[Attr::stride]}, {Attr::dilation, attrs[Attr::dilation]}},
      x);
}

Type infer::unwindow(const InferArgs& a) {
  const Type &x = a.operands[0], &y = *a.declared;
  const Dims& axes = a.attrs[Attr::axes];
  require_dtype(a, x.dtype);
  if (y.dtype != x.dtype) fail("keeps the dtype, but {} is declared as {}", to_string(x), to_string(y));
  if (x.shape.rank() != y.shape.rank() + axes.rank())
    fail("{} has {} axes; expected those of {} and one for each of axes={}", to_string(x), x.shape.rank(), to_string(y),
         list_text(axes));
  require_axes(a, Attr::axes, y.shape);
  require_steps(a);
  for (int d = 0; d < y.shape.rank(); ++d)
    if (!axes.contains(d) && x.shape[d] != y.shape[d])
      fail("axis {} of {} is {}, and of {} {}; only axes={} may differ", d, to_string(x), extent_text(x.shape[d]),
           to_string(y), extent_text(y.shape[d]), list_text(axes));
  for (int i = 0; i < axes.rank(); ++i) {
    Windows w = windows(a.attrs, i, x.shape[y.shape.rank() + i]);
    const std::int64_t extent = y.shape[w.axis];
    w.count = x.shape[w.axis];
    if (is_symbol(extent) || is_symbol(w.count) || is_symbol(w.size))
      fail("no windows along an unbound axis, of {} or {}", to_string(x), to_string(y));
    if (w.size < 1 || w.count < 1) fail("{} has no windows along axis {}", to_string(x), w.axis);
    require_fit(w, extent, y);
    if ((w.count - 1) > (extent - w.span()) / w.stride)
      fail("{} windows {} apart along axis {} of {} take more than its {}", w.count, w.stride, w.axis, to_string(y),
           counted(extent, "element"));
  }
  return checked(y);
}

Array eval::unwindow(const EvalArgs& a) {
  const Array& x = a.operands[0];
  Array y(a.result);
  if (y.size() == 0 || x.size() == 0) return y;
  const Dims strides = window_strides(a.attrs, a.result.shape, x.shape());
  visit_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* from = x.as<T>().data();
      T* to = y.as<T>().data();
      for_each_offset(x.shape(), 0, strides, [&](std::int64_t i, std::int64_t offset) {
        to[offset] = apply_binary(Op::add, to[offset], from[i]);
      });
    }
  });
  return y;
}

/// 0 + the elements in row-major order of the operand: windows ascend, so places in them descend. (The axes ascend, as
/// `canonicalize` leaves them.)
ExprId element::unwindow(const ElementArgs& a) {
  const Shape &y = a.result.shape, &x = a.types[0].shape;
  const std::vector<Windows> all = windows_of(a.attrs, y, x);
  std::int64_t places = 1;
  for (const Windows& w : all) places *= w.size;
  ExprId total = a.b.constant(a.result.dtype, 0);
  for (std::int64_t place = places; place-- > 0;) {
    std::vector<Index> at = a.index;
    at.resize(static_cast<std::size_t>(x.rank()));
    ExprId inside = kNone;
    std::int64_t left = place;
    for (std::size_t i = all.size(); i-- > 0;) {
      const Windows& w = all[i];
      const std::int64_t k = left % w.size;
      left /= w.size;
      Index& o = at[static_cast<std::size_t>(w.axis)];
      o.offset -= k * w.dilation;
      inside = a.b.both(inside, a.b.spread(o, w.stride, w.count));
      at[static_cast<std::size_t>(y.rank()) + i] = constant_index(k);
    }
    const ExprId e = a.b.value(a.operands[0], at, a.b.both(a.predicate, inside));
    const ExprId term =
        inside == kNone ? e : a.b.op(Op::select, a.result.dtype, {inside, e, a.b.constant(a.result.dtype, 0)});
    total = a.b.op(Op::add, a.result.dtype, {total, term});
  }
  return total;
}

ValueId grad::unwindow(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  const Shape x = b.type(a.operands[0]).shape, y = b.type(a.y).shape;
  const Attrs attrs = a.attrs;
  Dims size;
  for (int i = y.rank(); i < x.rank(); ++i) size.push_back(x[i]);
  const ValueId all = b.window(a.g, attrs[Attr::axes], size, attrs[Attr::stride], attrs[Attr::dilation]);
  const Shape found = b.type(all).shape;
  if (found == x) return all;  // else there was room for more windows
  return b.slice(all, Dims::filled(x.rank(), 0), x, Dims::filled(x.rank(), 1));
}

Type infer::reverse(const InferArgs& a) {
  const Type& x = a.operands[0];
  require_axes(a, Attr::axes, x.shape);
  for (const std::int64_t axis : a.attrs[Attr::axes])
    if (const std::int64_t extent = x.shape[static_cast<int>(axis)]; is_symbol(extent))
      fail("cannot reverse the unbound {}axis of {}", extent == kBatch ? "batch " : "", to_string(x));
  return x;
}

Array eval::reverse(const EvalArgs& a) {
  const Array& x = a.operands[0];
  if (x.size() == 0) return Array(a.result);
  Dims strides = row_major_strides(x.shape());
  std::int64_t first = 0;
  for (const std::int64_t axis : a.attrs[Attr::axes]) {
    const int d = static_cast<int>(axis);
    first += (x.shape()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  return strided_copy(x, x.shape(), first, strides);
}

ExprId element::reverse(const ElementArgs& a) {
  std::vector<Index> at = a.index;
  for (const std::int64_t axis : a.attrs[Attr::axes]) {
    Index& i = at[static_cast<std::size_t>(axis)];
    i = sum(constant_index(a.result.shape[static_cast<int>(axis)] - 1), a.b.times(i, -1));
  }
  return a.operand(0, at);
}

ValueId grad::reverse(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  return b.op(Op::reverse, {a.g}, {{Attr::axes, a.attrs[Attr::axes]}});
}

}  // namespace weft

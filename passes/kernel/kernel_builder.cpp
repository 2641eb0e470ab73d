// Graph values to kernel expressions.
#include "passes/kernel/kernel_builder.h"

#include <algorithm>
#include <cstring>

#include "passes/graph/placement.h"

namespace weft {
namespace {

void mix(std::size_t& h, std::uint64_t v) { h = (h ^ v) * 0xff51afd7ed558ccd, h ^= h >> 32; }

void mix(std::size_t& h, const Index& i) {
  for (auto [axis, coefficient] : i.terms)
    mix(h, static_cast<std::uint64_t>(axis) << 48 ^ static_cast<std::uint64_t>(coefficient));
  mix(h, static_cast<std::uint64_t>(i.offset));
  mix(h, static_cast<std::uint64_t>(i.indirect) + 77);
}

std::uint64_t bits_of(const Array& a) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, a.data(), size_of(a.dtype()));
  return bits;
}

}  // namespace

std::size_t KernelBuilder::KeyHash::operator()(const Key& k) const {
  std::size_t h = k.value;
  for (const Index& i : k.index) mix(h, i);
  mix(h, static_cast<std::uint64_t>(k.predicate));
  return h;
}

AxisId KernelBuilder::axis(std::string name, std::int64_t extent) {
  kernel.axes.push_back({std::move(name), extent});
  return static_cast<AxisId>(kernel.axes.size() - 1);
}

std::vector<Index> KernelBuilder::axes(const Shape& shape, std::string_view prefix) {
  std::vector<Index> index;
  for (int i = 0; i < shape.rank(); ++i)
    index.push_back(shape[i] == 1 ? constant_index(0) : axis_index(axis(fmt::format("{}{}", prefix, i), shape[i])));
  return index;
}

ExprId KernelBuilder::add(Expr e) {
  std::size_t h =
      static_cast<std::size_t>(e.kind) << 16 ^ static_cast<std::size_t>(e.op) << 8 ^ static_cast<std::size_t>(e.dtype);
  for (ExprId a : e.args) mix(h, static_cast<std::uint64_t>(a));
  mix(h, e.bits);
  mix(h, static_cast<std::uint64_t>(e.buffer));
  for (const Index& i : e.access) mix(h, i);
  mix(h, static_cast<std::uint64_t>(e.result));
  for (auto [it, end] = exprs_.equal_range(h); it != end; ++it)
    if (kernel.exprs[static_cast<std::size_t>(it->second)] == e) return it->second;
  kernel.exprs.push_back(std::move(e));
  const auto id = static_cast<ExprId>(kernel.exprs.size() - 1);
  exprs_.emplace(h, id);
  return id;
}

ExprId KernelBuilder::op(Op o, DType t, std::vector<ExprId> args) {
  Expr e;
  e.kind = Expr::apply;
  e.op = o;
  e.dtype = t;
  e.args = std::move(args);
  return add(std::move(e));
}

ExprId KernelBuilder::constant(DType t, double value) {
  Expr e;
  e.dtype = t;
  e.bits = bits_of(Array::filled({t, {}}, value));
  return add(std::move(e));
}

ExprId KernelBuilder::index_value(const Index& index) {
  if (index.terms.empty() && index.indirect == kNone) return constant(i64, static_cast<double>(index.offset));
  Expr e;
  e.kind = Expr::index;
  e.dtype = i64;
  e.access = {index};
  return add(std::move(e));
}

ExprId KernelBuilder::load(BufferId buffer, const std::vector<Index>& access, DType t, ExprId predicate) {
  Expr e;
  e.kind = Expr::load;
  e.dtype = t;
  e.buffer = buffer;
  e.access = access;
  if (predicate != kNone) e.args = {predicate};
  return add(std::move(e));
}

ExprId KernelBuilder::in_range(ExprId x, std::int64_t extent) {
  return op(Op::bit_and, boolean,
            {op(Op::ge, boolean, {x, constant(i64, 0)}),
             op(Op::lt, boolean, {x, constant(i64, static_cast<double>(extent))})});
}

ExprId KernelBuilder::both(ExprId p, ExprId q) {
  if (p == kNone || q == kNone) return p == kNone ? q : p;
  return op(Op::bit_and, boolean, {p, q});
}

Index KernelBuilder::times(const Index& x, std::int64_t factor) {
  if (x.indirect == kNone || factor == 1) return scaled(x, factor);
  Index plain = x;
  plain.indirect = kNone;
  Index out = scaled(plain, factor);
  out.indirect = op(Op::mul, i64, {x.indirect, constant(i64, static_cast<double>(factor))});
  return out;
}

Index KernelBuilder::plus(const Index& x, const Index& y) {
  if (x.indirect == kNone || y.indirect == kNone) return sum(x, y);
  Index plain = y;
  plain.indirect = kNone;
  Index out = sum(x, plain);
  out.indirect = op(Op::add, i64, {x.indirect, y.indirect});
  return out;
}

Index KernelBuilder::by_number(Op o, const Index& x, std::int64_t number) {
  return {{}, 0, op(o, i64, {index_value(x), constant(i64, static_cast<double>(number))})};
}

std::vector<Index> KernelBuilder::reshaped(const Shape& from, const Shape& to, const std::vector<Index>& index) {
  std::vector<Index> out(static_cast<std::size_t>(from.rank()));
  if (std::ranges::count(from, 0)) return out;
  for (const ReshapeRun& run : reshape_runs(from, to)) {
    Index linear;
    std::int64_t stride = 1;
    for (int j = run.to_end; j-- > run.to; stride *= to[j])
      if (to[j] != 1) linear = plus(times(index[static_cast<std::size_t>(j)], stride), linear);
    // The innermost axes take the remainders, the outermost one what is left.
    std::int64_t left = stride;
    for (int i = run.from_end; i-- > run.from;) {
      if (from[i] == 1) continue;
      left /= from[i];
      out[static_cast<std::size_t>(i)] = left == 1 ? linear : by_number(Op::rem, linear, from[i]);
      if (left > 1) linear = by_number(Op::div, linear, from[i]);
    }
  }
  return out;
}

void KernelBuilder::bind_accumulator(ValueId v, const std::vector<Index>& index, std::int32_t result) {
  Expr e;
  e.kind = Expr::accumulator;
  e.dtype = g_[v].type.dtype;
  e.result = result;
  memo_[{v, index, kNone}] = add(std::move(e));
}

ExprId KernelBuilder::value(ValueId v, const std::vector<Index>& index, ExprId predicate) {
  const Key key{v, index, predicate};
  if (auto it = memo_.find(key); it != memo_.end()) return it->second;
  // An accumulator needs no predicate, nor does anything else that loads nothing.
  if (auto it = memo_.find({v, index, kNone});
      it != memo_.end() && kernel.exprs[static_cast<std::size_t>(it->second)].kind == Expr::accumulator)
    return it->second;
  kernel.locs |= g_[v].locs;
  if (std::ranges::count(g_[v].type.shape, 0))
    return constant(g_[v].type.dtype, 0);  // never read: there is no such element
  const BufferId buffer = buffers_.buffer_of(v, group_);
  const ExprId e = buffer != kNone ? load(buffer, index, g_[v].type.dtype, predicate) : compute(v, index, predicate);
  memo_[key] = e;
  return e;
}

ExprId KernelBuilder::compute(ValueId v, const std::vector<Index>& index, ExprId predicate) {
  const Node& n = g_[v];
  switch (n.op) {
    case Op::stop_gradient: return value(n.operands[0], index, predicate);
    case Op::constant: {
      ensure(n.attrs.literal->size() == 1, "a dense constant of {} elements has no buffer", n.attrs.literal->size());
      Expr e;
      e.dtype = n.type.dtype;
      e.bits = bits_of(*n.attrs.literal);
      return add(std::move(e));
    }
    case Op::iota: {
      const ExprId i = index_value(index[static_cast<std::size_t>(n.attrs.dims[0][0])]);
      return n.type.dtype == i64 ? i : op(Op::convert, n.type.dtype, {i});
    }
    case Op::size: {
      const std::int64_t extent = g_[n.operands[0]].type.shape[static_cast<int>(n.attrs.dims[0][0])];
      return constant(i64, static_cast<double>(extent));
    }
    case Op::random: {
      const Dims strides = row_major_strides(n.type.shape);
      Index linear;
      for (int d = 0; d < strides.rank(); ++d)
        linear = plus(linear, times(index[static_cast<std::size_t>(d)], strides[d]));
      return op(Op::random, i32,
                {value(n.operands[0], {}, predicate), value(n.operands[1], {}, predicate), index_value(linear)});
    }
    default: break;
  }
  if (info(n.op).cls == OpClass::view) return view(v, index, predicate);
  ensure(is_elementwise(n.op), "kernel of group {} needs {} (value {}), which is not stored", group_, name(n.op), v);
  std::vector<ExprId> args;
  for (ValueId o : n.operands) args.push_back(value(o, index, predicate));
  return op(n.op, n.type.dtype, std::move(args));
}

ExprId KernelBuilder::view(ValueId v, const std::vector<Index>& index, ExprId predicate) {
  const Node& n = g_[v];
  const Shape& from = g_[n.operands[0]].type.shape;
  std::vector<Index> at(static_cast<std::size_t>(from.rank()));
  switch (n.op) {
    case Op::broadcast:
      for (int i = 0; i < from.rank(); ++i)
        if (from[i] != 1) at[static_cast<std::size_t>(i)] = index[static_cast<std::size_t>(n.attrs.dims[0][i])];
      break;
    case Op::transpose:
      for (int d = 0; d < from.rank(); ++d)
        at[static_cast<std::size_t>(n.attrs.dims[0][d])] = index[static_cast<std::size_t>(d)];
      break;
    case Op::slice:
      for (int d = 0; d < from.rank(); ++d)
        at[static_cast<std::size_t>(d)] =
            sum(constant_index(n.attrs.dims[0][d]), times(index[static_cast<std::size_t>(d)], n.attrs.dims[2][d]));
      break;
    case Op::reshape: at = reshaped(from, n.type.shape, index); break;
    case Op::pad: return pad(n, index, predicate);
    case Op::concat: return concat(n, index, predicate);
    case Op::gather: return gather(n, index, predicate);
    default: ensure(false, "no view rule for {}", name(n.op));
  }
  return value(n.operands[0], at, predicate);
}

ExprId KernelBuilder::pad(const Node& n, const std::vector<Index>& index, ExprId predicate) {
  const Shape& from = g_[n.operands[0]].type.shape;
  std::vector<Index> at = index;
  ExprId inside = kNone;
  for (int d = 0; d < from.rank(); ++d) {
    Index& i = at[static_cast<std::size_t>(d)];
    i.offset -= n.attrs.dims[0][d];
    if (n.attrs.dims[0][d] || n.attrs.dims[1][d]) inside = both(inside, in_range(index_value(i), from[d]));
  }
  const ExprId x = value(n.operands[0], at, both(predicate, inside));
  return inside == kNone ? x : op(Op::select, n.type.dtype, {inside, x, value(n.operands[1], {}, predicate)});
}

ExprId KernelBuilder::concat(const Node& n, const std::vector<Index>& index, ExprId predicate) {
  const auto axis = static_cast<std::size_t>(n.attrs.dims[0][0]);
  // select(i < end0, x0, select(i < end1, x1, …)), each operand loaded only inside its own range.
  std::vector<std::pair<ExprId, ExprId>> parts;  // (i < end, value)
  std::int64_t begin = 0;
  for (ValueId o : n.operands) {
    const std::int64_t extent = g_[o].type.shape[static_cast<int>(axis)];
    if (extent == 0) continue;
    std::vector<Index> at = index;
    at[axis].offset -= begin;
    const ExprId inside = in_range(index_value(at[axis]), extent);
    begin += extent;
    const ExprId before_end =
        op(Op::lt, boolean, {index_value(index[axis]), constant(i64, static_cast<double>(begin))});
    parts.emplace_back(before_end, value(o, at, both(predicate, inside)));
  }
  if (parts.empty()) return constant(n.type.dtype, 0);
  ExprId result = parts.back().second;
  for (std::size_t i = parts.size() - 1; i-- > 0;)
    result = op(Op::select, n.type.dtype, {parts[i].first, parts[i].second, result});
  return result;
}

ExprId KernelBuilder::gather(const Node& n, const std::vector<Index>& index, ExprId predicate) {
  const Type &x = g_[n.operands[0]].type, &k = g_[n.operands[1]].type;
  const int axis = static_cast<int>(n.attrs.dims[0][0]);
  const auto begin = index.begin() + axis, end = begin + k.shape.rank();
  if (x.shape[axis] == 0) return constant(x.dtype, 0);
  ExprId row = value(n.operands[1], {begin, end}, predicate);
  if (k.dtype != i64) row = op(Op::convert, i64, {row});
  // The index is clamped rather than the load predicated: the row is the same for all lanes, so the load stays a plain
  // one.
  const ExprId inside = in_range(row, x.shape[axis]);
  const ExprId last = constant(i64, static_cast<double>(x.shape[axis] - 1));
  const ExprId clamped = op(Op::min, i64, {op(Op::max, i64, {row, constant(i64, 0)}), last});
  std::vector<Index> at(index.begin(), begin);
  at.push_back({{}, 0, clamped});
  at.insert(at.end(), end, index.end());
  return op(Op::select, x.dtype, {inside, value(n.operands[0], at, predicate), constant(x.dtype, 0)});
}

}  // namespace weft

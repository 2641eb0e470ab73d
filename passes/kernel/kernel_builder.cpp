// Graph values to kernel expressions.
#include "passes/kernel/kernel_builder.h"

#include <algorithm>
#include <cstring>

#include "passes/graph/stored_values.h"

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

ExprId KernelBuilder::literal(const Array& scalar) {
  ensure(scalar.size() == 1, "a dense constant of {} elements has no buffer", scalar.size());
  Expr e;
  e.dtype = scalar.dtype();
  e.bits = bits_of(scalar);
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
  if (n.op == Op::stop_gradient) return value(n.operands[0], index, predicate);
  if (const auto element = info(n.op).element) {
    std::vector<Type> types;
    for (ValueId o : n.operands) types.push_back(g_[o].type);
    return element({*this, n.type, n.operands, types, n.attrs, index, predicate});
  }
  ensure(is_elementwise(n.op), "kernel of group {} needs {} (value {}), which is not stored", group_, name(n.op), v);
  std::vector<ExprId> args;
  for (ValueId o : n.operands) args.push_back(value(o, index, predicate));
  return op(n.op, n.type.dtype, std::move(args));
}

}  // namespace weft

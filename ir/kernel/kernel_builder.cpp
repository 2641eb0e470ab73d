// Identity of expressions, and copies under other axes.
#include "ir/kernel/kernel_builder.h"

#include <algorithm>
#include <cstring>

#include "ir/base/at.h"
#include "ir/kernel/kernel_walk.h"

namespace weft {
namespace {

void mix(std::size_t& h, std::uint64_t v) { h = (h ^ v) * 0xff51afd7ed558ccd, h ^= h >> 32; }

std::size_t hash_of(const Expr& e) {
  std::size_t h =
      static_cast<std::size_t>(e.kind) << 16 ^ static_cast<std::size_t>(e.op) << 8 ^ static_cast<std::size_t>(e.dtype);
  for (ExprId a : e.args) mix(h, static_cast<std::uint64_t>(a));
  mix(h, e.bits);
  mix(h, static_cast<std::uint64_t>(e.buffer));
  for (const Index& i : e.access) mix(h, hash_of(i));
  mix(h, static_cast<std::uint64_t>(e.result));
  return h;
}

}  // namespace

std::size_t hash_of(const Index& i) {
  std::size_t h = 0;
  for (auto [axis, coefficient] : i.terms)
    mix(h, static_cast<std::uint64_t>(axis) << 48 ^ static_cast<std::uint64_t>(coefficient));
  mix(h, static_cast<std::uint64_t>(i.offset));
  mix(h, static_cast<std::uint64_t>(i.indirect) + 77);
  return h;
}

KernelBuilder::KernelBuilder(Kernel start) : kernel(std::move(start)) {
  for (std::size_t i = 0; i < kernel.exprs.size(); ++i)
    known_.emplace(hash_of(kernel.exprs[i]), static_cast<ExprId>(i));
}

BufferId add_temporary(Program& p, std::string name, Type type) {
  while (std::ranges::count(p.buffers, name, &Buffer::name)) name += '_';
  Buffer b;
  b.name = std::move(name);
  b.type = std::move(type);
  p.buffers.push_back(std::move(b));
  return static_cast<BufferId>(p.buffers.size() - 1);
}

AxisId KernelBuilder::axis(std::string name, std::int64_t extent) {
  while (std::ranges::count(kernel.axes, name, &Axis::name)) name += '_';
  kernel.axes.push_back({std::move(name), extent});
  return static_cast<AxisId>(kernel.axes.size() - 1);
}

ExprId KernelBuilder::find(const Expr& e) const {
  for (auto [it, end] = known_.equal_range(hash_of(e)); it != end; ++it)
    if (at(kernel.exprs, it->second) == e) return it->second;
  return kNone;
}

ExprId KernelBuilder::add(Expr e) {
  if (const ExprId known = find(e); known != kNone) return known;
  const auto id = static_cast<ExprId>(kernel.exprs.size());
  known_.emplace(hash_of(e), id);
  kernel.exprs.push_back(std::move(e));
  return id;
}

ExprId KernelBuilder::op(Op o, DType t, std::vector<ExprId> args) {
  return add({.kind = Expr::apply, .dtype = t, .op = o, .args = std::move(args)});
}

ExprId KernelBuilder::constant(DType t, std::uint64_t bits) { return add({.dtype = t, .bits = bits}); }

ExprId KernelBuilder::constant(const Array& scalar) {
  ensure(scalar.size() == 1, "a dense constant of {} elements has no buffer", scalar.size());
  std::uint64_t bits = 0;
  std::memcpy(&bits, scalar.data(), size_of(scalar.dtype()));
  return constant(scalar.dtype(), bits);
}

ExprId KernelBuilder::index_value(const Index& index) {
  if (index.terms.empty() && index.indirect == kNone) return constant(i64, static_cast<std::uint64_t>(index.offset));
  return add({.kind = Expr::index, .dtype = i64, .access = {index}});
}

ExprId KernelBuilder::load(BufferId buffer, std::vector<Index> access, DType t, ExprId predicate) {
  Expr e{.kind = Expr::load, .dtype = t, .buffer = buffer, .access = std::move(access)};
  if (predicate != kNone) e.args = {predicate};
  return add(std::move(e));
}

ExprId KernelBuilder::accumulator(std::int32_t result, DType t) {
  return add({.kind = Expr::accumulator, .dtype = t, .result = result});
}

KernelRewriter::KernelRewriter(const Kernel& old, KernelBuilder& to, std::function<Index(AxisId)> axes)
    : old_(old), to_(to), axes_(std::move(axes)), map_(old.exprs.size(), kNone) {}

std::vector<ExprId> KernelRewriter::needed(const std::vector<ExprId>& roots) const {
  const std::vector<bool> need = weft::needed(old_, roots);
  std::vector<ExprId> ids;
  for (std::size_t i = 0; i < need.size(); ++i)
    if (need[i]) ids.push_back(static_cast<ExprId>(i));
  return ids;
}

Expr KernelRewriter::mapped(ExprId old) const {
  Expr e = at(old_.exprs, old);
  for (ExprId& arg : e.args) arg = (*this)(arg);
  e.access = access(e.access);
  return e;
}

ExprId KernelRewriter::copy(ExprId old) {
  const ExprId now = to_.add(mapped(old));
  set(old, now);
  return now;
}

void KernelRewriter::copy_all(const std::vector<ExprId>& roots) {
  for (ExprId e : needed(roots)) copy(e);
}

void KernelRewriter::set(ExprId old, ExprId now) { at(map_, old) = now; }

ExprId KernelRewriter::operator()(ExprId old) const { return old == kNone ? kNone : at(map_, old); }

Index KernelRewriter::index(const Index& old) const {
  Index now = constant_index(old.offset);
  for (auto [axis, coefficient] : old.terms) now = sum(now, scaled(axes_(axis), coefficient));
  if (old.indirect != kNone) now.indirect = (*this)(old.indirect);
  return now;
}

std::vector<Index> KernelRewriter::access(const std::vector<Index>& old) const {
  std::vector<Index> now;
  now.reserve(old.size());
  for (const Index& i : old) now.push_back(index(i));
  return now;
}

KernelStage KernelRewriter::stage(KernelStage s) const {
  for (ExprId* e : {&s.predicate, &s.value, &s.lhs, &s.rhs}) *e = (*this)(*e);
  for (Store& t : s.stores) t = {t.buffer, access(t.access), (*this)(t.value)};
  return s;
}

}  // namespace weft

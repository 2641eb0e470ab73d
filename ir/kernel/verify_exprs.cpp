// Invariant 6 of ir/kernel/verify_kernel.cpp:
//
//  a. Arguments precede their expression, no two expressions are equal, and none is nested deeper than kMaxDepth (code
//     generation recurses). What its kind has no use for is as Expr{} has it, so that == is what equal means. Dtypes
//     are what inference says on scalars: an index, an indirect index and random's arguments are i64, a predicate is
//     bool.
//  b. An access has an Index for each dimension, whose terms are sorted by axis with coefficients other than 0.
//  c. No affine index, counted in elements of its buffer, leaves +-kMaxIndex, whatever its predicate is: code
//  generation
//     adds and multiplies what a text says.
#include "ir/kernel/verify_exprs.h"

#include <algorithm>

#include "ir/base/at.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/kernel/print_kernel.h"
#include "ir/ops/infer.h"

namespace weft {
namespace {

constexpr std::int64_t kMaxIndex = std::int64_t{1} << 50;  // what lanes and chunks multiply still fits 64 bits
constexpr std::size_t kMaxExprs = 1 << 13,
                      kMaxDepth = 1 << 10;  // code generation is quadratic in the one, deep in the other

template <class C>
bool has(const C& c, std::int32_t i) {
  return i >= 0 && static_cast<std::size_t>(i) < c.size();
}

void check_index(const Kernel& k, const Index& index, std::int64_t stride, ExprId limit, const std::string& what) {
  for (std::size_t i = 0; i < index.terms.size(); ++i) {
    if (!has(k.axes, index.terms[i].first)) fail("{}: axis {} does not exist", what, index.terms[i].first);
    if (index.terms[i].second == 0 || (i && index.terms[i].first <= index.terms[i - 1].first))
      fail("{}: the terms of an index are not sorted by axis, or one is zero", what);
  }
  const auto magnitude = [](std::int64_t v) { return v < 0 ? -static_cast<__int128>(v) : static_cast<__int128>(v); };
  __int128 most = magnitude(index.offset);
  for (const auto& [axis, coefficient] : index.terms) {
    most += magnitude(coefficient) * std::max<std::int64_t>(1, at(k.axes, axis).extent - 1);
    if (most > kMaxIndex) break;
  }
  if (most > kMaxIndex / std::max<std::int64_t>(1, stride))
    fail("{}: index {} is too large", what, index_text(k, index));
  if (index.indirect == kNone) return;
  if (index.indirect < 0 || index.indirect >= limit) fail("{}: %e{} does not precede it", what, index.indirect);
  if (at(k.exprs, index.indirect).dtype != i64) fail("{}: the indirect index %e{} is not i64", what, index.indirect);
}

// Throws Error where an op does not take its arguments.
DType expected_dtype(const Program& p, const Kernel& k, const Expr& e) {
  if (e.kind == Expr::index) return i64;
  if (e.kind == Expr::load) return at(p.buffers, e.buffer).type.dtype;
  if (e.kind != Expr::apply) return e.dtype;
  std::vector<DType> dtypes;
  for (ExprId arg : e.args) dtypes.push_back(at(k.exprs, arg).dtype);
  return infer::scalar(e.op, dtypes, e.dtype);
}

/// The expression with nothing but what its kind uses.
Expr plain(const Expr& e) {
  Expr p{.kind = e.kind, .dtype = e.dtype};
  switch (e.kind) {
    case Expr::constant: p.bits = e.bits << (64 - 8 * size_of(e.dtype)) >> (64 - 8 * size_of(e.dtype)); break;
    case Expr::index: p.access = e.access; break;
    case Expr::load: p.args = e.args, p.buffer = e.buffer, p.access = e.access; break;
    case Expr::apply: p.op = e.op, p.args = e.args; break;
    case Expr::accumulator: p.result = e.result; break;
  }
  return p;
}

void check_expr(const Program& p, const Kernel& k, ExprId id) {
  const Expr& e = at(k.exprs, id);
  if (e.kind > Expr::accumulator || e.dtype > f16 || is_reserved(e.dtype) || static_cast<int>(e.op) >= kOpCount)
    fail("%e{}: unknown kind, op or dtype", id);
  const std::string what = expr_text(p, k, id);
  if (!(plain(e) == e)) fail("{}: has a value for what it has no use for", what);
  for (ExprId arg : e.args)
    if (arg < 0 || arg >= id) fail("{}: %e{} does not precede it", what, arg);
  if (e.kind == Expr::load) {
    check_access(p, k, e.buffer, e.access, id, what);
    if (e.args.size() > 1 || (e.args.size() == 1 && at(k.exprs, e.args[0]).dtype != boolean))
      fail("{}: the predicate is not one bool", what);
  }
  if (e.kind == Expr::index) {
    if (e.access.size() != 1) fail("{}: needs one index", what);
    check_index(k, e.access[0], 1, id, what);
  }
  DType expected = e.dtype;
  try {
    expected = expected_dtype(p, k, e);
  } catch (const Error& error) {
    fail("{}: {}", what, error.what());
  }
  if (expected != e.dtype) fail("{}: expected {}", what, name(expected));
}

}  // namespace

void check_access(const Program& p, const Kernel& k, BufferId buffer, const std::vector<Index>& access, ExprId limit,
                  const std::string& what) {
  if (!has(p.buffers, buffer)) fail("{}: buffer {} does not exist", what, buffer);
  const Type& type = at(p.buffers, buffer).type;
  if (static_cast<int>(access.size()) != type.shape.rank())
    fail("{}: {} for {}", what, access.size() == 1 ? "1 index" : fmt::format("{} indices", access.size()),
         to_string(type));
  const Dims strides = row_major_strides(type.shape);
  for (int d = 0; d < strides.rank(); ++d) check_index(k, at(access, d), strides[d], limit, what);
}

void check_exprs(const Program& p, const Kernel& k) {
  if (k.exprs.size() > kMaxExprs) fail("{} expressions, more than {}", k.exprs.size(), kMaxExprs);
  std::vector<std::size_t> depth(k.exprs.size());
  KernelBuilder seen;
  for (ExprId e = 0; has(k.exprs, e); ++e) {
    check_expr(p, k, e);
    const Expr& expr = at(k.exprs, e);
    const auto below = [&](ExprId arg) {
      if (arg != kNone) at(depth, e) = std::max(at(depth, e), at(depth, arg) + 1);
    };
    for (ExprId arg : expr.args) below(arg);
    if (expr.kind == Expr::load || expr.kind == Expr::index)
      for (const Index& index : expr.access) below(index.indirect);
    if (at(depth, e) > kMaxDepth) fail("{}: nested deeper than {}", expr_text(p, k, e), kMaxDepth);
    if (const ExprId equal = seen.add(expr); equal != e) fail("{}: equals %e{}", expr_text(p, k, e), equal);
  }
}

}  // namespace weft

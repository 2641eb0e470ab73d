// The ops that read and write at indices which are data.
#include <algorithm>

#include "ir/base/strided.h"
#include "ir/ops/index.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"

namespace weft {
using namespace infer;
namespace {

std::vector<std::int64_t> indices(const Array& k) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(k.size()));
  visit_dtype(k.dtype(), [&](auto zero) { std::ranges::copy(k.as<decltype(zero)>(), values.begin()); });
  return values;
}

}  // namespace

Type infer::gather(const InferArgs& a) {
  const Type &x = a.operands[0], &k = a.operands[1];
  const int axis = axis_of(a, x.shape.rank());
  if (k.dtype != i32 && k.dtype != i64) fail("indices must be i32 or i64, found {}", to_string(k));
  Type y{x.dtype, {}};
  for (int i = 0; i < axis; ++i) y.shape.push_back(x.shape[i]);
  for (std::int64_t e : k.shape) y.shape.push_back(e);
  for (int i = axis + 1; i < x.shape.rank(); ++i) y.shape.push_back(x.shape[i]);
  return checked(y);
}

Array eval::gather(const EvalArgs& a) {
  const Array& x = a.operands[0];
  Array y(a.result);
  if (y.size() == 0 || x.size() == 0) return y;  // zeros: every index is out of an empty axis's range
  const AroundAxis s(x.shape(), a.attrs.axis());
  const std::vector<std::int64_t> k = indices(a.operands[1]);
  visit_dtype(x.dtype(), [&](auto zero) {
    const auto* from = x.as<decltype(zero)>().data();
    auto* to = y.as<decltype(zero)>().data();
    for (std::int64_t outer = 0; outer < s.outer; ++outer)
      for (std::int64_t index : k)
        for (std::int64_t inner = 0; inner < s.inner; ++inner, ++to)
          if (0 <= index && index < s.extent) *to = from[(outer * s.extent + index) * s.inner + inner];
  });
  return y;
}

ExprId element::gather(const ElementArgs& a) {
  const Type &x = a.types[0], &k = a.types[1];
  const int axis = a.attrs.axis();
  const auto begin = a.index.begin() + axis, end = begin + k.shape.rank();
  if (x.shape[axis] == 0) return a.b.constant(x.dtype, 0);
  ExprId row = a.operand(1, {begin, end});
  if (k.dtype != i64) row = a.b.op(Op::convert, i64, {row});
  // The index is clamped rather than the load predicated: the row is the same for all lanes, so the load stays a plain
  // one.
  const ExprId inside = a.b.in_range(row, x.shape[axis]);
  const ExprId last = a.b.integer(x.shape[axis] - 1);
  const ExprId clamped = a.b.op(Op::min, i64, {a.b.op(Op::max, i64, {row, a.b.integer(0)}), last});
  std::vector<Index> at(a.index.begin(), begin);
  at.push_back({{}, 0, clamped});
  at.insert(at.end(), end, a.index.end());
  return a.b.op(Op::select, x.dtype, {inside, a.operand(0, at), a.b.constant(x.dtype, 0)});
}

ValueId grad::gather(NodeBuilder& b, const GradientArgs& a, std::size_t) {
  return b.op(Op::scatter_add, {b.fill(b.type(a.operands[0]), 0), a.operands[1], a.g}, a.attrs);
}

Type infer::scatter_add(const InferArgs& a) {
  const Type &x = a.operands[0], &u = a.operands[2];
  require_dtype(a, x.dtype);
  const Type pair[] = {x, a.operands[1]};
  const Type wanted = infer::gather({Op::gather, pair, a.attrs, nullptr});
  if (!(u == wanted))
    fail("updates are {}, expected {} for base {} and indices {}", to_string(u), to_string(wanted), to_string(x),
         to_string(a.operands[1]));
  return x;
}

Array eval::scatter_add(const EvalArgs& a) {
  const Array &x = a.operands[0], &u = a.operands[2];
  Array z = x.clone();
  if (z.size() == 0) return z;
  const AroundAxis s(x.shape(), a.attrs.axis());
  const std::vector<std::int64_t> k = indices(a.operands[1]);
  visit_dtype(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool>) {
      const T* from = u.as<T>().data();
      T* to = z.as<T>().data();
      for (std::int64_t outer = 0; outer < s.outer; ++outer)
        for (std::int64_t index : k)
          for (std::int64_t inner = 0; inner < s.inner; ++inner, ++from)
            if (0 <= index && index < s.extent) {
              T& element = to[(outer * s.extent + index) * s.inner + inner];
              element = apply_binary(Op::add, element, *from);
            }
    }
  });
  return z;
}

ValueId grad::scatter_add(NodeBuilder& b, const GradientArgs& a, std::size_t i) {
  return i == 0 ? a.g : b.op(Op::gather, {a.g, a.operands[1]}, a.attrs);
}

}  // namespace weft

// Elements of values as code: indices that are symbols, and what an op's row builds from them.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <weft/ir/base/array.h>
#include <weft/ir/base/at.h>
#include <weft/ir/ops/op.h>

namespace weft {

using AxisId = std::int32_t;
using ExprId = std::int32_t;

/// offset + sum of coefficient * axis (+ the i64 expression `indirect`): one dimension of an access, or an index value.
struct Index {
  std::vector<std::pair<AxisId, std::int64_t>> terms;  // sorted by axis, no zero coefficient
  std::int64_t offset = 0;
  ExprId indirect = kNone;
  friend bool operator==(const Index&, const Index&) = default;
};

Index scaled(Index, std::int64_t factor);  ///< factor * index; requires no indirect part unless factor is 1
Index sum(const Index&, const Index&);     ///< at most one of them has an indirect part
Index constant_index(std::int64_t);
Index axis_index(AxisId);

/// Axes [from, from_end) of x and [to, to_end) of y = reshape(x) that hold the same elements in the same order.
struct ReshapeRun {
  int from, from_end, to, to_end;
};
/// All of them, in order, as short as they can be. Both shapes have the same number of elements, and it is not 0.
std::vector<ReshapeRun> reshape_runs(const Shape& from, const Shape& to);

/// What code for elements is written with; a kernel's builder is one. Predicates may be kNone: true.
class ElementBuilder {
 public:
  virtual ExprId op(Op, DType, std::vector<ExprId> args) = 0;
  virtual ExprId literal(const Array& scalar) = 0;
  virtual ExprId index_value(const Index&) = 0;  ///< i64
  /// The element of a value at `index`. Memory is read only where the predicate holds.
  virtual ExprId value(ValueId, const std::vector<Index>& index, ExprId predicate = kNone) = 0;

  ExprId constant(DType t, double value) { return literal(Array::filled({t, {}}, value)); }
  ExprId integer(std::int64_t value) { return constant(i64, static_cast<double>(value)); }
  ExprId both(ExprId p, ExprId q);
  ExprId in_range(ExprId x, std::int64_t extent);  ///< 0 <= x < extent, for an i64 expression
  /// Of an axis where elements 0 … count - 1 lie `step` apart: whether one lies at `at`, which becomes its number.
  ExprId spread(Index& at, std::int64_t step, std::int64_t count);
  // Index arithmetic. What an Index cannot hold, a factor of its indirect part or a second one, is an expression.
  Index times(const Index&, std::int64_t factor);
  Index plus(const Index&, const Index&);
  /// The index into x (shape `from`) that y = reshape(x) (shape `to`) reads at `index`. Where axes of x are merged, it
  /// is a quotient and a remainder.
  std::vector<Index> reshaped(const Shape& from, const Shape& to, const std::vector<Index>& index);

 protected:
  ~ElementBuilder() = default;

 private:
  Index by_number(Op, const Index&, std::int64_t);  // quotient or remainder
};

/// The element at `index` of a node, needed where `predicate` holds.
struct ElementArgs {
  ElementBuilder& b;
  const Type& result;
  std::span<const ValueId> operands;
  std::span<const Type> types;  // of the operands
  const Attrs& attrs;
  const std::vector<Index>& index;
  ExprId predicate;

  ExprId operand(std::size_t i, const std::vector<Index>& at) const { return b.value(operands[i], at, predicate); }
};

}  // namespace weft

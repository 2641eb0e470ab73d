// The gradient table: one row for each differentiable op of the op table.
#pragma once
#include <weft/ir/graph/build.h>

namespace weft {

/// One step of reverse mode: the forward node `y = op(operands…)`, and `g`, the gradient of the loss with respect to y.
struct GradientArgs {
  ValueId y;
  ValueId g;
  const std::vector<ValueId>& operands;
  const Attrs& attrs;
  std::vector<std::int64_t>& known;  // what a row has worked out for all operands of the node; empty at first
};

/// The contribution of this node to the gradient of operand `i`, a value of that operand's type.
using GradientFn = ValueId (*)(Builder&, const GradientArgs&, std::size_t i);

/// The gradient of `op` with respect to operand `i`. Throws InternalError when the table has no row for `op`.
ValueId gradient(Op op, Builder&, const GradientArgs&, std::size_t i);
bool has_gradient(Op op);

// Rows that are functions. Elementwise ops are rows of text in passes/graph/gradients.cpp.
namespace grad {
ValueId erf(Builder&, const GradientArgs&, std::size_t i);
ValueId convert(Builder&, const GradientArgs&, std::size_t i);
// passes/graph/gradients_structure.cpp
ValueId broadcast(Builder&, const GradientArgs&, std::size_t i);
ValueId reshape(Builder&, const GradientArgs&, std::size_t i);
ValueId transpose(Builder&, const GradientArgs&, std::size_t i);
ValueId slice(Builder&, const GradientArgs&, std::size_t i);
ValueId pad(Builder&, const GradientArgs&, std::size_t i);
ValueId concat(Builder&, const GradientArgs&, std::size_t i);
ValueId gather(Builder&, const GradientArgs&, std::size_t i);
ValueId scatter_add(Builder&, const GradientArgs&, std::size_t i);
// passes/graph/gradients_reduce.cpp
ValueId reduce_sum(Builder&, const GradientArgs&, std::size_t i);
ValueId reduce_prod(Builder&, const GradientArgs&, std::size_t i);
ValueId reduce_extreme(Builder&, const GradientArgs&, std::size_t i);
ValueId contract(Builder&, const GradientArgs&, std::size_t i);
}  // namespace grad

/// The sum of `x` over `axes` (in increasing order), which disappear. Runs of adjacent axes are merged into one first.
ValueId sum_axes(Builder&, ValueId x, const Dims& axes);

}  // namespace weft

// Reverse-mode differentiation, IR to IR.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// Appends the gradient of `loss` with respect to each of `wrt` to `g` and returns their values, of the types of `wrt`.
/// Gradients are ordinary nodes, so they can be differentiated again. A value that the loss does not depend on, or only
/// through ops without a gradient (comparisons, floor, stop_gradient, integers), gets zeros.
///
/// Only nodes between `wrt` and `loss` are visited; time and nodes added are linear in their number. Each added node
/// carries the provenance of the forward node whose gradient it computes, and `where`. The gradient of a node that
/// holds functions is the same op on theirs, which take its operands and the gradients of its results, and compute what
/// they need of the forward values again: of a `cond` nothing is computed in the branch that is not taken.
///
/// Throws Error when `loss` is not a float scalar, when a `wrt` is not of a float dtype, and when a shape on the way
/// needs a bound batch (a product over the batch axis).
std::vector<ValueId> differentiate(Graph& g, ValueId loss, std::span<const ValueId> wrt, LocSet where);

/// A value and the gradient of a loss with respect to it, of its type.
struct Cotangent {
  ValueId value = kNoValue;
  ValueId gradient = kNoValue;
};
/// The same from where the gradients of several values are known: the sum of their contributions to each of `wrt`, or
/// kNoValue where there is none.
std::vector<ValueId> pull_back(Graph& g, std::span<const Cotangent> from, std::span<const ValueId> wrt, LocSet where);

}  // namespace weft

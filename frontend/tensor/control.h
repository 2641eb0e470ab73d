// Branches: functions that C++ code builds, one of which counts.
#pragma once
#include <functional>
#include <vector>

#include <weft/frontend/tensor/here.h>
#include <weft/frontend/tensor/tensor.h>

namespace weft {

/// What `then` gives where the predicate (bool, a scalar) holds, else what `otherwise` gives: each is called once, at
/// once, and builds its branch from any tensors of the graph. Both give the same number of tensors (at least one) of
/// the same types.
///
///     Tensor y = cond(sum(x) > 0, [&] { return log(x); }, [&] { return x; });
///
/// The branch that is not taken has no part in the result or its gradients, so that `log` above never makes a NaN.
/// Compiled code computes both so far; for a choice element by element use where(). Indices that a branch gathers by
/// are not checked by Model's functions.
///
/// Error, at the caller's line, when the predicate is no bool scalar, when the branches differ in number or types, and
/// when a tensor is of another graph.
Tensor cond(const Tensor& predicate, const std::function<Tensor()>& then, const std::function<Tensor()>& otherwise,
            WEFT_HERE);
std::vector<Tensor> cond(const Tensor& predicate, const std::function<std::vector<Tensor>()>& then,
                         const std::function<std::vector<Tensor>()>& otherwise, WEFT_HERE);

}  // namespace weft

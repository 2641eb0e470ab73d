// Finite differences in f64: the judge of every gradient.
#pragma once
#include <string>

#include "ir/graph/graph.h"

namespace weft::test {

/// Differentiates `loss`, an f64 scalar, with respect to every f64 input of `g`, and compares with central differences
/// at `inputs`. Returns "" when they agree, else the worst element.
std::string check_gradient(const Graph& g, ValueId loss, const std::vector<Array>& inputs, double tolerance = 1e-5);

/// The same for the gradient of `loss`: second order, through s = sum over inputs of sum(gradient * fixed weights).
std::string check_second_order(Graph g, ValueId loss, const std::vector<Array>& inputs, double tolerance = 1e-4);

/// A loss that depends on every element of `v` with weights that differ: sum(v * sin(1 + row-major index)).
ValueId weighted_sum(Graph& g, ValueId v, LocSet locs);

}  // namespace weft::test

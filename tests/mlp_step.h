// A training step of a multi-layer perceptron, built by hand: what passes, code generation and the runtime are tested
// on.
#pragma once
#include <vector>

#include "ir/graph/graph.h"

namespace weft {

struct MlpStep {
  std::int64_t rows = 300, batch = 32;
  std::vector<std::int64_t> widths = {784, 64, 32, 10};
};

/// Inputs: images u8[rows, widths[0]], labels i32[rows], index i32[batch]; states w0, b0, …, their Adam moments, and
/// Adam's two powers. Outputs: loss, accuracy. Rows are gathered and scaled in the graph; softmax cross-entropy; Adam
/// 1e-3.
Graph mlp_step(const MlpStep& = {});

/// Arrays for Graph::inputs(): pseudo-random, labels and indices in range, moments zero, powers one.
std::vector<Array> mlp_inputs(const Graph&, const MlpStep& = {});

}  // namespace weft

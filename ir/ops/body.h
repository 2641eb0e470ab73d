// Functions that nodes hold: what `call` calls and `cond` chooses from.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <weft/ir/ops/op.h>

namespace weft {

class Graph;

/// A closed function: it uses nothing but its inputs, and has no states or updates. Made by make_body
/// (ir/graph/body.h). Two are equal when they are the same node by node, whatever they are called.
struct Body {
  std::shared_ptr<const Graph> graph;
  std::vector<Type> inputs, outputs;  // tensors
  std::uint64_t hash = 0;             // of what makes bodies equal
  int depth = 1;                      // 1: no node in it holds a body, else one more than the deepest of those
  std::int64_t size = 0;              // nodes, those of the bodies in it counted wherever they are held, a loop's each turn
};

inline constexpr int kMaxBodyDepth = 64;
inline constexpr std::int64_t kMaxBodySize = std::int64_t{1} << 22;  // nodes

}  // namespace weft

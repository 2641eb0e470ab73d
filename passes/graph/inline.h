// Functions that nodes hold, brought into the graph.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// A scan of at least so many turns stays one: the kernels of its body run in a loop.
inline constexpr std::int64_t kLoopTurns = 4;

/// A copy without functions but for the bodies of scans of `loop_turns` turns or more: a call is the nodes of its body, a `cond` those of both
/// branches and a select for each result, a shorter scan those of its turns. Throws Error when the graph would have more
/// than 2^22 nodes.
Graph inline_bodies(const Graph&, std::int64_t loop_turns = kLoopTurns);

}  // namespace weft

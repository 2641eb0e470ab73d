// Functions that nodes hold, brought into the graph.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// A copy without ops of the class `control`: a call is the nodes of its body, a `cond` those of both branches and a
/// select for each result. Throws Error when the graph would have more than 2^22 nodes.
Graph inline_bodies(const Graph&);

}  // namespace weft

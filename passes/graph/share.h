// Scans that compute the same in every turn.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// A copy in which scans of the same operands that carry the same are one, and in which a scan whose slices are what
/// another one was given and stacked reads what that one's contractions, reductions and scatters gave in the same turn,
/// stacked too, instead of computing them again: a gradient's turns need what the turns of the function have computed.
Graph share_turns(const Graph&);

}  // namespace weft

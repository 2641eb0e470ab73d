// What the bodies of scans are given and give: no more than is needed.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// A copy in which scans, those in bodies too, give no result that nothing reads, carry nothing that no result needs or
/// that never changes, and take no operand that their bodies don't use. An operand that is one constant everywhere
/// becomes a constant of the body. What is stacked twice is stacked once.
Graph trim_loops(const Graph&);

}  // namespace weft

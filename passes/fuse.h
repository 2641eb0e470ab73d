// Fusion: every node gets the kernel that computes it, or none when each consumer computes it for itself.
#pragma once
#include <weft/ir/graph.h>

namespace weft {

/// Groups the nodes of `g` into kernels (Node::group) and orders them so that each group is contiguous. A graph that is
/// grouped already is returned as it is. Values, names and provenance stay the same.
Graph fuse(const Graph& g);

}  // namespace weft

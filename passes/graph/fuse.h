// Fusion: every node gets the kernel that computes it, or none when each consumer computes it for itself.
#pragma once
#include <weft/ir/graph/graph.h>
#include <weft/passes/graph/stored_values.h>

namespace weft {

/// Groups the nodes of `g` into kernels (Node::group) and orders them so that each group is contiguous. A graph that is
/// grouped already is returned as it is. Values, names and provenance stay the same.
/// Values of more than `large_bytes` are not stored where large_values (passes/graph/stored_values.h) says so.
Graph fuse(const Graph& g, std::int64_t large_bytes = kLargeBytes);

/// The graph, and its bodies, without their kernels. What a text says of them need not be what lowering can do: it is fused anew.
Graph without_groups(const Graph& g);

}  // namespace weft

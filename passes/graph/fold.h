// Constant folding.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// Evaluates nodes whose operands are all constants (or broadcasts of one element) with the op table's own semantics,
/// when the result has at most 4096 elements. Splats stay splats: an elementwise op on splats becomes a broadcast of a
/// scalar constant, and a constant whose elements are all equal becomes a broadcast of one. The same bits.
Graph fold(const Graph&);

/// The folded value of node `id` of `g`, or kNoValue when there is nothing to fold. New nodes carry `locs` and the
/// provenance of the operands.
ValueId fold_node(Graph& g, ValueId id, LocSet locs);

}  // namespace weft

// Elementwise work that scans alone read, in their turns.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// A copy in which a scan's slices of a cheap elementwise value that nothing but scans reads are computed by its body from
/// slices of one operand (the others repeat a constant, or the same for every turn): one array less is stored and read.
Graph sink_into_loops(const Graph&);

}  // namespace weft

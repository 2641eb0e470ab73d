// Brings contractions, scatters and concatenations to one form before lowering.
#pragma once
#include <weft/ir/graph/graph.h>

namespace weft {

/// Operands of a canonical concat. Its code asks for each element which operand holds it: that work and the size of the
/// code grow with their number.
inline constexpr std::size_t kMaxConcat = 16;

/// Every contract of static shapes becomes one whose operands have exactly one contracted axis, at most one batch and
/// at most one free axis, in any order: axes of extent 1 are dropped, neighbouring axes of one role are merged by a
/// reshape (after a transpose only where their order needs it), and the result is reshaped back. Products are summed in
/// the same order, so the bits are the same. Every scatter_add gets indices of rank 1, and a concat of
/// more than kMaxConcat operands becomes a tree. Run it after bind.
Graph canonicalize(const Graph&);

}  // namespace weft

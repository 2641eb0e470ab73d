// What a fused graph means in memory: which values are stored, and how views map indices. Shared by fusion and
// lowering.
#pragma once
#include <vector>

#include <weft/ir/graph.h>
#include <weft/ir/kernel.h>

namespace weft {

/// Ops that a kernel is built around; all others are computed wherever they are read.
bool is_anchor(Op);

/// Rough cost of evaluating one element, in vector instructions, its operands not counted.
int element_cost(const Node&);

/// A value this cheap is computed again beside its stored operands instead of being stored too.
inline constexpr int kRecomputeCost = 2;

/// Nodes that one kernel may compute for itself to obtain one value: bounds the size of kernels, and how deep the walks
/// over their expressions recurse.
inline constexpr int kMaxVirtual = 128;

/// True when reading y = reshape(x) at affine indices reads x at affine indices: unit axes come and go, and an axis of
/// x may be split, but none are merged. A reshape that is not affine needs x in memory and is a view of that buffer.
bool is_affine_reshape(const Shape& from, const Shape& to);
/// The index into x (shape `from`) that y = reshape(x) (shape `to`) reads at `index`. Requires is_affine_reshape(from,
/// to).
std::vector<Index> reshape_index(const Shape& from, const Shape& to, const std::vector<Index>& index);

Shape squeezed(const Shape&);  ///< without the axes of extent 1

Index scaled(Index, std::int64_t factor);  ///< factor * index; requires no indirect part unless factor is 1
Index sum(const Index&, const Index&);     ///< at most one of them has an indirect part
Index constant_index(std::int64_t);
Index axis_index(AxisId);

/// users[v]: the nodes that read v, in order.
std::vector<std::vector<ValueId>> users(const Graph&);

/// stored[v]: value v of a group is written to memory, because something outside its group needs it and computing it
/// again there from values that are in memory anyway would cost more than loading it.
std::vector<bool> stored_values(const Graph&);

}  // namespace weft

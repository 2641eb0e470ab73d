// What a fused graph means in memory: which values are stored, and which are computed wherever they are read. Shared by
// fusion and lowering.
#pragma once
#include <vector>

#include <weft/ir/graph/graph.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Rough cost of evaluating one element, in vector instructions, its operands not counted.
int element_cost(const Node&);

/// concats[v]: v is a concat that is stored, in a kernel of its own. Reading it elsewhere would take a select for each
/// operand but one: so those of many operands are, those that a contraction reads, results, and those that are a piece
/// of such a one. The pieces that other kernels compute are stored to it at once.
std::vector<bool> stored_concats(const Graph&);
/// A reshape that adds and drops unit axes alone.
bool is_unit_reshape(const Graph&, ValueId v);
/// The value that v is under another shape, through such reshapes.
ValueId without_unit_axes(const Graph&, ValueId v);

/// A reshape that is read at affine indices of its operand where it is read at such itself.
bool is_plain_reshape(const Graph&, ValueId v);
/// The values that the body of a scan reads in memory and that some kernel has to store for it; none for other nodes.
std::vector<ValueId> read_by_turns(const Graph&, ValueId v);

/// A value this cheap is computed again beside its stored operands instead of being stored too.
inline constexpr int kRecomputeCost = 2;

/// So is one that is computed from at most as many values of its size in memory: who reads it reads those instead.
inline constexpr int kMostReads = 3;

/// Nodes that one kernel may compute for itself to obtain one value: bounds the size of kernels, and how deep the walks
/// over their expressions recurse.
inline constexpr int kMaxVirtual = 128;

/// True when reading y = reshape(x) at affine indices reads x at affine indices: unit axes come and go, and an axis of
/// x may be split, but none are merged.
bool is_affine_reshape(const Shape& from, const Shape& to);
/// True when y = reshape(x) is a view of the buffer that x is stored in: it merges axes, which an access of memory does
/// for nothing, and computing x at a quotient and a remainder does not.
bool wants_memory(const Graph&, ValueId y, const std::vector<bool>& large);

inline constexpr std::int64_t kLargeBytes = 64 << 20;  // what large_values calls large
inline constexpr int kMaxVirtualCost = 200;  // instructions of an expression that no kernel stores: bounds prologues
/// large[v]: v has more than `large_bytes`, more than twice what it is computed from, and takes few instructions: an
/// iota, random bits, a small array repeated, elementwise functions and views of such. It is computed wherever it is
/// read and stored for results alone: memory is bounded by what a program is given and what its contractions,
/// reductions and scatters make of that, not by the shapes in between.
std::vector<bool> large_values(const Graph&, std::int64_t large_bytes);

Shape squeezed(const Shape&);  ///< without the axes of extent 1

/// Not what windows should repeat for each of their elements: arithmetic on a tensor, and the tests whether an element is
/// one of padding.
bool takes_work(const Node&);
/// read[v]: a window or an unwindow reads v, itself or through views: each element for several of its own.
std::vector<bool> read_by_windows(const Graph&);

/// users[v]: the nodes that read v, in order.
std::vector<std::vector<ValueId>> users(const Graph&);

/// stored[v]: value v of a group is written to memory, because something outside its group needs it and computing it
/// again there from values that are in memory anyway would cost more than loading it.
std::vector<bool> stored_values(const Graph&, const std::vector<bool>& large);

}  // namespace weft

// Panels: a storage order of states and temporaries on the CPU. A buffer [.., K, N] in panels of w elements is stored
// as the row-major [N / w][.., K][w]: what a contraction reads as its right operand lies in the order in which its
// microkernel wants it, rows of a tile are neighbours, and nothing is copied first. Only storage is concerned: types,
// accesses and results are those of the buffer in row-major order.
#pragma once
#include <string>

#include <weft/ir/memory/buffer.h>

namespace weft {

/// Elements from one index to the next in each dimension of a buffer's storage: those of row-major order, and within a
/// panel where there are panels.
Dims storage_strides(const Buffer&);
/// Elements from one panel to the next, less the width: at index n of the last dimension storage moves by
/// n + n / width * panel_gap(). 0 where there are no panels.
std::int64_t panel_gap(const Buffer&);

/// What keeps a buffer of this type from being stored in panels of `width`, or "".
std::string panel_objection(const Type&, std::int64_t width);
/// A copy of a row-major array in panels of `width`, and the other way round. The type stays. 0: a plain copy.
/// Error where the type does not allow such panels.
Array to_panels(const Array& rows, std::int64_t width);
Array from_panels(const Array& panels, std::int64_t width);

}  // namespace weft

// The order of kernels, and when a state may be updated in place.
#pragma once
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Sorts the kernels so that every value is stored before it is loaded, and every state is loaded before it is
/// overwritten, keeping the given order where it can. `in_place` are views of states that hold the state's new value: a
/// kernel that loads the state itself means the old one. An update that cannot wait for all readers of the old value is
/// stored in a temporary (its view becomes one) and copied at the end. On entry the kernels are in an order that
/// respects all but the in-place updates.
void order_kernels(Program&, const std::vector<BufferId>& in_place);

/// A kernel that copies buffer `from` to buffer `to` of the same type.
Kernel copy_kernel(const Program&, BufferId from, BufferId to, LocSet);

}  // namespace weft

// The order of kernels, and which states are updated in place.
#pragma once
#include <span>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Takes out the copies that end a program, from a temporary that holds a state's new value to the state, where the
/// kernels that compute the value may store it to the state itself: the temporary becomes a view of the state. For that
/// the kernels are sorted, so that every state is loaded before it is overwritten, keeping the given order where it
/// can. The same in each turn of a loop, whose states are what it carries from turn to turn. Where a kernel reads the old value at other places than it stores the new one to, or states wait for each
/// other, the copy stays. Right for any program; what the kernels store and load stays as it is.
void order_kernels(Program&);

/// A kernel that copies buffer `from` to buffer `to` of the same type, in loops of so many turns.
Kernel copy_kernel(const Program&, BufferId from, BufferId to, LocSet, std::span<const std::int64_t> loops = {});

}  // namespace weft

// Running through the loops of a program.
#pragma once
#include <functional>
#include <span>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// The kernel in one turn of each loop around it (Kernel::turns numbers), as it would stand outside of them.
Kernel at_turn(const Kernel&, std::span<const std::int64_t> turns);

/// Calls f(number of the kernel, the turns of the loops around it) for all kernels in the order in which they run.
void for_each_run(const Program&, const std::function<void(std::size_t, std::span<const std::int64_t>)>& f);

/// The kernels from number `first` on and their expressions, counted in each turn; a number above `most` where it is
/// more than that.
std::int64_t listed_size(const Program&, std::int64_t most, std::size_t first = 0);

}  // namespace weft

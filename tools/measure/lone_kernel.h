// One kernel of a program as a program of its own, to be timed apart from the others.
#pragma once
#include <vector>

#include "ir/kernel/kernel.h"

namespace weft::tools {

/// A program of this kernel and its buffers: those that it only reads are inputs (constants stay), those that it stores
/// to are states, so that all memory holds values before it runs.
Program lone_kernel(const Program&, const Kernel&);

/// Values for the program's inputs and states, from a fixed seed: floats in [0, 1) (a variance must not be negative),
/// integers that index whatever they are used to index.
std::vector<Array> random_values(const Program&);

}  // namespace weft::tools

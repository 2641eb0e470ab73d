// `weft bench limits|ops`: what a device can do at best, and how near single compiled functions come to it.
#pragma once
#include <string>

#include "compiler/placement.h"

namespace weft::tools {

/// Prints a table, or with `json` one object a line. `limits`: a launch, a node of a graph, a step of a persistent
/// kernel, copies. `ops`: contractions in each numerics, row kernels and elementwise chains, beside a copy of as many
/// bytes. `small`: sizes for a dry run. Throws Error on a CPU.
void bench_limits(const Placement&, bool small, bool json);
void bench_ops(const Placement&, bool small, bool json);

}  // namespace weft::tools

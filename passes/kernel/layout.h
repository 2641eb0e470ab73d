// Layout assignment: which buffers lie in panels (ir/memory/panels.h) on a CPU.
#pragma once
#include <span>
#include <string>

#include <weft/ir/base/target.h>
#include <weft/ir/kernel/kernel.h>

namespace weft {

/// Sets Buffer::panels of the states and temporaries that a contraction reads as its right operand, row by row of k, or
/// that a contraction's epilogue reads or updates (an optimiser's moments), where every kernel that uses the buffer
/// can. Whoever binds a state then binds it in that order. States of these names stay row-major.
void assign_layouts(Program&, const CpuTarget&, std::span<const std::string> row_major = {});

/// The width of panels: columns of the register tile that large products get, and whole vectors of every loop.
std::int64_t panel_width(DType, const CpuTarget&);

}  // namespace weft

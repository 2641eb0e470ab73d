// Private to codegen/: floating-point operations that a CPU lacks, made of those it has.
#pragma once
#include <llvm/IR/Module.h>

#include "ir/base/target.h"

namespace weft::codegen {

/// Before optimise(). Where the target has no fused multiply-add, that of f32 is made of f64's operations; where it does
/// not flush subnormals by itself, operations get code that does.
void legalise_floats(llvm::Module&, const CpuTarget&);

}  // namespace weft::codegen

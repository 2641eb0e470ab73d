// Private to codegen/: operations that a CPU lacks, made of those it has.
#pragma once
#include <llvm/IR/Module.h>

#include "ir/base/target.h"

namespace weft::codegen {

/// What functions are called by that legalise() adds; those of one name are the same in all modules for a target.
inline constexpr char kShared[] = "weft.shared.";

/// Before optimise(). Where the target has no fused multiply-add, it is made of additions and multiplications; where it
/// does not flush subnormals by itself, operations get code that does; where it has no division of i64, loops divide.
void legalise(llvm::Module&, const CpuTarget&);

}  // namespace weft::codegen

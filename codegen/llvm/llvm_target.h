// Private to codegen/: LLVM's description of a weft CpuTarget.
#pragma once
#include <llvm/Target/TargetMachine.h>

#include <memory>

#include "ir/base/target.h"

namespace weft::codegen {

/// LLVM's back end for `target`: strict about floating point (nothing fused), position-independent. Initialises LLVM's
/// x86 target on first use. Thread-safe; the machine itself belongs to one thread.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const CpuTarget& target);

}  // namespace weft::codegen

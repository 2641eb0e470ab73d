// Private to codegen/: LLVM's description of a weft CpuTarget.
#pragma once
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string_view>
#include <vector>

#include "ir/base/target.h"

namespace weft::codegen {

/// LLVM's back end for `target`: strict about floating point (nothing fused), position-independent. Initialises LLVM's
/// targets on first use. Thread-safe; the machine itself belongs to one thread. `jit`: its code is run in this process.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const CpuTarget& target, bool jit = true);
/// Whether LLVM knows a cpu of that name, and it is an x86-64.
bool is_x86_64_cpu(std::string_view);
/// The names of all those.
std::vector<std::string_view> x86_64_cpus();
/// Sets what vectors an x86-64 target has from its cpu and features.
void set_vectors(CpuTarget&);
/// Throws Error unless the triple's architecture is one that this LLVM has, and the cpu and features are of its.
void check_cpu(const CpuTarget& target);
/// Whether the cpu has an extension, by LLVM's name ("avx512vl").
bool has_feature(const CpuTarget& target, std::string_view feature);

}  // namespace weft::codegen

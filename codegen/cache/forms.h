// Private to codegen/: the kernels of a program by their forms (canonical.h), of which each is compiled once.
#pragma once
#include <vector>

#include "codegen/cache/canonical.h"
#include "codegen/cache/kernel_key.h"
#include "codegen/cpu/emit.h"
#include "ir/artifact/host_artifact.h"

namespace weft::codegen {

struct Form {
  const Kernel* first;  // of the kernels that have it
  CanonicalKernel canonical;
  KernelKey key;
  const Kernel& kernel() const { return canonical.kernel(); }
};
struct Forms {
  std::vector<Form> list;
  std::vector<std::size_t> of;                   // of each kernel: its form
  std::vector<std::vector<Argument>> arguments;  // of each kernel: what the form's buffers stand for
};
Forms forms_of(const Program&, const KeyMaker&);

/// The launches of a program: each phase of each kernel, in order. `phases_of(i)` is what code form i has.
std::vector<HostLaunch> launches_of(const Program&, const Forms&,
                                    llvm::function_ref<const std::vector<PhaseCode>&(std::size_t)> phases_of);

}  // namespace weft::codegen

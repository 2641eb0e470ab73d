// A kernel by itself, without what its code does not depend on: the form in which kernels are compiled. Kernels that
// are one another's copies on other buffers, as the layers of a deep model are, or on other parts of a buffer, as the
// steps of an unrolled one are, have the same form; so have the kernels of another program, or of this one in another
// process.
#pragma once
#include <vector>

#include "ir/artifact/host_artifact.h"
#include "ir/kernel/kernel.h"

namespace weft::codegen {

struct CanonicalKernel {
  /// One kernel, with its buffers numbered by first use (states, and views of them where storage is shared), indices
  /// that count from the first row, column, … of a buffer that any access can reach, and all names replaced by numbers.
  /// It passes verify(), and print() of it says all that its code depends on besides the target.
  Program program;
  std::vector<Argument> arguments;  ///< what each buffer of `program` stands for
  const Kernel& kernel() const { return program.kernels[0]; }
};
CanonicalKernel canonical(const Program&, const Kernel&);

}  // namespace weft::codegen

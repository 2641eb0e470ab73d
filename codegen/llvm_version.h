// The LLVM that runs must be the LLVM whose headers were compiled, all of it.
#pragma once
#include <string>
#include <vector>

namespace weft::codegen {

struct LlvmVersion {
  unsigned major = 0, minor = 0, patch = 0;
};
/// What is wrong with running on `loaded` what was built for `built`, with functions of LLVM from these files; "" when
/// nothing is. LLVM keeps its C++ interface within a minor version.
std::string llvm_problem(LlvmVersion built, LlvmVersion loaded, const std::vector<std::string>& files);

/// Called before LLVM is used. Throws Error with llvm_problem() of this process, and in the destructors of globals,
/// when LLVM has been taken down already; another thread that comes so late waits for the end of the process.
void require_llvm();

}  // namespace weft::codegen

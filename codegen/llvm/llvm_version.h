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

/// While one lives, this thread uses LLVM, and exit() on another one waits before LLVM is taken down. Throws Error with
/// llvm_problem() of this process, and in the destructors of globals, when LLVM has been taken down already; another
/// thread that comes so late waits for the end of the process. Uses nest.
class LlvmUse {
 public:
  LlvmUse();
  ~LlvmUse();
  LlvmUse(const LlvmUse&) = delete;
  LlvmUse& operator=(const LlvmUse&) = delete;
};

}  // namespace weft::codegen

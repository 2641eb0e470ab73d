// Private to codegen/: a kernel as an LLVM module, a module as object code, objects as executable memory.
#pragma once
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <vector>

#include "codegen/codegen.h"
#include "codegen/cpu/emit.h"

namespace weft::codegen {

/// The symbol of a phase of the kernel whose symbols begin with `prefix`.
std::string phase_symbol(const std::string& prefix, std::size_t phase);
/// Emits the phases of a kernel into a new module.
struct KernelModule {
  std::unique_ptr<llvm::Module> module;
  std::vector<PhaseCode> phases;
};
KernelModule emit_kernel(llvm::LLVMContext&, const Program&, const Kernel&, const CpuTarget&, const std::string& prefix);

struct BackEndOptions {
  bool verify = false;
  Sanitizer sanitizer = Sanitizer::none;
};
/// Has every access checked, or reported, by functions of the sanitizer's runtime.
void sanitize(llvm::Module&, Sanitizer);
/// Runs the short pass pipeline.
void optimise(llvm::Module&, llvm::TargetMachine&, const BackEndOptions&);
std::unique_ptr<llvm::MemoryBuffer> to_object(llvm::Module&, llvm::TargetMachine&);
std::string to_assembly(llvm::Module&, llvm::TargetMachine&);

/// The phases of a kernel as object code, from a back end for `target`. The same for the same arguments, to the byte,
/// in any process.
struct CompiledKernel {
  std::vector<PhaseCode> phases;
  std::unique_ptr<llvm::MemoryBuffer> object;
};
CompiledKernel compile_kernel(const Program&, const Kernel&, const CpuTarget& target, llvm::TargetMachine&,
                              const std::string& prefix, const BackEndOptions&);

/// Object code linked into this process. Pages are writable while they are filled, then executable, never both.
class LinkedCode {
 public:
  /// `whole_process`: code may call any function of this process, not only those that arithmetic may need.
  LinkedCode(std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects, bool whole_process);
  ~LinkedCode();
  LinkedCode(const LinkedCode&) = delete;
  LinkedCode& operator=(const LinkedCode&) = delete;
  std::vector<void*> addresses(const std::vector<std::string>& symbols) const;  ///< of each, some of which may be equal

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace weft::codegen

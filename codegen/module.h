// Private to codegen/: a kernel as an LLVM module, a module as object code, objects as executable memory.
#pragma once
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <vector>

#include "codegen/duplicates.h"
#include "codegen/emit.h"

namespace weft::codegen {

/// Emits the phases of a kernel into a new module; symbols are "<prefix>_<phase>".
struct KernelModule {
  std::unique_ptr<llvm::Module> module;
  std::vector<PhaseCode> phases;
};
KernelModule emit_kernel(llvm::LLVMContext&, const Program&, const Kernel&, const Target&, const std::string& prefix);

/// Emits "<prefix>_<phase>" for each phase of a kernel that is a copy: it puts the buffers in place and calls the
/// original's.
void emit_copy(llvm::Module&, const Copy&, const std::string& original_prefix, std::size_t phases,
               const std::string& prefix);

/// Attributes that every function needs: the target and the treatment of subnormals.
void finish_functions(llvm::Module&, const Target&);

struct BackEndOptions {
  bool verify = false;
  bool check_memory = false;
};
/// Runs the short pass pipeline.
void optimise(llvm::Module&, llvm::TargetMachine&, const BackEndOptions&);
std::unique_ptr<llvm::MemoryBuffer> to_object(llvm::Module&, llvm::TargetMachine&);
std::string to_assembly(llvm::Module&, llvm::TargetMachine&);

/// Object code linked into this process. Pages are writable while they are filled, then executable, never both.
class LinkedCode {
 public:
  /// `whole_process`: code may call any function of this process, not only those that arithmetic may need.
  LinkedCode(std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects, bool whole_process);
  ~LinkedCode();
  LinkedCode(const LinkedCode&) = delete;
  LinkedCode& operator=(const LinkedCode&) = delete;
  std::vector<void*> addresses(const std::vector<std::string>& symbols) const;

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace weft::codegen

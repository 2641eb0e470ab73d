// Another LLVM than weft's, used through its C interface: from text to assembly.
#pragma once
#include <string>

extern "C" {
void* LLVMContextCreate();
void LLVMContextDispose(void*);
void* LLVMCreateMemoryBufferWithMemoryRangeCopy(const char*, unsigned long, const char*);
int LLVMParseIRInContext(void* context, void* buffer, void** module, char** message);
void LLVMInitializeX86TargetInfo();
void LLVMInitializeX86Target();
void LLVMInitializeX86TargetMC();
void LLVMInitializeX86AsmPrinter();
int LLVMGetTargetFromTriple(const char*, void** target, char** message);
void* LLVMCreateTargetMachine(void*, const char*, const char*, const char*, int level, int reloc, int code);
int LLVMTargetMachineEmitToMemoryBuffer(void* machine, void* module, int type, char** message, void** buffer);
const char* LLVMGetBufferStart(void*);
void LLVMDisposeMemoryBuffer(void*);
void LLVMDisposeTargetMachine(void*);
void LLVMDisposeModule(void*);
}

namespace host {

/// Whether the other LLVM makes a multiplication of a module that multiplies.
inline bool other_llvm_works() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  const std::string text = "define i64 @f(i64 %a, i64 %b) {\n  %c = mul i64 %a, %b\n  ret i64 %c\n}\n";
  const char* triple = "x86_64-unknown-linux-gnu";
  void *context = LLVMContextCreate(), *module = nullptr, *target = nullptr, *assembly = nullptr;
  char* message = nullptr;
  void* buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text.data(), text.size(), "text");
  if (LLVMParseIRInContext(context, buffer, &module, &message)) return false;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) return false;
  void* machine = LLVMCreateTargetMachine(target, triple, "x86-64", "", 2, 0, 0);
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, 0, &message, &assembly)) return false;
  const bool right = std::string(LLVMGetBufferStart(assembly)).find("imul") != std::string::npos;
  LLVMDisposeMemoryBuffer(assembly);
  LLVMDisposeTargetMachine(machine);
  LLVMDisposeModule(module);
  LLVMContextDispose(context);
  return right;
}

}  // namespace host

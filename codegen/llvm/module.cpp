// One kernel, one module: emission and the back end.
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>

#include <algorithm>

#include "codegen/cpu/contract/emit_contract.h"
#include "codegen/llvm/legalise.h"
#include "codegen/llvm/llvm_target.h"
#include "codegen/llvm/module.h"

namespace weft::codegen {
namespace {

std::string emit_file(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type,
                      llvm::raw_pwrite_stream& out) {
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type)) return "LLVM cannot emit this file type";
  passes.run(module);
  return {};
}

/// Attributes that every function needs: the target and the treatment of subnormals.
void finish_functions(llvm::Module& module, const CpuTarget& target) {
  const std::string width = std::to_string(8 * target.vector_bytes);
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    f.addFnAttr(llvm::Attribute::NoUnwind);
    f.addFnAttr("denormal-fp-math", "preserve-sign,preserve-sign");
    f.addFnAttr(kRegisterBits, width);
    f.addFnAttr("min-legal-vector-width", width);
    f.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty()) f.addFnAttr("target-features", target.features);
  }
}

}  // namespace

std::string phase_symbol(const std::string& prefix, std::size_t phase) { return prefix + "_" + std::to_string(phase); }

KernelModule emit_kernel(llvm::LLVMContext& context, const Program& program, const Kernel& kernel,
                         const CpuTarget& target, const std::string& prefix) {
  KernelModule result{std::make_unique<llvm::Module>(kernel.name, context), {}};
  for (std::size_t p = 0; p < kernel.phases.size(); ++p) {
    const std::string symbol = phase_symbol(prefix, p);
    const bool is_tiled = p == 0 && ContractEmitter::accepts(kernel);
    const PhaseInfo info = is_tiled ? analyse_contraction(program, kernel, kernel.phases[p])
                                    : analyse(program, kernel, kernel.phases[p], lane_axis(kernel), true);
    if (is_tiled)
      result.phases.push_back(ContractEmitter(*result.module, program, kernel, info, target).emit(symbol));
    else
      result.phases.push_back(PhaseEmitter(*result.module, program, kernel, info, target).emit_points(symbol));
    if (info.checks) result.phases.back().scratch_bytes += sizeof(IndexFault);
  }
  legalise(*result.module, target);
  finish_functions(*result.module, target);
  return result;
}

void optimise(llvm::Module& module, llvm::TargetMachine& machine, const BackEndOptions& options) {
  module.setDataLayout(machine.createDataLayout());
  module.setTargetTriple(machine.getTargetTriple().str());
  if (options.verify) {
    std::string message;
    llvm::raw_string_ostream out(message);
    ensure(!llvm::verifyModule(module, &out), "kernel {}: LLVM rejects the code: {}", module.getName().str(), message);
  }
  llvm::PassBuilder builder(&machine);
  llvm::FunctionAnalysisManager functions;
  builder.registerFunctionAnalyses(functions);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass());
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) passes.run(f, functions);
  sanitize(module, options.sanitizer);
}

std::unique_ptr<llvm::MemoryBuffer> to_object(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  const std::string error = emit_file(module, machine, llvm::CodeGenFileType::ObjectFile, out);
  ensure(error.empty(), "kernel {}: {}", module.getName().str(), error);
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(bytes), module.getName(), false);
}

std::string to_assembly(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream out(text);
  const std::string error = emit_file(module, machine, llvm::CodeGenFileType::AssemblyFile, out);
  ensure(error.empty(), "kernel {}: {}", module.getName().str(), error);
  return text.str().str();
}

CompiledKernel compile_kernel(const Program& program, const Kernel& kernel, const CpuTarget& target,
                              llvm::TargetMachine& machine, const std::string& prefix, const BackEndOptions& options) {
  llvm::LLVMContext context;
  KernelModule m = emit_kernel(context, program, kernel, target, prefix);
  optimise(*m.module, machine, options);
  return {std::move(m.phases), to_object(*m.module, machine)};
}

}  // namespace weft::codegen

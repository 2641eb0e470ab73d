// One kernel, one module: emission and the back end.
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/Instrumentation/AddressSanitizer.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>

#include <algorithm>

#include "codegen/emit_contract.h"
#include "codegen/module.h"

namespace weft::codegen {
namespace {

std::string emit_file(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type,
                      llvm::raw_pwrite_stream& out) {
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, out, nullptr, type)) return "LLVM cannot emit this file type";
  passes.run(module);
  return {};
}

/// Checks every access against the shadow memory of the process's AddressSanitizer runtime. Globals are left alone:
/// nobody would run the constructor that registers them.
void check_accesses(llvm::Module& module) {
  for (llvm::GlobalVariable& g : module.globals()) {
    llvm::GlobalValue::SanitizerMetadata none;
    none.NoAddress = true;
    g.setSanitizerMetadata(none);
  }
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) f.addFnAttr(llvm::Attribute::SanitizeAddress);
  llvm::PassBuilder builder;
  llvm::LoopAnalysisManager loops;  // destroyed last: the others' results refer to it
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.registerCGSCCAnalyses(sccs);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::AddressSanitizerOptions options;
  llvm::AddressSanitizerPass(options, false, false, llvm::AsanDtorKind::None, llvm::AsanCtorKind::None)
      .run(module, modules);
}

}  // namespace

KernelModule emit_kernel(llvm::LLVMContext& context, const Program& program, const Kernel& kernel, const Target& target,
                         const std::string& prefix) {
  KernelModule result{std::make_unique<llvm::Module>(kernel.name, context), {}};
  for (std::size_t p = 0; p < kernel.phases.size(); ++p) {
    const std::string symbol = prefix + "_" + std::to_string(p);
    const PhaseInfo unmerged = analyse(program, kernel, kernel.phases[p], kernel.schedule.n, false);
    if (p == 0 && ContractEmitter::accepts(kernel, unmerged)) {
      result.phases.push_back(ContractEmitter(*result.module, program, kernel, unmerged, target).emit(symbol));
      continue;
    }
    const PhaseInfo info = analyse(program, kernel, kernel.phases[p], kernel.schedule.vector_axis, true);
    result.phases.push_back(PhaseEmitter(*result.module, program, kernel, info, target).emit_points(symbol));
  }
  finish_functions(*result.module, target);
  return result;
}

namespace {

/// rebase(buffers, begin, end, scratch, code, size, count, places): calls code with a table of `size` buffers, of which
/// those in places[0 … count) are set. One for all copies of a module, so that a copy is one call.
llvm::Function* rebase(llvm::Module& module, llvm::FunctionType* kernel) {
  constexpr const char* kName = "rebase";
  if (llvm::Function* known = module.getFunction(kName)) return known;
  Builder b(module.getContext());
  llvm::Type *i64 = b.getInt64Ty(), *ptr = b.getPtrTy();
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {ptr, i64, i64, ptr, ptr, i64, i64, ptr}, false);
  auto* f = llvm::Function::Create(type, llvm::Function::InternalLinkage, kName, module);
  auto* entry = llvm::BasicBlock::Create(module.getContext(), "entry", f);
  auto* loop = llvm::BasicBlock::Create(module.getContext(), "place", f);
  auto* call = llvm::BasicBlock::Create(module.getContext(), "call", f);
  b.SetInsertPoint(entry);
  Value* table = b.CreateAlloca(ptr, f->getArg(5));
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  llvm::PHINode* i = b.CreatePHI(i64, 2);
  Value* place = b.CreateGEP(llvm::ArrayType::get(i64, 3), f->getArg(7), i);
  auto field = [&](unsigned n) { return b.CreateLoad(i64, b.CreateConstGEP1_64(i64, place, n)); };
  Value *there = field(0), *here = field(1), *bytes = field(2);
  Value* base = b.CreateLoad(ptr, b.CreateGEP(ptr, f->getArg(0), here));
  b.CreateStore(b.CreateGEP(b.getInt8Ty(), base, bytes), b.CreateGEP(ptr, table, there));
  Value* next = b.CreateAdd(i, b.getInt64(1));
  i->addIncoming(b.getInt64(0), entry);
  i->addIncoming(next, loop);
  b.CreateCondBr(b.CreateICmpULT(next, f->getArg(6)), loop, call);
  b.SetInsertPoint(call);
  b.CreateCall(kernel, f->getArg(4), {table, f->getArg(1), f->getArg(2), f->getArg(3)});
  b.CreateRetVoid();
  return f;
}

}  // namespace

void emit_copy(llvm::Module& module, const Copy& copy, const std::string& original_prefix, std::size_t phases,
               const std::string& prefix) {
  Builder b(module.getContext());
  auto* type =
      llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getInt64Ty(), b.getInt64Ty(), b.getPtrTy()}, false);
  BufferId last = 0;
  std::vector<std::uint64_t> fields;
  for (const Copy::Place& p : copy.places) {
    last = std::max(last, p.there);
    for (std::int64_t v : {std::int64_t{p.there}, std::int64_t{p.here}, p.bytes})
      fields.push_back(static_cast<std::uint64_t>(v));
  }
  auto* data = llvm::ConstantDataArray::get(module.getContext(), fields);
  auto* places = new llvm::GlobalVariable(module, data->getType(), true, llvm::GlobalValue::PrivateLinkage, data);
  for (std::size_t p = 0; p < phases; ++p) {
    const std::string suffix = "_" + std::to_string(p);
    auto* f = llvm::Function::Create(type, llvm::Function::ExternalLinkage, prefix + suffix, module);
    b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f));
    b.CreateCall(rebase(module, type),
                 {f->getArg(0), f->getArg(1), f->getArg(2), f->getArg(3),
                  module.getOrInsertFunction(original_prefix + suffix, type).getCallee(),
                  b.getInt64(static_cast<std::uint64_t>(last) + 1), b.getInt64(copy.places.size()), places});
    b.CreateRetVoid();
  }
}

void finish_functions(llvm::Module& module, const Target& target) {
  const std::string width = std::to_string(8 * target.vector_bytes);
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    f.addFnAttr(llvm::Attribute::NoUnwind);
    f.addFnAttr("denormal-fp-math", "preserve-sign,preserve-sign");
    f.addFnAttr("prefer-vector-width", width);
    f.addFnAttr("min-legal-vector-width", width);
    f.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty()) f.addFnAttr("target-features", target.features);
  }
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
  if (options.check_memory) check_accesses(module);
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

}  // namespace weft::codegen

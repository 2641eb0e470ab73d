// Compiled code that a sanitizer's runtime watches, as it watches the rest of a process that was built for it.
#include <llvm/ADT/SmallVector.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Transforms/Instrumentation/AddressSanitizer.h>

#include "codegen/llvm/module.h"

namespace weft::codegen {
namespace {

/// Checks every access against the shadow memory of AddressSanitizer. Globals are left alone: nobody would run the
/// constructor that registers them.
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

struct MemoryAccess {
  llvm::Instruction* at;
  llvm::Value* pointer;
  std::uint64_t bytes;
  bool writes;
};

/// The bytes of a masked access of the first lanes; 0 when the mask is not known here.
std::uint64_t masked_bytes(const llvm::Value* mask, std::uint64_t element) {
  const auto* lanes = llvm::dyn_cast<llvm::Constant>(mask);
  std::uint64_t active = 0;
  while (lanes && active < llvm::cast<llvm::FixedVectorType>(mask->getType())->getNumElements() &&
         lanes->getAggregateElement(static_cast<unsigned>(active))->isOneValue())
    ++active;
  return active * element;
}

/// What an instruction reads or writes; of no bytes when it does neither.
MemoryAccess access_of(llvm::Instruction& i, const llvm::DataLayout& layout) {
  if (auto* load = llvm::dyn_cast<llvm::LoadInst>(&i))
    return {&i, load->getPointerOperand(), layout.getTypeStoreSize(load->getType()), false};
  if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&i))
    return {&i, store->getPointerOperand(), layout.getTypeStoreSize(store->getValueOperand()->getType()), true};
  auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&i);
  if (!call) return {};
  const bool writes = call->getIntrinsicID() == llvm::Intrinsic::masked_store;
  if (!writes && call->getIntrinsicID() != llvm::Intrinsic::masked_load) return {};
  llvm::Type* element = (writes ? call->getArgOperand(0)->getType() : call->getType())->getScalarType();
  return {&i, call->getArgOperand(writes ? 1 : 0),
          masked_bytes(call->getArgOperand(writes ? 3 : 2), layout.getTypeStoreSize(element)), writes};
}

/// Tells ThreadSanitizer of every access of memory that threads may share. (LLVM's own pass leaves out vectors of more
/// than 16 bytes and masked ones, which is most of what compiled code does.) An access under a mask that is computed is
/// left out.
void report_accesses(llvm::Module& module) {
  const llvm::DataLayout& layout = module.getDataLayout();
  llvm::SmallVector<MemoryAccess> accesses;
  for (llvm::Function& f : module)
    for (llvm::Instruction& i : llvm::instructions(f)) {
      const MemoryAccess a = access_of(i, layout);
      if (a.bytes == 0) continue;
      const llvm::Value* object = llvm::getUnderlyingObject(a.pointer);
      if (!llvm::isa<llvm::AllocaInst>(object) && !llvm::isa<llvm::GlobalVariable>(object)) accesses.push_back(a);
    }
  llvm::IRBuilder<> b(module.getContext());
  for (const MemoryAccess& a : accesses) {
    b.SetInsertPoint(a.at);
    b.CreateCall(module.getOrInsertFunction(a.writes ? "__tsan_write_range" : "__tsan_read_range", b.getVoidTy(),
                                            b.getPtrTy(), b.getInt64Ty()),
                 {a.pointer, b.getInt64(a.bytes)});
  }
}

}  // namespace

void sanitize(llvm::Module& module, Sanitizer sanitizer) {
  if (sanitizer == Sanitizer::address) check_accesses(module);
  if (sanitizer == Sanitizer::thread) report_accesses(module);
}

}  // namespace weft::codegen

// The entry of a launch: parameters, shared memory, and the body of its device function.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Metadata.h>

#include "codegen/ptx.h"

namespace weft::codegen {
namespace {

/// The block's shared memory: `bytes` of it, or, beyond what a kernel may declare, what the launch asks for.
llvm::GlobalVariable* shared_block(llvm::Module& module, const std::string& name, std::int64_t bytes) {
  const bool is_static = bytes <= kStaticShared;
  auto* type = llvm::ArrayType::get(llvm::Type::getInt8Ty(module.getContext()),
                                    is_static ? static_cast<std::uint64_t>(bytes) : 0);
  auto* block = new llvm::GlobalVariable(
      module, type, false, is_static ? llvm::GlobalValue::InternalLinkage : llvm::GlobalValue::ExternalLinkage,
      is_static ? llvm::UndefValue::get(type) : nullptr, name, nullptr, llvm::GlobalValue::NotThreadLocal,
      kSharedSpace);
  block->setAlignment(llvm::Align(16));
  return block;
}

/// Marks an entry of exactly `threads` threads a block: in metadata until LLVM 20, by attributes since. Without a least
/// number of blocks a multiprocessor, ptxas spills to have more of them than it was asked for.
void set_entry(llvm::Function& f, int threads) {
  f.setCallingConv(llvm::CallingConv::PTX_Kernel);
  llvm::LLVMContext& context = f.getContext();
  llvm::NamedMDNode* annotations = f.getParent()->getOrInsertNamedMetadata("nvvm.annotations");
  auto annotate = [&](const char* what, int v) {
    llvm::Constant* number = llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), static_cast<unsigned>(v));
    llvm::Metadata* row[] = {llvm::ConstantAsMetadata::get(&f), llvm::MDString::get(context, what),
                             llvm::ConstantAsMetadata::get(number)};
    annotations->addOperand(llvm::MDNode::get(context, row));
  };
  annotate("kernel", 1);
  annotate("reqntidx", threads);
  annotate("minctasm", 1);
  f.addFnAttr("nvvm.reqntid", std::to_string(threads));
  f.addFnAttr("nvvm.minctasm", "1");
}

}  // namespace

std::unique_ptr<llvm::Module> emit_launch(llvm::LLVMContext& context, const simt::Function& f, const std::string& entry,
                                          const llvm::DataLayout& layout) {
  auto module = std::make_unique<llvm::Module>(entry, context);
  module->setDataLayout(layout);
  Builder b(context);
  std::vector<llvm::Type*> types;
  for (const simt::Memory& m : f.memories)
    if (m.space == simt::Memory::global) types.push_back(b.getPtrTy(kGlobalSpace));
  auto* function = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), types, false),
                                          llvm::GlobalValue::ExternalLinkage, entry, *module);
  set_entry(*function, f.threads);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr(llvm::Attribute::Convergent);
  function->addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));

  DeviceFrame frame;
  const std::vector<std::int64_t> offsets = shared_layout(f);
  llvm::GlobalVariable* shared =
      offsets.back() > 0 ? shared_block(*module, entry + "_shared", offsets.back()) : nullptr;
  std::size_t arrays = 0;
  llvm::Argument* parameter = function->arg_begin();
  for (const simt::Memory& m : f.memories) {
    if (m.space == simt::Memory::shared) {
      frame.memories.push_back(
          b.CreateConstGEP1_64(b.getInt8Ty(), shared, static_cast<std::uint64_t>(offsets[arrays++])));
      continue;
    }
    parameter->setName(m.name);
    parameter->addAttr(llvm::Attribute::getWithAlignment(context, llvm::Align(16)));
    frame.memories.push_back(parameter++);
  }
  DeviceEmitter(b, f, std::move(frame)).run();
  b.CreateRetVoid();
  place_opaque_constants(*module, entry);
  return module;
}

}  // namespace weft::codegen

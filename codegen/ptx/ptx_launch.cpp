// Entries: parameters, shared memory, and, for a launch, the body of its device function.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Metadata.h>

#include "codegen/ptx/ptx.h"

namespace weft::codegen {

llvm::GlobalVariable* shared_block(llvm::Module& module, const std::string& entry, std::int64_t bytes) {
  if (bytes == 0) return nullptr;
  const bool is_static = bytes <= kStaticShared;
  auto* type = llvm::ArrayType::get(llvm::Type::getInt8Ty(module.getContext()),
                                    is_static ? static_cast<std::uint64_t>(bytes) : 0);
  auto* block = new llvm::GlobalVariable(
      module, type, false, is_static ? llvm::GlobalValue::InternalLinkage : llvm::GlobalValue::ExternalLinkage,
      is_static ? llvm::UndefValue::get(type) : nullptr, entry + "_shared", nullptr, llvm::GlobalValue::NotThreadLocal,
      kSharedSpace);
  block->setAlignment(llvm::Align(16));
  return block;
}

namespace {

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

llvm::Function* open_entry(llvm::Module& module, Builder& b, const std::string& entry,
                           llvm::ArrayRef<llvm::Type*> parameters, int threads) {
  auto* function = llvm::Function::Create(llvm::FunctionType::get(b.getVoidTy(), parameters, false),
                                          llvm::GlobalValue::ExternalLinkage, entry, module);
  set_entry(*function, threads);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr(llvm::Attribute::Convergent);
  function->addFnAttr("denormal-fp-math-f32", "preserve-sign,preserve-sign");
  for (llvm::Argument& a : function->args())
    if (a.getType()->isPointerTy()) a.addAttr(llvm::Attribute::getWithAlignment(module.getContext(), llvm::Align(16)));
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", function));
  return function;
}

std::vector<Value*> memory_addresses(Builder& b, const simt::Function& f, Value* shared,
                                     llvm::function_ref<Value*(const simt::Memory&)> global) {
  const std::vector<std::int64_t> offsets = shared_layout(f);
  std::vector<Value*> addresses;
  std::size_t arrays = 0;
  for (const simt::Memory& m : f.memories)
    addresses.push_back(m.space == simt::Memory::shared
                            ? b.CreateConstGEP1_64(b.getInt8Ty(), shared, static_cast<std::uint64_t>(offsets[arrays++]))
                            : global(m));
  return addresses;
}

std::unique_ptr<llvm::Module> emit_launch(llvm::LLVMContext& context, const simt::Function& f, const std::string& entry,
                                          const llvm::DataLayout& layout) {
  auto module = std::make_unique<llvm::Module>(entry, context);
  module->setDataLayout(layout);
  Builder b(context);
  std::vector<llvm::Type*> parameters;
  for (const simt::Memory& m : f.memories)
    if (m.space == simt::Memory::global) parameters.push_back(b.getPtrTy(kGlobalSpace));
  llvm::Argument* parameter = open_entry(*module, b, entry, parameters, f.threads)->arg_begin();
  DeviceFrame frame;
  frame.memories =
      memory_addresses(b, f, shared_block(*module, entry, shared_layout(f).back()), [&](const simt::Memory& m) {
        parameter->setName(m.name);
        return parameter++;
      });
  DeviceEmitter(b, f, std::move(frame)).run();
  b.CreateRetVoid();
  place_opaque_constants(*module, entry);
  return module;
}

}  // namespace weft::codegen

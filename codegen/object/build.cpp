// What the functions of an object are built of.
#include <llvm/IR/Constants.h>

#include "codegen/object/emit_object.h"
#include "ir/base/cache_line.h"

namespace weft::codegen {

llvm::Function* begin_function(llvm::Module& module, ObjectBuilder& b, llvm::Type* result, const std::string& name,
                               llvm::ArrayRef<llvm::Type*> parameters, bool exported) {
  auto* type = llvm::FunctionType::get(result, parameters, false);
  auto* f = llvm::Function::Create(type, exported ? llvm::Function::ExternalLinkage : llvm::Function::InternalLinkage,
                                   name, module);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  return f;
}

void for_range(ObjectBuilder& b, llvm::Value* end, std::int64_t step, llvm::function_ref<void(llvm::Value*)> body) {
  llvm::Function* f = b.GetInsertBlock()->getParent();
  auto* before = b.GetInsertBlock();
  auto* head = llvm::BasicBlock::Create(b.getContext(), "head", f);
  auto* inside = llvm::BasicBlock::Create(b.getContext(), "body", f);
  auto* after = llvm::BasicBlock::Create(b.getContext(), "after", f);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  llvm::PHINode* i = b.CreatePHI(b.getInt64Ty(), 2);
  i->addIncoming(b.getInt64(0), before);
  b.CreateCondBr(b.CreateICmpSLT(i, end), inside, after);
  b.SetInsertPoint(inside);
  body(i);
  i->addIncoming(b.CreateAdd(i, b.getInt64(static_cast<std::uint64_t>(step))), b.GetInsertBlock());
  b.CreateBr(head);
  b.SetInsertPoint(after);
}

void return_if(ObjectBuilder& b, llvm::Value* condition, ObjectFault fault) {
  llvm::Function* f = b.GetInsertBlock()->getParent();
  auto* fails = llvm::BasicBlock::Create(b.getContext(), "fails", f);
  auto* holds = llvm::BasicBlock::Create(b.getContext(), "holds", f);
  b.CreateCondBr(condition, fails, holds);
  b.SetInsertPoint(fails);
  b.CreateRet(b.getInt32(static_cast<std::uint32_t>(fault)));
  b.SetInsertPoint(holds);
}

llvm::Value* offset(ObjectBuilder& b, llvm::Value* pointer, std::int64_t bytes) {
  return bytes ? b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), pointer, static_cast<std::uint64_t>(bytes)) : pointer;
}

llvm::Value* is_misplaced(ObjectBuilder& b, llvm::Value* pointer) {
  llvm::Value* at = b.CreatePtrToInt(pointer, b.getInt64Ty());
  llvm::Value* low = b.CreateICmpNE(b.CreateAnd(at, b.getInt64(kCacheLine - 1)), b.getInt64(0));
  return b.CreateOr(low, b.CreateICmpEQ(at, b.getInt64(0)));
}

llvm::Constant* constant_bytes(llvm::Module& module, std::string_view bytes) {
  llvm::Constant* value = llvm::ConstantDataArray::getRaw(llvm::StringRef(bytes.data(), bytes.size()), bytes.size(),
                                                          llvm::Type::getInt8Ty(module.getContext()));
  const std::string name = "constant";
  for (llvm::GlobalVariable& g : module.globals())
    if (g.isConstant() && g.getName().starts_with(name) && g.getInitializer() == value) return &g;
  auto* global =
      new llvm::GlobalVariable(module, value->getType(), true, llvm::GlobalValue::InternalLinkage, value, name);
  global->setAlignment(llvm::Align(kCacheLine));
  return global;
}

llvm::Function* copy_function(llvm::Module& module) {
  if (llvm::Function* f = module.getFunction("copy")) return f;
  constexpr std::int64_t kBlock = 64;
  ObjectBuilder b(module.getContext());
  llvm::Type *pointer = b.getPtrTy(), *i64 = b.getInt64Ty();
  llvm::Function* f = begin_function(module, b, b.getVoidTy(), "copy", {pointer, pointer, i64}, false);
  llvm::Value *to = f->getArg(0), *from = f->getArg(1), *bytes = f->getArg(2);
  const auto move = [&](llvm::Value* i, llvm::Type* type) {
    llvm::Value* value = b.CreateAlignedLoad(type, b.CreateInBoundsGEP(b.getInt8Ty(), from, i), llvm::Align(1));
    b.CreateAlignedStore(value, b.CreateInBoundsGEP(b.getInt8Ty(), to, i), llvm::Align(1));
  };
  llvm::Value* blocks = b.CreateAnd(bytes, b.getInt64(~std::uint64_t{kBlock - 1}));
  for_range(b, blocks, kBlock, [&](llvm::Value* i) { move(i, llvm::FixedVectorType::get(b.getInt8Ty(), kBlock)); });
  llvm::Value* rest = b.CreateSub(bytes, blocks);
  for_range(b, rest, 1, [&](llvm::Value* i) { move(b.CreateAdd(blocks, i), b.getInt8Ty()); });
  b.CreateRetVoid();
  return f;
}

}  // namespace weft::codegen

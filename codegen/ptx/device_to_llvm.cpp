// Device code to LLVM IR, instruction by instruction: values, collectives, control flow.
#include "codegen/ptx/ptx.h"

#include <llvm/IR/ConstantRange.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicsNVPTX.h>

#include <algorithm>
#include <array>

namespace weft::codegen {
namespace {

constexpr unsigned kAllLanes = 0xffffffff;

/// `v`, 32 bits at a time through `f`.
Value* by_words(Builder& b, Value* v, llvm::function_ref<Value*(Value*)> f) {
  llvm::Type* type = v->getType();
  const unsigned words = type->getScalarSizeInBits() / 32;
  ensure(words >= 1 && type->getScalarSizeInBits() % 32 == 0, "a shuffle moves 32 or 64 bits");
  if (words == 1) return b.CreateBitCast(f(b.CreateBitCast(v, b.getInt32Ty())), type);
  llvm::Type* pair = llvm::FixedVectorType::get(b.getInt32Ty(), words);
  Value *from = b.CreateBitCast(v, pair), *to = llvm::PoisonValue::get(pair);
  for (std::uint64_t w = 0; w < words; ++w) to = b.CreateInsertElement(to, f(b.CreateExtractElement(from, w)), w);
  return b.CreateBitCast(to, type);
}

/// A special register that counts from 0 to `end` - 1.
Value* special_register(Builder& b, llvm::Intrinsic::ID id, std::int64_t end) {
  auto* call = llvm::cast<llvm::CallInst>(b.CreateIntrinsic(id, {}, {}));
  call->addRangeRetAttr(llvm::ConstantRange(llvm::APInt(32, 0), llvm::APInt(32, static_cast<std::uint64_t>(end))));
  return call;
}

}  // namespace

const DeviceEmitter::Row DeviceEmitter::kRows[] = {
    {Inst::constant, &DeviceEmitter::constant},
    {Inst::thread, &DeviceEmitter::thread},
    {Inst::block, &DeviceEmitter::block},
    {Inst::apply, &DeviceEmitter::apply},
    {Inst::shuffle_down, &DeviceEmitter::shuffle},
    {Inst::shuffle_from, &DeviceEmitter::shuffle},
    {Inst::load, &DeviceEmitter::load},
    {Inst::store, &DeviceEmitter::store},
    {Inst::copy_async, &DeviceEmitter::copy_async},
    {Inst::commit_async, &DeviceEmitter::commit_async},
    {Inst::wait_async, &DeviceEmitter::wait_async},
    {Inst::barrier, &DeviceEmitter::barrier},
    {Inst::variable, &DeviceEmitter::variable},
    {Inst::set, &DeviceEmitter::set},
    {Inst::loop, &DeviceEmitter::loop},
    {Inst::when, &DeviceEmitter::when},
    {Inst::mma_tf32, &DeviceEmitter::mma_tf32},
    {Inst::mma_bf16, &DeviceEmitter::mma_bf16},
};

DeviceEmitter::DeviceEmitter(Builder& b, const simt::Function& f, DeviceFrame frame)
    : b_(b), f_(f), frame_(std::move(frame)), values_(f.types.size()) {}

void DeviceEmitter::region(const simt::Region& r) {
  static const auto table = [] {
    std::array<Emit, std::size(kRows)> t{};
    for (const Row& row : kRows) t[row.kind] = row.emit;
    return t;
  }();
  for (const Inst& i : r.insts) {
    ensure(i.kind < table.size(), "device function {}: unknown instruction {}", f_.name, static_cast<int>(i.kind));
    (this->*table[i.kind])(i);
  }
}

Value* DeviceEmitter::value(simt::RegisterId id) {
  Value* v = values_[static_cast<std::size_t>(id)];
  ensure(v != nullptr, "device function {}: value {} is used before it is defined", f_.name, id);
  auto* place = llvm::dyn_cast<llvm::AllocaInst>(v);
  return place ? b_.CreateLoad(place->getAllocatedType(), place) : v;
}

llvm::BasicBlock* DeviceEmitter::new_block(const char* name) {
  return llvm::BasicBlock::Create(b_.getContext(), name, b_.GetInsertBlock()->getParent());
}

void DeviceEmitter::constant(const Inst& i) { define(i.result, emit_constant(b_, i.dtype, i.bits)); }

void DeviceEmitter::thread(const Inst& i) {
  define(i.result, special_register(b_, llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x, f_.threads));
}

void DeviceEmitter::block(const Inst& i) {
  define(i.result, frame_.block ? frame_.block
                                : special_register(b_, llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x,
                                                   std::max<std::int64_t>(f_.blocks, 1)));
}

void DeviceEmitter::apply(const Inst& i) {
  Values args;
  for (simt::RegisterId a : i.args) args.push_back(value(a));
  define(i.result, emit_op(b_, i.op, f_.type(i.args.back()), i.dtype, args));
}

/// PTX's operand c: the last lane of a segment, and above it the bits of a lane's number that name its segment.
void DeviceEmitter::shuffle(const Inst& i) {
  const llvm::Intrinsic::ID id =
      i.kind == Inst::shuffle_down ? llvm::Intrinsic::nvvm_shfl_sync_down_i32 : llvm::Intrinsic::nvvm_shfl_sync_idx_i32;
  const unsigned segment = static_cast<unsigned>(simt::kWarp - i.width) << 8 | (simt::kWarp - 1);
  define(i.result, by_words(b_, value(i.args[0]), [&](Value* word) -> Value* {
           return b_.CreateIntrinsic(
               id, {},
               {b_.getInt32(kAllLanes), word, b_.getInt32(static_cast<unsigned>(i.bits)), b_.getInt32(segment)});
         }));
}

void DeviceEmitter::barrier(const Inst&) {
  const std::string code = fmt::format("bar.sync {}, {};", frame_.barrier, f_.threads);
  auto* type = llvm::FunctionType::get(b_.getVoidTy(), false);
  b_.CreateCall(llvm::InlineAsm::get(type, code, "~{memory}", true))->addFnAttr(llvm::Attribute::Convergent);
}

void DeviceEmitter::variable(const Inst& i) {
  llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
  Builder at_entry(&entry, entry.begin());
  Value* place = at_entry.CreateAlloca(type_of(i.result));
  b_.CreateStore(value(i.args[0]), place);
  define(i.result, place);
}

void DeviceEmitter::set(const Inst& i) {
  b_.CreateStore(value(i.args[1]), values_[static_cast<std::size_t>(i.args[0])]);
}

void DeviceEmitter::unrolled(const Inst& i, std::int64_t begin, std::int64_t end) {
  for (std::int64_t at = begin; at < end; at += static_cast<std::int64_t>(i.bits)) {
    define(i.result, llvm::ConstantInt::get(type_of(i.result), static_cast<std::uint64_t>(at), true));
    region(*i.body);
  }
}

void DeviceEmitter::loop(const Inst& i) {
  Value *begin = value(i.args[0]), *end = value(i.args[1]);
  auto *first = llvm::dyn_cast<llvm::ConstantInt>(begin), *last = llvm::dyn_cast<llvm::ConstantInt>(end);
  if (i.unroll) {
    ensure(first && last, "device function {}: an unrolled loop has constant bounds", f_.name);
    return unrolled(i, first->getSExtValue(), last->getSExtValue());
  }
  const bool surely_runs = first && last && first->getSExtValue() < last->getSExtValue();
  llvm::BasicBlock *body = new_block("loop"), *after = new_block("after"), *before = b_.GetInsertBlock();
  if (surely_runs)
    b_.CreateBr(body);
  else
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), body, after);
  b_.SetInsertPoint(body);
  llvm::PHINode* at = b_.CreatePHI(begin->getType(), 2);
  at->addIncoming(begin, before);
  define(i.result, at);
  region(*i.body);
  Value* next = b_.CreateNSWAdd(at, llvm::ConstantInt::get(at->getType(), i.bits));
  at->addIncoming(next, b_.GetInsertBlock());
  b_.CreateCondBr(b_.CreateICmpSLT(next, end), body, after);
  b_.SetInsertPoint(after);
}

void DeviceEmitter::when(const Inst& i) {
  guarded(value(i.args[0]), [&] { region(*i.body); });
}

void DeviceEmitter::guarded(Value* condition, llvm::function_ref<void()> body) {
  guarded(condition, nullptr, [&] {
    body();
    return nullptr;
  });
}

Value* DeviceEmitter::guarded(Value* condition, llvm::Type* type, llvm::function_ref<Value*()> body) {
  Value* otherwise = type ? llvm::Constant::getNullValue(type) : nullptr;
  if (auto* known = llvm::dyn_cast<llvm::ConstantInt>(condition)) return known->isZero() ? otherwise : body();
  llvm::BasicBlock *then = new_block("then"), *after = new_block("after"), *before = b_.GetInsertBlock();
  b_.CreateCondBr(condition, then, after);
  b_.SetInsertPoint(then);
  Value* inside = body();
  llvm::BasicBlock* end = b_.GetInsertBlock();
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  if (!type) return nullptr;
  llvm::PHINode* result = b_.CreatePHI(type, 2);
  result->addIncoming(otherwise, before);
  result->addIncoming(inside, end);
  return result;
}

void DeviceEmitter::matrix_product(const Inst& i, llvm::Intrinsic::ID id, Values args) {
  for (std::size_t c = i.args.size() - 4; c < i.args.size(); ++c) args.push_back(value(i.args[c]));
  Value* d = b_.CreateIntrinsic(id, {}, args);
  for (unsigned r = 0; r < 4; ++r) define(i.result + static_cast<int>(r), b_.CreateExtractValue(d, r));
}

void DeviceEmitter::mma_tf32(const Inst& i) {
  Values args;
  for (std::size_t a = 0; a < 6; ++a)
    args.push_back(b_.CreateIntrinsic(llvm::Intrinsic::nvvm_f2tf32_rna, {}, {value(i.args[a])}));
  matrix_product(i, llvm::Intrinsic::nvvm_mma_m16n8k8_row_col_tf32, args);
}

void DeviceEmitter::mma_bf16(const Inst& i) {
  Values args;
  for (std::size_t a = 0; a < 12; a += 2) {  // the first of two neighbours is the lower half
    Value* pair = b_.CreateIntrinsic(llvm::Intrinsic::nvvm_ff2bf16x2_rn, {}, {value(i.args[a + 1]), value(i.args[a])});
    args.push_back(b_.CreateBitCast(pair, b_.getInt32Ty()));
  }
  matrix_product(i, llvm::Intrinsic::nvvm_mma_m16n8k16_row_col_bf16, args);
}

}  // namespace weft::codegen

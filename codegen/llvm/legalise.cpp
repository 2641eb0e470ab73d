// Floating-point operations in terms of others, with the same results in bits.
#include "codegen/llvm/legalise.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>

#include <vector>

namespace weft::codegen {
namespace {

using llvm::Value;
using Builder = llvm::IRBuilder<>;

llvm::Type* with_scalar(llvm::Type* shape, llvm::Type* scalar) {
  return shape->isVectorTy() ? llvm::cast<llvm::VectorType>(shape)->getWithNewType(scalar) : scalar;
}

/// fma(x, y, z) of f32, rounded once: the product is exact in f64; so is the error of its sum with z, by which the sum is
/// rounded to odd, and rounding that to f32 is right (Boldo and Melquiond, 2008).
Value* fma_of_doubles(Builder& b, Value* x, Value* y, Value* z) {
  llvm::Type* f32 = x->getType();
  llvm::Type *f64 = with_scalar(f32, b.getDoubleTy()), *i64 = with_scalar(f32, b.getInt64Ty());
  Value *product = b.CreateFMul(b.CreateFPExt(x, f64), b.CreateFPExt(y, f64)), *term = b.CreateFPExt(z, f64);
  Value* sum = b.CreateFAdd(product, term);
  Value* of_term = b.CreateFSub(sum, product);  // Knuth's exact sum
  Value* error = b.CreateFAdd(b.CreateFSub(product, b.CreateFSub(sum, of_term)), b.CreateFSub(term, of_term));
  Value* bits = b.CreateBitCast(sum, i64);
  Value* zero = llvm::Constant::getNullValue(f64);
  Value* one = llvm::ConstantInt::get(i64, 1);
  Value* is_even = b.CreateICmpEQ(b.CreateAnd(bits, one), llvm::ConstantInt::get(i64, 0));
  Value* inexact = b.CreateFCmpONE(error, zero);
  Value* outwards = b.CreateICmpEQ(b.CreateFCmpOGT(error, zero), b.CreateFCmpOGT(sum, zero));
  Value* odd = b.CreateSelect(outwards, b.CreateAdd(bits, one), b.CreateSub(bits, one));
  Value* rounded = b.CreateSelect(b.CreateAnd(is_even, inexact), odd, bits);
  return b.CreateFPTrunc(b.CreateBitCast(rounded, f64), f32);
}

void expand_fma(llvm::Module& module) {
  std::vector<llvm::IntrinsicInst*> found;
  for (llvm::Function& f : module)
    for (llvm::Instruction& i : llvm::instructions(f))
      if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&i))
        if (call->getIntrinsicID() == llvm::Intrinsic::fma && call->getType()->getScalarType()->isFloatTy())
          found.push_back(call);
  for (llvm::IntrinsicInst* call : found) {
    Builder b(call);
    call->replaceAllUsesWith(fma_of_doubles(b, call->getArgOperand(0), call->getArgOperand(1), call->getArgOperand(2)));
    call->eraseFromParent();
  }
}

/// Makes subnormal operands and results zeros of their sign.
class Flusher {
 public:
  explicit Flusher(llvm::Function& f) : function_(f) {}

  void run() {
    std::vector<llvm::Instruction*> all;
    for (llvm::Instruction& i : llvm::instructions(function_)) all.push_back(&i);
    for (llvm::Instruction* i : all)
      if (computes(*i))
        for (llvm::Use& use : i->operands())
          if (is_float(use->getType()) && !is_clean(use.get())) use.set(flushed(use.get()));
    for (llvm::Instruction* i : all)
      if (rounds(*i)) {
        Value* zeroed = flushed(i);
        i->replaceUsesWithIf(zeroed, [&](llvm::Use& use) { return !ours_.contains(use.getUser()); });
      }
  }

 private:
  static bool is_float(llvm::Type* t) { return t->getScalarType()->isFloatTy() || t->getScalarType()->isDoubleTy(); }

  static llvm::Intrinsic::ID intrinsic(const llvm::Instruction& i) {
    const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&i);
    return call ? call->getIntrinsicID() : llvm::Intrinsic::not_intrinsic;
  }
  /// Whether its result may be subnormal where its operands are not.
  static bool rounds(const llvm::Instruction& i) {
    if (!is_float(i.getType())) return false;
    switch (i.getOpcode()) {
      case llvm::Instruction::FAdd:
      case llvm::Instruction::FSub:
      case llvm::Instruction::FMul:
      case llvm::Instruction::FDiv:
      case llvm::Instruction::FPTrunc: return true;
      default: return intrinsic(i) == llvm::Intrinsic::fma;
    }
  }
  /// Whether it takes its operands as numbers, not as bits.
  static bool computes(const llvm::Instruction& i) {
    switch (i.getOpcode()) {
      case llvm::Instruction::FCmp:
      case llvm::Instruction::FPExt:
      case llvm::Instruction::FPToSI:
      case llvm::Instruction::FPToUI: return true;
      default: break;
    }
    switch (intrinsic(i)) {
      case llvm::Intrinsic::sqrt:
      case llvm::Intrinsic::floor:
      case llvm::Intrinsic::ceil:
      case llvm::Intrinsic::trunc:
      case llvm::Intrinsic::rint:
      case llvm::Intrinsic::roundeven:
      case llvm::Intrinsic::minnum:
      case llvm::Intrinsic::maxnum:
      case llvm::Intrinsic::fptosi_sat:
      case llvm::Intrinsic::fptoui_sat: return true;
      default: return rounds(i);
    }
  }

  /// Whether the value is no subnormal, or made none by what run() does.
  bool is_clean(Value* v) {
    if (const auto it = clean_.find(v); it != clean_.end()) return it->second;
    clean_[v] = true;  // of a circle of phis, unless something else in it is not
    return clean_[v] = finds_clean(v);
  }
  bool finds_clean(Value* v) {
    if (auto* c = llvm::dyn_cast<llvm::Constant>(v)) {
      if (c->isNullValue()) return true;
      if (auto* splat = c->getType()->isVectorTy() ? c->getSplatValue() : c)
        if (auto* number = llvm::dyn_cast<llvm::ConstantFP>(splat)) return !number->getValueAPF().isDenormal();
      return false;
    }
    auto* i = llvm::dyn_cast<llvm::Instruction>(v);
    if (!i) return false;
    if (rounds(*i) || llvm::isa<llvm::SIToFPInst>(i) || llvm::isa<llvm::UIToFPInst>(i)) return true;
    if (llvm::isa<llvm::PHINode>(i) || llvm::isa<llvm::ShuffleVectorInst>(i))
      return llvm::all_of(i->operands(), [&](llvm::Use& use) { return is_clean(use.get()); });
    if (llvm::isa<llvm::SelectInst>(i)) return is_clean(i->getOperand(1)) && is_clean(i->getOperand(2));
    if (i->getOpcode() == llvm::Instruction::FNeg || intrinsic(*i) == llvm::Intrinsic::fabs ||
        llvm::isa<llvm::ExtractElementInst>(i))
      return is_clean(i->getOperand(0));
    if (llvm::isa<llvm::InsertElementInst>(i)) return is_clean(i->getOperand(0)) && is_clean(i->getOperand(1));
    return computes(*i);
  }

  /// |x| < the smallest normal number ? x's sign : x, right after x.
  Value* flushed(Value* x) {
    Value*& known = flushed_[x];
    if (known) return known;
    Builder b(function_.getContext());
    if (auto* i = llvm::dyn_cast<llvm::Instruction>(x)) {
      auto at = llvm::isa<llvm::PHINode>(i) ? i->getParent()->getFirstInsertionPt() : std::next(i->getIterator());
      b.SetInsertPoint(i->getParent(), at);
    } else {
      b.SetInsertPoint(&function_.getEntryBlock(), function_.getEntryBlock().getFirstInsertionPt());
    }
    llvm::Type *type = x->getType(), *scalar = type->getScalarType();
    const unsigned width = scalar->getPrimitiveSizeInBits();
    llvm::Type* integer = with_scalar(type, b.getIntNTy(width));
    const std::uint64_t sign = std::uint64_t{1} << (width - 1), exponent = width == 32 ? 0x7f800000u : 0x7ff0000000000000u;
    Value* bits = b.CreateBitCast(x, integer);
    Value* is_tiny = b.CreateICmpEQ(b.CreateAnd(bits, exponent), llvm::Constant::getNullValue(integer));
    Value* zero = b.CreateBitCast(b.CreateAnd(bits, sign), type);
    Value* result = b.CreateSelect(is_tiny, zero, x);
    for (Value* v : {bits, result}) ours_.insert(v);
    clean_[result] = true;
    return known = result;
  }

  llvm::Function& function_;
  llvm::DenseMap<Value*, bool> clean_;
  llvm::DenseMap<Value*, Value*> flushed_;
  llvm::SmallPtrSet<Value*, 32> ours_;  // users of a value that is flushed which see it as it was
};

}  // namespace

void legalise_floats(llvm::Module& module, const CpuTarget& target) {
  if (!target.fma) expand_fma(module);
  if (target.flushes) return;
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) Flusher(f).run();
}

}  // namespace weft::codegen

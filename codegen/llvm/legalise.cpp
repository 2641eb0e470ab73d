// Operations in terms of others, with the same results in bits.
#include "codegen/llvm/legalise.h"

#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/IntegerDivision.h>

#include <vector>

namespace weft::codegen {
namespace {

using llvm::Value;
using Builder = llvm::IRBuilder<>;

llvm::Type* with_scalar(llvm::Type* shape, llvm::Type* scalar) {
  return shape->isVectorTy() ? llvm::cast<llvm::VectorType>(shape)->getWithNewType(scalar) : scalar;
}

/// Exact sums and products of f64 numbers, as pairs (rounded, its error), and sums rounded to odd.
struct Doubles {
  Builder& b;
  llvm::Type *f64, *i64;
  struct Pair {
    Value *high, *low;
  };

  Value* number(double x) const { return llvm::ConstantFP::get(f64, x); }
  Value* integer(std::int64_t x) const { return llvm::ConstantInt::get(i64, static_cast<std::uint64_t>(x), true); }

  Pair sum(Value* x, Value* y) const {  // Knuth
    Value* s = b.CreateFAdd(x, y);
    Value* of_y = b.CreateFSub(s, x);
    return {s, b.CreateFAdd(b.CreateFSub(x, b.CreateFSub(s, of_y)), b.CreateFSub(y, of_y))};
  }
  Pair halves(Value* x) const {  // Veltkamp
    Value* scaled = b.CreateFMul(x, number(0x1p27 + 1));
    Value* high = b.CreateFSub(scaled, b.CreateFSub(scaled, x));
    return {high, b.CreateFSub(x, high)};
  }
  Pair product(Value* x, Value* y) const {  // Dekker
    Value* p = b.CreateFMul(x, y);
    const Pair u = halves(x), v = halves(y);
    Value* e = b.CreateFSub(b.CreateFMul(u.high, v.high), p);
    e = b.CreateFAdd(e, b.CreateFMul(u.high, v.low));
    e = b.CreateFAdd(e, b.CreateFMul(u.low, v.high));
    return {p, b.CreateFAdd(e, b.CreateFMul(u.low, v.low))};
  }
  /// The sum x.high + x.low, of which high is the nearest number, rounded to odd.
  Value* odd(Pair x) const {
    Value* bits = b.CreateBitCast(x.high, i64);
    Value* is_even = b.CreateICmpEQ(b.CreateAnd(bits, integer(1)), integer(0));
    Value* inexact = b.CreateFCmpONE(x.low, number(0));
    Value* outwards = b.CreateICmpEQ(b.CreateFCmpOGT(x.low, number(0)), b.CreateFCmpOGT(x.high, number(0)));
    Value* next = b.CreateSelect(outwards, b.CreateAdd(bits, integer(1)), b.CreateSub(bits, integer(1)));
    return b.CreateBitCast(b.CreateSelect(b.CreateAnd(is_even, inexact), next, bits), f64);
  }
};

Doubles doubles(Builder& b, llvm::Type* shape) {
  return {b, with_scalar(shape, b.getDoubleTy()), with_scalar(shape, b.getInt64Ty())};
}

/// fma(x, y, z) of f32, rounded once: the product is exact in f64, and its sum with z, rounded to odd, rounds to f32 as
/// the sum itself would (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
Value* fma_of_f32(Builder& b, Value* x, Value* y, Value* z) {
  const Doubles d = doubles(b, x->getType());
  Value* product = b.CreateFMul(b.CreateFPExt(x, d.f64), b.CreateFPExt(y, d.f64));
  return b.CreateFPTrunc(d.odd(d.sum(product, b.CreateFPExt(z, d.f64))), x->getType());
}

/// fma(x, y, z) of f64 by the same paper's algorithm, on operands scaled to where nothing overflows or vanishes: x and
/// y to [1, 2), z to at most 2^kFar times less or more than their product, beyond which it is the rest that vanishes.
Value* fma_of_f64(Builder& b, Value* x, Value* y, Value* z) {
  constexpr std::int64_t kFar = 120, kBias = 1023, kExponent = 0x7ff;
  const Doubles d = doubles(b, x->getType());
  const auto exponent = [&](Value* v) {
    Value* e = b.CreateAnd(b.CreateLShr(b.CreateBitCast(v, d.i64), 52), d.integer(kExponent));
    return b.CreateSub(e, d.integer(kBias));
  };
  const auto power = [&](Value* e) {  // 2^e
    return b.CreateBitCast(b.CreateShl(b.CreateAdd(e, d.integer(kBias)), 52), d.f64);
  };
  const auto fraction = [&](Value* v) {
    Value* bits = b.CreateAnd(b.CreateBitCast(v, d.i64), d.integer(~(kExponent << 52)));
    return b.CreateBitCast(b.CreateOr(bits, d.integer(kBias << 52)), d.f64);
  };
  const auto is_plain = [&](Value* v) {  // neither zero or subnormal, nor infinite or NaN
    Value* e = exponent(v);
    return b.CreateAnd(b.CreateICmpNE(e, d.integer(-kBias)), b.CreateICmpNE(e, d.integer(kExponent - kBias)));
  };
  Value* of_product = b.CreateAdd(exponent(x), exponent(y));
  Value* distance = b.CreateSub(exponent(z), of_product);
  Value* is_beyond = b.CreateICmpSGT(distance, d.integer(kFar));
  Value* is_below = b.CreateICmpSLT(distance, d.integer(-kFar));
  Value* near = b.CreateSelect(is_beyond, d.integer(kFar), b.CreateSelect(is_below, d.integer(-kFar), distance));
  Value* scale = b.CreateSelect(is_beyond, b.CreateSub(exponent(z), d.integer(kFar)), of_product);

  const Doubles::Pair u = d.product(fraction(x), fraction(y));
  const Doubles::Pair t = d.sum(b.CreateFMul(fraction(z), power(near)), u.low);
  const Doubles::Pair v = d.sum(u.high, t.high);
  Value* sum = b.CreateFAdd(v.high, d.odd(d.sum(t.low, v.low)));

  Value* third = b.CreateSDiv(scale, d.integer(3));  // whose power is a number
  Value* rest = b.CreateSub(scale, b.CreateAdd(third, third));
  sum = b.CreateFMul(b.CreateFMul(b.CreateFMul(sum, power(third)), power(third)), power(rest));
  Value *product = b.CreateFMul(x, y), *is_tiny = b.CreateICmpEQ(exponent(z), d.integer(-kBias));
  Value* of_plain = b.CreateSelect(is_plain(z), sum, b.CreateSelect(is_tiny, product, b.CreateFAdd(z, z)));
  return b.CreateSelect(b.CreateAnd(is_plain(x), is_plain(y)), of_plain, b.CreateFAdd(product, z));
}

/// fma_of_f64 as a function of the module: it is long, and nobody's inner loop.
llvm::Function* fma_function(llvm::Module& module, llvm::Type* type) {
  const unsigned lanes = type->isVectorTy() ? llvm::cast<llvm::FixedVectorType>(type)->getNumElements() : 0;
  const std::string name = std::string(kShared) + "fma." + std::to_string(lanes);
  if (llvm::Function* known = module.getFunction(name)) return known;
  auto* f = llvm::Function::Create(llvm::FunctionType::get(type, {type, type, type}, false),
                                   llvm::Function::InternalLinkage, name, module);
  f->addFnAttr(llvm::Attribute::NoInline);
  f->addFnAttr(llvm::Attribute::NoUnwind);
  f->setDoesNotAccessMemory();
  Builder b(llvm::BasicBlock::Create(module.getContext(), "entry", f));
  b.CreateRet(fma_of_f64(b, f->getArg(0), f->getArg(1), f->getArg(2)));
  return f;
}

void expand_fma(llvm::Module& module) {
  std::vector<llvm::IntrinsicInst*> found;
  for (llvm::Function& f : module)
    for (llvm::Instruction& i : llvm::instructions(f))
      if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&i))
        if (call->getIntrinsicID() == llvm::Intrinsic::fma) found.push_back(call);
  for (llvm::IntrinsicInst* call : found) {
    Builder b(call);
    Value *x = call->getArgOperand(0), *y = call->getArgOperand(1), *z = call->getArgOperand(2);
    const bool is_f32 = call->getType()->getScalarType()->isFloatTy();
    call->replaceAllUsesWith(is_f32 ? fma_of_f32(b, x, y, z)
                                    : b.CreateCall(fma_function(module, call->getType()), {x, y, z}));
    call->eraseFromParent();
  }
}

/// Divisions of i64 that a 32-bit machine would call a function for.
void expand_divisions(llvm::Module& module) {
  std::vector<llvm::BinaryOperator*> vectors, found;
  for (llvm::Function& f : module)
    for (llvm::Instruction& i : llvm::instructions(f)) {
      const unsigned op = i.getOpcode();
      if (i.getType()->getScalarType()->isIntegerTy(64) &&
          (op == llvm::Instruction::SDiv || op == llvm::Instruction::UDiv || op == llvm::Instruction::SRem ||
           op == llvm::Instruction::URem))
        (i.getType()->isVectorTy() ? vectors : found).push_back(llvm::cast<llvm::BinaryOperator>(&i));
    }
  for (llvm::BinaryOperator* i : vectors) {
    Builder b(i);
    Value* all = llvm::PoisonValue::get(i->getType());
    for (unsigned lane = 0; lane < llvm::cast<llvm::FixedVectorType>(i->getType())->getNumElements(); ++lane) {
      Value *x = b.CreateExtractElement(i->getOperand(0), lane), *y = b.CreateExtractElement(i->getOperand(1), lane);
      Value* one = b.CreateBinOp(i->getOpcode(), x, y);
      if (auto* division = llvm::dyn_cast<llvm::BinaryOperator>(one)) found.push_back(division);
      all = b.CreateInsertElement(all, one, lane);
    }
    i->replaceAllUsesWith(all);
    i->eraseFromParent();
  }
  for (llvm::BinaryOperator* i : found)
    if (i->getOpcode() == llvm::Instruction::SDiv || i->getOpcode() == llvm::Instruction::UDiv)
      llvm::expandDivision(i);
    else
      llvm::expandRemainder(i);
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
    const std::size_t first = found_.size();
    clean_[v] = true;  // of a circle of phis, unless something else in it is not
    found_.push_back(v);
    if (finds_clean(v)) return true;
    for (std::size_t i = first; i < found_.size(); ++i) clean_.erase(found_[i]);  // they may have relied on this one
    found_.resize(first);
    return clean_[v] = false;
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
    const std::uint64_t sign = std::uint64_t{1} << (width - 1),
                        exponent = width == 32 ? 0x7f800000u : 0x7ff0000000000000u;
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
  std::vector<Value*> found_;  // clean ones, in order
  llvm::DenseMap<Value*, Value*> flushed_;
  llvm::SmallPtrSet<Value*, 32> ours_;  // users of a value that is flushed which see it as it was
};

}  // namespace

void legalise(llvm::Module& module, const CpuTarget& target) {
  if (target.triple.starts_with("thumb")) expand_divisions(module);
  if (!target.fma) expand_fma(module);
  if (target.flushes) return;
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) Flusher(f).run();
}

}  // namespace weft::codegen

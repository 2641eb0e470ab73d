// Float arithmetic on NVIDIA hardware, to the contract of ir/ops/scalar.h.
//
// f32: every operation becomes the intrinsic for `.rn.ftz`, which ptxas never fuses, and which LLVM does not reason
// about: its algebra takes x * 1 for x, where the machine flushes x. abs and neg flush too: where their result is not
// flushed anyway, they become operations on bits; so do selects, of which LLVM makes min and max.
//
// f64: there is no `.ftz`. Operands that may be subnormal, and results, are flushed by integer operations.
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/IntrinsicsNVPTX.h>

#include "codegen/ptx/ptx.h"

namespace weft::codegen {
namespace {

using Id = llvm::Intrinsic::ID;
using I = llvm::Instruction;

Id intrinsic_of(const llvm::Value* v) {
  auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(v);
  return call ? call->getIntrinsicID() : llvm::Intrinsic::not_intrinsic;
}

/// An operation on floats that the contract counts as arithmetic or comparison: on f32, the hardware's flushes
/// operands.
struct Arithmetic {
  unsigned opcode;     // LLVM's, or Call
  Id intrinsic;        // of a Call
  Id exact;            // the f32 form that LLVM leaves alone; not_intrinsic: LLVM's own does
  bool may_underflow;  // the result may be subnormal where no operand is
};
constexpr Id kNothing = llvm::Intrinsic::not_intrinsic;
const Arithmetic kArithmetic[] = {
    {I::FAdd, kNothing, llvm::Intrinsic::nvvm_add_rn_ftz_f, true},
    {I::FSub, kNothing, llvm::Intrinsic::nvvm_add_rn_ftz_f, true},  // x + -y
    {I::FMul, kNothing, llvm::Intrinsic::nvvm_mul_rn_ftz_f, true},
    {I::FDiv, kNothing, llvm::Intrinsic::nvvm_div_rn_ftz_f, true},
    {I::Call, llvm::Intrinsic::fma, llvm::Intrinsic::nvvm_fma_rn_ftz_f, true},
    {I::Call, llvm::Intrinsic::sqrt, llvm::Intrinsic::nvvm_sqrt_rn_ftz_f, false},
    {I::Call, llvm::Intrinsic::floor, kNothing, false},
    {I::Call, llvm::Intrinsic::ceil, kNothing, false},
    {I::Call, llvm::Intrinsic::roundeven, kNothing, false},
    {I::FCmp, kNothing, kNothing, false},
    {I::FPExt, kNothing, kNothing, false},
    {I::FPToSI, kNothing, kNothing, false},
};
const Arithmetic* arithmetic(const llvm::Value* v) {
  auto* inst = llvm::dyn_cast<I>(v);
  if (!inst) return nullptr;
  for (const Arithmetic& a : kArithmetic)
    if (a.opcode == inst->getOpcode() && a.intrinsic == intrinsic_of(inst)) return &a;
  return nullptr;
}

/// A select as a move of bits: LLVM makes min and max, which flush, of one whose operands were compared.
void select_as_bits(I& inst) {
  Builder b(&inst);
  llvm::Type* bits = b.getIntNTy(inst.getType()->getScalarSizeInBits());
  Value* chosen = b.CreateSelect(inst.getOperand(0), b.CreateBitCast(inst.getOperand(1), bits),
                                 b.CreateBitCast(inst.getOperand(2), bits));
  inst.replaceAllUsesWith(b.CreateBitCast(chosen, inst.getType()));
  inst.eraseFromParent();
}

/// f32 x with its sign bit cleared or flipped. In PTX's own words: LLVM makes abs.ftz and neg.ftz of integer
/// operations.
void sign_as_bits(I& inst) {
  Builder b(&inst);
  const bool negate = inst.getOpcode() == I::FNeg;
  auto* type = llvm::FunctionType::get(inst.getType(), {inst.getType()}, false);
  llvm::CallInst* result = b.CreateCall(
      llvm::InlineAsm::get(type, negate ? "xor.b32 $0, $1, 0x80000000;" : "and.b32 $0, $1, 0x7fffffff;", "=f,f", false),
      {inst.getOperand(0)});
  result->setDoesNotAccessMemory();
  inst.replaceAllUsesWith(result);
  inst.eraseFromParent();
}

void make_f32_exact(I& inst, const Arithmetic& a) {
  Builder b(&inst);
  llvm::SmallVector<Value*, 3> args;
  for (Value* v : inst.operand_values())
    if (v->getType()->isFloatTy()) args.push_back(v);
  if (inst.getOpcode() == I::FSub) args[1] = b.CreateFNeg(args[1]);  // flushes, as the addition does
  inst.replaceAllUsesWith(b.CreateIntrinsic(a.exact, {}, args));
  inst.eraseFromParent();
}

/// Makes f64 arithmetic flush subnormals.
class Flush {
 public:
  void run(I& inst, const Arithmetic& a) {
    for (llvm::Use& use : inst.operands())
      if (use->getType()->isDoubleTy()) use.set(flushed(use.get()));
    if (!a.may_underflow) return;
    Value* result = flush(&inst);
    inst.replaceUsesWithIf(result, [&](llvm::Use& use) { return !entries_.contains(use.getUser()); });
    flushed_[&inst] = flushed_[result] = result;
  }

 private:
  /// `v` flushed, which is emitted once, behind its definition.
  Value* flushed(Value* v) {
    if (auto* c = llvm::dyn_cast<llvm::ConstantFP>(v))
      return c->getValueAPF().isDenormal() ? llvm::ConstantFP::getZero(c->getType(), c->isNegative()) : v;
    auto* inst = llvm::dyn_cast<I>(v);
    if (!inst) return v;
    const Arithmetic* a = arithmetic(inst);
    if ((a && !a->may_underflow) || inst->getOpcode() == I::SIToFP || inst->getOpcode() == I::UIToFP) return v;
    if (Value* known = flushed_.lookup(v)) return known;
    return flushed_[v] = flush(inst);
  }

  /// In integers: where the exponent is zero, only the sign is kept.
  Value* flush(I* v) {
    Builder b(v->getParent(), *v->getInsertionPointAfterDef());
    Value* bits = b.CreateBitCast(v, b.getInt64Ty());
    entries_.insert(bits);
    Value* exponent = b.CreateAnd(bits, std::uint64_t{0x7ff} << 52);
    Value* sign = b.CreateAnd(bits, std::uint64_t{1} << 63);
    return b.CreateBitCast(b.CreateSelect(b.CreateICmpEQ(exponent, b.getInt64(0)), sign, bits), v->getType());
  }

  llvm::DenseMap<Value*, Value*> flushed_;
  llvm::DenseSet<Value*> entries_;  // where values enter the code that flushes them
};

}  // namespace

void make_arithmetic_exact(llvm::Function& f) {
  std::vector<I*> signs, selects, operations, conversions;
  for (I& inst : llvm::instructions(f)) {
    const bool is_sign = inst.getOpcode() == I::FNeg || intrinsic_of(&inst) == llvm::Intrinsic::fabs;
    if (is_sign && inst.getType()->isFloatTy()) signs.push_back(&inst);
    if (inst.getOpcode() == I::Select && inst.getType()->isFloatingPointTy()) selects.push_back(&inst);
    if (inst.getOpcode() == I::FPTrunc) conversions.push_back(&inst);
    if (arithmetic(&inst)) operations.push_back(&inst);
  }
  for (I* inst : signs)
    if (!llvm::all_of(inst->users(), [](llvm::User* u) { return arithmetic(u) != nullptr; })) sign_as_bits(*inst);
  for (I* inst : selects) select_as_bits(*inst);
  for (I* inst : conversions) {  // flushes; a subnormal f64 is far below the least f32
    Builder b(inst);
    inst->replaceAllUsesWith(b.CreateIntrinsic(llvm::Intrinsic::nvvm_d2f_rn_ftz, {}, {inst->getOperand(0)}));
    inst->eraseFromParent();
  }
  Flush flush;
  for (I* inst : operations) {
    const Arithmetic& a = *arithmetic(inst);
    const llvm::Type* operand = inst->getOperand(0)->getType();
    if (operand->isDoubleTy())
      flush.run(*inst, a);
    else if (a.exact != kNothing)
      make_f32_exact(*inst, a);
  }
}

void place_opaque_constants(llvm::Module& module, const std::string& prefix) {
  std::vector<llvm::GlobalVariable*> opaque;
  for (llvm::GlobalVariable& g : module.globals())
    if (g.getAddressSpace() == 0) opaque.push_back(&g);
  for (llvm::GlobalVariable* g : opaque) {
    auto* placed = new llvm::GlobalVariable(module, g->getValueType(), false, llvm::GlobalValue::InternalLinkage,
                                            g->getInitializer(), prefix + "_" + g->getName(), nullptr,
                                            llvm::GlobalValue::NotThreadLocal, kConstSpace);
    for (llvm::User* user : llvm::make_early_inc_range(g->users())) {
      auto* load = llvm::cast<llvm::LoadInst>(user);
      Builder b(load);
      llvm::LoadInst* from_bank = b.CreateLoad(load->getType(), placed);
      from_bank->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(module.getContext(), {}));
      load->replaceAllUsesWith(from_bank);
      load->eraseFromParent();
    }
    g->eraseFromParent();
  }
}

}  // namespace weft::codegen

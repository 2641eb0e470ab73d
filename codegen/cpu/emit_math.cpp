// Elementwise ops as LLVM IR, scalar or vector alike: one row an op that is no function of the op table. No fast-math flag is ever set, and no LLVM
// intrinsic is used whose NaN, zero or overflow behaviour differs from the op table's equations.
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>

#include <array>
#include <cmath>

#include "codegen/cpu/emit.h"
#include "ir/ops/functions.h"

namespace weft::codegen {
namespace {

using Pred = llvm::CmpInst::Predicate;

struct OpArgs {
  Builder& b;
  Op op;
  DType from, to;
  llvm::ArrayRef<Value*> x;

  bool real() const { return is_float(from); }
  bool is_unsigned() const { return from == u8 || from == boolean; }
  llvm::Type* type() const { return x.back()->getType(); }
  /// The constant v in the operands' type.
  Value* c(double v) const { return real() ? constant_fp(v) : constant_int(static_cast<std::int64_t>(v)); }
  Value* constant_fp(double v) const { return llvm::ConstantFP::get(type(), v); }
  Value* constant_int(std::int64_t v) const {
    return llvm::ConstantInt::get(type(), static_cast<std::uint64_t>(v), true);
  }
  Value* call(llvm::Intrinsic::ID id) const { return b.CreateIntrinsic(id, {type()}, x); }
  Value* compare(Pred real_pred, Pred signed_pred, Pred unsigned_pred) const {
    if (real()) return b.CreateFCmp(real_pred, x[0], x[1]);
    return b.CreateICmp(is_unsigned() ? unsigned_pred : signed_pred, x[0], x[1]);
  }
};

/// The machine of ir/ops/approx.h that emits LLVM code for a scalar or a vector of `type`.
template <bool f64_>
struct EmitMachine {
  static constexpr bool is_f64 = f64_;
  struct F {
    Value* v;
  };
  struct I {
    Value* v;
  };
  struct B {
    Value* v;
  };
  Builder& b;
  llvm::Type* real;
  llvm::Type* integer;

  F f(double c) { return {llvm::ConstantFP::get(real, c)}; }
  I i(std::int64_t c) { return {llvm::ConstantInt::get(integer, static_cast<std::uint64_t>(c), true)}; }
  F add(F x, F y) { return {b.CreateFAdd(x.v, y.v)}; }
  F sub(F x, F y) { return {b.CreateFSub(x.v, y.v)}; }
  F mul(F x, F y) { return {b.CreateFMul(x.v, y.v)}; }
  F div(F x, F y) { return {b.CreateFDiv(x.v, y.v)}; }
  F fma(F x, F y, F z) { return {b.CreateIntrinsic(llvm::Intrinsic::fma, {real}, {x.v, y.v, z.v})}; }
  F abs(F x) { return {b.CreateIntrinsic(llvm::Intrinsic::fabs, {real}, {x.v})}; }
  F neg(F x) { return {b.CreateFNeg(x.v)}; }
  B lt(F x, F y) { return {b.CreateFCmpOLT(x.v, y.v)}; }
  B le(F x, F y) { return {b.CreateFCmpOLE(x.v, y.v)}; }
  F select(B p, F x, F y) { return {b.CreateSelect(p.v, x.v, y.v)}; }
  I bits(F x) { return {b.CreateBitCast(x.v, integer)}; }
  F from_bits(I x) { return {b.CreateBitCast(x.v, real)}; }
  I iadd(I x, I y) { return {b.CreateAdd(x.v, y.v)}; }
  I isub(I x, I y) { return {b.CreateSub(x.v, y.v)}; }
  I iand(I x, I y) { return {b.CreateAnd(x.v, y.v)}; }
  I ixor(I x, I y) { return {b.CreateXor(x.v, y.v)}; }
  I shl(I x, int k) { return {b.CreateShl(x.v, static_cast<std::uint64_t>(k))}; }
  I shr(I x, int k) { return {b.CreateLShr(x.v, static_cast<std::uint64_t>(k))}; }
  B is_zero(I x) { return {b.CreateICmpEQ(x.v, i(0).v)}; }

  /// A branch around body(), which vectors take if a lane does. What follows goes on in a new block.
  template <class Body>
  std::array<F, 2> rarely(B p, std::array<F, 2> usual, Body body) {
    const bool vector = p.v->getType()->isVectorTy();
    Value* any = vector ? b.CreateOrReduce(p.v) : p.v;
    llvm::BasicBlock *before = b.GetInsertBlock(), *after = nullptr;
    llvm::LLVMContext& context = before->getContext();
    if (b.GetInsertPoint() == before->end()) {
      after = llvm::BasicBlock::Create(context, "usual", before->getParent());
    } else {
      after = before->splitBasicBlock(b.GetInsertPoint(), "usual");
      before->getTerminator()->eraseFromParent();
    }
    auto* rare = llvm::BasicBlock::Create(context, "rare", before->getParent());
    b.SetInsertPoint(before);
    b.CreateCondBr(any, rare, after, llvm::MDBuilder(context).createBranchWeights(1, 1 << 20));
    b.SetInsertPoint(rare);
    const std::array<F, 2> found = body();
    std::array<F, 2> result;
    for (int i = 0; i < 2; ++i) result[i] = vector ? select(p, found[i], usual[i]) : found[i];
    b.CreateBr(after);
    llvm::BasicBlock* end = b.GetInsertBlock();
    b.SetInsertPoint(after, after->begin());
    for (int i = 0; i < 2; ++i) {
      llvm::PHINode* phi = b.CreatePHI(real, 2);
      phi->addIncoming(usual[i].v, before);
      phi->addIncoming(result[i].v, end);
      result[i].v = phi;
    }
    return result;
  }
};

/// Calls body(machine, x) or body(machine, x, y) with the machine for the precision of `a` and its operands (y is x where
/// there is one); returns the emitted value.
template <class Body>
Value* with_machine(const OpArgs& a, Body body) {
  auto run = [&](auto flag) {
    using M = EmitMachine<decltype(flag)::value>;
    using F = typename M::F;
    M m{a.b, a.type(), a.type()->getWithNewType(a.b.getIntNTy(M::is_f64 ? 64 : 32))};
    if constexpr (std::is_invocable_v<Body, M&, F, F>)
      return body(m, F{a.x.front()}, F{a.x.back()}).v;
    else
      return body(m, F{a.x[0]}).v;
  };
  return a.from == f64 ? run(std::true_type{}) : run(std::false_type{});
}

/// Whether the function is compiled for registers of 512 bits, and v fills some.
bool fills_wide_registers(Builder& b, Value* v) {
  const llvm::Attribute width = b.GetInsertBlock()->getParent()->getFnAttribute(kRegisterBits);
  auto* type = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  return width.isValid() && width.getValueAsString() == "512" && type && type->getPrimitiveSizeInBits() % 512 == 0;
}

/// body(x, y) for each register of 512 bits that x and y fill.
Value* by_wide_registers(Builder& b, Value* x, Value* y, llvm::function_ref<Value*(Value*, Value*)> body) {
  auto* type = llvm::cast<llvm::FixedVectorType>(x->getType());
  const int all = static_cast<int>(type->getNumElements());
  const bool fits = type->getPrimitiveSizeInBits() == 512;
  if (fits) return body(x, y);
  llvm::SmallVector<int, 64> order;
  for (int i = 0; i < all; ++i) order.push_back(i);
  const llvm::ArrayRef<int> lanes(order), low = lanes.take_front(order.size() / 2), high = lanes.drop_front(low.size());
  auto half = [&](llvm::ArrayRef<int> picked) {
    return by_wide_registers(b, b.CreateShuffleVector(x, picked), b.CreateShuffleVector(y, picked), body);
  };
  return b.CreateShuffleVector(half(low), half(high), order);
}

/// e^x with AVX-512's product y * 2^n, which overflows to inf and, as all results are, is flushed where it is
/// subnormal: approx::exp in fewer operations. n and r only mean something near the range of exp, so that x is
/// confined to its neighbourhood; both instructions return their second operand if either is NaN.
Value* exp_by_scaling(const OpArgs& a) {
  const bool f64_ = a.from == f64;
  const double lowest = f64_ ? -800 : -128, highest = f64_ ? 800 : 128;
  const auto op = [&](llvm::Intrinsic::ID of_f32, llvm::Intrinsic::ID of_f64, Value* x, Value* y, bool masked) {
    return by_wide_registers(a.b, x, y, [&](Value* left, Value* right) -> Value* {
      llvm::SmallVector<Value*, 5> args{left, right};
      if (masked) args.append({left, f64_ ? a.b.getInt8(0xff) : a.b.getInt16(0xffff)});
      args.push_back(a.b.getInt32(4));  // rounding as the control register says
      return a.b.CreateIntrinsic(f64_ ? of_f64 : of_f32, {}, args);
    });
  };
  namespace id = llvm::Intrinsic;
  Value* x = op(id::x86_avx512_max_ps_512, id::x86_avx512_max_pd_512, a.constant_fp(lowest), a.x[0], false);
  x = op(id::x86_avx512_min_ps_512, id::x86_avx512_min_pd_512, a.constant_fp(highest), x, false);
  Value* n = nullptr;
  Value* y = with_machine({a.b, a.op, a.from, a.to, x}, [&](auto& m, auto v) {
    const auto reduced = approx::reduce_exp(m, v);
    n = reduced.n.v;
    return approx::exp_of_rest(m, reduced.r);
  });
  return op(id::x86_avx512_mask_scalef_ps_512, id::x86_avx512_mask_scalef_pd_512, y, n, true);
}

Value* function(const OpArgs& a) {
  if (a.op == Op::exp && fills_wide_registers(a.b, a.x[0])) return exp_by_scaling(a);
  return with_machine(a, [&](auto& m, auto x, decltype(x) y) { return apply_function(m, a.op, x, y); });
}

bool is_not_nan(Value* v) {
  auto* c = llvm::dyn_cast<llvm::Constant>(v);
  if (c && c->getType()->isVectorTy()) c = c->getSplatValue();
  auto* real = llvm::dyn_cast_or_null<llvm::ConstantFP>(c);
  return real && !real->isNaN();
}
/// p ? x : y as a move of bits. x86's minps and maxps, into which LLVM turns such a select of floats, flush subnormals;
/// a select of integers stays a blend.
Value* select_bits(Builder& b, Value* p, Value* x, Value* y) {
  llvm::Type* real = x->getType();
  llvm::Type* bits = real->getWithNewType(b.getIntNTy(real->getScalarSizeInBits()));
  return b.CreateBitCast(b.CreateSelect(p, b.CreateBitCast(x, bits), b.CreateBitCast(y, bits)), real);
}

/// z = x > y or x is NaN ? x : y. One comparison is enough where either is known to be a number: !(x <= y), or x > y.
Value* extreme(const OpArgs& a) {
  const bool max = a.op == Op::max;
  Value *x = a.x[0], *y = a.x[1];
  // LLVM 19 mistranslates trees of i1 comparisons for SSE (two in one block: constant results).
  if (a.from == boolean) return max ? a.b.CreateOr(x, y) : a.b.CreateAnd(x, y);
  if (!a.real())
    return a.b.CreateSelect(a.compare(Pred::BAD_FCMP_PREDICATE, max ? Pred::ICMP_SGT : Pred::ICMP_SLT,
                                      max ? Pred::ICMP_UGT : Pred::ICMP_ULT),
                            x, y);
  if (is_not_nan(y)) return select_bits(a.b, a.b.CreateFCmp(max ? Pred::FCMP_UGT : Pred::FCMP_ULT, x, y), x, y);
  Value* better = a.b.CreateFCmp(max ? Pred::FCMP_OGT : Pred::FCMP_OLT, x, y);
  if (!is_not_nan(x)) better = a.b.CreateOr(better, a.b.CreateFCmpUNO(x, x));
  return select_bits(a.b, better, x, y);
}

Value* select(const OpArgs& a) {
  Value *p = a.x[0], *x = a.x[1], *y = a.x[2];
  auto* compare = llvm::dyn_cast<llvm::FCmpInst>(p);
  auto compared = [&](Value* v) { return compare->getOperand(0) == v || compare->getOperand(1) == v; };
  return compare && compared(x) && compared(y) ? select_bits(a.b, p, x, y) : a.b.CreateSelect(p, x, y);
}

bool is_identity(Op op, const llvm::Constant* v) {
  if (v->getType()->isVectorTy()) v = v->getSplatValue();
  auto* real = llvm::dyn_cast_or_null<llvm::ConstantFP>(v);
  if (!real) return false;
  if (op == Op::mul || op == Op::div) return real->isExactlyValue(1) || real->isExactlyValue(-1);
  return (op == Op::add || op == Op::sub) && real->isZero();
}

Value* sign(const OpArgs& a) {
  Value *x = a.x[0], *zero = a.c(0);
  if (a.real()) {
    Value* negative = a.b.CreateSelect(a.b.CreateFCmpOLT(x, zero), a.c(-1), zero);
    Value* s = a.b.CreateSelect(a.b.CreateFCmpOGT(x, zero), a.c(1), negative);
    return a.b.CreateSelect(a.b.CreateFCmpUNO(x, x), x, s);
  }
  if (a.is_unsigned()) return a.b.CreateZExt(a.b.CreateICmpNE(x, zero), a.type());
  return a.b.CreateSub(a.b.CreateZExt(a.b.CreateICmpSGT(x, zero), a.type()),
                       a.b.CreateZExt(a.b.CreateICmpSLT(x, zero), a.type()));
}

/// Integer division that cannot trap: the divisor is replaced by 1 where it is 0 (and the quotient by 0), or where MIN
/// / -1 would overflow (MIN / 1 = MIN).
Value* quotient(const OpArgs& a) {
  Value *x = a.x[0], *y = a.x[1], *one = a.c(1);
  Value* by_zero = a.b.CreateICmpEQ(y, a.c(0));
  Value* trap = by_zero;
  if (!a.is_unsigned()) {
    Value* lowest = llvm::ConstantInt::get(a.type(), llvm::APInt::getSignedMinValue(a.type()->getScalarSizeInBits()));
    trap = a.b.CreateOr(trap, a.b.CreateAnd(a.b.CreateICmpEQ(y, a.c(-1)), a.b.CreateICmpEQ(x, lowest)));
  }
  Value* safe = a.b.CreateSelect(trap, one, y);
  Value* q = a.is_unsigned() ? a.b.CreateUDiv(x, safe) : a.b.CreateSDiv(x, safe);
  return a.b.CreateSelect(by_zero, a.c(0), q);
}

Value* shift(const OpArgs& a) {
  Value* in_range =
      a.b.CreateICmpULT(a.x[1], a.c(a.type()->getScalarSizeInBits()));  // as unsigned: negatives are large
  Value* by = a.b.CreateSelect(in_range, a.x[1], a.c(0));
  Value* shifted = a.op == Op::shl ? a.b.CreateShl(a.x[0], by) : a.b.CreateLShr(a.x[0], by);
  return a.b.CreateSelect(in_range, shifted, a.c(0));
}

/// Float to integer: truncates, saturates, NaN to 0. (llvm.fptosi.sat means the same, and is slow on vectors.)
Value* saturate(const OpArgs& a, llvm::Type* to) {
  Builder& b = a.b;
  Value* x = a.x[0];
  llvm::Type* type = a.to == u8 ? to->getWithNewType(b.getInt32Ty()) : to;  // u8 by way of i32
  const unsigned bits = to->getScalarSizeInBits();
  const llvm::APInt lowest = a.to == u8 ? llvm::APInt::getZero(bits) : llvm::APInt::getSignedMinValue(bits);
  const llvm::APInt highest = a.to == u8 ? llvm::APInt::getMaxValue(bits) : llvm::APInt::getSignedMaxValue(bits);
  const double end = std::ldexp(1, static_cast<int>(a.to == u8 ? bits : bits - 1));  // highest + 1
  Value* too_low = a.to == u8 ? b.CreateFCmpOLE(x, a.c(0)) : b.CreateFCmpOLT(x, a.constant_fp(-end));
  Value* too_high = b.CreateFCmpOGE(x, a.constant_fp(end));
  Value* outside = b.CreateOr(b.CreateOr(too_low, too_high), b.CreateFCmpUNO(x, x));
  Value* safe = b.CreateSelect(outside, a.c(0), x);
  Value* y = b.CreateFPToSI(safe, type);
  if (type != to) y = b.CreateTrunc(y, to);
  y = b.CreateSelect(too_low, llvm::ConstantInt::get(to, lowest), y);
  return b.CreateSelect(too_high, llvm::ConstantInt::get(to, highest), y);
}

Value* convert(const OpArgs& a) {
  Builder& b = a.b;
  Value* x = a.x[0];
  llvm::Type* to = x->getType()->getWithNewType(register_type(b, a.to));
  if (a.from == a.to) return x;
  if (a.to == boolean) return a.real() ? b.CreateFCmpUNE(x, a.c(0)) : b.CreateICmpNE(x, a.c(0));
  if (a.real() && is_float(a.to)) {
    if (a.to == f64) return b.CreateFPExt(x, to);
    auto* extended = llvm::dyn_cast<llvm::FPExtInst>(x);  // LLVM would undo the pair, and forget that it flushes
    if (!extended) return b.CreateFPTrunc(x, to);
    return b.CreateFMul(extended->getOperand(0), emit_opaque(b, llvm::ConstantFP::get(to, 1)));
  }
  if (a.real()) return saturate(a, to);
  if (is_float(a.to)) return a.is_unsigned() ? b.CreateUIToFP(x, to) : b.CreateSIToFP(x, to);
  return a.is_unsigned() ? b.CreateZExtOrTrunc(x, to) : b.CreateSExtOrTrunc(x, to);
}

/// The low and high words of x * multiplier. Vector units multiply the even words of a register into whole 64-bit
/// products, so the odd words are shifted down for a product of their own.
std::array<Value*, 2> multiply_words(Builder& b, Value* x, std::uint32_t multiplier) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  llvm::Type* wide =
      vector ? static_cast<llvm::Type*>(llvm::FixedVectorType::get(b.getInt64Ty(), vector->getNumElements() / 2))
             : b.getInt64Ty();
  auto c = [&](std::uint64_t v) { return llvm::ConstantInt::get(wide, v); };
  if (!vector) {
    Value* p = b.CreateMul(b.CreateZExt(x, wide), c(multiplier));
    return {b.CreateTrunc(p, x->getType()), b.CreateTrunc(b.CreateLShr(p, 32), x->getType())};
  }
  constexpr std::uint64_t kLow = 0xffffffff;
  Value* pairs = b.CreateBitCast(x, wide);
  Value* even = b.CreateMul(b.CreateAnd(pairs, c(kLow)), c(multiplier));
  Value* odd = b.CreateMul(b.CreateLShr(pairs, 32), c(multiplier));
  Value* low = b.CreateOr(b.CreateAnd(even, c(kLow)), b.CreateShl(odd, 32));
  Value* high = b.CreateOr(b.CreateLShr(even, 32), b.CreateAnd(odd, c(~kLow)));
  return {b.CreateBitCast(low, x->getType()), b.CreateBitCast(high, x->getType())};
}

/// Word 0 of Philox4x32-10 (ir/base/philox.h) for counter (index, step) and key, each i64 split into its low and high half.
Value* random(const OpArgs& a) {
  Builder& b = a.b;
  llvm::Type* word = a.type()->getWithNewType(b.getInt32Ty());
  auto low = [&](Value* v) { return b.CreateTrunc(v, word); };
  auto high = [&](Value* v) { return b.CreateTrunc(b.CreateLShr(v, 32), word); };
  Value *key = a.x[0], *step = a.x[1], *index = a.x[2];
  Value* c[4] = {low(index), high(index), low(step), high(step)};
  Value* k[2] = {low(key), high(key)};
  constexpr std::uint32_t kMultiplier[2] = {0xD2511F53, 0xCD9E8D57}, kWeyl[2] = {0x9E3779B9, 0xBB67AE85};
  for (int round = 0; round < 10; ++round) {
    const auto [low0, high0] = multiply_words(b, c[0], kMultiplier[0]);
    const auto [low1, high1] = multiply_words(b, c[2], kMultiplier[1]);
    Value* next[4] = {b.CreateXor(b.CreateXor(high1, c[1]), k[0]), low1, b.CreateXor(b.CreateXor(high0, c[3]), k[1]),
                      low0};
    std::copy(next, next + 4, c);
    for (int i = 0; i < 2; ++i) k[i] = b.CreateAdd(k[i], llvm::ConstantInt::get(word, kWeyl[i]));
  }
  return c[0];
}

using Emit = Value* (*)(const OpArgs&);
struct Row {
  Op op;
  Emit emit;
};

// clang-format off
constexpr Row kRows[] = {
  {Op::neg,   [](const OpArgs& a) { return a.real() ? a.b.CreateFNeg(a.x[0]) : a.b.CreateNeg(a.x[0]); }},
  {Op::abs,   [](const OpArgs& a) -> Value* {
     if (a.real()) return a.call(llvm::Intrinsic::fabs);
     return a.is_unsigned() ? a.x[0] : a.b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a.x[0], a.b.getFalse()); }},
  {Op::sign,  sign},
  {Op::floor, [](const OpArgs& a) { return a.call(llvm::Intrinsic::floor); }},
  {Op::ceil,  [](const OpArgs& a) { return a.call(llvm::Intrinsic::ceil); }},
  {Op::round, [](const OpArgs& a) { return a.call(llvm::Intrinsic::roundeven); }},
  {Op::sqrt,  [](const OpArgs& a) { return a.call(llvm::Intrinsic::sqrt); }},
  {Op::logical_not,   [](const OpArgs& a) { return a.b.CreateNot(a.x[0]); }},
  {Op::convert,       convert},
  {Op::stop_gradient, [](const OpArgs& a) { return a.x[0]; }},
  {Op::random,        random},

  {Op::add, [](const OpArgs& a) { return a.real() ? a.b.CreateFAdd(a.x[0], a.x[1]) : a.b.CreateAdd(a.x[0], a.x[1]); }},
  {Op::sub, [](const OpArgs& a) { return a.real() ? a.b.CreateFSub(a.x[0], a.x[1]) : a.b.CreateSub(a.x[0], a.x[1]); }},
  {Op::mul, [](const OpArgs& a) { return a.real() ? a.b.CreateFMul(a.x[0], a.x[1]) : a.b.CreateMul(a.x[0], a.x[1]); }},
  {Op::div, [](const OpArgs& a) { return a.real() ? a.b.CreateFDiv(a.x[0], a.x[1]) : quotient(a); }},
  {Op::rem, [](const OpArgs& a) { return a.b.CreateSub(a.x[0], a.b.CreateMul(quotient(a), a.x[1])); }},
  {Op::max, extreme},
  {Op::min, extreme},
  {Op::bit_and, [](const OpArgs& a) { return a.b.CreateAnd(a.x[0], a.x[1]); }},
  {Op::bit_or,  [](const OpArgs& a) { return a.b.CreateOr(a.x[0], a.x[1]); }},
  {Op::bit_xor, [](const OpArgs& a) { return a.b.CreateXor(a.x[0], a.x[1]); }},
  {Op::shl, shift},
  {Op::shr, shift},

  {Op::eq, [](const OpArgs& a) { return a.compare(Pred::FCMP_OEQ, Pred::ICMP_EQ, Pred::ICMP_EQ); }},
  {Op::ne, [](const OpArgs& a) { return a.compare(Pred::FCMP_UNE, Pred::ICMP_NE, Pred::ICMP_NE); }},
  {Op::lt, [](const OpArgs& a) { return a.compare(Pred::FCMP_OLT, Pred::ICMP_SLT, Pred::ICMP_ULT); }},
  {Op::le, [](const OpArgs& a) { return a.compare(Pred::FCMP_OLE, Pred::ICMP_SLE, Pred::ICMP_ULE); }},
  {Op::gt, [](const OpArgs& a) { return a.compare(Pred::FCMP_OGT, Pred::ICMP_SGT, Pred::ICMP_UGT); }},
  {Op::ge, [](const OpArgs& a) { return a.compare(Pred::FCMP_OGE, Pred::ICMP_SGE, Pred::ICMP_UGE); }},

  {Op::select, select},
  {Op::fma,    [](const OpArgs& a) { return a.call(llvm::Intrinsic::fma); }},
};
// clang-format on

}  // namespace

Value* emit_opaque(Builder& b, llvm::Constant* v) {
  llvm::Constant* splat = v->getType()->isVectorTy() ? v->getSplatValue() : nullptr;
  llvm::Constant* scalar = splat ? splat : v;  // lanes that differ are kept whole
  llvm::Module& module = *b.GetInsertBlock()->getModule();
  llvm::GlobalVariable* known = nullptr;
  for (llvm::GlobalVariable& g : module.globals())
    if (!g.isConstant() && g.hasInitializer() && g.getInitializer() == scalar) known = &g;
  if (!known)
    known = new llvm::GlobalVariable(module, scalar->getType(), false, llvm::GlobalValue::InternalLinkage, scalar,
                                     "opaque");
  Value* loaded = b.CreateLoad(scalar->getType(), known);
  return splat ? emit_splat(b, loaded,
                            static_cast<int>(llvm::cast<llvm::FixedVectorType>(v->getType())->getNumElements()))
               : loaded;
}

llvm::Type* register_type(Builder& b, DType t) {
  switch (t) {
    case f32: return b.getFloatTy();
    case f64: return b.getDoubleTy();
    case boolean: return b.getInt1Ty();
    default: return b.getIntNTy(static_cast<unsigned>(8 * size_of(t)));
  }
}

llvm::Type* memory_type(Builder& b, DType t) { return t == boolean ? b.getInt8Ty() : register_type(b, t); }

Value* emit_constant(Builder& b, DType t, std::uint64_t bits) {
  const unsigned width = t == boolean ? 1 : static_cast<unsigned>(8 * size_of(t));
  const llvm::APInt value(width, width == 64 ? bits : bits & ((std::uint64_t{1} << width) - 1));
  if (t == f32) return llvm::ConstantFP::get(b.getContext(), llvm::APFloat(llvm::APFloat::IEEEsingle(), value));
  if (t == f64) return llvm::ConstantFP::get(b.getContext(), llvm::APFloat(llvm::APFloat::IEEEdouble(), value));
  return llvm::ConstantInt::get(b.getContext(), value);
}

Value* emit_op(Builder& b, Op op, DType from, DType to, llvm::ArrayRef<Value*> args) {
  static const auto table = [] {
    std::array<Emit, kOpCount> t{};
    for (const Row& row : kRows) t[static_cast<std::size_t>(row.op)] = row.emit;
#define WEFT_FUNCTION(op, ...) t[static_cast<std::size_t>(Op::op)] = function;
#include <weft/ir/ops/ops.def>
    return t;
  }();
  const Emit emit = table[static_cast<std::size_t>(op)];
  ensure(emit != nullptr, "no code for the op '{}' in a kernel", name(op));
  llvm::SmallVector<Value*, 4> x(args.begin(), args.end());
  if (is_float(from)) {
    const bool all = op != Op::select && llvm::all_of(x, [](Value* v) { return llvm::isa<llvm::Constant>(v); });
    for (Value*& v : x)
      if (auto* c = llvm::dyn_cast<llvm::Constant>(v); c && (all || is_identity(op, c))) v = emit_opaque(b, c);
  }
  return emit({b, op, from, to, x});
}

Value* emit_splat(Builder& b, Value* scalar, int width) {
  return width == 1 ? scalar : b.CreateVectorSplat(static_cast<unsigned>(width), scalar);
}

Value* emit_multiply_add(Builder& b, DType t, Value* x, Value* y, Value* acc) {
  if (is_float(t)) return b.CreateIntrinsic(llvm::Intrinsic::fma, {acc->getType()}, {x, y, acc});
  return b.CreateAdd(acc, b.CreateMul(x, y));
}

}  // namespace weft::codegen

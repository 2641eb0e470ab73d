// Device code to LLVM IR: addresses, vector accesses, predicated loads, asynchronous copies.
#include <llvm/IR/IntrinsicsNVPTX.h>
#include <llvm/IR/Metadata.h>

#include <algorithm>

#include "codegen/ptx/ptx.h"

namespace weft::codegen {
namespace {

/// How `width` elements of `t` travel: bytes in 32-bit words where there are four of them or more.
llvm::Type* transfer_type(Builder& b, DType t, int width) {
  const auto count = static_cast<unsigned>(width);
  llvm::Type* unit = memory_type(b, t);
  if (size_of(t) > 1) return count == 1 ? unit : llvm::FixedVectorType::get(unit, count);
  const unsigned word = std::min(count, 4u);
  unit = b.getIntNTy(8 * word);
  return count == word ? unit : llvm::FixedVectorType::get(unit, count / word);
}

llvm::Align alignment(DType t, int width) { return llvm::Align(size_of(t) * static_cast<std::uint64_t>(width)); }

Values unpack(Builder& b, DType t, Value* v, int width) {
  auto unit = [&](std::uint64_t i) { return v->getType()->isVectorTy() ? b.CreateExtractElement(v, i) : v; };
  Values result;
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(width); ++i) {
    if (size_of(t) > 1) {
      result.push_back(unit(i));
      continue;
    }
    Value* byte = b.CreateTrunc(b.CreateLShr(unit(i / 4), 8 * (i % 4)), b.getInt8Ty());
    result.push_back(t == boolean ? b.CreateICmpNE(byte, b.getInt8(0)) : byte);
  }
  return result;
}

Value* pack(Builder& b, DType t, const Values& values) {
  llvm::Type* type = transfer_type(b, t, static_cast<int>(values.size()));
  Values units;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (size_of(t) > 1 || i % 4 == 0) units.push_back(nullptr);
    if (size_of(t) > 1) {
      units.back() = values[i];
      continue;
    }
    Value* byte = b.CreateShl(b.CreateZExt(values[i], type->getScalarType()), 8 * (i % 4));
    units.back() = units.back() ? b.CreateOr(units.back(), byte) : byte;
  }
  if (!type->isVectorTy()) return units[0];
  Value* v = llvm::PoisonValue::get(type);
  for (std::size_t i = 0; i < units.size(); ++i) v = b.CreateInsertElement(v, units[i], i);
  return v;
}

}  // namespace

/// index = variable + constant, as the address will be a sum of its own: neighbouring accesses then share a register
/// and differ in the instruction's offset. Arithmetic that leads to an index does not wrap (ir/simt/simt.h).
DeviceEmitter::Split DeviceEmitter::split(Value* index) {
  if (auto* c = llvm::dyn_cast<llvm::ConstantInt>(index)) return {nullptr, c->getSExtValue()};
  if (const auto known = split_.find(index); known != split_.end()) return known->second;
  Split result{index, 0};
  auto* op = llvm::dyn_cast<llvm::BinaryOperator>(index);
  llvm::IRBuilderBase::InsertPointGuard guard(b_);
  if (op) b_.SetInsertPoint(op);  // what is known of `op` holds wherever it does
  if (op && op->getOpcode() == llvm::Instruction::Add) {
    const Split x = split(op->getOperand(0)), y = split(op->getOperand(1));
    if (!x.variable || !y.variable || x.constant || y.constant) {
      Value* sum = !x.variable ? y.variable : !y.variable ? x.variable : b_.CreateAdd(x.variable, y.variable);
      result = {sum, x.constant + y.constant};
    }
  } else if (op && op->getOpcode() == llvm::Instruction::Mul) {
    const Split x = split(op->getOperand(0)), y = split(op->getOperand(1));
    if (!x.variable && !y.variable)
      result = {nullptr, x.constant * y.constant};
    else if (const Split& factor = x.variable ? y : x; !factor.variable) {
      const Split& other = x.variable ? x : y;
      Value* c = llvm::ConstantInt::get(index->getType(), static_cast<std::uint64_t>(factor.constant), true);
      if (factor.constant == 0)
        result = {nullptr, 0};
      else if (other.constant)
        result = {b_.CreateMul(other.variable, c), other.constant * factor.constant};
    }
  }
  return split_[index] = result;
}

Value* DeviceEmitter::address(simt::MemoryId m, simt::RegisterId index) {
  llvm::Type* unit = memory_type(b_, memory(m).dtype);
  Value* pointer = frame_.memories[static_cast<std::size_t>(m)];
  const Split at = split(value(index));
  if (at.variable) pointer = b_.CreateGEP(unit, pointer, b_.CreateSExt(at.variable, b_.getInt64Ty()));
  if (at.constant) pointer = b_.CreateConstGEP1_64(unit, pointer, static_cast<std::uint64_t>(at.constant));
  return pointer;
}

void DeviceEmitter::load(const Inst& i) {
  const simt::Memory& m = memory(i.memory);
  llvm::Type* type = transfer_type(b_, m.dtype, i.width);
  Value* pointer = address(i.memory, i.args[0]);
  auto read = [&]() -> Value* {
    llvm::LoadInst* v = b_.CreateAlignedLoad(type, pointer, alignment(m.dtype, i.width));
    if (frame_.invariant && m.read_only)
      v->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(b_.getContext(), {}));
    return v;
  };
  Value* v = i.predicate == kNone ? read() : guarded(value(i.predicate), type, read);
  const Values elements = unpack(b_, m.dtype, v, i.width);
  for (int r = 0; r < i.width; ++r) define(i.result + r, elements[static_cast<std::size_t>(r)]);
}

void DeviceEmitter::store(const Inst& i) {
  const DType t = memory(i.memory).dtype;
  Value* pointer = address(i.memory, i.args[0]);
  Values values;
  for (std::size_t v = 1; v < i.args.size(); ++v) values.push_back(value(i.args[v]));
  Value* packed = pack(b_, t, values);
  auto write = [&] { b_.CreateAlignedStore(packed, pointer, alignment(t, i.width)); };
  if (i.predicate == kNone)
    write();
  else
    guarded(value(i.predicate), write);
}

void DeviceEmitter::copy_async(const Inst& i) {
  struct Size {
    std::uint32_t bytes;
    llvm::Intrinsic::ID copy, copy_or_zero;
  };
  static constexpr Size kSizes[] = {
      {4, llvm::Intrinsic::nvvm_cp_async_ca_shared_global_4, llvm::Intrinsic::nvvm_cp_async_ca_shared_global_4_s},
      {8, llvm::Intrinsic::nvvm_cp_async_ca_shared_global_8, llvm::Intrinsic::nvvm_cp_async_ca_shared_global_8_s},
      {16, llvm::Intrinsic::nvvm_cp_async_cg_shared_global_16, llvm::Intrinsic::nvvm_cp_async_cg_shared_global_16_s},
  };
  const std::size_t bytes = i.width * size_of(memory(i.memory).dtype);
  const Size* size = std::ranges::find(kSizes, bytes, &Size::bytes);
  ensure(size != std::end(kSizes), "device function {}: an asynchronous copy moves 4, 8 or 16 bytes", f_.name);
  Values args{address(i.memory, i.args[0]), address(i.source, i.args[1])};
  if (i.predicate != kNone)  // bytes to read; the rest is filled with zeros
    args.push_back(b_.CreateSelect(value(i.predicate), b_.getInt32(size->bytes), b_.getInt32(0)));
  b_.CreateIntrinsic(args.size() == 2 ? size->copy : size->copy_or_zero, {}, args);
}

void DeviceEmitter::commit_async(const Inst&) {
  b_.CreateIntrinsic(llvm::Intrinsic::nvvm_cp_async_commit_group, {}, {});
}

void DeviceEmitter::wait_async(const Inst& i) {
  b_.CreateIntrinsic(llvm::Intrinsic::nvvm_cp_async_wait_group, {}, {b_.getInt32(static_cast<unsigned>(i.bits))});
}

}  // namespace weft::codegen

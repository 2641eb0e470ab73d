// Device code to LLVM IR: addresses, vector accesses, predicated loads, asynchronous copies.
#include <llvm/IR/IntrinsicsNVPTX.h>
#include <llvm/IR/Metadata.h>

#include <algorithm>

#include "codegen/ptx.h"

namespace weft::codegen {
namespace {

constexpr std::int64_t kWidestAccess = 16;  // bytes

/// One instruction's share of an access: `count` elements, moved as `type`.
struct Piece {
  int count;
  llvm::Type* type;
};

/// Bytes travel as 32-bit words where there are four of them or more.
Piece piece_of(Builder& b, DType t, int width) {
  const auto size = static_cast<std::int64_t>(size_of(t));
  const auto count = static_cast<int>(std::min<std::int64_t>(width, kWidestAccess / size));
  llvm::Type* unit = memory_type(b, t);
  auto units = static_cast<unsigned>(count);
  if (size == 1) {
    const unsigned bytes = std::min(units, 4u);
    unit = b.getIntNTy(8 * bytes);
    units /= bytes;
  }
  return {count, units == 1 ? unit : llvm::FixedVectorType::get(unit, units)};
}

Value* element(Builder& b, Value* v, std::uint64_t i) {
  return v->getType()->isVectorTy() ? b.CreateExtractElement(v, i) : v;
}

}  // namespace

/// index = variable + constant, as the address will be a sum of its own: neighbouring accesses then share a register
/// and differ in the instruction's offset. Arithmetic that leads to an index does not wrap (ir/simt.h).
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

Value* DeviceEmitter::address(simt::MemoryId m, simt::ValueId index) {
  llvm::Type* unit = memory_type(b_, memory(m).dtype);
  Value* pointer = frame_.memories[static_cast<std::size_t>(m)];
  const Split at = split(value(index));
  if (at.variable) pointer = b_.CreateGEP(unit, pointer, b_.CreateSExt(at.variable, b_.getInt64Ty()));
  if (at.constant) pointer = b_.CreateConstGEP1_64(unit, pointer, static_cast<std::uint64_t>(at.constant));
  return pointer;
}

Values DeviceEmitter::read(DType t, Value* pointer, int width, bool invariant) {
  const Piece piece = piece_of(b_, t, width);
  const auto bytes = static_cast<std::uint64_t>(piece.count) * size_of(t);
  Values result;
  for (int first = 0; first < width; first += piece.count) {
    Value* from =
        first ? b_.CreateConstGEP1_64(memory_type(b_, t), pointer, static_cast<std::uint64_t>(first)) : pointer;
    llvm::LoadInst* v = b_.CreateAlignedLoad(piece.type, from, llvm::Align(bytes));
    if (invariant) v->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(b_.getContext(), {}));
    for (int i = 0; i < piece.count; ++i) {
      const auto place = static_cast<std::uint64_t>(i);
      if (size_of(t) > 1) {
        result.push_back(element(b_, v, place));
        continue;
      }
      Value* byte = b_.CreateTrunc(b_.CreateLShr(element(b_, v, place / 4), 8 * (place % 4)), b_.getInt8Ty());
      result.push_back(t == boolean ? b_.CreateICmpNE(byte, b_.getInt8(0)) : byte);
    }
  }
  return result;
}

void DeviceEmitter::write(DType t, Value* pointer, const Values& values) {
  const auto width = static_cast<int>(values.size());
  const Piece piece = piece_of(b_, t, width);
  const auto bytes = static_cast<std::uint64_t>(piece.count) * size_of(t);
  for (int first = 0; first < width; first += piece.count) {
    Value* to = first ? b_.CreateConstGEP1_64(memory_type(b_, t), pointer, static_cast<std::uint64_t>(first)) : pointer;
    Values units;
    for (int i = 0; i < piece.count; ++i) {
      Value* v = values[static_cast<std::size_t>(first + i)];
      if (size_of(t) > 1) {
        units.push_back(v);
        continue;
      }
      v = b_.CreateShl(b_.CreateZExt(v, piece.type->getScalarType()), static_cast<std::uint64_t>(8 * (i % 4)));
      if (i % 4)
        units.back() = b_.CreateOr(units.back(), v);
      else
        units.push_back(v);
    }
    Value* v = units[0];
    if (piece.type->isVectorTy()) {
      v = llvm::PoisonValue::get(piece.type);
      for (std::size_t i = 0; i < units.size(); ++i) v = b_.CreateInsertElement(v, units[i], i);
    }
    b_.CreateAlignedStore(v, to, llvm::Align(bytes));
  }
}

void DeviceEmitter::load(const Inst& i) {
  const simt::Memory& m = memory(i.memory);
  Value* pointer = address(i.memory, i.args[0]);
  auto body = [&] { return read(m.dtype, pointer, i.width, frame_.invariant && m.read_only); };
  Values result;
  if (i.predicate == kNone)
    result = body();
  else
    result = guarded(value(i.predicate), llvm::SmallVector<llvm::Type*, 16>(i.width, register_type(b_, m.dtype)), body);
  for (int r = 0; r < i.width; ++r) define(i.result + r, result[static_cast<std::size_t>(r)]);
}

void DeviceEmitter::store(const Inst& i) {
  Value* pointer = address(i.memory, i.args[0]);
  Values values;
  for (std::size_t v = 1; v < i.args.size(); ++v) values.push_back(value(i.args[v]));
  auto body = [&] {
    write(memory(i.memory).dtype, pointer, values);
    return Values{};
  };
  if (i.predicate == kNone)
    body();
  else
    guarded(value(i.predicate), {}, body);
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

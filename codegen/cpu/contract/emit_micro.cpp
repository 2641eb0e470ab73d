// The microkernel: the only loop of a contraction whose every cycle counts. All sums live in registers; each step of k
// loads one row of the panel, and broadcasts one element of x for each row of the tile.
//
// An epilogue for which the registers suffice runs here, between runs of k steps and row by row, for the tile that was
// finished before: its loads, stores, divisions and square roots then fill what the multiply-adds leave idle. (Measured
// on Zen 4, Adam after 128 products: the epilogue one tile at a time after its sums costs a fifth of the time.)
#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>

#include <bit>

#include "codegen/cpu/contract/emit_contract.h"

namespace weft::codegen {
namespace {

/// Steps of k in one trip.
constexpr int kUnroll = 4;

}  // namespace

llvm::Function* ContractEmitter::emit_micro_kernel(const MicroKernel& m, const std::string& name) {
  llvm::Type *pointer = b_.getPtrTy(), *i64 = b_.getInt64Ty();
  open_internal(name, {pointer, pointer, pointer, i64, i64, b_.getInt1Ty(), pointer});
  for (unsigned i = 0; i < 3; ++i) function_->addParamAttr(i, llvm::Attribute::NoAlias);
  Value** arguments[] = {&micro_.x, &micro_.y, &micro_.tile, &micro_.first, &micro_.k, &micro_.continued, &scratch_};
  for (unsigned i = 0; i < std::size(arguments); ++i) *arguments[i] = function_->getArg(i);

  llvm::BasicBlock* entry = b_.GetInsertBlock();
  auto* resume = llvm::BasicBlock::Create(module_.getContext(), "continued", function_);
  auto* start = llvm::BasicBlock::Create(module_.getContext(), "start", function_);
  b_.CreateCondBr(micro_.continued, resume, start);
  b_.SetInsertPoint(resume);
  Values held;
  for (int i = 0; i < m.sums(); ++i) held.push_back(read_tile(m, i));
  b_.CreateBr(start);
  b_.SetInsertPoint(start);
  Values state{micro_.x, micro_.y};
  for (Value* h : held) {
    llvm::PHINode* phi = b_.CreatePHI(h->getType(), 2);
    phi->addIncoming(llvm::Constant::getNullValue(h->getType()), entry);
    phi->addIncoming(h, resume);
    state.push_back(phi);
  }
  state = in_runs_  ? steps_in_runs(m, std::move(state))
          : k_runs_ ? steps_by_axes(m, std::move(state))
                    : steps(m, micro_.k, std::move(state));
  for (int i = 0; i < m.sums(); ++i) {
    const llvm::Align align(size_of(dtype_));
    b_.CreateAlignedStore(state[static_cast<std::size_t>(i) + 2], tile_pointer(m, i), align);
  }
  llvm::Function* f = function_;
  close_function();
  return f;
}

/// Opens a function that only this kernel's code calls. Its calls are real ones, so that nothing of the caller's is
/// live in its vector registers.
void ContractEmitter::open_internal(const std::string& name, llvm::ArrayRef<llvm::Type*> parameters) {
  auto* type = llvm::FunctionType::get(b_.getVoidTy(), parameters, false);
  function_ = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module_);
  function_->addFnAttr(kRegisterBits, std::to_string(8 * target_.vector_bytes));
  function_->addFnAttr(llvm::Attribute::NoInline);
  b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function_));
  push_level();
}

/// The last register of a row is no wider than its lanes need.
int ContractEmitter::lanes_of(const MicroKernel& m, int r) const {
  return r + 1 < m.registers ? lanes_of_register_
                             : static_cast<int>(std::bit_ceil(static_cast<unsigned>(m.last_lanes)));
}

llvm::Type* ContractEmitter::register_of(const MicroKernel& m, int r) {
  const int lanes = lanes_of(m, r);
  llvm::Type* element = register_type(b_, dtype_);
  return lanes == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes));
}

Value* ContractEmitter::tile_pointer(const MicroKernel& m, int sum) {
  return offset_elements(dtype_, micro_.tile,
                         i64(sum / m.registers * tile_row_ + sum % m.registers * lanes_of_register_));
}

Value* ContractEmitter::read_tile(const MicroKernel& m, int sum) {
  return b_.CreateAlignedLoad(register_of(m, sum % m.registers), tile_pointer(m, sum), llvm::Align(size_of(dtype_)));
}

/// Elements from the current pointer to register r of y at product k.
std::int64_t ContractEmitter::rhs_offset(int k, int r) const {
  const std::int64_t column = r * lanes_of_register_;
  const std::int64_t gaps = rhs_.panel_gap ? column / rhs_.panel_width * rhs_.panel_gap : 0;
  return k * rhs_.k_stride + column + gaps;
}

/// One product for every sum, at element `k` from the current pointers. state: x, y, sum[row][register].
void ContractEmitter::step(const MicroKernel& m, int k, Values& state) {
  const llvm::Align align(size_of(dtype_));
  Values y;
  for (int r = 0; r < m.registers; ++r) {
    Value* p = offset_elements(dtype_, state[1], i64(rhs_offset(k, r)));
    llvm::Type* type = register_of(m, r);
    const int lanes = lanes_of(m, r);
    if (r + 1 < m.registers || rhs_.packed || m.last_lanes == lanes) {  // a packed panel has room for whole registers
      y.push_back(b_.CreateAlignedLoad(type, p, align));
      continue;
    }
    llvm::SmallVector<llvm::Constant*, 16> mask;
    for (int l = 0; l < lanes; ++l) mask.push_back(b_.getInt1(l < m.last_lanes));
    y.push_back(
        b_.CreateMaskedLoad(type, p, align, llvm::ConstantVector::get(mask), llvm::Constant::getNullValue(type)));
  }
  for (int i = 0; i < m.rows; ++i) {
    Value* x =
        b_.CreateAlignedLoad(register_type(b_, dtype_),
                             offset_elements(dtype_, state[0], i64(k * lhs_.k_stride + i * lhs_.free_stride)), align);
    llvm::SmallDenseMap<int, Value*, 2> splat;
    for (int r = 0; r < m.registers; ++r) {
      const int lanes = lanes_of(m, r);
      if (!splat.count(lanes)) splat[lanes] = emit_splat(b_, x, lanes);
      Value*& sum = state[static_cast<std::size_t>(2 + i * m.registers + r)];
      sum = emit_multiply_add(b_, dtype_, splat[lanes], y[static_cast<std::size_t>(r)], sum);
    }
  }
}

/// `count` products more.
Values ContractEmitter::steps(const MicroKernel& m, Value* count, Values state) {
  // A large tile has work enough in one step, and no register to spare for what LLVM would move ahead: products that
  // are added later, and splats where each has one use.
  constexpr int kLargeTile = 24, kLargeColumn = 8;
  const bool fused = target_.fma && is_float(dtype_), column = m.registers == 1 && target_.vector_registers == 16;
  const int unroll = fused && m.sums() < (column ? kLargeColumn : kLargeTile) ? kUnroll : 1;
  auto advance = [&](int by) {
    return [&, by](Value*, const Values& in) -> Values {
      Values s = in;
      for (int k = 0; k < by; ++k) step(m, k, s);
      s[0] = offset_elements(dtype_, s[0], i64(by * lhs_.k_stride));
      s[1] = offset_elements(dtype_, s[1], i64(by * rhs_.k_stride));
      return s;
    };
  };
  Value* whole = b_.CreateAnd(count, i64(-unroll));
  state = loop("k", i64(0), whole, unroll, std::move(state), advance(unroll));
  return unroll == 1 ? state : loop("k.rest", whole, count, 1, std::move(state), advance(1));
}

/// Elements from product 0 of an operand that is read in runs to that at k, one coordinate an axis.
Value* ContractEmitter::offset_at(const Operand& o, const Values& k) {
  const Linear& access = info_.access[static_cast<std::size_t>(o.value)];
  Value* offset = i64(0);
  for (std::size_t i = 0; i < roles_.k.size(); ++i)
    offset = b_.CreateAdd(offset, b_.CreateMul(k[i], i64(access.coefficient[static_cast<std::size_t>(roles_.k[i])])));
  return offset;
}

/// The products of a call, one run of the innermost axis of k after the other.
Values ContractEmitter::steps_by_axes(const MicroKernel& m, Values state) {
  const bool all = !chunked_ && k_block_ >= K_;
  const std::int64_t length = extent(axes_.k);
  Value *first = all ? i64(0) : micro_.first, *end = all ? i64(K_) : b_.CreateAdd(micro_.first, micro_.k);
  Value* runs = b_.CreateUDiv(b_.CreateAdd(end, i64(length - 1)), i64(length));
  const Values bases{state[0], state[1]};
  Values sums(state.begin() + 2, state.end());
  sums = loop("run", b_.CreateUDiv(first, i64(length)), runs, 1, std::move(sums), [&](Value* run, const Values& in) {
    Value *begin = b_.CreateMul(run, i64(length)), *stop = b_.CreateAdd(begin, i64(length));
    if (!all) {
      begin = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, begin, first);
      stop = minimum(stop, end);
    }
    const Values at = unit_at(begin, extents_of(roles_.k));
    Values s;
    for (const Operand* o : {&lhs_, &rhs_}) {
      Value* offset = o->in_runs ? offset_at(*o, at) : b_.CreateMul(b_.CreateSub(begin, first), i64(o->k_stride));
      s.push_back(offset_elements(dtype_, bases[o == &rhs_], offset));
    }
    s.append(in.begin(), in.end());
    s = steps(m, all ? i64(length) : b_.CreateSub(stop, begin), std::move(s));
    return Values(s.begin() + 2, s.end());
  });
  Values out{state[0], state[1]};
  out.append(sums.begin(), sums.end());
  return out;
}

/// All K products, in runs. Where interleaved, each run but the last is followed by the epilogue of one row of the tile
/// that was done before. Otherwise this tile's epilogue comes right after, and the runs are short: the memory of its
/// rows, asked for between them, is there in time.
Values ContractEmitter::steps_in_runs(const MicroKernel& m, Values state) {
  const std::int64_t run = std::max(kShortestRun, K_ / (interleaved_ ? rows_ : 2 * rows_)) / kUnroll * kUnroll;
  state = loop("run", i64(0), i64(rows_), 1, std::move(state), [&](Value* i, const Values& in) -> Values {
    Values s = steps(m, i64(run), in);
    between_runs([&](const Work& w) { prefetch(b_.CreateAdd(w.next_row, i), w.next_column); });
    if (interleaved_) epilogue_of_row(i);
    return s;
  });
  return steps(m, i64(K_ - run * rows_), std::move(state));
}

}  // namespace weft::codegen

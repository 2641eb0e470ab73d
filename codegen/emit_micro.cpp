// The microkernel: the only loop of a contraction whose every cycle counts. All sums live in registers; each step of k
// loads one row of the panel, and broadcasts one element of x for each row of the tile.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Intrinsics.h>

#include "codegen/emit_contract.h"

namespace weft::codegen {
namespace {

/// Steps of k in one trip. A large tile has work enough in fewer, and compiles faster.
constexpr int kUnroll = 4, kUnrollLarge = 2, kLargeTile = 24;

class MicroEmitter {
 public:
  MicroEmitter(llvm::Module& module, const MicroKernel& m, const std::string& name)
      : m_(m),
        b_(module.getContext()),
        element_(register_type(b_, m.dtype)),
        vector_(m.lanes == 1 ? element_ : llvm::FixedVectorType::get(element_, static_cast<unsigned>(m.lanes))) {
    llvm::Type* pointer = b_.getPtrTy();
    auto* type =
        llvm::FunctionType::get(b_.getVoidTy(), {pointer, pointer, pointer, b_.getInt64Ty(), b_.getInt1Ty()}, false);
    f_ = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module);
    f_->addFnAttr(llvm::Attribute::NoInline);
    for (unsigned i = 0; i < 3; ++i) f_->addParamAttr(i, llvm::Attribute::NoAlias);
  }

  llvm::Function* emit() {
    auto* entry = block("entry");
    auto* resume = block("continued");
    auto* start = block("start");
    b_.SetInsertPoint(entry);
    b_.CreateCondBr(f_->getArg(4), resume, start);
    b_.SetInsertPoint(resume);
    Values held;
    for (int i = 0; i < sums(); ++i) held.push_back(b_.CreateAlignedLoad(vector_, tile(i), tile_align()));
    b_.CreateBr(start);
    b_.SetInsertPoint(start);
    State state{f_->getArg(0), f_->getArg(1), {}};
    for (Value* h : held) {
      llvm::PHINode* phi = b_.CreatePHI(vector_, 2);
      phi->addIncoming(llvm::Constant::getNullValue(vector_), entry);
      phi->addIncoming(h, resume);
      state.sum.push_back(phi);
    }
    Value* count = f_->getArg(3);
    const int unroll = sums() < kLargeTile ? kUnroll : kUnrollLarge;
    Value* rest = b_.CreateAnd(count, static_cast<std::uint64_t>(unroll - 1));
    state = k_loop(b_.CreateSub(count, rest), unroll, state);
    state = k_loop(rest, 1, state);
    for (int i = 0; i < sums(); ++i)
      b_.CreateAlignedStore(state.sum[static_cast<std::size_t>(i)], tile(i), tile_align());
    b_.CreateRetVoid();
    return f_;
  }

 private:
  struct State {
    Value *x, *y;
    Values sum;  // [row][register]
  };

  int sums() const { return m_.rows * m_.registers; }
  llvm::BasicBlock* block(const char* name) { return llvm::BasicBlock::Create(b_.getContext(), name, f_); }
  Value* at(Value* pointer, std::int64_t elements) {
    return elements ? b_.CreateConstGEP1_64(element_, pointer, static_cast<std::uint64_t>(elements)) : pointer;
  }
  Value* tile(int i) { return at(f_->getArg(2), i / m_.registers * m_.tile_row + i % m_.registers * m_.lanes); }
  llvm::Align tile_align() const { return llvm::Align(size_of(m_.dtype) * static_cast<std::size_t>(m_.lanes)); }

  /// One product for every sum, at element `k` from the current pointers.
  void step(State& s, int k) {
    const llvm::Align align(size_of(m_.dtype));
    Values y;
    for (int r = 0; r < m_.registers; ++r) {
      Value* p = at(s.y, k * m_.y_k + r * m_.lanes);
      if (r + 1 < m_.registers || m_.last_lanes == m_.lanes) {
        y.push_back(b_.CreateAlignedLoad(vector_, p, align));
        continue;
      }
      llvm::SmallVector<llvm::Constant*, 16> mask;
      for (int l = 0; l < m_.lanes; ++l) mask.push_back(b_.getInt1(l < m_.last_lanes));
      y.push_back(b_.CreateMaskedLoad(vector_, p, align, llvm::ConstantVector::get(mask),
                                      llvm::Constant::getNullValue(vector_)));
    }
    for (int i = 0; i < m_.rows; ++i) {
      Value* x = b_.CreateAlignedLoad(element_, at(s.x, k * m_.x_k + i * m_.x_row), align);
      Value* splat = emit_splat(b_, x, m_.lanes);
      for (int r = 0; r < m_.registers; ++r) {
        Value*& sum = s.sum[static_cast<std::size_t>(i * m_.registers + r)];
        sum = emit_multiply_add(b_, m_.dtype, splat, y[static_cast<std::size_t>(r)], sum);
      }
    }
  }

  /// `count` more products, a multiple of `unroll`, perhaps none.
  State k_loop(Value* count, int unroll, const State& before) {
    llvm::BasicBlock* from = b_.GetInsertBlock();
    auto* body = block(unroll > 1 ? "k" : "k.rest");
    auto* after = block("k.end");
    b_.CreateCondBr(b_.CreateICmpEQ(count, b_.getInt64(0)), after, body);
    auto phi = [&](Value* v) {
      llvm::PHINode* p = b_.CreatePHI(v->getType(), 2);
      p->addIncoming(v, from);
      return p;
    };
    b_.SetInsertPoint(body);
    llvm::PHINode* left = phi(count);
    const State in{phi(before.x), phi(before.y), [&] {
                     Values sums;
                     for (Value* v : before.sum) sums.push_back(phi(v));
                     return sums;
                   }()};
    State s = in;
    for (int k = 0; k < unroll; ++k) step(s, k);
    s.x = at(s.x, unroll * m_.x_k);
    s.y = at(s.y, unroll * m_.y_k);
    Value* next = b_.CreateSub(left, b_.getInt64(static_cast<std::uint64_t>(unroll)));
    b_.CreateCondBr(b_.CreateICmpNE(next, b_.getInt64(0)), body, after);
    auto close = [&](Value* p, Value* v) { llvm::cast<llvm::PHINode>(p)->addIncoming(v, body); };
    close(left, next), close(in.x, s.x), close(in.y, s.y);
    for (std::size_t i = 0; i < s.sum.size(); ++i) close(in.sum[i], s.sum[i]);
    b_.SetInsertPoint(after);
    auto merge = [&](Value* a, Value* v) {
      llvm::PHINode* p = phi(a);
      p->addIncoming(v, body);
      return p;
    };
    State out{merge(before.x, s.x), merge(before.y, s.y), {}};
    for (std::size_t i = 0; i < s.sum.size(); ++i) out.sum.push_back(merge(before.sum[i], s.sum[i]));
    return out;
  }

  const MicroKernel& m_;
  Builder b_;
  llvm::Type *element_, *vector_;
  llvm::Function* f_ = nullptr;
};

}  // namespace

llvm::Function* emit_micro_kernel(llvm::Module& module, const MicroKernel& m, const std::string& name) {
  return MicroEmitter(module, m, name).emit();
}

}  // namespace weft::codegen

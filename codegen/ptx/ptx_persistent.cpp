// All functions of a program in one cooperative launch: loops over steps and over each function's blocks, and a barrier
// of the grid between functions.
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/IntrinsicsNVPTX.h>

#include <algorithm>

#include "codegen/ptx/ptx.h"

namespace weft::codegen {
namespace {

constexpr int kGridBarrier = 0, kBlockBarrier = 1;  // the hardware's barriers: of all threads, of those a function uses

bool copies(const simt::Region& r) {
  return std::ranges::any_of(
      r.insts, [](const simt::Inst& i) { return i.kind == simt::Inst::copy_async || (i.body && copies(*i.body)); });
}

class PersistentEmitter {
 public:
  PersistentEmitter(llvm::Module& module, const std::vector<simt::Function>& functions)
      : module_(module), b_(module.getContext()), functions_(functions) {}

  void emit(const PersistentEntry& p) {
    threads_ = p.threads;
    llvm::Type* pointer = b_.getPtrTy(kGlobalSpace);
    llvm::Function* function = open_entry(module_, b_, p.entry, {pointer, pointer, b_.getInt64Ty()}, threads_);
    table_ = function->getArg(0), arrived_ = function->getArg(1);
    shared_ = shared_block(module_, p.entry, p.shared_bytes);
    thread_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_tid_x);
    block_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_ctaid_x);
    grid_ = special(llvm::Intrinsic::nvvm_read_ptx_sreg_nctaid_x);
    Value* grid = b_.CreateZExt(grid_, b_.getInt64Ty());
    expected_ = b_.CreateAlloca(b_.getInt64Ty());
    b_.CreateStore(b_.getInt64(0), expected_);
    loop(b_.getInt64(0), function->getArg(2), b_.getInt64(1), [&](Value* step) {
      std::uint64_t row = 0;
      for (const simt::Function& f : functions_) {
        run(f, step, row);
        b_.CreateStore(b_.CreateAdd(b_.CreateLoad(b_.getInt64Ty(), expected_), grid), expected_);
        grid_barrier();
      }
    });
    b_.CreateRetVoid();
    place_opaque_constants(module_, p.entry);
  }

 private:
  /// This block's share of a function's blocks. `row`: of the function's first global memory in the table; counted on.
  void run(const simt::Function& f, Value* step, std::uint64_t& row) {
    DeviceFrame frame;
    frame.invariant = false;  // another function may store what this one only reads
    frame.barrier = kBlockBarrier;
    frame.memories = memory_addresses(b_, f, shared_, [&](const simt::Memory&) { return address(row++, step); });
    const bool uses_shared = shared_layout(f).back() > 0, copies_async = copies(f.body);
    when(f.threads == threads_ ? nullptr : b_.CreateICmpULT(thread_, b_.getInt32(static_cast<unsigned>(f.threads))),
         [&] {
           loop(block_, b_.getInt32(static_cast<unsigned>(f.blocks)), grid_, [&](Value* block) {
             frame.block = block;
             DeviceEmitter(b_, f, frame).run();
             // The next block's shared memory is this one's.
             if (copies_async) b_.CreateIntrinsic(llvm::Intrinsic::nvvm_cp_async_wait_all, {}, {});
             if (uses_shared) assembly(fmt::format("bar.sync {}, {};", kBlockBarrier, f.threads), {});
           });
         });
  }

  /// base + step * stride, as the table says. Aligned as every buffer of a device is.
  Value* address(std::uint64_t row, Value* step) {
    auto field = [&](std::uint64_t i) {
      return b_.CreateLoad(b_.getInt64Ty(), b_.CreateConstGEP1_64(b_.getInt64Ty(), table_, 2 * row + i));
    };
    return b_.CreateIntToPtr(b_.CreateAdd(field(0), b_.CreateMul(field(1), step)), b_.getPtrTy(kGlobalSpace));
  }

  /// All blocks have stored what the functions so far store, and see it. One thread of each block counts its block in,
  /// releasing what the block's barrier made visible to it, and acquires what the others released.
  void grid_barrier() {
    const std::string all = fmt::format("bar.sync {}, {};", kGridBarrier, threads_);
    assembly(all, {});
    when(b_.CreateICmpEQ(thread_, b_.getInt32(0)), [&] {
      assembly(
          "{ .reg .pred waits; .reg .b64 arrived; "
          "fence.acq_rel.gpu; "
          "red.release.gpu.global.add.u64 [$0], 1; "
          "wait: ld.acquire.gpu.global.u64 arrived, [$0]; "
          "setp.lt.u64 waits, arrived, $1; "
          "@waits bra wait; "
          "fence.acq_rel.gpu; }",
          {arrived_, b_.CreateLoad(b_.getInt64Ty(), expected_)});
    });
    assembly(all, {});
  }

  void assembly(const std::string& code, llvm::ArrayRef<Value*> args) {
    llvm::SmallVector<llvm::Type*, 2> types;
    std::string constraints;
    for (Value* a : args) types.push_back(a->getType()), constraints += "l,";
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), types, false);
    b_.CreateCall(llvm::InlineAsm::get(type, code, constraints + "~{memory}", true), args)
        ->addFnAttr(llvm::Attribute::Convergent);
  }

  Value* special(llvm::Intrinsic::ID id) { return b_.CreateIntrinsic(id, {}, {}); }
  llvm::BasicBlock* new_block() {
    return llvm::BasicBlock::Create(b_.getContext(), "", b_.GetInsertBlock()->getParent());
  }

  /// for (i = begin; i < end; i += step) body(i)
  void loop(Value* begin, Value* end, Value* step, llvm::function_ref<void(Value*)> body) {
    llvm::BasicBlock *head = new_block(), *inside = new_block(), *after = new_block(), *before = b_.GetInsertBlock();
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    llvm::PHINode* i = b_.CreatePHI(begin->getType(), 2);
    i->addIncoming(begin, before);
    b_.CreateCondBr(b_.CreateICmpSLT(i, end), inside, after);
    b_.SetInsertPoint(inside);
    body(i);
    i->addIncoming(b_.CreateAdd(i, step), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(after);
  }
  void when(Value* condition, llvm::function_ref<void()> body) {
    if (!condition) return body();
    llvm::BasicBlock *inside = new_block(), *after = new_block();
    b_.CreateCondBr(condition, inside, after);
    b_.SetInsertPoint(inside);
    body();
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  llvm::Module& module_;
  Builder b_;
  const std::vector<simt::Function>& functions_;
  int threads_ = 0;
  Value *table_ = nullptr, *arrived_ = nullptr, *shared_ = nullptr, *thread_ = nullptr, *block_ = nullptr,
        *grid_ = nullptr;
  Value* expected_ = nullptr;  // i64 on the stack: arrivals when the barrier at hand opens
};

}  // namespace

std::unique_ptr<llvm::Module> emit_persistent(llvm::LLVMContext& context, const std::vector<simt::Function>& functions,
                                              const PersistentEntry& p, const llvm::DataLayout& layout) {
  auto module = std::make_unique<llvm::Module>(p.entry, context);
  module->setDataLayout(layout);
  PersistentEmitter(*module, functions).emit(p);
  return module;
}

}  // namespace weft::codegen

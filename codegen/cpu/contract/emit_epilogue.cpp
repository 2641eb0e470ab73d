// The epilogue of a tile of sums, which lie in scratch memory, in the L1: a function of its own, where its values and
// constants have all registers; or, where it needs few, part of the microkernel of the next tile.
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/Intrinsics.h>

#include <algorithm>

#include "codegen/cpu/contract/emit_contract.h"

namespace weft::codegen {

/// What work describes lies in memory: as arguments it would fill registers of microkernels, or their stacks.
void ContractEmitter::set_work(const Work& w) {
  Value* const slots[] = {w.batch,         w.tile,        w.rows.begin, w.rows.end,
                          w.columns.begin, w.columns.end, w.next_row,   w.next_column};
  static_assert(std::size(slots) + 1 == kWorkSlots);
  for (std::size_t i = 0; i < std::size(slots); ++i) b_.CreateAlignedStore(slots[i], work_slot(i + 1), llvm::Align(8));
}

/// Loads it, and the table of buffers.
ContractEmitter::Work ContractEmitter::get_work() {
  auto slot = [&](llvm::Type* t, std::size_t i) { return b_.CreateAlignedLoad(t, work_slot(i), llvm::Align(8)); };
  buffers_ = slot(b_.getPtrTy(), 0);
  Value* v[kWorkSlots];
  for (std::size_t i = 1; i < kWorkSlots; ++i) v[i] = slot(b_.getInt64Ty(), i);
  const Work w{v[1], v[2], {v[3], v[4]}, {v[5], v[6]}, v[7], v[8]};
  bind_batch(w.batch);
  return w;
}

llvm::Function* ContractEmitter::emit_epilogue(const std::string& name) {
  open_internal(name, {b_.getPtrTy()});
  scratch_ = function_->getArg(0);
  if (info_.checks) fault_ = b_.CreateConstGEP1_64(b_.getInt8Ty(), scratch_, -sizeof(IndexFault));
  const Work w = get_work();
  const bool is_long = !epilogue_registers();  // its own chain of code fills the registers
  const int width = is_long ? std::min(tile_lanes_, lanes_of_register_) : tile_lanes_;
  Value* tile = b_.CreateGEP(b_.getInt8Ty(), scratch_, w.tile);
  for_each("row", w.rows.begin, w.rows.end, 1, [&](Value* row) {
    bind_row(row);
    Value* sums = offset_elements(dtype_, tile, b_.CreateMul(b_.CreateSub(row, w.rows.begin), i64(tile_row_)));
    for_lanes(axes_.n, width, w.columns.begin, w.columns.end, [&] {
      Value* at = b_.CreateSub(coordinate_[static_cast<std::size_t>(axes_.n)], w.columns.begin);
      run_epilogue(offset_elements(dtype_, sums, at), width);
    });
  });
  if (is_long && target_.vector_registers == 16) load_constants(&function_->getEntryBlock());
  llvm::Function* f = function_;
  close_function();
  return f;
}

/// Runs the later stages for the bound row and lanes, whose sums are at `sums`.
void ContractEmitter::run_epilogue(Value* sums, int lanes) {
  point_level_ = depth();
  accumulator(stage_.result) = read(dtype_, sums, lanes);
  stages(1);
}

/// Emits code of a microkernel whose sums are live: all that body needs is computed on the spot.
void ContractEmitter::between_runs(llvm::function_ref<void(const Work&)> body) {
  push_level();
  first_level_ = depth();
  body(get_work());
  first_level_ = 0;
  base_.clear();
  pop_level();
}

/// The epilogue of row i of the tile that was done before, if it has as many: one register of columns at a time.
void ContractEmitter::epilogue_of_row(Value* i) {
  const Work done = get_work();
  when(b_.CreateICmpSLT(b_.CreateAdd(done.rows.begin, i), done.rows.end), [&] {
    llvm::BasicBlock* block = b_.GetInsertBlock();
    between_runs([&](const Work& w) {
      bind_row(b_.CreateAdd(w.rows.begin, i));
      Value* sums = b_.CreateGEP(b_.getInt8Ty(), scratch_, w.tile);
      sums = offset_elements(dtype_, sums, b_.CreateMul(i, i64(tile_row_)));
      const int width = lanes_of_register_;
      for (int c = 0; c < nr_; c += width) {
        push_level();
        bind(axes_.n, b_.CreateAdd(w.columns.begin, i64(c)));
        lanes_ = {width > 1 ? axes_.n : kNone, width, width};
        run_epilogue(offset_elements(dtype_, sums, i64(c)), width);
        lanes_ = {};
        pop_level();
      }
    });
    load_constants(block);
  });
}

/// Makes the arithmetic from `block` on, which is the last code emitted, load its constants where it uses them: LLVM
/// would keep them in registers through the loops around it.
void ContractEmitter::load_constants(llvm::BasicBlock* block) {
  for (llvm::Function::iterator i = block->getIterator(); i != function_->end(); ++i)
    for (llvm::Instruction& at : *i) {
      const bool arithmetic = llvm::isa<llvm::BinaryOperator>(at) || llvm::isa<llvm::IntrinsicInst>(at);
      if (!arithmetic || !at.getType()->isFPOrFPVectorTy()) continue;
      for (llvm::Use& operand : at.operands()) {
        auto* c = llvm::dyn_cast<llvm::Constant>(operand.get());
        if (!c || !c->getType()->isFPOrFPVectorTy() || c->isNullValue()) continue;
        Builder here(&at);
        operand.set(emit_opaque(here, c));
      }
    }
}

/// Finds what the epilogue loads or overwrites at a place of its own for each row and column.
void ContractEmitter::find_prefetches() {
  auto add = [&](BufferId buffer, const Linear& access, bool written) {
    bool moves = access.indirect.empty() && access.coefficient[static_cast<std::size_t>(axes_.n)] == 1 &&
                 access.coefficient[static_cast<std::size_t>(axes_.m)] != 0;
    for (std::size_t a = 0; a < access.coefficient.size(); ++a)  // not along an axis of a stage
      moves &= access.coefficient[a] == 0 || std::ranges::count(info_.phase.parallel, static_cast<AxisId>(a)) > 0;
    const bool known = std::ranges::any_of(prefetches_, [&](const Prefetch& p) {
      return storage(program_, p.buffer) == storage(program_, buffer) && p.access->offset == access.offset;
    });
    if (moves && !known) prefetches_.push_back({buffer, &access, written});
  };
  std::vector<ExprId> roots;
  for (std::size_t s = 1; s < info_.phase.stages.size(); ++s)
    for (std::size_t i = 0; i < stage(s).stores.size(); ++i) {
      roots.push_back(stage(s).stores[i].value);
      add(stage(s).stores[i].buffer, info_.store[s][i], true);
    }
  for (ExprId e : loads_under(kernel_, roots)) add(expr(e).buffer, info_.access[static_cast<std::size_t>(e)], false);
}

/// Asks for the memory that the epilogue of a row of a group will touch, which arrives while the sums are computed.
void ContractEmitter::prefetch(Value* row, Value* column) {
  bind_row(row);
  for (const Prefetch& p : prefetches_) {
    const DType t = program_.buffers[static_cast<std::size_t>(p.buffer)].type.dtype;
    const std::int64_t columns = group_columns();
    const std::int64_t piece = p.access->panel_axis == kNone ? columns : std::min(columns, p.access->panel_width);
    for (std::int64_t first = 0; first < columns; first += piece) {
      push_level();
      bind(axes_.n, b_.CreateAdd(column, i64(first)));
      Value* pointer = address(p.buffer, *p.access).pointer;
      for (std::int64_t at = 0; at < piece * static_cast<std::int64_t>(size_of(t)); at += kCacheLine)
        b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                           {b_.CreateConstGEP1_64(b_.getInt8Ty(), pointer, static_cast<std::uint64_t>(at)),
                            b_.getInt32(p.written), b_.getInt32(3), b_.getInt32(1)});
      pop_level();
    }
  }
}

}  // namespace weft::codegen

// Reductions in the contract's order (ir/ops/sum_order.h): striped over the last axis, sequential over others, runs,
// chunks and the tree over those; arg-reductions, and contractions that are not worth a register tile.
#include <llvm/IR/Constants.h>
#include <llvm/IR/Instructions.h>

#include <algorithm>
#include <bit>

#include "codegen/cpu/emit.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {
namespace {

/// A fold of each of several values, all by the same stage.
auto every(const KernelStage& s) {
  return [&s](std::size_t) -> const KernelStage& { return s; };
}

}  // namespace

llvm::Constant* identity_of(Builder& b, Op reduce, DType t, FoldOrder order) {
  return llvm::cast<llvm::Constant>(visit_dtype(t, [&](auto zero) {
    return emit_constant(b, t, to_scalar_bits(reduce_identity<decltype(zero)>(reduce, order)));
  }));
}

Value* PhaseEmitter::fold(const KernelStage& s, Value* acc, Value* x) {
  const DType t = expr(s.value).dtype;
  return emit_op(b_, fold_op(s.op), t, t, {acc, x});
}

Value* PhaseEmitter::fold_lanes(const KernelStage& s, Value* acc) {
  Value* folded = fold(s, acc, lanes(s.value));
  return lanes_.full() ? folded : b_.CreateSelect(active_mask(), folded, acc);
}

void PhaseEmitter::run_reduce(std::size_t index) {
  const KernelStage& s = stage(index);
  if (is_arg_reduce(s.op) && s.kind == KernelStage::reduce) {
    for_rows([&] { accumulator(s.result) = arg_reduce(s); });
    return;
  }
  const bool contract = s.kind == KernelStage::contract;
  const std::int64_t n = info_.steps(s);
  const bool striped = s.order == FoldOrder::striped;
  auto run_chunk = [&](Value* begin, Value* end) -> Values {
    if (striped && lanes_.width == 1) return striped_chunk(s, begin, end);
    Values v;
    for_rows([&] { v.push_back(striped ? striped_by_lanes(s, begin, end) : sequential_chunk(s, begin, end)); });
    return v;
  };
  auto finish = [&](const Values& v) { for_rows([&] { accumulator(s.result) = v[row_]; }); };
  if (!contract)
    return finish(fold_tree(n, reduce_order(s, n).chunk, run_chunk,
                            [&](std::size_t, Value* earlier, Value* later) { return fold(s, earlier, later); }));
  if (n <= kContractChunk) return finish(run_chunk(i64(0), i64(n)));
  if (s.chunk_axis != kNone) {
    Value* begin = b_.CreateMul(coordinate_[static_cast<std::size_t>(s.chunk_axis)], i64(kContractChunk));
    return finish(run_chunk(begin, minimum(b_.CreateAdd(begin, i64(kContractChunk)), i64(n))));
  }
  // The first chunk's sum is the total; each later one is added to it.
  const DType t = expr(s.lhs).dtype;
  const Values first = run_chunk(i64(0), i64(kContractChunk));
  finish(loop("chunk", i64(kContractChunk), i64(n), kContractChunk, first, [&](Value* begin, const Values& so_far) {
    Values total = run_chunk(begin, minimum(b_.CreateAdd(begin, i64(kContractChunk)), i64(n)));
    for_rows([&] { total[row_] = emit_op(b_, Op::add, t, t, {so_far[row_], total[row_]}); });
    return total;
  }));
}

Values PhaseEmitter::fold_runs(std::int64_t n, std::int64_t run, Value* begin, Value* end, const Values& identity,
                               StageFn stage_of, RunFn fold_run) {
  auto is_cut = [&](std::size_t i) { return !is_associative(stage_of(i).op, expr(stage_of(i).value).dtype); };
  bool cut = false;
  for (std::size_t i = 0; n > run && i < identity.size(); ++i) cut |= is_cut(i);
  if (!cut) return fold_run(begin, end, identity);
  return loop("run", begin, end, run, identity, [&](Value* from, const Values& total) {
    Values start(total);
    for (std::size_t i = 0; i < start.size(); ++i)
      if (is_cut(i)) start[i] = identity[i];
    Values v = fold_run(from, minimum(b_.CreateAdd(from, i64(run)), end), start);
    for (std::size_t i = 0; i < v.size(); ++i)
      if (is_cut(i)) v[i] = fold(stage_of(i), total[i], v[i]);
    return v;
  });
}

/// A binary counter of the chunks so far: where bit k of their number is set, slot k holds the result of 2^k of them. A
/// chunk's result is carried through the slots whose bits it clears, which makes the pairs of the tree.
Values PhaseEmitter::fold_tree(std::int64_t n, std::int64_t chunk, RangeFn fold_chunk, CombineFn combine) {
  if (n <= chunk) return fold_chunk(i64(0), i64(n));
  const std::int64_t chunks = ceil_div(n, chunk);
  const int levels = std::bit_width(static_cast<std::uint64_t>(chunks));
  llvm::SmallVector<llvm::AllocaInst*, 4> slots;
  auto slot = [&](std::size_t i, Value* level) { return b_.CreateGEP(slots[i]->getAllocatedType(), slots[i], level); };
  auto get = [&](std::size_t i, Value* level) { return b_.CreateLoad(slots[i]->getAllocatedType(), slot(i, level)); };
  for_each("chunk", i64(0), i64(n), chunk, [&](Value* begin) {
    Values x = fold_chunk(begin, minimum(b_.CreateAdd(begin, i64(chunk)), i64(n)));
    for (Value* v : x) {
      Builder entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
      slots.push_back(entry.CreateAlloca(v->getType(), entry.getInt64(static_cast<std::uint64_t>(levels))));
    }
    Value* carries = trailing_ones(b_.CreateUDiv(begin, i64(chunk)));
    x = loop("carry", i64(0), carries, 1, x, [&](Value* level, Values later) {
      for (std::size_t i = 0; i < later.size(); ++i) later[i] = combine(i, get(i, level), later[i]);
      return later;
    });
    for (std::size_t i = 0; i < x.size(); ++i) b_.CreateStore(x[i], slot(i, carries));
  });
  Values total;
  for (int level = 0; level < levels; ++level) {
    if ((chunks >> level & 1) == 0) continue;
    const bool last = total.empty();
    for (std::size_t i = 0; i < slots.size(); ++i) {
      Value* earlier = get(i, i64(level));
      if (last)
        total.push_back(earlier);
      else
        total[i] = combine(i, earlier, total[i]);
    }
  }
  return total;
}

/// How many chunks the one with this number is combined with when it comes.
Value* PhaseEmitter::trailing_ones(Value* number) {
  return b_.CreateIntrinsic(llvm::Intrinsic::cttz, {b_.getInt64Ty()}, {b_.CreateNot(number), b_.getFalse()});
}

Value* PhaseEmitter::sequential_chunk(const KernelStage& s, Value* begin, Value* end) {
  const bool contract = s.kind == KernelStage::contract;
  const DType t = expr(contract ? s.lhs : s.value).dtype;
  Value* init = emit_splat(b_, identity_of(b_, contract ? Op::reduce_sum : s.op, t, s.order), lanes_.width);
  const std::int64_t n = info_.steps(s);
  const ReduceOrder order = contract ? ReduceOrder{kContractChunk, kContractChunk} : reduce_order(s, n);
  const std::vector<AxisId> axes = axes_of(s);
  const auto bind_step = [&](Value* step) {
    for (std::size_t i = axes.size(); i-- > 1; step = b_.CreateUDiv(step, i64(extent(axes[i]))))
      bind(axes[i], b_.CreateURem(step, i64(extent(axes[i]))));
    bind(axes[0], step);
  };
  auto fold_run = [&](Value* from, Value* to, const Values& start) {
    return loop("fold", from, to, 1, start, [&](Value* at, const Values& acc) -> Values {
      bind_step(at);
      if (contract) return {emit_multiply_add(b_, t, lanes(s.lhs), lanes(s.rhs), acc[0])};
      return {fold(s, acc[0], lanes(s.value))};
    });
  };
  return fold_runs(std::min(n, order.chunk), order.run, begin, end, {init}, every(s), fold_run)[0];
}

Values PhaseEmitter::striped_chunk(const KernelStage& s, Value* begin, Value* end) {
  static_assert(kReduceStripes == 16);
  const DType t = expr(s.value).dtype;
  auto step = [&](const Values& acc) -> Values {
    Values next;
    for_rows([&] {
      next.push_back(fold_lanes(s, acc[row_]));
      prefetch_next_row();
    });
    return next;
  };
  Values acc(rows_.size(), emit_splat(b_, identity_of(b_, s.op, t), kReduceStripes));
  if (in_one_vector(s.axis)) {
    as_one_vector(s.axis, [&] { acc = step(acc); });
  } else {
    acc = fold_runs(extent(s.axis), kStripedOrder.run, begin, end, acc, every(s),
                    [&](Value* from, Value* to, const Values& start) {
                      return for_lanes(s.axis, kReduceStripes, from, to, start, step);
                    });
  }
  for (Value*& v : acc) v = halve(s, v);
  return acc;
}

/// The stripes folded to one value: the upper half into the lower one, until one is left.
Value* PhaseEmitter::halve(const KernelStage& s, Value* v) {
  for (int half = kReduceStripes / 2; half >= 1; half /= 2) {
    llvm::SmallVector<int, 8> low, high;
    for (int i = 0; i < half; ++i) low.push_back(i), high.push_back(i + half);
    v = fold(s, b_.CreateShuffleVector(v, low), b_.CreateShuffleVector(v, high));
  }
  return b_.CreateExtractElement(v, std::uint64_t{0});
}

/// The same order where the lanes are 16 points: one vector a stripe, in memory while the elements are folded.
Value* PhaseEmitter::striped_by_lanes(const KernelStage& s, Value* begin, Value* end) {
  const DType t = expr(s.value).dtype;
  llvm::Type* stripe = llvm::FixedVectorType::get(register_type(b_, t), static_cast<unsigned>(lanes_.width));
  llvm::Value* stripes = nullptr;
  {
    Builder entry(&function_->getEntryBlock(), function_->getEntryBlock().begin());
    stripes = entry.CreateAlloca(stripe, entry.getInt64(kReduceStripes));
  }
  auto slot = [&](Value* i) { return b_.CreateGEP(stripe, stripes, i); };
  Value* identity = emit_splat(b_, emit_opaque(b_, identity_of(b_, s.op, t)), lanes_.width);
  auto fold_run = [&](Value* from, Value* to, const Values& start) {
    for (int i = 0; i < kReduceStripes; ++i) b_.CreateStore(start[static_cast<std::size_t>(i)], slot(i64(i)));
    for_each("fold", from, to, 1, [&](Value* at) {
      bind(s.axis, at);
      Value* p = slot(b_.CreateAnd(at, i64(kReduceStripes - 1)));  // runs begin at multiples of the stripes
      b_.CreateStore(fold(s, b_.CreateLoad(stripe, p), lanes(s.value)), p);
    });
    Values v;
    for (int i = 0; i < kReduceStripes; ++i) v.push_back(b_.CreateLoad(stripe, slot(i64(i))));
    return v;
  };
  Values v =
      fold_runs(extent(s.axis), kStripedOrder.run, begin, end, Values(kReduceStripes, identity), every(s), fold_run);
  for (std::size_t half = kReduceStripes / 2; half >= 1; half /= 2)
    for (std::size_t i = 0; i < half; ++i) v[i] = fold(s, v[i], v[i + half]);
  return v[0];
}

/// b = x[0]; b = x[i] where x[i] is better, for i in order: the result is the last i taken (0 for an empty axis).
Value* PhaseEmitter::arg_reduce(const KernelStage& s) {
  const DType t = expr(s.value).dtype;
  Value* zero = emit_splat(b_, b_.getInt32(0), lanes_.width);
  if (extent(s.axis) == 0) return zero;
  push_level();
  bind(s.axis, i64(0));
  Value* first = lanes(s.value);
  pop_level();
  return loop("best", i64(1), i64(extent(s.axis)), 1, {first, zero}, [&](Value* at, const Values& best) -> Values {
    bind(s.axis, at);
    Value* x = lanes(s.value);
    Value* better = emit_op(b_, *info(s.op).traits.better, t, boolean, {x, best[0]});
    Value* index = emit_splat(b_, b_.CreateTrunc(at, b_.getInt32Ty()), lanes_.width);
    return {b_.CreateSelect(better, x, best[0]), b_.CreateSelect(better, index, best[1])};
  })[1];
}

}  // namespace weft::codegen

// The loops around the microkernel.
#include "codegen/cpu/contract/emit_contract.h"

#include <algorithm>

#include "ir/ops/sum_order.h"

namespace weft::codegen {

/// One microkernel for each height of a strip and width of a panel that occurs.
void ContractEmitter::emit_micro_kernels(const std::string& symbol) {
  for (const bool is_short : {false, true})
    for (const bool is_last : {true, false}) {
      const bool occurs = (!is_short || short_strips_ > 0) && (is_last || panels_ > 1);
      const std::int64_t columns = is_last ? last_columns() : nr_;
      const int registers = static_cast<int>((columns + lanes_of_register_ - 1) / lanes_of_register_);
      const MicroKernel m{rows_ - is_short, registers,
                          static_cast<int>(columns - (registers - 1) * lanes_of_register_)};
      const bool as_last = !is_last && columns == last_columns();
      micro_kernels_[is_short][is_last] =
          !occurs || as_last ? micro_kernels_[is_short && short_strips_ > 0][1]
                             : emit_micro_kernel(m, fmt::format("{}_micro{}x{}", symbol, m.rows, columns));
    }
}

PhaseCode ContractEmitter::emit(const std::string& symbol) {
  epilogue_ = emit_epilogue(symbol + "_epilogue");
  emit_micro_kernels(symbol);
  open_function(symbol);
  b_.CreateAlignedStore(buffers_, work_slot(0), llvm::Align(8));
  const std::int64_t units = schedule_.split_n ? panels_ : strips_;
  Value* first_batch = b_.CreateSDiv(begin_, i64(units));
  Value* last_batch = b_.CreateSDiv(b_.CreateAdd(end_, i64(units - 1)), i64(units));
  for_each("batch", first_batch, last_batch, 1, [&](Value* batch) {
    bind_batch(batch);
    Value* base = b_.CreateMul(batch, i64(units));
    Value* first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateSub(begin_, base), i64(0));
    run_units(first, minimum(b_.CreateSub(end_, base), i64(units)));
  });
  close_function();

  const double products = static_cast<double>(B_ * M_ * N_) * static_cast<double>(products_);
  const double epilogue = static_cast<double>(B_ * M_ * N_) / lanes_of_register_ * 4;
  // The outermost axis of a role, which others may have been merged into.
  const auto by = [&](const std::vector<AxisId>& axes, const std::vector<AxisId>& own) {
    const auto extent_in_kernel = [&](AxisId a) { return kernel_.axes[static_cast<std::size_t>(a)].extent; };
    const auto a = std::ranges::find_if(own, [&](AxisId x) { return extent_in_kernel(x) > 1; });
    if (a == own.end() || extent(axes[0]) % extent_in_kernel(*a) != 0) return AxisSplit{};
    return AxisSplit{*a, B_ * units / extent_in_kernel(*a)};
  };
  const Roles& own = leading_contraction(kernel_)->roles;
  const std::int64_t last_products = (K_ - 1) % kContractChunk + 1;
  const AxisSplit split = chunked_              ? AxisSplit{stage_.chunk_axis, extents(roles_.b) * units, 1, 0,
                                               static_cast<double>(last_products) / static_cast<double>(products_)}
                          : B_ > 1              ? by(roles_.b, own.b)
                          : schedule_.split_n   ? AxisSplit{axes_.n, 1, nr_}
                          : roles_.m.size() > 1 ? by(roles_.m, own.m)
                                                : AxisSplit{axes_.m, 1, rows_, short_strips_};
  return {symbol, B_ * units, scratch_bytes_, products / (2 * lanes_of_register_) + epilogue, split};
}

void ContractEmitter::run_units(Value* first, Value* last) {
  const std::int64_t inner_pieces = schedule_.split_n ? strips_ : panels_;
  for_each("block", i64(0), i64(inner_pieces), block_, [&](Value* block) {
    Value* block_end = minimum(b_.CreateAdd(block, i64(block_)), i64(inner_pieces));
    if (!packs_by_chunk()) pack_inner(block, block_end, block, sum_);
    for_each("unit", first, last, 1, [&](Value* unit) {
      if (!packs_by_chunk()) pack_outer(unit, sum_);
      for_each("group", block, block_end, group_, [&](Value* group) {
        run_group({unit, group, minimum(b_.CreateAdd(group, i64(group_)), block_end), block, block_end});
      });
    });
  });
}

/// The tile of one unit and a group of inner pieces: sums over all k, then the epilogue.
void ContractEmitter::run_group(const Group& g) {
  Range rows, columns;
  if (schedule_.split_n) {
    rows = {strip_start(g.first), strip_start(g.last)};
    columns = {b_.CreateMul(g.unit, i64(nr_)), b_.CreateMul(b_.CreateAdd(g.unit, i64(1)), i64(nr_))};
  } else {
    rows = {strip_start(g.unit), strip_start(b_.CreateAdd(g.unit, i64(1)))};
    columns = {b_.CreateMul(g.first, i64(nr_)), b_.CreateMul(g.last, i64(nr_))};
  }
  columns.end = minimum(columns.end, i64(N_));
  if (interleaved_) {
    multiply(g, g.first, sum_, rows, columns);
    when(b_.CreateICmpEQ(g.last, g.block_end), [&] { whole_epilogue(tile_of(g.first), rows, columns); });
    return;
  }
  if (!prefetches_.empty() && !in_runs_)
    for_each("prefetch", rows.begin, rows.end, 1, [&](Value* row) { prefetch(row, columns.begin); });
  for_each("kblock", sum_.begin, sum_.end, k_block_, [&](Value* k) {
    Value* k_end = minimum(b_.CreateAdd(k, i64(k_block_)), sum_.end);
    Value* in_chunk = b_.CreateAnd(k, i64(kContractChunk - 1));
    if (packs_by_chunk())
      when(b_.CreateICmpEQ(in_chunk, i64(0)), [&] {
        const Range chunk{k, minimum(b_.CreateAdd(k, i64(kContractChunk)), sum_.end)};
        pack_outer(g.unit, chunk);
        pack_inner(g.first, g.last, g.block, chunk);
      });
    for_each("piece", g.first, g.last, 1, [&](Value* piece) { multiply(g, piece, {k, k_end}, rows, columns); });
    if (products_ <= kContractChunk) return;
    Value* chunk_ends = b_.CreateICmpEQ(b_.CreateAnd(k_end, i64(kContractChunk - 1)), i64(0));
    when(b_.CreateOr(b_.CreateICmpEQ(k_end, sum_.end), chunk_ends),
         [&] { add_to_total(b_.CreateICmpSLT(k, i64(kContractChunk))); });
  });
  whole_epilogue(i64(products_ > kContractChunk ? total_offset_ : tile_offset_), rows, columns);
}

/// Where in scratch memory the sums of the group that begins with `piece` go: one of two tiles in turns, when the
/// other's epilogue is still to come.
Value* ContractEmitter::tile_of(Value* piece) {
  if (!interleaved_) return i64(tile_offset_);
  const auto bytes = tile_elements_ * static_cast<std::int64_t>(size_of(dtype_));
  return b_.CreateAdd(b_.CreateMul(b_.CreateAnd(piece, i64(1)), i64(bytes)), i64(tile_offset_));
}

/// The first row of strip s: those of rows_ - 1 rows come first in each run.
Value* ContractEmitter::strip_start(Value* strip) {
  const auto in_run = [&](Value* s) {
    return b_.CreateSub(b_.CreateMul(s, i64(rows_)), minimum(s, i64(short_strips_)));
  };
  if (roles_.m.size() == 1) return in_run(strip);
  Value* run = b_.CreateUDiv(strip, i64(strips_of_run_));
  return b_.CreateAdd(b_.CreateMul(run, i64(extent(axes_.m))), in_run(b_.CreateURem(strip, i64(strips_of_run_))));
}

std::vector<std::int64_t> ContractEmitter::extents_of(const std::vector<AxisId>& axes) const {
  std::vector<std::int64_t> all;
  for (const AxisId a : axes) all.push_back(extent(a));
  return all;
}

void ContractEmitter::bind_all(const std::vector<AxisId>& axes, Value* number) {
  const Values at = unit_at(number, extents_of(axes));
  for (std::size_t i = 0; i < axes.size(); ++i) bind(axes[i], at[i]);
}

void ContractEmitter::bind_batch(Value* batch) {
  batch_ = batch;
  sum_ = {i64(0), i64(K_)};
  if (!chunked_) return bind_all(roles_.b, batch);
  std::vector<AxisId> axes{stage_.chunk_axis};
  axes.insert(axes.end(), roles_.b.begin(), roles_.b.end());
  bind_all(axes, batch);
  sum_.begin = b_.CreateMul(coordinate_[static_cast<std::size_t>(stage_.chunk_axis)], i64(kContractChunk));
  sum_.end = minimum(b_.CreateAdd(sum_.begin, i64(kContractChunk)), i64(K_));
}

/// Where the microkernel finds row, column and product 0 of a piece; `packed_index` counts the pieces packed so far.
Value* ContractEmitter::operand_pointer(const Operand& o, Value* piece, Value* packed_index) {
  if (o.packed) return offset_elements(dtype_, scratch_at(o.offset), b_.CreateMul(packed_index, i64(o.piece)));
  push_level();
  bind_free(o, o.free == axes_.m ? strip_start(piece) : b_.CreateMul(piece, i64(nr_)));
  for (const AxisId a : roles_.k) bind(a, i64(0));
  Value* p = address(expr(o.value).buffer, info_.access[static_cast<std::size_t>(o.value)]).pointer;
  pop_level();
  return p;
}

/// Calls the microkernel for one strip, one panel and the products k; rows and columns are the group's.
void ContractEmitter::multiply(const Group& g, Value* piece, const Range& k, const Range& rows, const Range& columns) {
  Value *strip = schedule_.split_n ? piece : g.unit, *panel = schedule_.split_n ? g.unit : piece;
  Value* copy = b_.CreateSub(piece, g.block);  // among the packed pieces of the inner operand
  auto operand = [&](const Operand& o, Value* own_piece, bool inner) {
    if (o.in_runs) return operand_pointer(o, own_piece, i64(0));
    Value* from = o.packed && packed_k_ < K_ ? b_.CreateAnd(k.begin, i64(kContractChunk - 1)) : k.begin;
    return offset_elements(dtype_, operand_pointer(o, own_piece, inner ? copy : i64(0)),
                           b_.CreateMul(from, i64(o.k_stride)));
  };
  Value* x = operand(lhs_, strip, schedule_.split_n);
  Value* y = operand(rhs_, panel, !schedule_.split_n);
  Value* offset = schedule_.split_n
                      ? b_.CreateMul(b_.CreateSub(strip_start(piece), strip_start(g.first)), i64(tile_row_))
                      : b_.CreateMul(b_.CreateSub(piece, g.first), i64(nr_));
  Value* tile = offset_elements(dtype_, b_.CreateGEP(b_.getInt8Ty(), scratch_, tile_of(g.first)), offset);
  Value* continued = b_.CreateICmpNE(b_.CreateAnd(k.begin, i64(kContractChunk - 1)), i64(0));
  if (in_runs_) {  // the piece before this one; the first of a block has none
    Value *before = b_.CreateSub(piece, i64(1)), *is_first = b_.CreateICmpEQ(piece, g.block);
    Range done = schedule_.split_n ? Range{strip_start(before), rows.begin} : rows;
    done.end = b_.CreateSelect(is_first, done.begin, done.end);
    Value* back = i64(schedule_.split_n ? 0 : nr_);  // the piece before is whole
    Value* column = b_.CreateSub(columns.begin, back);
    Value* column_end = schedule_.split_n ? columns.end : columns.begin;
    set_work({batch(), tile_of(before), done, {column, column_end}, rows.begin, columns.begin});
  }

  auto choose = [&](Value* condition, Value* yes, Value* no) {
    return yes == no ? yes : b_.CreateSelect(condition, yes, no);
  };
  Value* in_run = roles_.m.size() == 1 ? strip : b_.CreateURem(strip, i64(strips_of_run_));
  Value* is_short = b_.CreateICmpSLT(in_run, i64(short_strips_));
  Value* is_last = b_.CreateICmpEQ(panel, i64(panels_ - 1));
  auto& kernels = micro_kernels_;
  Value* micro =
      choose(is_short, choose(is_last, kernels[1][1], kernels[1][0]), choose(is_last, kernels[0][1], kernels[0][0]));
  b_.CreateCall(kernels[0][0]->getFunctionType(), micro,
                {x, y, tile, k.begin, b_.CreateSub(k.end, k.begin), continued, scratch_});
}

/// The epilogue of a whole tile, at an offset in scratch memory.
void ContractEmitter::whole_epilogue(Value* tile, const Range& rows, const Range& columns) {
  set_work({batch(), tile, rows, columns, i64(0), i64(0)});
  b_.CreateCall(epilogue_, {scratch_});
}

/// total = tile for the first chunk of k, total + tile for later ones.
void ContractEmitter::add_to_total(Value* first_chunk) {
  Value *tile = scratch_at(tile_offset_), *total = scratch_at(total_offset_);
  for_each("total", i64(0), i64(tile_elements_), lanes_of_register_, [&](Value* i) {
    Value *from = offset_elements(dtype_, tile, i), *to = offset_elements(dtype_, total, i);
    Value *x = read(dtype_, from, lanes_of_register_), *sum = read(dtype_, to, lanes_of_register_);
    write(dtype_, to, b_.CreateSelect(first_chunk, x, emit_op(b_, Op::add, dtype_, dtype_, {sum, x})));
  });
}

}  // namespace weft::codegen

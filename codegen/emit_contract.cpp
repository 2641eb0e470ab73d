// The loops around the microkernel.
#include "codegen/emit_contract.h"

#include <algorithm>

#include "ir/eval.h"

namespace weft::codegen {

/// One microkernel for each height of a strip and width of a panel that occurs.
void ContractEmitter::emit_micro_kernels(const std::string& symbol) {
  MicroKernel m{dtype_, lanes_of_register_};
  m.x_row = lhs_.free_stride, m.x_k = lhs_.k_stride, m.y_k = rhs_.k_stride, m.tile_row = tile_row_;
  for (const bool is_short : {false, true})
    for (const bool is_last : {true, false}) {
      const bool occurs = (!is_short || short_strips_ > 0) && (is_last || panels_ > 1);
      const std::int64_t columns = is_last ? last_columns() : nr_;
      m.rows = rows_ - is_short;
      m.registers = static_cast<int>((columns + lanes_of_register_ - 1) / lanes_of_register_);
      m.last_lanes =
          rhs_.packed ? lanes_of_register_ : static_cast<int>(columns - (m.registers - 1) * lanes_of_register_);
      const bool as_last = !is_last && columns == last_columns();
      micro_[is_short][is_last] =
          !occurs || as_last ? micro_[is_short && short_strips_ > 0][1]
                             : emit_micro_kernel(module_, m, fmt::format("{}_micro{}x{}", symbol, m.rows, columns));
    }
}

PhaseCode ContractEmitter::emit(const std::string& symbol) {
  emit_micro_kernels(symbol);
  open_function(symbol);
  const std::int64_t units = schedule_.split_n ? panels_ : strips_;
  Value* first_batch = b_.CreateSDiv(begin_, i64(units));
  Value* last_batch = b_.CreateSDiv(b_.CreateAdd(end_, i64(units - 1)), i64(units));
  for_each("batch", first_batch, last_batch, 1, [&](Value* batch) {
    if (schedule_.b != kNone) bind(schedule_.b, batch);
    Value* base = b_.CreateMul(batch, i64(units));
    Value* first = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateSub(begin_, base), i64(0));
    run_units(first, minimum(b_.CreateSub(end_, base), i64(units)));
  });
  close_function();

  const double products = static_cast<double>(B_ * M_ * N_) * static_cast<double>(K_);
  const double epilogue = static_cast<double>(B_ * M_ * N_) / lanes_of_register_ * 4;
  const UnitSplit split = B_ > 1              ? UnitSplit{schedule_.b, units}
                          : schedule_.split_n ? UnitSplit{schedule_.n, 1, nr_}
                                              : UnitSplit{schedule_.m, 1, rows_, short_strips_};
  return {symbol, B_ * units, scratch_bytes_, products / (2 * lanes_of_register_) + epilogue, split};
}

void ContractEmitter::run_units(Value* first, Value* last) {
  const std::int64_t inner_pieces = schedule_.split_n ? strips_ : panels_;
  for_each("block", i64(0), i64(inner_pieces), block_, [&](Value* block) {
    Value* block_end = minimum(b_.CreateAdd(block, i64(block_)), i64(inner_pieces));
    if (!packs_by_chunk()) pack_inner(block, block_end, block, {i64(0), i64(K_)});
    for_each("unit", first, last, 1, [&](Value* unit) {
      if (!packs_by_chunk()) pack_outer(unit, {i64(0), i64(K_)});
      for_each("group", block, block_end, group_, [&](Value* group) {
        run_group({unit, group, minimum(b_.CreateAdd(group, i64(group_)), block_end), block});
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
  prefetch(rows, columns.begin);
  for_each("kblock", i64(0), i64(K_), k_block_, [&](Value* k) {
    Value* k_end = minimum(b_.CreateAdd(k, i64(k_block_)), i64(K_));
    Value* in_chunk = b_.CreateAnd(k, i64(kContractChunk - 1));
    if (packs_by_chunk())
      when(b_.CreateICmpEQ(in_chunk, i64(0)), [&] {
        const Range chunk{k, minimum(b_.CreateAdd(k, i64(kContractChunk)), i64(K_))};
        pack_outer(g.unit, chunk);
        pack_inner(g.first, g.last, g.block, chunk);
      });
    for_each("piece", g.first, g.last, 1, [&](Value* piece) { multiply(g, piece, {k, k_end}); });
    if (K_ <= kContractChunk) return;
    Value* chunk_ends = b_.CreateICmpEQ(b_.CreateAnd(k_end, i64(kContractChunk - 1)), i64(0));
    when(b_.CreateOr(b_.CreateICmpEQ(k_end, i64(K_)), chunk_ends),
         [&] { add_to_total(b_.CreateICmpSLT(k, i64(kContractChunk))); });
  });
  epilogue(rows, columns);
}

/// The first row of strip s: those of rows_ - 1 rows come first.
Value* ContractEmitter::strip_start(Value* strip) {
  return b_.CreateSub(b_.CreateMul(strip, i64(rows_)), minimum(strip, i64(short_strips_)));
}

/// Where the microkernel finds row, column and product 0 of a piece; `packed_index` counts the pieces packed so far.
Value* ContractEmitter::operand_pointer(const Operand& o, Value* piece, Value* packed_index) {
  if (o.packed) return offset_elements(dtype_, scratch_at(o.offset), b_.CreateMul(packed_index, i64(o.piece)));
  push_level();
  bind(o.free, o.free == schedule_.m ? strip_start(piece) : b_.CreateMul(piece, i64(nr_)));
  bind(schedule_.k, i64(0));
  Value* p = address(expr(o.value).buffer, info_.access[static_cast<std::size_t>(o.value)]).pointer;
  pop_level();
  return p;
}

/// Calls the microkernel for one strip, one panel and the products k.
void ContractEmitter::multiply(const Group& g, Value* piece, const Range& k) {
  Value *strip = schedule_.split_n ? piece : g.unit, *panel = schedule_.split_n ? g.unit : piece;
  Value* copy = b_.CreateSub(piece, g.block);  // among the packed pieces of the inner operand
  auto operand = [&](const Operand& o, Value* own_piece, bool inner) {
    Value* from = o.packed && packs_by_chunk() ? b_.CreateAnd(k.begin, i64(kContractChunk - 1)) : k.begin;
    return offset_elements(dtype_, operand_pointer(o, own_piece, inner ? copy : i64(0)),
                           b_.CreateMul(from, i64(o.k_stride)));
  };
  Value* x = operand(lhs_, strip, schedule_.split_n);
  Value* y = operand(rhs_, panel, !schedule_.split_n);
  Value* offset = schedule_.split_n
                      ? b_.CreateMul(b_.CreateSub(strip_start(piece), strip_start(g.first)), i64(tile_row_))
                      : b_.CreateMul(b_.CreateSub(piece, g.first), i64(nr_));
  Value* tile = offset_elements(dtype_, scratch_at(tile_offset_), offset);
  Value* continued = b_.CreateICmpNE(b_.CreateAnd(k.begin, i64(kContractChunk - 1)), i64(0));

  auto choose = [&](Value* condition, Value* yes, Value* no) {
    return yes == no ? yes : b_.CreateSelect(condition, yes, no);
  };
  Value* is_short = b_.CreateICmpSLT(strip, i64(short_strips_));
  Value* is_last = b_.CreateICmpEQ(panel, i64(panels_ - 1));
  Value* micro =
      choose(is_short, choose(is_last, micro_[1][1], micro_[1][0]), choose(is_last, micro_[0][1], micro_[0][0]));
  b_.CreateCall(micro_[0][0]->getFunctionType(), micro, {x, y, tile, b_.CreateSub(k.end, k.begin), continued});
}

/// total = tile for the first chunk of k, total + tile for later ones.
void ContractEmitter::add_to_total(Value* first_chunk) {
  const std::int64_t elements = (schedule_.split_n ? group_ * rows_ : rows_) * tile_row_;
  Value *tile = scratch_at(tile_offset_), *total = scratch_at(total_offset_);
  for_each("total", i64(0), i64(elements), lanes_of_register_, [&](Value* i) {
    Value *from = offset_elements(dtype_, tile, i), *to = offset_elements(dtype_, total, i);
    Value *x = read(dtype_, from, lanes_of_register_), *sum = read(dtype_, to, lanes_of_register_);
    write(dtype_, to, b_.CreateSelect(first_chunk, x, emit_op(b_, Op::add, dtype_, dtype_, {sum, x})));
  });
}

/// Asks for the memory that the epilogue of a tile will load, which arrives while the sums are computed.
void ContractEmitter::prefetch(const Range& rows, Value* column) {
  std::vector<ExprId> roots;
  for (std::size_t s = 1; s < info_.phase.stages.size(); ++s)
    for (const Store& store : stage(s).stores) roots.push_back(store.value);
  std::vector<ExprId> loads = loads_under(kernel_, info_, roots);
  std::erase_if(loads, [&](ExprId e) {
    const Linear& a = info_.access[static_cast<std::size_t>(e)];
    return !a.indirect.empty() || a.coefficient[static_cast<std::size_t>(schedule_.n)] != 1 ||
           a.coefficient[static_cast<std::size_t>(schedule_.m)] == 0;
  });
  if (loads.empty()) return;
  for_each("prefetch", rows.begin, rows.end, 1, [&](Value* row) {
    bind(schedule_.m, row);
    bind(schedule_.n, column);
    for (ExprId e : loads) {
      const auto bytes = group_columns() * static_cast<std::int64_t>(size_of(expr(e).dtype));
      Value* pointer = address(expr(e).buffer, info_.access[static_cast<std::size_t>(e)]).pointer;
      Value* for_writing = b_.getInt32(info_.depends[static_cast<std::size_t>(e)].pinned);
      for (std::int64_t at = 0; at < bytes; at += kCacheLine)
        b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                           {b_.CreateConstGEP1_64(b_.getInt8Ty(), pointer, static_cast<std::uint64_t>(at)), for_writing,
                            b_.getInt32(3), b_.getInt32(1)});
    }
  });
}

/// Runs the later stages for a range of rows and columns, whose sums are in the tile.
void ContractEmitter::epilogue(const Range& rows, const Range& columns) {
  Value* tile = scratch_at(K_ > kContractChunk ? total_offset_ : tile_offset_);
  for_each("row", rows.begin, rows.end, 1, [&](Value* row) {
    bind(schedule_.m, row);
    Value* sums = offset_elements(dtype_, tile, b_.CreateMul(b_.CreateSub(row, rows.begin), i64(tile_row_)));
    for_lanes(schedule_.n, tile_lanes_, columns.begin, columns.end, [&] {
      point_level_ = depth();
      Value* at = b_.CreateSub(coordinate_[static_cast<std::size_t>(schedule_.n)], columns.begin);
      accumulator_[stage_.result] = read(dtype_, offset_elements(dtype_, sums, at), tile_lanes_);
      stages(1);
    });
  });
}

}  // namespace weft::codegen

// Packing: a strip or panel of an operand is evaluated, prologue and all, into the order in which the microkernel reads
// it.
#include <llvm/IR/Constants.h>

#include <algorithm>
#include <bit>

#include "codegen/cpu/contract/emit_contract.h"
#include "ir/ops/sum_order.h"

namespace weft::codegen {

void ContractEmitter::pack_inner(Value* first, Value* last, Value* block, const Range& k) {
  const Operand& inner = schedule_.split_n ? lhs_ : rhs_;
  if (!inner.packed) return;
  const auto pack_all = [&](const Range& part) {
    for_each("pack", first, last, 1, [&](Value* piece) { pack(inner, piece, b_.CreateSub(piece, block), k, part); });
  };
  if (!walks_rows(inner)) return pack_all(k);
  for_each("pack.rows", k.begin, k.end, kRowsAtOnce, [&](Value* row) {
    pack_all({row, minimum(b_.CreateAdd(row, i64(kRowsAtOnce)), k.end)});
  });
}

/// Whether pieces lie side by side in rows of memory, one for each k: they are then packed together, a few rows at a
/// time, so that memory is read as it lies and no line of it twice.
bool ContractEmitter::walks_rows(const Operand& o) const {
  const Linear& access = info_.access[static_cast<std::size_t>(o.value)];
  return !o.along_k && expr(o.value).kind == Expr::load && expr(o.value).args.empty() && access.indirect.empty() &&
         access.coefficient[static_cast<std::size_t>(o.free)] == 1;
}

void ContractEmitter::pack_outer(Value* unit, const Range& k) {
  const Operand& outer = schedule_.split_n ? rhs_ : lhs_;
  if (!outer.packed) return;
  push_level();
  pack(outer, unit, i64(0), k, k);
  pop_level();
}

/// Products `part` of the piece, which begins with product k.begin.
void ContractEmitter::pack(const Operand& o, Value* piece, Value* packed_index, const Range& k, const Range& part) {
  Value* to = operand_pointer(o, piece, packed_index);
  if (part.begin != k.begin)
    to = offset_elements(dtype_, to, b_.CreateMul(b_.CreateSub(part.begin, k.begin), i64(o.k_stride)));
  if (o.free == axes_.m) {
    Value* row = strip_start(piece);
    // A short strip followed by a longer one may as well copy the row after its last.
    if (o.along_k) return pack_strip_along_k(o, {row, strip_start(b_.CreateAdd(piece, i64(1)))}, part, to);
    return pack_along_free(o, row, rows_, part, to);
  }
  auto panel = [&](std::int64_t columns) {
    Value* column = b_.CreateMul(piece, i64(nr_));
    const int count = static_cast<int>(columns);
    return o.along_k ? pack_panel_along_k(o, column, count, part, to) : pack_along_free(o, column, count, part, to);
  };
  if (last_columns() == nr_) return panel(nr_);
  if (panels_ > 1) when(b_.CreateICmpSLT(piece, i64(panels_ - 1)), [&] { panel(nr_); });
  when(b_.CreateICmpEQ(piece, i64(panels_ - 1)), [&] { panel(last_columns()); });
}

/// to[i][k] = value at row i of the strip.
void ContractEmitter::pack_strip_along_k(const Operand& o, const Range& rows, const Range& k, Value* to) {
  for_each("pack.row", rows.begin, rows.end, 1, [&](Value* row) {
    bind_row(row);
    Value* row_to = offset_elements(dtype_, to, b_.CreateMul(b_.CreateSub(row, rows.begin), i64(o.free_stride)));
    for_runs_of_k(k, [&](Value* base, const Range& inner) {
      for_lanes(axes_.k, kReduceStripes, inner.begin, inner.end, [&] {
        Value* at = b_.CreateAdd(base, b_.CreateSub(coordinate_[static_cast<std::size_t>(axes_.k)], inner.begin));
        write(dtype_, offset_elements(dtype_, row_to, at), lanes(o.value));
      });
    });
  });
}

void ContractEmitter::for_runs_of_k(const Range& k, llvm::function_ref<void(Value* base, const Range& inner)> body) {
  if (roles_.k.size() == 1) return body(i64(0), k);
  const std::function<void(std::size_t, Value*)> walk = [&](std::size_t axis, Value* base) {
    const AxisId a = roles_.k[axis];
    if (a == axes_.k) return body(b_.CreateMul(base, i64(extent(a))), {i64(0), i64(extent(a))});
    for_each("pack.outer", i64(0), i64(extent(a)), 1, [&](Value* i) {
      bind(a, i);
      walk(axis + 1, b_.CreateAdd(b_.CreateMul(base, i64(extent(a))), i));
    });
  };
  walk(0, i64(0));
}

/// to[k][i] = value at start + i, for i < count. Whole vectors are written; what they write too much, the next k
/// overwrites.
void ContractEmitter::pack_along_free(const Operand& o, Value* start, int count, const Range& k, Value* to) {
  const int enough = static_cast<int>(std::bit_ceil(static_cast<unsigned>(count)));
  const int width = o.free == axes_.n ? tile_lanes_ : std::min(kReduceStripes, enough);
  const std::int64_t ahead =
      walks_rows(o)
          ? kRowsAtOnce * info_.access[static_cast<std::size_t>(o.value)].coefficient[static_cast<std::size_t>(axes_.k)]
          : 0;
  auto copy_row = [&](Value* at) {
    bind_all(roles_.k, at);
    Value* row = offset_elements(dtype_, to, b_.CreateMul(b_.CreateSub(at, k.begin), i64(o.k_stride)));
    for (int i = 0; i < count; i += width) {
      push_level();
      bind_free(o, b_.CreateAdd(start, i64(i)));
      lanes_ = {width > 1 ? o.free : kNone, width, std::min(width, count - i)};
      if (ahead) PhaseEmitter::prefetch(o.value, ahead);
      write(dtype_, offset_elements(dtype_, row, i64(i)), lanes(o.value));
      lanes_ = {};
      pop_level();
    }
  };
  // Loads are worth repeating, a prologue is not.
  const std::int64_t unroll = expr(o.value).kind == Expr::load ? 4 : 1;
  Value* whole = b_.CreateSub(k.end, b_.CreateURem(b_.CreateSub(k.end, k.begin), i64(unroll)));
  for_each("pack.k", k.begin, whole, unroll, [&](Value* at) {
    for (std::int64_t u = 0; u < unroll; ++u) {
      push_level();
      copy_row(b_.CreateAdd(at, i64(u)));
      pop_level();
    }
  });
  if (unroll > 1) for_each("pack.k.rest", whole, k.end, 1, copy_row);
}

/// to[k][j] = value at column + j, for j < count, from memory where k is contiguous: square blocks are evaluated with
/// lanes along k and transposed in registers. Rows past the last k are written too; the panel has room for them.
void ContractEmitter::pack_panel_along_k(const Operand& o, Value* column, int count, const Range& k, Value* to) {
  const int n = tile_lanes_;
  const bool straight =
      expr(o.value).kind == Expr::load && count % n == 0;  // loads are worth repeating, a prologue is not
  Value* copy = scratch_at(block_copy_);
  const auto pack_rows = [&](Value* base, const Range& inner) {
    Value* at = b_.CreateAdd(base, b_.CreateSub(coordinate_[static_cast<std::size_t>(axes_.k)], inner.begin));
    Value* row = offset_elements(dtype_, to, b_.CreateMul(at, i64(nr_)));
    for_each("pack.block", i64(0), i64(count), n, [&](Value* j) {
      Values block;
      auto column_of = [&](Value* i) {
        bind(o.free, b_.CreateAdd(column, b_.CreateAdd(j, i)));
        return lanes(o.value);
      };
      if (straight) {
        for (int i = 0; i < n; ++i) {
          push_level();
          block.push_back(column_of(i64(i)));
          pop_level();
        }
      } else {
        for_each("pack.column", i64(0), minimum(i64(n), b_.CreateSub(i64(count), j)), 1, [&](Value* i) {
          write(dtype_, offset_elements(dtype_, copy, b_.CreateMul(i, i64(n))), column_of(i));
        });
        for (int i = 0; i < n; ++i) block.push_back(read(dtype_, offset_elements(dtype_, copy, i64(i * n)), n));
      }
      transpose_block(std::move(block), offset_elements(dtype_, row, j));
    });
  };
  for_runs_of_k(k, [&](Value* base, const Range& inner) {
    for_lanes(axes_.k, n, inner.begin, inner.end, [&] { pack_rows(base, inner); });
  });
}

/// to[i][j] = v[j][i] for a square of tile_lanes_, whose rows are nr_ apart in `to`. Each step swaps the off-diagonal
/// quarters of blocks of 2 d x 2 d.
void ContractEmitter::transpose_block(Values v, Value* to) {
  const int n = tile_lanes_;
  for (int d = n / 2; d >= 1; d /= 2) {
    llvm::SmallVector<int, 16> low, high;
    for (int c = 0; c < n; ++c) {
      low.push_back(c & d ? n + c - d : c);
      high.push_back(c & d ? n + c : c + d);
    }
    for (int i = 0; i < n; ++i) {
      if (i & d) continue;
      Value *&a = v[static_cast<std::size_t>(i)], *&b = v[static_cast<std::size_t>(i + d)];
      Value* swapped = b_.CreateShuffleVector(a, b, low);
      b = b_.CreateShuffleVector(a, b, high);
      a = swapped;
    }
  }
  for (int i = 0; i < n; ++i) write(dtype_, offset_elements(dtype_, to, i64(i * nr_)), v[static_cast<std::size_t>(i)]);
}

}  // namespace weft::codegen

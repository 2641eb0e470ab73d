// Packing: a strip or panel of an operand is evaluated, prologue and all, into the order in which the microkernel reads
// it.
#include <llvm/IR/Constants.h>

#include <algorithm>
#include <bit>

#include "codegen/emit_contract.h"
#include "ir/eval.h"

namespace weft::codegen {

void ContractEmitter::pack(const Operand& o, Value* piece, Value* packed_index) {
  Value* to = operand_pointer(o, piece, packed_index);
  if (o.free == schedule_.m) {
    // A short strip followed by a longer one may as well copy the row after its last.
    if (o.along_k)
      pack_strip_along_k(o, strip_start(piece), strip_rows(piece), to);
    else
      pack_along_free(o, strip_start(piece), rows_, to);
    return;
  }
  const int narrow = static_cast<int>(last_columns());
  auto panel = [&](int columns) {
    Value* column = b_.CreateMul(piece, i64(nr_));
    if (o.along_k)
      pack_panel_along_k(o, column, columns, to);
    else
      pack_along_free(o, column, columns, to);
  };
  auto guarded = [&](Value* condition, int columns) {
    when(condition, {}, [&](const Values&) -> Values {
      panel(columns);
      return {};
    });
  };
  if (narrow == nr_) return panel(nr_);
  if (panels_ > 1) guarded(b_.CreateICmpSLT(piece, i64(panels_ - 1)), nr_);
  guarded(b_.CreateICmpEQ(piece, i64(panels_ - 1)), narrow);
}

/// to[i][k] = value at row + i, for `rows` rows.
void ContractEmitter::pack_strip_along_k(const Operand& o, Value* row, Value* rows, Value* to) {
  loop(
      i64(0), rows, 1, {},
      [&](Value* i, const Values&) -> Values {
        bind(o.free, b_.CreateAdd(row, i));
        Value* row_to = offset_elements(dtype_, to, b_.CreateMul(i, i64(o.free_stride)));
        for_lanes(schedule_.k, kReduceStripes, i64(0), i64(K_), {}, [&](const Values&) -> Values {
          write(dtype_, offset_elements(dtype_, row_to, coordinate_[static_cast<std::size_t>(schedule_.k)]),
                lanes(o.value));
          return {};
        });
        return {};
      },
      "pack.row");
}

/// to[k][i] = value at start + i, for i < count. Whole vectors are written; what they write too much, the next k
/// overwrites.
void ContractEmitter::pack_along_free(const Operand& o, Value* start, int count, Value* to) {
  const int width = o.free == schedule_.n
                        ? tile_lanes_
                        : std::min(kReduceStripes, static_cast<int>(std::bit_ceil(static_cast<unsigned>(count))));
  loop(
      i64(0), i64(K_), 1, {},
      [&](Value* k, const Values&) -> Values {
        bind(schedule_.k, k);
        Value* row = offset_elements(dtype_, to, b_.CreateMul(k, i64(o.k_stride)));
        for (int i = 0; i < count; i += width) {
          push_level();
          bind(o.free, b_.CreateAdd(start, i64(i)));
          lanes_ = {o.free, width, std::min(width, count - i)};
          write(dtype_, offset_elements(dtype_, row, i64(i)), lanes(o.value));
          lanes_ = {};
          pop_level();
        }
        return {};
      },
      "pack.k");
}

/// to[k][j] = value at column + j, for j < count, from memory where k is contiguous: square blocks are evaluated with
/// lanes along k and transposed in registers. Rows past K are written too; the panel has room for them.
void ContractEmitter::pack_panel_along_k(const Operand& o, Value* column, int count, Value* to) {
  Value* copy = scratch_at(block_copy_);
  for_lanes(schedule_.k, tile_lanes_, i64(0), i64(K_), {}, [&](const Values&) -> Values {
    Value* row =
        offset_elements(dtype_, to, b_.CreateMul(coordinate_[static_cast<std::size_t>(schedule_.k)], i64(nr_)));
    loop(
        i64(0), i64(count), tile_lanes_, {},
        [&](Value* j, const Values&) -> Values {
          Value* end = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, i64(tile_lanes_), b_.CreateSub(i64(count), j));
          loop(
              i64(0), end, 1, {},
              [&](Value* i, const Values&) -> Values {
                bind(o.free, b_.CreateAdd(column, b_.CreateAdd(j, i)));
                write(dtype_, offset_elements(dtype_, copy, b_.CreateMul(i, i64(tile_lanes_))), lanes(o.value));
                return {};
              },
              "pack.column");
          transpose_block(copy, offset_elements(dtype_, row, j));
          return {};
        },
        "pack.block");
    return {};
  });
}

/// to[i][j] = from[j][i] for a square of tile_lanes_, whose rows are nr_ apart in `to`. Each step swaps the
/// off-diagonal quarters of blocks of 2 d x 2 d.
void ContractEmitter::transpose_block(Value* from, Value* to) {
  const int n = tile_lanes_;
  std::vector<Value*> v;
  for (int i = 0; i < n; ++i) v.push_back(read(dtype_, offset_elements(dtype_, from, i64(i * n)), n));
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

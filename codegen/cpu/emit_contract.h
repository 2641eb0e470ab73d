// Private to codegen/: a contraction with its prologues and epilogue as one function.
//
//   z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n]
//
// x is cut into strips of rows, y into panels of columns. A unit of work is one strip (or panel, CpuSchedule::split_n)
// of one b; the other operand is walked in blocks that stay in the second-level cache, packed there once for all units
// of a call. A microkernel multiplies a strip by a panel and leaves the sums in a tile in scratch memory; the epilogue
// reads them there.
#pragma once
#include "codegen/cpu/emit.h"

namespace weft::codegen {

class ContractEmitter : public PhaseEmitter {
 public:
  /// Whether the engine takes this phase: a contraction with a register tile, over b, m and n only, nothing empty.
  static bool accepts(const Kernel&, const PhaseInfo&);
  ContractEmitter(llvm::Module&, const Program&, const Kernel&, const PhaseInfo&, const CpuTarget&);
  PhaseCode emit(const std::string& symbol);

 private:
  /// One operand: where the microkernel finds it.
  struct Operand {
    ExprId value = kNone;
    AxisId free = kNone;  // m or n
    bool packed = false;
    bool along_k = false;                         // packed by vectors along k (else along the free axis)
    std::int64_t free_stride = 1, k_stride = 1;   // as the microkernel reads it
    std::int64_t panel_width = 0, panel_gap = 0;  // of the buffer, where a panel of y is several of its panels
    std::int64_t piece = 0;                       // elements of one packed strip or panel
    std::int64_t offset = 0;                      // of the packed pieces in scratch, bytes
  };
  void plan();
  Operand plan_lhs() const;
  Operand plan_rhs() const;
  std::int64_t reserve(std::int64_t bytes);

  // emit_micro.cpp
  /// An internal function: tile[rows][columns] = x * y over `k` products, on top of what the tile holds when
  /// `continued`. `interleaved`: over all K, and it runs the epilogue of the tile `done` meanwhile.
  struct MicroKernel {
    int rows = 1, registers = 1;  // the tile: rows x (registers * lanes of one)
    int last_lanes = 1;           // lanes of the last register that exist in y; it is no wider than they need
    bool interleaved = false;
    int sums() const { return rows * registers; }
  };
  struct MicroArguments {
    Value *x, *y, *tile, *k, *continued;
    Value *done, *done_row, *done_end, *done_column;  // a tile whose rows [done_row, done_end) await the epilogue
    Value *batch, *row, *column;                      // where this tile begins
  };
  void emit_micro_kernels(const std::string& symbol);
  llvm::Function* emit_micro_kernel(const MicroKernel&, const std::string& name);
  void open_micro_kernel(const std::string& name);
  int lanes_of(const MicroKernel&, int r) const;
  std::int64_t rhs_offset(int k, int r) const;
  llvm::Type* register_of(const MicroKernel&, int r);
  Value* tile_pointer(const MicroKernel&, int sum);
  Value* read_tile(const MicroKernel&, int sum);
  void step(const MicroKernel&, int k, Values& state);
  Values steps(const MicroKernel&, Value* count, Values state);
  Values interleaved_steps(const MicroKernel&, Values state);

  struct Range {
    Value *begin = nullptr, *end = nullptr;
  };
  struct Group {  // of inner pieces [first, last), in the block of packed pieces that begins at `block`
    Value *unit, *first, *last, *block, *block_end;
  };
  void run_units(Value* first, Value* last);
  void run_group(const Group&);
  void multiply(const Group&, Value* piece, const Range& k, const Range& rows, const Range& columns);
  void add_to_total(Value* first_chunk);
  void find_prefetches();
  void prefetch(Value* row, Value* column);
  void epilogue(Value* tile, const Range& rows, const Range& columns);
  void run_epilogue(Value* sums);
  Value* tile_of(Value* piece);
  Value* operand_pointer(const Operand&, Value* piece, Value* packed_index);

  // emit_pack.cpp; products k of a piece, the first of them to the piece's beginning
  void pack_inner(Value* first, Value* last, Value* block, const Range& k);
  void pack_outer(Value* unit, const Range& k);
  void pack(const Operand&, Value* piece, Value* packed_index, const Range& k);
  void pack_strip_along_k(const Operand&, const Range& rows, const Range& k, Value* to);
  void pack_along_free(const Operand&, Value* start, int count, const Range& k, Value* to);
  void pack_panel_along_k(const Operand&, Value* column, int count, const Range& k, Value* to);
  void transpose_block(Values block, Value* to);

  bool packs_by_chunk() const { return packed_k_ < K_; }
  std::int64_t last_columns() const { return N_ - (panels_ - 1) * nr_; }  ///< of the last panel
  std::int64_t group_columns() const { return schedule_.split_n ? nr_ : group_ * nr_; }
  Value* strip_start(Value* strip);
  Value* scratch_at(std::int64_t bytes) { return b_.CreateGEP(b_.getInt8Ty(), scratch_, i64(bytes)); }

  const KernelStage& stage_;
  const RoleAxes axes_;
  const CpuSchedule& schedule_;
  DType dtype_;
  std::int64_t B_, M_, N_, K_;
  int lanes_of_register_, nr_, tile_lanes_;
  std::int64_t strips_, short_strips_, panels_;  // the first short_strips_ have rows_ - 1 rows, the others rows_
  int rows_;
  std::int64_t block_, group_;  // inner pieces packed at once; inner pieces of one tile
  std::int64_t k_block_;        // products of one microkernel call; divides kContractChunk when there are chunks
  std::int64_t packed_k_;       // products packed at once: all, or a chunk of a long sum
  std::int64_t tile_row_;       // elements from one row of the tile to the next
  Operand lhs_, rhs_;
  std::int64_t scratch_bytes_ = 0, tile_offset_ = 0, total_offset_ = 0, block_copy_ = 0;
  /// The epilogue of one inner piece runs inside the microkernel of the next, on the other of two tiles.
  bool interleaved_;
  std::int64_t tile_elements_;
  struct Prefetch {
    BufferId buffer;
    const Linear* access;
    bool written;
  };
  std::vector<Prefetch> prefetches_;          // what the epilogue touches at a row and column of its own
  MicroArguments micro_{};                    // while a microkernel is emitted
  llvm::Function* micro_kernels_[2][2] = {};  // [short strip][last panel]
};

}  // namespace weft::codegen

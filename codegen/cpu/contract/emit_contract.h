// Private to codegen/: a contraction with its prologues and epilogue as one function.
//
//   z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n]
//
// or, where an axis c counts chunks of k, z[c, b, m, n]: each c is a batch of its own, of the products of its chunk.
//
// x is cut into strips of rows, y into panels of columns. A unit of work is one strip (or panel, CpuSchedule::split_n) of
// one b; the other operand is walked in blocks that stay in the second-level cache, packed there once for all units of
// a call. A microkernel multiplies a strip by a panel and leaves the sums in a tile in scratch memory, which stays in
// the L1. The epilogue is a function of its own that reads them there: its values and constants share no register with
// sums.
#pragma once
#include "codegen/cpu/emit.h"

namespace weft::codegen {

class ContractEmitter : public PhaseEmitter {
 public:
  /// Whether the engine takes a kernel's first phase: a contraction with a register tile, over b, m and n only, nothing
  /// empty. Of n there is one axis. `info` is that of analyse_contraction().
  static bool accepts(const Kernel&);
  ContractEmitter(llvm::Module&, const Program&, const Kernel&, const PhaseInfo&, const CpuTarget&);
  PhaseCode emit(const std::string& symbol);

 private:
  /// One operand: where the microkernel finds it.
  struct Operand {
    ExprId value = kNone;
    AxisId free = kNone;  // m or n
    bool packed = false;
    bool along_k = false;                         // packed by vectors along k (else along the free axis)
    bool in_runs = false;                         // read in place; k_stride holds along the innermost axis of k alone
    std::int64_t free_stride = 1, k_stride = 1;   // as the microkernel reads it
    std::int64_t panel_width = 0, panel_gap = 0;  // of the buffer, where a panel of y is several of its panels
    std::int64_t piece = 0;                       // elements of one packed strip or panel
    std::int64_t offset = 0;                      // of the packed pieces in scratch, bytes
  };
  void plan();
  std::optional<int> epilogue_registers() const;
  std::int64_t apart(std::int64_t width) const;
  Operand plan_lhs() const;
  Operand plan_rhs() const;
  std::int64_t reserve(std::int64_t bytes);

  // emit_micro.cpp
  /// An internal function: tile[rows][columns] = x * y over `k` products, on top of what the tile holds when
  /// `continued`. Where epilogues are interleaved: over all K, and it works off the tile that is done meanwhile.
  struct MicroKernel {
    int rows = 1, registers = 1;  // the tile: rows x (registers * lanes of one)
    int last_lanes = 1;           // lanes of the last register that exist in y; it is no wider than they need
    int sums() const { return rows * registers; }
  };
  struct MicroArguments {
    Value *x, *y, *tile, *first, *k, *continued;  // `first`: the first of the products
  };
  void emit_micro_kernels(const std::string& symbol);
  llvm::Function* emit_micro_kernel(const MicroKernel&, const std::string& name);
  void open_internal(const std::string& name, llvm::ArrayRef<llvm::Type*> parameters);
  int lanes_of(const MicroKernel&, int r) const;
  std::int64_t rhs_offset(int k, int r) const;
  llvm::Type* register_of(const MicroKernel&, int r);
  Value* tile_pointer(const MicroKernel&, int sum);
  Value* read_tile(const MicroKernel&, int sum);
  void step(const MicroKernel&, int k, Values& state);
  Values steps(const MicroKernel&, Value* count, Values state);
  Values steps_by_axes(const MicroKernel&, Values state);
  Value* offset_at(const Operand&, const Values& k);
  static constexpr std::int64_t kShortestRun = 8;  // products; enough for a loop of its own, which is scheduled alone
  Values steps_in_runs(const MicroKernel&, Values state);

  struct Range {
    Value *begin = nullptr, *end = nullptr;
  };
  struct Group {  // of inner pieces [first, last), in the block of packed pieces that begins at `block`
    Value *unit, *first, *last, *block, *block_end;
  };
  void run_units(Value* first, Value* last);
  void run_group(const Group&);
  void multiply(const Group&, Value* piece, const Range& k, const Range& rows, const Range& columns);
  void whole_epilogue(Value* tile, const Range& rows, const Range& columns);
  void add_to_total(Value* first_chunk);

  // emit_epilogue.cpp
  /// What the epilogue works on, in scratch memory, where it takes no register of a microkernel.
  struct Work {
    Value *batch, *tile;            // the tile's offset in scratch memory
    Range rows, columns;            // of that tile
    Value *next_row, *next_column;  // where the tile begins whose memory the epilogue will need soon
  };
  static constexpr std::size_t kWorkSlots = 9;  // and the table of buffers
  Value* work_slot(std::size_t i) { return scratch_at(work_offset_ + static_cast<std::int64_t>(i) * 8); }
  void set_work(const Work&);
  Work get_work();
  /// An internal function of scratch memory: the epilogue of the tile that the work there describes.
  llvm::Function* emit_epilogue(const std::string& name);
  void run_epilogue(Value* sums, int lanes);
  void between_runs(llvm::function_ref<void(const Work&)> body);
  void epilogue_of_row(Value* i);
  void load_constants(llvm::BasicBlock*);
  void find_prefetches();
  void prefetch(Value* row, Value* column);
  Value* tile_of(Value* piece);
  Value* batch() { return batch_ ? batch_ : i64(0); }
  /// Binds the axes of a role, or some of them, whose values are counted through as one.
  void bind_all(const std::vector<AxisId>& axes, Value* number);
  void bind_row(Value* row) { bind_all(roles_.m, row); }
  void bind_batch(Value* batch);
  void bind_free(const Operand& o, Value* at) { o.free == axes_.m ? bind_row(at) : bind(o.free, at); }
  std::vector<std::int64_t> extents_of(const std::vector<AxisId>& axes) const;
  std::int64_t extents(const std::vector<AxisId>& axes) const {
    std::int64_t n = 1;
    for (const AxisId a : axes) n *= extent(a);
    return n;
  }
  /// body(base) for each value of the outer axes of k, which are bound; products base, base + 1, … follow along the
  /// innermost one. A sum over one axis is one run, of any range.
  void for_runs_of_k(const Range& k, llvm::function_ref<void(Value* base, const Range& inner)> body);
  bool packs_along_k() const { return roles_.k.size() == 1 || packed_k_ == K_; }
  bool is_in_runs(ExprId operand) const;
  Value* operand_pointer(const Operand&, Value* piece, Value* packed_index);

  // emit_pack.cpp; products k of a piece, the first of them to the piece's beginning
  void pack_inner(Value* first, Value* last, Value* block, const Range& k);
  void pack_outer(Value* unit, const Range& k);
  static constexpr std::int64_t kRowsAtOnce = 16;  // of memory, of which the L1 holds as many
  bool walks_rows(const Operand&) const;
  void pack(const Operand&, Value* piece, Value* packed_index, const Range& k, const Range& part);
  void pack_strip_along_k(const Operand&, const Range& rows, const Range& k, Value* to);
  void pack_along_free(const Operand&, Value* start, int count, const Range& k, Value* to);
  void pack_panel_along_k(const Operand&, Value* column, int count, const Range& k, Value* to);
  void transpose_block(Values block, Value* to);

  bool packs_by_chunk() const { return packed_k_ < products_; }
  std::int64_t last_columns() const { return N_ - (panels_ - 1) * nr_; }  ///< of the last panel
  std::int64_t group_columns() const { return schedule_.split_n ? nr_ : group_ * nr_; }
  Value* strip_start(Value* strip);
  Value* scratch_at(std::int64_t bytes) { return b_.CreateGEP(b_.getInt8Ty(), scratch_, i64(bytes)); }

  const KernelStage& stage_;
  const Roles& roles_;
  const RoleAxes axes_;  // the innermost of m, n and k
  const CpuSchedule& schedule_;
  DType dtype_;
  const bool chunked_;  // an axis counts chunks
  std::int64_t B_;      // with those of the chunks, outermost
  std::int64_t M_, N_, K_;
  std::int64_t products_;  // of a sum, at most
  int lanes_of_register_, nr_, tile_lanes_;
  // Rows are those of the innermost axis of m, run after run of it; a strip lies within a run. Of each run the first
  // short_strips_ have rows_ - 1 rows, the others rows_.
  std::int64_t strips_, strips_of_run_, short_strips_, panels_;
  int rows_;
  std::int64_t block_, group_;  // inner pieces packed at once; inner pieces of one tile
  std::int64_t k_block_;        // products of one microkernel call; divides kContractChunk when there are chunks
  std::int64_t packed_k_;       // products packed at once: all, or a chunk of a long sum
  std::int64_t tile_row_;       // elements from one row of the tile to the next
  Operand lhs_, rhs_;
  std::int64_t scratch_bytes_ = 0, tile_offset_ = 0, total_offset_ = 0, block_copy_ = 0, work_offset_ = 0;
  bool k_runs_;   // an operand is in_runs
  Value* batch_ = nullptr;
  Range sum_{};  // the products of the batch
  bool in_runs_;  // the microkernel asks for the epilogue's memory between runs of products
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
  llvm::Function* epilogue_ = nullptr;
};

}  // namespace weft::codegen

// Private to codegen/: emits one phase of a kernel as one LLVM function.
//
// A value is a scalar, or a vector of `lanes_.width` neighbours along `lanes_.axis` of which the first `lanes_.active`
// exist. Each expression is emitted once, at the outermost loop level where all it depends on is known: levels_[0] is
// the function, deeper levels are the loops and stages that are open. A level that has an inner one open emits before
// the branch into it (Level::hoist), which dominates everything later at that level.
//
// Where lanes run along rows, the stages may run several rows side by side (emit_rows.cpp): code of one row follows
// that of another in the same loops, and what differs between rows is remembered for each.
#pragma once
#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/Module.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "codegen/cpu/analysis.h"
#include "codegen/cpu/row_pipeline.h"
#include "ir/base/target.h"
#include "ir/artifact/host_artifact.h"
#include "ir/kernel/kernel.h"

namespace weft::codegen {

using llvm::Value;
using Values = llvm::SmallVector<Value*, 4>;
using Builder = llvm::IRBuilder<>;

/// A UnitSplit of the values of `axis`; kNone: any unit may take any value.
struct AxisSplit {
  AxisId axis = kNone;
  std::int64_t units = 1, values = 1, fewer = 0;
  double last = 1;
};

/// What the runtime must know of an emitted function.
struct PhaseCode {
  std::string symbol;
  std::int64_t units = 0;
  std::int64_t scratch_bytes = 0;
  double cost = 0;
  AxisSplit split = {};
};

struct Lanes {
  AxisId axis = kNone;
  int width = 1;
  int active = 1;
  bool full() const { return active == width; }
};

/// Lanes of the widest loop: four registers of the smallest elements.
inline constexpr int kMostLanes = 4 * 64;

/// The attribute of a function that says how wide its registers are; emit_math.cpp reads it.
inline constexpr const char* kRegisterBits = "prefer-vector-width";

// emit_math.cpp: elementwise ops on scalars or equal vectors; the numerics contract in LLVM terms.
llvm::Type* register_type(Builder&, DType);  ///< i1 for bool
llvm::Type* memory_type(Builder&, DType);    ///< i8 for bool
Value* emit_constant(Builder&, DType, std::uint64_t bits);
/// `op` of args, whose dtype is `from` (the last operand's for select); the result's is `to`.
Value* emit_op(Builder&, Op op, DType from, DType to, llvm::ArrayRef<Value*> args);
Value* emit_splat(Builder&, Value* scalar, int width);  ///< the scalar itself where width is 1
/// A constant that LLVM cannot see through: it would fold x * 1, x + -0 and the like to x, and arithmetic on constants
/// to a subnormal, where the machine flushes.
Value* emit_opaque(Builder&, llvm::Constant*);
/// acc = a * b + acc: fused for floats, wrapping for integers.
Value* emit_multiply_add(Builder&, DType, Value* a, Value* b, Value* acc);

/// What an empty reduction gives: 0, 1, the smallest value, the largest value (emit_reduce.cpp).
llvm::Constant* identity_of(Builder&, Op reduce, DType, FoldOrder = FoldOrder::sequential);

class PhaseEmitter {
 public:
  PhaseEmitter(llvm::Module&, const Program&, const Kernel&, const PhaseInfo&, const CpuTarget&);
  /// Emits the function `symbol` for a phase whose points run one by one or along lanes.
  PhaseCode emit_points(const std::string& symbol);
  std::int64_t values_inside(AxisId first) const;
  AxisSplit split_of(const std::vector<AxisId>& outer, AxisId inner, std::int64_t units, std::int64_t block) const;

 protected:
  // -- the function and its loops (emit_loops.cpp)
  void open_function(const std::string& symbol);
  void close_function();
  /// carried = body(i, carried) for i = begin; i < end; i += step. Opens a level. Constant bounds cost no test.
  Values loop(const char* name, Value* begin, Value* end, std::int64_t step, Values init,
              llvm::function_ref<Values(Value*, const Values&)> body);
  void for_each(const char* name, Value* begin, Value* end, std::int64_t step, llvm::function_ref<void(Value*)> body);
  /// condition ? body(init) : init. Opens a level.
  Values when(Value* condition, Values init, llvm::function_ref<Values(const Values&)> body);
  void when(Value* condition, llvm::function_ref<void()> body);
  /// Runs body(axis bound to a vector of lanes) for axis = 0 … extent-1: whole vectors, then a partial one.
  Values for_lanes(AxisId axis, int width, Value* begin, Value* end, Values init,
                   llvm::function_ref<Values(const Values&)> body);
  void for_lanes(AxisId axis, int width, Value* begin, Value* end, llvm::function_ref<void()> body);
  void bind(AxisId axis, Value* coordinate);  ///< at the current level
  void stages(std::size_t first);             ///< runs the stages from `first` on, for the bound point
  /// Runs body(block) for every unit of the call: `outer` axes bound, then one of `blocks`.
  /// With `side_by_side` > 1, and blocks == 1, the units of a call run in groups of as many rows; the rest one by one.
  void for_units(const std::vector<AxisId>& outer, std::int64_t blocks, std::size_t side_by_side,
                 llvm::function_ref<void(Value*)> body);
  Values unit_at(Value* index, const std::vector<std::int64_t>& radix);
  Values next_unit(const Values& at, const std::vector<std::int64_t>& radix);
  int point_lanes() const;  ///< lanes along the innermost parallel axis
  bool loads_neighbours() const;
  bool walks_panels(AxisId) const;
  std::size_t column_folds() const;  // emit_columns.cpp
  PhaseCode emit_columns(const std::string& symbol, std::size_t folds, double cost);
  /// A row of at most one vector needs no loop: its axis is bound at the point's level, so that stages share its
  /// values.
  bool in_one_vector(AxisId axis) const { return row_lanes_ > 1 && extent(axis) > 0 && extent(axis) <= row_lanes_; }
  void as_one_vector(AxisId axis, llvm::function_ref<void()> body);

  void count_in_chunks();  ///< begin_ and end_ of chunks become those of points

  // -- rows side by side (emit_rows.cpp)
  std::size_t rows_at_once(AxisId along, double row_cycles) const;
  std::vector<ExprId> streamed_loads(AxisId along) const;
  void prefetch_next_row();  ///< at one step of the loop along a row, for the row being emitted
  void prefetch(ExprId load, std::int64_t ahead);
  void bind_rows(const std::vector<AxisId>& axes, std::vector<Values> at);  ///< at the current level
  void select_row(std::size_t row);
  void for_rows(llvm::function_ref<void()> body);  ///< runs body for each row of the group
  bool differs_by_row(ExprId) const;
  /// Where a value is remembered at its level.
  ExprId memo_key(ExprId e) const {
    return differs_by_row(e) ? e + static_cast<ExprId>(row_ * kernel_.exprs.size()) : e;
  }
  Value*& accumulator(std::int32_t result) { return rows_[row_].accumulators[result]; }

  // -- rows in a pipeline (emit_pipeline.cpp)
  std::vector<PipelineStep> pipeline(AxisId along) const;
  struct StepOfRow {
    std::size_t step, row;
  };
  void for_units_in_pipeline(const std::vector<AxisId>& outer, const std::vector<PipelineStep>&, std::size_t walks);
  Values walk(const std::vector<PipelineStep>&, const std::vector<StepOfRow>&);
  /// Emits a store: at once, or in a pipeline's walk after all that the step loads and computes.
  void last_of_walk(std::function<void()> store) {
    if (in_walk_)
      deferred_.push_back(std::move(store));
    else
      store();
  }
  llvm::Constant* nothing(std::int32_t result);  ///< in place of an accumulator that is not known yet

  // -- stages
  void run_map(std::size_t stage);
  void store_values(std::size_t stage);  ///< those of a map, at the bound point
  void run_scatter(std::size_t stage);
  void add_along_row(std::size_t stage);  ///< a scatter's sum, at the bound vector of neighbours
  void end_run(std::size_t stage);        ///< of a scatter that adds up runs, where the bound point begins another one
  void run_reduce(std::size_t stage);     // emit_reduce.cpp
  Value* fold(const KernelStage&, Value* acc, Value* x);
  Value* fold_lanes(const KernelStage&, Value* acc);  ///< those that exist, of the bound vector
  using RangeFn = llvm::function_ref<Values(Value* begin, Value* end)>;
  using CombineFn = llvm::function_ref<Value*(std::size_t i, Value* earlier, Value* later)>;  ///< value i of several
  using RunFn = llvm::function_ref<Values(Value* begin, Value* end, const Values& start)>;
  using StageFn = llvm::function_ref<const KernelStage&(std::size_t i)>;  ///< which folds value i of several
  /// Folds [begin, end), a range of n elements at most, run by run, and what they give in order. A fold that is the
  /// same however it is cut goes on from run to run.
  Values fold_runs(std::int64_t n, std::int64_t run, Value* begin, Value* end, const Values& identity, StageFn, RunFn);
  /// Folds the chunks of [0, n) and combines them by the contract's tree.
  Values fold_tree(std::int64_t n, std::int64_t chunk, RangeFn, CombineFn);
  Value* trailing_ones(Value* number);
  Values striped_chunk(const KernelStage&, Value* begin, Value* end);  ///< one value a row
  Value* halve(const KernelStage&, Value* stripes);
  Value* striped_by_lanes(const KernelStage&, Value* begin, Value* end);
  Value* sequential_chunk(const KernelStage&, Value* begin, Value* end);
  Value* arg_reduce(const KernelStage&);

  // -- expressions (emit_expr.cpp)
  Value* value(ExprId);  ///< scalar or vector, as it varies
  Value* lanes(ExprId);  ///< always a vector when lanes_.width > 1
  int level_of(ExprId) const;
  Value* compute(ExprId);
  Value* evaluate(ExprId);  ///< compute(), without regard to rows that are kept
  const KeptRow* kept(ExprId) const;
  Value* index_value(const Linear&);
  struct Address {
    Value* pointer;               // of lane 0
    std::int64_t step = 0;        // elements from one lane to the next
    Value* lane_index = nullptr;  // elements to add for each lane, i64 vector, on top of `step`; null: none
    bool contiguous() const { return step == 1 && !lane_index; }
    bool uniform() const { return step == 0 && !lane_index; }
  };
  Address address(BufferId, const Linear&);
  Value* lane_pointer(const Address&, DType, int lane);
  Value* load(DType, const Address&, Value* predicate);
  /// Where `inside` (null: everywhere) is true.
  void store(DType, const Address&, Value* v, bool streaming = false, Value* inside = nullptr);
  /// `predicate` (null: true) and whether all checks hold; those that fail where it is true are reported.
  Value* checked(const std::vector<IndexCheck>&, Value* predicate);
  Value* both(Value* a, Value* b);  ///< of conditions, each of one lane or of all; null is true
  Value* of_lane(Value* v, int lane) {
    return v->getType()->isVectorTy() ? b_.CreateExtractElement(v, static_cast<std::uint64_t>(lane)) : v;
  }
  bool passes_caches(const Store&, const Linear&) const;  ///< whole vectors of this store bypass the caches
  Value* read(DType, Value* pointer, int width, Value* mask = nullptr);  ///< contiguous, register form
  void write(DType, Value* pointer, Value* v, Value* mask = nullptr);
  void write_streaming(DType, Value* pointer, Value* v);
  Value* active_mask() const;           ///< null when all lanes exist
  bool has_masked_access(DType) const;  ///< the target loads and stores part of a vector; else it is done in pieces
  void for_pieces(llvm::function_ref<void(int first, int count)> body) const;  ///< the active lanes in powers of two
  Value* insert_lanes(Value* v, Value* piece, int first);
  Value* buffer(BufferId);
  Value* zeros();  ///< address of zero bytes, for loads whose predicate is false

  // -- small helpers
  Value* i64(std::int64_t v) { return b_.getInt64(static_cast<std::uint64_t>(v)); }
  Value* minimum(Value* x, Value* y) { return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x, y); }
  std::int64_t extent(AxisId a) const { return a == kNone ? 1 : info_.extent[static_cast<std::size_t>(a)]; }
  const Expr& expr(ExprId e) const { return kernel_.exprs[static_cast<std::size_t>(e)]; }
  const KernelStage& stage(std::size_t i) const { return info_.phase.stages[i]; }
  Value* offset_elements(DType, Value* pointer, Value* elements);

  struct Level {
    llvm::Instruction* hoist = nullptr;               // the branch into the inner level, while one is open
    llvm::DenseMap<ExprId, Value*> scalars, vectors;  // by memo_key()
  };
  struct Row {
    Values at;              // coordinates along row_axes_
    Value* kept = nullptr;  // offset in scratch space of the rows of values that it keeps
    llvm::DenseMap<std::int32_t, Value*> accumulators{};
  };
  /// Moves the builder to where code of `level` belongs, for the life of the object.
  class AtLevel {
   public:
    AtLevel(PhaseEmitter& e, int level);

   private:
    // None where emission stays where it is: it may go on in another block (EmitMachine::rarely).
    std::optional<llvm::IRBuilderBase::InsertPointGuard> guard_;
  };
  int depth() const { return static_cast<int>(levels_.size()) - 1; }
  void push_level() { levels_.emplace_back(); }
  void pop_level();

  llvm::Module& module_;
  Builder b_;
  const Program& program_;
  const Kernel& kernel_;
  const PhaseInfo& info_;
  const CpuTarget& target_;

  llvm::Function* function_ = nullptr;
  Value *buffers_ = nullptr, *begin_ = nullptr, *end_ = nullptr, *scratch_ = nullptr;
  Value* fault_ = nullptr;  // of a kernel with indices to check: the IndexFault
  std::vector<Level> levels_;
  int first_level_ = 0;             // nothing moves out of it
  std::vector<Value*> coordinate_;  // of each axis: its value, or that of lane 0
  std::vector<int> axis_level_;     // level at which it was bound, -1: unbound
  llvm::DenseMap<BufferId, Value*> base_;
  std::vector<AxisId> row_axes_;
  std::vector<Row> rows_ = std::vector<Row>(1);  // side by side
  bool in_walk_ = false;                         // one step of a pipeline's walk is being emitted
  std::vector<std::function<void()>> deferred_;  // its stores
  std::vector<ExprId> streamed_;                 // loads of groups that are prefetched
  std::size_t row_ = 0;                          // the one that is being emitted
  Lanes lanes_;
  bool streams_ = false;         // some store bypasses the caches
  std::vector<KeptRow> kept_;    // rows of values in scratch space, when points are single rows
  std::int64_t kept_bytes_ = 0;  // for each of the rows side by side
  std::size_t stage_ = 0;        // the one that is being emitted
  int row_lanes_ = 1;            // lanes of map and striped reduce stages when points are single rows
  int point_level_ = 0;          // where accumulators become known
  int stage_level_ = 0;          // where loads of what the phase stores are pinned
};

}  // namespace weft::codegen

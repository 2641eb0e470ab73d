// The kernel IR: what a fused group becomes. Scalar expressions over named axes, loads and stores with affine indices,
// and phases separated by barriers. A schedule says how it runs; the same kernel runs on CPU threads, on the emulator
// and on a GPU.
//
// Meaning of a phase: for every point of its parallel axes (in any order, on any thread), run its stages in order.
//   map       for every value of `axis` (or once, when axis is kNone): evaluate all stored values, then write them
//   reduce    fold `value` over `axis` into accumulator `result`, in the contract's order (FoldOrder)
//   contract  result = sum over the axes k of lhs * rhs, which count as one, the first outermost: one fma chain for
//             each kContractChunk products, chunks added in order; or the chain of one chunk, where an axis says which
//   scatter   for every value of `axis`, in order: buffer[access] += value where `predicate` holds
// In a phase with a chunk, the scatters of each `chunk` consecutive points (the last axis counts fastest) run in the
// order of the points, so that they may add up what the points have in common, which no other stage uses. Such a
// scatter may add up runs (ir/ops/sum_order.h): before the points whose number in their chunk is a multiple of kRun, it
// adds the elements of its first buffer to those of its second one and sets them to 0. The sum of the two is then a
// chunk of a reduction.
//
// Expressions are pure; one that a stage uses is evaluated afresh in that stage. Accumulators are visible to later
// stages of the same point. Nothing that a phase stores may be loaded in the same phase, except at the very index
// stored (in-place update), or by a later stage of the same point.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <weft/ir/base/loc.h>
#include <weft/ir/kernel/schedule.h>
#include <weft/ir/memory/buffer.h>
#include <weft/ir/ops/index.h>
#include <weft/ir/ops/op.h>
#include <weft/ir/ops/sum_order.h>

namespace weft {

struct Axis {
  std::string name;
  std::int64_t extent = 0;
  friend bool operator==(const Axis&, const Axis&) = default;
};

struct Expr {
  enum Kind : std::uint8_t {
    constant,  // `bits`, the value in its dtype (low bytes)
    index,     // the i64 value of `access[0]`
    load,      // buffer[access]; args = {} or {predicate: bool}: 0 where it is false, and memory is not touched there
    apply,     // `op` of args: any elementwise op, or random of (key, step, index: i64)
    accumulator,  // the result of the stage whose `result` is `result`
  } kind = constant;
  DType dtype = f32;
  Op op = Op::constant;
  std::vector<ExprId> args;
  std::uint64_t bits = 0;
  BufferId buffer = kNone;
  std::vector<Index> access;  // one Index a dimension of the buffer
  std::int32_t result = kNone;
  friend bool operator==(const Expr&, const Expr&) = default;
};

struct Store {
  BufferId buffer = kNone;
  std::vector<Index> access;
  ExprId value = kNone;
  friend bool operator==(const Store&, const Store&) = default;
};

/// What the axes of a contraction are to its factors: result[b, m, n] = sum over k of lhs[b, m, k] * rhs[b, k, n]. Each
/// role has any number of axes, outermost first; b, m and n are parallel.
struct Roles {
  std::vector<AxisId> b, m, n, k;
  friend bool operator==(const Roles&, const Roles&) = default;
};

/// (Not `Stage`: that is the name of the frontend's dump stages.)
struct KernelStage {
  enum Kind : std::uint8_t { map, reduce, contract, scatter } kind = map;
  AxisId axis = kNone;  // map, reduce, scatter
  // map, scatter (one store; a second one, with the same access and value, to add runs to)
  std::vector<Store> stores;
  ExprId predicate = kNone;  // scatter: bool
  // reduce, contract
  std::int32_t result = kNone;  // accumulator number, unique in the kernel
  Op op = Op::reduce_sum;       // reduce: reduce_* or arg_*
  FoldOrder order = FoldOrder::sequential;  // reduce
  ExprId value = kNone;                     // reduce
  ExprId lhs = kNone, rhs = kNone;          // contract
  Roles roles;                              // contract
  AxisId chunk_axis = kNone;                // contract: parallel; says which chunk of products is summed; kNone: all
  friend bool operator==(const KernelStage&, const KernelStage&) = default;
};

/// The axis of each role where no role has several; kNone: it has none.
struct RoleAxes {
  AxisId b = kNone, m = kNone, n = kNone, k = kNone;
};
constexpr AxisId only_axis(const std::vector<AxisId>& axes) { return axes.size() == 1 ? axes[0] : kNone; }
constexpr RoleAxes role_axes(const Roles& r) {
  return {only_axis(r.b), only_axis(r.m), only_axis(r.n), only_axis(r.k)};
}
/// The axis that a stage walks along; kNone: none, or the several ones of a contraction.
constexpr AxisId axis_of(const KernelStage& s) {
  return s.kind == KernelStage::contract ? only_axis(s.roles.k) : s.axis;
}

/// Where a reduce stage over n elements is cut.
constexpr ReduceOrder reduce_order(const KernelStage& s, std::int64_t n) {
  return reduce_order(s.order, n);
}

struct Phase {
  std::vector<AxisId> parallel;  // outermost first
  std::vector<KernelStage> stages;
  std::int64_t chunk = 0;  // 0: points run in any order
  friend bool operator==(const Phase&, const Phase&) = default;
};

struct Kernel {
  std::string name;
  std::vector<Axis> axes;
  /// As many of the axes, the first ones, count the turns of the loops around it, the outermost first. They have one
  /// value while it runs: no phase or stage walks along them.
  int turns = 0;
  std::vector<Expr> exprs;  // args precede users; equal expressions are one
  std::vector<Phase> phases;
  Schedule schedule;
  LocSet locs;
};

/// The contraction that a kernel begins with, or null.
inline const KernelStage* leading_contraction(const Kernel& k) {
  const bool begins = !k.phases.empty() && !k.phases[0].stages.empty();
  return begins && k.phases[0].stages[0].kind == KernelStage::contract ? &k.phases[0].stages[0] : nullptr;
}
/// Its axes; none where there is none.
inline RoleAxes role_axes(const Kernel& k) {
  const KernelStage* contraction = leading_contraction(k);
  return contraction ? role_axes(contraction->roles) : RoleAxes{};
}

/// The product of the axes' extents.
inline std::int64_t extent_of(const Kernel& k, const std::vector<AxisId>& axes) {
  std::int64_t n = 1;
  for (const AxisId a : axes) n *= k.axes[static_cast<std::size_t>(a)].extent;
  return n;
}
/// The axis that lanes, or neighbouring threads, run along.
inline AxisId lane_axis(const Kernel& k) {
  if (const auto* cpu = std::get_if<CpuSchedule>(&k.schedule)) return cpu->vector_axis;
  const auto* gpu = std::get_if<GpuSchedule>(&k.schedule);
  return gpu ? gpu->thread_axis : kNone;
}
/// The tile that a kernel's contraction has on a CPU, or a GPU; null: none.
inline const CpuSchedule* cpu_tile(const Kernel& k) {
  const auto* s = std::get_if<CpuSchedule>(&k.schedule);
  return s && s->mr > 0 && s->nr > 0 ? s : nullptr;
}
inline const GpuSchedule* gpu_tile(const Kernel& k) {
  const auto* s = std::get_if<GpuSchedule>(&k.schedule);
  return s && s->has_tile() ? s : nullptr;
}

/// Kernels [begin, end) of a program, which run in order `turns` times.
struct Loop {
  std::size_t begin = 0, end = 0;
  std::int64_t turns = 0;
  bool holds(std::size_t kernel) const { return begin <= kernel && kernel < end; }
  friend bool operator==(const Loop&, const Loop&) = default;
};

/// A lowered graph: kernels in order; a kernel may read whatever an earlier one stored, or one of an earlier turn.
struct Program : BufferTable {
  std::vector<Kernel> kernels;
  std::vector<Loop> loops;  ///< disjoint or one in the other; sorted by where they begin, an outer one before an inner one
  /// Code checks, as it runs, the indices that verify() cannot prove to be in bounds (ir/kernel/unproven.h). Lowering
  /// makes none that could leave their buffers; parse_program sets it.
  bool check_indices = false;
};

std::string print(const Program&, bool locs = false);
Program parse_program(std::string_view text,
                      const std::string& file = "<text>");  ///< throws Error "file:line:col: error: …"
void verify(const Program&);  ///< throws InternalError naming the kernel and the broken invariant (listed in
                              ///< ir/kernel/verify_kernel.cpp)

/// Runs a program naively, one point at a time: the oracle between lowering and code generation.
/// `inputs` as for interpret(); returns outputs and the updated states in the same order.
struct Evaluation;
Evaluation interpret(const Program&, std::span<const Array> inputs);

}  // namespace weft

// Programs built by hand, and a minimal runtime that runs an image on one thread with its units cut anywhere.
#pragma once
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "codegen/codegen.h"
#include "codegen/device.h"
#include "ir/graph/graph.h"
#include "ir/kernel/kernel.h"

namespace weft {

/// A program under construction. Buffers of a kind are inputs, outputs, states in the order in which they are added.
class ProgramBuilder {
 public:
  ProgramBuilder() { p_.name = "test"; }
  BufferId buffer(Buffer::Kind kind, DType t, const Shape& shape);
  BufferId input(DType t, const Shape& shape) { return buffer(Buffer::input, t, shape); }
  BufferId output(DType t, const Shape& shape) { return buffer(Buffer::output, t, shape); }
  BufferId state(DType t, const Shape& shape) { return buffer(Buffer::state, t, shape); }
  BufferId temp(DType t, const Shape& shape) { return buffer(Buffer::temp, t, shape); }
  void set_panels(BufferId b, std::int64_t width) { p_.buffers[static_cast<std::size_t>(b)].panels = width; }
  Kernel& kernel() { return p_.kernels.emplace_back(Kernel{.name = "k" + std::to_string(p_.kernels.size())}); }
  const Program& program() const { return p_; }
  std::shared_ptr<const Program> finish() const { return std::make_shared<Program>(p_); }

 private:
  Program p_;
};

/// Adds axes, expressions and stages to a kernel; equal expressions are one.
class HandBuilder {
 public:
  HandBuilder(const Program& p, Kernel& k) : p_(p), k_(k) {}
  AxisId axis(const std::string& name, std::int64_t extent);
  ExprId constant(DType t, double v);
  ExprId index(const Index& i) { return add({.kind = Expr::index, .dtype = i64, .access = {i}}); }
  ExprId load(BufferId b, std::vector<Index> access, ExprId predicate = kNone);
  ExprId op(Op o, DType t, std::vector<ExprId> args) {
    return add({.kind = Expr::apply, .dtype = t, .op = o, .args = std::move(args)});
  }
  ExprId accumulator(std::int32_t result, DType t) {
    return add({.kind = Expr::accumulator, .dtype = t, .result = result});
  }
  Phase& phase(std::vector<AxisId> parallel) { return k_.phases.emplace_back(Phase{std::move(parallel), {}}); }
  CpuSchedule& schedule() {  ///< a CPU's, from the first call on
    if (!std::holds_alternative<CpuSchedule>(k_.schedule)) k_.schedule = CpuSchedule{};
    return std::get<CpuSchedule>(k_.schedule);
  }

 private:
  ExprId add(Expr e);
  const Program& p_;
  Kernel& k_;
};

/// The index 1 * axis, or offset + coefficient * axis.
inline Index at(AxisId axis, std::int64_t coefficient = 1, std::int64_t offset = 0) {
  return {{{axis, coefficient}}, offset, kNone};
}
KernelStage map_stage(std::vector<Store> stores, AxisId axis = kNone);
KernelStage reduce_stage(std::int32_t result, Op op, AxisId axis, ExprId value, bool striped);

/// Values of `t`: random, with a share of the awkward ones (zeros, infinities, NaN, subnormals, extremes) when `edges`.
Array random_array(const Type& t, std::uint32_t seed, bool edges = true);
std::vector<Array> random_inputs(const Program& p, std::uint32_t seed, bool edges = true);

/// Runs every phase in pieces: cuts(units) gives the ends of consecutive ranges.
using Cuts = std::function<std::vector<std::int64_t>(std::int64_t)>;
Evaluation run_image(const Image&, std::span<const Array> inputs, const Cuts& cuts = {});

/// Targets that this machine can run, the host's own first.
const std::vector<CpuTarget>& runnable_targets();

/// This machine in the part of each cpu that LLVM knows and it can run (target_for), in the order of their names.
const std::vector<CpuTarget>& played_cpus();

/// The first difference between two evaluations, or "" when all outputs and states have the same bits.
std::string difference(const Evaluation& found, const Evaluation& expected);
/// Compiles for each target, runs whole and in pieces, and on a device, and compares with the interpreter. "" or what
/// differs.
std::string check(const Program&, std::span<const CpuTarget> targets = runnable_targets());
/// The same for one of the runnable targets, another one at each call.
std::string check_next_target(const std::function<Program(const CpuTarget&)>& make);

}  // namespace weft

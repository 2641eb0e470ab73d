// The driver: one function from its graph (or from text at a later stage) to what runs it. Executables, the command
// line, the tuner and the benchmarks compile by it, so that the recipe stands here alone.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>

#include <weft/compiler/placement.h>
#include <weft/compiler/stage.h>
#include <weft/passes/pipeline.h>

namespace weft {

/// What code is made for.
struct Machine {
  enum Kind : std::uint8_t { cpu, gpu } kind = cpu;  // whose schedules `kernels` have
  CpuTarget host = {};                               // for llvm and asm
  GpuTarget device = {};                             // for device and ptx

  Target target() const { return kind == cpu ? Target(host) : Target(device); }
};
/// What code at a place is made for: this machine's CPU, or as that of Placement::cpu; with a device's backend, kernels
/// are a GPU's. Throws Error as target_for() does, and for a cpu at a place where no CPU's code runs.
Machine machine_of(const Placement& = {});

/// A function at every stage of its compilation. A stage is made when it is first asked for, from the one before it,
/// and kept. Not thread-safe.
class Compilation {
 public:
  /// `options`: of the passes; what they point to outlives the compilation. A graph that is fused already is taken as
  /// optimised; its kernels are made anew, since a text may say of them what lowering cannot do.
  explicit Compilation(Graph graph, Machine machine = machine_of(), PipelineOptions options = {});
  /// Begins at the kernels of a program that is legal (parse_program, make_program). Temps that lie nowhere are placed;
  /// kernels without a schedule of the machine that code is made for get one on the way.
  explicit Compilation(Program program, Machine machine = machine_of());

  bool has_graph() const { return graph_.has_value(); }  ///< it began at a graph
  /// Error when it did not; optimized(): or when the graph has an unbound extent.
  const Graph& graph() const;
  const Graph& optimized();
  /// Scheduled for its machine; one that it began at as it was given.
  std::shared_ptr<const Program> program() { return given_ ? given_ : program_for(machine_.kind); }
  /// Any stage as text; code for another kind of machine begins at kernels scheduled for that.
  std::string text(Stage, bool locs = false);

  /// Machine code for the CPU of its machine.
  Image image();
  /// The function on the machine of `place`, ready to be bound and run. Error when that is a device that is not there,
  /// or when memory cannot be had.
  std::unique_ptr<ProgramExecutor> executor(const Placement& place);

 private:
  std::shared_ptr<const Program> program_for(Machine::Kind);

  Machine machine_;
  PipelineOptions options_;
  std::optional<Graph> graph_, optimized_;
  std::shared_ptr<const Program> given_;
  std::array<std::shared_ptr<const Program>, 2> programs_;  // by Machine::Kind
};

}  // namespace weft

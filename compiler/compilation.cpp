// Optimise, lower and schedule, generate, run.
#include "compiler/compilation.h"

#include "codegen/codegen.h"
#include "codegen/device.h"
#include "compiler/interpreter_executor.h"
#include "ir/artifact/print_artifact.h"
#include "passes/graph/fuse.h"
#include "passes/kernel/memory.h"
#include "passes/kernel/unroll.h"
#include "passes/schedule/schedule.h"

namespace weft {
namespace {

/// The graph with kernels of its own making.
Graph fused(const Graph& g, const PipelineOptions& options) {
  if (g.groups().empty()) return optimize(g, options);
  Graph fused = without_groups(g);
  for (const PassInfo& pass : passes())
    if (pass.required && pass.is_of_graphs()) fused = run_pass(pass.name, fused, options);
  return fused;
}

}  // namespace

Machine machine_of(const Placement& place) {
  if (!place.cpu.empty() && place.backend != Backend::cpu)
    fail("cpu '{}' is given for code of a CPU, and the backend is {}", place.cpu, name(place.backend));
  Machine m{is_device(place.backend) ? Machine::gpu : Machine::cpu, target_for(place.cpu, host_target()), {}};
  m.device.numerics = place.numerics;
  return m;
}

Compilation::Compilation(Graph graph, Machine machine, PipelineOptions options)
    : machine_(std::move(machine)), options_(std::move(options)), graph_(std::move(graph)) {}

Compilation::Compilation(Program program, Machine machine) : machine_(std::move(machine)) {
  unroll_loops(program);
  if (program.arena_bytes == 0) plan_memory(program);  // one written by hand need not say where temps lie
  given_ = std::make_shared<const Program>(std::move(program));
}

const Graph& Compilation::graph() const {
  if (!graph_) fail("the input is a program of kernels, which is past the graph");
  return *graph_;
}

const Graph& Compilation::optimized() {
  if (!optimized_) optimized_ = fused(graph(), options_);
  return *optimized_;
}

std::shared_ptr<const Program> Compilation::program_for(Machine::Kind kind) {
  std::shared_ptr<const Program>& program = programs_[kind];
  if (program) return program;
  const Target target = Machine{kind, machine_.host, machine_.device}.target();
  Program made = given_ ? *given_ : make_program(optimized(), target, options_);
  if (given_) complete_schedules(made, target);
  return program = std::make_shared<const Program>(std::move(made));
}

std::string Compilation::text(Stage stage, bool locs) {
  if (stage == Stage::graph) return print(graph(), {.locs = locs});
  if (stage == Stage::optimized) return print(optimized(), {.locs = locs});
  if (stage == Stage::kernels) return print(*program(), locs);
  if (stage == Stage::llvm) return emit_llvm(*program_for(Machine::cpu), machine_.host);
  if (stage == Stage::assembly) return emit_asm(*program_for(Machine::cpu), machine_.host);
  if (stage == Stage::artifact)
    return machine_.kind == Machine::cpu
               ? print(artifact())
               : print(compile_device(*program(), machine_.device, {.ptx = true, .persistent = true}));
  const std::vector<simt::Function> functions = device_functions(*program_for(Machine::gpu), machine_.device);
  return stage == Stage::ptx ? emit_ptx(functions, machine_.device).text : simt::print(functions);
}

HostArtifact Compilation::artifact() { return compile(*program_for(Machine::cpu), machine_.host); }

std::unique_ptr<ProgramExecutor> Compilation::executor(const Placement& place) {
  if (place.backend == Backend::interpreter) return std::make_unique<InterpreterExecutor>(graph());
  if (place.backend == Backend::cpu) return std::make_unique<Executor>(artifact(), team_of(place));
  if (const GpuTarget target = gpu_target_of(place); !(target == machine_.device)) {
    machine_.device = target;
    programs_[Machine::gpu].reset();
  }
  return device_executor(*program_for(Machine::gpu), place);
}

}  // namespace weft

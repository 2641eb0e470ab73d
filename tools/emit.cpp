// Prints graphs and programs at the stages of compilation.
#include "tools/emit.h"

#include <algorithm>

#include "codegen/codegen.h"
#include "codegen/device.h"
#include "passes/fuse.h"
#include "tools/io.h"

namespace weft::tools {
namespace {

constexpr std::string_view kStages[] = {"graph", "optimized", "kernels", "llvm", "asm", "device", "ptx", "dot"};
constexpr const char* kStageNames = "graph, optimized, kernels, llvm, asm, device, ptx or dot";

/// Kernels, LLVM IR and assembly carry a CPU's schedules; device code and PTX a GPU's; the others are of no machine.
bool for_cpu(std::string_view stage) { return stage == "kernels" || stage == "llvm" || stage == "asm"; }
bool for_gpu(std::string_view stage) { return stage == "device" || stage == "ptx"; }

}  // namespace

void EmitOptions::add_to(CLI::App& command) {
  command.add_option("--emit", emit, kStageNames)->capture_default_str();
  command
      .add_option("--target", target, "cpu (this machine), an LLVM cpu name such as znver4, or a GPU such as sm_90a")
      ->capture_default_str();
  command.add_option("--numerics", numerics, "exact, fast or bf16: which rewrite rules and matrix units may be used")
      ->capture_default_str();
  command.add_flag("--locs", locs, "say after each value which source lines it came from");
  command.add_option("-o,--output", output, "the file to write (default: stdout)");
}

bool EmitOptions::names_gpu() const { return target.starts_with("sm_"); }

Target EmitOptions::machine() const {
  if (names_gpu() || for_gpu(emit)) return {};  // what a device runs does not depend on this machine
  return target == "cpu" ? host_target() : target_for(target);
}

GpuTarget EmitOptions::gpu() const {
  GpuTarget gpu = names_gpu() ? gpu_target(target) : GpuTarget{};
  gpu.numerics = parse_numerics(numerics);
  return gpu;
}

void EmitOptions::check() const {
  if (std::ranges::find(kStages, emit) == std::end(kStages)) fail("--emit: expected {}, found '{}'", kStageNames, emit);
  if (names_gpu() && for_cpu(emit)) fail("--emit {} is for a CPU, and --target {} is a GPU", emit, target);
  if (!names_gpu() && for_gpu(emit) && target != "cpu")
    fail("--emit {} is for a GPU, such as --target sm_90a; found '{}'", emit, target);
  gpu();
  machine();
}

Graph fused(const Graph& g, const PipelineOptions& options) {
  for (const Input& in : g.inputs())
    if (const Type& type = g[in.id].type; !is_static(type.shape))
      fail("input '{}' is {}: its batch extent must be bound before compiling (--batch N)", in.name, to_string(type));
  if (g.groups().empty()) return optimize(g, options);
  Graph fused = without_groups(g);
  for (const PassInfo& pass : passes())
    if (pass.required) fused = run_pass(pass.name, fused, options);
  return fused;
}

std::string emit(const Graph& g, const EmitOptions& o, const PipelineOptions& options) {
  if (o.emit == "graph") return print(g, {.locs = o.locs});
  const Graph optimized = fused(g, options);
  if (o.emit == "optimized") return print(optimized, {.locs = o.locs});
  if (o.emit == "dot") return to_dot(optimized);
  PipelineOptions for_machine = options;
  for_machine.for_cpu = for_cpu(o.emit);
  return emit(make_program(optimized, o.machine(), for_machine), o);
}

std::string emit(const Program& p, const EmitOptions& o) {
  if (o.emit == "kernels") return print(p, o.locs);
  if (o.emit == "llvm") return emit_llvm(p, o.machine());
  if (o.emit == "asm") return emit_asm(p, o.machine());
  if (o.emit == "device") return simt::print(device_functions(p, o.gpu()));
  if (o.emit == "ptx") return emit_ptx(device_functions(p, o.gpu()), o.gpu()).text;
  fail(
      "--emit {}: the input is a program of kernels, which is past that stage; it can be emitted as kernels, llvm, "
      "asm, device or ptx",
      o.emit);
}

bool is_program(std::string_view text) {
  // Skips blank lines and comments.
  while (true) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start == text.npos) return false;
    text.remove_prefix(start);
    if (!text.starts_with("//")) return text.starts_with("program");
    text.remove_prefix(std::min(text.find('\n'), text.size()));
  }
}

}  // namespace weft::tools

// Prints graphs and programs at the stages of compilation.
#include "tools/support/emit.h"

#include <algorithm>

#include "codegen/codegen.h"
#include "codegen/device.h"
#include "tools/support/io.h"

namespace weft::tools {
namespace {

constexpr std::string_view kDot = "dot";  // of the optimised graph
std::string emit_names() { return stage_names() + " or " + std::string(kDot); }

/// LLVM IR and assembly are a CPU's, device code and PTX a GPU's, the others any machine's or none's. Kernels are
/// shown with a CPU's schedules.
bool for_cpu(std::string_view emit) {
  const std::optional<Stage> stage = stage_named(emit);
  return stage && (stage == Stage::kernels || is_cpu_code(*stage));
}
bool for_gpu(std::string_view emit) {
  const std::optional<Stage> stage = stage_named(emit);
  return stage && is_gpu_code(*stage);
}

}  // namespace

void EmitOptions::add_to(CLI::App& command) {
  command.add_option("--emit", emit, emit_names())->capture_default_str();
  command
      .add_option("--target", target, "cpu (this machine), an LLVM cpu name such as znver4, or a GPU such as sm_90a")
      ->capture_default_str();
  command.add_option("--cpu", cpu,
                     "the code that other commands run with this --cpu: for an LLVM cpu name, with the caches of this "
                     "machine and, where it can run the code, without what it lacks");
  command.add_option("--numerics", numerics, "exact, fast or bf16: which rewrite rules and matrix units may be used")
      ->capture_default_str();
  command.add_flag("--locs", locs, "say after each value which source lines it came from");
  command.add_option("-o,--output", output, "the file to write (default: stdout)");
}

bool EmitOptions::names_gpu() const { return target.starts_with("sm_"); }

Machine EmitOptions::machine() const {
  Machine m;
  m.kind = names_gpu() || for_gpu(emit) ? Machine::gpu : Machine::cpu;
  // What a device runs does not depend on this machine.
  if (m.kind == Machine::cpu)
    m.host = target == "cpu" ? target_for(cpu, host_target(), /*to_run=*/false) : target_for(target);
  if (names_gpu()) m.device = gpu_target(target);
  m.device.numerics = parse_numerics(numerics);
  return m;
}

void EmitOptions::check() const {
  if (!stage_named(emit) && emit != kDot) fail("--emit: expected {}, found '{}'", emit_names(), emit);
  if (names_gpu() && for_cpu(emit)) fail("--emit {} is for a CPU, and --target {} is a GPU", emit, target);
  if (!names_gpu() && for_gpu(emit) && target != "cpu")
    fail("--emit {} is for a GPU, such as --target sm_90a; found '{}'", emit, target);
  if (!cpu.empty() && target != "cpu") fail("--cpu {} and --target {}: expected one of them", cpu, target);
  if (!cpu.empty() && for_gpu(emit)) fail("--emit {} is for a GPU, and --cpu {} is none", emit, cpu);
  machine();
}

Graph bound(Graph g) {
  for (const Input& in : g.inputs())
    if (const Type& type = g[in.id].type; !is_static(type.shape))
      fail("input '{}' is {}: its unbound extents must be bound before compiling (--batch N, --extent NAME=N)", in.name,
           to_string(type));
  return g;
}

std::string emit(Compilation c, const EmitOptions& o) {
  const std::optional<Stage> stage = stage_named(o.emit);
  if (!c.has_graph() && (!stage || *stage < Stage::kernels))
    fail(
        "--emit {}: the input is a program of kernels, which is past that stage; it can be emitted as kernels, llvm, "
        "asm, device, ptx or artifact",
        o.emit);
  if (stage != Stage::graph && c.has_graph()) (void)bound(c.graph());
  return stage ? c.text(*stage, o.locs) : to_dot(c.optimized());
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

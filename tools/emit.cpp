// Prints graphs and programs at the stages of compilation.
#include "tools/emit.h"

#include <algorithm>

#include "codegen/codegen.h"
#include "tools/io.h"

namespace weft::tools {
namespace {

constexpr std::string_view kStages[] = {"graph", "optimized", "kernels", "llvm", "asm", "ptx", "dot"};

}  // namespace

void EmitOptions::add_to(CLI::App& command) {
  command.add_option("--emit", emit, "graph, optimized, kernels, llvm, asm, ptx or dot")->capture_default_str();
  command
      .add_option("--target", target, "cpu (this machine), an LLVM cpu name such as znver4, or a GPU such as sm_90a")
      ->capture_default_str();
  command.add_flag("--locs", locs, "say after each value which source lines it came from");
  command.add_option("-o,--output", output, "the file to write (default: stdout)");
}

Target EmitOptions::machine() const { return target == "cpu" ? host_target() : target_for(target); }

void EmitOptions::check() const {
  if (std::ranges::find(kStages, emit) == std::end(kStages))
    fail("--emit: expected graph, optimized, kernels, llvm, asm, ptx or dot, found '{}'", emit);
  if (emit == "ptx") not_built_in("--emit ptx");
  if (target.starts_with("sm_")) not_built_in("--target " + target);
  machine();
}

Graph fused(const Graph& g, const PipelineOptions& options) {
  if (!g.groups().empty()) return g;
  for (const Input& in : g.inputs())
    if (const Type& type = g[in.id].type; !is_static(type.shape))
      fail("input '{}' is {}: its batch extent must be bound before compiling (--batch N)", in.name, to_string(type));
  return optimize(g, options);
}

std::string emit(const Graph& g, const EmitOptions& o, const PipelineOptions& options) {
  if (o.emit == "graph") return print(g, {.locs = o.locs});
  const Graph optimized = fused(g, options);
  if (o.emit == "optimized") return print(optimized, {.locs = o.locs});
  if (o.emit == "dot") return to_dot(optimized);
  return emit(make_program(optimized, o.machine(), options), o);
}

std::string emit(const Program& p, const EmitOptions& o) {
  if (o.emit == "kernels") return print(p, o.locs);
  if (o.emit == "llvm") return emit_llvm(p, o.machine());
  if (o.emit == "asm") return emit_asm(p, o.machine());
  fail(
      "--emit {}: the input is a program of kernels, which is past that stage; it can be emitted as kernels, llvm or "
      "asm",
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

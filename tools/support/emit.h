// From a graph, or from text at any stage, to text at a later stage: what `weft dump` and `weft opt` share.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "compiler/compilation.h"

namespace weft::tools {

/// --emit, --target, --cpu, --locs and -o.
struct EmitOptions {
  std::string emit = "optimized", target = "cpu", cpu, numerics = "exact", output;
  bool locs = false;
  void add_to(CLI::App& command);
  /// Throws Error for a stage or target that does not exist, or for one that is not for the other.
  void check() const;
  Machine machine() const;  ///< that --target or --cpu names; a GPU's default where --emit alone names one
  bool names_gpu() const;
};

/// The function at the stage that the options name. Throws Error for a stage before a program of kernels.
std::string emit(Compilation, const EmitOptions&);

/// The graph. Throws Error when an extent is unbound.
Graph bound(Graph);

/// True when the text holds a program (kernels), not a graph.
bool is_program(std::string_view text);

}  // namespace weft::tools

// From a graph, or from text at any stage, to text at a later stage: what `weft dump` and `weft opt` share.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "passes/pipeline.h"

namespace weft::tools {

/// --emit, --target, --locs and -o.
struct EmitOptions {
  std::string emit = "optimized", target = "cpu", numerics = "exact", output;
  bool locs = false;
  void add_to(CLI::App& command);
  /// Throws Error for a stage or target that does not exist, or for one that is not for the other.
  void check() const;
  Target machine() const;  ///< that --target names; a plain CPU where it names a GPU
  GpuTarget gpu() const;   ///< that --target names; sm_90a where it names none
  bool names_gpu() const;
};

/// The graph at the stage that the options name. A graph that is fused already is taken as optimised; its kernels are made
/// anew, since a text may say of them what lowering cannot do.
std::string emit(const Graph&, const EmitOptions&, const PipelineOptions& = {});
/// The same for a program, whose first stage is `kernels`; throws Error for an earlier one.
std::string emit(const Program&, const EmitOptions&);

/// A fused graph ready for lowering: the result of the pipeline, or of the passes that lowering needs when the graph is
/// fused already. Throws Error when an extent is unbound.
Graph fused(const Graph&, const PipelineOptions& = {});

/// True when the text holds a program (kernels), not a graph.
bool is_program(std::string_view text);

}  // namespace weft::tools

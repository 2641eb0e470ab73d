// The pipeline: which passes run, in which order, and the one runner that wraps each of them.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <weft/ir/base/target.h>
#include <weft/ir/graph/graph.h>
#include <weft/ir/kernel/kernel.h>
#include <weft/passes/graph/inline.h>
#include <weft/passes/graph/simplify.h>
#include <weft/passes/graph/stored_values.h>

namespace weft {

#ifdef WEFT_VERIFY_PASSES
inline constexpr bool kVerifyPasses = true;
#else
inline constexpr bool kVerifyPasses = false;
#endif

struct PassTiming {
  std::string name;
  double seconds = 0;
  bool changed = false;
};

/// What a pass left: a graph, or a program of kernels (the other one is null).
struct PassResult {
  std::string_view name;
  const Graph* graph = nullptr;
  const Program* program = nullptr;
  bool changed = false;
  std::string text() const { return graph ? print(*graph) : print(*program); }
};

class ScheduleTable;

struct PipelineOptions {
  Numerics numerics = Numerics::exact;
  bool verify = kVerifyPasses;               ///< verify after every pass (tests and debug builds do)
  std::vector<std::string> disable;          ///< names of passes to skip
  Ledger* ledger = nullptr;                  ///< which rules fired
  const ScheduleTable* schedules = nullptr;  ///< measured schedules, in place of the cost model where they fit
  std::int64_t large_bytes = kLargeBytes;    ///< of values that are computed again rather than stored (large_values)
  std::int64_t loop_turns = kLoopTurns;      ///< of a scan that becomes a loop; a shorter one is what its turns are
  std::vector<std::string> row_major;        ///< names of states that stay in that order, whatever kernels want
  std::vector<PassTiming>* timings = nullptr;
  std::function<void(const PassResult&)> after;  ///< called after every pass
};

using GraphPass = Graph (*)(const Graph&, const PipelineOptions&);
using Lowering = Program (*)(const Graph&, const PipelineOptions&);
using ProgramPass = void (*)(Program&, const Target&, const PipelineOptions&);

struct PassInfo {
  std::string_view name;
  std::string_view doc;
  bool required;  // of what follows: it cannot be disabled
  std::variant<GraphPass, Lowering, ProgramPass> run;

  bool is_of_graphs() const { return std::holds_alternative<GraphPass>(run); }
};

/// All passes in pipeline order: those of graphs, lowering, those of programs.
std::span<const PassInfo> passes();

/// A function on its way: a graph until it is lowered, then a program.
using Function = std::variant<Graph, Program>;
/// Runs one pass by name, or throws Error listing the names there are. Error too when the pass is for the other form,
/// and when it lowers and the graph is not as canonicalize and fuse, with these options, leave it.
Function run_pass(std::string_view name, Function, const Target&, const PipelineOptions& = {});
/// One that graphs have.
Graph run_pass(std::string_view name, const Graph&, const PipelineOptions& = {});

/// Runs the passes of graphs: any graph without unbound extents -> a fused graph.
Graph optimize(const Graph&, const PipelineOptions& = {});
/// Runs the others: fused graph -> scheduled program with its memory planned. Throws Error when an extent is still
/// unbound.
Program make_program(const Graph& optimized, const Target&, const PipelineOptions& = {});

}  // namespace weft

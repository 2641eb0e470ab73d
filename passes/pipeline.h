// The pipeline: which passes run, in which order, and the one runner that wraps each of them.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/base/target.h>
#include <weft/ir/graph/graph.h>
#include <weft/ir/kernel/kernel.h>
#include <weft/passes/graph/placement.h>
#include <weft/passes/graph/simplify.h>

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

class ScheduleTable;

struct PipelineOptions {
  Numerics numerics = Numerics::exact;
  bool verify = kVerifyPasses;               ///< verify after every pass (tests and debug builds do)
  std::vector<std::string> disable;          ///< names of passes to skip
  Ledger* ledger = nullptr;                  ///< which rules fired
  const ScheduleTable* schedules = nullptr;  ///< measured schedules, in place of the cost model where they fit
  bool for_cpu = false;                      ///< its code knows panels (passes/kernel/layout.h) and chunks (column_sums.h)
  std::int64_t large_bytes = kLargeBytes;    ///< of values that are computed again rather than stored (large_values)
  std::vector<PassTiming>* timings = nullptr;
  /// Called after every graph pass with its name, its result, and whether it changed anything.
  std::function<void(std::string_view, const Graph&, bool)> after;
};

struct PassInfo {
  std::string_view name;
  std::string_view doc;
  bool required;  // lowering needs it: it cannot be disabled
  Graph (*run)(const Graph&, const PipelineOptions&);
};

/// The graph passes in pipeline order.
std::span<const PassInfo> passes();

/// Runs one pass by name, or throws Error listing the names there are.
Graph run_pass(std::string_view name, const Graph&, const PipelineOptions& = {});
/// Runs the whole pipeline: any graph without kBatch extents -> a fused graph.
Graph optimize(const Graph&, const PipelineOptions& = {});

/// Fused graph -> scheduled program with its memory planned. Throws Error when an extent is still unbound.
Program make_program(const Graph& optimized, const Target&, const PipelineOptions& = {});

}  // namespace weft

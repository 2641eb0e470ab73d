// The reference interpreter as an executor, beside those of compiled programs.
#pragma once
#include <memory>

#include <weft/ir/graph/graph.h>
#include <weft/runtime/host/program_executor.h>

namespace weft {

/// Interprets a graph without unbound extents. Its inputs, states and outputs are those of a program without kernels.
class InterpreterExecutor final : public ProgramExecutor {
 public:
  explicit InterpreterExecutor(Graph);
  ExecutorMaker maker() const override;
  void run() override;
  std::int64_t run_steps(std::int64_t steps, std::span<const StepRows> rows, std::span<const Array> outputs,
                         const AfterStep& after = {}) override;

 private:
  explicit InterpreterExecutor(std::shared_ptr<const Graph>);
  /// Evaluates the graph with this array for each input; states are updated.
  void evaluate(std::span<const Array> inputs, std::span<const Array> outputs);
  std::vector<Array> bound_arrays() const;  // by Program::inputs

  std::shared_ptr<const Graph> graph_;
};

}  // namespace weft

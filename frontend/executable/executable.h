// Internal to frontend/: what an Executable holds. Calls may overlap: what a call changes is either its own (a
// workspace) or held for as long as it runs (states); the rest is compiled once and then constant.
#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <optional>

#include <weft/compiler/compilation.h>
#include <weft/compiler/stored_schedules.h>
#include <weft/frontend/executable/compile.h>
#include <weft/frontend/executable/pool.h>
#include <weft/frontend/tensor/state_value.h>

namespace weft {

struct Executable::Impl {
  /// Memory of one call at a time.
  struct Workspace {
    std::unique_ptr<ProgramExecutor> executor;
    std::vector<const std::byte*> state_memory;  // what the executor's states are bound to, by `states`
  };

  /// The function compiled for one batch extent (0: it has none).
  struct Bound {
    std::int64_t batch = 0;
    std::mutex compiling;  // guards `stages`
    std::atomic<bool> ready{false};
    std::optional<Compilation> stages;
    const Graph& graph() const { return stages->graph(); }
    std::vector<StateUse> uses;        // of the states by a call, in the order of their locks
    std::vector<std::int64_t> panels;  // how the program wants an input or state to be stored, by Graph::inputs()
    ExecutorMaker another;
    MemoryReport memory;
    Pool<Workspace> idle;
    std::mutex turn;  // of calls where there is one workspace only, on a device
  };

  CompileOptions options;
  std::shared_ptr<const ScheduleTable> schedules;  // measured ones, if any
  Graph graph;                                     // before the batch is bound
  bool has_batch = false;
  std::vector<std::size_t> data, states;                  // positions in graph.inputs()
  std::vector<std::shared_ptr<StateValue>> state_values;  // by `states`
  std::vector<std::size_t> update_state;                  // by Graph::updates(): index in `states`

  std::mutex mutex;  // of `bound`, whose elements stay where they are
  std::map<std::int64_t, Bound> bound;
  std::atomic<Bound*> recent{nullptr};  // ready
  std::atomic<std::int64_t> last{0};    // the batch compiled or called last
  std::atomic<double> compile_seconds{0};

  // executable.cpp
  const Type& type(std::size_t position) const { return graph[graph.inputs()[position].id].type; }
  std::string described(std::size_t position) const;
  PipelineOptions pipeline() const;
  Placement place() const;
  Bound& at(std::int64_t batch);                           ///< compiled; 0: for the batch extent of last time
  std::size_t state_named(const std::string& name) const;  ///< index in `states`

  // executable_run.cpp
  std::vector<Array> run(std::span<const Array> inputs);
  StepResults run_steps(std::int64_t steps, std::span<const StepArgument> inputs, const StepOptions&);

 private:
  class Lease;
  void compile_for(Bound&);
  void check_not_in_callback() const;
  void check_count(std::size_t inputs) const;
  template <class F>
  std::int64_t check(F type_of) const;
  std::size_t step_state(const NamedArray& given, std::int64_t steps) const;
};

}  // namespace weft

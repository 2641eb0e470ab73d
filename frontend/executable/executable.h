// Internal to frontend/: what an Executable holds. Calls may overlap: what a call changes is either its own (a
// workspace) or held for as long as it runs (states); the rest is compiled once and then constant.
#pragma once
#include <algorithm>
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

struct NamedGraph;

struct Executable::Impl {
  /// Memory of one call at a time.
  struct Workspace {
    std::unique_ptr<ProgramExecutor> executor;
    std::vector<const std::byte*> state_memory;  // what the executor's states are bound to, by `states`
  };

  /// The function compiled for the extents of its symbols.
  struct Bound {
    Dims extents;  // by `symbols`
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
  Machine machine;
  std::shared_ptr<const ScheduleTable> schedules;  // measured ones, if any
  Graph graph;                                     // before extents are bound
  std::vector<std::int64_t> symbols;               // that it has, at most kMaxRank
  std::vector<std::size_t> data, states;                  // positions in graph.inputs()
  std::vector<std::shared_ptr<StateValue>> state_values;  // by `states`
  std::vector<std::size_t> update_state;                  // by Graph::updates(): index in `states`

  std::mutex mutex;  // of `bound`, whose elements stay where they are
  struct Before {
    bool operator()(const Dims& a, const Dims& b) const { return std::ranges::lexicographical_compare(a, b); }
  };
  std::map<Dims, Bound, Before> bound;
  std::atomic<Bound*> recent{nullptr};  // ready; the one compiled or called last
  std::atomic<double> compile_seconds{0};

  // executable.cpp
  const Type& type(std::size_t position) const { return graph[graph.inputs()[position].id].type; }
  std::string described(std::size_t position) const;
  PipelineOptions pipeline() const;
  Placement place() const;
  Bound& at(const Extents&);                               ///< compiled; none: for the extents of last time
  Bound& at(const Dims& extents);                          ///< compiled; by `symbols`
  std::string missing(const Extents&) const;               ///< the symbols that have no extent there
  std::size_t state_named(const std::string& name) const;  ///< index in `states`

  // object.cpp: the function with its extents bound; adds the values of its states to those given, where they lack.
  NamedGraph exported(const std::string& as, const Extents&, bool streams, std::map<std::string, Array>& initial) const;

  // executable_run.cpp
  std::vector<Array> run(std::span<const Array> inputs);
  StepResults run_steps(std::int64_t steps, std::span<const StepArgument> inputs, const StepOptions&);

 private:
  class Lease;
  void compile_for(Bound&);
  void check_not_in_callback() const;
  void check_count(std::size_t inputs) const;
  template <class F>
  Dims check(F type_of) const;
  std::size_t step_state(const NamedArray& given, std::int64_t steps) const;
};

}  // namespace weft

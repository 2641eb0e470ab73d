// grad() and compile(): from traced tensors to a function that runs.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <weft/compiler/backend.h>
#include <weft/compiler/stage.h>
#include <weft/frontend/tensor/functions.h>
#include <weft/frontend/tensor/handle.h>
#include <weft/ir/base/numerics.h>
#include <weft/runtime/files/safetensors.h>
#include <weft/runtime/host/program_executor.h>

namespace weft {

/// d(loss)/d(wrt[i]), each of wrt[i]'s type: tensors like any other, so they can be differentiated again. `loss` is a
/// float scalar. Error otherwise, or when a tensor is of another graph. A tensor that loss does not depend on has
/// gradient 0.
std::vector<Tensor> grad(const Tensor& loss, const std::vector<Tensor>& wrt, WEFT_HERE);

/// The tensors rebuilt with each `from` replaced by its `to` (of equal type): calls a traced function on other
/// arguments.
struct Substitution {
  Tensor from, to;
};
std::vector<Tensor> substitute(const std::vector<Tensor>& tensors, const std::vector<Substitution>& with, WEFT_HERE);

/// After the call, the state (or parameter) holds `value`.
struct Assignment {
  Tensor state, value;
};

/// What update() has recorded for a function of the inputs that `results` depend on, layers' own updates where the
/// results depend on those layers: one for each state, to be given to compile() for a training step. Without states that
/// are not trainable.
std::vector<Assignment> updates_of(const std::vector<Tensor>& results, WEFT_HERE);

struct NamedTensor {
  NamedTensor(const Tensor& t) : tensor(t) {}  ///< named out0, out1, … by position
  NamedTensor(std::string n, const Tensor& t) : name(std::move(n)), tensor(t) {}
  std::string name;
  Tensor tensor;
};

struct CompileOptions {
  std::vector<Assignment> updates = {};
  /// The order of arguments; by default the inputs that are used, in order of creation. One that is listed and not used
  /// is an argument all the same: it is checked, and changes nothing.
  std::vector<Tensor> inputs = {};
  std::int64_t batch = 0;  ///< compile now for this batch extent; 0: at the first call with it
  Extents extents = {};    ///< the same for other unbound extents; of one that no input has, for every call
  Backend backend = Backend::cpu;
  int threads = 0;     ///< 0: as many as the process may use
  bool check = false;  ///< the emulator looks for races and reads of what was never written (InternalError)
  Numerics numerics = Numerics::exact;
  bool persistent = false;  ///< GPUs: run_steps() is one launch of a kernel that stays, not a graph of many launches
  bool pin = false;         ///< each thread stays on a CPU of its own: for machines on which nothing else runs
  /// The CPU to make code for, by LLVM's name ("znver3", "haswell", "x86-64-v2", …), to see here how another machine's
  /// code does: its vectors, registers and instructions as far as this machine has them, with this machine's caches.
  /// Empty or "native": this machine's. The same bits. Error for a name that LLVM does not know, for a CPU whose code
  /// this machine cannot run, and with a backend other than Backend::cpu.
  std::string cpu = {};
  bool training = false;  ///< the value of training()
  std::string name = "main";
  std::vector<std::string> disable = {};  ///< names of passes to leave out
  /// Files of schedules that `weft tune` wrote, separated by ':'; by default those that $WEFT_SCHEDULES names. Results
  /// are the same bits with and without.
  std::string schedules = {};
  /// States i64[] that random tensors draw from, in place of the graph's `weft.seed` and `weft.step`.
  Tensor seed = {}, step = {};
};

struct ExportedFunction;
struct ObjectFile;
struct ObjectOptions;

/// An argument of Executable::run_steps(): an array that every step sees, or (made by per_step()) one row of it a step.
struct StepArgument {
  StepArgument(Array a) : array(std::move(a)) {}
  Array array;
  bool per_step = false;
  ArrayVersion version = kMayChange;
};
/// Step s sees row s of `rows`, [steps, …].
StepArgument per_step(Array rows);
/// An array whose elements stay as they are for as long as this argument, or a copy of it, is in use: a data set, which
/// a device then keeps from call to call.
StepArgument resident(Array);

struct StepOptions {
  /// Values [steps, …] of states that the function reads and does not update (a learning rate): as if set_state() were
  /// called before each step. Afterwards such a state holds the value of the last step done.
  std::vector<NamedArray> states = {};
  /// Called after each step (on a device: for each of a chunk of steps, when that is done), on any thread, with outputs
  /// [steps, …] whose rows up to `step` are there; false ends the run. It holds up all threads, and cannot call an
  /// executable (Error). It may look at the states of this call.
  std::function<bool(std::int64_t step, const std::vector<Array>& outputs)> after = {};
};

struct StepResults {
  std::int64_t steps = 0;      ///< done; fewer than asked for when StepOptions::after ended the run
  std::vector<Array> outputs;  ///< [steps, …], one for each output
};

/// A compiled function. Copies share it. States are those of the graph, shared with its other executables. A graph with
/// unbound extents (the batch, symbol("time")) is compiled once for those of each call. It keeps its states alive, and nothing else of
/// the graph.
///
/// Threads. All members may be called on several threads at once. A call that updates states (or gives them a value for
/// each step) has them for itself, until run_steps() returns; calls that only read them run together, each in memory of
/// its own, which is kept for the next. What looks at a state or sets it (here and in Tensor) waits for such calls, in
/// order of arrival, so that it never sees half an update. Calls on a device, and those on one team of several threads
/// (CompileOptions::threads), take turns there: to serve many small calls at once, compile for one thread.
/// A graph is traced by one thread at a time; its executables may be called meanwhile.
///
/// Floating-point environment. Results do not depend on the caller's rounding mode, traps or flushing of subnormals,
/// and those are as they were afterwards.
///
/// fork(). A child may call what its parent compiled, and compile; its threads are its own. fork() waits for
/// compilations that are under way. A state that another thread was updating is left half updated in the child.
///
/// A call that throws leaves the executable as it was; states are as of the last step done. (After an index that is
/// checked was out of bounds, outputs and states hold anything.)
class Executable {
 public:
  Executable() = default;  ///< empty: every use is an Error

  /// Runs it on one array for each input, in order; returns one array for each output.
  /// Error on a missing, surplus, mis-shaped or mis-typed array, naming the input and the type that fits.
  std::vector<Array> operator()(std::initializer_list<Array> inputs = {}) const;
  std::vector<Array> operator()(const std::vector<Array>& inputs) const;
  std::vector<Array> operator()(const std::vector<NamedArray>& inputs) const;  ///< by name, in any order
  /// The same as `steps` calls, to the bit, without leaving the compiled program in between: states go from step to
  /// step. Error as for a call, when `steps` < 1, or when an array of rows does not have exactly that many.
  StepResults run_steps(std::int64_t steps, const std::vector<StepArgument>& inputs,
                        const StepOptions& options = {}) const;

  std::vector<std::string> input_names() const;
  std::vector<std::string> output_names() const;
  std::vector<Type> output_types(const Extents& = {}) const;  ///< for the extents called last where none are given
  std::vector<std::string> state_names() const;  ///< parameters and states that the function reads or updates
  /// A copy of the value of a parameter or state that the function uses; Error on an unknown name.
  Array state(const std::string& name) const;
  void set_state(const std::string& name, const Array& value) const;

  // For the batch extent, or extents of symbols, that are given; none: those compiled for or called with last.
  std::string dump(Stage stage, const Extents& = {}) const;
  Graph graph(const Extents& = {}) const;  ///< before optimisation
  Graph optimized(const Extents& = {}) const;
  MemoryReport memory(
      const Extents& = {}) const;  ///< what it needs, exactly, known before it runs (0 arena: interpreted)
  double compile_seconds() const;     ///< all of it so far: passes and code generation
  int threads() const;
  Backend backend() const;
  std::string device() const;  ///< what it runs on: "NVIDIA H200, sm_90, driver 12.8", "emulator, 2 threads", "cpu"
  /// Compiles for a batch extent, or extents, ahead of the first call with them.
  void prepare(const Extents&) const;

  struct Impl;

 private:
  explicit Executable(std::shared_ptr<Impl> impl) { impl_.set(std::move(impl)); }
  friend Executable compile(const std::vector<NamedTensor>&, const CompileOptions&, std::source_location);
  friend ObjectFile compile_object(const std::vector<ExportedFunction>&, ObjectOptions, std::source_location);
  Handle<Impl> impl_{"Executable", "one that compile() returned"};
};

/// Compiles the function (inputs, states) -> (outputs, updated states). Error on tensors of different graphs, an output
/// named twice, an update of something that is no state, a seed or step that is no i64[] state, or `batch` < 1 for a
/// graph that needs one.
Executable compile(const std::vector<NamedTensor>& outputs, const CompileOptions& options = {}, WEFT_HERE);

}  // namespace weft

// Internal to frontend/: what a Model holds, shared by the files that implement it.
#pragma once
#include <mutex>
#include <thread>

#include <weft/compiler/placement.h>
#include <weft/frontend/executable/object.h>
#include <weft/frontend/train/computed_indices.h>
#include <weft/frontend/train/index_limits.h>
#include <weft/frontend/train/model.h>
#include <weft/ir/base/fork.h>

namespace weft {

/// Where a metric's sums lie among a step's outputs.
struct MetricOutputs {
  std::size_t begin = 0, count = 0;
};

/// A compiled function of rows of data, and what makes sure that these fit.
struct DataFunction {
  Executable run;
  std::vector<IndexLimits> x, y;
  ComputedIndices indices;
};

/// To be held by whatever looks at a model's graph or adds to it: one thread at a time does.
class Tracing {
 public:
  explicit Tracing(Trace& trace) : lock_(trace.mutex) {}

 private:
  DefaultFloats floats_;
  ForkGuard guard_;
  std::lock_guard<FairRecursiveMutex> lock_;
};

/// How far training has come; saved with the model.
struct Position {
  std::int64_t steps = 0;  // optimiser steps
  std::int64_t epoch = 0;  // epochs finished
  std::int64_t batch = 0;  // batches of the epoch under way that are done (0 unless it was broken off)
  std::string order;       // which order of samples `batch` counts in
};

/// Where a model runs that is compiled with these options.
inline Placement place_of(const TrainOptions& o) {
  return {o.backend, o.threads, o.check, o.numerics, o.persistent, o.pin, o.cpu};
}

/// What Model::compile() sets, and what has been compiled under it. A call of the model uses to its end what it found
/// when it began.
struct Compiled {
  std::optional<TrainOptions> options;  // none until compile() was called
  LocSet where;
  std::vector<Loss> losses;   // one an output
  std::string prefix;         // of the optimiser's states in the trace
  Tensor rate;                // the learning rate, f32[]
  std::vector<Tensor> trained;   // the parameters that are trainable
  std::vector<Assignment> kept;  // the updates of states that are
  std::vector<Tensor> slots;     // the optimiser's states
  Tensor seed, step;          // of the model's random tensors, i64[]

  // Under Tracing: functions by the types of the data. They stay where they are.
  std::map<std::string, DataFunction> training, evaluation, prediction;
  std::string last_training;
  Position position;
  std::optional<double> rate_override;

  Placement place() const { return options ? place_of(*options) : Placement{}; }
};

struct Model::Impl {
  std::shared_ptr<Trace> trace;
  std::vector<Tensor> inputs, outputs, parameters;
  std::vector<std::string> input_names;
  std::vector<Type> input_types, output_types;
  std::vector<Tensor> states;  // what else they and the updates depend on that has a value
  std::vector<Assignment> updates;  // of states, in training
  LocSet where;                // of the constructor
  /// Of parameters and states, by their names in the graph: the same for every model built by the same code.
  std::map<std::string, std::string> stable_names;

  std::shared_ptr<Compiled> current = std::make_shared<Compiled>();  // under Tracing

  /// The call that changes the model, and the thread that it was made on.
  struct Change {
    std::mutex mutex;  // of the members below
    const char* call = nullptr;
    std::thread::id thread;
  } change;

  /// While it lives, this thread changes the model. Error when another call does already; a change that may be made in
  /// a callback of fit() may be made in a call of the same thread's.
  class Changing {
   public:
    enum Nesting : std::uint8_t { alone, in_a_callback };
    Changing(Impl& m, const char* call, Nesting nesting = alone);
    ~Changing();
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    Change& change_;
    bool is_nested_ = false;
  };

  std::shared_ptr<Compiled> compiled() const;
  /// Error when compile() was not called.
  std::shared_ptr<Compiled> compiled(std::string_view what) const;
  Position position(const Compiled&) const;
  void set_position(Compiled&, const Position&) const;
  /// The learning rates of steps [first, first + count), f32[count]. Error when one is negative, infinite or NaN.
  Array rates(const Compiled&, std::int64_t first, std::int64_t count) const;

  /// Throws Error unless there is one array an input (and output), all with n > 0 rows that fit. Returns n.
  std::int64_t check_data(std::string_view what, const Compiled&, std::span<const Array> x,
                          std::span<const Array> y) const;
  /// Error unless rows of these types can be what the inputs and the losses want.
  void check_types(std::string_view what, const Compiled&, const std::vector<Type>& x,
                   const std::vector<Type>& y) const;
  /// Error when an index that the data leads to is out of range.
  void check_indices(std::string_view what, const DataFunction&, std::span<const Array> x,
                     std::span<const Array> y) const;
  /// A state under the name that a checkpoint has it by: "optimizer.m.dense.weight".
  struct Saved {
    std::string name;
    std::shared_ptr<StateValue> value;
    bool is_parameter;
  };
  /// What the model computes with: parameters, then states.
  std::vector<Saved> values() const;
  /// Everything that a checkpoint holds: values(), optimiser states, the random counters.
  std::vector<Saved> saved_states(const Compiled&) const;

  /// Rows of data, whose types have been checked, as an input wants them: converted (u8 to a float input: scaled to
  /// [0, 1]) and reshaped.
  Tensor adapt(const Tensor& rows, const Type& want) const;
  /// The mean loss and the metrics' sums over given rows, as named outputs; the states' new values.
  struct Scored {
    std::vector<NamedTensor> results;
    std::vector<Assignment> updates;
  };
  Scored scores(const Compiled&, const std::vector<Tensor>& x_rows, const std::vector<Tensor>& y_rows) const;

  // Model's members, without the line of the call.
  History fit(Model&, const std::vector<Array>& x, const std::vector<Array>& y, const FitOptions&);
  Scores evaluate(const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t batch_size) const;
  std::vector<Array> predict(const std::vector<Array>& x, std::int64_t batch_size) const;

  const DataFunction& training_step(Compiled&, const std::vector<Type>& x, const std::vector<Type>& y) const;
  const DataFunction& evaluation_step(Compiled&, const std::vector<Type>& x_rows,
                                      const std::vector<Type>& y_rows) const;
  const DataFunction& prediction_step(Compiled&, const std::vector<Type>& x_rows) const;
  /// `predict` and, to train, `step` before it. Arguments are the model's inputs, then a target for each output.
  std::vector<ExportedFunction> exported(const Compiled&, bool training) const;

 private:
  std::string stable_name(const Compiled&, const Tensor& state) const;
  Saved saved(const Tensor& state, std::string name) const;
  struct TrainedOn {
    Executable run;
    std::vector<Tensor> results;  // the loss, the metrics' sums
  };
  TrainedOn train_on(const Compiled&, const std::string& name, std::vector<Tensor> inputs,
                     const std::vector<Tensor>& x_rows, const std::vector<Tensor>& y_rows) const;
  DataFunction data_function(Executable, const std::vector<Tensor>& results, const std::vector<Tensor>& x,
                             const std::vector<Tensor>& y) const;
  CompileOptions compile_options(const Compiled&, std::string name, bool training, std::vector<Tensor> inputs) const;
};

/// Adds a step's metric sums to the totals of an epoch.
class Tally {
 public:
  Tally(const std::vector<Metric>& metrics, const Executable& step);
  void add(const StepResults& results, std::int64_t samples_per_step) {
    for (std::int64_t s = 0; s < results.steps; ++s) add_step(results.outputs, s, samples_per_step);
  }
  double loss() const { return samples_ ? loss_ / static_cast<double>(samples_) : 0; }
  std::map<std::string, double> logs(const std::string& prefix = "") const;
  const std::vector<std::vector<Array>>& totals() const { return totals_; }

 private:
  /// Row `step` of outputs [steps, …].
  void add_step(const std::vector<Array>& outputs, std::int64_t step, std::int64_t samples);

  const std::vector<Metric>& metrics_;
  std::vector<MetricOutputs> places_;
  std::vector<std::vector<Array>> totals_;  // f64, by metric
  double loss_ = 0;
  std::int64_t samples_ = 0;
};

/// Of the labels for scores [batch, .., classes]: i32[batch, ..].
Type label_type(const Type& scores);
/// Types of arrays, and of arrays with the rows replaced by the batch.
std::vector<Type> types_of(std::span<const Array>);
std::vector<Type> row_types(std::span<const Array>);

}  // namespace weft

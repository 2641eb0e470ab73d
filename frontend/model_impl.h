// Internal to frontend/: what a Model holds, shared by the files that implement it.
#pragma once
#include <atomic>
#include <mutex>

#include <weft/frontend/index_limits.h>
#include <weft/frontend/model.h>
#include <weft/frontend/placement.h>
#include <weft/ir/fork.h>

namespace weft {

/// Where a metric's sums lie among a step's outputs.
struct MetricOutputs {
  std::size_t begin = 0, count = 0;
};

/// A compiled function of rows of data, and what these may be.
struct DataFunction {
  Executable run;
  std::vector<IndexLimits> x, y;
};

struct Model::Impl {
  std::shared_ptr<Trace> trace;
  std::vector<Tensor> inputs, outputs, parameters;
  std::vector<Tensor> states;  // what else the outputs depend on that has a value; training leaves it alone
  LocSet where;                // of the constructor
  /// Of parameters, states and counters: the same for every model built by the same code.
  std::map<ValueId, std::string> stable_names;

  // Set by compile().
  std::optional<TrainOptions> options;
  LocSet compiled_at;
  std::vector<Loss> losses;   // one an output
  std::string prefix;         // of the optimiser's states in the trace
  Tensor rate;                // the learning rate, f32[]
  std::vector<Tensor> slots;  // the optimiser's states
  Tensor seed, step;          // of the model's random tensors, i64[]
  std::optional<double> rate_override;

  // How far training has come; saved with the model.
  std::int64_t steps = 0;  // optimiser steps
  std::int64_t epoch = 0;  // epochs finished
  std::int64_t batch = 0;  // batches of the epoch under way that are done (0 unless it was broken off)
  std::string order;       // which order of samples `batch` counts in

  // Compiled functions by the types of the data.
  std::map<std::string, DataFunction> training, evaluation, prediction;
  std::string last_training;

  std::atomic<bool> changing = false;

  /// While it lives, this thread changes the model. Error when another call does already.
  class Changing {
   public:
    Changing(Impl& m, std::string_view what);
    ~Changing() { model_.changing = false; }
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    Impl& model_;
  };

  void require_compiled(std::string_view what) const;
  /// Throws Error unless there is one array an input (and output), all with n > 0 rows that fit. Returns n.
  std::int64_t check_data(std::string_view what, std::span<const Array> x, std::span<const Array> y) const;
  /// Throws Error when an element that the function uses as an index is out of range.
  void check_indices(std::string_view what, const DataFunction&, std::span<const Array> x,
                     std::span<const Array> y) const;
  /// "optimizer.m.dense.weight" -> the stable name that a checkpoint uses.
  std::string stable_name(const Tensor& state) const;
  /// What the model computes with: parameters, then states.
  std::vector<Tensor> values() const;
  /// Everything that a checkpoint holds: values(), optimiser states, the random counters.
  std::vector<Tensor> saved_states() const;

  /// Rows of data as an input wants them: converted (u8 to a float input: scaled to [0, 1]) and reshaped.
  Tensor adapt(const Tensor& rows, const Type& want, const std::string& name) const;
  /// The mean loss and the metrics' sums over given rows, as named outputs.
  std::vector<NamedTensor> scores(const std::vector<Tensor>& x_rows, const std::vector<Tensor>& y_rows) const;

  Placement place() const {
    return options ? Placement{.backend = options->backend,
                               .threads = options->threads,
                               .check = options->check,
                               .pin = options->pin}
                   : Placement{};
  }
  double rate_at(std::int64_t step) const { return rate_override.value_or(options->optimizer.learning_rate()(step)); }

  DataFunction& training_step(const std::vector<Type>& x, const std::vector<Type>& y);
  DataFunction& evaluation_step(const std::vector<Type>& x_rows, const std::vector<Type>& y_rows);
  DataFunction& prediction_step(const std::vector<Type>& x_rows);
  CompileOptions compile_options(std::string name, bool training, std::vector<Tensor> inputs) const;
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

/// Types of arrays, and of arrays with the rows replaced by the batch.
std::vector<Type> types_of(std::span<const Array>);
std::vector<Type> row_types(std::span<const Array>);
/// How many steps of a function on this batch extent run in one call, so that their results take no more than `bytes`.
std::int64_t steps_within(std::int64_t bytes, const Executable&, std::int64_t batch);
/// Rows [begin, end), where they lie.
std::vector<Array> rows_of(std::span<const Array>, std::int64_t begin, std::int64_t end);

}  // namespace weft

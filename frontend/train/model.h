// Model: a traced function with what it takes to train it, after Keras.
#pragma once
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <weft/frontend/executable/object.h>
#include <weft/frontend/nn/layers.h>
#include <weft/frontend/nn/losses.h>
#include <weft/frontend/nn/metrics.h>
#include <weft/frontend/nn/optimizers.h>
#include <weft/frontend/train/callbacks.h>
#include <weft/runtime/data/data.h>

namespace weft {

struct TrainOptions {
  Optimizer optimizer = Adam{};
  Loss loss = {};                         ///< of every output that `losses` does not name
  std::vector<Metric> metrics = {};       ///< of the first output
  std::vector<Loss> losses = {};          ///< one for each output
  std::vector<double> loss_weights = {};  ///< one for each output; by default 1
  double clip_norm = 0;                   ///< > 0: scales all gradients so that their common norm is at most this
  double clip_value = 0;                  ///< > 0: limits each gradient element to [-clip_value, clip_value]
  Backend backend = Backend::cpu;
  int threads = 0;     ///< 0: as many as the process may use
  bool check = false;  ///< as CompileOptions::check
  Numerics numerics = Numerics::exact;
  bool persistent = false;     ///< as CompileOptions::persistent
  bool pin = false;            ///< as CompileOptions::pin
  std::string cpu = {};        ///< as CompileOptions::cpu
  std::string schedules = {};  ///< as CompileOptions::schedules
};

struct FitOptions {
  std::int64_t batch_size = 32;
  int epochs = 1;
  double validation_split = 0;  ///< the last fraction of the samples, taken before shuffling
  std::optional<Dataset> validation_data = {};
  bool shuffle = true;
  std::uint64_t seed = 0;  ///< of the order of samples and of dropout
  std::vector<Callback> callbacks = {};
  int verbose = 1;          ///< 0: silent; 1: a progress bar on a terminal, one line an epoch elsewhere; 2: lines
  std::FILE* log = stdout;  ///< where progress is printed
};

/// What Model::compile_object() makes.
struct ExportOptions {
  std::vector<std::int64_t> batch = {1};  ///< rows of a call; of several, functions are called predict_1, predict_128, …
  bool training = false;                  ///< `step` too, which trains on rows and their targets
  ObjectOptions object = {};              ///< its name, target, tasks, …
};

/// What fit() did, one value an epoch: "loss", the metrics, "val_loss", "val_…", "learning_rate".
struct History {
  std::map<std::string, std::vector<double>> values;
  std::vector<double> seconds;  ///< of each epoch's training, without validation
  std::vector<double> step_ms;  ///< median time of a step in each epoch
  double compile_seconds = 0;
  /// Empty when all epochs ran. Ctrl-C, SIGTERM and SIGHUP end fit() after the step under way and what has been trained
  /// stays: "interrupted", "interrupted by SIGTERM"; the third signal within a second ends the process.
  std::string stop_reason;
  int epochs() const { return static_cast<int>(seconds.size()); }
  /// The values under a name. Error on an unknown one.
  const std::vector<double>& operator[](const std::string& name) const;
};

/// The result of evaluate(). fmt prints "loss: 0.0712 - accuracy: 0.9790".
struct Scores {
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics;
  std::vector<std::vector<Array>>
      totals;  ///< the sums behind each metric, f64 (a confusion matrix's table is totals[i][0])
  double operator[](const std::string& name) const;  ///< "loss" or a metric's; Error on an unknown name
  std::string str() const;
};

/// A model's copies share it. evaluate(), predict(), save() and what looks at it may be called on several threads at
/// once, also while another call changes the model: they wait for the steps of fit() under way (Executable), and beside
/// compile() they end as they began, with what was compiled before or after. fit(), compile(), load() and the set_…()
/// change it, one at a time: Error otherwise. The callbacks of fit() may load() and set_…().
class Model {
 public:
  Model(const Tensor& input, const Tensor& output, WEFT_HERE);
  /// Error when there is no input or output, an input is none, an output depends on an input that is not listed, or no
  /// output depends on one that is.
  Model(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs, WEFT_HERE);

  const std::vector<Tensor>& inputs() const;
  const std::vector<Tensor>& outputs() const;
  const std::vector<Tensor>& parameters() const;
  const std::vector<Tensor>& states() const;
  void set_trainable(bool trainable) const;  ///< Tensor::set_trainable() of its parameters and states
  std::int64_t parameter_count() const;

  /// The model as a function: its outputs on other tensors, with shared parameters.
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs, WEFT_HERE) const;

  /// Sets how the model is trained, with new optimiser states: training starts anew, from the weights as they are.
  void compile(const TrainOptions& options, WEFT_HERE);
  /// A table of the layers, their output shapes and numbers of parameters; also printed unless `print` is false.
  std::string summary(bool print = true) const;

  /// Trains on x (one row a sample, per input) and y. u8 data for a float input is scaled to [0, 1]; rows are reshaped
  /// to the input's shape. Parameters that the loss does not depend on (behind stop_gradient) are left alone, by decay
  /// too. Error, before anything is changed, on an empty data set, differing counts, a batch larger than the data,
  /// labels out of range, elements out of range that are used as indices (ids of an Embedding) or from which such are
  /// computed, u8 targets of a loss on values. A loss that is infinite or NaN, that of the validation data too, is an
  /// Error that leaves the model as it was before the epoch, unless a callback handles it (StopOnNaN). A callback that
  /// throws leaves it as the steps done have made it: the next fit() goes on from there.
  History fit(const Dataset& data, const FitOptions& options = {}, WEFT_HERE);
  History fit(const Array& x, const Array& y, const FitOptions& options = {}, WEFT_HERE);
  History fit(const std::vector<Array>& x, const std::vector<Array>& y, const FitOptions& options = {}, WEFT_HERE);

  /// A loss that is infinite or NaN is a result like others.
  Scores evaluate(const Dataset& data, std::int64_t batch_size = 256, WEFT_HERE);
  Scores evaluate(const Array& x, const Array& y, std::int64_t batch_size = 256, WEFT_HERE);
  Scores evaluate(const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t batch_size = 256, WEFT_HERE);

  Array predict(const Array& x, std::int64_t batch_size = 256, WEFT_HERE);  ///< the first output for every row of x
  std::vector<Array> predict(const std::vector<Array>& x, std::int64_t batch_size = 256, WEFT_HERE);

  /// Parameters, states, optimiser states and counters, as safetensors; load() of a compiled model resumes bit for bit.
  /// The file is replaced as a whole or, on Error, not at all. `metadata`: further texts for it, under keys that do not
  /// begin with "weft." (Error otherwise).
  void save(const std::string& path, const std::map<std::string, std::string>& metadata = {}) const;
  /// Throws the Error that save() would throw now (a missing folder, no rights, a full disk) and writes nothing.
  void check_save(const std::string& path) const;
  /// Error, with nothing changed, when a parameter or state is missing or has another shape. A file without optimiser
  /// states restores the weights alone.
  void load(const std::string& path);

  /// The training step over a resident data set of `samples` rows typed as `data` would be, compiled for `batch`; its
  /// inputs are the x arrays, the y arrays, then "indices" (i32[batch]); its outputs "loss" (the mean), then the
  /// metrics' sums.
  Executable training_step(const std::vector<Type>& x, const std::vector<Type>& y, std::int64_t batch);
  /// The model as an object file for C and C++ programs (compiler/object.h): the function `predict`, of one array an
  /// input to one an output, and with ExportOptions::training `step`, of those and one array of targets an output
  /// (labels i32 for losses of labels, else values of the output's type) to "loss" and the metrics' sums. It begins with
  /// the weights, optimiser states and learning rate of now. Error when it is to train and compile() was not called.
  ObjectFile compile_object(const ExportOptions& options = {}, WEFT_HERE) const;
  /// A stage of the training step: the last one compiled, or one for batch 128 and f32 data if fit() has not run.
  std::string dump(Stage stage);
  double compile_seconds() const;  ///< of everything compiled so far
  int threads() const;
  std::string device() const;  ///< as Executable::device()

  double learning_rate() const;
  void set_learning_rate(double rate);  ///< in place of the optimiser's schedule; Error unless finite and at least 0
  std::map<std::string, Array> weights() const;  ///< of parameters and states: copies, by name
  /// Error, with nothing changed, unless there is an array of the right type for each name in weights(), and no other.
  void set_weights(const std::map<std::string, Array>& weights);

  struct Impl;

 private:
  static void destroy(Impl*);
  Handle<Impl> impl_{"Model", "one made of inputs and outputs"};
};

}  // namespace weft

template <>
struct fmt::formatter<weft::Scores> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const weft::Scores& s, Context& context) const {
    return fmt::formatter<std::string_view>::format(s.str(), context);
  }
};

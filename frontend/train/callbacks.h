// Callbacks: what fit() calls at the ends of steps and epochs.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <weft/frontend/nn/schedules.h>
#include <weft/frontend/tensor/handle.h>
#include <weft/frontend/train/hooks.h>
#include <weft/ir/base/array.h>

namespace weft {

class Model;

/// The run that a callback looks at and steers. There is one: it cannot be copied.
struct FitRun {
  explicit FitRun(Model& m) : model(m) {}
  FitRun(const FitRun&) = delete;

  Model& model;
  int epoch = 0;  ///< 0 for the first epoch of this fit()
  int epochs = 0;
  std::int64_t model_epoch = 0;  ///< as `step`: 0 for the first epoch since the model was compiled
  std::int64_t step = 0;   ///< optimiser steps since the model was compiled (or since the start of the loaded run)
  std::int64_t batch = 0;  ///< in this epoch
  std::int64_t batches = 0;
  double loss = 0;                     ///< of the last step
  std::map<std::string, double> logs;  ///< at the end of an epoch: loss, metrics, val_loss, val_…, learning_rate
  std::string stop_reason;             ///< when set, training stops after this step or epoch

  void stop(std::string reason) { stop_reason = std::move(reason); }
  double learning_rate() const;
  void set_learning_rate(double rate);  ///< from the next step on; the optimiser's schedule no longer applies
};

/// Any callback as a value: a struct with one or more of on_train_begin, on_epoch_begin, on_step_end, on_epoch_end and
/// on_train_end, each `void(FitRun&)`. Copies share the struct. Without on_step_end, fit() runs many steps in one call.
/// A struct with none of them, with one of another signature, or with a hook of another framework or a misspelt one
/// does not compile (frontend/train/hooks.h; C++20 cannot see every other name). It may have `void check() const`, an
/// Error when an option makes no sense, which is called when the value is made of it.
class Callback {
 public:
  template <class T>
  requires(!std::is_same_v<T, Callback>) Callback(T t, WEFT_HERE) {
    hook_check::check<T>();
    if constexpr (requires { std::as_const(t).check(); }) {
      const LocScope scope(where);
      std::as_const(t).check();
    }
    self_.set(std::make_shared<Hooks<T>>(std::move(t)));
  }
  void on_train_begin(FitRun& r) { self_->on_train_begin(r); }
  void on_epoch_begin(FitRun& r) { self_->on_epoch_begin(r); }
  void on_step_end(FitRun& r) { self_->on_step_end(r); }
  void on_epoch_end(FitRun& r) { self_->on_epoch_end(r); }
  void on_train_end(FitRun& r) { self_->on_train_end(r); }
  bool handles_nan() const { return self_->handles_nan(); }
  bool has_step_end() const { return self_->has_step_end(); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual void on_train_begin(FitRun&) = 0;
    virtual void on_epoch_begin(FitRun&) = 0;
    virtual void on_step_end(FitRun&) = 0;
    virtual void on_epoch_end(FitRun&) = 0;
    virtual void on_train_end(FitRun&) = 0;
    virtual bool handles_nan() const = 0;
    virtual bool has_step_end() const = 0;
  };
  template <class T>
  struct Hooks : Interface {
    explicit Hooks(T value) : t(std::move(value)) {}
    void on_train_begin(FitRun& r) override {
      if constexpr (requires { t.on_train_begin(r); }) t.on_train_begin(r);
    }
    void on_epoch_begin(FitRun& r) override {
      if constexpr (requires { t.on_epoch_begin(r); }) t.on_epoch_begin(r);
    }
    void on_step_end(FitRun& r) override {
      if constexpr (requires { t.on_step_end(r); }) t.on_step_end(r);
    }
    void on_epoch_end(FitRun& r) override {
      if constexpr (requires { t.on_epoch_end(r); }) t.on_epoch_end(r);
    }
    void on_train_end(FitRun& r) override {
      if constexpr (requires { t.on_train_end(r); }) t.on_train_end(r);
    }
    bool handles_nan() const override {
      if constexpr (requires { T::handles_nan; })
        return T::handles_nan;
      else
        return false;
    }
    bool has_step_end() const override {
      return requires { std::declval<T&>().on_step_end(std::declval<FitRun&>()); };
    }
    T t;
  };
  Handle<Interface> self_{"Callback", "one made of a struct with hooks"};
};

/// Stops when `monitor` has not improved by more than min_delta for `patience` epochs, both 0 or more. Error when it is
/// not in the logs.
struct EarlyStopping {
  std::string monitor = "val_loss";
  int patience = 0;
  double min_delta = 0;
  bool restore_best = false;  ///< put back the weights of the best epoch
  bool maximize = false;
  void check() const;
  void on_train_begin(FitRun&);
  void on_epoch_end(FitRun&);
  void on_train_end(FitRun&);

  double best = 0;
  int waited = 0, best_epoch = -1;
  std::map<std::string, Array> best_weights = {};
};

/// Saves the model to `path`, which is not empty, whenever `monitor` improves. Error at the end when nothing was saved
/// because it never was a number (or infinite, on the side that is no improvement).
struct BestCheckpoint {
  std::string path;
  std::string monitor = "val_loss";
  bool maximize = false;
  void check() const;
  void on_train_begin(FitRun&);
  void on_epoch_end(FitRun&);
  void on_train_end(FitRun&);

  double best = 0;
  std::string unsaved = "";  // why nothing was saved; empty: something was, or no epoch has ended
};

/// Writes one line an epoch to `path`, which is not empty: the model's epoch (FitRun::model_epoch, so that a run that
/// goes on counts on), then the logs in order of name, with a header line.
struct CsvLog {
  std::string path;
  bool append = false;
  void check() const;
  void on_train_begin(FitRun&);
  void on_epoch_end(FitRun&);

  bool wrote_header = false;
};

/// Sets the learning rate at the start of each epoch to schedule(epoch).
struct LearningRate {
  RateSchedule schedule;
  void on_epoch_begin(FitRun&);
};

/// Ends training cleanly when the loss, or that of the validation data, is infinite or no number (without it, or
/// another callback that has `static constexpr bool handles_nan = true`, fit() throws).
struct StopOnNaN {
  void on_step_end(FitRun&);
  void on_epoch_end(FitRun&);
  static constexpr bool handles_nan = true;
};

}  // namespace weft

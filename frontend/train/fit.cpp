// fit(): epochs of compiled steps over resident data. As many steps as possible run in one call of the compiled
// program; what is seen of a run does not depend on how many.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compiler/stopwatch.h"
#include "frontend/tensor/node.h"
#include "frontend/train/batches.h"
#include "frontend/train/interrupt.h"
#include "frontend/train/model_impl.h"
#include "frontend/train/progress.h"
#include "runtime/data/preprocess.h"

namespace weft {
namespace {

double median(std::vector<double> v) {
  if (v.empty()) return 0;
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

constexpr std::int64_t kResultBytes = 64 << 20;  // of the outputs of all steps of one call
constexpr std::int64_t kValidationBatch = 256;

/// Samples [0, train) are trained on.
struct Split {
  std::int64_t train = 0;
  std::vector<Array> x, y;  // to validate with; empty: none
};

Split split(const FitOptions& o, const std::vector<Array>& x, const std::vector<Array>& y, std::int64_t n) {
  if (!(o.validation_split >= 0 && o.validation_split < 1))
    fail("fit: validation_split is {}; expected 0 <= validation_split < 1", o.validation_split);
  if (o.validation_data) {
    if (o.validation_split > 0) fail("fit: both validation_split and validation_data are set; expected one of them");
    return {n, {o.validation_data->x}, {o.validation_data->y}};
  }
  if (o.validation_split == 0) return {n, {}, {}};
  const auto train = static_cast<std::int64_t>(std::floor(static_cast<double>(n) * (1 - o.validation_split)));
  if (train < 1 || train == n)
    fail(
        "fit: validation_split {} of {} samples leaves {} to train on and {} to validate with; expected at least one "
        "of each",
        o.validation_split, n, train, n - train);
  return {train, rows_of(x, train, n), rows_of(y, train, n)};
}

/// What an epoch changes, as it was before.
class Restorable {
 public:
  Restorable(const Model::Impl& m, Compiled& c) : m_(m), c_(c), position_(m.position(c)) {
    for (const Model::Impl::Saved& s : m.saved_states(c)) values_.emplace_back(s.value, s.value->read());
    const Tracing tracing(*m.trace);
    rate_ = c.rate_override;
  }
  void restore() const {
    for (const auto& [state, value] : values_) state->write(value);
    m_.set_position(c_, position_);
    const Tracing tracing(*m_.trace);
    c_.rate_override = rate_;
  }

 private:
  const Model::Impl& m_;
  Compiled& c_;
  Position position_;
  std::optional<double> rate_;
  std::vector<std::pair<std::shared_ptr<StateValue>, Array>> values_;
};

/// Where the first element lies that is no number, or "".
std::string first_not_finite(std::string_view role, const std::vector<Array>& arrays) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const Array& a = arrays[i];
    if (!is_float(a.dtype())) continue;
    for (std::int64_t e = 0; e < a.size(); ++e)
      if (!std::isfinite(a.at(e)))
        return fmt::format("{} {} is {} in row {}, element {}", role, i, plain_nan(a.at(e)),
                           e / (a.size() / a.shape()[0]), e % (a.size() / a.shape()[0]));
  }
  return "";
}

/// Why the loss on x and y is infinite or NaN; `of` is "" or "validation ".
std::string why_diverged(const std::string& of, const std::vector<Array>& x, const std::vector<Array>& y, double rate) {
  for (const auto& [role, arrays] : {std::pair{"input", &x}, std::pair{"target", &y}})
    if (const std::string place = first_not_finite(of + role, *arrays); !place.empty())
      return fmt::format("{}. Fill in or drop what is missing (data::check_finite() looks for it)", place);
  return fmt::format(
      "training has diverged. Try a smaller learning rate (now {:g}), clip the gradients (clip_norm in compile()), or "
      "look for very large values in the data",
      rate);
}

}  // namespace

const std::vector<double>& History::operator[](const std::string& name) const {
  const auto it = values.find(name);
  if (it != values.end()) return it->second;
  std::string names;
  for (const auto& [known, v] : values) names += (names.empty() ? "" : ", ") + known;
  fail("the history has no '{}'; it has {}", name, names.empty() ? "nothing: no epoch has ended" : names);
}

History Model::fit(const std::vector<Array>& x, const std::vector<Array>& y, const FitOptions& options,
                   std::source_location where) {
  Model alive = *this;  // whatever callbacks do with this one
  return located(where, [&] { return alive.impl_->fit(alive, x, y, options); });
}

History Model::Impl::fit(Model& model, const std::vector<Array>& x, const std::vector<Array>& y, const FitOptions& o) {
  const DefaultFloats floats;
  Impl& m = *this;
  const Changing changing(m, "fit");
  const std::shared_ptr<Compiled> compiled = m.compiled("fit");
  Compiled& c = *compiled;
  if (o.batch_size < 1) fail("fit: batch_size is {}; expected at least 1", o.batch_size);
  if (o.epochs < 1) fail("fit: epochs is {}; expected at least 1", o.epochs);
  if (!o.log && o.verbose > 0) fail("fit: the log is a null pointer; expected an open file, or verbose = 0");
  const std::int64_t n = m.check_data("fit", c, x, y);
  const Split data = split(o, x, y, n);
  if (!data.x.empty()) m.check_data("fit: validation data", c, data.x, data.y);
  if (o.batch_size > data.train)
    fail("fit: batch_size {} is larger than the {} samples to train on; choose at most {}", o.batch_size, data.train,
         data.train);

  const std::string order = fmt::format("{} samples, batch {}, seed {}, {}", data.train, o.batch_size, o.seed,
                                        o.shuffle ? "shuffled" : "in order");
  const double compiled_before = model.compile_seconds();
  const DataFunction& function = m.training_step(c, types_of(x), types_of(y));
  m.check_indices("fit", function, x, y);
  if (!data.x.empty())
    m.check_indices("fit: validation data", m.evaluation_step(c, row_types(data.x), row_types(data.y)), data.x, data.y);
  const Executable step = function.run;
  const std::int64_t batches = (data.train + o.batch_size - 1) / o.batch_size,
                     last = data.train - (batches - 1) * o.batch_size;
  for (std::int64_t batch : {o.batch_size, last}) step.prepare(batch);

  History history;
  Progress progress(o.log, o.verbose, o.epochs);
  std::vector<Callback> callbacks = o.callbacks;
  FitRun run(model);
  run.epochs = o.epochs;
  run.batches = batches;
  Position at = m.position(c);
  run.step = at.steps;
  const bool nan_is_handled =
      std::any_of(callbacks.begin(), callbacks.end(), [](const Callback& c) { return c.handles_nan(); });
  InterruptGuard interrupt;

  std::vector<StepArgument> arguments;
  for (const Array& a : x) arguments.push_back(resident(a));
  for (const Array& a : y) arguments.push_back(resident(a));
  arguments.emplace_back(Array());
  std::string rate_name;
  std::shared_ptr<StateValue> rate, seed;
  {
    const Tracing tracing(*m.trace);
    rate_name = c.rate.name();
    rate = m.trace->find(c.rate.id())->value;
    seed = m.trace->find(c.seed.id())->value;
  }
  const std::vector<std::string> states = step.state_names();
  const bool uses_rate = std::ranges::count(states, rate_name) > 0;
  // A device says that steps are done some at a time.
  const bool in_chunks = is_device(step.backend());
  // A callback that looks at every step gets a call for each.
  const bool single = std::ranges::any_of(callbacks, [](const Callback& c) { return c.has_step_end(); });
  const std::int64_t most = single ? 1 : steps_within(kResultBytes, step, o.batch_size);

  for (Callback& callback : callbacks) callback.on_train_begin(run);

  // All has been checked and compiled: the first change of the model.
  at = m.position(c);
  if (at.order != order) at.batch = 0;  // a broken-off epoch goes on only in the same order of samples
  at.order = order;
  m.set_position(c, at);
  seed->write(Array::scalar(static_cast<std::int64_t>(o.seed)));
  run.model_epoch = at.epoch;
  for (run.epoch = 0; run.epoch < o.epochs && run.stop_reason.empty(); ++run.epoch) {
    for (Callback& callback : callbacks) callback.on_epoch_begin(run);
    at = m.position(c);  // a callback may have loaded another
    run.model_epoch = at.epoch;
    std::optional<Restorable> before;
    if (!nan_is_handled) before.emplace(m, c);
    std::vector<std::int32_t> samples(static_cast<std::size_t>(data.train));
    if (o.shuffle)
      samples = data::permutation(data.train, o.seed, static_cast<std::uint64_t>(at.epoch));
    else
      std::iota(samples.begin(), samples.end(), 0);
    Tally tally(c.options->metrics, step);
    std::vector<double> times;
    progress.begin_epoch(run.epoch, batches);
    const Stopwatch watch;
    while (at.batch < batches && run.stop_reason.empty()) {
      const std::int64_t full = data.train / o.batch_size - at.batch;  // batches of batch_size to come
      const std::int64_t batch = full > 0 ? o.batch_size : last, steps = full > 0 ? std::min(full, most) : 1;
      Array indices(Type{i32, {steps, batch}});
      std::copy_n(samples.data() + at.batch * o.batch_size, indices.size(), indices.as<std::int32_t>().data());
      const Array rates = m.rates(c, at.steps, steps);
      arguments.back() = per_step(indices);
      const Stopwatch call_watch;
      Stopwatch step_watch;
      StepOptions options;
      if (uses_rate) options.states = {{rate_name, rates}};
      options.after = [&](std::int64_t s, const std::vector<Array>& outputs) {
        if (!in_chunks) times.push_back(step_watch.seconds());
        step_watch = {};
        const bool diverged = !nan_is_handled && !std::isfinite(outputs[0].at(s));
        return !diverged && !interrupt.signal() && !progress.due();
      };
      const StepResults results = step.run_steps(steps, arguments, options);
      if (in_chunks)
        times.insert(times.end(), static_cast<std::size_t>(results.steps),
                     call_watch.seconds() / static_cast<double>(results.steps));
      tally.add(results, batch);
      rate->write(Array::scalar(rates.as<float>()[static_cast<std::size_t>(results.steps - 1)]));
      run.loss = results.outputs[0].at(results.steps - 1);
      at.batch += results.steps;
      at.steps += results.steps;
      run.batch = at.batch - 1;
      run.step = at.steps;
      if (!std::isfinite(run.loss) && !nan_is_handled) {
        before->restore();
        fail("fit: the loss is {} at step {} of {} in epoch {}: {}. The model is as it was before this epoch",
             plain_nan(run.loss), run.batch + 1, batches, run.epoch + 1,
             why_diverged("", x, y, static_cast<double>(rate->read().item<float>())));
      }
      m.set_position(c, at);
      for (Callback& callback : callbacks) callback.on_step_end(run);
      if (interrupt.signal()) run.stop(interrupt.reason());
      if (progress.due()) progress.step(at.batch, tally.logs());
    }
    // Broken off: the next fit() in this order, here or after load(), goes on from this batch.
    if (at.batch < batches) break;
    at.batch = 0;
    ++at.epoch;
    m.set_position(c, at);
    history.seconds.push_back(watch.seconds());
    history.step_ms.push_back(1e3 * median(times));
    run.logs = tally.logs();
    run.logs["learning_rate"] = static_cast<double>(rate->read().item<float>());
    if (!data.x.empty()) {
      const Scores scores = evaluate(data.x, data.y, kValidationBatch);
      if (!std::isfinite(scores.loss) && !nan_is_handled) {
        before->restore();
        fail("fit: the validation loss is {} in epoch {}: {}. The model is as it was before this epoch",
             plain_nan(scores.loss), run.epoch + 1,
             why_diverged("validation ", data.x, data.y, run.logs["learning_rate"]));
      }
      run.logs["val_loss"] = scores.loss;
      for (const auto& [name, value] : scores.metrics) run.logs["val_" + name] = value;
    }
    for (const auto& [name, value] : run.logs) history.values[name].push_back(value);
    progress.end_epoch(history.seconds.back(), history.step_ms.back(), run.logs);
    for (Callback& callback : callbacks) callback.on_epoch_end(run);
    if (interrupt.signal()) run.stop(interrupt.reason());
  }
  for (Callback& callback : callbacks) callback.on_train_end(run);
  history.stop_reason = run.stop_reason;
  history.compile_seconds = model.compile_seconds() - compiled_before;
  if (!run.stop_reason.empty()) progress.note("stopped: " + run.stop_reason);
  return history;
}

History Model::fit(const Array& x, const Array& y, const FitOptions& options, std::source_location where) {
  return fit(std::vector<Array>{x}, std::vector<Array>{y}, options, where);
}
History Model::fit(const Dataset& data, const FitOptions& options, std::source_location where) {
  return fit(data.x, data.y, options, where);
}

double FitRun::learning_rate() const { return model.learning_rate(); }
void FitRun::set_learning_rate(double rate) { model.set_learning_rate(rate); }

}  // namespace weft

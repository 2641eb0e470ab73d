// The functions that a model compiles: the training step, those that evaluate and predict, and those of an object file.
#include <algorithm>

#include "frontend/tensor/node.h"
#include "frontend/train/model_impl.h"

namespace weft {
namespace {

std::string key_of(const std::vector<Type>& x, const std::vector<Type>& y = {}) {
  std::string key;
  for (const Type& t : x) key += to_string(t) + ",";
  key += ";";
  for (const Type& t : y) key += to_string(t) + ",";
  return key;
}

Type with_batch(Type t) {
  if (t.shape.rank() > 0) t.shape[0] = kBatch;
  return t;
}

/// Inputs of the given types, named after what they stand for.
std::vector<Tensor> placeholders(const std::vector<Type>& types, const std::vector<std::string>& names) {
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < types.size(); ++i)
    tensors.push_back(placeholder(types[i].dtype, types[i].shape, current_trace()->unique_name(names[i])));
  return tensors;
}

std::vector<std::string> x_names(const std::vector<Tensor>& inputs) {
  std::vector<std::string> names;
  for (const Tensor& t : inputs) names.push_back(t.name() + "_data");
  return names;
}

std::vector<std::string> y_names(std::size_t count) { return std::vector<std::string>(count, "target_data"); }

std::vector<Tensor> tensors_of(const std::vector<NamedTensor>& named) {
  std::vector<Tensor> tensors;
  for (const NamedTensor& n : named) tensors.push_back(n.tensor);
  return tensors;
}

/// A gradient that says that the loss does not depend on the parameter: a zero, repeated.
bool is_zero(const Tensor& gradient) {
  const Graph& g = gradient.trace()->graph;
  ValueId id = gradient.id();
  while (g[id].op == Op::broadcast) id = g[id].operands[0];
  return g[id].op == Op::constant && g[id].type.shape.empty() && g[id].attrs.literal->at(0) == 0;
}

}  // namespace

Type label_type(const Type& scores) { return {i32, without_last(scores.shape)}; }

std::vector<Type> types_of(std::span<const Array> arrays) {
  std::vector<Type> types;
  for (const Array& a : arrays) types.push_back(a.type());
  return types;
}

std::vector<Type> row_types(std::span<const Array> arrays) {
  std::vector<Type> types = types_of(arrays);
  std::transform(types.begin(), types.end(), types.begin(), with_batch);
  return types;
}

Tensor Model::Impl::adapt(const Tensor& rows, const Type& want) const {
  const Tensor x = astype(rows, want.dtype);
  return reshape(is_float(want.dtype) && rows.dtype() == u8 ? x * (1.0 / 255) : x, want.shape);
}

Model::Impl::Scored Model::Impl::scores(const Compiled& c, const std::vector<Tensor>& x_rows,
                                        const std::vector<Tensor>& y_rows) const {
  std::vector<Substitution> with;
  for (std::size_t i = 0; i < inputs.size(); ++i) with.push_back({inputs[i], adapt(x_rows[i], inputs[i].type())});
  std::vector<Tensor> own = outputs;
  for (const Assignment& u : c.kept) own.push_back(u.value);
  const std::vector<Tensor> predictions = substitute(own, with);
  Tensor loss;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Tensor part = mean(c.losses[i](predictions[i], y_rows[i]));
    if (!c.options->loss_weights.empty()) part = part * c.options->loss_weights[i];
    loss = loss.defined() ? loss + part : part;
  }
  for (const Penalty& p : trace->penalties)
    if (stable_names.contains(trace->find(p.parameter)->name)) loss = loss + Tensor(trace, p.value);
  std::vector<NamedTensor> results{{"loss", loss}};
  const Tensor target = c.losses[0].prepared(predictions[0], y_rows[0]);
  for (const Metric& m : c.options->metrics) {
    const std::vector<Tensor> sums =
        located("compile", [&] { return call(m.sums, "Metric::sums", predictions[0], target); });
    if (sums.empty()) fail("{}metric '{}' has no sums", where_prefix(), m.name);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (!is_static(sums[i].shape()))
        type_error_of(m.name, {sums[i]}, "a metric's sum depends on the batch; reduce it over the batch axis");
      results.emplace_back(fmt::format("{}.{}", m.name, i), sums[i]);
    }
  }
  std::vector<Assignment> updates;
  for (const Assignment& u : c.kept) updates.push_back({u.state, predictions[outputs.size() + updates.size()]});
  return {std::move(results), std::move(updates)};
}

CompileOptions Model::Impl::compile_options(const Compiled& c, std::string name, bool is_training,
                                            std::vector<Tensor> list) const {
  CompileOptions o;
  o.name = std::move(name);
  o.training = is_training;
  o.inputs = std::move(list);
  if (const std::optional<TrainOptions>& t = c.options) {
    o.backend = t->backend;
    o.threads = t->threads;
    o.check = t->check;
    o.numerics = t->numerics;
    o.persistent = t->persistent;
    o.pin = t->pin;
    o.cpu = t->cpu;
    o.schedules = t->schedules;
    o.seed = c.seed, o.step = c.step;
  }
  return o;
}

DataFunction Model::Impl::data_function(Executable run, const std::vector<Tensor>& results,
                                        const std::vector<Tensor>& x, const std::vector<Tensor>& y) const {
  std::vector<Tensor> rows = x;
  rows.insert(rows.end(), y.begin(), y.end());
  return {std::move(run), index_limits(results, x), index_limits(results, y), ComputedIndices(results, rows)};
}

// Forward, loss, gradients, optimiser, of given rows.
Model::Impl::TrainedOn Model::Impl::train_on(const Compiled& c, const std::string& name, std::vector<Tensor> list,
                                             const std::vector<Tensor>& x_rows,
                                             const std::vector<Tensor>& y_rows) const {
  const auto [results, updates] = scores(c, x_rows, y_rows);
  std::vector<Tensor> trained, gradients;  // parameters that the loss does not depend on are left alone
  const std::vector<Tensor> all = grad(results[0].tensor, c.trained);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!is_zero(all[i])) trained.push_back(c.trained[i]), gradients.push_back(all[i]);
  if (trained.empty())
    fail(
        "{}the loss depends on no parameter: there is nothing to train (no gradient passes stop_gradient, comparisons "
        "and integers)",
        where_prefix());
  if (c.options->clip_norm > 0) gradients = clip_by_norm(gradients, c.options->clip_norm);
  OptimizerStep step(c.rate, c.prefix);
  CompileOptions o = compile_options(c, name, true, std::move(list));
  o.updates = updates;
  for (std::size_t i = 0; i < trained.size(); ++i) {
    Tensor g = gradients[i];
    if (const double limit = c.options->clip_value; limit > 0) g = clip(g, -limit, limit);
    step.begin(trained[i]);
    o.updates.push_back({trained[i], c.options->optimizer(step, trained[i], g)});
  }
  o.updates.insert(o.updates.end(), step.assignments().begin(), step.assignments().end());
  return {weft::compile(results, o), tensors_of(results)};
}

// One function: gather the batch's rows from the resident data, and train on them.
const DataFunction& Model::Impl::training_step(Compiled& c, const std::vector<Type>& x,
                                               const std::vector<Type>& y) const {
  const Tracing tracing(*trace);
  const std::string key = key_of(x, y);
  if (auto it = c.training.find(key); it != c.training.end()) return c.last_training = key, it->second;
  LocScope scope(c.where);
  GraphScope graph(trace);
  std::vector<Tensor> list = placeholders(x, x_names(inputs));
  for (const Tensor& t : placeholders(y, y_names(y.size()))) list.push_back(t);
  const Tensor indices = placeholder(i32, {kBatch}, trace->unique_name("indices"));
  std::vector<Tensor> x_rows, y_rows;
  for (std::size_t i = 0; i < list.size(); ++i) (i < x.size() ? x_rows : y_rows).push_back(gather(list[i], indices));
  list.push_back(indices);
  TrainedOn trained = train_on(c, "training_step", list, x_rows, y_rows);
  DataFunction made = data_function(std::move(trained.run), trained.results, x_rows, y_rows);
  c.last_training = key;
  return c.training.emplace(key, std::move(made)).first->second;
}

const DataFunction& Model::Impl::evaluation_step(Compiled& c, const std::vector<Type>& x_rows,
                                                 const std::vector<Type>& y_rows) const {
  const Tracing tracing(*trace);
  const std::string key = key_of(x_rows, y_rows);
  if (auto it = c.evaluation.find(key); it != c.evaluation.end()) return it->second;
  LocScope scope(c.where);
  GraphScope graph(trace);
  const std::vector<Tensor> x = placeholders(x_rows, x_names(inputs)), y = placeholders(y_rows, y_names(y_rows.size()));
  std::vector<Tensor> list = x;
  list.insert(list.end(), y.begin(), y.end());
  const std::vector<NamedTensor> results = scores(c, x, y).results;
  Executable run = weft::compile(results, compile_options(c, "evaluation", false, list));
  return c.evaluation.emplace(key, data_function(std::move(run), tensors_of(results), x, y)).first->second;
}

const DataFunction& Model::Impl::prediction_step(Compiled& c, const std::vector<Type>& x_rows) const {
  const Tracing tracing(*trace);
  const std::string key = key_of(x_rows);
  if (auto it = c.prediction.find(key); it != c.prediction.end()) return it->second;
  LocScope scope(where);
  GraphScope graph(trace);
  const std::vector<Tensor> x = placeholders(x_rows, x_names(inputs));
  std::vector<Substitution> with;
  for (std::size_t i = 0; i < inputs.size(); ++i) with.push_back({inputs[i], adapt(x[i], inputs[i].type())});
  const std::vector<Tensor> results = substitute(outputs, with);
  Executable run = weft::compile({results.begin(), results.end()}, compile_options(c, "prediction", false, x));
  return c.prediction.emplace(key, data_function(std::move(run), results, x, {})).first->second;
}

std::vector<ExportedFunction> Model::Impl::exported(const Compiled& c, bool training) const {
  const Tracing tracing(*trace);
  LocScope scope(c.options ? c.where : where);
  GraphScope graph(trace);
  std::vector<ExportedFunction> functions;
  if (training) {
    std::vector<Tensor> targets, arguments = inputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Type type = c.losses[i].target() == Loss::labels ? label_type(output_types[i]) : output_types[i];
      targets.push_back(placeholder(type.dtype, type.shape, trace->unique_name("target")));
    }
    arguments.insert(arguments.end(), targets.begin(), targets.end());
    functions.push_back({"step", train_on(c, "step", arguments, inputs, targets).run});
  }
  functions.push_back(
      {"predict", weft::compile({outputs.begin(), outputs.end()}, compile_options(c, "predict", false, inputs))});
  return functions;
}

ObjectFile Model::compile_object(const ExportOptions& options, std::source_location where) const {
  LocScope scope(where);
  const std::shared_ptr<Compiled> c = options.training ? impl_->compiled("compile_object") : impl_->compiled();
  if (options.batch.empty()) fail("{}compile_object: no batch; expected one number of rows or several", where_prefix());
  ObjectOptions object = options.object;
  if (options.training)
    object.initial.emplace(c->rate.name(), impl_->rates(*c, impl_->position(*c).steps, 1).reshaped({}));
  std::vector<ExportedFunction> functions;
  for (const ExportedFunction& f : impl_->exported(*c, options.training))
    for (const std::int64_t batch : options.batch) {
      if (batch < 1) fail("{}compile_object: a batch of {}; expected 1 or more", where_prefix(), batch);
      const std::string name = options.batch.size() == 1 ? f.name : fmt::format("{}_{}", f.name, batch);
      functions.push_back({name, f.run, {{kBatch, batch}}});
    }
  return weft::compile_object(functions, object, where);
}

Tally::Tally(const std::vector<Metric>& metrics, const Executable& step) : metrics_(metrics), totals_(metrics.size()) {
  const std::vector<std::string> names = step.output_names();
  for (const Metric& m : metrics) {
    MetricOutputs place{1, 0};
    if (!places_.empty()) place.begin = places_.back().begin + places_.back().count;
    while (place.begin + place.count < names.size() &&
           names[place.begin + place.count] == fmt::format("{}.{}", m.name, place.count))
      ++place.count;
    places_.push_back(place);
  }
}

void Tally::add_step(const std::vector<Array>& outputs, std::int64_t step, std::int64_t samples) {
  loss_ += outputs[0].at(step) * static_cast<double>(samples);
  samples_ += samples;
  for (std::size_t m = 0; m < places_.size(); ++m) {
    std::vector<Array>& sums = totals_[m];
    for (std::size_t i = 0; i < places_[m].count; ++i) {
      const Array& part = outputs[places_[m].begin + i];
      if (i == sums.size()) {
        Type total{f64, part.shape()};
        total.shape.erase(0);
        sums.emplace_back(total);
      }
      const auto values = sums[i].as<double>();
      const std::int64_t first = step * sums[i].size();
      for (std::int64_t e = 0; e < sums[i].size(); ++e) values[static_cast<std::size_t>(e)] += part.at(first + e);
    }
  }
}

std::map<std::string, double> Tally::logs(const std::string& prefix) const {
  std::map<std::string, double> logs{{prefix + "loss", loss()}};
  for (std::size_t m = 0; m < metrics_.size(); ++m)
    if (!totals_[m].empty())
      logs[prefix + metrics_[m].name] = call(metrics_[m].result, "Metric::result", totals_[m], samples_);
  return logs;
}

}  // namespace weft

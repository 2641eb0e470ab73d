// The functions that a model compiles: the training step, and those that evaluate and predict.
#include <algorithm>

#include "frontend/model_impl.h"
#include "frontend/node.h"

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

std::int64_t steps_within(std::int64_t bytes, const Executable& step, std::int64_t batch) {
  std::int64_t each = 1;
  for (const Type& t : step.output_types(batch)) each += byte_size(t);
  return std::max<std::int64_t>(1, bytes / each);
}

std::vector<Array> rows_of(std::span<const Array> arrays, std::int64_t begin, std::int64_t end) {
  std::vector<Array> rows;
  for (const Array& a : arrays) rows.push_back(a.view_rows(begin, end));
  return rows;
}

Tensor Model::Impl::adapt(const Tensor& rows, const Type& want, const std::string& name) const {
  auto refuse = [&](std::string_view why) {
    fail("{}input '{}' takes {}, the data has rows of {}: {}", where_prefix(), name, to_string(want),
         to_string(rows.type()), why);
  };
  Tensor x = rows;
  if (is_float(want.dtype) && x.dtype() == u8) {
    x = astype(x, want.dtype) * (1.0 / 255);
  } else if (x.dtype() != want.dtype) {
    if (is_float(x.dtype()) && !is_float(want.dtype)) refuse("convert the data first");
    x = astype(x, want.dtype);
  }
  Shape have = x.shape(), wanted = want.shape;
  have.erase(0);
  wanted.erase(0);
  if (element_count(have) != element_count(wanted)) refuse("the numbers of elements differ");
  return reshape(x, want.shape);
}

std::vector<NamedTensor> Model::Impl::scores(const std::vector<Tensor>& x_rows,
                                             const std::vector<Tensor>& y_rows) const {
  std::vector<Substitution> with;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    with.push_back({inputs[i], adapt(x_rows[i], inputs[i].type(), inputs[i].name())});
  const std::vector<Tensor> predictions = substitute(outputs, with);
  Tensor loss;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    Tensor part = mean(losses[i](predictions[i], y_rows[i]));
    if (!options->loss_weights.empty()) part = part * options->loss_weights[i];
    loss = loss.defined() ? loss + part : part;
  }
  for (const Penalty& p : trace->penalties)
    if (stable_names.contains(p.parameter)) loss = loss + Tensor(trace, p.value);
  std::vector<NamedTensor> results{{"loss", loss}};
  for (const Metric& m : options->metrics) {
    const std::vector<Tensor> sums = m.sums(predictions[0], y_rows[0]);
    if (sums.empty()) fail("{}metric '{}' has no sums", where_prefix(), m.name);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (!is_static(sums[i].shape()))
        type_error(m.name, {sums[i]}, "a metric's sum depends on the batch; reduce it over the batch axis");
      results.emplace_back(fmt::format("{}.{}", m.name, i), sums[i]);
    }
  }
  return results;
}

CompileOptions Model::Impl::compile_options(std::string name, bool is_training, std::vector<Tensor> list) const {
  CompileOptions o;
  o.name = std::move(name);
  o.training = is_training;
  o.inputs = std::move(list);
  if (options) {
    o.backend = options->backend;
    o.threads = options->threads;
    o.check = options->check;
    o.numerics = options->numerics;
    o.persistent = options->persistent;
    o.pin = options->pin;
    o.schedules = options->schedules;
    o.seed = seed, o.step = step;
  }
  return o;
}

// One function: gather the batch's rows from the resident data, forward, loss, gradients, optimiser.
DataFunction& Model::Impl::training_step(const std::vector<Type>& x, const std::vector<Type>& y) {
  const DefaultFloats floats;
  const ForkGuard guard;
  const std::lock_guard lock(trace->mutex);
  const std::string key = key_of(x, y);
  if (auto it = training.find(key); it != training.end()) return last_training = key, it->second;
  LocScope scope(compiled_at);
  GraphScope graph(trace);
  std::vector<Tensor> list = placeholders(x, x_names(inputs));
  for (const Tensor& t : placeholders(y, y_names(y.size()))) list.push_back(t);
  const Tensor indices = placeholder(i32, {kBatch}, trace->unique_name("indices"));
  std::vector<Tensor> x_rows, y_rows;
  for (std::size_t i = 0; i < list.size(); ++i) (i < x.size() ? x_rows : y_rows).push_back(gather(list[i], indices));
  list.push_back(indices);

  const std::vector<NamedTensor> results = scores(x_rows, y_rows);
  std::vector<Tensor> trained, gradients;  // parameters that the loss does not depend on are left alone
  const std::vector<Tensor> all = grad(results[0].tensor, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (!is_zero(all[i])) trained.push_back(parameters[i]), gradients.push_back(all[i]);
  if (trained.empty())
    fail(
        "{}the loss depends on no parameter: there is nothing to train (no gradient passes stop_gradient, comparisons "
        "and integers)",
        where_prefix());
  if (options->clip_norm > 0) gradients = clip_by_norm(gradients, options->clip_norm);
  OptimizerStep step(rate, prefix);
  CompileOptions o = compile_options("training_step", true, list);
  for (std::size_t i = 0; i < trained.size(); ++i) {
    Tensor g = gradients[i];
    if (options->clip_value > 0) g = clip(g, -options->clip_value, options->clip_value);
    step.begin(trained[i]);
    o.updates.push_back({trained[i], options->optimizer(step, trained[i], g)});
  }
  o.updates.insert(o.updates.end(), step.assignments().begin(), step.assignments().end());
  DataFunction made{weft::compile(results, o), index_limits(tensors_of(results), x_rows),
                    index_limits(tensors_of(results), y_rows)};
  last_training = key;
  return training.emplace(key, std::move(made)).first->second;
}

DataFunction& Model::Impl::evaluation_step(const std::vector<Type>& x_rows, const std::vector<Type>& y_rows) {
  const DefaultFloats floats;
  const ForkGuard guard;
  const std::lock_guard lock(trace->mutex);
  const std::string key = key_of(x_rows, y_rows);
  if (auto it = evaluation.find(key); it != evaluation.end()) return it->second;
  LocScope scope(compiled_at);
  GraphScope graph(trace);
  const std::vector<Tensor> x = placeholders(x_rows, x_names(inputs)), y = placeholders(y_rows, y_names(y_rows.size()));
  std::vector<Tensor> list = x;
  list.insert(list.end(), y.begin(), y.end());
  const std::vector<NamedTensor> results = scores(x, y);
  return evaluation
      .emplace(key, DataFunction{weft::compile(results, compile_options("evaluation", false, list)),
                                 index_limits(tensors_of(results), x), index_limits(tensors_of(results), y)})
      .first->second;
}

DataFunction& Model::Impl::prediction_step(const std::vector<Type>& x_rows) {
  const DefaultFloats floats;
  const ForkGuard guard;
  const std::lock_guard lock(trace->mutex);
  const std::string key = key_of(x_rows);
  if (auto it = prediction.find(key); it != prediction.end()) return it->second;
  LocScope scope(where);
  GraphScope graph(trace);
  const std::vector<Tensor> x = placeholders(x_rows, x_names(inputs));
  std::vector<Substitution> with;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    with.push_back({inputs[i], adapt(x[i], inputs[i].type(), inputs[i].name())});
  const std::vector<Tensor> results = substitute(outputs, with);
  return prediction
      .emplace(key,
               DataFunction{weft::compile({results.begin(), results.end()}, compile_options("prediction", false, x)),
                            index_limits(results, x),
                            {}})
      .first->second;
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
    if (!totals_[m].empty()) logs[prefix + metrics_[m].name] = metrics_[m].result(totals_[m], samples_);
  return logs;
}

}  // namespace weft

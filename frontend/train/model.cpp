// Model: construction, compile, weights, and what can be asked of it.
#include "frontend/train/model.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "compiler/compilation.h"
#include "frontend/executable/extract.h"
#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"
#include "frontend/train/model_impl.h"

namespace weft {

/// With the model goes what was the model's alone; a thread that does not build in its graph leaves that to the one
/// that does.
void Model::destroy(Impl* model) {
  const std::shared_ptr<Trace> trace = model->trace;
  delete model;
  if (trace && is_built_here(trace) && !LocScope::is_nested()) trace->collect();
}

Model::Model(const Tensor& input, const Tensor& output, std::source_location where)
    : Model(std::vector<Tensor>{input}, std::vector<Tensor>{output}, where) {}

Model::Model(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs, std::source_location where) {
  LocScope scope(where);
  impl_.set({new Impl, destroy});
  if (inputs.empty() || outputs.empty())
    fail("{}Model: {} and {}; expected at least one of each", where_prefix(), counted(inputs.size(), "input"),
         counted(outputs.size(), "output"));
  std::vector<Tensor> all = inputs;
  all.insert(all.end(), outputs.begin(), outputs.end());
  check_operands(all);
  Impl& m = *impl_;
  m.trace = inputs[0].trace();
  m.inputs = inputs;
  m.outputs = outputs;
  for (const Tensor& t : inputs) m.input_types.push_back(t.type());
  for (const Tensor& t : outputs) m.output_types.push_back(t.type());
  m.where = LocScope::current();
  const Graph& g = m.trace->graph;
  for (const Tensor& t : inputs) {
    if (g[t.id()].op != Op::input || m.trace->find(t.id()))
      fail("{}Model: {} is no input; expected a tensor made by input()", where_prefix(), t.str());
    if (t.rank() == 0 || t.shape()[0] != kBatch)
      fail("{}Model: input '{}' is {}; expected a batch axis in front, as input() makes it", where_prefix(), t.name(),
           t.str());
    for (int a = 1; a < t.rank(); ++a)
      if (is_symbol(t.shape()[a]))
        fail("{}Model: input '{}' is {}: extents other than the batch are known in a model; compile() takes others",
             where_prefix(), t.name(), t.str());
    m.input_names.push_back(t.name());
  }
  for (const Tensor& t : outputs)
    if (t.rank() == 0 || t.shape()[0] != kBatch)
      fail("{}Model: output {} has no batch axis in front; expected one row a sample", where_prefix(), t.str());
  const std::vector<bool> used = reached_from(g, ids_of(outputs));
  for (const Input& i : g.inputs()) {
    const bool listed = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& t) { return t.id() == i.id; });
    if (used[i.id] && i.kind == InputKind::data && !i.name.starts_with(kTrainingName) && !listed)
      fail("{}Model: the outputs depend on input '{}' {}, which is not among the model's inputs", where_prefix(),
           i.name, Tensor(m.trace, i.id).str());
    if (!used[i.id] && listed)
      fail("{}Model: no output depends on input '{}' {}; leave it out, or use it", where_prefix(), i.name,
           Tensor(m.trace, i.id).str());
  }
  m.updates = done_in_turn(recorded_updates(outputs));
  std::vector<Tensor> all_results = outputs;
  for (const Assignment& u : m.updates) all_results.push_back(u.state), all_results.push_back(u.value);
  const std::vector<bool> needed = reached_from(g, ids_of(all_results));
  std::map<std::string, std::string> stable_layers;
  std::map<std::string, int> counts;
  for (const Variable& v : m.trace->variables) {
    if (!needed[v.id] || v.name == kSeedName || v.name == kStepName) continue;
    (v.is_parameter ? m.parameters : m.states).emplace_back(m.trace, v.id);
    const std::size_t dot = v.name.find('.');
    const std::string layer = v.name.substr(0, dot);
    auto [it, is_new] = stable_layers.try_emplace(layer);
    if (is_new) {
      const auto base = m.trace->bases.find(layer);
      const std::string& name = base == m.trace->bases.end() ? layer : base->second;
      const int n = counts[name]++;
      it->second = n == 0 ? name : fmt::format("{}_{}", name, n);
    }
    m.stable_names[v.name] = it->second + (dot == std::string::npos ? "" : v.name.substr(dot));
  }
}

const std::vector<Tensor>& Model::inputs() const { return impl_->inputs; }
const std::vector<Tensor>& Model::outputs() const { return impl_->outputs; }
const std::vector<Tensor>& Model::parameters() const { return impl_->parameters; }

const std::vector<Tensor>& Model::states() const { return impl_->states; }

void Model::set_trainable(bool trainable) const {
  for (const auto* all : {&impl_->parameters, &impl_->states})
    for (const Tensor& t : *all) t.set_trainable(trainable);
}

std::int64_t Model::parameter_count() const {
  std::int64_t n = 0;
  for (const Tensor& p : impl_->parameters) n += element_count(p.shape());
  return n;
}

std::vector<Tensor> Model::operator()(const std::vector<Tensor>& inputs, std::source_location where) const {
  LocScope scope(where);
  if (inputs.size() != impl_->inputs.size())
    fail("{}the model takes {} and is called with {}", where_prefix(), counted(impl_->inputs.size(), "input"),
         inputs.size());
  std::vector<Substitution> with;
  std::vector<Tensor> all = impl_->inputs;
  all.insert(all.end(), inputs.begin(), inputs.end());
  check_operands(all);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& own = impl_->inputs[i];
    if (!(inputs[i].type() == own.type()))
      type_error({inputs[i]}, fmt::format("the model's input '{}' takes {}", own.name(), to_string(own.type())));
    with.push_back({own, inputs[i]});
  }
  const std::size_t count = impl_->outputs.size();
  const std::vector<RecordedUpdate> updates = recorded_updates(impl_->outputs);
  std::vector<Tensor> own = impl_->outputs;
  for (const RecordedUpdate& u : updates) own.push_back(u.value), own.push_back(u.with.defined() ? u.with : u.value);
  std::vector<Tensor> results = substitute(own, with);
  for (std::size_t i = 0; i < updates.size(); ++i) {
    const Tensor &value = results[count + 2 * i], &of = results[count + 2 * i + 1];
    if (!value.same(updates[i].value) || !of.same(own[count + 2 * i + 1]))
      impl_->trace->updates.push_back(
          {updates[i].state.id(), value.id(), updates[i].with.defined() ? of.id() : kNoValue});
  }
  results.resize(count);
  impl_->trace->add(LayerCall{impl_->trace->unique_name("model"), "Model", results[0].id(), ids_of(inputs),
                              ids_of(impl_->parameters)});
  return results;
}

namespace {

/// What a compiled model keeps from step to step, made by running the optimiser once on zeros.
struct OptimizerStates {
  std::string prefix;
  Tensor seed, step, rate;
  std::vector<Tensor> slots;

  OptimizerStates(const Model::Impl& m, const std::vector<Tensor>& trained, const TrainOptions& options)
      : prefix(m.trace->unique_name("optimizer")) {
    const std::string random = m.trace->unique_name("random");
    seed = state(Array::scalar(static_cast<std::int64_t>(m.trace->seed)), random + ".seed");
    step = state(Array::scalar(std::int64_t{0}), random + ".step");
    const std::size_t before = m.trace->variables.size();
    const double first = located(
        "compile", [&] { return checked_rate("compile: the optimiser", options.optimizer.learning_rate()(0)); });
    rate = state(Array::scalar(static_cast<float>(first)), prefix + ".learning_rate");
    OptimizerStep update(rate, prefix);
    for (const Tensor& p : trained) {
      update.begin(p);
      const Tensor next = located("compile", [&] { return options.optimizer(update, p, zeros_like(p)); });
      if (!next.defined() || !(next.type() == p.type()))
        fail("{}compile: the optimiser gives {} for parameter '{}'; expected {}", where_prefix(),
             next.defined() ? next.str() : "nothing", p.name(), to_string(p.type()));
    }
    for (std::size_t i = before; i < m.trace->variables.size(); ++i)
      slots.emplace_back(m.trace, m.trace->variables[i].id);
  }
};

/// What a metric is reported as stands beside the loss and the learning rate.
void check_metrics(const std::vector<Metric>& metrics) {
  std::set<std::string> names;
  for (const Metric& m : metrics) {
    if (m.name.empty() || m.name == "loss" || m.name == "learning_rate" || m.name.starts_with("val_"))
      fail("{}compile: a metric is named '{}'; expected a name, and none of those that fit() reports", where_prefix(),
           m.name);
    if (!names.insert(m.name).second) fail("{}compile: metric '{}' is named twice", where_prefix(), m.name);
    if (!m.sums || !m.result)
      fail("{}compile: metric '{}' has no function '{}'", where_prefix(), m.name, m.sums ? "result" : "sums");
  }
}

}  // namespace

void Model::compile(const TrainOptions& options, std::source_location where) {
  const bool is_nested = LocScope::is_nested();
  LocScope scope(where);
  const Model alive = *this;  // whatever the optimiser does with this one
  Impl& m = *alive.impl_;
  const Impl::Changing changing(m, "compile");
  const Tracing tracing(*m.trace);
  const std::string here = where_prefix();
  std::vector<Loss> losses = options.losses;
  if (losses.empty()) losses.assign(m.outputs.size(), options.loss);
  if (losses.size() != m.outputs.size())
    fail("{}compile: {} for {}; expected one for each", here,
         losses.size() == 1 ? "1 loss" : fmt::format("{} losses", losses.size()), counted(m.outputs.size(), "output"));
  for (const Loss& l : losses)
    if (!l) fail("{}compile: no loss; set .loss, for example to softmax_cross_entropy or mse", here);
  if (!options.loss_weights.empty() && options.loss_weights.size() != m.outputs.size())
    fail("{}compile: {} for {}; expected one for each", here, counted(options.loss_weights.size(), "loss weight"),
         counted(m.outputs.size(), "output"));
  for (const double w : options.loss_weights) check_number("compile", "a loss weight", w, Domain::not_negative);
  if (m.parameters.empty()) fail("{}compile: the model has no parameters to train", here);
  std::vector<Tensor> trained;
  std::ranges::copy_if(m.parameters, std::back_inserter(trained), &Tensor::trainable);
  if (trained.empty())
    fail("{}compile: none of the model's parameters is trainable; see Tensor::set_trainable()", here);
  check_number("compile", "clip_norm", options.clip_norm, Domain::not_negative);
  check_number("compile", "clip_value", options.clip_value, Domain::not_negative);
  check_metrics(options.metrics);
  (void)located("compile", [&] { return machine_of(place_of(options)); });

  // The optimiser runs once on zeros, so that its states exist (and can be loaded) before there is data. Whatever it
  // throws leaves the model as it was: what has been compiled goes when all is there that takes its place.
  GraphScope graph(m.trace);
  OptimizerStates made(m, trained, options);
  auto next = std::make_shared<Compiled>();
  Compiled& c = *next;
  c.losses = std::move(losses);
  c.where = LocScope::current();
  c.prefix = made.prefix;
  c.rate = made.rate;
  c.seed = made.seed, c.step = made.step;
  c.slots = std::move(made.slots);
  c.trained = std::move(trained);
  for (const Assignment& u : m.updates)
    if (u.state.trainable()) c.kept.push_back(u);
  c.options = options;
  const bool is_anew = m.current->options.has_value();
  m.current = std::move(next);
  if (is_anew && !is_nested) m.trace->collect();
}

Model::Impl::Changing::Changing(Impl& m, const char* call, Nesting nesting) : change_(m.change) {
  const std::lock_guard lock(change_.mutex);
  const auto here = std::this_thread::get_id();
  if (change_.call) {
    if (nesting == alone || change_.thread != here)
      fail("{}: the model is being changed by another call, {}(){}, which must return first", call, change_.call,
           change_.thread == here ? "" : " on another thread");
    is_nested_ = true;
    return;
  }
  change_.call = call;
  change_.thread = here;
}

Model::Impl::Changing::~Changing() {
  if (is_nested_) return;
  const std::lock_guard lock(change_.mutex);
  change_.call = nullptr;
}

std::shared_ptr<Compiled> Model::Impl::compiled() const {
  const Tracing tracing(*trace);
  return current;
}

std::shared_ptr<Compiled> Model::Impl::compiled(std::string_view what) const {
  std::shared_ptr<Compiled> c = compiled();
  if (!c->options) fail("{}: the model is not compiled; call model.compile({{.optimizer = …, .loss = …}}) first", what);
  return c;
}

Position Model::Impl::position(const Compiled& c) const {
  const Tracing tracing(*trace);
  return c.position;
}

void Model::Impl::set_position(Compiled& c, const Position& position) const {
  const Tracing tracing(*trace);
  c.position = position;
}

Array Model::Impl::rates(const Compiled& c, std::int64_t first, std::int64_t count) const {
  std::optional<double> override;
  {
    const Tracing tracing(*trace);
    override = c.rate_override;
  }
  Array rates(Type{f32, {count}});
  for (std::int64_t s = 0; s < count; ++s)
    rates.as<float>()[static_cast<std::size_t>(s)] =
        static_cast<float>(override ? *override
                                    : checked_rate(fmt::format("fit: step {}", first + s),
                                                   c.options->optimizer.learning_rate()(first + s)));
  return rates;
}

Executable Model::training_step(const std::vector<Type>& x, const std::vector<Type>& y, std::int64_t batch) {
  const std::shared_ptr<Compiled> c = impl_->compiled("training_step");
  if (x.size() != impl_->inputs.size() || y.size() != impl_->outputs.size())
    fail("training_step: {} and {}; expected {} and {}", counted(x.size(), "input"), counted(y.size(), "target"),
         impl_->inputs.size(), impl_->outputs.size());
  impl_->check_types("training_step", *c, x, y);
  Executable step = impl_->training_step(*c, x, y).run;
  step.prepare(batch);
  return step;
}

std::string Model::dump(Stage stage) {
  const std::shared_ptr<Compiled> c = impl_->compiled("dump");
  const Tracing tracing(*impl_->trace);
  if (c->training.empty()) {
    constexpr std::int64_t kSamples = 1024, kBatchSize = 128;
    auto resident = [](Type t) { return t.shape[0] = kSamples, t; };
    std::vector<Type> x, y;
    for (const Tensor& t : impl_->inputs) x.push_back(resident(t.type()));
    for (std::size_t i = 0; i < impl_->outputs.size(); ++i)
      y.push_back(c->losses[i].target() == Loss::labels ? resident(label_type(impl_->outputs[i].type()))
                                                        : resident(impl_->outputs[i].type()));
    return training_step(x, y, kBatchSize).dump(stage);
  }
  return c->training.at(c->last_training).run.dump(stage);
}

double Model::compile_seconds() const {
  const Tracing tracing(*impl_->trace);
  const Compiled& c = *impl_->current;
  double total = 0;
  for (const auto* all : {&c.training, &c.evaluation, &c.prediction})
    for (const auto& [key, function] : *all) total += function.run.compile_seconds();
  return total;
}

int Model::threads() const {
  const Tracing tracing(*impl_->trace);
  const Compiled& c = *impl_->current;
  for (const auto* all : {&c.training, &c.evaluation, &c.prediction})
    for (const auto& [key, function] : *all) return function.run.threads();
  return threads_of(c.place());
}

std::string Model::device() const { return describe(impl_->compiled()->place()); }

double Model::learning_rate() const {
  const std::shared_ptr<Compiled> c = impl_->compiled("learning_rate");
  const Tracing tracing(*impl_->trace);
  return c->rate_override ? *c->rate_override : c->options->optimizer.learning_rate()(c->position.steps);
}

void Model::set_learning_rate(double rate) {
  const Impl::Changing changing(*impl_, "set_learning_rate", Impl::Changing::in_a_callback);
  const std::shared_ptr<Compiled> c = impl_->compiled("set_learning_rate");
  checked_rate("set_learning_rate", rate);
  const Tracing tracing(*impl_->trace);
  c->rate_override = rate;
}

std::map<std::string, Array> Model::weights() const {
  std::map<std::string, Array> all;
  for (const Impl::Saved& s : impl_->values()) all[s.name] = s.value->read();
  return all;
}

void Model::set_weights(const std::map<std::string, Array>& weights) {
  const Impl::Changing changing(*impl_, "set_weights", Impl::Changing::in_a_callback);
  std::vector<std::pair<std::shared_ptr<StateValue>, const Array*>> found;
  std::set<std::string> known;
  for (const Impl::Saved& s : impl_->values()) {
    known.insert(s.name);
    const std::string type = to_string(s.value->type());
    const auto it = weights.find(s.name);
    if (it == weights.end()) fail("set_weights: '{}' is missing; expected {}", s.name, type);
    if (!(it->second.type() == s.value->type()))
      fail("set_weights: '{}' is {}; expected {}", s.name, to_string(it->second.type()), type);
    found.emplace_back(s.value, &it->second);
  }
  for (const auto& [name, value] : weights)
    if (!known.contains(name)) fail("set_weights: the model has no '{}'; it has {}", name, fmt::join(known, ", "));
  for (const auto& [state, value] : found) state->write(*value);
}

}  // namespace weft

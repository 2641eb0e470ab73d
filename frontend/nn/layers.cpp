// Layers: parameters made at the first call, and the record of each call.
#include "frontend/nn/layers.h"

#include <algorithm>
#include <cctype>

#include "frontend/tensor/domain.h"
#include "frontend/tensor/node.h"
#include "ir/base/lexer.h"

namespace weft {
namespace {

/// "layer_norm" of "LayerNorm", "simple_rnn" of "SimpleRNN", "conv2d_transpose" of "Conv2DTranspose".
std::string snake_case(const std::string& kind) {
  const auto is_upper = [&](std::size_t i) {
    return i < kind.size() && std::isupper(static_cast<unsigned char>(kind[i]));
  };
  const auto is_digit = [&](std::size_t i) { return std::isdigit(static_cast<unsigned char>(kind[i])) != 0; };
  std::string s;
  for (std::size_t i = 0; i < kind.size(); ++i) {
    const bool ends_capitals = i > 0 && is_upper(i - 1) && i + 1 < kind.size() && !is_upper(i + 1);
    if (i > 0 && is_upper(i) && !is_digit(i - 1) && (!is_upper(i - 1) || ends_capitals)) s += '_';
    s += static_cast<char>(std::tolower(static_cast<unsigned char>(kind[i])));
  }
  return s;
}

}  // namespace

Layer::Layer(std::string kind, std::string name, std::source_location where)
    : kind_(std::move(kind)), asked_(std::move(name)) {
  const LocScope scope(where);
  if (!asked_.empty() && !is_name(asked_))
    fail("{}{}: the name '{}' is none: expected text in UTF-8", where_prefix(), kind_, asked_);
}

void Layer::enter(const Tensor& x, std::source_location where) {
  const LocScope scope(where, kind_);
  check_operands({x});
  updates_.clear();
  if (trace_ == x.trace() && (built() || named_in_ == trace_->name_generation)) return;
  if (!built()) {
    trace_ = x.trace();
    named_in_ = trace_->name_generation;
    name_ = trace_->unique_name(asked_.empty() ? snake_case(kind_) : asked_);
  } else {
    type_error({x},
               fmt::format("layer '{}' has its parameters in another graph; make a new layer for this one", name_));
  }
}

Tensor Layer::weight(const std::string& suffix, const Shape& shape, const Initializer& init,
                     std::source_location where) {
  const LocScope scope(where, kind_);
  check_entered();
  const GraphScope graph(trace_);
  try {
    parameters_.push_back(parameter(shape, init, name_ + "." + suffix));
    parameters_.back().set_trainable(is_trainable_);
  } catch (...) {
    drop_all();
    throw;
  }
  return parameters_.back();
}

void Layer::check_entered() const {
  if (!trace_) fail("{}{}: a call begins with enter()", where_prefix(), kind_);
}

Tensor Layer::state(const std::string& suffix, const Array& initial, std::source_location where) {
  const LocScope scope(where, kind_);
  check_entered();
  const GraphScope graph(trace_);
  try {
    states_.push_back(weft::state(initial, name_ + "." + suffix));
    states_.back().set_trainable(is_trainable_);
  } catch (...) {
    drop_all();
    throw;
  }
  return states_.back();
}

void Layer::drop_all() {
  parameters_.clear(), states_.clear(), adopted_.clear();
  trace_.reset();
}

void Layer::update(const Tensor& state, const Tensor& value, std::source_location where) {
  const LocScope scope(where, kind_);
  check_entered();
  weft::update(state, value);
  trace_->updates.pop_back();
  updates_.emplace_back(state, value);
}

void Layer::adopt(const Layer& inner) {
  for (const Tensor& t : inner.parameters()) parameters_.push_back(t), adopted_.push_back(t);
  for (const Tensor& t : inner.states()) states_.push_back(t);
  if (is_trainable_) return;
  for (const auto* all : {&inner.parameters_, &inner.states_})
    for (const Tensor& t : *all) t.set_trainable(false);
}

void Layer::set_trainable(bool trainable) {
  is_trainable_ = trainable;
  for (const auto* all : {&parameters_, &states_})
    for (const Tensor& t : *all) t.set_trainable(trainable);
}

Tensor Layer::called(const std::vector<Tensor>& inputs, const Tensor& output) {
  std::vector<Tensor> own = parameters_;
  std::erase_if(
      own, [&](const Tensor& p) { return std::ranges::any_of(adopted_, [&](const Tensor& a) { return a.same(p); }); });
  trace_->add(LayerCall{name_, kind_, output.id(), ids_of(inputs), ids_of(own)});
  for (const auto& [state, value] : updates_) trace_->updates.push_back({state.id(), value.id(), output.id()});
  updates_.clear();
  return output;
}

Dense::Dense(std::int64_t units, Activation activation, DenseOptions options, std::source_location where)
    : Layer("Dense", options.name, where),
      units_(units),
      activation_(std::move(activation)),
      options_(std::move(options)) {
  const LocScope scope(where);
  check_count("Dense", "units", units_);
  check_number("Dense", "l1", options_.l1, Domain::not_negative);
  check_number("Dense", "l2", options_.l2, Domain::not_negative);
  callable(options_.weight_init, "Dense: weight_init", where);
  callable(options_.bias_init, "Dense: bias_init", where);
}

Tensor Dense::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  if (x.rank() < 2) type_error_of(name(), {x}, "expected a batch axis and features, [.., in]");
  const std::int64_t in = x.shape().back();
  if (is_symbol(in)) type_error_of(name(), {x}, "the last axis is the batch; expected features, [.., in]");
  if (!built()) {
    const Tensor w = weight("weight", {in, units_}, options_.weight_init);
    if (options_.use_bias) weight("bias", {units_}, options_.bias_init);
    Tensor penalty;
    if (options_.l1 > 0) penalty = options_.l1 * sum(abs(w));
    if (options_.l2 > 0)
      penalty = penalty.defined() ? penalty + options_.l2 * sum(square(w)) : options_.l2 * sum(square(w));
    if (penalty.defined()) x.trace()->penalties.push_back({w.id(), penalty.id()});
  }
  const Tensor& w = parameters()[0];
  if (in != w.shape()[0])
    type_error_of(name(), {x, w},
                  fmt::format("the layer was built for {} features and is given {}; expected [.., {}]", w.shape()[0],
                              in, w.shape()[0]));
  Tensor y = matmul(x, w);
  if (options_.use_bias) y = y + parameters()[1];
  return called({x}, activation_(y));
}

Activate::Activate(Activation activation, std::string name, std::source_location where)
    : Layer("Activation", std::move(name), where), activation_(std::move(activation)) {}

Tensor Activate::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, activation_(x));
}

Flatten::Flatten(std::string name, std::source_location where) : Layer("Flatten", std::move(name), where) {}

Tensor Flatten::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, flatten(x));
}

Dropout::Dropout(double rate, std::string name, std::source_location where)
    : Layer("Dropout", std::move(name), where), rate_(rate) {
  const LocScope scope(where);
  check_number("Dropout", "rate", rate, Domain::below_one);
}

Tensor Dropout::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  return called({x}, dropout(x, rate_));
}

LayerNorm::LayerNorm(double epsilon, std::string name, std::source_location where)
    : Layer("LayerNorm", std::move(name), where), epsilon_(epsilon) {
  const LocScope scope(where);
  check_number("LayerNorm", "epsilon", epsilon, Domain::not_negative);
}

Tensor LayerNorm::operator()(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  enter(x);
  if (x.rank() < 2) type_error_of(name(), {x}, "expected a batch axis and features, [.., n]");
  if (!built()) {
    weight("scale", {x.shape().back()}, ones());
    weight("offset", {x.shape().back()}, zeros());
  }
  return called({x}, layer_norm(x, parameters()[0], parameters()[1], epsilon_));
}

Embedding::Embedding(std::int64_t count, std::int64_t width, Initializer init, std::string name,
                     std::source_location where)
    : Layer("Embedding", std::move(name), where), count_(count), width_(width), init_(std::move(init)) {
  const LocScope scope(where);
  check_count("Embedding", "count", count);
  check_count("Embedding", "width", width);
  callable(init_, "Embedding: init", where);
}

Tensor Embedding::operator()(const Tensor& indices, std::source_location where) {
  LocScope scope(where);
  enter(indices);
  if (!is_integer(indices.dtype())) type_error_of(name(), {indices}, "takes integers; convert with astype(x, i32)");
  if (!built()) weight("table", {count_, width_}, init_);
  return called({indices}, gather(parameters()[0], indices.dtype() == u8 ? astype(indices, i32) : indices));
}

}  // namespace weft

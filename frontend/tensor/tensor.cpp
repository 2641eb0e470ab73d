// Tensors, where they come from, and operators.
#include "frontend/tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "frontend/tensor/functions.h"
#include "frontend/tensor/handle.h"
#include "frontend/tensor/node.h"

namespace weft {
namespace {

/// While it lives, no other thread moves the graph's values (Trace::collect).
std::unique_lock<FairRecursiveMutex> looking_at(const Tensor& t) {
  return t.defined() ? std::unique_lock(t.trace()->mutex) : std::unique_lock<FairRecursiveMutex>();
}

Variable variable_of(const Tensor& t, std::string_view what) {
  const auto lock = looking_at(t);
  if (t.defined())
    if (Variable* v = t.trace()->find(t.id())) return *v;
  fail("{}: {} is no parameter or state; only those hold a value between calls", what,
       t.defined() ? t.str() : "an empty Tensor");
}

Tensor make_input(std::string_view base, const std::string& name, const Type& type, InputKind kind) {
  const std::shared_ptr<Trace>& trace = current_trace();
  const std::string chosen = name.empty() ? trace->unique_name(std::string(base)) : name;
  if (const ValueId other = trace->graph.find_input(chosen); other != kNoValue)
    fail("{}input '{}' exists already, from {}; expected another name, or a GraphScope around each model",
         call_prefix(), chosen, trace->graph[other].locs.str());
  return {trace, renamed("", [&] { return trace->graph.input(chosen, type, kind, LocScope::current()); })};
}

Tensor data_input(const std::string& name, const Type& type) {
  for (const std::int64_t extent : type.shape)
    if (extent < 0 && !is_symbol(extent))
      fail("{}shape {} has a negative extent", call_prefix(), to_string(type.shape));
  return make_input("input", name, type, InputKind::data);
}

/// At the beginning of a user's call (weft's own may hold ids of values): the place to drop what is not needed.
void begin_source(const std::string& name) {
  if (LocScope::is_nested()) return;
  Trace& trace = *current_trace();
  if (!name.empty() && trace.graph.find_input(name) != kNoValue)
    trace.collect(Trace::names);  // it may have been a tensor's that is gone
  else
    trace.collect_if_grown();
}

}  // namespace

std::pair<Tensor, Tensor> unify(const Operand& a, const Operand& b) {
  if (a.is_number() && b.is_number()) fail("{}both operands are numbers; expected a Tensor", call_prefix());
  const Operand& known = a.is_number() ? b : a;
  check_operands({known.tensor()});
  const Tensor x = a.resolve(known.tensor().trace(), known.tensor().dtype());
  const Tensor y = b.resolve(known.tensor().trace(), known.tensor().dtype());
  check_operands({x, y});
  if (x.dtype() != y.dtype())
    type_error({x, y},
               fmt::format("dtypes differ: {} and {}; convert one with astype()", name(x.dtype()), name(y.dtype())));
  const Shape shape = broadcast_shape({x, y});
  return {spread_trailing(x, shape), spread_trailing(y, shape)};
}

Tensor binary(Op op, const Operand& a, const Operand& b, std::string_view function) {
  LocScope scope(a.where(), function.empty() ? name(op) : function);
  auto [x, y] = unify(a, b);
  return node(op, {x, y});
}

Type Tensor::type() const {
  if (!defined())
    fail("{}an empty Tensor has no type; expected one made by input(), parameter() or a function", call_prefix());
  const auto lock = looking_at(*this);
  return trace_->graph[id()].type;
}

std::string Tensor::name() const {
  const auto lock = looking_at(*this);
  const Input* i = defined() ? trace_->graph.find_input(id()) : nullptr;
  if (!i) fail("name: {} is no input, parameter or state, so it has no name", defined() ? str() : "an empty Tensor");
  return i->name;
}

LocSet Tensor::locs() const {
  const auto lock = looking_at(*this);
  return defined() ? trace_->graph[id()].locs : LocSet();
}

std::string Tensor::str() const { return to_string(type()) + (locs().empty() ? "" : " (" + locs().str() + ")"); }

Array Tensor::value() const { return variable_of(*this, "value").value->read(); }

void Tensor::set_value(const Array& value) const {
  const Variable v = variable_of(*this, "set_value");
  if (!(value.type() == v.value->type()))
    fail("set_value: '{}' is {}, the new value is {}; expected the same type", v.name, to_string(v.value->type()),
         to_string(value.type()));
  v.value->write(value);
}

void Tensor::set_trainable(bool trainable) const {
  const auto lock = looking_at(*this);
  (void)variable_of(*this, "set_trainable");
  trace_->find(id())->trainable = trainable;
}

bool Tensor::trainable() const { return variable_of(*this, "trainable").trainable; }

Tensor Operand::resolve(const std::shared_ptr<Trace>& trace, DType dtype) const {
  return is_number_ ? number_in(trace, number_, dtype) : tensor_;
}

Tensor input(DType dtype, const Shape& per_sample, const std::string& name, std::source_location where) {
  begin_source(name);
  LocScope scope(where);
  if (per_sample.rank() == kMaxRank)
    fail("{}shape {} has {} axes; with the batch axis at most {} are possible", call_prefix(), to_string(per_sample),
         per_sample.rank(), kMaxRank);
  Shape shape = per_sample;
  shape.insert(0, kBatch);
  return data_input(name, {dtype, shape});
}

Tensor placeholder(DType dtype, const Shape& shape, const std::string& name, std::source_location where) {
  begin_source(name);
  LocScope scope(where);
  return data_input(name, {dtype, shape});
}

namespace {

Tensor variable(std::string_view base, const std::string& name, const Array& value, bool is_parameter) {
  const Tensor t = make_input(base, name, value.type(), InputKind::state);
  t.trace()->add(Variable{t.id(), t.name(), std::make_shared<StateValue>(value), is_parameter});
  return t;
}

}  // namespace

Tensor parameter(const Shape& shape, const Initializer& init, const std::string& name, std::source_location where) {
  begin_source(name);
  LocScope scope(where);
  if (!is_static(shape)) fail("{}shape {} has an unbound extent; expected known ones", call_prefix(), to_string(shape));
  located(LocScope::function(), [&] { return element_count(shape); });
  Trace& trace = *current_trace();
  Array value = located(LocScope::function(),
                        [&] { return call(init, "Initializer", shape, trace.seed, trace.parameter_stream); });
  if (!(value.type() == Type{f32, shape}))
    fail("{}the initialiser made {}; expected {}", call_prefix(), to_string(value.type()), to_string(Type{f32, shape}));
  const Tensor made = variable("parameter", name, std::move(value), true);
  ++trace.parameter_stream;
  return made;
}

Tensor state(const Array& initial, const std::string& name, std::source_location where) {
  begin_source(name);
  LocScope scope(where);
  return variable("state", name, initial, false);
}

void update(const Tensor& state, const Tensor& value, std::source_location where) {
  LocScope scope(where);
  check_operands({state, value});
  Trace& trace = *state.trace();
  const Variable* v = trace.find(state.id());
  if (!v || v->is_parameter)
    type_error({state, value}, fmt::format("the first operand is {}; expected one made by state()",
                                           v ? "a parameter, which the optimiser updates" : "no state"));
  if (!(state.type() == value.type()))
    type_error({state, value}, fmt::format("the new value of state '{}' is {}; expected {}", state.name(),
                                           to_string(value.type()), to_string(state.type())));
  if (!trace.turns.empty())
    type_error({state, value},
               "it stands in a scan(): carry what its turns make, and update the state with the result");
  trace.updates.push_back({state.id(), value.id()});
}

Tensor constant(const Array& value, std::source_location where) {
  begin_source("");
  LocScope scope(where);
  return literal(current_trace(), value.clone());
}

Tensor constant(const Number& value, DType dtype, std::source_location where) {
  LocScope scope(where);
  return number_in(current_trace(), value, dtype);
}

Tensor full(DType dtype, const Shape& shape, const Number& value, std::source_location where) {
  LocScope scope(where);
  return spread_trailing(constant(value, dtype), shape);
}

Tensor zeros_like(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return spread_trailing(scalar_like(x, 0), x.shape());
}

Tensor ones_like(const Tensor& x, std::source_location where) {
  LocScope scope(where);
  return spread_trailing(scalar_like(x, 1), x.shape());
}

Tensor iota(DType dtype, const Shape& shape, int axis, std::source_location where) {
  LocScope scope(where);
  return leaf(Op::iota, Attrs::axis(axis < 0 ? axis + shape.rank() : axis), {dtype, shape});
}

Tensor arange(std::int64_t n, DType dtype, std::source_location where) {
  LocScope scope(where);
  if (n < 0 && !is_symbol(n)) fail("{}{} numbers; expected 0 or more", call_prefix(), n);
  return iota(dtype, {n}, 0);
}

Tensor training(std::source_location where) {
  LocScope scope(where);
  const std::shared_ptr<Trace>& trace = current_trace();
  if (ValueId id = trace->graph.find_input(kTrainingName); id != kNoValue) return {trace, id};
  return make_input("", std::string(kTrainingName), {boolean, {}}, InputKind::data);
}

Tensor training(const Tensor& state, std::source_location where) {
  LocScope scope(where);
  const std::string name = std::string(kTrainingName) + ":" + variable_of(state, "training").name;
  if (ValueId id = state.trace()->graph.find_input(name); id != kNoValue) return {state.trace(), id};
  const GraphScope graph(state.trace());
  return make_input("", name, {boolean, {}}, InputKind::data);
}

Tensor operator-(const Operand& x) {
  LocScope scope(x.where(), name(Op::neg));
  return node(Op::neg, {x.tensor()});
}
Tensor operator~(const Operand& x) {
  LocScope scope(x.where(), name(Op::logical_not));
  return node(Op::logical_not, {x.tensor()});
}
Tensor operator+(const Operand& a, const Operand& b) { return binary(Op::add, a, b); }
Tensor operator-(const Operand& a, const Operand& b) { return binary(Op::sub, a, b); }
Tensor operator*(const Operand& a, const Operand& b) { return binary(Op::mul, a, b); }
Tensor operator/(const Operand& a, const Operand& b) { return binary(Op::div, a, b); }
Tensor operator%(const Operand& a, const Operand& b) { return binary(Op::rem, a, b); }
Tensor operator&(const Operand& a, const Operand& b) { return binary(Op::bit_and, a, b); }
Tensor operator|(const Operand& a, const Operand& b) { return binary(Op::bit_or, a, b); }
Tensor operator^(const Operand& a, const Operand& b) { return binary(Op::bit_xor, a, b); }
Tensor operator<<(const Operand& a, const Operand& b) { return binary(Op::shl, a, b); }
Tensor operator>>(const Operand& a, const Operand& b) { return binary(Op::shr, a, b); }
Tensor operator==(const Operand& a, const Operand& b) { return binary(Op::eq, a, b); }
Tensor operator!=(const Operand& a, const Operand& b) { return binary(Op::ne, a, b); }
Tensor operator<(const Operand& a, const Operand& b) { return binary(Op::lt, a, b); }
Tensor operator<=(const Operand& a, const Operand& b) { return binary(Op::le, a, b); }
Tensor operator>(const Operand& a, const Operand& b) { return binary(Op::gt, a, b); }
Tensor operator>=(const Operand& a, const Operand& b) { return binary(Op::ge, a, b); }

Tensor maximum(const Operand& a, const Operand& b) { return binary(Op::max, a, b, "maximum"); }
Tensor minimum(const Operand& a, const Operand& b) { return binary(Op::min, a, b, "minimum"); }

Tensor where(const Tensor& p, const Operand& a, const Operand& b) {
  LocScope scope(a.where());
  check_operands({p});
  if (p.dtype() != boolean) type_error({p}, "the condition must be bool");
  const bool numbers = a.is_number() && b.is_number();
  const DType dtype = numbers ? f32 : (a.is_number() ? b : a).tensor().dtype();
  const Tensor x = a.resolve(p.trace(), dtype), y = b.resolve(p.trace(), dtype);
  check_operands({p, x, y});
  if (x.dtype() != y.dtype())
    type_error({p, x, y}, fmt::format("branches differ in dtype: {} and {}; convert one with astype()", name(x.dtype()),
                                      name(y.dtype())));
  const Shape shape = broadcast_shape({p, x, y});
  return node(Op::select, {spread_trailing(p, shape), spread_trailing(x, shape), spread_trailing(y, shape)});
}

}  // namespace weft

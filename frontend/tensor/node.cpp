// Adding nodes to a trace, broadcasting, and the errors of both.
#include "frontend/tensor/node.h"

#include <algorithm>

#include "frontend/tensor/functions.h"
#include "frontend/tensor/handle.h"

namespace weft {

std::string where_prefix() {
  const LocSet here = LocScope::current();
  return here.empty() ? "" : here.str() + ": ";
}

std::string call_prefix() {
  const std::string function = LocScope::function();
  return where_prefix() + function + (function.empty() ? "" : ": ");
}

bool has_place(std::string_view message) {
  const std::size_t end = message.find(": ");
  if (end == message.npos) return false;
  const std::string_view place = message.substr(0, end);
  const std::size_t digits = place.find_last_not_of("0123456789");
  return digits != place.npos && digits > 0 && digits + 1 < place.size() && place[digits] == ':';
}

void empty_function(std::string_view owner, const std::source_location& where) {
  const LocScope scope(where);
  fail("{}{}: the function is empty; expected one that can be called", where_prefix(), owner);
}

namespace {

[[noreturn]] void fail_of(std::string message, const std::vector<Tensor>& operands) {
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const Tensor& t = operands[i];
    message += fmt::format("{} operand {} is {}{}", i ? "," : ";", i, to_string(t.type()),
                           t.locs().empty() ? "" : " from " + t.locs().str());
  }
  throw Error(message);
}

}  // namespace

void type_error(const std::vector<Tensor>& operands, const std::string& what) {
  fail_of(call_prefix() + what, operands);
}

void type_error_of(std::string_view owner, const std::vector<Tensor>& operands, const std::string& what) {
  fail_of(fmt::format("{}{}: {}", where_prefix(), owner, what), operands);
}

void check_operands(const std::vector<Tensor>& operands) {
  for (std::size_t i = 0; i < operands.size(); ++i)
    if (!operands[i].defined())
      fail("{}operand {} is an empty Tensor; expected one made by input(), parameter() or a function", call_prefix(),
           i);
  for (const Tensor& t : operands)
    if (t.trace() != operands[0].trace())
      type_error(operands, "operands belong to different graphs; build all of them in one GraphScope");
}

void check_floats(const std::vector<Tensor>& operands) {
  check_operands(operands);
  for (const Tensor& t : operands)
    if (!is_float(t.dtype())) type_error(operands, fmt::format("does not take {}; it takes f32, f64", name(t.dtype())));
}

std::vector<ValueId> ids_of(const std::vector<Tensor>& tensors) {
  std::vector<ValueId> ids;
  for (const Tensor& t : tensors) ids.push_back(t.id());
  return ids;
}

Tensor node(Op op, const std::vector<Tensor>& operands, Attrs attrs, std::optional<Type> type) {
  ensure(!operands.empty(), "{}: node() needs an operand", name(op));
  check_operands(operands);
  const std::shared_ptr<Trace>& trace = operands[0].trace();
  return {trace, renamed(name(op), [&] {
            return trace->graph.add(op, ids_of(operands), std::move(attrs), std::move(type), LocScope::current());
          })};
}

Tensor leaf(Op op, Attrs attrs, const Type& type) {
  const std::shared_ptr<Trace>& trace = current_trace();
  return {trace,
          renamed(name(op), [&] { return trace->graph.add(op, {}, std::move(attrs), type, LocScope::current()); })};
}

Tensor literal(const std::shared_ptr<Trace>& trace, Array value) {
  return {trace, trace->graph.constant(std::move(value), LocScope::current())};
}

Tensor number_in(const std::shared_ptr<Trace>& trace, const Number& value, DType dtype) {
  try {
    return literal(trace, Array::filled({dtype, {}}, value));
  } catch (const Error& e) {
    std::string hint;
    for (const DType wider : {i32, i64, f32, f64}) {  // the narrowest that has the number
      const bool fits = visit_dtype(wider, [&](auto zero) { return value.as<decltype(zero)>().has_value(); });
      if (!fits || !hint.empty()) continue;
      hint = fmt::format("; convert the tensor with astype(x, {})", name(wider));
    }
    fail("{}{}{}", call_prefix(), e.what(), hint);
  }
}

Tensor in_classes(const Tensor& labels, std::int64_t classes) {
  const Tensor k = labels.dtype() == u8 ? astype(labels, i32) : labels;
  return (k >= 0) & (k < classes);
}

int resolve_axis(const Tensor& x, std::int64_t axis, int rank) {
  const std::int64_t resolved = axis < 0 ? axis + rank : axis;
  if (resolved < 0 || resolved >= rank)
    type_error({x}, rank == 0 ? fmt::format("axis {} is out of range: a scalar has no axes", axis)
                              : fmt::format("axis {} is out of range; expected {} … {}", axis, -rank, rank - 1));
  return static_cast<int>(resolved);
}

Shape broadcast_shape(const std::vector<Tensor>& operands) {
  Shape out;
  for (const Tensor& t : operands)
    if (t.rank() > out.rank()) out = t.shape();
  for (const Tensor& t : operands) {
    const int skip = out.rank() - t.rank();
    for (int i = 0; i < t.rank(); ++i) {
      std::int64_t& have = out[skip + i];
      const std::int64_t next = t.shape()[i];
      if (next == have || next == 1) continue;
      if (have != 1)
        type_error(operands,
                   fmt::format("shapes do not fit together: axis {} (from the end) has extents {} and {}; expected "
                               "equal extents, or 1",
                               t.rank() - i, extent_text(have), extent_text(next)));
      have = next;
    }
  }
  // [batch] against [batch, 1] would be [batch, batch]: every sample with every other, which nobody asked for.
  const auto batch_axes = [](const Shape& shape) { return std::ranges::count(shape, kBatch); };
  const bool is_outer =
      batch_axes(out) > 1 && std::ranges::all_of(operands, [&](const Tensor& t) { return batch_axes(t.shape()) < 2; });
  if (is_outer && std::ranges::any_of(
                      operands, [&](const Tensor& t) { return t.rank() < out.rank() && batch_axes(t.shape()) == 1; }))
    type_error(operands,
               fmt::format("the batch axes do not meet: the result would be {}. Give the operands equal ranks, with "
                           "expand_dims() or squeeze()",
                           to_string(out)));
  return out;
}

Tensor spread(const Tensor& x, const Shape& shape, const Dims& axes) {
  if (x.shape() == shape && axes == Dims::iota(x.rank())) return x;
  return node(Op::broadcast, {x}, {{Attr::axes, axes}}, Type{x.dtype(), shape});
}

Tensor spread_trailing(const Tensor& x, const Shape& shape) {
  Dims axes;
  for (int i = 0; i < x.rank(); ++i) axes.push_back(shape.rank() - x.rank() + i);
  return spread(x, shape, axes);
}

Dims other_axes(int rank, const std::vector<int>& axes) {
  Dims others;
  for (int i = 0; i < rank; ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) others.push_back(i);
  return others;
}

Tensor reduce_axes(Op op, const Tensor& x, const std::vector<int>& axes) {
  Tensor y = x;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) y = node(op, {y}, Attrs::axis(*axis));
  return y;
}

Tensor spread_back(const Tensor& reduced, const Tensor& x, const std::vector<int>& axes) {
  return spread(reduced, x.shape(), other_axes(x.rank(), axes));
}

Shape without_last(const Shape& shape) {
  Shape rest = shape;
  rest.erase(rest.rank() - 1);
  return rest;
}

Tensor sample_mean(const Tensor& x) {
  std::vector<int> axes;
  for (int i = 1; i < x.rank(); ++i) axes.push_back(i);
  return axes.empty() ? x : mean(x, axes);
}

}  // namespace weft

// Internal to frontend/: adding nodes to a trace, and errors that show the operands.
#pragma once
#include <typeinfo>

#include <weft/frontend/tensor/tensor.h>

namespace weft {

/// Adds a node with the current line. Error when an operand is undefined or the operands live in different graphs.
Tensor node(Op op, const std::vector<Tensor>& operands, Attrs attrs = {}, std::optional<Type> type = {});
/// An elementwise node of two operands, broadcast as NumPy does; a number takes the dtype of the other operand.
/// `function` is what the user called, by default the op.
Tensor binary(Op op, const Operand& a, const Operand& b, std::string_view function = "");
/// Both operands as tensors of one dtype and shape, as of an elementwise node.
std::pair<Tensor, Tensor> unify(const Operand& a, const Operand& b);
/// A node without tensor operands, in this thread's graph.
Tensor leaf(Op op, Attrs attrs, const Type& type);
/// A constant in `trace`.
Tensor literal(const std::shared_ptr<Trace>& trace, Array value);
/// The number as a scalar of `dtype` in `trace`. Error when it is no value of that dtype.
Tensor number_in(const std::shared_ptr<Trace>& trace, const Number& value, DType dtype);
/// A scalar of dtype `like.dtype()` in like's graph.
inline Tensor scalar_like(const Tensor& like, const Number& value) {
  return number_in(like.trace(), value, like.dtype());
}

/// Throws Error "file:line: sum: what; operand 0 is f32[2,3] from file:line, …" at the current line; the name is that
/// of the function that the user called, or `owner`.
[[noreturn]] void type_error(const std::vector<Tensor>& operands, const std::string& what);
[[noreturn]] void type_error_of(std::string_view owner, const std::vector<Tensor>& operands, const std::string& what);
/// Error unless the operands are defined and of one graph.
void check_operands(const std::vector<Tensor>& operands);
/// Error unless they are f32 or f64, too.
void check_floats(const std::vector<Tensor>& operands);
/// "file:line: " of the current line, or "".
std::string where_prefix();
/// "file:line: sum: ": the function that the user called too, if there is one.
std::string call_prefix();

std::vector<ValueId> ids_of(const std::vector<Tensor>& tensors);

/// Whether a message begins with a place, as where_prefix() writes it.
bool has_place(std::string_view message);

/// Runs f; an Error without a place gets the current line and `what` in front.
template <class F>
decltype(auto) located(std::string_view what, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    const std::string message = e.what(), name = std::string(what) + ": ";
    if (typeid(e) != typeid(Error) || has_place(message)) throw;
    throw Error(where_prefix() + (message.starts_with(name) ? "" : name) + message);
  }
}

/// Runs f, which adds something to a graph: an Error "file:line: mul: …" of the current line names the function that
/// the user called in place of `made`, and one without a place gets both.
template <class F>
decltype(auto) renamed(std::string_view made, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    if (typeid(e) != typeid(Error)) throw;
    const std::string message = e.what();
    const std::string own = where_prefix() + std::string(made) + (made.empty() ? "" : ": ");
    if (!message.starts_with(own) && has_place(message)) throw;
    throw Error(call_prefix() + (message.starts_with(own) ? message.substr(own.size()) : message));
  }
}

/// The same for a call that opens no LocScope around its work, which has a line of its own or is the user's.
template <class F>
decltype(auto) located(const std::source_location& where, F&& f) {
  try {
    return f();
  } catch (const Error& e) {
    if (typeid(e) != typeid(Error) || has_place(e.what())) throw;
    const LocScope scope(where);
    throw Error(where_prefix() + e.what());
  }
}

/// bool: the integer labels are in [0, classes).
Tensor in_classes(const Tensor& labels, std::int64_t classes);

/// A shape without its last axis.
Shape without_last(const Shape& shape);
/// x [batch, ..] averaged over all axes but the batch.
Tensor sample_mean(const Tensor& x);

/// A non-negative axis of a rank; Error when out of range.
int resolve_axis(const Tensor& x, std::int64_t axis, int rank);

/// The shape that NumPy broadcasts the operands to. Error when they do not fit, and when NumPy's alignment at the last
/// axis would put the batch axis of one onto another axis, where the other has its own: [batch] with [batch, 1].
Shape broadcast_shape(const std::vector<Tensor>& operands);
/// Axis i of x becomes axis axes[i] of `shape`; no node when nothing changes.
Tensor spread(const Tensor& x, const Shape& shape, const Dims& axes);
/// x repeated to `shape`, trailing axes matched.
Tensor spread_trailing(const Tensor& x, const Shape& shape);
/// The axes of a rank that are not in `axes`.
Dims other_axes(int rank, const std::vector<int>& axes);
/// Folds the axes (sorted) with `op`, the last first.
Tensor reduce_axes(Op op, const Tensor& x, const std::vector<int>& axes);
/// `reduced` (x without `axes`) repeated to x's shape again.
Tensor spread_back(const Tensor& reduced, const Tensor& x, const std::vector<int>& axes);

}  // namespace weft

// Tensor: a value of the traced graph, with NumPy's operators. Building one infers its type; nothing is computed until
// compile().
//
// Errors are thrown where the tensor is built, as weft::Error "file:line: op: …" with the user's own line, the shapes
// of the operands and the lines they came from.
//
// A tensor keeps what it is computed from, and so do layers and models, which hold tensors; an executable keeps its
// states and no graph. What nothing keeps is dropped: parameters with their memory, and nodes.
#pragma once
#include <concepts>
#include <type_traits>

#include <weft/frontend/tensor/initializers.h>
#include <weft/frontend/tensor/trace.h>

namespace weft {

class Tensor {
 public:
  Tensor() = default;  ///< no value; using it is an Error
  Tensor(std::shared_ptr<Trace> trace, ValueId id)
      : trace_(std::move(trace)), root_(trace_ ? trace_->root(id) : nullptr) {}

  bool defined() const { return trace_ != nullptr; }
  Type type() const;  ///< Error when undefined
  DType dtype() const { return type().dtype; }
  Shape shape() const { return type().shape; }  ///< kBatch (printed `?`) for the batch extent
  int rank() const { return shape().rank(); }
  std::string name() const;  ///< of an input, parameter or state; Error otherwise
  LocSet locs() const;       ///< the source lines it was built on
  std::string str() const;   ///< "f32[?,784] (model.cpp:12)"

  /// The value of a parameter or state: a copy, which later calls of executables leave alone. Error for any other
  /// tensor.
  Array value() const;
  /// Overwrites the value of a parameter or state. Error unless the type fits.
  void set_value(const Array& value) const;
  /// Of a parameter or state, true at first: from the next Model::compile() on, training leaves it as it is unless it is
  /// trainable: a parameter gets no gradient and no optimiser, a state no update(). Error for any other tensor.
  void set_trainable(bool trainable) const;
  bool trainable() const;

  const std::shared_ptr<Trace>& trace() const { return trace_; }
  /// Its place in the graph, until the next Trace::collect().
  ValueId id() const { return root_ ? *root_ : kNoValue; }
  bool same(const Tensor& other) const { return trace_ == other.trace_ && id() == other.id(); }

 private:
  std::shared_ptr<Trace> trace_;
  Trace::Root root_;  // keeps the value alive, and knows where it is
};

/// An operand of an operator: a tensor, or a number that takes the other operand's dtype. Made implicitly, which is
/// where the user's line is recorded (an operator itself cannot have a defaulted source_location).
class Operand {
 public:
  Operand(const Tensor& tensor, std::source_location where = std::source_location::current())
      : tensor_(tensor), is_number_(false), where_(where) {}
  template <class T>
  requires std::is_arithmetic_v<T> Operand(T number, std::source_location where = std::source_location::current())
      : number_(number), where_(where) {}

  bool is_number() const { return is_number_; }
  const Tensor& tensor() const { return tensor_; }
  double number() const { return number_.real(); }  ///< the nearest f64; resolve() keeps all bits
  const std::source_location& where() const { return where_; }
  /// The tensor, or the number as a scalar of `dtype` in `trace`; Error when it is no value of that dtype: a fraction
  /// or too large for an integer, beyond the largest float.
  Tensor resolve(const std::shared_ptr<Trace>& trace, DType dtype) const;

 private:
  Tensor tensor_;
  Number number_ = 0;
  bool is_number_ = true;
  std::source_location where_;
};

// Sources.
/// A per-sample input: the batch extent is put in front, so {784} becomes f32[?,784]. `name` "" picks "input",
/// "input_1", …
Tensor input(DType dtype, const Shape& per_sample, const std::string& name = "",
             std::source_location where = std::source_location::current());
/// An input of exactly this shape, no batch extent added (kBatch may be written out).
Tensor placeholder(DType dtype, const Shape& shape, const std::string& name = "",
                   std::source_location where = std::source_location::current());
/// A trainable f32 state, initialised now from the graph's seed. `name` "" picks "parameter", "parameter_1", …
Tensor parameter(const Shape& shape, const Initializer& init = glorot_uniform(), const std::string& name = "",
                 std::source_location where = std::source_location::current());
/// A state that is kept between calls and is not trained: its new value is given by update(), or as an update to
/// compile().
Tensor state(const Array& initial, const std::string& name = "",
             std::source_location where = std::source_location::current());
/// In training, `state` becomes `value` once a step; `value` is computed from what states and parameters were before the
/// step, of several updates of a state each from what the one before it gave. Every Model does it that has the inputs
/// which `value` depends on; with compile(), give updates_of(). It is done whichever branch of a cond() it stands in. Error
/// unless `state` is one (parameters are trained) and `value` has its type, and in a scan(), which carries what turns
/// make.
void update(const Tensor& state, const Tensor& value, std::source_location where = std::source_location::current());
Tensor constant(const Array& value, std::source_location where = std::source_location::current());
/// Error when the number is no value of the dtype; an integer keeps all its bits.
Tensor constant(const Number& value, DType dtype = f32, std::source_location where = std::source_location::current());
Tensor full(DType dtype, const Shape& shape, const Number& value,
            std::source_location where = std::source_location::current());
Tensor zeros_like(const Tensor& x, std::source_location where = std::source_location::current());
Tensor ones_like(const Tensor& x, std::source_location where = std::source_location::current());
/// y[i] = i[axis] over `shape`.
Tensor iota(DType dtype, const Shape& shape, int axis = 0,
            std::source_location where = std::source_location::current());
/// 0, 1, …, n-1.
Tensor arange(std::int64_t n, DType dtype = i32, std::source_location where = std::source_location::current());
/// The bool scalar that is true in a training step and false elsewhere; a constant once compiled.
Tensor training(std::source_location where = std::source_location::current());
/// The same, and false in all of them where the state (or parameter) is not trainable: whether it is being learnt. Error
/// for any other tensor.
Tensor training(const Tensor& state, std::source_location where = std::source_location::current());

// Operators, with NumPy's broadcasting: trailing axes are matched, an extent of 1 repeats. Both operands have one
// dtype. [batch] with [batch, 1], which NumPy makes [batch, batch], is an Error. Integers wrap and never trap: x / 0 is
// 0, x % 0 is x, and a shift by a negative number, or by the width or more, gives 0 (docs/numerics.md).
Tensor operator-(const Operand& x);
Tensor operator~(const Operand& x);  ///< logical not of bool, bitwise not of integers
Tensor operator+(const Operand& a, const Operand& b);
Tensor operator-(const Operand& a, const Operand& b);
Tensor operator*(const Operand& a, const Operand& b);
Tensor operator/(const Operand& a, const Operand& b);
Tensor operator%(const Operand& a, const Operand& b);  ///< integers; the sign of a
Tensor operator&(const Operand& a, const Operand& b);  ///< bool and integers
Tensor operator|(const Operand& a, const Operand& b);
Tensor operator^(const Operand& a, const Operand& b);
Tensor operator<<(const Operand& a, const Operand& b);  ///< integers
Tensor operator>>(const Operand& a, const Operand& b);  ///< integers, zeros shifted in
// Comparisons give bool tensors.
Tensor operator==(const Operand& a, const Operand& b);
Tensor operator!=(const Operand& a, const Operand& b);
Tensor operator<(const Operand& a, const Operand& b);
Tensor operator<=(const Operand& a, const Operand& b);
Tensor operator>(const Operand& a, const Operand& b);
Tensor operator>=(const Operand& a, const Operand& b);

}  // namespace weft

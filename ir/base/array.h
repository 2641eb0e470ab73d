// A dense, row-major tensor in host memory: the type of literals, inputs, results and states.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <weft/ir/base/error.h>
#include <weft/ir/base/number.h>
#include <weft/ir/base/shape.h>

namespace weft {

/// A handle to storage at a multiple of kCacheLine (64) bytes; copies share it (clone() does not), as in NumPy. bool elements are one byte, 0 or 1.
class Array {
 public:
  Array();                              ///< f32[] holding 0
  explicit Array(const Type&);          ///< zeros; throws Error when the size overflows or memory cannot be had
  template <class T> static Array scalar(T value);
  template <class T> static Array from(const std::vector<T>& values, const Shape& shape);  ///< Error on a count mismatch
  Array(const Array&) = default;
  Array& operator=(const Array&) = default;
  Array(Array&&) noexcept;              ///< leaves the other f32[0]
  Array& operator=(Array&&) noexcept;
  static Array filled(const Type&, const Number& value);  ///< every element; Error when it is no value of the dtype (ir/base/number.h)

  const Type& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  std::int64_t size() const { return count_; }
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * size_of(type_.dtype); }
  std::byte* data() const { return data_.get(); }

  /// The elements as T; throws Error when T is not this array's dtype.
  template <class T> std::span<T> as() const;
  template <class T> T item() const;    ///< the first element; Error when there is none
  double at(std::int64_t i) const;      ///< element i (row-major) converted to double
  Array clone() const;
  Array reshaped(const Shape&) const;   ///< the same storage under another shape; Error when the counts differ
  Array rows(std::int64_t begin, std::int64_t end) const;  ///< a copy of rows [begin, end) of axis 0
  /// Rows [begin, end) of axis 0 in the same storage, aligned to their elements only: for those who read them.
  Array view_rows(std::int64_t begin, std::int64_t end) const;
  Array converted(DType) const;         ///< element-wise C++ conversion, into new storage
  bool same_bits(const Array&) const;   ///< equal type and equal bytes (any NaN equals any NaN)
  std::string str(std::int64_t max_elements = 64) const;

 private:
  void check_type(DType) const;
  Type type_;
  std::int64_t count_ = 0;
  std::shared_ptr<std::byte[]> data_;
};

template <class T>
std::span<T> Array::as() const {
  check_type(dtype_of<T>);
  return {reinterpret_cast<T*>(data_.get()), static_cast<std::size_t>(count_)};
}
template <class T>
T Array::item() const {
  if (count_ == 0) fail("the item of an empty array, {}; expected an element", to_string(type_));
  return as<T>()[0];
}
template <class T>
Array Array::scalar(T value) {
  Array a(Type{dtype_of<T>, {}});
  a.as<T>()[0] = value;
  return a;
}
template <class T>
Array Array::from(const std::vector<T>& values, const Shape& shape) {
  Array a(Type{dtype_of<T>, shape});
  if (static_cast<std::int64_t>(values.size()) != a.size())
    fail("array of shape {} needs {}, got {}", to_string(shape), counted(a.size(), "value"), values.size());
  std::copy(values.begin(), values.end(), a.as<T>().begin());
  return a;
}

}  // namespace weft

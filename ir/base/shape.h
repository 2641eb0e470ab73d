// Shapes: short lists of extents, kept inline, and the one function that turns them into sizes.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <weft/ir/base/dtype.h>

namespace weft {

inline constexpr int kMaxRank = 8;
/// The batch extent before a model is bound to a batch size; printed as `?`. A compiled graph has none.
inline constexpr std::int64_t kBatch = -1;

/// A list of at most kMaxRank integers: a shape, a permutation, a set of axes. Throws Error beyond that rank.
class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<std::int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  explicit Dims(std::span<const std::int64_t> values);
  static Dims filled(int rank, std::int64_t value);
  static Dims iota(int rank);  ///< 0, 1, …, rank-1

  int rank() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  std::int64_t operator[](int i) const { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t& operator[](int i) { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t back() const { return (*this)[rank_ - 1]; }
  const std::int64_t* begin() const { return values_.data(); }
  const std::int64_t* end() const { return values_.data() + rank_; }
  void push_back(std::int64_t value);
  void insert(int at, std::int64_t value);
  void erase(int at);
  bool contains(std::int64_t value) const;

  friend bool operator==(const Dims& a, const Dims& b) { return a.rank_ == b.rank_ && a.values_ == b.values_; }

 private:
  std::array<std::int64_t, kMaxRank> values_{};  // entries past rank_ stay 0, so that == can compare whole arrays
  int rank_ = 0;
};
using Shape = Dims;

/// dtype and shape: the type of a value. Or that of a tuple of tensors, what a node with several results gives: its
/// dtype is `tuple` and its shape empty.
struct Type {
  DType dtype = f32;
  Shape shape;
  std::shared_ptr<const std::vector<Type>> parts = nullptr;  // of a tuple; null for a tensor

  friend bool operator==(const Type& a, const Type& b) {
    return a.dtype == b.dtype && a.shape == b.shape &&
           (a.parts == b.parts || (a.parts && b.parts && *a.parts == *b.parts));
  }
};
Type tuple_of(std::vector<Type> parts);
inline bool is_tuple(const Type& t) { return t.dtype == tuple; }

std::string to_string(const Dims&);  ///< "[128,784]"; kBatch prints as "?"
std::string list_text(const Dims&);  ///< "[0,-1]": numbers that are no extents
std::string to_string(const Type&);  ///< "f32[128,784]", "(f32[2], i32[])"

bool is_static(const Shape&);  ///< no extent is kBatch
/// Product of the extents. The only place where extents are multiplied before an allocation: throws Error when an
/// extent is negative (kBatch included) or when the product, or the size in bytes, exceeds 2^46.
std::int64_t element_count(const Shape&);
std::int64_t byte_size(const Type&);
/// Parts of `size` that cover `whole`; whole >= 0, size > 0.
inline std::int64_t ceil_div(std::int64_t whole, std::int64_t size) { return (whole + size - 1) / size; }
/// The axes of a contraction's operand that neither list names, in order.
Dims free_axes(int rank, const Dims& contracted, const Dims& batch);
/// Row-major strides in elements: stride[i] = product of the extents after i.
Dims row_major_strides(const Shape&);

}  // namespace weft

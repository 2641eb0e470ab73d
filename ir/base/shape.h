// Shapes: short lists of extents, kept inline, and the one function that turns them into sizes.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <weft/ir/base/dtype.h>

namespace weft {

inline constexpr int kMaxRank = 8;

/// An extent that is not known yet is a symbol, which bind() (ir/graph/graph.h) puts a number for: a compiled graph has none.
/// Equal symbols are equal extents. kBatch, printed as `?`, is the batch; others have names, and are printed as `?name`.
inline constexpr std::int64_t kBatch = -1;
inline constexpr std::int64_t kFirstSymbol = -(std::int64_t{1} << 48);  // named ones lie from here downwards
constexpr bool is_symbol(std::int64_t extent) { return extent == kBatch || extent <= kFirstSymbol; }
/// The symbol of that name, the same as long as the process lives. Throws Error unless the name is an identifier.
std::int64_t symbol(std::string_view name);
std::string extent_text(std::int64_t);  ///< "128", "?", "?time"

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

std::string to_string(const Dims&);  ///< "[128,784]", "[?,?time,3]"
std::string list_text(const Dims&);  ///< "[0,-1]": numbers that are no extents
std::string to_string(const Type&);  ///< "f32[128,784]", "(f32[2], i32[])"

/// Extents of symbols: `{{kBatch, 32}, {symbol("time"), 10}}`, or `32` for the batch alone (0: none).
class Extents {
 public:
  using Entry = std::pair<std::int64_t, std::int64_t>;  // symbol, extent
  Extents() = default;
  Extents(std::int64_t batch) : Extents(batch ? std::initializer_list<Entry>{{kBatch, batch}} : std::initializer_list<Entry>{}) {}
  Extents(std::initializer_list<Entry> entries);
  void set(std::int64_t symbol, std::int64_t extent);       ///< Error unless it is a symbol and the extent is >= 0
  std::optional<std::int64_t> find(std::int64_t symbol) const;
  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

bool is_static(const Shape&);  ///< no extent is a symbol
/// Product of the extents. The only place where extents are multiplied before an allocation: throws Error when an
/// extent is negative (a symbol is) or when the product, or the size in bytes, exceeds 2^46.
std::int64_t element_count(const Shape&);
std::int64_t byte_size(const Type&);
/// Parts of `size` that cover `whole`; whole >= 0, size > 0.
inline std::int64_t ceil_div(std::int64_t whole, std::int64_t size) { return (whole + size - 1) / size; }
/// The axes of a contraction's operand that neither list names, in order.
Dims free_axes(int rank, const Dims& contracted, const Dims& batch);
/// Removes the first symbol of both shapes, and what is before it, where a reshape keeps that axis: the symbols are the same
/// and as many elements lie before them. False, and nothing changes, where it does not.
bool erase_leading_symbol(Shape& from, Shape& to);
/// Row-major strides in elements: stride[i] = product of the extents after i.
Dims row_major_strides(const Shape&);

}  // namespace weft

// Which elements of a buffer have been stored: what lets the verifier say that nobody reads memory that holds nothing.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <weft/ir/kernel/kernel.h>

namespace weft {

/// A box of elements: [begin, end) in each dimension.
using Box = std::vector<std::pair<std::int64_t, std::int64_t>>;
std::string to_string(const Box&);  ///< "[0:4, 2:3]"

/// The lowest and the highest value of an index's affine part, over the axes' extents.
std::pair<std::int64_t, std::int64_t> affine_range(const Kernel&, const Index&);
/// The elements that an access stores at all points of the axes: exactly a box, or nothing that can be said (an
/// indirect index, dimensions that share an axis, strides that leave gaps).
std::optional<Box> stored_box(const Kernel&, const std::vector<Index>& access);
/// A box that holds all elements of a buffer of this shape that an access may touch.
Box touched_box(const Kernel&, const std::vector<Index>& access, const Shape&);

/// The elements of one storage, seen under the shapes of its views. What is stored under one shape counts under the
/// others once all of it is stored.
class Coverage {
 public:
  explicit Coverage(bool full = false) : full_(full) {}
  void store(const Shape&, const Box&);
  /// Elements of the box that have not been stored, or nothing when all have.
  std::optional<Box> hole(const Shape&, const Box&) const;

 private:
  struct Seen {  // under one shape
    Shape shape;
    std::vector<Box> holes;  // disjoint
  };
  bool full_;
  std::vector<Seen> seen_;
};

}  // namespace weft

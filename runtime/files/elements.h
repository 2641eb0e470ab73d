// Elements as files store them, and the dtypes that hold them: what weft has no dtype for is widened.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <weft/ir/base/array.h>
#include <weft/runtime/files/file.h>

namespace weft {

enum class Element : std::uint8_t {
  f8_e4m3,  // without infinities; S.1111.111 is NaN
  f8_e5m2,
  f16,
  bf16,
  f32,
  f64,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u32,
  u64,
  boolean,  // a byte, 0 or 1
};

std::int64_t size_of(Element);  ///< bytes
/// The smallest of weft's dtypes that holds every value; i64 for u64, of which read_elements refuses those that are
/// not.
DType widened(Element);
std::string_view name(Element);  ///< "f16"

/// An array of elements in a file.
struct StoredArray {
  Element element = Element::f32;
  Shape shape;
  bool big_endian = false;
  bool first_axis_fastest = false;  // Fortran order

  /// Checks that weft can hold it: the type once it is read. Throws Error on sizes that overflow.
  Type type() const;
  std::int64_t bytes() const;  ///< in the file
};

/// Reads what lies at `offset`, all of it in the file. Throws Error "CONTEXT: element 3 is 7, expected 0 or 1" where an
/// element is no value of its type or of the dtype; elements are counted in the file's order.
Array read_elements(const InputFile&, std::int64_t offset, const StoredArray&, const std::string& context);

/// The same where `next` fills what it is given with the bytes that come next.
Array read_elements(const StoredArray&, const std::string& context,
                    const std::function<void(std::span<std::byte>)>& next);

}  // namespace weft

// Element types and what can be said about them without a value at hand.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weft {

/// Element type of a tensor. bf16 and f16 are reserved: they have names and sizes, and no op accepts them yet. `tuple`
/// marks the type of several tensors (Type::parts), which have the elements.
enum class DType : std::uint8_t { f32, f64, i32, i64, u8, boolean, bf16, f16, tuple };
using enum DType;

inline constexpr DType kAllDTypes[] = {f32, f64, i32, i64, u8, boolean};

std::string_view name(DType);                              ///< "f32", …, "bool"
std::optional<DType> parse_dtype(std::string_view);        ///< inverse of name(), but for `tuple`
constexpr std::size_t size_of(DType t) {                   ///< bytes of one element in memory (bool: 1)
  switch (t) {
    case f64: case i64: return 8;
    case f32: case i32: return 4;
    case bf16: case f16: return 2;
    default: return 1;
  }
}
constexpr bool is_float(DType t) { return t == f32 || t == f64; }
constexpr bool is_integer(DType t) { return t == i32 || t == i64 || t == u8; }
constexpr bool is_reserved(DType t) { return t == bf16 || t == f16; }

template <class T> struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr DType value = f32; };
template <> struct DTypeOf<double> { static constexpr DType value = f64; };
template <> struct DTypeOf<std::int32_t> { static constexpr DType value = i32; };
template <> struct DTypeOf<std::int64_t> { static constexpr DType value = i64; };
template <> struct DTypeOf<std::uint8_t> { static constexpr DType value = u8; };
template <> struct DTypeOf<bool> { static constexpr DType value = boolean; };
template <class T> inline constexpr DType dtype_of = DTypeOf<T>::value;

/// Calls f(T{}) with the C++ type that holds `t` (bool for boolean); throws InternalError for a reserved dtype.
template <class F>
decltype(auto) visit_dtype(DType t, F&& f) {
  switch (t) {
    case f64: return f(double{});
    case i32: return f(std::int32_t{});
    case i64: return f(std::int64_t{});
    case u8: return f(std::uint8_t{});
    case boolean: return f(bool{});
    default: return f(float{});
  }
}

}  // namespace weft

// A number as a C++ program writes it, before a dtype is chosen for it.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace weft {

/// The value for people to read: NaN without a sign, which means nothing and depends on how it came about.
template <class T>
constexpr T plain_nan(T v) {
  if constexpr (std::is_floating_point_v<T>)
    if (v != v) return std::numeric_limits<T>::quiet_NaN();
  return v;
}

/// Made from any arithmetic type: integers keep all their 64 bits, floats are f64.
class Number {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Number(T value) : value_(static_cast<Held<T>>(value)) {}

  /// The nearest f64.
  double real() const {
    return std::visit([](auto v) { return static_cast<double>(v); }, value_);
  }
  /// The number as the element type T of a dtype. A float is rounded to nearest; none when that overflows, or when an
  /// integer type (or bool: 0 and 1) does not have exactly this value.
  template <class T>
  std::optional<T> as() const {
    return std::visit([](auto v) { return converted<T>(v); }, value_);
  }
  std::string str() const {
    return std::visit([](auto v) { return fmt::format("{}", plain_nan(v)); }, value_);
  }

 private:
  template <class T>
  using Held = std::conditional_t<std::is_floating_point_v<T>, double,
                                  std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

  template <class T, class From>
  static std::optional<T> converted(From v) {
    if constexpr (std::is_same_v<T, bool>) {
      if (v == From{0} || v == From{1}) return v == From{1};
    } else if constexpr (std::is_floating_point_v<T>) {
      const T rounded = static_cast<T>(v);
      if (!std::isinf(rounded) || std::isinf(static_cast<double>(v))) return rounded;
    } else if constexpr (std::is_floating_point_v<From>) {
      constexpr double kLimit = 2.0 * static_cast<double>(std::numeric_limits<T>::max() / 2 + 1);  // max + 1, exact
      if (v == std::trunc(v) && v >= static_cast<double>(std::numeric_limits<T>::min()) && v < kLimit)
        return static_cast<T>(v);
    } else if (std::in_range<T>(v)) {
      return static_cast<T>(v);
    }
    return {};
  }

  std::variant<double, std::int64_t, std::uint64_t> value_;
};

}  // namespace weft

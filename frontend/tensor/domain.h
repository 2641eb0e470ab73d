// Internal to frontend/: what the numbers may be that users give as options.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

namespace weft {

/// Whether it is finite, also once it is rounded to f32.
inline bool is_finite_f32(double v) { return std::abs(v) <= std::numeric_limits<float>::max(); }

/// Of an option, which is finite as an f32 in any case.
enum class Domain : std::uint8_t { finite, not_negative, positive, fraction, below_one };

/// Error "file:line: owner: option is 2; expected …" of the current line, unless the value is in the domain.
void check_number(std::string_view owner, std::string_view option, double value, Domain);
/// The same for a number of things.
void check_count(std::string_view owner, std::string_view option, std::int64_t value, std::int64_t least = 1);

/// The learning rate. Error "owner: the learning rate is …" unless it is finite and at least 0.
double checked_rate(std::string_view owner, double rate);

}  // namespace weft

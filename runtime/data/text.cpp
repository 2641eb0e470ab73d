// Text as data.
#include "runtime/data/text.h"

#include <algorithm>

#include "ir/base/error.h"

namespace weft::data {
namespace {

constexpr char32_t kLargest = 0x10ffff;

/// The code point at the front of UTF-8 text and its bytes; 0 bytes where there is none.
struct Decoded {
  char32_t point = 0;
  std::size_t bytes = 0;
};
Decoded front(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {};
  char32_t point = first & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    point = point << 6 | (byte(i) & 0x3fu);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = point >= 0xd800 && point < 0xe000;
  return point < kLeast[bytes] || point > kLargest || is_surrogate ? Decoded{} : Decoded{point, bytes};
}

void append(std::string& text, char32_t p) {
  const auto add = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (p < 0x80) return add(p);
  if (p < 0x800) return add(0xc0 | p >> 6), add(0x80 | (p & 0x3f));
  if (p < 0x10000) return add(0xe0 | p >> 12), add(0x80 | (p >> 6 & 0x3f)), add(0x80 | (p & 0x3f));
  add(0xf0 | p >> 18), add(0x80 | (p >> 12 & 0x3f)), add(0x80 | (p >> 6 & 0x3f)), add(0x80 | (p & 0x3f));
}

/// Calls f(point, line, column) for each character.
template <class F>
void for_each_character(std::string_view text, F&& f) {
  std::int64_t line = 1, column = 1;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded d = front(text.substr(at));
    if (d.bytes == 0)
      fail("the text is no UTF-8: byte 0x{:02x} in line {}, column {}", static_cast<unsigned char>(text[at]), line,
           column);
    f(d.point, line, column);
    at += d.bytes;
    ++column;
    if (d.point == '\n') ++line, column = 1;
  }
}

std::string shown(char32_t point) {
  std::string text;
  if (point >= ' ' && point != 0x7f) append(text, point);
  return point >= ' ' && point != 0x7f ? fmt::format("'{}' (U+{:04X})", text, static_cast<std::uint32_t>(point))
                                       : fmt::format("U+{:04X}", static_cast<std::uint32_t>(point));
}

}  // namespace

Characters::Characters(std::string_view text) {
  if (text.empty()) fail("the text is empty; expected at least one character");
  std::vector<bool> seen(kLargest + 1);
  for_each_character(text, [&](char32_t p, auto, auto) { seen[p] = true; });
  for (char32_t p = 0; p <= kLargest; ++p)
    if (seen[p]) points_.push_back(p);
}

std::string Characters::text() const {
  std::string all;
  for (const char32_t p : points_) append(all, p);
  return all;
}

Array Characters::encode(std::string_view text) const {
  std::vector<std::int32_t> numbers;
  for_each_character(text, [&](char32_t p, std::int64_t line, std::int64_t column) {
    const auto it = std::ranges::lower_bound(points_, p);
    if (it == points_.end() || *it != p)
      fail("the character {} in line {}, column {} is not among the {} known", shown(p), line, column, size());
    numbers.push_back(static_cast<std::int32_t>(it - points_.begin()));
  });
  return Array::from<std::int32_t>(numbers, {static_cast<std::int64_t>(numbers.size())});
}

std::string Characters::decode(std::span<const std::int32_t> numbers) const {
  std::string text;
  for (const std::int32_t n : numbers) {
    if (n < 0 || n >= size()) fail("there is no character number {}; expected 0 to {}", n, size() - 1);
    append(text, points_[static_cast<std::size_t>(n)]);
  }
  return text;
}

Dataset next_token_windows(const Array& tokens, std::int64_t length) {
  if (tokens.dtype() != i32 || tokens.shape().rank() != 1)
    fail("next_token_windows: the tokens are {}; expected i32[n]", to_string(tokens.type()));
  if (length < 1) fail("next_token_windows: windows of {}; expected at least 1", length);
  const std::int64_t count = (tokens.size() - 1) / length;
  if (tokens.size() < 2 || count < 1)
    fail("next_token_windows: {}; expected at least {} for a window of {} and what follows it",
         counted(tokens.size(), "token"), length + 1, length);
  const auto rows = [&](std::int64_t from) {
    Array all(Type{i32, {count, length}});
    std::ranges::copy(
        tokens.as<std::int32_t>().subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(count * length)),
        all.as<std::int32_t>().begin());
    return all;
  };
  return {rows(0), rows(1), "text"};
}

}  // namespace weft::data

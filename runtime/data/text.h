// Text as data: characters and their numbers, and windows of a long sequence.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <weft/runtime/data/data.h>

namespace weft::data {

/// The characters of a text (Unicode code points), numbered in the order of their code points.
class Characters {
 public:
  /// Error when the text is empty, or is no UTF-8: line and byte.
  explicit Characters(std::string_view text);
  std::int64_t size() const { return static_cast<std::int64_t>(points_.size()); }
  /// All of them, each once: Characters(c.text()) numbers as c does.
  std::string text() const;
  /// Numbers, i32[n]. Error on a character that is not among them: its line and column.
  Array encode(std::string_view text) const;
  /// The text of numbers. Error on a number that is none.
  std::string decode(std::span<const std::int32_t> numbers) const;

 private:
  std::vector<char32_t> points_;  // sorted
};

/// For a model of the next token: x, i32[n, length], has consecutive windows of the tokens i32[..], and y what follows
/// each of them. What is left at the end is dropped. Error when there are fewer than length + 1 tokens.
Dataset next_token_windows(const Array& tokens, std::int64_t length);

}  // namespace weft::data

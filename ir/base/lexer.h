// Tokens of the two text forms (graph and kernel), with the place of each for error messages.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/base/error.h>
#include <weft/ir/base/loc.h>

namespace weft {

struct Token {
  enum Kind : std::uint8_t {
    end,     // of the text
    word,    // [A-Za-z_][A-Za-z0-9_.]*
    value,   // % and a name, quoted or not; `text` is the name
    symbol,  // @ and a name
    string,  // a quoted name
    number,  // a digit and what follows it: 12, 1.5e-05, 0x7fc00001
    punct,   // any other byte
  } kind = end;
  std::string_view text;
  std::uint32_t line = 1;    // 1-based
  std::uint32_t column = 1;  // 1-based, in bytes
  std::string_view comment;  // the comment that ended the previous token's line, without its `//`

  bool quoted = false;       // a name in quotes

  /// What the name is known by: one in quotes that is no identifier differs from the same letters without.
  std::string_view key() const;
  bool is(char c) const { return kind == punct && text[0] == c; }
  bool is(std::string_view w) const { return kind == word && text == w; }
};

std::string describe(const Token&);    ///< "'%x'", "the end of the text": what an error message found
bool is_identifier(std::string_view);  ///< [A-Za-z_][A-Za-z0-9_.]*
/// What an input, an output or a buffer may be called: any text (UTF-8) but the empty one.
bool is_name(std::string_view);
/// A name as texts have it: an identifier as it is, another one in quotes, in which `"`, `\` and control characters are `\xx`, two
/// hexadecimal digits.
std::string name_text(std::string_view name);
/// The name with whatever no identifier has as `_`.
std::string identifier_of(std::string_view name);
/// The one of `names` closest to `word` as " (did you mean 'x'?)", or "" when none is close.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& names);

/// A cursor over the text. A copy is a saved position. `text` and `file` must outlive it.
class Lexer {
 public:
  Lexer(std::string_view text, std::string_view file);

  const Token& peek() const { return token_; }
  Token next();             ///< the current token; moves past it
  bool accept(char punct);  ///< moves past the current token if it is `punct`
  bool accept(std::string_view word);
  /// Moves past `punct`, or fails with "expected ':' before the result type, found '}'".
  Token expect(char punct, std::string_view where);
  /// Moves past a token of this kind, or fails with "expected <what>, found …".
  Token expect(Token::Kind, std::string_view what);
  void expect_word(std::string_view word, std::string_view where);

  Loc loc(const Token& t) const { return {std::string(file_), t.line, t.column}; }
  /// Throws Error "file:line:col: error: message".
  template <class... Args>
  [[noreturn]] void fail_at(const Token& t, fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(
        fmt::format("{}:{}:{}: error: {}", file_, t.line, t.column, fmt::format(format, std::forward<Args>(args)...)));
  }

 private:
  void scan();
  bool scan_quoted(std::size_t begin, std::size_t& end);

  std::string_view text_, file_;
  std::size_t at_ = 0;          // first byte after token_
  std::size_t line_start_ = 0;  // first byte of the line that at_ is in
  std::uint32_t line_ = 1;
  Token token_;
  std::shared_ptr<std::deque<std::string>> unescaped_;  // quoted names with escapes, of this and all copies
};

}  // namespace weft

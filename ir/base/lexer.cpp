// The tokeniser of ir/base/lexer.h: one forward scan, no allocation.
#include "ir/base/lexer.h"

#include <algorithm>
#include <vector>

namespace weft {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '.'; }

/// Levenshtein distance, for words short enough to be names.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string describe(const Token& t) {
  if (t.kind == Token::end) return "the end of the text";
  if (t.kind == Token::punct && (t.text[0] < ' ' || t.text[0] > '~'))
    return fmt::format("byte 0x{:02x}", static_cast<unsigned char>(t.text[0]));
  constexpr std::size_t kShown = 40;
  const std::string_view sigil = t.kind == Token::value ? "%" : t.kind == Token::symbol ? "@" : "";
  if (t.quoted) return fmt::format("'{}{}'", sigil, name_text(t.text.substr(0, kShown)));
  return fmt::format("'{}{}{}'", sigil, t.text.substr(0, kShown), t.text.size() > kShown ? "…" : "");
}

bool is_identifier(std::string_view s) {
  return !s.empty() && is_letter(s[0]) && std::all_of(s.begin(), s.end(), is_name_char);
}

bool is_name(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {  // lead byte, then as many that continue it; no overlong forms or surrogates
    const auto byte = [&](std::size_t k) { return i + k < s.size() ? static_cast<unsigned char>(s[i + k]) : 0u; };
    const unsigned lead = byte(0);
    const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0) return false;
    std::uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      if (byte(k) >> 6 != 2) return false;
      code = code << 6 | (byte(k) & 0x3fu);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += length;
  }
  return !s.empty();
}

std::string name_text(std::string_view name) {
  if (is_identifier(name)) return std::string(name);
  std::string s = "\"";
  for (const char c : name) {
    const bool escaped = c == '"' || c == '\\' || (c >= 0 && c < ' ') || c == 0x7f;
    if (escaped)
      s += fmt::format("\\{:02x}", static_cast<unsigned char>(c));
    else
      s += c;
  }
  return s + "\"";
}

std::string identifier_of(std::string_view name) {
  std::string s = name.empty() || !is_letter(name[0]) ? "_" : "";
  for (const char c : name) s += is_name_char(c) ? c : '_';
  return s;
}

std::string_view Token::key() const {
  return quoted && !is_identifier(text) ? std::string_view(text.data() - 1, text.size() + 1) : text;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& names) {
  constexpr std::size_t kMaxDistance = 3, kMaxLength = 40;
  std::string_view best;
  std::size_t best_distance = kMaxDistance;
  for (std::string_view name : names) {
    if (word.size() > kMaxLength) break;
    const std::size_t d = edit_distance(word, name);
    if (d < best_distance && d < std::max(word.size(), name.size())) best_distance = d, best = name;
  }
  return best.empty() ? "" : fmt::format(" (did you mean '{}'?)", best);
}

Lexer::Lexer(std::string_view text, std::string_view file) : text_(text), file_(file) { scan(); }

Token Lexer::next() {
  Token t = token_;
  scan();
  return t;
}

bool Lexer::accept(char punct) {
  if (!token_.is(punct)) return false;
  scan();
  return true;
}

bool Lexer::accept(std::string_view word) {
  if (!token_.is(word)) return false;
  scan();
  return true;
}

Token Lexer::expect(char punct, std::string_view where) {
  if (!token_.is(punct)) fail_at(token_, "expected '{}' {}, found {}", punct, where, describe(token_));
  return next();
}

Token Lexer::expect(Token::Kind kind, std::string_view what) {
  if (token_.kind != kind) fail_at(token_, "expected {}, found {}", what, describe(token_));
  return next();
}

void Lexer::expect_word(std::string_view word, std::string_view where) {
  if (!accept(word)) fail_at(token_, "expected '{}' {}, found {}", word, where, describe(token_));
}

void Lexer::scan() {
  const std::uint32_t previous_line = line_;
  token_.comment = {};
  for (; at_ < text_.size(); ++at_) {  // blanks and comments
    const char c = text_[at_];
    if (c == '\n') {
      ++line_;
      line_start_ = at_ + 1;
    } else if (c == '/' && text_.substr(at_, 2) == "//") {
      const std::size_t end = std::min(text_.find('\n', at_), text_.size());
      if (line_ == previous_line) token_.comment = text_.substr(at_ + 2, end - at_ - 2);
      at_ = end - 1;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      break;
    }
  }
  token_.quoted = false;
  token_.line = line_;
  token_.column = static_cast<std::uint32_t>(at_ - line_start_ + 1);
  if (at_ >= text_.size()) {
    token_.kind = Token::end;
    token_.text = {};
    return;
  }
  const auto name_end = [&](std::size_t i) {
    while (i < text_.size() && is_name_char(text_[i])) ++i;
    return i;
  };
  const char c = text_[at_];
  std::size_t begin = at_, end = at_ + 1;
  if (is_letter(c)) {
    token_.kind = Token::word;
    end = name_end(end);
  } else if (is_digit(c)) {
    token_.kind = Token::number;
    end = name_end(end);
    // The sign of a decimal exponent: 1e-05. Hexadecimal digits have none.
    const bool hex = text_.substr(begin, 2) == "0x";
    if (!hex && (text_[end - 1] == 'e' || text_[end - 1] == 'E') && end + 1 < text_.size() &&
        (text_[end] == '-' || text_[end] == '+') && is_digit(text_[end + 1]))
      end = name_end(end + 1);
  } else if (c == '"' && scan_quoted(begin, end)) {
    token_.kind = Token::string;
    return;
  } else if ((c == '%' || c == '@') && end < text_.size() && text_[end] == '"' && scan_quoted(end, end)) {
    token_.kind = c == '%' ? Token::value : Token::symbol;
    return;
  } else if ((c == '%' || c == '@') && end < text_.size() && is_name_char(text_[end])) {
    token_.kind = c == '%' ? Token::value : Token::symbol;
    begin = end;
    end = name_end(end);
  } else {
    token_.kind = Token::punct;
  }
  token_.text = text_.substr(begin, end - begin);
  at_ = end;
}

/// The quoted name from the quote at `begin` on, on one line, as the text of the token; `end` is behind it. False, and
/// nothing happens, when it does not end or has an escape that is none.
bool Lexer::scan_quoted(std::size_t begin, std::size_t& end) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  std::string plain = "\"";
  bool escapes = false;
  std::size_t i = begin + 1;
  for (; i < text_.size() && text_[i] != '"'; ++i) {
    if (text_[i] >= 0 && text_[i] < ' ') return false;
    if (text_[i] != '\\') {
      plain += text_[i];
      continue;
    }
    const int high = i + 2 < text_.size() ? digit(text_[i + 1]) : -1, low = high < 0 ? -1 : digit(text_[i + 2]);
    if (low < 0) return false;
    plain += static_cast<char>(16 * high + low);
    escapes = true;
    i += 2;
  }
  if (i >= text_.size()) return false;
  if (escapes) {
    if (!unescaped_) unescaped_ = std::make_shared<std::deque<std::string>>();
    token_.text = std::string_view(unescaped_->emplace_back(std::move(plain))).substr(1);
  } else {
    token_.text = text_.substr(begin + 1, i - begin - 1);
  }
  token_.quoted = true;
  end = at_ = i + 1;
  return true;
}

}  // namespace weft

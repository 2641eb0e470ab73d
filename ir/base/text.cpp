// Printing and parsing of types, literals and provenance suffixes (ir/base/text.h).
#include "ir/base/text.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace weft {
namespace {

template <class T>
T read_as(const std::byte* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// The integer type that holds the bits of a float type, and the bits of its quiet NaN without sign or payload.
template <class T>
struct FloatBits;
template <>
struct FloatBits<float> {
  using Int = std::uint32_t;
  static constexpr Int kNan = 0x7fc00000u, kInf = 0x7f800000u;
};
template <>
struct FloatBits<double> {
  using Int = std::uint64_t;
  static constexpr Int kNan = 0x7ff8000000000000u, kInf = 0x7ff0000000000000u;
};

template <class T>
std::string float_text(const std::byte* p) {
  const auto bits = read_as<typename FloatBits<T>::Int>(p);
  const T v = std::bit_cast<T>(bits);
  if (bits == FloatBits<T>::kNan) return "nan";
  if (std::isnan(v)) return fmt::format("nan(0x{:x})", bits);
  return fmt::format("{}", v);
}

/// from_chars over the whole of `s`; false when something is left over.
template <class T>
bool convert(std::string_view s, T& v, std::errc& error, int base = 10) {
  std::from_chars_result r;
  if constexpr (std::is_floating_point_v<T>)
    r = std::from_chars(s.data(), s.data() + s.size(), v);
  else
    r = std::from_chars(s.data(), s.data() + s.size(), v, base);
  error = r.ec;
  return r.ec != std::errc::invalid_argument && r.ptr == s.data() + s.size();
}

/// [-]number as T.
template <class T>
T parse_number(Lexer& lex, std::string_view what, std::string_view type) {
  const Token first = lex.peek();
  const bool negative = lex.accept('-');
  const Token t = lex.expect(Token::number, what);
  const std::string digits = (negative ? "-" : "") + std::string(t.text);
  T v{};
  std::errc error;
  // An unsigned type has no negative numbers for from_chars to reject as out of range.
  const bool unsigned_negative = std::is_unsigned_v<T> && negative;
  if (!unsigned_negative && !convert(digits, v, error)) lex.fail_at(first, "expected {}, found '{}'", what, digits);
  if (unsigned_negative || error == std::errc::result_out_of_range)
    lex.fail_at(first, "{} is out of range for {}", digits, type);
  return v;
}

template <class T>
T parse_float(Lexer& lex, DType dtype) {
  using Bits = FloatBits<T>;
  const Token first = lex.peek();
  if (lex.accept("inf")) return std::bit_cast<T>(Bits::kInf);
  if (lex.accept("nan")) {
    typename Bits::Int bits = Bits::kNan;
    if (lex.accept('(')) {
      const Token t = lex.expect(Token::number, "the bits of a NaN");
      std::errc error;
      const bool hex = t.text.substr(0, 2) == "0x" && convert(t.text.substr(2), bits, error, 16);
      if (!hex || error != std::errc() || !std::isnan(std::bit_cast<T>(bits)))
        lex.fail_at(t, "'{}' is not the hexadecimal bits of a {} NaN", t.text.substr(0, 24), name(dtype));
      lex.expect(')', "after the bits of a NaN");
    }
    return std::bit_cast<T>(bits);
  }
  Lexer after_sign = lex;
  if (after_sign.accept('-') && after_sign.accept("inf")) {
    lex = after_sign;
    return -std::bit_cast<T>(Bits::kInf);
  }
  if (first.kind != Token::number && !first.is('-'))
    lex.fail_at(first, "expected a number of type {}, found {}", name(dtype), describe(first));
  return parse_number<T>(lex, "a number", name(dtype));
}

/// "file:line" or "file:line:col" as printed by locs_suffix.
bool parse_loc(std::string_view s, Loc& loc) {
  std::uint32_t numbers[2] = {0, 0};  // from the right
  int found = 0;
  while (found < 2) {
    const std::size_t colon = s.rfind(':');
    std::errc error;
    if (colon == s.npos || colon + 1 == s.size() || !convert(s.substr(colon + 1), numbers[found], error) ||
        error != std::errc())
      break;
    s = s.substr(0, colon);
    ++found;
  }
  if (found == 0 || s.empty() || s.find(' ') != s.npos) return false;
  loc.line = found == 2 ? numbers[1] : numbers[0];
  loc.column = found == 2 ? numbers[0] : 0;
  loc.file.clear();
  for (std::size_t i = 0; i < s.size(); ++i) {
    unsigned char byte = 0;
    std::errc error;
    if (s[i] == '%' && i + 2 < s.size() && convert(s.substr(i + 1, 2), byte, error, 16)) {
      loc.file += static_cast<char>(byte);
      i += 2;
    } else {
      loc.file += s[i];
    }
  }
  return true;
}

}  // namespace

std::string element_text(DType t, const std::byte* p) {
  switch (t) {
    case f32: return float_text<float>(p);
    case f64: return float_text<double>(p);
    case boolean: return read_as<std::uint8_t>(p) ? "true" : "false";
    default: return visit_dtype(t, [&](auto zero) { return fmt::format("{}", read_as<decltype(zero)>(p)); });
  }
}

std::string literal_text(const Array& a) {
  const std::size_t step = size_of(a.dtype());
  if (a.shape().empty()) return element_text(a.dtype(), a.data());
  std::string s = "[";
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (i) s += ", ";
    s += element_text(a.dtype(), a.data() + static_cast<std::size_t>(i) * step);
  }
  return s + "]";
}

std::string locs_suffix(LocSet set) {
  std::string s;
  for (const Loc& loc : set.locs()) {
    s += s.empty() ? " // " : ", ";
    for (std::size_t i = 0; i < loc.file.size(); ++i) {
      const char c = loc.file[i], next = i + 1 < loc.file.size() ? loc.file[i + 1] : ' ';
      const bool like_a_line = c == ':' && next >= '0' && next <= '9';
      if (static_cast<unsigned char>(c) <= ' ' || c == ',' || c == '%' || like_a_line)
        s += fmt::format("%{:02x}", static_cast<unsigned char>(c));
      else
        s += c;
    }
    s += fmt::format(":{}", loc.line);
    if (loc.column) s += fmt::format(":{}", loc.column);
  }
  return s;
}

std::int64_t parse_integer(Lexer& lex, std::string_view what) { return parse_number<std::int64_t>(lex, what, "i64"); }

namespace {
/// `?` and perhaps a name, or nothing.
std::optional<std::int64_t> parse_symbol(Lexer& lex) {
  if (!lex.accept('?')) return {};
  return lex.peek().kind == Token::word ? symbol(lex.next().text) : kBatch;
}
}  // namespace

Dims parse_dims(Lexer& lex) {
  lex.expect('[', "before a list");
  Dims dims;
  if (lex.accept(']')) return dims;
  do {
    if (dims.rank() == kMaxRank) lex.fail_at(lex.peek(), "more than {} entries: the rank is limited", kMaxRank);
    const Token entry = lex.peek();
    const std::optional<std::int64_t> unknown = parse_symbol(lex);
    dims.push_back(unknown ? *unknown : parse_integer(lex, "an integer"));
    if (!unknown && dims.back() <= kFirstSymbol) lex.fail_at(entry, "{} is out of range", dims.back());
  } while (lex.accept(','));
  lex.expect(']', "or ',' after an integer");
  return dims;
}

std::int64_t parse_extent(Lexer& lex) {
  const Token extent = lex.peek();
  const std::optional<std::int64_t> unknown = parse_symbol(lex);
  const std::int64_t n = unknown ? *unknown : parse_integer(lex, "an extent or '?'");
  if (n < 0 && !unknown) lex.fail_at(extent, "extent {} is negative", n);
  return n;
}

Shape parse_shape(Lexer& lex, std::string_view where) {
  lex.expect('[', where);
  Shape shape;
  if (lex.accept(']')) return shape;
  do {
    if (shape.rank() == kMaxRank) lex.fail_at(lex.peek(), "the rank is limited to {}", kMaxRank);
    shape.push_back(parse_extent(lex));
  } while (lex.accept(','));
  lex.expect(']', "or ',' after an extent");
  return shape;
}

Type parse_result_type(Lexer& lex) {
  if (!lex.accept('(')) return parse_type(lex);
  std::vector<Type> parts;
  if (!lex.accept(')')) {
    do parts.push_back(parse_type(lex));
    while (lex.accept(','));
    lex.expect(')', "or ',' after a type");
  }
  return tuple_of(std::move(parts));
}

Type parse_type(Lexer& lex) {
  const Token t = lex.expect(Token::word, "a type such as f32[2,3]");
  const std::optional<DType> dtype = parse_dtype(t.text);
  if (!dtype) {
    std::vector<std::string_view> names;
    for (DType d : kAllDTypes) names.push_back(name(d));
    lex.fail_at(t, "unknown dtype {}{}", describe(t), suggestion(t.text, names));
  }
  if (is_reserved(*dtype)) lex.fail_at(t, "dtype {} is reserved: no op accepts it yet", name(*dtype));
  const Type type{*dtype, parse_shape(lex, "after the dtype")};
  Type sized = type;
  for (int i = 0; i < sized.shape.rank(); ++i)
    if (is_symbol(sized.shape[i])) sized.shape[i] = 1;
  try {
    byte_size(sized);
  } catch (const Error& e) {
    lex.fail_at(t, "{}", e.what());
  }
  return type;
}

void parse_element(Lexer& lex, DType dtype, std::byte* out) {
  visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    T v{};
    if constexpr (std::is_same_v<T, bool>) {
      const Token t = lex.next();
      if (!t.is("true") && !t.is("false")) lex.fail_at(t, "expected true or false, found {}", describe(t));
      v = t.is("true");
    } else if constexpr (std::is_floating_point_v<T>) {
      v = parse_float<T>(lex, dtype);
    } else {
      v = parse_number<T>(lex, "an integer", name(dtype));
    }
    std::memcpy(out, &v, sizeof v);
  });
}

std::int64_t skip_literal(Lexer& lex) {
  // An element is at most five tokens: [-] number | [-] inf | nan [( bits )].
  const auto element = [&] {
    lex.accept('-');
    if (lex.peek().kind != Token::number && lex.peek().kind != Token::word)
      lex.fail_at(lex.peek(), "expected a literal, found {}", describe(lex.peek()));
    lex.next();
    if (!lex.accept('(')) return;
    lex.expect(Token::number, "the bits of a NaN");
    lex.expect(')', "after the bits of a NaN");
  };
  if (!lex.accept('[')) return element(), -1;
  if (lex.accept(']')) return 0;
  std::int64_t count = 0;
  do {
    element();
    ++count;
  } while (lex.accept(','));
  lex.expect(']', "or ',' after an element");
  return count;
}

Array parse_literal(Lexer& lex, const Type& type) {
  const Token first = lex.peek();
  if (!is_static(type.shape)) lex.fail_at(first, "a constant cannot have an unbound extent, as in {}", to_string(type));
  Lexer ahead = lex;
  const std::int64_t found = skip_literal(ahead), expected = element_count(type.shape);
  const bool list = !type.shape.empty();
  if (list != (found >= 0))
    lex.fail_at(first, "a constant of type {} needs {}, found {}", to_string(type), list ? "a list" : "one number",
                describe(first));
  if (list && found != expected)
    lex.fail_at(first, "a constant of type {} needs {}, found {}", to_string(type), counted(expected, "element"),
                found);
  Array a(type);
  lex.accept('[');
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (i) lex.accept(',');
    parse_element(lex, type.dtype, a.data() + static_cast<std::size_t>(i) * size_of(type.dtype));
  }
  lex.accept(']');
  return a;
}

LocSet parse_locs(const Lexer& after, const Loc& fallback) {
  std::string_view rest = after.peek().comment;
  std::vector<Loc> locs;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string_view item = rest.substr(0, comma);
    while (!item.empty() && (item.front() == ' ' || item.front() == '\t')) item.remove_prefix(1);
    while (!item.empty() && (item.back() == ' ' || item.back() == '\t' || item.back() == '\r')) item.remove_suffix(1);
    Loc loc;
    if (!parse_loc(item, loc)) return LocSet::of(fallback);
    locs.push_back(std::move(loc));
    rest = comma < rest.size() ? rest.substr(comma + 1) : "";
  }
  return locs.empty() ? LocSet::of(fallback) : LocSet::of(locs);
}

}  // namespace weft

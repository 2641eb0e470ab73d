// Format: "\x93NUMPY", major, minor, header length (u16 in version 1, u32 after), the header, then the elements. The
// header is a Python dict literal, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, padded with spaces up
// to a newline.
#include "runtime/files/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>
#include <vector>

#include "ir/base/error.h"
#include "ir/base/float_environment.h"
#include "runtime/files/elements.h"
#include "runtime/files/file.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kMaxHeader = 64 << 10;  // ours needs 128 bytes, NumPy's own limit is 10,000
constexpr std::int64_t kAlign = 64;            // the data begins at a multiple of this

// Kind and size, after the character for the byte order. The first row of a dtype is how it is written.
constexpr struct {
  std::string_view descr;
  Element element;
} kDescrs[] = {{"f4", Element::f32}, {"f8", Element::f64},     {"i4", Element::i32}, {"i8", Element::i64},
               {"u1", Element::u8},  {"b1", Element::boolean}, {"f2", Element::f16}, {"i1", Element::i8},
               {"i2", Element::i16}, {"u2", Element::u16},     {"u4", Element::u32}, {"u8", Element::u64}};

// What other first characters say, for the message.
constexpr struct {
  char kind;
  std::string_view what;
} kOtherKinds[] = {{'O', "Python objects"}, {'c', "complex numbers"}, {'S', "text"},           {'a', "text"},
                   {'U', "text"},           {'V', "records"},         {'M', "points in time"}, {'m', "spans of time"}};

/// A parser for the one kind of Python literal that a header is.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), text_(text) {}

  StoredArray parse() {
    std::optional<std::string_view> descr;
    std::optional<bool> fortran;
    std::optional<Shape> shape;
    const auto once = [&](const auto& field, std::string_view key) {
      if (field) refuse("'{}' appears twice in its header", key);
    };
    expect('{');
    while (!accept('}')) {
      const auto key = string();
      expect(':');
      if (key == "descr") {
        once(descr, key);
        if (peek() == '[' || peek() == '(') refuse("it holds records, expected one number an element");
        descr = string();
      } else if (key == "fortran_order") {
        once(fortran, key);
        fortran = boolean_literal();
      } else if (key == "shape") {
        once(shape, key);
        shape = tuple();
      } else {
        refuse("unknown key '{}' in its header", key);
      }
      if (!accept(',') && peek() != '}') unexpected("',' or '}'");
    }
    if (at_ != text_.size()) unexpected("the end of the header");
    if (!descr || !fortran || !shape)
      refuse("no {} in its header", !descr ? "descr" : !fortran ? "fortran_order" : "shape");
    StoredArray stored = element(*descr);
    stored.shape = *shape;
    stored.first_axis_fastest = *fortran;
    return stored;
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail("cannot read '{}' as .npy: {}", path_, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void unexpected(std::string_view wanted) const {
    refuse("expected {} at character {} of its header", wanted, at_);
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    skip_space();
    return true;
  }
  void expect(char c) {
    if (!accept(c)) unexpected(fmt::format("'{}'", c));
  }
  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') unexpected("a string");
    const auto end = text_.find(quote, at_ + 1);
    if (end == text_.npos) unexpected("a closed string");
    const auto value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return value;
  }
  bool boolean_literal() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return value;
      }
    unexpected("True or False");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    bool comma = true;
    while (!accept(')')) {
      if (!comma) unexpected("',' or ')'");
      std::int64_t extent = 0;
      skip_space();
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc{} || extent < 0) unexpected("an extent");
      at_ = static_cast<std::size_t>(end - text_.data());
      accept('L');  // as Python 2 wrote integers
      if (shape.rank() == kMaxRank) refuse("it has more than {} dimensions", kMaxRank);
      shape.push_back(extent);
      comma = accept(',');
    }
    if (shape.rank() == 1 && !comma) unexpected("',' before ')'");  // (3) is a number, (3,) a tuple
    return shape;
  }
  StoredArray element(std::string_view descr) const {
    constexpr std::string_view kOrders = "<>|=";
    const bool ordered = !descr.empty() && kOrders.find(descr[0]) != kOrders.npos;
    const std::string_view kind = descr.substr(ordered ? 1 : 0);
    const auto row = std::ranges::find(kDescrs, kind, [](const auto& r) { return r.descr; });
    StoredArray stored;
    if (row != std::end(kDescrs)) {
      stored.element = row->element;
      stored.big_endian = descr[0] == '>';
      return stored;
    }
    const auto other =
        std::ranges::find(kOtherKinds, kind.empty() ? '\0' : kind[0], [](const auto& r) { return r.kind; });
    std::vector<std::string_view> known;
    for (const auto& r : kDescrs) known.push_back(r.descr);
    refuse("its elements '{}' are {}not supported; weft reads {}", descr,
           other == std::end(kOtherKinds) ? "" : fmt::format("{}, ", other->what), fmt::join(known, ", "));
  }

  const std::string& path_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Array read_npy(const std::string& path) {
  const DefaultFloats floats;
  const InputFile file(path);
  const auto need = [&](std::int64_t bytes, std::string_view what) {
    if (file.size() < bytes)
      fail("cannot read '{}' as .npy: it has {} bytes, expected {} for {}", path, file.size(), bytes, what);
  };
  constexpr std::int64_t kVersionEnd = std::ssize(kMagic) + 2;
  need(kVersionEnd, "magic and version");
  char start[kVersionEnd];
  file.read(0, std::as_writable_bytes(std::span(start)));
  if (!std::string_view(start, sizeof start).starts_with(kMagic))
    fail("cannot read '{}' as .npy: it does not begin with \\x93NUMPY", path);
  const int major = static_cast<unsigned char>(start[kVersionEnd - 2]);
  const int minor = static_cast<unsigned char>(start[kVersionEnd - 1]);
  if (major < 1 || major > 3 || minor != 0)
    fail("cannot read '{}' as .npy: version {}.{}, expected 1.0, 2.0 or 3.0", path, major, minor);

  std::uint32_t length = 0;
  const std::int64_t length_bytes = major == 1 ? 2 : 4;
  need(kVersionEnd + length_bytes, "the length of the header");
  file.read(kVersionEnd, std::as_writable_bytes(std::span(&length, 1)).first(static_cast<std::size_t>(length_bytes)));
  if (length > kMaxHeader)
    fail("cannot read '{}' as .npy: a header of {} bytes, more than {}", path, length, kMaxHeader);
  const std::int64_t data_begin = kVersionEnd + length_bytes + length;
  need(data_begin, "the header");
  std::string text(length, '\0');
  file.read(kVersionEnd + length_bytes, std::as_writable_bytes(std::span(text)));

  const StoredArray stored = HeaderParser(path, text).parse();
  std::int64_t bytes = 0;
  try {
    bytes = stored.bytes();
  } catch (const Error& e) {
    fail("cannot read '{}' as .npy: {}", path, e.what());
  }
  if (file.size() - data_begin != bytes)
    fail("cannot read '{}' as .npy: {}{} needs {} bytes after the header, found {}", path, name(stored.element),
         to_string(stored.shape), bytes, file.size() - data_begin);
  return read_elements(file, data_begin, stored, fmt::format("cannot read '{}' as .npy", path));
}

void write_npy(const std::string& path, const Array& array) {
  const auto row = std::ranges::find(kDescrs, array.dtype(), [](const auto& r) { return widened(r.element); });
  if (row == std::end(kDescrs)) fail("cannot write '{}': .npy has no element type for {}", path, name(array.dtype()));
  const auto& shape = array.shape();  // as Python prints a tuple: (), (2,), (2, 3)
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                 size_of(row->element) == 1 ? '|' : '<', row->descr, fmt::join(shape, ", "),
                                 shape.rank() == 1 ? "," : "");
  const std::int64_t prefix = std::ssize(kMagic) + 4;
  const auto unpadded = prefix + std::ssize(text) + 1;
  text.append(static_cast<std::size_t>((kAlign - unpadded % kAlign) % kAlign), ' ');
  text += '\n';
  const auto length = static_cast<std::uint16_t>(text.size());
  const std::string header = fmt::format("{}\x01{}{}{}{}", kMagic, '\0', static_cast<char>(length & 0xff),
                                         static_cast<char>(length >> 8), text);
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(header)), {array.data(), array.bytes()}};
  atomic_write(path, pieces);
}

}  // namespace weft

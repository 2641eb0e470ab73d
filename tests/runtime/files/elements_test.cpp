// Elements that weft has no dtype for: every format that stores them, in either byte order and either order of axes,
// against values made from the definitions with doubles and integers.
#include "runtime/files/elements.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "runtime/files/idx.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Kind {
  Element element;
  int bits;
  int exponent;  // of floats: its bits; 0 for integers
  bool is_signed;
  DType dtype;
  std::string_view npy, safetensors;  // "": the format has none
  int idx;                            // 0: none
};

constexpr Kind kKinds[] = {
    {Element::f8_e4m3, 8, 4, true, f32, "", "F8_E4M3", 0},     {Element::f8_e5m2, 8, 5, true, f32, "", "F8_E5M2", 0},
    {Element::f16, 16, 5, true, f32, "f2", "F16", 0},          {Element::bf16, 16, 8, true, f32, "", "BF16", 0},
    {Element::f32, 32, 8, true, f32, "f4", "F32", 0x0d},       {Element::f64, 64, 11, true, f64, "f8", "F64", 0x0e},
    {Element::i8, 8, 0, true, i32, "i1", "I8", 0x09},          {Element::i16, 16, 0, true, i32, "i2", "I16", 0x0b},
    {Element::i32, 32, 0, true, i32, "i4", "I32", 0x0c},       {Element::i64, 64, 0, true, i64, "i8", "I64", 0},
    {Element::u8, 8, 0, false, u8, "u1", "U8", 0x08},          {Element::u16, 16, 0, false, i32, "u2", "U16", 0},
    {Element::u32, 32, 0, false, i64, "u4", "U32", 0},         {Element::u64, 64, 0, false, i64, "u8", "U64", 0},
    {Element::boolean, 1, 0, false, boolean, "b1", "BOOL", 0},
};

int bytes_of(const Kind& k) { return std::max(k.bits, 8) / 8; }

/// The value that bits mean, from the definition of the format.
double float_value(const Kind& k, std::uint64_t bits) {
  const int mantissa = k.bits - 1 - k.exponent;
  const auto field = [&](int from, int width) { return static_cast<double>(bits >> from & ((1ull << width) - 1)); };
  const double sign = field(k.bits - 1, 1) > 0 ? -1 : 1, e = field(mantissa, k.exponent), m = field(0, mantissa);
  const double bias = std::exp2(k.exponent - 1) - 1, top = std::exp2(k.exponent) - 1, units = std::exp2(mantissa);
  const bool has_infinity = k.element != Element::f8_e4m3;
  if (e == top && has_infinity) return m == 0 ? sign * HUGE_VAL : std::nan("");
  if (e == top && m == units - 1) return std::nan("");
  if (e == 0) return sign * m / units * std::exp2(1 - bias);
  return sign * (1 + m / units) * std::exp2(e - bias);
}

std::int64_t integer_value(const Kind& k, std::uint64_t bits) {
  if (!k.is_signed || !(bits >> (k.bits - 1))) return static_cast<std::int64_t>(bits);
  return -static_cast<std::int64_t>(~bits & (~0ull >> (64 - k.bits))) - 1;
}

std::string as_stored(const Kind& k, const std::vector<std::uint64_t>& elements, bool big_endian) {
  std::string s;
  for (const std::uint64_t x : elements)
    for (int i = 0; i < bytes_of(k); ++i) s += static_cast<char>(x >> 8 * (big_endian ? bytes_of(k) - 1 - i : i));
  return s;
}

void require_value(const Kind& k, std::uint64_t bits, const Array& a, std::int64_t at) {
  CAPTURE(k.safetensors, bits, at);
  if (k.exponent) {
    const double want = float_value(k, bits), got = a.at(at);
    REQUIRE((std::isnan(want) ? std::isnan(got) : want == got && std::signbit(want) == std::signbit(got)));
  } else {
    const auto i = static_cast<std::size_t>(at);
    const std::int64_t got = a.dtype() == i64   ? a.as<std::int64_t>()[i]
                             : a.dtype() == i32 ? a.as<std::int32_t>()[i]
                             : a.dtype() == u8  ? a.as<std::uint8_t>()[i]
                                                : a.as<bool>()[i];
    REQUIRE(integer_value(k, bits) == got);
  }
}

/// Bits of an element: all there are of up to 16, else edges and others.
std::vector<std::uint64_t> patterns(const Kind& k) {
  std::vector<std::uint64_t> all;
  if (k.bits <= 16) {
    for (std::uint64_t x = 0; x < 1ull << k.bits; ++x) all.push_back(x);
    return all;
  }
  const std::uint64_t mask = ~0ull >> (64 - k.bits);
  for (int bit = 0; bit < k.bits; ++bit) {
    all.push_back(1ull << bit);
    all.push_back(mask >> bit);
    all.push_back(0x9e3779b97f4a7c15 * static_cast<std::uint64_t>(bit + 1) & mask);
  }
  all.push_back(0);
  if (k.element == Element::u64)
    for (std::uint64_t& x : all) x &= mask >> 1;  // what i64 holds
  return all;
}

std::string npy_bytes(const Kind& k, bool big_endian, bool fortran, const Shape& shape, std::string_view data,
                      char major) {
  std::string extents;
  for (std::int64_t e : shape) extents += fmt::format("{}, ", e);
  const std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': {}, 'shape': ({}), }}\n",
                                         bytes_of(k) == 1 ? '|'
                                         : big_endian     ? '>'
                                                          : '<',
                                         k.npy, fortran ? "True" : "False", extents);
  std::string s = "\x93NUMPY";
  s += {major, '\0'};
  const auto length = static_cast<std::uint32_t>(header.size());
  s.append(reinterpret_cast<const char*>(&length), major == 1 ? 2 : 4);
  return s.append(header).append(data);
}

std::string safetensors_bytes(std::string_view dtype, const Shape& shape, std::string_view data) {
  const std::string header = fmt::format(R"({{"w":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", dtype,
                                         fmt::join(shape, ","), data.size());
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8).append(header).append(data);
}

/// Where the element at `at`, counted in C order, lies in Fortran order.
std::int64_t fortran_position(const Shape& shape, std::int64_t at) {
  std::int64_t position = 0, stride = element_count(shape);
  for (int d = shape.rank(); d-- > 0;) {
    stride /= shape[d];
    position += at % shape[d] * stride;
    at /= shape[d];
  }
  return position;
}

}  // namespace

TEST_CASE("every kind of element is widened exactly, from every format") {
  const TempDir dir;
  const auto path = dir.file("x");
  for (const Kind& k : kKinds) {
    const std::vector<std::uint64_t> all = patterns(k);
    const auto n = static_cast<std::int64_t>(all.size());
    CHECK(widened(k.element) == k.dtype);
    CHECK(size_of(k.element) == bytes_of(k));
    const auto check = [&](const Array& a) {
      REQUIRE(a.type() == Type{k.dtype, {n}});
      for (std::int64_t i = 0; i < n; ++i) require_value(k, all[static_cast<std::size_t>(i)], a, i);
    };
    for (const bool big_endian : {false, true}) {
      const std::string data = as_stored(k, all, big_endian);
      for (const char major : {1, 2, 3}) {
        if (k.npy.empty()) continue;
        spill(path, npy_bytes(k, big_endian, false, {n}, data, major));
        check(read_npy(path));
      }
      if (!big_endian) {
        spill(path, safetensors_bytes(k.safetensors, {n}, data));
        check(load_safetensors(path).arrays.at(0).value);
      } else if (k.idx) {
        std::string header{'\0', '\0', static_cast<char>(k.idx), 1};
        for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(n >> shift);
        spill(path, header + data);
        check(read_idx(path));
      }
    }
  }
}

TEST_CASE("arrays in Fortran order are read as what they are") {
  const TempDir dir;
  const auto path = dir.file("x.npy");
  for (const Kind& k : kKinds) {
    if (k.npy.empty()) continue;
    for (const bool big_endian : {false, true})
      for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{0}, Shape{3, 0, 2}, Shape{2, 3}, Shape{5, 1, 4},
                                 Shape{2, 3, 4, 5}, Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
        std::vector<std::uint64_t> elements;
        for (std::int64_t i = 0; i < element_count(shape); ++i)
          elements.push_back(static_cast<std::uint64_t>(k.bits == 1 ? i % 2 : i));
        spill(path, npy_bytes(k, big_endian, true, shape, as_stored(k, elements, big_endian), 1));
        const Array a = read_npy(path);
        REQUIRE(a.type() == Type{k.dtype, shape});
        for (std::int64_t i = 0; i < a.size(); ++i)
          require_value(k, elements[static_cast<std::size_t>(fortran_position(shape, i))], a, i);
      }
  }
}

TEST_CASE("a value that no dtype holds is refused") {
  const TempDir dir;
  const auto path = dir.file("x");
  const Kind& u64_kind = kKinds[static_cast<std::size_t>(Element::u64)];
  const std::string data = as_stored(u64_kind, {7, 1ull << 63}, false);
  const std::string message = "element 1 is 9223372036854775808, expected at most 9223372036854775807";
  spill(path, npy_bytes(u64_kind, false, false, {2}, data, 1));
  CHECK(error_of([&] { read_npy(path); }) == "cannot read '" + path + "' as .npy: " + message);
  spill(path, safetensors_bytes("U64", {2}, data));
  CHECK(error_of([&] { load_safetensors(path); }) ==
        "'" + path + "' is not a valid safetensors file: tensor 'w': " + message);
  // Far into the array, behind the blocks that are converted at a time.
  std::string bytes(200'000, '\1');
  bytes[150'000] = 2;
  spill(path, safetensors_bytes("BOOL", {200'000}, bytes));
  CHECK(error_of([&] { load_safetensors(path); }) ==
        "'" + path + "' is not a valid safetensors file: tensor 'w': element 150000 is 2, expected 0 or 1");
}

TEST_CASE("sizes that overflow in the file or once they are widened are refused before memory is taken") {
  const TempDir dir;
  const auto path = dir.file("x");
  for (const Kind& k : kKinds)
    for (const Shape& shape :
         {Shape{std::int64_t{1} << 62, 4}, Shape{std::int64_t{1} << 46}, Shape{INT64_MAX, INT64_MAX}}) {
      spill(path, safetensors_bytes(k.safetensors, shape, "abcd"));
      CHECK_THAT(error_of([&] { load_safetensors(path); }), Catch::Matchers::ContainsSubstring("tensor 'w': "));
      if (k.npy.empty()) continue;
      spill(path, npy_bytes(k, false, true, shape, "abcd", 1));
      CHECK_THAT(error_of([&] { read_npy(path); }),
                 Catch::Matchers::StartsWith("cannot read '" + path + "' as .npy: "));
    }
}

TEST_CASE("mutated files of widened elements load or are refused, and nothing else") {
  const TempDir dir;
  const auto path = dir.file("x");
  int loaded = 0, refused = 0;
  const auto count = [&](const std::string& message) { message == "no error" ? ++loaded : ++refused; };
  for (const Kind& k : kKinds) {
    const std::string data = as_stored(k, {1, 0, 1, 1, 0, 1}, false);
    mutate(safetensors_bytes(k.safetensors, {2, 3}, data), 400, [&](const std::string& bytes) {
      spill(path, bytes);
      count(error_of([&] { load_safetensors(path); }));
    });
    if (k.npy.empty()) continue;
    mutate(npy_bytes(k, true, true, {2, 3}, data, 2), 400, [&](const std::string& bytes) {
      spill(path, bytes);
      count(error_of([&] { read_npy(path); }));
    });
  }
  CHECK(loaded > 50);
  CHECK(refused > 3000);
}

// One row an element type: how many bytes it takes, which dtype holds it, and how to make that of it.
#include "runtime/files/elements.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "ir/base/error.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "bytes are taken as little-endian once they are swapped");

constexpr std::size_t kBlock = 1 << 16;  // elements that are converted at a time

/// A float of `exponent` and `mantissa` bits below its sign bit, exactly. With `finite_only` there is no infinity, and
/// NaN has all bits set.
template <int exponent, int mantissa, bool finite_only = false>
float small_float(unsigned bits) {
  constexpr unsigned kExponents = 1u << exponent, kMantissas = 1u << mantissa, kBias = kExponents / 2 - 1;
  const std::uint32_t sign = (bits >> (exponent + mantissa)) << 31;
  const unsigned e = bits >> mantissa & (kExponents - 1), m = bits & (kMantissas - 1);
  const std::uint32_t fraction = static_cast<std::uint32_t>(m) << (23 - mantissa);
  const bool special = e == kExponents - 1 && (!finite_only || m == kMantissas - 1);
  if (special) return std::bit_cast<float>(sign | 0x7f800000u | fraction);
  if (e == 0) {  // m units of 2^(1 - bias - mantissa): zero or subnormal here, normal as f32
    const float unit = std::bit_cast<float>(static_cast<std::uint32_t>(127 + 1 - kBias - mantissa) << 23);
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(m) * unit) | sign);
  }
  return std::bit_cast<float>(sign | (e + 127 - kBias) << 23 | fraction);
}

float from_bf16(unsigned bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

/// Element `i` of a block is no value of the dtype.
struct Misfit {
  std::size_t i;
  std::string value, expected;
};

/// Converts n elements that lie in native order at `from`.
using Widen = void (*)(const std::byte* from, std::byte* to, std::size_t n);

template <class From, class To, To (*convert)(From)>
void widen(const std::byte* from, std::byte* to, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    From x;
    std::memcpy(&x, from + i * sizeof x, sizeof x);
    const To y = convert(x);
    std::memcpy(to + i * sizeof y, &y, sizeof y);
  }
}

template <class From, class To>
To exactly(From x) {
  return static_cast<To>(x);
}
template <class From, float (*convert)(unsigned)>
float to_float(From x) {
  return convert(x);
}

template <int bytes>
void copy(const std::byte* from, std::byte* to, std::size_t n) {
  if (n) std::memcpy(to, from, n * bytes);
}

void narrow_u64(const std::byte* from, std::byte* to, std::size_t n) {
  copy<8>(from, to, n);
  for (std::size_t i = 0; i < n; ++i) {
    std::uint64_t x;
    std::memcpy(&x, from + i * sizeof x, sizeof x);
    if (x > INT64_MAX) throw Misfit{i, std::to_string(x), fmt::format("at most {}", INT64_MAX)};
  }
}

void check_booleans(const std::byte* from, std::byte* to, std::size_t n) {
  copy<1>(from, to, n);
  for (std::size_t i = 0; i < n; ++i)
    if (const auto byte = static_cast<unsigned>(from[i]); byte > 1) throw Misfit{i, std::to_string(byte), "0 or 1"};
}

constexpr struct Row {
  std::string_view name;
  std::size_t bytes;
  DType dtype;
  Widen convert;
} kRows[] = {
    {"f8_e4m3", 1, f32, widen<std::uint8_t, float, to_float<std::uint8_t, small_float<4, 3, true>>>},
    {"f8_e5m2", 1, f32, widen<std::uint8_t, float, to_float<std::uint8_t, small_float<5, 2>>>},
    {"f16", 2, f32, widen<std::uint16_t, float, to_float<std::uint16_t, small_float<5, 10>>>},
    {"bf16", 2, f32, widen<std::uint16_t, float, to_float<std::uint16_t, from_bf16>>},
    {"f32", 4, f32, copy<4>},
    {"f64", 8, f64, copy<8>},
    {"i8", 1, i32, widen<std::int8_t, std::int32_t, exactly>},
    {"i16", 2, i32, widen<std::int16_t, std::int32_t, exactly>},
    {"i32", 4, i32, copy<4>},
    {"i64", 8, i64, copy<8>},
    {"u8", 1, u8, copy<1>},
    {"u16", 2, i32, widen<std::uint16_t, std::int32_t, exactly>},
    {"u32", 4, i64, widen<std::uint32_t, std::int64_t, exactly>},
    {"u64", 8, i64, narrow_u64},
    {"bool", 1, boolean, check_booleans},
};
static_assert(std::size(kRows) == static_cast<std::size_t>(Element::boolean) + 1);

const Row& row(Element e) { return kRows[static_cast<std::size_t>(e)]; }

void swap_bytes(std::span<std::byte> bytes, std::size_t size) {
  for (std::size_t i = 0; size > 1 && i < bytes.size(); i += size) std::reverse(&bytes[i], &bytes[i] + size);
}

Shape reversed(const Shape& shape) {
  Shape r;
  for (int d = shape.rank(); d-- > 0;) r.push_back(shape[d]);
  return r;
}

/// x[i0,…,in] of the transposed [in,…,i0].
Array reversed_axes(const Array& x) {
  const int rank = x.shape().rank();
  const Shape shape = reversed(x.shape());
  Array y({x.dtype(), shape});
  const std::size_t size = size_of(x.dtype());
  const Dims strides = row_major_strides(x.shape());
  Dims at = Dims::filled(rank, 0);
  std::int64_t from = 0;
  for (std::int64_t to = 0; to < y.size(); ++to) {
    std::memcpy(y.data() + static_cast<std::size_t>(to) * size, x.data() + static_cast<std::size_t>(from) * size, size);
    for (int d = rank; d-- > 0;) {  // the next index of y; its axis d is axis rank - 1 - d of x
      from += strides[rank - 1 - d];
      if (++at[d] < shape[d]) break;
      from -= strides[rank - 1 - d] * shape[d];
      at[d] = 0;
    }
  }
  return y;
}

}  // namespace

std::int64_t size_of(Element e) { return static_cast<std::int64_t>(row(e).bytes); }
DType widened(Element e) { return row(e).dtype; }
std::string_view name(Element e) { return row(e).name; }

Type StoredArray::type() const {
  const Type t{widened(element), shape};
  byte_size(t);
  return t;
}

std::int64_t StoredArray::bytes() const { return element_count(type().shape) * size_of(element); }

Array read_elements(const StoredArray& stored, const std::string& context,
                    const std::function<void(std::span<std::byte>)>& next) {
  Type type = stored.type();
  if (stored.first_axis_fastest) type.shape = reversed(type.shape);
  Array array(type);
  const Row& r = row(stored.element);
  const auto count = static_cast<std::size_t>(array.size());
  std::vector<std::byte> block(std::min(count, kBlock) * r.bytes);
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::span<std::byte> part(block.data(), std::min(kBlock, count - at) * r.bytes);
    next(part);
    if (stored.big_endian) swap_bytes(part, r.bytes);
    try {
      r.convert(part.data(), array.data() + at * size_of(type.dtype), part.size() / r.bytes);
    } catch (const Misfit& misfit) {
      fail("{}: element {} is {}, expected {}", context, at + misfit.i, misfit.value, misfit.expected);
    }
  }
  return stored.first_axis_fastest ? reversed_axes(array) : array;
}

Array read_elements(const InputFile& file, std::int64_t offset, const StoredArray& stored, const std::string& context) {
  return read_elements(stored, context, [&](std::span<std::byte> to) {
    file.read(offset, to);
    offset += std::ssize(to);
  });
}

}  // namespace weft

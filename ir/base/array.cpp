// Host tensors.
#include "ir/base/array.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "ir/base/cache_line.h"
#include "ir/base/float_environment.h"
#include "ir/base/memory_limit.h"

namespace weft {
namespace {

/// Zeros, aligned to cache lines. What whole huge pages a large tensor covers asks for them: a kernel that streams
/// through memory would wait for the translation of each small one.
std::shared_ptr<std::byte[]> allocate(std::int64_t wanted) {
  constexpr std::uintptr_t kHugePage = 2 << 20;
  check_memory(wanted, "a tensor");
  const auto bytes = static_cast<std::size_t>(whole_lines(std::max<std::int64_t>(wanted, 1)));
  void* p = std::aligned_alloc(kCacheLine, bytes);
  if (!p) fail("cannot allocate {} bytes for a tensor", bytes);
#ifdef MADV_HUGEPAGE
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  const std::uintptr_t first = (address + kHugePage - 1) / kHugePage * kHugePage,
                       last = (address + bytes) / kHugePage * kHugePage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);  // a wish: it may be refused
#endif
  std::memset(p, 0, bytes);
  return {static_cast<std::byte*>(p), [](std::byte* q) { std::free(q); }};
}

template <class T>
bool same_values(std::span<T> a, std::span<T> b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return false;
  }
  return true;
}

}  // namespace

Array::Array() : Array(Type{f32, {}}) {}

Array::Array(const Type& type) : type_(type), count_(element_count(type.shape)) { data_ = allocate(byte_size(type)); }

Array::Array(Array&& other) noexcept
    : type_(std::exchange(other.type_, {f32, {0}})),
      count_(std::exchange(other.count_, 0)),
      data_(std::move(other.data_)) {}

Array& Array::operator=(Array&& other) noexcept {
  if (this != &other) {
    type_ = std::exchange(other.type_, {f32, {0}});
    count_ = std::exchange(other.count_, 0);
    data_ = std::move(other.data_);
  }
  return *this;
}

Array Array::filled(const Type& type, const Number& value) {
  const DefaultFloats floats;
  Array a(type);
  visit_dtype(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    const std::optional<T> element = value.as<T>();
    if (!element) fail("the number {} is not a value of {}", value.str(), name(type.dtype));
    std::ranges::fill(a.as<T>(), *element);
  });
  return a;
}

void Array::check_type(DType wanted) const {
  if (wanted != type_.dtype) fail("array of {} read as {}", to_string(type_), name(wanted));
}

double Array::at(std::int64_t i) const {
  if (i < 0 || i >= count_) fail("at: no element {} in an array of {}: {}", i, count_, to_string(type_));
  return visit_dtype(type_.dtype,
                     [&](auto zero) { return static_cast<double>(as<decltype(zero)>()[static_cast<std::size_t>(i)]); });
}

Array Array::clone() const {
  Array a(type_);
  std::copy_n(data(), bytes(), a.data());
  return a;
}

Array Array::reshaped(const Shape& shape) const {
  if (element_count(shape) != count_)
    fail("cannot reshape {} to {}: {} into {}", to_string(type_), to_string(shape), counted(count_, "element"),
         element_count(shape));
  Array a = *this;
  a.type_.shape = shape;
  return a;
}

Array Array::view_rows(std::int64_t begin, std::int64_t end) const {
  if (type_.shape.empty() || begin < 0 || end < begin || end > type_.shape[0])
    fail("rows [{}, {}) of an array of {}", begin, end, to_string(type_));
  const std::size_t row = type_.shape[0] ? bytes() / static_cast<std::size_t>(type_.shape[0]) : 0;
  Array a = *this;
  a.type_.shape[0] = end - begin;
  a.count_ = element_count(a.type_.shape);
  a.data_ = {data_, data() + static_cast<std::size_t>(begin) * row};
  return a;
}

Array Array::rows(std::int64_t begin, std::int64_t end) const { return view_rows(begin, end).clone(); }

Array Array::converted(DType to) const {
  const DefaultFloats floats;
  Array a(Type{to, type_.shape});
  visit_dtype(type_.dtype, [&](auto from_zero) {
    visit_dtype(to, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      auto source = as<From>();
      auto target = a.as<To>();
      for (std::size_t i = 0; i < source.size(); ++i) target[i] = static_cast<To>(source[i]);
    });
  });
  return a;
}

bool Array::same_bits(const Array& other) const {
  if (!(type_ == other.type_)) return false;
  return visit_dtype(type_.dtype,
                     [&](auto zero) { return same_values(as<decltype(zero)>(), other.as<decltype(zero)>()); });
}

std::string Array::str(std::int64_t max_elements) const {
  const DefaultFloats floats;
  std::string s = to_string(type_) + " {";
  visit_dtype(type_.dtype, [&](auto zero) {
    auto values = as<decltype(zero)>();
    for (std::int64_t i = 0; i < std::min(count_, max_elements); ++i)
      s += fmt::format("{}{}", i ? ", " : "", plain_nan(values[static_cast<std::size_t>(i)]));
  });
  return s + (count_ > max_elements ? ", …}" : "}");
}

}  // namespace weft

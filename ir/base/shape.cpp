// Shapes and their sizes.
#include "ir/base/shape.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <unordered_map>

#include "ir/base/lexer.h"

namespace weft {
namespace {
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 46;
}

Dims::Dims(std::span<const std::int64_t> values) {
  for (std::int64_t v : values) push_back(v);
}

Dims Dims::filled(int rank, std::int64_t value) {
  Dims d;
  for (int i = 0; i < rank; ++i) d.push_back(value);
  return d;
}

Dims Dims::iota(int rank) {
  Dims d;
  for (int i = 0; i < rank; ++i) d.push_back(i);
  return d;
}

void Dims::push_back(std::int64_t value) {
  if (rank_ == kMaxRank) fail("a shape or axis list has more than {} entries", kMaxRank);
  values_[static_cast<std::size_t>(rank_++)] = value;
}

void Dims::insert(int at, std::int64_t value) {
  push_back(0);
  std::copy_backward(values_.begin() + at, values_.begin() + rank_ - 1, values_.begin() + rank_);
  values_[static_cast<std::size_t>(at)] = value;
}

void Dims::erase(int at) {
  std::copy(values_.begin() + at + 1, values_.begin() + rank_, values_.begin() + at);
  values_[static_cast<std::size_t>(--rank_)] = 0;
}

bool Dims::contains(std::int64_t value) const { return std::find(begin(), end(), value) != end(); }

namespace {
std::string list_text(const Dims& dims, bool extents) {
  std::string s = "[";
  for (int i = 0; i < dims.rank(); ++i) {
    if (i) s += ',';
    s += extents ? extent_text(dims[i]) : std::to_string(dims[i]);
  }
  return s + "]";
}
}  // namespace

std::string to_string(const Dims& dims) { return list_text(dims, true); }
std::string list_text(const Dims& dims) { return list_text(dims, false); }

std::string to_string(const Type& t) {
  if (!is_tuple(t)) return std::string(name(t.dtype)) + to_string(t.shape);
  std::string s;
  for (const Type& part : *t.parts) s += (s.empty() ? "" : ", ") + to_string(part);
  return "(" + s + ")";
}

Type tuple_of(std::vector<Type> parts) {
  return {tuple, {}, std::make_shared<const std::vector<Type>>(std::move(parts))};
}

bool is_static(const Shape& shape) { return std::ranges::none_of(shape, is_symbol); }

namespace {
/// The names of symbols, for good: number i is kFirstSymbol - i.
struct SymbolNames {
  std::mutex mutex;
  std::deque<std::string> names;
  std::unordered_map<std::string_view, std::int64_t> numbers;
};
SymbolNames& symbol_names() {
  static SymbolNames& names = *new SymbolNames;
  return names;
}
}  // namespace

std::int64_t symbol(std::string_view name) {
  if (!is_identifier(name))
    fail(
        "the name '{}' of an extent is not an identifier: expected letters, digits, '_' and '.', not starting with a "
        "digit",
        name);
  SymbolNames& all = symbol_names();
  const std::lock_guard lock(all.mutex);
  const auto known = all.numbers.find(name);
  if (known != all.numbers.end()) return known->second;
  const std::int64_t number = kFirstSymbol - static_cast<std::int64_t>(all.names.size());
  all.numbers.emplace(all.names.emplace_back(name), number);
  return number;
}

std::string extent_text(std::int64_t extent) {
  if (extent == kBatch) return "?";
  if (!is_symbol(extent)) return std::to_string(extent);
  SymbolNames& all = symbol_names();
  const std::lock_guard lock(all.mutex);
  const auto i = static_cast<std::size_t>(kFirstSymbol - extent);
  return i < all.names.size() ? "?" + all.names[i] : std::to_string(extent);
}

namespace {
std::int64_t checked_product(const Shape& shape, std::int64_t unit) {
  // An empty tensor is small whatever its other extents say, but those must still be extents.
  std::int64_t n = unit;
  bool empty = false;
  for (std::int64_t extent : shape) {
    if (extent < 0)
      fail("shape {} has {} extent, so it has no size", to_string(shape),
           extent == kBatch    ? "an unbound batch"
           : is_symbol(extent) ? "an unbound"
                               : "a negative");
    empty |= extent == 0;
  }
  if (empty) return 0;
  for (std::int64_t extent : shape) {
    if (extent > kMaxBytes / n) fail("a tensor of shape {} is too large: more than 2^46 bytes", to_string(shape));
    n *= extent;
  }
  return n;
}
}  // namespace

std::int64_t element_count(const Shape& shape) { return checked_product(shape, 1); }
std::int64_t byte_size(const Type& t) { return checked_product(t.shape, static_cast<std::int64_t>(size_of(t.dtype))); }

Extents::Extents(std::initializer_list<Entry> entries) {
  for (const auto& [symbol, extent] : entries) set(symbol, extent);
}

void Extents::set(std::int64_t unknown, std::int64_t extent) {
  if (!is_symbol(unknown))
    fail("an extent is given for {}, which is no symbol: expected kBatch or symbol(name)", unknown);
  if (extent < 0)
    fail("cannot bind {} of {}: expected 0 or more",
         unknown == kBatch ? "a batch" : "the extent " + extent_text(unknown), extent);
  for (Entry& e : entries_)
    if (e.first == unknown) return void(e.second = extent);
  entries_.emplace_back(unknown, extent);
}

std::optional<std::int64_t> Extents::find(std::int64_t unknown) const {
  for (const Entry& e : entries_)
    if (e.first == unknown) return e.second;
  return {};
}

Dims free_axes(int rank, const Dims& contracted, const Dims& batch) {
  Dims free;
  for (int i = 0; i < rank; ++i)
    if (!contracted.contains(i) && !batch.contains(i)) free.push_back(i);
  return free;
}

bool erase_leading_symbol(Shape& from, Shape& to) {
  const auto leading = [](const Shape& s) {
    int i = 0;
    while (i < s.rank() && !is_symbol(s[i])) ++i;
    return i;
  };
  const int i = leading(from), j = leading(to);
  if (i == from.rank() || j == to.rank() || from[i] != to[j]) return false;
  const auto before = [](const Shape& s, int n) {
    return element_count(Shape(std::span(s.begin(), static_cast<std::size_t>(n))));
  };
  const std::int64_t count = before(from, i);
  if (count != before(to, j) || count == 0) return false;
  from = Shape(std::span(from.begin() + i + 1, from.end()));
  to = Shape(std::span(to.begin() + j + 1, to.end()));
  return true;
}

Dims row_major_strides(const Shape& shape) {
  Dims strides = Dims::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i)  // of an empty shape a product may be anything: nobody steps there
    if (__builtin_mul_overflow(strides[i + 1], shape[i + 1], &strides[i])) strides[i] = 0;
  return strides;
}

}  // namespace weft

// The header is checked in three steps: JSON (syntax, depth, duplicates), each tensor by itself (dtype, shape, size),
// and all together (the byte ranges tile the data exactly). Only then is memory for an array allocated.
#include "runtime/files/safetensors.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "ir/base/error.h"
#include "runtime/files/elements.h"
#include "runtime/files/file.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie in memory");

using Json = nlohmann::json;

constexpr std::int64_t kMaxHeader = 16 << 20;  // about 100,000 tensors; bounds what a hostile header makes us allocate
constexpr std::string_view kMetadata = "__metadata__";

// The first row of a dtype is how it is written.
constexpr struct {
  std::string_view name;
  Element element;
} kElements[] = {
    {"F32", Element::f32}, {"F64", Element::f64},         {"I32", Element::i32},         {"I64", Element::i64},
    {"U8", Element::u8},   {"BOOL", Element::boolean},    {"F16", Element::f16},         {"BF16", Element::bf16},
    {"I8", Element::i8},   {"I16", Element::i16},         {"U16", Element::u16},         {"U32", Element::u32},
    {"U64", Element::u64}, {"F8_E4M3", Element::f8_e4m3}, {"F8_E5M2", Element::f8_e5m2},
};

std::string_view safetensors_name(DType t) {
  for (const auto& row : kElements)
    if (widened(row.element) == t) return row.name;
  fail("safetensors: arrays of {} cannot be saved", name(t));
}

/// A tensor as the header describes it.
struct Entry {
  std::string name;
  StoredArray array;
  std::int64_t begin = 0, end = 0;  // byte range in the data
};

/// Prefixes every message with the file, and with the tensor once there is one.
class Header {
 public:
  Header(const std::string& path, std::int64_t data_bytes) : path_(path), data_bytes_(data_bytes) {}

  void parse(std::string_view text);
  std::vector<Entry> entries;  // in the order of their data
  std::map<std::string, std::string> metadata;

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail("'{}' is not a valid safetensors file: {}", path_, fmt::format(format, std::forward<Args>(args)...));
  }
  Json parse_json(std::string_view text) const;
  Entry entry(const std::string& name, const Json&) const;
  std::int64_t integer(const std::string& name, const char* key, const Json&) const;
  void check_ranges() const;

  const std::string& path_;
  std::int64_t data_bytes_;
};

Json Header::parse_json(std::string_view text) const {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const Json::parser_callback_t check = [&](int depth, Json::parse_event_t event, Json& value) {
    switch (event) {
      case Json::parse_event_t::object_start: keys.emplace_back(); [[fallthrough]];
      case Json::parse_event_t::array_start:
        if (depth > 2) refuse("the header is nested deeper than a tensor's shape");
        break;
      case Json::parse_event_t::object_end: keys.pop_back(); break;
      case Json::parse_event_t::key:
        if (!keys.back().insert(value.get_ref<const std::string&>()).second)
          refuse("'{}' appears twice", value.get_ref<const std::string&>());
        break;
      default: break;
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& e) {
    refuse("its header is not JSON: {}", e.what());
  }
}

std::int64_t Header::integer(const std::string& name, const char* key, const Json& value) const {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    refuse("tensor '{}': {} holds {}, expected a non-negative integer", name, key, value.dump());
  return value.get<std::int64_t>();
}

Entry Header::entry(const std::string& name, const Json& value) const {
  if (!value.is_object()) refuse("tensor '{}' is {}, expected an object", name, value.type_name());
  const auto field = [&](const char* key, Json::value_t kind) -> const Json& {
    const auto it = value.find(key);
    if (it == value.end()) refuse("tensor '{}' has no {}", name, key);
    if (it->type() != kind)
      refuse("tensor '{}': {} is {}, expected {}", name, key, it->type_name(), Json(kind).type_name());
    return *it;
  };
  const Json& dtype = field("dtype", Json::value_t::string);
  const Json& shape = field("shape", Json::value_t::array);
  const Json& offsets = field("data_offsets", Json::value_t::array);
  if (value.size() != 3)
    refuse("tensor '{}' has {} fields, expected dtype, shape and data_offsets", name, value.size());

  Entry e;
  e.name = name;
  const auto& dtype_name = dtype.get_ref<const std::string&>();
  const auto row = std::ranges::find(kElements, dtype_name, [](const auto& r) { return r.name; });
  if (row == std::end(kElements)) {
    std::vector<std::string_view> known;
    for (const auto& r : kElements) known.push_back(r.name);
    fail("cannot read '{}': dtype '{}' of tensor '{}' is not supported; weft reads {}", path_, dtype_name, name,
         fmt::join(known, ", "));
  }
  e.array.element = row->element;
  if (shape.size() > kMaxRank)
    refuse("tensor '{}' has {} dimensions, more than the {} that weft can hold", name, shape.size(), kMaxRank);
  for (const Json& extent : shape) e.array.shape.push_back(integer(name, "shape", extent));

  if (offsets.size() != 2) refuse("tensor '{}': data_offsets holds {} numbers, expected 2", name, offsets.size());
  e.begin = integer(name, "data_offsets", offsets[0]);
  e.end = integer(name, "data_offsets", offsets[1]);
  if (e.begin > e.end || e.end > data_bytes_)
    refuse("tensor '{}': data_offsets [{}, {}] in {} bytes of data", name, e.begin, e.end, data_bytes_);
  std::int64_t bytes = 0;
  try {
    bytes = e.array.bytes();
  } catch (const Error& error) {
    refuse("tensor '{}': {}", name, error.what());
  }
  if (bytes != e.end - e.begin)
    refuse("tensor '{}': {}{} needs {} bytes, data_offsets [{}, {}] hold {}", name, weft::name(row->element),
           to_string(e.array.shape), bytes, e.begin, e.end, e.end - e.begin);
  return e;
}

void Header::check_ranges() const {
  std::int64_t at = 0;
  const std::string* previous = nullptr;
  for (const Entry& e : entries) {
    if (e.begin < at) refuse("tensors '{}' and '{}' overlap at byte {} of the data", *previous, e.name, e.begin);
    if (e.begin > at)
      refuse("bytes {} to {} of the data, before tensor '{}', belong to no tensor", at, e.begin, e.name);
    at = e.end;
    previous = &e.name;
  }
  if (at != data_bytes_) refuse("the last {} of {} bytes of data belong to no tensor", data_bytes_ - at, data_bytes_);
}

void Header::parse(std::string_view text) {
  if (!text.starts_with('{')) refuse("its header does not begin with '{{'");
  const Json root = parse_json(text);
  for (const auto& [name, value] : root.items()) {
    if (name != kMetadata) {
      entries.push_back(entry(name, value));
      continue;
    }
    if (!value.is_object()) refuse("{} is {}, expected an object", kMetadata, value.type_name());
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string()) refuse("{}: '{}' is {}, expected a string", kMetadata, key, text_value.type_name());
      metadata.emplace(key, text_value.get<std::string>());
    }
  }
  // Empty tensors come before the tensor that begins where they lie.
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::tuple(e.begin, e.end, std::string_view(e.name)); });
  check_ranges();
}

/// The JSON header, padded with spaces so that the data begins at a multiple of 8, as the format's reference writer
/// does.
std::string header_text(const std::string& path, const Checkpoint& checkpoint) {
  Json root = Json::object();
  if (!checkpoint.metadata.empty()) root[std::string(kMetadata)] = checkpoint.metadata;
  std::size_t at = 0;
  for (const auto& [array_name, array] : checkpoint.arrays) {
    if (array_name == kMetadata) fail("cannot write '{}': the name '{}' is reserved", path, array_name);
    if (root.contains(array_name)) fail("cannot write '{}': two arrays are named '{}'", path, array_name);
    root[array_name] = {{"dtype", safetensors_name(array.dtype())},
                        {"shape", std::vector<std::int64_t>(array.shape().begin(), array.shape().end())},
                        {"data_offsets", {at, at + array.bytes()}}};
    at += array.bytes();
  }
  std::string text;
  try {
    text = root.dump();
  } catch (const Json::exception&) {
    fail("cannot write '{}': a name or a metadata text is not valid UTF-8", path);
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (static_cast<std::int64_t>(text.size()) > kMaxHeader)
    fail("cannot write '{}': its header would have {} bytes, more than {}", path, text.size(), kMaxHeader);
  return text;
}

}  // namespace

const Array* Checkpoint::find(std::string_view name) const {
  const auto it = std::ranges::find(arrays, name, &NamedArray::name);
  return it == arrays.end() ? nullptr : &it->value;
}

void save_safetensors(const std::string& path, const Checkpoint& checkpoint) {
  const std::string header = header_text(path, checkpoint);
  const std::uint64_t length = header.size();
  std::vector<std::span<const std::byte>> pieces{std::as_bytes(std::span(&length, 1)),
                                                 std::as_bytes(std::span(header))};
  for (const NamedArray& a : checkpoint.arrays) pieces.emplace_back(a.value.data(), a.value.bytes());
  atomic_write(path, pieces);
}

Checkpoint load_safetensors(const std::string& path) {
  const InputFile file(path);
  std::uint64_t length = 0;
  constexpr std::int64_t kPrefix = sizeof length;
  if (file.size() < kPrefix)
    fail("'{}' is not a valid safetensors file: it has {} bytes, expected at least {}", path, file.size(), kPrefix);
  file.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > static_cast<std::uint64_t>(std::min(kMaxHeader, file.size() - kPrefix)))
    fail("'{}' is not a valid safetensors file: a header of {} bytes in a file of {} (at most {} are allowed)", path,
         length, file.size(), kMaxHeader);
  std::string text(length, '\0');
  file.read(kPrefix, std::as_writable_bytes(std::span(text)));

  const std::int64_t data_begin = kPrefix + static_cast<std::int64_t>(length);
  Header header(path, file.size() - data_begin);
  header.parse(text);

  Checkpoint checkpoint{.arrays = {}, .metadata = std::move(header.metadata)};
  for (Entry& e : header.entries) {
    const auto context = fmt::format("'{}' is not a valid safetensors file: tensor '{}'", path, e.name);
    Array array = read_elements(file, data_begin + e.begin, e.array, context);
    checkpoint.arrays.push_back({std::move(e.name), std::move(array)});
  }
  return checkpoint;
}

}  // namespace weft

// Layout of an entry, in the machine's byte order (an entry is code of this machine):
//   magic  checksum  Sizes  key  phases (PhaseRecord)  object
// The checksum is over everything behind it.
#include "codegen/cache/cache_entry.h"

#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/BLAKE3.h>

#include <cstring>

#include "ir/base/error.h"

namespace weft::codegen {
namespace {

constexpr std::string_view kMagic = "weftobj\2";
using Checksum = llvm::BLAKE3Result<>;
constexpr std::size_t kBody = kMagic.size() + sizeof(Checksum);

struct Sizes {
  std::uint64_t key = 0, phases = 0, object = 0;
};

Checksum checksum(std::string_view bytes) { return llvm::BLAKE3::hash(llvm::arrayRefFromStringRef(bytes)); }

template <class T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class T>
T take(std::string_view& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

std::string_view take(std::string_view& bytes, std::uint64_t size) {
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

}  // namespace

std::string encode(const CacheEntry& e) {
  std::string body(bytes_of(Sizes{e.key.size(), e.phases.size(), e.object.size()}));
  body += e.key;
  for (const PhaseRecord& p : e.phases) body += bytes_of(p);
  body += e.object;
  return std::string(kMagic) + std::string(bytes_of(checksum(body))) + body;
}

std::string decode(std::string_view bytes, CacheEntry& e) {
  if (bytes.size() < kBody + sizeof(Sizes)) return fmt::format("{} bytes are too few for an entry", bytes.size());
  if (!bytes.starts_with(kMagic)) return "it does not begin as an entry does";
  bytes.remove_prefix(kMagic.size());
  const auto expected = take<Checksum>(bytes);
  if (checksum(bytes) != expected) return "its checksum is wrong";
  const auto sizes = take<Sizes>(bytes);
  constexpr std::uint64_t kRecord = sizeof(PhaseRecord);
  const std::uint64_t left = bytes.size();
  if (sizes.key > left || sizes.object > left - sizes.key || sizes.phases > left / kRecord ||
      left - sizes.key - sizes.object != sizes.phases * kRecord)
    return "its sizes do not add up";
  e.key = take(bytes, sizes.key);
  e.phases.clear();
  for (std::uint64_t i = 0; i < sizes.phases; ++i) e.phases.push_back(take<PhaseRecord>(bytes));
  e.object = bytes;
  return {};
}

}  // namespace weft::codegen

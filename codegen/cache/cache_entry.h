// Private to codegen/: an entry of the object cache as bytes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::codegen {

/// Of a PhaseCode, what does not follow from the key.
struct PhaseRecord {
  std::int64_t units = 0;
  std::int64_t scratch_bytes = 0;
  double cost = 0;
  std::int64_t split_axis = 0, split_units = 0, split_values = 0, split_fewer = 0;  // its AxisSplit, without padding
  double split_last = 1;
};
struct CacheEntry {
  std::string_view key;  ///< text, see KernelKey
  std::vector<PhaseRecord> phases;
  std::string_view object;
};

std::string encode(const CacheEntry&);
/// Reads an entry, whose views then point into `bytes`. Returns "" or what is wrong with it; whatever the bytes are.
std::string decode(std::string_view bytes, CacheEntry&);

}  // namespace weft::codegen

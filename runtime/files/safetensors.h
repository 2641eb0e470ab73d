// Checkpoints: named arrays and text metadata in the safetensors format.
//
// Format: u64 (little-endian) length of the header; the header, a JSON object {"name": {"dtype": "F32", "shape": [2,3],
// "data_offsets": [begin, end]}, …, "__metadata__": {"key": "text"}}; then the arrays' bytes, without holes.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <weft/ir/base/array.h>

namespace weft {

struct NamedArray {
  std::string name;
  Array value;
};

/// The contents of a checkpoint. Arrays keep their order through a file.
struct Checkpoint {
  std::vector<NamedArray> arrays;
  std::map<std::string, std::string> metadata;
  const Array* find(std::string_view name) const;  ///< nullptr when there is none
};

/// Writes atomically (see atomic_write). dtypes f32, f64, i32, i64, u8, bool. Throws Error on a duplicate or reserved
/// name, on text that is not UTF-8, and when the file cannot be written.
void save_safetensors(const std::string& path, const Checkpoint&);

/// Reads strictly: throws Error, naming the file, the tensor and the numbers, on anything that the format does not
/// allow, on more than kMaxRank dimensions, and on dtypes that no dtype of weft can hold. Others are widened: F16,
/// BF16, F8_E4M3 and F8_E5M2 to f32, I8, I16 and U16 to i32, U32 and U64 to i64 (U64: where the values fit). Never
/// allocates more than a small multiple of the file's size.
Checkpoint load_safetensors(const std::string& path);

}  // namespace weft

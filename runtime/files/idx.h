// IDX files, the format of MNIST: one array of big-endian elements, plain or compressed with gzip.
#pragma once
#include <string>

#include <weft/ir/base/array.h>

namespace weft {

/// Reads a plain or gzipped IDX file (told apart by content, not by name) of rank 1 to kMaxRank; i8 and i16 become i32.
/// Throws Error, naming the file and the numbers, when it is anything else, truncated, corrupt, or longer than its
/// header says. Allocates what the header announces, and only after the file has been found large enough to hold it.
Array read_idx(const std::string& path);

/// Writes an array of u8, i32, f32 or f64, rank 1 to kMaxRank, atomically (see atomic_write).
void write_idx(const std::string& path, const Array&, bool gzip = false);

}  // namespace weft

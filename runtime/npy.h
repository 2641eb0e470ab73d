// NumPy's .npy files: one array each.
#pragma once
#include <string>

#include <weft/ir/array.h>

namespace weft {

/// Reads versions 1, 2 and 3: little-endian, C order, dtypes f4, f8, i4, i8, u1, b1. Throws Error, naming the file and
/// what was expected, on anything else. Never allocates more than a small multiple of the file's size.
Array read_npy(const std::string& path);

/// Writes version 1, atomically (see atomic_write). Throws Error when the file cannot be written.
void write_npy(const std::string& path, const Array&);

}  // namespace weft

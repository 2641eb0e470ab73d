// NumPy's .npy files: one array each.
#pragma once
#include <string>

#include <weft/ir/base/array.h>

namespace weft {

/// Reads versions 1, 2 and 3, C or Fortran order, either endianness, booleans, integers and floats of up to 64 bits.
/// What weft has no dtype for is widened: f2 to f32, i1, i2 and u2 to i32, u4 and u8 to i64 (u8: where the values fit).
/// Throws Error, naming the file and what was expected, on anything else. Never allocates more than a small multiple of
/// the file's size.
Array read_npy(const std::string& path);

/// Writes version 1, atomically (see atomic_write). Throws Error when the file cannot be written.
void write_npy(const std::string& path, const Array&);

}  // namespace weft

// What the graph text and the kernel text share: types, literals and provenance suffixes, printed and parsed.
#pragma once
#include <fmt/format.h>

#include <cstddef>
#include <string>

#include <weft/ir/base/array.h>
#include <weft/ir/base/lexer.h>
#include <weft/ir/base/loc.h>
#include <weft/ir/base/shape.h>

namespace weft {

/// One element of dtype `t` at `p`: shortest decimal that parses back, inf, -inf, nan, nan(0x7fc00001), true, false.
std::string element_text(DType t, const std::byte* p);
/// `0.5` for a scalar, `[1, 2, 3]` (row-major, flat) for any other rank.
std::string literal_text(const Array&);
/// " // file:line:col, …" with blanks, commas, '%' and colons before digits of file names as %XX, or "" for the empty set.
std::string locs_suffix(LocSet);

std::int64_t parse_integer(Lexer&, std::string_view what);  ///< [-]digits that fit 64 bits
Dims parse_dims(Lexer&);                                    ///< [1,?,?time]: at most kMaxRank integers or symbols
std::int64_t parse_extent(Lexer&);                          ///< an extent of 0 or more, or a symbol
Shape parse_shape(Lexer&, std::string_view where);          ///< [128,784], [] or [?,10]
Type parse_type(Lexer&);                                    ///< f32[128,784]; extents >= 0 whose size is allowed
Type parse_result_type(Lexer&);                             ///< the same, or a tuple (f32[2], i32[])
void parse_element(Lexer&, DType, std::byte* out);          ///< inverse of element_text
/// Moves past a literal without reading it; returns its number of elements, or -1 when it is not a list.
std::int64_t skip_literal(Lexer&);
Array parse_literal(Lexer&, const Type&);  ///< inverse of literal_text; allocates after counting
/// The provenance of what was just parsed: the comment that ends its line, if that is a list of locations, else
/// `fallback`.
LocSet parse_locs(const Lexer& after, const Loc& fallback);

}  // namespace weft

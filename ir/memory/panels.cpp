// Strides of panels, where they are allowed, and conversion.
#include "ir/memory/panels.h"

#include <cstring>

#include "ir/base/error.h"
#include "ir/ops/sum_order.h"

namespace weft {
namespace {

/// Copies [outer][inner][width] to [inner][outer][width], in bytes.
Array exchanged(const Array& from, std::int64_t outer, std::int64_t inner, std::int64_t width) {
  Array to(from.type());
  for (std::int64_t o = 0; o < outer; ++o)
    for (std::int64_t i = 0; i < inner; ++i)
      std::memcpy(to.data() + (i * outer + o) * width, from.data() + (o * inner + i) * width,
                  static_cast<std::size_t>(width));
  return to;
}

Array convert(const Array& from, std::int64_t width, bool into_panels) {
  if (width == 0) return from.clone();
  const Type& type = from.type();
  if (const std::string why = panel_objection(type, width); !why.empty()) fail("{}", why);
  const std::int64_t columns = type.shape[type.shape.rank() - 1], panels = columns / width;
  const std::int64_t rows = columns ? element_count(type.shape) / columns : 0;
  const std::int64_t bytes = width * static_cast<std::int64_t>(size_of(type.dtype));
  return into_panels ? exchanged(from, rows, panels, bytes) : exchanged(from, panels, rows, bytes);
}

}  // namespace

Dims storage_strides(const Buffer& b) {
  Shape shape = b.type.shape;
  if (b.panels) shape[shape.rank() - 1] = b.panels;
  return row_major_strides(shape);
}

std::int64_t panel_gap(const Buffer& b) {
  if (!b.panels) return 0;
  return element_count(b.type.shape) / b.type.shape[b.type.shape.rank() - 1] * b.panels - b.panels;
}

std::string panel_objection(const Type& type, std::int64_t width) {
  if (width < kReduceStripes || width % kReduceStripes != 0)
    return fmt::format("panels are {} wide, expected a multiple of {}", width, kReduceStripes);
  const int rank = type.shape.rank();
  if (rank < 2 || type.shape[rank - 1] == 0 || type.shape[rank - 1] % width != 0)
    return fmt::format("{} has no panels of {}: expected two dimensions or more, the last a multiple of {}",
                       to_string(type), width, width);
  return "";
}

Array to_panels(const Array& rows, std::int64_t width) { return convert(rows, width, true); }
Array from_panels(const Array& panels, std::int64_t width) { return convert(panels, width, false); }

}  // namespace weft

// Data in batches of rows.
#include "frontend/train/batches.h"

namespace weft {

std::int64_t steps_within(std::int64_t bytes, const Executable& step, std::int64_t batch) {
  std::int64_t each = 1;
  for (const Type& t : step.output_types(batch)) each += byte_size(t);
  return std::max<std::int64_t>(1, bytes / each);
}

std::vector<Array> rows_of(std::span<const Array> arrays, std::int64_t begin, std::int64_t end) {
  std::vector<Array> rows;
  for (const Array& a : arrays) rows.push_back(a.view_rows(begin, end));
  return rows;
}

}  // namespace weft

// What fit(), evaluate() and predict() check of the data before anything is compiled.
#include <algorithm>

#include "frontend/train/model_impl.h"
#include "runtime/data/preprocess.h"

namespace weft {
namespace {

/// The number of samples that every array agrees on.
std::int64_t common_rows(std::string_view what, std::span<const Array> arrays, std::string_view role, std::int64_t n) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const Shape& shape = arrays[i].shape();
    if (shape.rank() == 0) fail("{}: {} {} is a scalar; expected one row a sample", what, role, i);
    if (n < 0) n = shape[0];
    if (shape[0] != n)
      fail("{}: {} {} has {} rows, the first array has {}; expected equal numbers of samples", what, role, i, shape[0],
           n);
  }
  return n;
}

void check_in_unit_interval(std::string_view what, const Array& y) {
  const std::int64_t row = y.shape()[0] == 0 ? 1 : std::max<std::int64_t>(1, y.size() / y.shape()[0]);
  for (std::int64_t i = 0; i < y.size(); ++i)
    if (const double v = y.at(i); !(v >= 0 && v <= 1))
      fail("{}: the target of sample {} is {}; the loss expects 0 or 1 (or a probability between)", what, i / row, v);
}

/// u8 data for a float input means [0, 1]; the same bytes as targets would be compared with predictions as 0 … 255.
void check_no_bytes(std::string_view what, std::size_t i, const Array& y, const Type& output) {
  Shape row = y.shape(), wanted = output.shape;
  row.erase(0), wanted.erase(0);
  if (y.dtype() == u8 && is_float(output.dtype) && element_count(row) == element_count(wanted))
    fail(
        "{}: target {} is {}, for a loss on values: bytes are scaled to [0, 1] as inputs and not as targets. Say which "
        "is meant: data::scale(y, 1.0 / 255) or y.converted(f32)",
        what, i, to_string(y.type()));
}

}  // namespace

std::int64_t Model::Impl::check_data(std::string_view what, const Compiled& c, std::span<const Array> x,
                                     std::span<const Array> y) const {
  if (x.size() != inputs.size())
    fail("{}: {} for {}; expected one for each", what, counted(x.size(), "data array"),
         counted(inputs.size(), "input"));
  std::int64_t n = common_rows(what, x, "input", -1);
  if (!y.empty() && y.size() != outputs.size())
    fail("{}: {} for {}; expected one for each", what, counted(y.size(), "target"), counted(outputs.size(), "output"));
  n = common_rows(what, y, "target", n);
  if (n == 0) fail("{}: the data set is empty; expected at least one sample", what);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Loss::Target kind = c.losses[i].target();
    if (kind == Loss::labels)
      data::check_labels(y[i], output_types[i].shape.back(), fmt::format("{}: target {}", what, i));
    if (kind == Loss::binary) check_in_unit_interval(what, y[i]);
    if (kind == Loss::values) check_no_bytes(what, i, y[i], output_types[i]);
  }
  return n;
}

void Model::Impl::check_indices(std::string_view what, const DataFunction& function, std::span<const Array> x,
                                std::span<const Array> y) const {
  for (std::size_t i = 0; i < x.size(); ++i)
    weft::check_indices(fmt::format("{}: input '{}'", what, input_names[i]), x[i], function.x[i]);
  for (std::size_t i = 0; i < y.size(); ++i)
    weft::check_indices(fmt::format("{}: target {}", what, i), y[i], function.y[i]);
  std::vector<Array> data(x.begin(), x.end());
  data.insert(data.end(), y.begin(), y.end());
  function.indices.check(what, data);
}

}  // namespace weft

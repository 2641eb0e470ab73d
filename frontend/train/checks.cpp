// What fit(), evaluate() and predict() check of the data before anything is compiled.
#include <algorithm>

#include "frontend/tensor/node.h"
#include "frontend/train/model_impl.h"
#include "runtime/data/preprocess.h"

namespace weft {
namespace {

Shape one_sample(Shape rows) {
  rows.erase(0);
  return rows;
}

Type rows_of(Type type) {
  type.shape[0] = kBatch;
  return type;
}

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

/// Error unless rows of `type` can be what an input wants (Model::Impl::adapt).
void check_input(std::string_view what, const std::string& name, const Type& type, const Type& want) {
  const auto refuse = [&](std::string_view why) {
    fail("{}: input '{}' takes {}, the data has rows of {}: {}", what, name, to_string(want), to_string(rows_of(type)),
         why);
  };
  if (is_float(type.dtype) && !is_float(want.dtype)) refuse("convert the data first");
  if (element_count(one_sample(type.shape)) != element_count(one_sample(want.shape)))
    refuse("the numbers of elements differ");
}

/// Error unless rows of `type` can be what the loss on an output wants (Loss::prepared).
void check_target(std::string_view what, std::size_t i, const Type& type, const Loss& loss, const Type& output) {
  const Shape row = one_sample(type.shape), wanted = one_sample(output.shape);
  Shape labelled, column{1};
  const auto refuse = [&](const std::string& expected) {
    fail("{}: target {} has rows of {}; the loss '{}' expects {}", what, i, to_string(rows_of(type)), loss.name(),
         expected);
  };
  switch (loss.target()) {
    case Loss::any: return;
    case Loss::labels:
      if (output.shape.rank() < 2)
        fail("{}: output {} is {}; the loss '{}' expects scores [batch, .., classes]", what, i, to_string(output),
             loss.name());
      labelled = without_last(wanted);
      column = labelled;
      column.push_back(1);
      if (!is_integer(type.dtype) || !(row == labelled || row == column))
        refuse(labelled.empty() ? "integer labels, one a sample"
                                : "integer labels, rows of " + to_string(rows_of(label_type(output))));
      return;
    default:
      if (!(row == wanted || (row.empty() && wanted == column)))
        refuse("rows like the output's, " + to_string(output) +
               (is_integer(type.dtype) ? " (a loss on labels is a Loss::labels)" : ""));
  }
}

/// u8 data for a float input means [0, 1]; the same bytes as targets would be compared with predictions as 0 … 255.
void check_no_bytes(std::string_view what, std::size_t i, const Array& y, const Type& output) {
  if (y.dtype() == u8 && is_float(output.dtype))
    fail(
        "{}: target {} is {}, for a loss on values: bytes are scaled to [0, 1] as inputs and not as targets. Say which "
        "is meant: data::scale(y, 1.0 / 255) or y.converted(f32)",
        what, i, to_string(y.type()));
}

}  // namespace

void Model::Impl::check_types(std::string_view what, const Compiled& c, const std::vector<Type>& x,
                              const std::vector<Type>& y) const {
  for (const auto& [role, types] : {std::pair{"input", &x}, std::pair{"target", &y}})
    for (std::size_t i = 0; i < types->size(); ++i)
      if ((*types)[i].shape.empty()) fail("{}: {} {} is a scalar; expected one row a sample", what, role, i);
  for (std::size_t i = 0; i < x.size(); ++i) check_input(what, input_names[i], x[i], input_types[i]);
  for (std::size_t i = 0; i < y.size(); ++i) check_target(what, i, y[i], c.losses[i], output_types[i]);
}

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
  check_types(what, c, types_of(x), types_of(y));
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

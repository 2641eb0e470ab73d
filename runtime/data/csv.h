// Comma-separated values (RFC 4180) into named columns, and columns into a data set.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <weft/runtime/data/data.h>

namespace weft {

struct CsvOptions {
  bool header = true;              ///< the first line names the columns
  std::vector<std::string> names = {};  ///< without a header: the columns' names; empty: "c0", "c1", …
  char delimiter = ',';
  /// What a missing value stands for ("0", "nan", "unknown"); without it a missing value is an Error.
  std::optional<std::string> fill = {};
  std::map<std::string, std::string> fills = {};  ///< the same for single columns
  /// Cells of columns of numbers that have no value, as empty cells have none in any column. In columns of text they
  /// are texts like others. Blanks around them do not count, and quoted cells are never missing.
  std::vector<std::string> missing = {"NA", "N/A", "?", "nan", "NaN"};
  DType number = f32;                    ///< of columns of numbers: f32, f64 or i32
  std::map<std::string, DType> numbers = {};  ///< the same for single columns
  /// Whether cells of infinities and NaN ("inf", "-Infinity", a "nan" that is not among `missing`) are numbers; without
  /// it they are Errors in columns of numbers.
  bool non_finite = false;
  std::vector<std::string> text = {};  ///< columns of text even if they look like numbers
  /// The categories of a column of text, fixed beforehand (by the training set, say); any other text is an Error then.
  std::map<std::string, std::vector<std::string>> categories = {};
  std::int64_t max_bytes = std::int64_t{1} << 30;  ///< a larger file is refused
};

struct Column {
  std::string name;
  Array values;  ///< numbers: [N] of the dtype asked for; text: i32[N], indices into `categories`
  std::vector<std::string> categories;  ///< text: the distinct values, sorted unless they were given; numbers: empty
  bool is_text() const { return !categories.empty(); }
};

/// Named columns of equal length.
struct Table {
  std::string source;  ///< the file
  std::int64_t rows = 0;
  std::vector<Column> columns;

  /// Throws Error with the names that there are.
  const Column& column(std::string_view name) const;

  /// The columns of numbers as they are named, side by side: [N, names], converted to `dtype`. Throws Error for an
  /// unknown column, or one of text.
  Array numbers(const std::vector<std::string>& names, DType dtype = f32) const;

  /// x: f32[N,F], the columns of numbers `features` in that order (none: all but the label). y, from column `label`:
  /// i32[N] for i32 (the codes of text, or whole numbers), [N,1] for f32 and f64, as Dense(1) predicts. Throws Error
  /// for an unknown column, text as a feature, the label among the features, or a label that is not a whole number.
  Dataset dataset(const std::vector<std::string>& features, const std::string& label, DType label_dtype = i32) const;
};

/// Reads a CSV file: quoted cells, embedded line breaks, LF, CRLF or CR, an UTF-8 byte-order mark; blank lines are
/// skipped. A column is one of numbers when its first cell that is not missing is a number, and one of text otherwise.
/// Throws Error as `file:line:column: …` for a row with too few or too many cells, a cell that is not a number among
/// numbers or is out of the dtype's range, a missing value (unless filled), a misplaced or unterminated quote,
/// duplicate or empty column names; also when there are no rows, when the options name unknown columns, and when the
/// file cannot be read.
Table read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace weft

// Two passes over the text: the first counts the rows and tells numbers from text, the second converts into arrays.
#include "runtime/data/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "ir/base/float_environment.h"
#include "runtime/files/file.h"

namespace weft {
namespace {

struct Place {
  std::int64_t line = 1, column = 1;  // from 1; columns count bytes
};

struct Cell {
  std::string text;  // without its quotes
  Place place;       // of its first character
  bool quoted = false;
  bool empty() const { return text.empty() && !quoted; }
};

constexpr std::size_t kMaxColumns = 1 << 16;  // a cell in memory is larger than in the file: bounds what a row can take

/// Splits the text into records of cells.
class Reader {
 public:
  Reader(const std::string& path, std::string_view text, char delimiter)
      : path_(path), text_(text), delimiter_(delimiter) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
  }

  /// The next record that is not a blank line into `cells`; false at the end of the file.
  bool next(std::vector<Cell>& cells) {
    cells.clear();
    while (!at_end() && at_line_end()) end_line();
    if (at_end()) return false;
    for (;;) {
      if (cells.size() == kMaxColumns) fail_at(place_, "more than {} cells in a row", kMaxColumns);
      cells.push_back(cell());
      if (at_end() || at_line_end()) break;
      advance();  // the delimiter
    }
    if (!at_end()) end_line();
    return true;
  }

  template <class... Args>
  [[noreturn]] void fail_at(Place place, fmt::format_string<Args...> format, Args&&... args) const {
    fail("{}:{}:{}: {}", path_, place.line, place.column, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  bool at_end() const { return next_ == text_.size(); }
  bool at_line_end() const { return text_[next_] == '\n' || text_[next_] == '\r'; }
  char advance() {
    ++place_.column;
    return text_[next_++];
  }
  void end_line() {
    if (advance() == '\r' && !at_end() && text_[next_] == '\n') ++next_;
    place_ = {place_.line + 1, 1};
  }

  Cell cell() {
    Cell cell{{}, place_, !at_end() && text_[next_] == '"'};
    if (cell.quoted) {
      quoted_text(cell);
      if (!at_end() && !at_line_end() && text_[next_] != delimiter_)
        fail_at(place_,
                "'{}' after a closing quote; expected '{}' or the end of the line (a quote inside quotes is doubled)",
                text_[next_], delimiter_);
      return cell;
    }
    while (!at_end() && !at_line_end() && text_[next_] != delimiter_) {
      if (text_[next_] == '"')
        fail_at(place_,
                "a quote inside a cell that does not begin with one; quote the whole cell and double this quote");
      cell.text += advance();
    }
    return cell;
  }

  void quoted_text(Cell& cell) {
    advance();
    for (;;) {
      if (at_end()) fail_at(cell.place, "the quote that begins here is never closed");
      if (at_line_end()) {
        const std::size_t begin = next_;
        end_line();
        cell.text += text_.substr(begin, next_ - begin);
        continue;
      }
      const char c = advance();
      if (c != '"') {
        cell.text += c;
      } else if (!at_end() && text_[next_] == '"') {
        cell.text += advance();
      } else {
        return;
      }
    }
  }

  const std::string& path_;
  std::string_view text_;
  char delimiter_;
  std::size_t next_ = 0;
  Place place_;
};

enum class Number { parsed, malformed, out_of_range, not_finite };

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// Reads all of `text`, but for blanks around it and a plus sign before it, as one number.
template <class T>
Number parse_number(std::string_view text, T& value) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return Number::malformed;
  if (error != std::errc()) return Number::out_of_range;
  return std::isfinite(static_cast<double>(value)) ? Number::parsed : Number::not_finite;
}

bool is_number(std::string_view text) {
  double ignored;
  return parse_number(text, ignored) != Number::malformed;
}

/// What the first pass finds out about a column.
struct Layout {
  std::string name;
  bool decided = false;  // whether `text` below is known
  bool text = false;
  bool missing = false;              // whether it has cells without a value
  DType dtype = f32;                 // of numbers
  std::optional<std::string> fill;   // what a missing value stands for
  std::optional<Cell> first_marker;  // one of CsvOptions::missing, while it may still be a text
  std::set<std::string> distinct;    // texts; until that is decided, those of CsvOptions::missing
  std::vector<std::string> categories;
};

/// One reading of a file.
class CsvFile {
 public:
  CsvFile(const std::string& path, const CsvOptions& options)
      : path_(path), options_(options), bytes_(read_file(path, options.max_bytes)) {
    const std::string_view special = "\"\r\n";
    if (special.find(options.delimiter) != std::string_view::npos)
      fail("{}: a quote or a line break cannot be the delimiter", path_);
  }

  Table table() {
    find_names();
    apply_options();
    scan();
    Table table{path_, rows_, {}};
    for (const Layout& layout : layouts_) {
      const DType dtype = layout.text ? i32 : layout.dtype;
      table.columns.push_back({layout.name, Array(Type{dtype, {rows_}}), layout.categories});
    }
    convert(table);
    return table;
  }

 private:
  Reader reader() const {
    return {path_, {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}, options_.delimiter};
  }
  Reader rows() const {  // at the first row of data
    Reader reader = this->reader();
    std::vector<Cell> header;
    if (options_.header) reader.next(header);
    return reader;
  }

  void find_names() {
    Reader reader = this->reader();
    std::vector<Cell> first;
    if (!reader.next(first))
      fail("{}: the file is empty; expected {}", path_, options_.header ? "a header" : "rows of cells");
    if (!options_.header && !options_.names.empty() && options_.names.size() != first.size())
      reader.fail_at(first[0].place, "this row has {} cells; {} names were given", first.size(), options_.names.size());
    std::set<std::string> seen;
    for (std::size_t i = 0; i < first.size(); ++i) {
      const std::string name = options_.header          ? first[i].text
                               : options_.names.empty() ? fmt::format("c{}", i)
                                                        : options_.names[i];
      if (name.empty()) reader.fail_at(first[i].place, "column {} has no name", i + 1);
      if (!seen.insert(name).second) reader.fail_at(first[i].place, "a second column named '{}'", name);
      layouts_.push_back({.name = name, .dtype = options_.number, .fill = options_.fill});
    }
  }

  Layout& layout(const std::string& name) {
    const auto found = std::find_if(layouts_.begin(), layouts_.end(), [&](const Layout& l) { return l.name == name; });
    if (found == layouts_.end()) {
      std::vector<std::string_view> names;
      for (const Layout& l : layouts_) names.push_back(l.name);
      fail("{}: the options name a column '{}'; there are {}", path_, name, fmt::join(names, ", "));
    }
    return *found;
  }

  void apply_options() {
    for (const auto& [name, dtype] : options_.numbers) {
      Layout& l = layout(name);
      l.decided = true;
      l.dtype = dtype;
    }
    for (const auto& [name, fill] : options_.fills) layout(name).fill = fill;
    for (const Layout& l : layouts_)
      if (l.dtype != f32 && l.dtype != f64 && l.dtype != i32)
        fail("{}: column '{}' cannot hold {}; numbers are f32, f64 or i32", path_, l.name, weft::name(l.dtype));
    for (const std::string& name : options_.text) make_text(layout(name));
    for (const auto& [name, categories] : options_.categories) {
      Layout& l = layout(name);
      make_text(l);
      l.categories = categories;
      const std::set<std::string> distinct(categories.begin(), categories.end());
      if (categories.empty() || distinct.size() != categories.size())
        fail("{}: the categories given for column '{}' are {}", path_, name,
             categories.empty() ? "none" : "not distinct");
    }
  }
  void make_text(Layout& l) const {
    if (options_.numbers.count(l.name)) fail("{}: the options call column '{}' both numbers and text", path_, l.name);
    l.decided = l.text = true;
  }

  /// Counts the rows, checks that all have the same number of cells, tells columns of text, and collects their
  /// categories.
  void scan() {
    Reader reader = rows();
    std::vector<Cell> cells;
    while (reader.next(cells)) {
      if (cells.size() != layouts_.size())
        reader.fail_at(cells[std::min(cells.size() - 1, layouts_.size())].place,
                       "this row has {} cells; expected {}, as in {}", cells.size(), layouts_.size(),
                       options_.header ? "the header" : "the first row");
      for (std::size_t i = 0; i < cells.size(); ++i) {
        Layout& l = layouts_[i];
        const bool marker = is_marker(cells[i]);
        if (!l.decided && !marker && !cells[i].empty()) {
          l.decided = true;
          l.text = !is_number(cells[i].text);
          if (!l.text && l.first_marker) missing_value(reader, l, *l.first_marker);
        }
        if (cells[i].empty() || (marker && l.decided && !l.text)) {
          missing_value(reader, l, cells[i]);
        } else if (!l.decided || l.text) {
          if (marker && !l.first_marker) l.first_marker = cells[i];
          l.distinct.insert(cells[i].text);
        }
      }
      ++rows_;
    }
    if (rows_ == 0) fail("{}: there are no rows below the header", path_);
    for (std::size_t i = 0; i < layouts_.size(); ++i) {
      Layout& l = layouts_[i];
      if (!l.decided) {  // all of its cells are missing
        if (l.first_marker) missing_value(reader, l, *l.first_marker);
        l.text = !is_number(*l.fill);
      }
      if (!l.text || !l.categories.empty()) continue;
      if (l.missing) l.distinct.insert(*l.fill);
      l.categories.assign(l.distinct.begin(), l.distinct.end());
    }
  }
  bool is_marker(const Cell& cell) const {
    const std::string_view text = trimmed(cell.text);
    return !cell.quoted && (text.empty() || std::ranges::find(options_.missing, text) != options_.missing.end());
  }
  void missing_value(const Reader& reader, Layout& l, const Cell& cell) const {
    if (!l.fill)
      reader.fail_at(cell.place, "column '{}' has no value here{}; set a fill value to accept missing ones", l.name,
                     cell.text.empty() ? "" : fmt::format(" ('{}')", trimmed(cell.text)));
    l.missing = true;
  }

  void convert(Table& table) const {
    std::vector<std::map<std::string_view, std::int32_t>> codes(layouts_.size());
    for (std::size_t i = 0; i < layouts_.size(); ++i)
      for (const std::string& category : layouts_[i].categories)
        codes[i].emplace(category, static_cast<std::int32_t>(codes[i].size()));
    Reader reader = rows();
    std::vector<Cell> cells;
    for (std::size_t row = 0; reader.next(cells); ++row) {
      for (std::size_t i = 0; i < cells.size(); ++i) {
        const Layout& l = layouts_[i];
        const Cell& cell = cells[i];
        const std::string& text = cell.empty() || (!l.text && is_marker(cell)) ? *l.fill : cell.text;
        if (l.text) {
          const auto code = codes[i].find(text);
          if (code == codes[i].end())
            reader.fail_at(cell.place, "'{}' is not among the {} categories given for column '{}'", text,
                           codes[i].size(), l.name);
          table.columns[i].values.as<std::int32_t>()[row] = code->second;
        } else if (l.dtype == f64) {
          table.columns[i].values.as<double>()[row] = number<double>(reader, cell, text, l);
        } else if (l.dtype == i32) {
          table.columns[i].values.as<std::int32_t>()[row] = number<std::int32_t>(reader, cell, text, l);
        } else {
          table.columns[i].values.as<float>()[row] = number<float>(reader, cell, text, l);
        }
      }
    }
  }

  template <class T>
  T number(const Reader& reader, const Cell& cell, const std::string& text, const Layout& l) const {
    T value{};
    const bool is_fill = l.fill && &text == &*l.fill;
    Number parsed = parse_number(text, value);
    if (parsed == Number::not_finite && (options_.non_finite || is_fill)) parsed = Number::parsed;
    if (parsed != Number::parsed && is_fill)
      reader.fail_at(cell.place, "column '{}' has no value here, and the fill '{}' is {} {}", l.name, text,
                     parsed == Number::malformed ? "not a number of type" : "out of the range of", name(l.dtype));
    switch (parsed) {
      case Number::parsed: return value;
      case Number::out_of_range:
        reader.fail_at(cell.place, "{} is out of the range of {} (column '{}')", text, name(l.dtype), l.name);
      case Number::not_finite:
        reader.fail_at(cell.place,
                       "'{}' is no finite number (column '{}'); set `non_finite` to accept it, or list it under "
                       "`missing`",
                       trimmed(text), l.name);
      default:
        reader.fail_at(cell.place,
                       "'{}' is not a number of type {}; column '{}' holds numbers (list it under `text` if not)", text,
                       name(l.dtype), l.name);
    }
  }

  const std::string& path_;
  const CsvOptions& options_;
  std::vector<std::byte> bytes_;
  std::vector<Layout> layouts_;
  std::int64_t rows_ = 0;
};

/// The label column as class numbers i32[N].
Array class_labels(const Table& table, const Column& column) {
  if (column.values.dtype() == i32) return column.values.clone();
  Array labels(Type{i32, {table.rows}});
  for (std::int64_t i = 0; i < table.rows; ++i) {
    const double value = column.values.at(i);
    if (!(std::abs(value) < 2147483648.0) || std::floor(value) != value)
      fail("{}: label '{}' is {} in row {}, not a whole number; ask for f32 labels to predict a quantity", table.source,
           column.name, value, i);
    labels.as<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(value);
  }
  return labels;
}

}  // namespace

Table read_csv(const std::string& path, const CsvOptions& options) {
  const DefaultFloats floats;
  return CsvFile(path, options).table();
}

const Column& Table::column(std::string_view name) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& c) { return c.name == name; });
  if (found != columns.end()) return *found;
  std::vector<std::string_view> names;
  for (const Column& c : columns) names.push_back(c.name);
  fail("{}: no column '{}'; there are {}", source, name, fmt::join(names, ", "));
}

Array Table::numbers(const std::vector<std::string>& names, DType dtype) const {
  Array joined(Type{dtype, {rows, static_cast<std::int64_t>(names.size())}});
  for (std::size_t k = 0; k < names.size(); ++k) {
    const Column& from = column(names[k]);
    if (from.is_text())
      fail("{}: column '{}' holds text ({} categories), and their codes are no quantity; leave it out or one-hot it",
           source, from.name, from.categories.size());
    const Array values = from.values.converted(dtype);
    const std::size_t bytes = values.bytes() / static_cast<std::size_t>(rows);
    for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i)
      std::copy_n(values.data() + i * bytes, bytes, joined.data() + (i * names.size() + k) * bytes);
  }
  return joined;
}

Dataset Table::dataset(const std::vector<std::string>& features, const std::string& label, DType label_dtype) const {
  if (label_dtype != i32 && !is_float(label_dtype))
    fail("{}: labels cannot be {}; expected i32, f32 or f64", source, name(label_dtype));
  const Column& target = column(label);
  std::vector<std::string> inputs = features;
  if (features.empty())
    for (const Column& c : columns)
      if (&c != &target) inputs.push_back(c.name);
  if (inputs.empty()) fail("{}: no feature beside the label '{}'", source, label);
  if (std::ranges::find(inputs, label) != inputs.end())
    fail("{}: column '{}' is both a feature and the label", source, label);
  Dataset set{numbers(inputs), {}, source};
  set.y = label_dtype == i32 ? class_labels(*this, target) : target.values.converted(label_dtype).reshaped({rows, 1});
  return set;
}

}  // namespace weft

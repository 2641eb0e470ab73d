// The CSV reader: what RFC 4180 allows, what it types columns as, and the message of each mistake.
#include "runtime/data/csv.h"

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

/// The table in a file of these bytes; its path at the front of a message becomes T.
Table table_of(const std::string& text, const CsvOptions& options = {}) {
  const TempDir dir;
  const std::string path = dir.file("t.csv");
  spill(path, text);
  try {
    return read_csv(path, options);
  } catch (const Error& e) {
    const std::string message = e.what();
    throw Error(message.starts_with(path) ? "T" + message.substr(path.size()) : message);
  }
}

/// "name: f32[2] 1, 2 | name: i32[2] 0, 1 (a; b)": everything that a table holds.
std::string describe(const Table& table) {
  std::string text;
  for (const Column& c : table.columns) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : " | ", c.name, to_string(c.values.type()));
    for (std::int64_t i = 0; i < table.rows; ++i) text += fmt::format("{} {}", i ? "," : "", c.values.at(i));
    if (c.is_text()) text += fmt::format(" ({})", fmt::join(c.categories, "; "));
  }
  return text;
}

}  // namespace

TEST_CASE("csv: tables that are right") {
  CsvOptions plain, bare, semicolon, filled, filled_text, named, typed, as_text, fixed, as_nan, dashes, none_missing;
  as_nan.fill.emplace("nan");
  dashes.fill.emplace("0.5");
  dashes.missing = {"-"};
  none_missing.missing = {};
  none_missing.non_finite = true;
  bare.header = false;
  semicolon.delimiter = ';';
  filled.fill.emplace("0.5");
  filled_text.fill.emplace("none");
  named.header = false;
  named.names = {"u", "v"};
  typed.number = f64;
  typed.numbers = {{"b", i32}};
  as_text.text = {"a"};
  fixed.categories = {{"a", {"z", "x", "y"}}};
  const struct {
    const char* what;
    std::string text;
    CsvOptions options;
    std::string expected;
  } rows[] = {
      {"numbers", "a,b\n1,2\n3,4\n", plain, "a: f32[2] 1, 3 | b: f32[2] 2, 4"},
      {"no line end at the end", "a,b\n1,2", plain, "a: f32[1] 1 | b: f32[1] 2"},
      {"CRLF", "a,b\r\n1,2\r\n3,4\r\n", plain, "a: f32[2] 1, 3 | b: f32[2] 2, 4"},
      {"CR", "a,b\r1,2\r3,4\r", plain, "a: f32[2] 1, 3 | b: f32[2] 2, 4"},
      {"byte-order mark", "\xEF\xBB\xBF\"a\",b\n1,2\n", plain, "a: f32[1] 1 | b: f32[1] 2"},
      {"blank lines", "\n\na\n\n1\n\r\n2\n\n", plain, "a: f32[2] 1, 2"},
      {"number forms", "a\n-1.5e2\n+3\n.5\n 7 \n\"8\"\n", plain, "a: f32[5] -150, 3, 0.5, 7, 8"},
      {"infinite", "a\n1\n-inf\n", none_missing, "a: f32[2] 1, -inf"},
      {"missing numbers", "a,b\n1,NA\n?,2\n nan ,3\nNaN, \nN/A,5\n", filled,
       "a: f32[5] 1, 0.5, 0.5, 0.5, 0.5 | b: f32[5] 0.5, 2, 3, 0.5, 5"},
      {"missing numbers as NaN", "a\n1\nNA\n", as_nan, "a: f32[2] 1, nan"},
      {"in text they are text", "a,b\n?,NA\nx,\"?\"\nNA,?\n", plain,
       "a: i32[3] 0, 2, 1 (?; NA; x) | b: i32[3] 1, 0, 0 (?; NA)"},
      {"in text empty cells are missing", "a,b\nNA,1\nx,2\n,3\n", filled_text,
       "a: i32[3] 0, 2, 1 (NA; none; x) | b: f32[3] 1, 2, 3"},
      {"only markers and a number to fill with", "a,b\nNA,1\n?,2\n", filled, "a: f32[2] 0.5, 0.5 | b: f32[2] 1, 2"},
      {"other markers", "a\n1\n-\n-1\n", dashes, "a: f32[3] 1, 0.5, -1"},
      {"no markers: nan is a number", "a\n1\nnan\n", none_missing, "a: f32[2] 1, nan"},
      {"CRLF within and after quotes, byte-order mark",
       "\xEF\xBB\xBF"
       "a,b\r\n\"x\r\ny\",1\r\n\"\"\"\",2\r\n",
       plain, "a: i32[2] 1, 0 (\"; x\r\ny) | b: f32[2] 1, 2"},
      {"text, codes sorted", "a\npear\nfig\npear\n", plain, "a: i32[3] 1, 0, 1 (fig; pear)"},
      {"quotes", "a,b\n\"x, \"\"y\"\"\",1\n\"line\r\nbreak\",2\n", plain,
       "a: i32[2] 1, 0 (line\r\nbreak; x, \"y\") | b: f32[2] 1, 2"},
      {"quoted empty text is a value", "a\nx\n\"\"\n", plain, "a: i32[2] 1, 0 (; x)"},
      {"blanks belong to text", "a\n x\nx\n", plain, "a: i32[2] 0, 1 ( x; x)"},
      {"no header", "1,x\n2,y\n", bare, "c0: f32[2] 1, 2 | c1: i32[2] 0, 1 (x; y)"},
      {"names given", "1,x\n", named, "u: f32[1] 1 | v: i32[1] 0 (x)"},
      {"another delimiter", "a;b\n1;2,5\n", semicolon, "a: f32[1] 1 | b: i32[1] 0 (2,5)"},
      {"filled numbers", "a,b\n,1\n2,\n", filled, "a: f32[2] 0.5, 2 | b: f32[2] 1, 0.5"},
      {"filled text, first cell missing", "a,b\n,1\nred,2\n", filled_text,
       "a: i32[2] 0, 1 (none; red) | b: f32[2] 1, 2"},
      {"all missing: numbers", "a,b\n,1\n", filled, "a: f32[1] 0.5 | b: f32[1] 1"},
      {"all missing: text", "a,b\n,1\n", filled_text, "a: i32[1] 0 (none) | b: f32[1] 1"},
      {"dtypes", "a,b\n0.1,-7\n", typed, "a: f64[1] 0.1 | b: i32[1] -7"},
      {"numbers as text", "a\n10\n9\n", as_text, "a: i32[2] 0, 1 (10; 9)"},
      {"categories given", "a\nx\nz\n", fixed, "a: i32[2] 1, 0 (z; x; y)"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(describe(table_of(row.text, row.options)) == row.expected);
  }
}

TEST_CASE("csv: mistakes in the file") {
  CsvOptions plain, bare, named, small, integers, fixed, quote, filled;
  bare.header = false;
  named.header = false;
  named.names = {"u"};
  small.max_bytes = 4;
  integers.number = i32;
  fixed.categories = {{"a", {"x", "y"}}};
  quote.delimiter = '"';
  filled.fill.emplace("none");
  const struct {
    std::string text;
    CsvOptions options;
    std::string message;
  } rows[] = {
      {"", plain, "T: the file is empty; expected a header"},
      {"\n\n", bare, "T: the file is empty; expected rows of cells"},
      {"a,b\n", plain, "T: there are no rows below the header"},
      {"a,,b\n1,2,3\n", plain, "T:1:3: column 2 has no name"},
      {"a,b,a\n1,2,3\n", plain, "T:1:5: a second column named 'a'"},
      {"1,2\n", named, "T:1:1: this row has 2 cells; 1 names were given"},
      {"a,b\n1,2\n3\n", plain, "T:3:1: this row has 1 cells; expected 2, as in the header"},
      {"a,b\n1,2\n\n3,4,5,6\n", plain, "T:4:5: this row has 4 cells; expected 2, as in the header"},
      {"1,2\n3\n", bare, "T:2:1: this row has 1 cells; expected 2, as in the first row"},
      {"a,b\n1,\n", plain, "T:2:3: column 'b' has no value here; set a fill value to accept missing ones"},
      {"a,b\n1,2\n3, ?\n", plain, "T:3:3: column 'b' has no value here ('?'); set a fill value to accept missing ones"},
      {"a\nNA\n2\n", plain, "T:2:1: column 'a' has no value here ('NA'); set a fill value to accept missing ones"},
      {"a\n1\nnan\n", plain, "T:3:1: column 'a' has no value here ('nan'); set a fill value to accept missing ones"},
      {"a,b\n1,NA\n2,?\n", plain,
       "T:2:3: column 'b' has no value here ('NA'); set a fill value to accept missing ones"},
      {"a\n1\n\"NA\"\n", filled,
       "T:3:1: 'NA' is not a number of type f32; column 'a' holds numbers (list it under `text` if not)"},
      {"a\n1\nnull\n", plain,
       "T:3:1: 'null' is not a number of type f32; column 'a' holds numbers (list it under `text` if not)"},
      {"a,b\n\"x\ny\",2\nz,two\n", plain,
       "T:4:3: 'two' is not a number of type f32; column 'b' holds numbers (list it under `text` if not)"},
      {"a\n1\n2x\n", plain,
       "T:3:1: '2x' is not a number of type f32; column 'a' holds numbers (list it under `text` if not)"},
      {"a,b\n1,1\n,1\n", filled,
       "T:3:1: column 'a' has no value here, and the fill 'none' is not a number of type f32"},
      {"a\n1.5\n", integers,
       "T:2:1: '1.5' is not a number of type i32; column 'a' holds numbers (list it under `text` if not)"},
      {"a\n1\n+-2\n", plain,
       "T:3:1: '+-2' is not a number of type f32; column 'a' holds numbers (list it under `text` if not)"},
      {"a\n3000000000\n", integers, "T:2:1: 3000000000 is out of the range of i32 (column 'a')"},
      {"a\n1e39\n", plain, "T:2:1: 1e39 is out of the range of f32 (column 'a')"},
      {"a\nx\nq\n", fixed, "T:3:1: 'q' is not among the 2 categories given for column 'a'"},
      {"a,b\n1,\"x\n", plain, "T:2:3: the quote that begins here is never closed"},
      {"a\n\"x\"y\n", plain,
       "T:2:4: 'y' after a closing quote; expected ',' or the end of the line (a quote inside quotes is doubled)"},
      {"a\nx\"y\n", plain,
       "T:2:2: a quote inside a cell that does not begin with one; quote the whole cell and double this quote"},
      {"a\n1\n", quote, "T: a quote or a line break cannot be the delimiter"},
      {std::string(70000, ','), plain, "T:1:65537: more than 65536 cells in a row"},
  };
  for (const auto& row : rows) {
    INFO(row.text.substr(0, 40));
    CHECK(error_of([&] { table_of(row.text, row.options); }) == row.message);
  }
  CHECK(
      error_of([&] { table_of("a\n1\n2\n", small); }).ends_with("has 6 bytes, more than the 4 that are allowed here"));
  CHECK(error_of([] { read_csv("/nonexistent/x.csv"); }) ==
        "cannot open '/nonexistent/x.csv': No such file or directory");
}

TEST_CASE("csv: mistakes in the options") {
  CsvOptions unknown, bad_dtype, both, none, twice;
  unknown.text = {"q"};
  bad_dtype.numbers = {{"a", u8}};
  both.numbers = {{"a", f32}};
  both.text = {"a"};
  none.categories = {{"a", {}}};
  twice.categories = {{"a", {"x", "x"}}};
  const struct {
    CsvOptions options;
    std::string message;
  } rows[] = {
      {unknown, "T: the options name a column 'q'; there are a, b"},
      {bad_dtype, "T: column 'a' cannot hold u8; numbers are f32, f64 or i32"},
      {both, "T: the options call column 'a' both numbers and text"},
      {none, "T: the categories given for column 'a' are none"},
      {twice, "T: the categories given for column 'a' are not distinct"},
  };
  for (const auto& row : rows) CHECK(error_of([&] { table_of("a,b\n1,2\n", row.options); }) == row.message);
}

TEST_CASE("csv: infinities and NaN are numbers where they are asked for") {
  CsvOptions wanted, none, marked, filled;
  wanted.non_finite = true;
  wanted.missing.clear();
  none.missing.clear();
  marked.missing = {"inf"};
  marked.fill = "-inf";
  filled.fill = "nan";
  for (const char* cell : {"inf", "-inf", "Infinity", "INF", "+inf", " inf ", "nan", "NaN", "-nan"}) {
    CAPTURE(cell);
    const std::string text = fmt::format("a,b\n1,2\n3,{}\n", cell);
    for (const DType dtype : {f32, f64}) {
      wanted.number = none.number = dtype;
      CHECK_FALSE(std::isfinite(table_of(text, wanted).column("b").values.at(1)));
      CHECK(error_of([&] {
              table_of(text, none);
            }).find("' is no finite number (column 'b'); set `non_finite` to accept it, or list it under `missing`") !=
            std::string::npos);
    }
    none.number = i32;
    CHECK(error_of([&] { table_of(text, none); }).find("is not a number of type i32") != std::string::npos);
  }
  CHECK(table_of("a\n1\ninf\n", marked).column("a").values.at(1) == -HUGE_VAL);
  CHECK(std::isnan(table_of("a\n1\nNA\n", filled).column("a").values.at(1)));
  CHECK(error_of([&] { table_of("a\n1\ninf\n", filled); }).find(":3:1: 'inf' is no finite number") !=
        std::string::npos);
}

TEST_CASE("csv: each column may have a fill of its own") {
  CsvOptions options;
  options.fills = {{"b", "-1"}, {"c", "none"}};
  const std::string text = "a,b,c\n1,,x\n2,5,\n";
  const Table table = table_of(text, options);
  CHECK(table.column("b").values.same_bits(Array::from<float>({-1, 5}, {2})));
  CHECK(table.column("c").categories == std::vector<std::string>{"none", "x"});
  CHECK(error_of([&] { table_of("a,b,c\n,1,x\n", options); }).find("column 'a' has no value here") !=
        std::string::npos);
  options.fill = "7";
  const Table both = table_of("a,b,c\n,,\n", options);
  CHECK(both.column("a").values.at(0) == 7);
  CHECK(both.column("b").values.at(0) == -1);
  CHECK(both.column("c").categories == std::vector<std::string>{"none"});
  options.fills = {{"q", "1"}};
  CHECK(error_of([&] { table_of(text, options); }).ends_with("the options name a column 'q'; there are a, b, c"));
  options.fills = {{"a", "x"}};
  CHECK(error_of([&] {
          table_of("a,b\n1,2\n,3\n", options);
        }).find("column 'a' has no value here, and the fill 'x' is not a number of type f32") != std::string::npos);
}

TEST_CASE("csv: columns side by side") {
  const Table table = table_of("a,t,b,c\n1,x,2,3\n4,y,5,6.5\n");
  CHECK(table.numbers({"c", "a"}).same_bits(Array::from<float>({3, 1, 6.5f, 4}, {2, 2})));
  CHECK(table.numbers({"b"}, f64).same_bits(Array::from<double>({2, 5}, {2, 1})));
  CHECK(table.numbers({"b", "c", "b"}, i32).same_bits(Array::from<std::int32_t>({2, 3, 2, 5, 6, 5}, {2, 3})));
  CHECK(table.numbers({}).shape() == Shape{2, 0});
  CHECK(error_of([&] { table.numbers({"a", "t"}); }).find("column 't' holds text (2 categories)") != std::string::npos);
  CHECK(error_of([&] { table.numbers({"z"}); }).ends_with("no column 'z'; there are a, t, b, c"));
}

TEST_CASE("csv: to a data set") {
  const Table table = table_of("h,w,kind,price\n1,2,cat,0.5\n3,4,dog,7\n");
  SECTION("text labels become codes") {
    const Dataset set = table.dataset({"w", "h"}, "kind");
    CHECK(set.x.same_bits(Array::from<float>({2, 1, 4, 3}, {2, 2})));
    CHECK(set.y.same_bits(Array::from<std::int32_t>({0, 1}, {2})));
    CHECK(set.size() == 2);
  }
  SECTION("quantities keep a column axis") {
    const Dataset set = table.dataset({"h"}, "price", f32);
    CHECK(set.y.same_bits(Array::from<float>({0.5f, 7}, {2, 1})));
  }
  SECTION("all other columns are features when none is named") {
    const Dataset set = table_of("a,b,y\n1,2,1\n3,4,0\n").dataset({}, "y");
    CHECK(set.x.same_bits(Array::from<float>({1, 2, 3, 4}, {2, 2})));
    CHECK(set.y.same_bits(Array::from<std::int32_t>({1, 0}, {2})));
  }
  SECTION("mistakes") {
    const auto message = [&](const std::vector<std::string>& features, const char* label, DType dtype) {
      return error_of([&] { table.dataset(features, label, dtype); }).substr(table.source.size());
    };
    CHECK(message({"h"}, "size", i32) == ": no column 'size'; there are h, w, kind, price");
    CHECK(message({"z"}, "kind", i32) == ": no column 'z'; there are h, w, kind, price");
    CHECK(message({"h", "kind"}, "kind", i32) == ": column 'kind' is both a feature and the label");
    CHECK(message({}, "price", i32) ==
          ": column 'kind' holds text (2 categories), and their codes are no quantity; leave it out or one-hot it");
    CHECK(message({"h"}, "price", i32) ==
          ": label 'price' is 0.5 in row 0, not a whole number; ask for f32 labels to predict a quantity");
    CHECK(message({"h"}, "price", u8) == ": labels cannot be u8; expected i32, f32 or f64");
    CHECK(error_of([] { table_of("y\n1\n").dataset({}, "y"); }).ends_with(": no feature beside the label 'y'"));
    CHECK(error_of([] {
            CsvOptions as_nan;
            as_nan.fill.emplace("nan");
            table_of("a,y\n1,\n", as_nan).dataset({}, "y");
          }).ends_with(": label 'y' is nan in row 0, not a whole number; ask for f32 labels to predict a quantity"));
  }
}

TEST_CASE("csv: any bytes give a table or an Error") {
  const TempDir dir;
  CsvOptions filled;
  filled.fill.emplace("0");
  mutate("a,b,c\r\n1,\"x, \"\"y\"\"\",\n2,\"line\nbreak\",3e4\nNA,?,nan\n-5,z,\n", 3000, [&](const std::string& bytes) {
    spill(dir.file("m.csv"), bytes);
    for (const CsvOptions& options : {CsvOptions{}, filled}) {
      try {
        const Table table = read_csv(dir.file("m.csv"), options);
        for (const Column& c : table.columns) REQUIRE(c.values.size() == table.rows);
      } catch (const Error&) {}
    }
  });
}

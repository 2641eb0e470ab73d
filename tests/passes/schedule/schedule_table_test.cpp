// Tables of schedules: they print and parse, refuse what is not legal with its place, and apply to the kernels they
// know.
#include "passes/schedule/schedule_table.h"

#include <regex>

#include "catch.h"
#include "error_of.h"
#include "passes/pipeline.h"

using namespace weft;
using Catch::Matchers::ContainsSubstring;

namespace {

const CpuTarget kTarget{.cpu = "znver4",
                     .features = "+avx512f",
                     .vector_bytes = 64,
                     .vector_registers = 32,
                     .fma = true,
                     .l2_bytes = 1 << 20};

/// A layer of 40x50x60 with relu, as text; the pieces in $ can be replaced.
std::string layer(const std::map<std::string, std::string>& with = {}) {
  std::string text = R"(func @$f(%$x: f32[40,$k], %w: f32[$k,50], %b: f32[50]) {
    %0 = contract %$x, %w {lhs=[1], rhs=[0]} : f32[40,50]
    %1 = broadcast %b {axes=[1]} : f32[40,50]
    %2 = $add %0, %1 : f32[40,50]
    %3 = constant {value=$c} : f32[]
    %4 = broadcast %3 {axes=[]} : f32[40,50]
    %5 = mul %2, %4 : f32[40,50]
    $more
    return y = %5$out })";
  std::map<std::string, std::string> all{{"f", "f"},    {"x", "x"},   {"k", "60"}, {"add", "add"},
                                         {"c", "0.25"}, {"more", ""}, {"out", ""}};
  for (const auto& [name, value] : with) all[name] = value;
  for (const auto& [name, value] : all) text = std::regex_replace(text, std::regex("\\$" + name + "(?![a-z])"), value);
  return text;
}

Program lowered(const std::string& text, const ScheduleTable* table = nullptr, const CpuTarget& target = kTarget) {
  PipelineOptions options;
  options.verify = true;
  options.schedules = table;
  return make_program(optimize(parse_graph(text), options), target, options);
}

const Kernel& contraction(const Program& p) {
  for (const Kernel& k : p.kernels)
    if (is_tiled_contraction(k)) return k;
  throw std::logic_error("no contraction");
}

std::uint64_t signature(const std::string& text) {
  const Program p = lowered(text);
  return schedule_signature(p, contraction(p));
}

/// The row of layer()'s contraction with a schedule that the cost model does not choose.
ScheduleRow row_of(const std::string& text) {
  const Program p = lowered(text);
  const Kernel& k = contraction(p);
  ScheduleRow row;
  row.signature = schedule_signature(p, k);
  row.shape = contraction_of(p, k);
  row.target = TargetKey::of(kTarget);
  row.schedule = {.mr = 5, .nr = 32, .kc = 60, .mc = 10, .nc = 32, .split_n = true, .pack_lhs = true};
  row.remark = "10.0 us, was 12.0 us";
  return row;
}

std::string table_text(const std::string& text = layer()) {
  ScheduleTable table;
  table.set(row_of(text));
  return table.str();
}

std::string parse_error(const std::string& text) {
  return error_of([&] { ScheduleTable::parse(text, "t", kTarget); });
}

/// The table's text with one piece of it replaced.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = table_text();
  const std::size_t at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a table of schedules prints, parses and prints the same") {
  ScheduleTable table;
  ScheduleRow row = row_of(layer());
  table.set(row);
  row.target.cpu = "x86-64-v3";  // dashes; and another machine, so its values are not checked
  row.schedule.mr = 99;
  table.set(row);
  const std::string text = table.str();
  const ScheduleTable again = ScheduleTable::parse(text, "t", kTarget);
  CHECK(again.size() == 2);
  CHECK(again.str() == text);
  CHECK(ScheduleTable::parse("schedules 1", "t", kTarget).empty());
  CHECK(ScheduleTable::parse("// what for\nschedules 1\n// nothing yet\n", "t", kTarget).empty());
}

TEST_CASE("tables merge, the later rows in place of the earlier") {
  ScheduleTable a, b;
  ScheduleRow row = row_of(layer());
  a.set(row);
  row.schedule.mr = 3;
  b.set(row);
  row.signature ^= 1;
  b.set(row);
  a.merge(b);
  CHECK(a.size() == 2);
  CHECK(a.find(row.signature ^ 1, row.target)->schedule.mr == 3);
}

TEST_CASE("what is no table of schedules is refused with its place") {
  const std::string long_word(100, 'x');
  struct Row {
    std::string text, message;
  };
  const std::vector<Row> rows = {
      {"", "t:1:1: error: expected 'schedules' at the beginning of a table of schedules, found the end of the text"},
      {"schedules 2", "t:1:11: error: version 2 of the table, expected 1"},
      {"schedules one", "t:1:11: error: the version of the table: expected a number from 0 to"},
      {"schedules 1\nrow", "t:2:1: error: expected 'kernel' at the beginning of a row, found 'row'"},
      {"schedules 1\nkernel",
       "t:2:7: error: expected the kernel's signature (0x and up to 16 hexadecimal digits), found the end of the text"},
      {"schedules 1\nkernel 12", "t:2:8: error: expected the kernel's signature"},
      {"schedules 1\nkernel 0x", "t:2:8: error: expected the kernel's signature"},
      {"schedules 1\nkernel 0x11112222333344445", "t:2:8: error: expected the kernel's signature"},
      {"schedules 1\nkernel 0x1g", "t:2:8: error: expected the kernel's signature"},
      {"schedules 1\nkernel 0x1 f33", "t:2:12: error: expected the dtype of a contraction, found 'f33'"},
      {"schedules 1\nkernel 0x1 bool", "t:2:12: error: expected the dtype of a contraction, found 'bool'"},
      {"schedules 1\nkernel 0x1 3", "t:2:12: error: expected the kernel's dtype, found '3'"},
      {"schedules 1\nkernel 0x1 f32 m=1", "t:2:16: error: expected 'b=', found 'm'"},
      {"schedules 1\nkernel 0x1 f32 b 1", "t:2:18: error: expected '=' after 'b', found '1'"},
      {"schedules 1\nkernel 0x1 f32 b=0", "t:2:18: error: b: expected a number from 1 to"},
      {"schedules 1\nkernel 0x1 f32 b=-1", "t:2:18: error: b: expected a number from 1 to 70368744177664, found '-'"},
      {"schedules 1\nkernel 0x1 f32 b=99999999999999999999", "t:2:18: error: b: expected a number"},
      {"schedules 1\nkernel 0x1 f32 b=1 m=1 n=1 k=1 cpu=7", "t:2:36: error: expected the name of a cpu, found '7'"},
      {edited("features=0x", "features=y"), "expected a hash of the features"},
      {edited("l2=1048576", "l2=big"), "l2: expected a number from 0 to 70368744177664, found 'big'"},
      {edited("split_n=1", "split_n=2"), "split_n: expected a number from 0 to 1, found '2'"},
      {edited("pack_rhs=0", "pack_rhs"), "expected '=' after 'pack_rhs', found the end of the text"},
      {edited("mr=5", "mr=4294967297"), "mr: expected a number from 0 to 2147483647, found '4294967297'"},
      {edited("pack_lhs=1", long_word), "expected 'pack_lhs=', found 'xxxx"},
      {table_text() + table_text().substr(12), "t:3:1: error: kernel 0x"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK_THAT(parse_error(row.text), ContainsSubstring(row.message));
  }
  CHECK_THAT(parse_error(rows.back().text), ContainsSubstring("is given twice for this machine, first at t:2"));
}

TEST_CASE("illegal values of this machine are refused, those of another are not looked at") {
  struct Row {
    std::string from, to, message;
  };
  for (const Row& row : std::vector<Row>{
           {"nr=32", "nr=24", "nr: found 24, expected a multiple of 16 up to 64"},
           {"nr=32", "nr=0", "nr: found 0, expected a multiple of 16 up to 64"},
           {"nr=32", "nr=80", "nr: found 80, expected a multiple of 16 up to 64"},
           {"mr=5", "mr=0", "mr: found 0, expected 1 to 14"},
           {"mr=5", "mr=15", "mr: found 15, expected 1 to 14"},
           {"kc=60", "kc=0", "kc: found 0, expected 1 to 60"},
           {"kc=60", "kc=61", "kc: found 61, expected 1 to 60"},
           {"mc=10", "mc=12", "mc: found 12, expected 40 or a multiple of 5 below it"},
           {"mc=10", "mc=45", "mc: found 45, expected 40 or a multiple of 5 below it"},
           {"nc=32", "nc=0", "nc: found 0, expected 50 or a multiple of 32 below it"},
           {"k=60 ", "k=2000 ", "kc: found 60, expected a divisor of 1024"},
           {"n=50 k=60", "n=1000000 k=60", ""},
       }) {
    INFO(row.to);
    const std::string text = edited(row.from, row.to);
    if (row.message.empty()) {
      CHECK(parse_error(text) == "no error");
    } else {
      const std::string key = " " + row.message.substr(0, row.message.find(':')) + "=";
      const std::size_t column = text.find(key) + key.size() - text.find("kernel") + 1;
      CHECK(parse_error(text) == fmt::format("t:2:{}: error: {}", column, row.message));
    }
    CHECK(parse_error(std::regex_replace(text, std::regex("cpu=znver4"), "cpu=znver3")) == "no error");
  }
  std::string huge = edited("n=50 k=60", "n=1000000 k=60");
  huge.replace(huge.find("nc=32"), 5, "nc=999968");
  CHECK_THAT(parse_error(huge), ContainsSubstring("nc: found 999968, expected a multiple of 32 up to 34944"));
}

TEST_CASE("a row schedules the kernel of its signature on its machine, and no other") {
  const CpuSchedule own = std::get<CpuSchedule>(contraction(lowered(layer())).schedule);
  const ScheduleTable table = ScheduleTable::parse(table_text(), "t", kTarget);
  const CpuSchedule stored = std::get<CpuSchedule>(contraction(lowered(layer(), &table)).schedule);
  CpuSchedule expected = row_of(layer()).schedule;
  CHECK_FALSE(stored == own);
  expected.vector_axis = own.vector_axis;
  CHECK(stored == expected);

  CHECK(std::get<CpuSchedule>(contraction(lowered(layer({{"k", "61"}}), &table)).schedule).mr != 5);
  for (const char* change : {"cpu", "features", "l2"}) {
    INFO(change);
    CpuTarget other = kTarget;
    if (std::string(change) == "cpu") other.cpu = "znver3";
    if (std::string(change) == "features") other.features = "+avx2";
    if (std::string(change) == "l2") other.l2_bytes *= 2;
    CHECK(contraction(lowered(layer(), &table, other)).schedule ==
          contraction(lowered(layer(), nullptr, other)).schedule);
  }
}

TEST_CASE("a row that its kernel cannot be scheduled by is refused with its place") {
  auto apply = [](const std::string& graph, const std::string& from, const std::string& to) {
    std::string text = table_text(graph);
    text.replace(text.find(from), from.size(), to);
    const ScheduleTable table = ScheduleTable::parse(text, "t", kTarget);
    return std::regex_replace(error_of([&] { lowered(graph, &table); }), std::regex("@[a-z0-9]+"), "@k");
  };
  CHECK(apply(layer(), "m=40", "m=41") ==
        "t:2:1: error: found f32 b=1 m=41 n=50 k=60, expected f32 b=1 m=40 n=50 k=60: kernel @k has this signature");
  const std::string swapped = R"(func @f(%x: f32[40,60], %w: f32[50,60]) {
    %0 = contract %x, %w {lhs=[1], rhs=[1]} : f32[40,50]
    return y = %0 })";
  CHECK_THAT(apply(swapped, "pack_rhs=0", "pack_rhs=0"),
             ContainsSubstring("pack_rhs: found 0, expected 1: this operand cannot be read where it is (kernel @k)"));
  ScheduleTable table;
  table.set(row_of(swapped));
  CHECK_THAT(error_of([&] { lowered(swapped, &table); }), ContainsSubstring("a table of schedules: error: pack_rhs"));
}

TEST_CASE("a signature depends on the kernel's structure alone") {
  const std::uint64_t own = signature(layer());
  struct Row {
    std::string what;
    std::map<std::string, std::string> with;
    bool same;
  };
  for (const Row& row : std::vector<Row>{
           {"names", {{"f", "g"}, {"x", "image"}}, true},
           {"a constant's value", {{"c", "0.75"}}, true},
           {"another kernel before it",
            {{"more", "%6 = reduce_sum %w {axis=0} : f32[50] %7 = exp %6 : f32[50]"}, {"out", ", s = %7"}},
            true},
           {"the depth", {{"k", "61"}}, false},
           {"the epilogue", {{"add", "sub"}}, false},
       }) {
    INFO(row.what);
    CHECK((signature(layer(row.with)) == own) == row.same);
  }
  auto product = [](const std::string& x, const std::string& dims, const std::string& prologue) {
    return signature(fmt::format(R"(func @f(%x: {}, %w: f32[60,50]) {{
      {}
      %1 = contract %{}, %w {{lhs=[{}], rhs=[0]}} : f32[40,50]
      return y = %1 }})",
                                 x, prologue, prologue.empty() ? "x" : "0", dims));
  };
  const std::uint64_t straight = product("f32[40,60]", "1", "");
  CHECK(straight != product("f32[60,40]", "0", ""));
  CHECK(straight != product("f32[40,60]", "1", "%0 = exp %x : f32[40,60]"));
  CHECK(product("f32[40,60]", "1", "%0 = exp %x : f32[40,60]") !=
        product("f32[40,60]", "1", "%0 = tanh %x : f32[40,60]"));
}

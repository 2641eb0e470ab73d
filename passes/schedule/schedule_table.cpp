// Reads, checks, merges and prints tables of schedules. The text may be anyone's: every value is bounded while it is
// read, and checked against the machine before it is used.
#include "passes/schedule/schedule_table.h"

#include <charconv>
#include <limits>
#include <span>

#include "ir/base/lexer.h"
#include "ir/kernel/print_kernel.h"

namespace weft {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMostExtent = std::int64_t{1} << 46;  // of an axis, as the verifier has it

/// Whether the field is written in a row: a size or a flag.
bool is_written(const ScheduleField<CpuSchedule>& f) { return !f.axis; }

class Reader {
 public:
  Reader(std::string_view text, const std::string& file) : lexer_(text, file), file_(file) {}

  void header() {
    lexer_.expect_word("schedules", "at the beginning of a table of schedules");
    const Token version = lexer_.peek();
    if (const std::int64_t v = number("the version of the table", 0, std::numeric_limits<std::int64_t>::max());
        v != kVersion)
      lexer_.fail_at(version, "version {} of the table, expected {}", v, kVersion);
  }
  bool at_end() const { return lexer_.peek().kind == Token::end; }

  ScheduleRow row(Token& start) {
    start = lexer_.peek();
    lexer_.expect_word("kernel", "at the beginning of a row");
    ScheduleRow r;
    r.place = fmt::format("{}:{}", file_, start.line);
    r.signature = hash("the kernel's signature");
    const Token dtype = lexer_.expect(Token::word, "the kernel's dtype");
    const auto t = parse_dtype(dtype.text);
    if (!t || is_reserved(*t) || !in_set(*t, info(Op::contract).dtypes))
      lexer_.fail_at(dtype, "expected the dtype of a contraction, found {}", describe(dtype));
    r.shape.dtype = *t;
    const std::pair<std::string_view, std::int64_t*> extents[] = {
        {"b", &r.shape.b}, {"m", &r.shape.m}, {"n", &r.shape.n}, {"k", &r.shape.k}};
    for (auto [name, value] : extents) *value = field(name, 1, kMostExtent);
    key("cpu");
    r.target.cpu = run("the name of a cpu");
    key("features");
    r.target.features = hash("a hash of the features");
    const std::pair<std::string_view, std::int64_t*> caches[] = {
        {"l1", &r.target.l1}, {"l2", &r.target.l2}, {"l3", &r.target.l3}};
    for (auto [name, value] : caches) *value = field(name, 0, kMostExtent);
    for (const auto& f : kCpuFields) {
      if (!is_written(f)) continue;
      key(f.name);
      r.column.emplace(f.name, lexer_.peek().column);
      places_[f.name] = lexer_.peek();
      if (f.small) r.schedule.*f.small = static_cast<int>(number(f.name, 0, std::numeric_limits<int>::max()));
      if (f.big) r.schedule.*f.big = number(f.name, 0, kMostExtent);
      if (f.flag) r.schedule.*f.flag = number(f.name, 0, 1) != 0;
    }
    std::string_view remark = lexer_.peek().comment;
    remark.remove_prefix(std::min(remark.find_first_not_of(' '), remark.size()));
    r.remark = remark;
    return r;
  }

  template <class... Args>
  [[noreturn]] void fail_at(const Token& t, fmt::format_string<Args...> format, Args&&... args) const {
    lexer_.fail_at(t, "{}", fmt::format(format, std::forward<Args>(args)...));
  }
  const Token& place(std::string_view field) const { return places_.find(field)->second; }  ///< in the last row

 private:
  void key(std::string_view name) {
    const Token& t = lexer_.peek();
    if (!t.is(name)) lexer_.fail_at(t, "expected '{}=', found {}", name, describe(t));
    lexer_.next();
    lexer_.expect('=', fmt::format("after '{}'", name));
  }
  std::int64_t field(std::string_view name, std::int64_t low, std::int64_t high) {
    key(name);
    return number(name, low, high);
  }
  std::int64_t number(std::string_view what, std::int64_t low, std::int64_t high) {
    const Token t = lexer_.next();
    std::int64_t v = 0;
    const auto [end, error] = std::from_chars(t.text.data(), t.text.data() + t.text.size(), v);
    const bool whole = t.kind == Token::number && end == t.text.data() + t.text.size();
    if (!whole || error != std::errc{} || v < low || v > high)
      lexer_.fail_at(t, "{}: expected a number from {} to {}, found {}", what, low, high, describe(t));
    return v;
  }
  std::uint64_t hash(std::string_view what) {
    const Token t = lexer_.next();
    std::uint64_t v = 0;
    const std::string_view digits = t.text.substr(std::min<std::size_t>(t.text.size(), 2));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), v, 16);
    if (t.kind != Token::number || !t.text.starts_with("0x") || digits.empty() || error != std::errc{} ||
        end != digits.data() + digits.size())
      lexer_.fail_at(t, "expected {} (0x and up to 16 hexadecimal digits), found {}", what, describe(t));
    return v;
  }
  /// Tokens up to the next blank: names of cpus hold dashes.
  std::string run(std::string_view what) {
    const Token first = lexer_.expect(Token::word, what);
    const char* end = first.text.data() + first.text.size();
    while (lexer_.peek().kind != Token::end && lexer_.peek().text.data() == end)
      end = lexer_.peek().text.data() + lexer_.peek().text.size(), lexer_.next();
    return {first.text.data(), end};
  }

  Lexer lexer_;
  const std::string& file_;
  std::map<std::string_view, Token> places_;
};

std::string row_text(const ScheduleRow& r) {
  std::string s = fmt::format("kernel 0x{:016x} {} b={} m={} n={} k={} cpu={} features=0x{:016x} l1={} l2={} l3={}",
                              r.signature, name(r.shape.dtype), r.shape.b, r.shape.m, r.shape.n, r.shape.k,
                              r.target.cpu, r.target.features, r.target.l1, r.target.l2, r.target.l3);
  for (const auto& f : kCpuFields) {
    if (f.small) s += fmt::format(" {}={}", f.name, r.schedule.*f.small);
    if (f.big) s += fmt::format(" {}={}", f.name, r.schedule.*f.big);
    if (f.flag) s += fmt::format(" {}={:d}", f.name, r.schedule.*f.flag);
  }
  if (!r.remark.empty()) s += "  // " + r.remark.substr(0, r.remark.find('\n'));
  return s + "\n";
}

}  // namespace

ScheduleTable ScheduleTable::parse(std::string_view text, const std::string& file, const CpuTarget& target) {
  const TargetKey here = TargetKey::of(target);
  Reader reader(text, file);
  ScheduleTable table;
  reader.header();
  while (!reader.at_end()) {
    Token start;
    ScheduleRow row = reader.row(start);
    if (row.target == here)
      if (const Objection o = objection(row.shape, row.schedule, target); !o.field.empty())
        reader.fail_at(reader.place(o.field), "{}: {}", o.field, o.what);
    if (const ScheduleRow* known = table.find(row.signature, row.target))
      reader.fail_at(start, "kernel 0x{:016x} is given twice for this machine, first at {}", row.signature,
                     known->place);
    table.set(std::move(row));
  }
  return table;
}

std::string ScheduleTable::str() const {
  std::string s = fmt::format("schedules {}\n", kVersion);
  for (const auto& [key, row] : rows_) s += row_text(row);
  return s;
}

const ScheduleRow* ScheduleTable::find(std::uint64_t signature, const TargetKey& target) const {
  const auto it = rows_.find({target, signature});
  return it == rows_.end() ? nullptr : &it->second;
}

void ScheduleTable::set(ScheduleRow row) {
  auto key = std::pair{row.target, row.signature};
  rows_.insert_or_assign(std::move(key), std::move(row));
}

void ScheduleTable::merge(const ScheduleTable& other) {
  for (const auto& [key, row] : other.rows_) rows_.insert_or_assign(key, row);
}

bool ScheduleTable::apply(const Program& p, Kernel& k, const CpuTarget& target) const {
  if (rows_.empty() || !is_tiled_contraction(k)) return false;
  const ScheduleRow* row = find(schedule_signature(p, k), TargetKey::of(target));
  if (!row) return false;
  const Contraction c = contraction_of(p, k);
  auto refuse = [&](std::uint32_t column, const std::string& what) {
    throw Error(fmt::format("{}{}error: {}", row->place.empty() ? "a table of schedules" : row->place,
                            column ? fmt::format(":{}: ", column) : ": ", what));
  };
  auto shape = [](const Contraction& x) {
    return fmt::format("{} b={} m={} n={} k={}", name(x.dtype), x.b, x.m, x.n, x.k);
  };
  if (shape(c) != shape(row->shape))
    refuse(1, fmt::format("found {}, expected {}: kernel @{} has this signature", shape(row->shape), shape(c), k.name));
  if (const Objection o = objection(c, row->schedule, target); !o.field.empty()) {
    const auto column = row->column.find(o.field);
    refuse(column == row->column.end() ? 0 : column->second,
           fmt::format("{}: {} (kernel @{})", o.field, o.what, k.name));
  }
  CpuSchedule& schedule = std::get<CpuSchedule>(k.schedule);
  for (const auto& f : kCpuFields) {
    if (f.small) schedule.*f.small = row->schedule.*f.small;
    if (f.big) schedule.*f.big = row->schedule.*f.big;
    if (f.flag) schedule.*f.flag = row->schedule.*f.flag;
  }
  return true;
}

}  // namespace weft

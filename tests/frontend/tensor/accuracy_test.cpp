// Every function of the DSL that maps floats to floats keeps to its stated error in value, first and second derivative:
// on points of every exponent, around the places where formulas switch or cancel, and at infinities, in f32 and f64.
// WEFT_EXHAUSTIVE=1 takes many more points and prints the largest errors.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include "function_table.h"
#include "golden.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

bool exhaustive() { return std::getenv("WEFT_EXHAUSTIVE") != nullptr; }

std::vector<FunctionRow> all_rows() {
  std::vector<FunctionRow> rows = elementwise_rows();
  for (FunctionRow& r : row_rows()) rows.push_back(std::move(r));
  return rows;
}

struct Float {
  DType dtype;
  int digits, min_exponent, max_exponent;  // normal numbers: 2^min_exponent … 2^(max_exponent + 1)
  double smallest() const { return std::ldexp(1.0, min_exponent); }
  double largest() const {
    return dtype == f32 ? double(std::numeric_limits<float>::max()) : std::numeric_limits<double>::max();
  }
  double subnormal() const { return std::ldexp(1.0, min_exponent - digits + 1); }
  double rounded(double x) const { return dtype == f32 ? static_cast<float>(x) : x; }
  double flushed(double x) const { return std::abs(x) < smallest() ? std::copysign(0.0, x) : x; }
};
const Float kF32{f32, 24, -126, 127}, kF64{f64, 53, -1022, 1023};

using Point = std::vector<double>;

/// Points of every exponent and sign, dense ones in [-2, 2] and [-100, 100] (f64: [-800, 800]), and numbers where
/// formulas are apt to switch, with their neighbours.
class Points {
 public:
  explicit Points(const Float& t) : float_(t) {
    const int many = exhaustive() ? 20 : 1;
    for (double x : {0.0, t.subnormal(), t.smallest(), t.largest()})
      for (double s : {x, -x}) special_.push_back(s);
    for (double x : {0.1,  0.25, 0.5,  0.7,  1.0,  1.5,   2.0,   3.0,   5.0,   8.5, 10.0, 12.0,   17.0,
                     20.0, 37.0, 87.4, 88.0, 89.0, 104.0, 708.5, 710.0, 746.0, 1e5, 1e9,  1.5e19, 1e30})
      for (double s : {x, -x}) special_.push_back(t.rounded(s));
    all_ = special_;
    for (double x : special_)
      for (double toward : {-HUGE_VAL, HUGE_VAL}) {
        const double y = t.dtype == f32 ? std::nextafter(static_cast<float>(x), static_cast<float>(toward))
                                        : std::nextafter(x, toward);
        if (std::isfinite(y)) all_.push_back(y);
      }
    for (int e = t.min_exponent; e <= t.max_exponent; e += t.dtype == f32 ? 1 : 5)
      for (int k = 0; k < 2 * many; ++k) all_.push_back(t.rounded(std::ldexp(uniform(1, 2) * (k % 2 ? -1 : 1), e)));
    const double wide = t.dtype == f32 ? 100 : 800;
    for (int k = 0; k < 300 * many; ++k) {
      all_.push_back(t.rounded(uniform(-2, 2)));
      all_.push_back(t.rounded(uniform(-20, 20)));
      all_.push_back(t.rounded(uniform(-wide, wide)));
    }
  }

  std::vector<Point> of(const FunctionRow& row) {
    std::vector<Point> points;
    auto add = [&](Point p) {
      Point seen = p;
      for (double& x : seen) x = float_.flushed(x);
      if (row.admits && !row.admits(seen)) return;
      points.push_back(std::move(p));
    };
    if (row.operands == 1) {
      for (double x : all_) add({x});
      return points;
    }
    const std::size_t count = exhaustive() ? 20000 : 1500;
    for (int tries = 0; points.size() < count && tries < 200000; ++tries) {
      Point p;
      const double base = pick(all_), width = std::array{1.0, 20.0, 100.0, 1e4}[random_() % 4];
      for (std::size_t i = 0; i < row.operands; ++i) switch (tries % 6) {
          case 0: p.push_back(pick(special_)); break;
          case 1: p.push_back(pick(all_)); break;
          case 2:
            p.push_back(float_.rounded(base * (1 + std::ldexp(uniform(-1, 1), -static_cast<int>(random_() % 20)))));
            break;
          case 3: p.push_back(float_.rounded(uniform(0, 1))); break;
          default: p.push_back(float_.rounded(uniform(-width, width)));
        }
      if (std::ranges::all_of(p, [](double x) { return std::isfinite(x); })) add(std::move(p));
    }
    return points;
  }

 private:
  double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
  double pick(const std::vector<double>& from) { return from[random_() % from.size()]; }
  Float float_;
  std::mt19937_64 random_{7};
  std::vector<double> special_, all_;
};

/// Value, first and second derivatives of a row on points: results[0], [1 + i] and [1 + operands + i]. They are those
/// of the optimised graph, interpreted: the bits that compiled code has.
std::vector<Array> evaluate(const FunctionRow& row, const Float& t, const std::vector<Point>& points,
                            Numerics numerics) {
  GraphScope graph;
  const auto n = static_cast<std::int64_t>(points.size());
  std::vector<Tensor> x;
  std::vector<Array> in;
  for (std::size_t i = 0; i < row.operands; ++i) {
    x.push_back(placeholder(t.dtype, {n}));
    std::vector<double> column;
    for (const Point& p : points) column.push_back(p[i]);
    in.push_back(Array::from<double>(column, {n}).converted(t.dtype));
  }
  const Tensor y = row.build(x);
  const std::vector<Tensor> first = grad(sum(y), x);
  std::vector<Tensor> outputs{y};
  outputs.insert(outputs.end(), first.begin(), first.end());
  for (std::size_t i = 0; i < row.operands; ++i) outputs.push_back(grad(sum(first[i]), {x[i]})[0]);
  CompileOptions options;
  options.inputs = x;
  options.numerics = numerics;
  options.backend = Backend::interpreter;
  return interpret(compile({outputs.begin(), outputs.end()}, options).optimized(), in).outputs;
}

/// |got - want| in ulps of the larger of `want` and `size`, after what underflow may take.
double ulp_error(double got, const Real& want, const Real& size, const Float& t, int flush) {
  if (want.is_nan()) return 0;  // outside the domain
  if (std::isnan(got)) return HUGE_VAL;
  const Real magnitude = abs(want) < size ? size : abs(want);
  if (abs(want) < t.smallest() && std::abs(got) < 2 * t.smallest()) return 0;
  const long exponent =
      magnitude.is_zero() ? t.min_exponent : std::clamp<long>(magnitude.exponent(), t.min_exponent, t.max_exponent);
  if (std::isinf(got)) {
    if (std::ldexp(1.0, t.max_exponent) < abs(want) && (got > 0) == (0 < want)) {
      const Real beyond = Real(std::ldexp(1.0, t.max_exponent)) * 2 - abs(want);
      return beyond < 0 ? 0 : (beyond / std::ldexp(1.0, t.max_exponent - t.digits + 1)).to_double();
    }
    return HUGE_VAL;
  }
  const Real slack = flush > 0 ? std::ldexp(t.smallest(), flush) : 0, error = abs(Real(got) - want) - slack;
  return error < 0 ? 0 : (error / Real(std::ldexp(1.0, static_cast<int>(exponent) - t.digits + 1))).to_double();
}

struct Worst {
  double ulps = 0, got = 0, want = 0;
  Point at;
};

struct Errors {
  Worst of[3];  // value, first, second derivative
};

Errors errors(const FunctionRow& row, const Float& t, const std::vector<Point>& points, Numerics numerics) {
  const std::vector<Array> got = evaluate(row, t, points, numerics);
  const Bound* bounds[] = {&row.value, &row.first, &row.second};
  Errors errors;
  for (std::size_t along = 0; along < row.operands; ++along)
    for (std::size_t p = 0; p < points.size(); ++p) {
      Operands x{{}, t.dtype};
      for (std::size_t i = 0; i < row.operands; ++i)
        x.x.push_back({t.flushed(points[p][i]), i == along ? 1.0 : 0.0, 0.0});
      const Jet want = row.reference(x);
      const Real* parts[] = {&want.v, &want.d, &want.dd};
      for (std::size_t k = 0; k < 3; ++k) {
        if (k == 0 && along > 0) continue;
        const double g = got[k == 0 ? 0 : 1 + along + (k - 1) * row.operands].at(static_cast<std::int64_t>(p));
        const double e = ulp_error(g, *parts[k], bounds[k]->size ? bounds[k]->size(x) : Real(0), t, row.flush);
        if (e > errors.of[k].ulps) errors.of[k] = {e, g, parts[k]->to_double(), points[p]};
      }
    }
  return errors;
}

const char* const kParts[] = {"value", "first derivative", "second derivative"};

void check_row(const FunctionRow& row, Numerics numerics, double factor = 1) {
  const Bound* bounds[] = {&row.value, &row.first, &row.second};
  for (const Float& t : {kF32, kF64}) {
    const std::vector<Point> points = Points(t).of(row);
    REQUIRE(points.size() > 300);
    const Errors e = errors(row, t, points, numerics);
    for (std::size_t k = 0; k < 3; ++k) {
      const Worst& w = e.of[k];
      const std::string text =
          fmt::format("{} {} {}: {:.3g} ulp, stated {}, at ({:.9g}): {:.9g}, want {:.9g}", row.form, name(t.dtype),
                      kParts[k], w.ulps, bounds[k]->ulps, fmt::join(w.at, ", "), w.got, w.want);
      if (exhaustive()) WARN(text);
      INFO(text);
      CHECK(w.ulps <= (factor == 1 ? bounds[k]->ulps : factor * std::max(1.0, bounds[k]->ulps)));
    }
  }
}

void check_specials(const FunctionRow& row) {
  const Bound* bounds[] = {&row.value, &row.first, &row.second};
  for (const Float& t : {kF32, kF64}) {
    std::vector<Point> points;
    for (const Special& s : row.specials) points.push_back(s.x);
    const std::vector<Array> got = evaluate(row, t, points, Numerics::exact);
    for (std::size_t p = 0; p < points.size(); ++p) {
      const Special& s = row.specials[p];
      const double want[] = {s.value, s.first, s.second};
      for (std::size_t k = 0; k < 3; ++k) {
        if (want[k] == kFree) continue;
        const double g = got[k == 0 ? 0 : 1 + s.along + (k - 1) * row.operands].at(static_cast<std::int64_t>(p));
        CAPTURE(row.form, name(t.dtype), kParts[k], fmt::format("{}", fmt::join(s.x, ", ")), g, want[k]);
        if (std::isnan(want[k]) || std::isinf(want[k]))
          CHECK((std::isnan(want[k]) ? std::isnan(g) : g == want[k]));
        else
          CHECK(ulp_error(g, want[k], 0, t, row.flush) <= std::max(1.0, bounds[k]->ulps));
      }
    }
  }
}

}  // namespace

TEST_CASE("every function keeps to its stated error, in value and two derivatives") {
  for (const FunctionRow& row : all_rows()) DYNAMIC_SECTION(row.form) {
      check_row(row, Numerics::exact);
    }
}

TEST_CASE("with fast numerics, errors are at most twice those stated") {
  for (const FunctionRow& row : all_rows()) DYNAMIC_SECTION(row.form) {
      check_row(row, Numerics::fast, 2);
    }
}

TEST_CASE("every function has its limits at infinities, and its conventions at kinks and ties") {
  for (const FunctionRow& row : all_rows()) DYNAMIC_SECTION(row.form) {
      for (double end : {-HUGE_VAL, HUGE_VAL})
        if (row.operands == 1)
          CHECK(std::ranges::any_of(row.specials, [&](const Special& s) { return s.x[0] == end; }));
      if (row.specials.empty()) continue;
      check_specials(row);
    }
}

namespace {

/// Functions that move, choose or count elements, or are made of rows of the table: no error of their own.
const std::set<std::string> kNoFloatFunction = {"all",         "any",           "argmax",         "argmin",
                                                "astype",      "broadcast_to",  "concat",         "depth_to_space",
                                                "diag",        "diagonal",      "expand_dims",    "extent",
                                                "eye",         "flatten",       "gather",         "isfinite",
                                                "isinf",       "isnan",         "linear",         "linspace",
                                                "moveaxis",    "one_hot",       "outer",          "pad",
                                                "repeat",      "reshape",       "resize_nearest", "roll",
                                                "scatter_add", "slice",         "space_to_depth", "squeeze",
                                                "stack",       "stop_gradient", "swapaxes",       "take_along_axis",
                                                "tile",        "trace",         "transpose",      "tril",
                                                "triu",        "where"};

/// The functions and losses that the public headers declare at the start of a line.
std::set<std::string> declared_functions() {
  std::set<std::string> names;
  for (const char* header : {"tensor/functions.h", "nn/activations.h", "nn/losses.h"}) {
    std::ifstream in(std::string(WEFT_SOURCE_DIR) + "/frontend/" + header);
    REQUIRE(in);
    const std::regex declaration(R"(^(?:Tensor|Loss|extern const Loss&) (\w+)[(;])");
    std::smatch m;
    for (std::string line; std::getline(in, line);)
      if (std::regex_search(line, m, declaration)) names.insert(m[1]);
  }
  return names;
}

std::string bound_text(const Bound& b) {
  if (b.ulps == 0) return "exact";
  return fmt::format("{:.3g}{}", b.ulps, b.of.empty() ? "" : fmt::format(" of {}", b.of));
}

/// The rows as a table in Markdown.
std::string table_text() {
  std::string text =
      "| function | value | first derivative | second derivative | for |\n| --- | --- | --- | --- | --- |\n";
  auto cell = [&](std::string of) { text += " " + std::regex_replace(of, std::regex(R"(\|)"), R"(\|)") + " |"; };
  for (const FunctionRow& r : all_rows()) {
    text += "|";
    cell("`" + r.form + "`");
    for (const Bound* b : {&r.value, &r.first, &r.second}) cell(bound_text(*b));
    cell(r.domain + (r.flush ? fmt::format("; + 2^{} tiny", r.flush) : ""));
    text += "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("a mistake in a call is that of the function called, whatever it is made of") {
  int refused = 0;
  const auto check = [&](const FunctionRow& r, const std::vector<Tensor>& x) {
    const std::string error = error_of([&] { r.build(x); });
    CAPTURE(r.form, error);
    const std::string called = r.name == "operator/" ? "div" : r.name;
    CHECK((error == "no error" || error.find(": " + called + ": ") != error.npos));
    refused += error != "no error";
    return error;
  };
  for (const FunctionRow& r : elementwise_rows()) {
    GraphScope graph;
    for (const DType dtype : {i32, boolean}) check(r, std::vector<Tensor>(r.operands, placeholder(dtype, {4})));
    CHECK(check(r, std::vector<Tensor>(r.operands)) != "no error");
  }
  for (const FunctionRow& r : row_rows()) {  // which stack their operands first
    GraphScope graph;
    check(r, std::vector<Tensor>(r.operands, placeholder(i32, {4})));
  }
  CHECK(refused > 100);
}

TEST_CASE("every function that the headers declare has a stated error") {
  std::set<std::string> rows;
  for (const FunctionRow& r : all_rows()) rows.insert(r.name);
  const std::set<std::string> declared = declared_functions();
  REQUIRE(declared.size() > 60);
  for (const std::string& name : declared) {
    CAPTURE(name);
    CHECK(rows.contains(name) != kNoFloatFunction.contains(name));
  }
  for (const std::string& name : rows) {
    CAPTURE(name);
    CHECK((declared.contains(name) || name.starts_with("operator")));
  }
}

TEST_CASE("docs/numerics.md shows the table of functions", "[golden]") {
  const std::string begin = "<!-- functions: tests/frontend/tensor/function_table.h -->\n",
                    end = "<!-- end of functions -->\n";
  const std::string path = std::string(WEFT_SOURCE_DIR) + "/docs/numerics.md";
  std::stringstream in;
  in << std::ifstream(path).rdbuf();
  std::string text = in.str();
  const std::size_t from = text.find(begin) + begin.size(), to = text.find(end);
  REQUIRE(to != text.npos);
  REQUIRE(from <= to);
  const std::string table = table_text(), shown = text.substr(from, to - from);
  if (const char* bless = std::getenv("BLESS"); bless && std::string(bless) == "1") {
    std::ofstream(path) << text.replace(from, to - from, table);
    return;
  }
  INFO("BLESS=1 ctest -L golden writes the table of the test into docs/numerics.md");
  CHECK(shown == table);
}

// The interpreter against NumPy: every op of the table on the cases of numpy_cases.txt, whose format numpy_cases.py
// explains.
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include "catch.h"
#include "ir/graph/graph.h"
#include "ir/ops/functions.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

using namespace weft;

namespace {

std::vector<std::string> split(const std::string& s, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end; (end = s.find(separator, begin)) != s.npos; begin = end + separator.size())
    parts.push_back(s.substr(begin, end - begin));
  parts.push_back(s.substr(begin));
  return parts;
}

Dims parse_dims(const std::string& s) {
  Dims d;
  if (!s.empty())
    for (const std::string& v : split(s, ",")) d.push_back(std::stoll(v));
  return d;
}

template <class T>
T parse_element(const std::string& s) {
  if constexpr (std::is_same_v<T, float>) return std::strtof(s.c_str(), nullptr);
  if constexpr (std::is_same_v<T, double>) return std::strtod(s.c_str(), nullptr);
  return static_cast<T>(std::strtoll(s.c_str(), nullptr, 10));
}

std::map<DType, Array> edges;  // the `edges` lines

/// Element i of ints/k or reals/k.
template <class T>
T pattern(std::int64_t i, std::int64_t k, bool divided) {
  const std::int64_t p = (37 * i + 11 * k) % 23;
  if constexpr (std::is_same_v<T, bool>) return p % 2;
  if constexpr (std::is_same_v<T, std::uint8_t>) return static_cast<T>(p);
  return static_cast<T>(divided ? static_cast<double>(p - 11) / 7 : static_cast<double>(p - 11));
}

/// "f32[2,3]:ints/4"
Array parse_tensor(const std::string& s) {
  const std::size_t open = s.find('['), close = s.find("]:");
  const std::string how = s.substr(close + 2);
  const Type type{parse_dtype(s.substr(0, open)).value(), parse_dims(s.substr(open + 1, close - open - 1))};
  Array a(type);
  visit_dtype(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto values = a.as<T>();
    const std::size_t slash = how.find('/');
    if (how == "rows" || how == "cols") {
      const auto e = edges.at(type.dtype).as<T>();
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = e[how == "rows" ? i / e.size() : i % e.size()];
    } else if (slash != how.npos) {
      const std::int64_t k = std::stoll(how.substr(slash + 1));
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = pattern<T>(static_cast<std::int64_t>(i), k, how.starts_with("reals"));
    } else if (!how.empty()) {
      const std::vector<std::string> words = split(how, ",");
      if (words.size() != values.size()) throw std::runtime_error("wrong number of elements in " + s);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = parse_element<T>(words[i]);
    }
  });
  return a;
}

struct Case {
  Op op;
  Attrs attrs;
  std::vector<Array> operands;
  Array result;
  double ulps = 0, absolute = 0;  // bounds on the error of a float result
};

Case parse_case(const std::string& line) {
  const std::vector<std::string> sides = split(line, " -> "), parts = split(sides.at(0), " | "),
                                 bound = split(sides.at(1), " within ");
  Case c;
  const std::vector<std::string> head = split(parts[0], " ");
  c.op = parse_op(head[0]).value();
  for (Attr attr : info(c.op).attrs)
    for (const std::string& word : head)
      if (word.starts_with(std::string(name(attr)) + "="))
        c.attrs[attr] = parse_dims(word.substr(name(attr).size() + 1));
  for (std::size_t i = 1; i < parts.size(); ++i) c.operands.push_back(parse_tensor(parts[i]));
  c.result = parse_tensor(bound[0]);
  if (bound.size() > 1) (bound[1].ends_with("ulp") ? c.ulps : c.absolute) = std::stod(bound[1]);
  return c;
}

Array evaluate(const Case& c) {
  Graph g;
  const LocSet here = LocSet::of(std::source_location::current());
  if (c.op == Op::constant) {
    g.output("y", g.constant(c.operands[0], here));
    return interpret(g, {}).outputs[0];
  }
  std::vector<ValueId> ids;
  for (const Array& x : c.operands)
    ids.push_back(g.input(fmt::format("x{}", ids.size()), x.type(), InputKind::data, here));
  const bool declared = info(c.op).declared_type;
  g.output("y", c.op == Op::input
                    ? ids[0]
                    : g.add(c.op, ids, c.attrs, declared ? std::optional(c.result.type()) : std::nullopt, here));
  return interpret(g, c.operands).outputs[0];
}

template <class T>
bool close(T y, T expected, const Case& c) {
  if (std::isnan(y) || std::isnan(expected) || std::isinf(expected))
    return y == expected || (y != y && expected != expected);
  const T ulp = std::max(std::nextafter(std::fabs(expected), std::numeric_limits<T>::infinity()) - std::fabs(expected),
                         std::numeric_limits<T>::denorm_min());
  return std::fabs(static_cast<double>(y) - static_cast<double>(expected)) <=
         c.ulps * static_cast<double>(ulp) + c.absolute;
}

bool agrees(const Array& y, const Case& c) {
  if (c.ulps == 0 && c.absolute == 0) return y.same_bits(c.result);
  if (!(y.type() == c.result.type())) return false;
  return visit_dtype(y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    bool ok = true;
    if constexpr (std::is_floating_point_v<T>)
      for (std::int64_t i = 0; i < y.size(); ++i)
        ok &= close(y.as<T>()[static_cast<std::size_t>(i)], c.result.as<T>()[static_cast<std::size_t>(i)], c);
    return ok;
  });
}

template <class F>
void for_each_case(F&& f) {
  std::ifstream file(WEFT_SOURCE_DIR "/tests/ir/ops/numpy_cases.txt");
  REQUIRE(file);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    if (line.starts_with("edges ")) {
      const Array e = parse_tensor(line.substr(6));
      edges[e.dtype()] = e;
    } else {
      f(line, parse_case(line));
    }
  }
}

}  // namespace

TEST_CASE("the interpreter computes what NumPy computes") {
  int count = 0;
  for_each_case([&](const std::string& line, const Case& c) {
    ++count;
    const Array y = evaluate(c);
    if (agrees(y, c)) return;
    INFO(line.substr(0, 2000));
    INFO("got " << y.str());
    CHECK(false);
  });
  CHECK(count > 2000);
}

TEST_CASE("scalars are evaluated as the interpreter evaluates tensors") {
  for_each_case([&](const std::string& line, const Case& c) {
    if (!is_elementwise(c.op)) return;
    const Array y = evaluate(c);
    const FlushSubnormals flush;
    const DType operand_dtype = c.operands.back().dtype();
    for (std::size_t i = 0; i < static_cast<std::size_t>(y.size()); ++i) {
      std::vector<std::uint64_t> bits;
      for (const Array& x : c.operands)
        bits.push_back(visit_dtype(x.dtype(), [&](auto zero) { return to_scalar_bits(x.as<decltype(zero)>()[i]); }));
      const std::uint64_t found = eval_scalar(c.op, operand_dtype, y.dtype(), bits.data());
      Array one(Type{y.dtype(), {}}), expected(Type{y.dtype(), {}});
      visit_dtype(y.dtype(), [&](auto zero) {
        using T = decltype(zero);
        one.as<T>()[0] = from_scalar_bits<T>(found);
        expected.as<T>()[0] = y.as<T>()[i];
      });
      if (one.same_bits(expected)) continue;
      INFO(line.substr(0, 200) << " element " << i << ": " << one.str() << " for " << expected.str());
      CHECK(false);
    }
  });
}

TEST_CASE("NumPy's cases cover every op, dtype and class of shape") {
  // Of the first operand, or of a leaf's result, as the table's column of dtypes counts them.
  std::map<Op, std::set<DType>> dtypes;
  std::map<Op, std::set<std::string>> shapes;
  for_each_case([&](const std::string&, const Case& c) {
    const bool of_result = info(c.op).cls == OpClass::leaf && c.op != Op::random && c.op != Op::size;
    const Array& x = of_result ? c.result : c.operands[0];
    dtypes[c.op].insert(x.dtype());
    const int rank = c.result.shape().rank();
    if (rank == 0) shapes[c.op].insert("scalar");
    if (c.result.size() == 0) shapes[c.op].insert("empty");
    if (c.result.size() % 2 == 1 && c.result.size() > 1) shapes[c.op].insert("odd");
    if (c.result.shape().contains(1)) shapes[c.op].insert("an extent of 1");
    for (const Array& x : c.operands)
      if (x.shape().rank() == kMaxRank) shapes[c.op].insert("largest rank");
    if (rank == kMaxRank) shapes[c.op].insert("largest rank");
  });
  for (int i = 0; i < kOpCount; ++i) {
    const OpInfo& row = info(static_cast<Op>(i));
    if (is_function(row.op) && dtypes[row.op].empty()) continue;  // tests/ir/ops/approx.cpp has it
    if (row.cls == OpClass::control) continue;                    // tests/ir/graph/bodies.cpp has it
    for (DType t : kAllDTypes) {
      INFO(row.name << " of " << name(t));
      CHECK(dtypes[row.op].contains(t) == in_set(t, row.dtypes));
    }
    // What an op cannot have: iota, concat and scatter_add need an axis; size gives a scalar.
    const bool never_scalar = row.op == Op::iota || row.op == Op::concat || row.op == Op::scatter_add;
    const bool always_scalar = row.op == Op::size;
    for (const char* shape : {"scalar", "empty", "odd", "an extent of 1", "largest rank"}) {
      const std::string s = shape;
      if (s == "scalar" ? never_scalar : s != "largest rank" && always_scalar) continue;
      INFO(row.name << ": a case with " << s);
      CHECK(shapes[row.op].contains(s));
    }
  }
}

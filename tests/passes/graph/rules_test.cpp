// Every rewrite rule, both sides: each row of simplify is instantiated from its own pattern and evaluated before and
// after.
#include "passes/graph/rules.h"

#include <bit>
#include <cmath>
#include <map>

#include "catch.h"
#include "rule_instance.h"

using namespace weft;
using namespace weft::test;

namespace {

/// Distance in representable numbers, where subnormals count as zero; equal NaNs are at distance 0.
template <class T, class I>
double ulps(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : INFINITY;
  const I smallest = std::bit_cast<I>(std::numeric_limits<T>::min());
  const auto rank = [&](T v) {
    const I bits = std::bit_cast<I>(std::fabs(v));
    const double magnitude = bits < smallest ? 0 : static_cast<double>(bits - smallest + 1);
    return std::signbit(v) ? -magnitude : magnitude;
  };
  return std::fabs(rank(a) - rank(b));
}

double worst_ulps(const Array& a, const Array& b) {
  double worst = 0;
  for (std::int64_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, a.dtype() == f32
                                ? ulps<float, std::int32_t>(static_cast<float>(a.at(i)), static_cast<float>(b.at(i)))
                                : ulps<double, std::int64_t>(a.at(i), b.at(i)));
  return worst;
}

/// What a value-changing rule must still keep: the result in ordinary arithmetic, roughly.
bool roughly_equal(const Array& a, const Array& b) {
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double x = a.at(i), y = b.at(i);
    if (std::isfinite(x) && std::fabs(x - y) > 1e-4 * std::max(1.0, std::fabs(x))) return false;
  }
  return true;
}

void check_sides(const Rule& rule, const Array& before, const Array& after, Values values) {
  switch (rule.row->accuracy.cls) {
    case Accuracy::exact: CHECK(before.same_bits(after)); break;
    case Accuracy::ulp: CHECK(worst_ulps(before, after) <= rule.row->accuracy.ulps); break;
    case Accuracy::value_changing:
      if (values == Values::tame) CHECK(roughly_equal(before, after));
      break;
  }
}

}  // namespace

TEST_CASE("both sides of every rule agree as its class says") {
  const RuleSet rules(simplify_rows());
  for (int i = 0; i < kOpCount; ++i)
    for (const Rule& rule : rules.rooted(static_cast<Op>(i))) {
      int fired = 0;
      for (std::uint64_t seed = 1; seed <= 6000 && fired < 100; ++seed) {
        RuleInstance instance = instantiate(rule, seed);
        if (instance.root == kNoValue) continue;
        Graph& g = instance.g;
        const ValueId after = apply(rule, g, instance.root);
        if (after == kNoValue) continue;
        ++fired;
        for (ValueId v : instance.ops) CHECK((g[after].locs | g[v].locs) == g[after].locs);
        g.output("before", instance.root);
        g.output("after", after);
        for (std::uint64_t draw = 0; draw < 20; ++draw) {  // pairs such as (-0, 0) are rare
          const Values values = draw ? Values::special : Values::tame;
          const std::vector<Array> inputs = random_inputs(g, seed + draw, values);
          const Evaluation e = interpret(g, inputs);
          INFO(rule.row->name << ", seed " << seed << ", draw " << draw
                              << (values == Values::special ? ", special values\n" : "\n") << print(g));
          INFO("before: " << e.outputs[0].str() << "\nafter:  " << e.outputs[1].str());
          check_sides(rule, e.outputs[0], e.outputs[1], values);
        }
      }
      INFO("rule " << rule.row->name << ", root " << name(static_cast<Op>(i))
                   << ": no instance found that it applies to");
      CHECK(fired >= 5);
    }
}

TEST_CASE("names of rules are unique") {
  std::map<std::string_view, int> count;
  for (const RuleRow& row : simplify_rows()) CHECK(++count[row.name] == 1);
}

TEST_CASE("numbers match splats of their value, -0 apart from 0") {
  struct {
    const char* pattern;
    double value;
    DType dtype;
    bool matches;
  } const cases[] = {
      {"neg(0)", 0, f32, true},     {"neg(0)", -0.0, f32, false},      {"neg(-0)", -0.0, f32, true},
      {"neg(-0)", 0, f64, false},   {"neg(-0)", 0, i32, true},         {"neg(0)", 0, i64, true},
      {"neg(0.1)", 0.1, f32, true}, {"neg(0.1)", 0.1, f64, true},      {"neg(-1)", -1, i64, true},
      {"neg(-1)", 255, u8, false},  {"neg(inf)", INFINITY, f64, true}, {"neg($c)", 17, u8, true},
  };
  for (const auto& c : cases)
    for (const Shape& shape : {Shape{}, Shape{2, 3}}) {
      INFO(c.pattern << " on " << c.value << " : " << name(c.dtype));
      const RuleRow row{"test", c.pattern, "1"};
      const RuleSet rules(std::span(&row, 1));
      Graph g;
      Builder b{g, LocSet::of(Loc{"rule", 1, 0})};
      const ValueId root = b.neg(b.fill({c.dtype, shape}, c.value));
      CHECK((apply(rules.rooted(Op::neg)[0], g, root) != kNoValue) == c.matches);
    }
}

TEST_CASE("a repeated variable is the same value, and commutative operands match in either order") {
  const RuleRow rows[] = {{"self", "sub(x, x)", "0"}, {"add", "add(neg(x), mul(y, 2))", "sub(mul(y, 2), x)"}};
  const RuleSet rules(rows);
  CHECK(rules.rooted(Op::add).size() == 4);
  Graph g;
  Builder b{g, LocSet::of(Loc{"rule", 1, 0})};
  const ValueId x = g.input("x", {f32, {3}}, InputKind::data, b.locs),
                y = g.input("y", {f32, {3}}, InputKind::data, b.locs);
  CHECK(apply(rules.rooted(Op::sub)[0], g, b.sub(x, x)) != kNoValue);
  CHECK(apply(rules.rooted(Op::sub)[0], g, b.sub(x, y)) == kNoValue);
  for (ValueId product : {b.mul(y, b.like(y, 2)), b.mul(b.like(y, 2), y)})
    for (ValueId sum : {b.add(b.neg(x), product), b.add(product, b.neg(x))}) {
      int fired = 0;
      for (const Rule& rule : rules.rooted(Op::add)) fired += apply(rule, g, sum) == b.sub(b.mul(y, b.like(y, 2)), x);
      CHECK(fired == 1);
    }
}

TEST_CASE("malformed rows are refused when they are parsed") {
  struct {
    const char *pattern, *replacement, *message;
  } const cases[] = {
      {"add(x, y", "x", "internal error: rule 'add(x, y': expected ')' at column 8"},
      {"plus(x, y)", "x", "internal error: rule 'plus(x, y)': unknown op 'plus'"},
      {"add(x, )", "x", "internal error: rule 'add(x, )': expected a name at column 7"},
      {"add(x, y) z", "x", "internal error: rule 'add(x, y) z': unexpected text at column 10"},
      {"add(x, y)", "z", "internal error: rule test: its replacement uses a name that its pattern lacks"},
      {"x", "x", "internal error: rule test: its pattern is no op"},
  };
  for (const auto& c : cases) {
    const RuleRow row{"test", c.pattern, c.replacement};
    CHECK_THROWS_WITH(RuleSet(std::span(&row, 1)), c.message);
  }
}

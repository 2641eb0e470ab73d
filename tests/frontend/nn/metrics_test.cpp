// Every metric on samples that cannot count: NaN and infinite scores, labels that are no class, in every form of label.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr float kInf = HUGE_VALF;

double result(const Metric& m, const std::vector<float>& scores, std::int64_t classes, const Array& target) {
  GraphScope graph;
  const auto n = static_cast<std::int64_t>(scores.size()) / classes;
  Shape row = target.shape();
  row.erase(0);
  const Tensor p = input(f32, {classes}, "p"), t = input(target.dtype(), row, "t");
  std::vector<Array> totals;
  for (const Tensor& s : m.sums(p, t))
    totals.push_back(run(s, {f(scores, {n, classes}), target}, {p, t}).converted(f64));
  return m.result(totals, n);
}

Array label(double value, DType dtype) {
  return dtype == f32 ? f({static_cast<float>(value)}, {1})
                      : Array::from<std::int64_t>({static_cast<std::int64_t>(value)}, {1}).converted(dtype);
}

}  // namespace

TEST_CASE("a sample without a class, or with a label that is none, is no hit of any metric") {
  const Metric multi[] = {accuracy, top_k(1), top_k(2), top_k(4), precision, recall, f1, confusion_matrix(4)};
  struct Sample {
    std::vector<float> scores;
    double label;
  };
  const Sample never[] = {
      {{NAN, NAN, NAN, NAN}, 0}, {{NAN, NAN, NAN, NAN}, 1}, {{NAN, 1, 2, 3}, 0},    {{1, NAN, 0, 0}, 0},
      {{0, 5, 0, NAN}, 1},       {{0, 0, 1, NAN}, 2},       {{-1, -2, -3, -4}, -1}, {{-1, -2, -3, -4}, 4},
      {{1, 2, 3, 4}, 9},         {{9, 0, 0, 0}, -1},        {{kInf, NAN, 0, 0}, 0}, {{-kInf, -kInf, -kInf, -kInf}, 7},
  };
  for (const Metric& m : multi)
    for (const Sample& s : never)
      for (const DType dtype : {i32, i64, f32}) {
        CAPTURE(m.name, s.scores, s.label, name(dtype));
        REQUIRE(result(m, s.scores, 4, label(s.label, dtype)) == 0);
      }
  for (const Metric& m : multi) {
    CAPTURE(m.name);
    REQUIRE(result(m, {0, 3, 1, 2}, 4, label(HUGE_VAL, f32)) == 0);
    REQUIRE(result(m, {0, 3, 1, 2}, 4, label(NAN, f32)) == 0);
    REQUIRE(result(m, {0, 3, 1, 2}, 4, label(1.5, f32)) == 0);
    REQUIRE(result(m, {0, 3, 1, 2}, 4, Array::from<std::int64_t>({(std::int64_t{1} << 32) + 1}, {1})) == 0);
    REQUIRE(result(m, {0, 3, 1, 2}, 4, f({0, 1, NAN, 0}, {1, 4})) == 0);
    // The same sample with its label is a hit, and so are infinite scores.
    for (const DType dtype : {i32, i64, u8, f32}) REQUIRE(result(m, {0, 3, 1, 2}, 4, label(1, dtype)) == 1);
    REQUIRE(result(m, {0, kInf, -kInf, 2}, 4, label(1, i32)) == 1);
    REQUIRE(result(m, {-kInf, 3, -kInf, -kInf}, 4, label(1, i32)) == 1);
  }
  REQUIRE(result(top_k(5), {1, 2, 3, 4}, 4, label(0, i32)) == 1);  // k beyond the classes
}

TEST_CASE("one column of scores: NaN is neither class, a threshold is not above itself") {
  for (const Metric& m : {accuracy, binary_accuracy_from_logits, precision, recall, f1})
    for (const double value : {0.0, 1.0}) {
      CAPTURE(m.name, value);
      REQUIRE(result(m, {NAN}, 1, label(value, i32)) == 0);
    }
  for (const Metric& m : {accuracy, binary_accuracy_from_logits, precision, recall, f1}) {
    CAPTURE(m.name);
    for (const double value : {-1.0, 2.0}) REQUIRE(result(m, {0.75f}, 1, label(value, i32)) == 0);
    for (const double value : {-1.0, 2.0}) REQUIRE(result(m, {-0.75f}, 1, label(value, i32)) == 0);
    REQUIRE(result(m, {kInf}, 1, label(1, i32)) == 1);
    REQUIRE(result(m, {-kInf}, 1, label(1, i32)) == 0);
  }
  REQUIRE(result(accuracy, {0.5f}, 1, label(0, i32)) == 1);
  REQUIRE(result(accuracy, {0.5f}, 1, label(1, i32)) == 0);
  REQUIRE(result(accuracy, {std::nextafter(0.5f, 1.f)}, 1, label(1, i32)) == 1);
  REQUIRE(result(binary_accuracy_from_logits, {0.f}, 1, label(0, i32)) == 1);
  REQUIRE(result(binary_accuracy_from_logits, {0.f}, 1, label(1, i32)) == 0);
  REQUIRE(result(binary_accuracy_from_logits, {1e-30f}, 1, label(1, i32)) == 1);
}

TEST_CASE("errors of values show what is not a number") {
  for (const Metric& m : {mean_absolute_error, mean_squared_error}) {
    CAPTURE(m.name);
    REQUIRE(std::isnan(result(m, {NAN, 1}, 2, f({0, 1}, {1, 2}))));
    REQUIRE(std::isnan(result(m, {0, 1}, 2, f({0, NAN}, {1, 2}))));
    REQUIRE(std::isinf(result(m, {kInf, 1}, 2, f({0, 1}, {1, 2}))));
  }
}

TEST_CASE("a confusion matrix leaves out samples that are of no class") {
  GraphScope graph;
  const Tensor p = input(f32, {3}, "p"), t = input(i32, {}, "t");
  const Array table = run(confusion_matrix(3).sums(p, t)[0],
                          {f({1, 0, 0, NAN, 0, 0, 0, 0, 1, 0, 1, 0}, {4, 3}), i({0, 0, 1, 3}, {4})}, {p, t});
  require_close(table, {1, 0, 0, 0, 0, 1, 0, 0, 0});
}

TEST_CASE("of equal scores all are among the highest") {
  const Metric m = top_k(2);
  REQUIRE(result(m, {1, 1, 1, 0}, 4, label(2, i32)) == 1);
  REQUIRE(result(m, {2, 1, 1, 0}, 4, label(2, i32)) == 1);
  REQUIRE(result(m, {2, 2, 1, 0}, 4, label(2, i32)) == 0);
}

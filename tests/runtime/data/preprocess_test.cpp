// Scaling, one-hot, standardising, shuffling and splitting: values against hand-computed ones, and the message of each
// mistake.
#include "runtime/data/preprocess.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "catch.h"
#include "support.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

using Ints = std::vector<std::int32_t>;

Dataset numbered(std::int64_t count) {  // x [N,2] = (i, 10 i), y [N] = i
  Dataset set{Array(Type{f32, {count, 2}}), Array(Type{i32, {count}}), "test"};
  for (std::int64_t i = 0; i < count; ++i) {
    set.x.as<float>()[static_cast<std::size_t>(2 * i)] = static_cast<float>(i);
    set.x.as<float>()[static_cast<std::size_t>(2 * i + 1)] = static_cast<float>(10 * i);
    set.y.as<std::int32_t>()[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
  }
  return set;
}
Ints values(const Array& a) { return {a.as<std::int32_t>().begin(), a.as<std::int32_t>().end()}; }

}  // namespace

TEST_CASE("preprocess: scale") {
  const Array bytes = Array::from<std::uint8_t>({0, 51, 255}, {3});
  CHECK(scale(bytes, 1 / 255.0).same_bits(Array::from<float>({0, 0.2f, 1}, {3})));
  CHECK(scale(bytes, 2, -1).same_bits(Array::from<float>({-1, 101, 509}, {3})));
  CHECK(scale(Array::from<double>({0.1}, {1}), 2).same_bits(Array::from<double>({0.2}, {1})));
  CHECK(scale(Array(Type{u8, {0, 3}}), 2).type() == Type{f32, {0, 3}});
  CHECK(scale_to(bytes, -1, 1).same_bits(Array::from<float>({-1, static_cast<float>(51 * (2 / 255.0) - 1), 1}, {3})));
  CHECK(scale_to(Array::from<float>({4, 4}, {2}), 0, 1).same_bits(Array::from<float>({0, 0}, {2})));
  CHECK(error_of([&] { scale_to(bytes, 1, 1); }) == "scale_to: the range must have lo < hi, got 1 and 1");
  CHECK(error_of([] { scale_to(Array(Type{f32, {0}}), 0, 1); }) == "scale_to: f32[0] has no elements");
  CHECK(error_of([] {
          scale_to(Array::from<float>({1, NAN}, {2}), 0, 1);
        }) == "scale_to: the value in row 1, element 0 is nan; expected finite numbers");
}

TEST_CASE("preprocess: one-hot and label checks") {
  CHECK(one_hot(Array::from<std::int32_t>({2, 0}, {2}), 3).same_bits(Array::from<float>({0, 0, 1, 1, 0, 0}, {2, 3})));
  CHECK(one_hot(Array::from<std::uint8_t>({1, 0}, {2, 1}), 2, i32)
            .same_bits(Array::from<std::int32_t>({0, 1, 1, 0}, {2, 1, 2})));
  CHECK(one_hot(Array::scalar(std::int64_t{1}), 2, f64).same_bits(Array::from<double>({0, 1}, {2})));
  CHECK(one_hot(Array(Type{i32, {0}}), 4).type() == Type{f32, {0, 4}});
  const struct {
    Array labels;
    std::int64_t classes;
    std::string message;
  } rows[] = {
      {Array::from<std::int32_t>({0, 9, 10}, {3}), 10, "one_hot: label 10 in row 2 is outside 0 … 9 (10 classes)"},
      {Array::from<std::int32_t>({0, 1, 0, -1}, {2, 2}), 2, "one_hot: label -1 in row 1 is outside 0 … 1 (2 classes)"},
      {Array::from<std::int64_t>({std::int64_t{1} << 40}, {1}), 5,
       "one_hot: label 1099511627776 in row 0 is outside 0 … 4 (5 classes)"},
      {Array::scalar(std::int32_t{3}), 3, "one_hot: label 3 in row 0 is outside 0 … 2 (3 classes)"},
      {Array::from<float>({1}, {1}), 3, "one_hot: class labels are integers, got f32[1]"},
      {Array::from<std::int32_t>({0}, {1}), 0, "one_hot: 0 classes; at least 1 is needed"},
  };
  for (const auto& row : rows) CHECK(error_of([&] { one_hot(row.labels, row.classes); }) == row.message);
  CHECK(error_of([] { check_labels(Array::from<std::uint8_t>({7}, {1}), 7, "train.csv"); }) ==
        "train.csv: label 7 in row 0 is outside 0 … 6 (7 classes)");
  CHECK(error_of([] { one_hot(Array(Type{i32, Dims::filled(kMaxRank, 1)}), 2); }) != "no error");
  CHECK(error_of([] { one_hot(Array(Type{i32, {std::int64_t{1} << 20}}), std::int64_t{1} << 40); }) != "no error");
}

TEST_CASE("preprocess: finite check") {
  check_finite(Array::from<std::int32_t>({1}, {1}));
  check_finite(Array::from<float>({1, -2}, {2}));
  check_finite(Array(Type{f32, {0, 3}}));
  CHECK(error_of([] {
          check_finite(Array::from<float>({1, 2, 3, INFINITY}, {2, 2}), "x");
        }) == "x: the value in row 1, element 1 is inf; expected finite numbers");
  CHECK(error_of([] { check_finite(Array::scalar(std::numeric_limits<double>::quiet_NaN())); }) ==
        "data: the value in row 0, element 0 is nan; expected finite numbers");
}

TEST_CASE("preprocess: standardise") {
  // Features: 1, 3 (mean 2, deviation 1); 0.1, 0.1, (constant, and not exactly representable); 0, 8 (mean 4, deviation
  // 4).
  const Array train = Array::from<float>({1, 0.1f, 0, 3, 0.1f, 8}, {2, 3});
  const Standardiser standardise(train);
  CHECK(standardise.mean().same_bits(Array::from<double>({2, double{0.1f}, 4}, {3})));
  CHECK(standardise.deviation().same_bits(Array::from<double>({1, 1, 4}, {3})));
  CHECK(standardise.apply(train).same_bits(Array::from<float>({-1, 0, -1, 1, 0, 1}, {2, 3})));
  CHECK(
      standardise.apply(Array::from<float>({2, 0.1f, 6}, {1, 3})).same_bits(Array::from<float>({0, 0, 0.5f}, {1, 3})));
  const Dataset set{Array::from<std::uint8_t>({2, 0, 4}, {1, 3}), Array::from<std::int32_t>({5}, {1}), "s"};
  const Dataset applied = standardise.apply(set);
  CHECK(applied.x.dtype() == f32);
  CHECK(applied.y.same_bits(set.y));
  CHECK(Standardiser(Array::from<double>(std::vector<double>(997, 0.1), {997, 1})).deviation().at(0) == 1);

  CHECK(error_of([&] {
          standardise.apply(Array(Type{f32, {2, 4}}));
        }) == "standardise: samples of shape [4] cannot use the mean of samples of shape [3]");
  CHECK(error_of([] { Standardiser(Array::scalar(1.0f)); }) == "standardise: f32[] has no sample axis");
  CHECK(error_of([] { Standardiser(Array(Type{f32, {0, 3}})); }) == "standardise: f32[0,3] has no samples");
  CHECK(error_of([] {
          Standardiser(Array::from<float>({1, NAN}, {2, 1}));
        }) == "standardise: the value in row 1, element 0 is nan; expected finite numbers");
}

TEST_CASE("preprocess: permutation") {
  CHECK(permutation(0, 1, 0).empty());
  CHECK(permutation(1, 1, 0) == Ints{0});
  CHECK(permutation(10, 42, 0) == Ints{2, 6, 8, 9, 1, 5, 3, 4, 7, 0});  // fixed for ever: training runs depend on it
  CHECK(permutation(10, 42, 0) != permutation(10, 42, 1));
  CHECK(permutation(10, 42, 0) != permutation(10, 43, 0));
  CHECK(permutation(10, 1, 0) != permutation(10, (std::uint64_t{1} << 32) + 1, 0));
  Ints sorted = permutation(60000, 7, 3);
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) REQUIRE(sorted[i] == static_cast<std::int32_t>(i));
  CHECK(error_of([] { permutation(-1, 0, 0); }) == "permutation: -1 samples; expected 0 … 2^31-1");
  CHECK(error_of([] { permutation(std::int64_t{1} << 31, 0, 0); }) ==
        "permutation: 2147483648 samples; expected 0 … 2^31-1");
}

TEST_CASE("preprocess: permutations are uniform") {
  // 24 orders of 4 samples, 24000 seeds: each order about 1000 times (the deviation is 31; 6 deviations are allowed).
  std::map<Ints, int> counts;
  for (std::uint64_t seed = 0; seed < 24000; ++seed) ++counts[permutation(4, seed, 0)];
  CHECK(counts.size() == 24);
  for (const auto& [order, count] : counts) CHECK(std::abs(count - 1000) < 186);
}

TEST_CASE("preprocess: take, shuffle, split") {
  const Dataset set = numbered(10);
  const Dataset taken = take(set, Ints{3, 3, 0});
  CHECK(taken.x.same_bits(Array::from<float>({3, 30, 3, 30, 0, 0}, {3, 2})));
  CHECK(values(taken.y) == Ints{3, 3, 0});
  CHECK(values(shuffle(set, 42).y) == permutation(10, 42, 0));
  CHECK(take(set.x, Ints{}).type() == Type{f32, {0, 2}});
  CHECK(error_of([&] { take(set, Ints{10}); }) == "take: no row 10 among 10");
  CHECK(error_of([&] { take(set, Ints{-1}); }) == "take: no row -1 among 10");
  CHECK(error_of([] { take(Array::scalar(1.0f), Ints{0}); }) == "take: f32[] has no sample axis");

  const auto [train, rest] = split(set, 0.2);
  CHECK(values(train.y) == Ints{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(values(rest.y) == Ints{8, 9});
  CHECK(rest.x.same_bits(Array::from<float>({8, 80, 9, 90}, {2, 2})));
  const auto [shuffled, left] = split(set, 0.5, 42);
  Ints both = values(shuffled.y);
  CHECK(both.size() == 5);
  for (const std::int32_t v : values(left.y)) both.push_back(v);
  CHECK(both == permutation(10, 42, 0));

  for (const double fraction : {0.0, 1.0, -0.5, std::nan("")})
    CHECK(error_of([&] { split(set, fraction); }) ==
          fmt::format("split: the fraction must be between 0 and 1, got {}", fraction));
  CHECK(error_of([] { split(numbered(1), 0.5); }) ==
        "split: 1 samples at fraction 0.5 leave parts of 0 and 1; each needs at least 1");
  CHECK(error_of([] { split(numbered(4), 1e-20); }) ==
        "split: 4 samples at fraction 1e-20 leave parts of 4 and 0; each needs at least 1");
  CHECK(error_of([&] {
          shuffle({set.x, numbered(9).y, "s.csv"}, 1);
        }) == "data set s.csv: x is f32[10,2] and y is i32[9]; axis 0 of both must be the sample, and as long");
}

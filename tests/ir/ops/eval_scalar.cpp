// The element semantics that NumPy does not share: conversion limits, integer wrap-around, NaN rules, flushed
// subnormals.
#include <cmath>
#include <limits>

#include "catch.h"
#include "ir/graph/graph.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

using namespace weft;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
constexpr float kTiny = std::numeric_limits<float>::min();

template <class T>
bool same(T a, T b) {
  return Array::scalar(a).same_bits(Array::scalar(b));
}

/// A number that the compiler cannot see through: folding at compile time would not flush.
float opaque(std::uint32_t bits) {
  volatile std::uint32_t b = bits;
  return std::bit_cast<float>(std::uint32_t{b});
}

}  // namespace

TEST_CASE("float to integer truncates, saturates and turns NaN into 0") {
  struct Row {
    double x;
    std::int32_t to_i32;
    std::int64_t to_i64;
    std::uint8_t to_u8;
  };
  constexpr std::int64_t max64 = INT64_MAX, min64 = INT64_MIN;
  const Row rows[] = {
      {0.0, 0, 0, 0},
      {-0.0, 0, 0, 0},
      {0.999, 0, 0, 0},
      {-0.999, 0, 0, 0},
      {-1, -1, -1, 0},
      {254.999, 254, 254, 254},
      {255, 255, 255, 255},
      {255.5, 255, 255, 255},
      {256, 256, 256, 255},
      {2147483647, INT32_MAX, 2147483647, 255},
      {2147483646.5, 2147483646, 2147483646, 255},
      {2147483648, INT32_MAX, 2147483648, 255},
      {-2147483648.5, INT32_MIN, -2147483648, 0},
      {-2147483649.0, INT32_MIN, -2147483649, 0},
      {0x1p53, INT32_MAX, std::int64_t{1} << 53, 255},
      {0x1.fffffffffffffp62, INT32_MAX, max64 - 1023, 255},
      {0x1p63, INT32_MAX, max64, 255},
      {-0x1p63, INT32_MIN, min64, 0},
      {-0x1.0000000000001p63, INT32_MIN, min64, 0},
      {1e300, INT32_MAX, max64, 255},
      {-1e300, INT32_MIN, min64, 0},
      {HUGE_VAL, INT32_MAX, max64, 255},
      {-HUGE_VAL, INT32_MIN, min64, 0},
      {NAN, 0, 0, 0},
  };
  for (const Row& r : rows) {
    INFO(r.x);
    CHECK(convert<std::int32_t>(r.x) == r.to_i32);
    CHECK(convert<std::int64_t>(r.x) == r.to_i64);
    CHECK(convert<std::uint8_t>(r.x) == r.to_u8);
  }
  CHECK(convert<std::int32_t>(0x1.fffffep30f) == 2147483520);
  CHECK(convert<std::int32_t>(0x1p31f) == INT32_MAX);
  CHECK(convert<std::int64_t>(0x1p63f) == max64);
  CHECK(convert<std::uint8_t>(kNaN) == 0);
}

TEST_CASE("other conversions round to nearest, wrap, and compare with zero") {
  CHECK(convert<float>(16777217) == 16777216.0f);  // a tie goes to even
  CHECK(convert<float>(INT64_MAX) == 0x1p63f);
  CHECK(convert<float>((std::int64_t{1} << 40) + (std::int64_t{1} << 16) + 1) == 0x1p40f + 0x1p17f);  // rounded once
  CHECK(convert<float>(1e300) == kInf);
  CHECK(std::isnan(convert<float>(std::nan(""))));
  CHECK(convert<std::uint8_t>(-1) == 255);
  CHECK(convert<std::int32_t>(std::int64_t{0x1'8000'0000}) == INT32_MIN);
  CHECK(convert<std::int64_t>(INT32_MIN) == INT32_MIN);
  CHECK(convert<bool>(256));
  CHECK(convert<bool>(kNaN));
  CHECK(!convert<bool>(-0.0f));
  CHECK(convert<double>(true) == 1);
}

TEST_CASE("integer arithmetic wraps and never traps") {
  constexpr std::int32_t min = INT32_MIN, max = INT32_MAX;
  CHECK(apply_binary(Op::add, max, 1) == min);
  CHECK(apply_binary(Op::sub, min, 1) == max);
  CHECK(apply_binary(Op::mul, max, max) == 1);
  CHECK(apply_unary(Op::neg, min) == min);
  CHECK(apply_unary(Op::abs, min) == min);
  CHECK(apply_binary(Op::div, min, -1) == min);
  CHECK(apply_binary(Op::rem, min, -1) == 0);
  CHECK(apply_binary(Op::div, 7, 0) == 0);
  CHECK(apply_binary(Op::rem, 7, 0) == 7);
  CHECK(apply_binary(Op::div, -7, 2) == -3);
  CHECK(apply_binary(Op::rem, -7, 2) == -1);
  CHECK(apply_binary(Op::div, INT64_MIN, std::int64_t{-1}) == INT64_MIN);
  CHECK(apply_binary(Op::shl, 1, 31) == min);
  CHECK(apply_binary(Op::shr, -1, 31) == 1);
  for (std::int32_t out : {-1, 32, 33, min, max}) {
    CHECK(apply_binary(Op::shl, -1, out) == 0);
    CHECK(apply_binary(Op::shr, -1, out) == 0);
  }
  CHECK(apply_binary(Op::shl, std::uint8_t{255}, std::uint8_t{4}) == 0xf0);
  CHECK(apply_binary(Op::shr, std::uint8_t{255}, std::uint8_t{8}) == 0);
  CHECK(apply_fma(max, 2, 3) == 1);
}

TEST_CASE("NaN survives max, min and sign; zeros keep the order's sign") {
  CHECK(std::isnan(apply_binary(Op::max, kNaN, 1.0f)));
  CHECK(std::isnan(apply_binary(Op::max, 1.0f, kNaN)));
  CHECK(std::isnan(apply_binary(Op::min, kNaN, 1.0f)));
  CHECK(std::isnan(apply_binary(Op::min, 1.0f, kNaN)));
  CHECK(std::isnan(apply_unary(Op::sign, kNaN)));
  CHECK(same(apply_unary(Op::sign, -0.0f), 0.0f));
  CHECK(same(apply_binary(Op::max, 0.0f, -0.0f), -0.0f));  // neither is greater: y
  CHECK(same(apply_binary(Op::max, -0.0f, 0.0f), 0.0f));
  CHECK(same(apply_unary(Op::ceil, -0.5f), -0.0f));
  CHECK(same(apply_unary(Op::round, -0.5f), -0.0f));
  CHECK(apply_unary(Op::round, 2.5f) == 2.0f);
  CHECK(apply_unary(Op::round, 3.5f) == 4.0f);
  CHECK(apply_fma(0x1.000002p0f, 0x1.000002p0f, -0x1.000004p0f) == 0x1p-46f);  // one rounding
}

TEST_CASE("arithmetic takes subnormals as zero and flushes its results") {
  const FlushSubnormals flush;
  const float subnormal = opaque(0x00400000), tiny = opaque(0x00800000), half = opaque(0x3f000000),
              one = opaque(0x3f800000);
  CHECK(same(apply_binary(Op::mul, tiny, half), 0.0f));
  CHECK(same(apply_binary(Op::mul, -tiny, half), -0.0f));
  CHECK(same(apply_binary(Op::add, subnormal, subnormal), 0.0f));
  CHECK(same(apply_binary(Op::add, subnormal, tiny), kTiny));
  CHECK(same(apply_binary(Op::sub, tiny * 1.5f, tiny), 0.0f));
  CHECK(same(apply_binary(Op::div, subnormal, subnormal), kNaN));  // 0 / 0
  CHECK(same(apply_binary(Op::div, one, subnormal), kInf));
  CHECK(same(apply_fma(subnormal, one, tiny), kTiny));
  CHECK(same(apply_unary(Op::sqrt, subnormal), 0.0f));
  CHECK(same(apply_unary(Op::sign, subnormal), 0.0f));
  CHECK(same(apply_unary(Op::floor, -subnormal), -0.0f));
  CHECK(same(apply_unary(Op::ceil, subnormal), 0.0f));
  CHECK(same(apply_unary(Op::round, -subnormal), -0.0f));
  CHECK(apply_compare(Op::eq, subnormal, 0.0f));
  CHECK(!apply_compare(Op::gt, subnormal, 0.0f));
  CHECK(!convert<bool>(subnormal));
  CHECK(same(convert<double>(subnormal), 0.0));
  CHECK(same(convert<float>(1e-40 * static_cast<double>(one)), 0.0f));
}

TEST_CASE("ops that move bits leave subnormals alone") {
  const FlushSubnormals flush;
  const float subnormal = opaque(0x00400000);
  CHECK(same(apply_unary(Op::neg, subnormal), std::bit_cast<float>(0x80400000)));
  CHECK(same(apply_unary(Op::abs, -subnormal), std::bit_cast<float>(0x00400000)));
  CHECK(same(apply_unary(Op::stop_gradient, subnormal), subnormal));
  CHECK(same(apply_binary(Op::max, 0.0f, subnormal), subnormal));
}

TEST_CASE("subnormals are flushed for the life of the object only") {
  const float tiny = opaque(0x00800000);
  volatile float half = 0.5f;
  {
    const FlushSubnormals flush;
    volatile float product = tiny * half;
    CHECK(std::bit_cast<std::uint32_t>(float{product}) == 0);
  }
  volatile float product = tiny * half;
  CHECK(std::bit_cast<std::uint32_t>(float{product}) == 0x00400000);
}

TEST_CASE("an op without a meaning on a dtype is an internal error") {
  const std::uint64_t operands[3] = {1, 1, 1};
  CHECK_THROWS_AS(eval_scalar(Op::exp, i32, i32, operands), InternalError);
  CHECK_THROWS_AS(eval_scalar(Op::add, boolean, boolean, operands), InternalError);
  CHECK_THROWS_AS(eval_scalar(Op::rem, f32, f32, operands), InternalError);
  CHECK_THROWS_AS(eval_scalar(Op::contract, f32, f32, operands), InternalError);
  CHECK_THROWS_WITH(eval_scalar(Op::bit_and, f64, f64, operands), "internal error: and has no meaning on f64");
}

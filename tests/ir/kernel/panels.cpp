// Panels: storage order and conversion, where they are allowed, and what the verifier says of programs that break it.
#include "ir/kernel/panels.h"
#include "catch.h"
#include "ir/base/array.h"
#include "ir/base/error.h"
#include "ir/kernel/kernel.h"

using namespace weft;

namespace {

Array counting(const Shape& shape) {
  Array a({i32, shape});
  std::int32_t next = 0;
  for (std::int32_t& x : a.as<std::int32_t>()) x = next++;
  return a;
}

std::string verify_error(const std::string& text) {
  try {
    parse_program(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

// w in panels is the right operand of a product and the target of its epilogue; %s and the rows are for the cases.
std::string program(const std::string& buffers, const std::string& kernel) {
  return "program @p {\n input %x: f32[4,8]\n state %w: f32[8,64] {panels=32}\n" + buffers + " inputs %x, %w\n" +
         (kernel.empty() ? "}" : " kernel @k {\n" + kernel + " }\n}");
}

}  // namespace

TEST_CASE("an array in panels has the element [.., k, n] at n / w, .., k, n % w") {
  for (const Shape& shape : {Shape{5, 32}, Shape{3, 96}, Shape{2, 3, 64}, Shape{1, 48}, Shape{0, 32}}) {
    const Array rows = counting(shape);
    const std::int64_t columns = shape[shape.rank() - 1], height = columns ? rows.size() / columns : 0;
    for (std::int64_t w : {16, 32, 48}) {
      if (columns % w) continue;
      const Array panels = to_panels(rows, w);
      CHECK(panels.type() == rows.type());
      CHECK(from_panels(panels, w).same_bits(rows));
      const Buffer b{.kind = Buffer::state, .name = "b", .type = rows.type(), .panels = w};
      const Dims strides = storage_strides(b);
      for (std::int64_t i = 0; i < height; ++i)
        for (std::int64_t n = 0; n < columns; ++n) {
          const std::int64_t at = i * strides[shape.rank() - 2] + n + n / w * panel_gap(b);
          REQUIRE(panels.as<std::int32_t>()[static_cast<std::size_t>(at)] ==
                  rows.as<std::int32_t>()[static_cast<std::size_t>(i * columns + n)]);
        }
    }
  }
  CHECK(to_panels(counting({2, 3}), 0).same_bits(counting({2, 3})));
}

TEST_CASE("types that have no panels") {
  struct Row {
    Type type;
    std::int64_t width;
    const char* message;
  };
  const Row rows[] = {
      {{f32, {8, 64}}, 24, "panels are 24 wide, expected a multiple of 16"},
      {{f32, {8, 64}}, -16, "panels are -16 wide, expected a multiple of 16"},
      {{f32, {64}}, 32, "f32[64] has no panels of 32: expected two dimensions or more, the last a multiple of 32"},
      {{f32, {8, 40}}, 32, "f32[8,40] has no panels of 32: expected two dimensions or more, the last a multiple of 32"},
      {{f32, {8, 0}}, 32, "f32[8,0] has no panels of 32: expected two dimensions or more, the last a multiple of 32"},
  };
  for (const Row& r : rows) {
    CHECK(panel_objection(r.type, r.width) == r.message);
    CHECK_THROWS_WITH(to_panels(Array(r.type), r.width), r.message);
    CHECK_THROWS_WITH(from_panels(Array(r.type), r.width), r.message);
  }
}

TEST_CASE("the verifier names what keeps a buffer from lying in panels") {
  const std::string product =
      "  axes m=4, n=64, k=8\n  schedule cpu {mr=4, nr=16}\n"
      "  %e0: f32 = load %x[m, k]\n  %e1: f32 = load %w[k, n]\n  %e2: f32 = accumulator %a0\n"
      "  phase (m, n) {\n   %a0 = contract m=m, n=n over k: %e0 * %e1\n   map: store %y[m, n] = %e2\n  }\n";
  const std::string y = " output %y: f32[4,64]\n outputs %y\n", half = " output %y: f32[4,32]\n outputs %y\n",
                    z = " output %y: f32[64]\n outputs %y\n";
  CHECK(verify_error(program(y, product)) == "");
  CHECK(verify_error(program(" view %v of %w: f32[8,64] {panels=32}\n" + y, product)) == "");
  const std::string ones = "  axes i=8, n=64\n  %e0: f32 = constant 1\n  phase (i) {\n   map: store %t[i] = %e0\n  }\n";
  const std::string rows_of_ones =
      "  axes i=8, n=64\n  %e0: f32 = constant 1\n  phase (i, n) {\n   map: store %t[i, n] = %e0\n  }\n";
  struct Row {
    std::string text, message;
  };
  const Row rows[] = {
      {program(" view %v of %w: f32[512]\n", ""),
       "%v: a view of %w, f32[8,64] in panels of 32, is f32[512] in panels of 0"},
      {program(" view %v of %w: f32[8,64]\n", ""),
       "%v: a view of %w, f32[8,64] in panels of 32, is f32[8,64] in panels of 0"},
      {program(" view %v of %w: f32[8,64] {panels=32}\n outputs %v\n", ""), "%v: an output does not lie in panels"},
      {program(" outputs %w\n", ""), "%w: an output does not lie in panels"},
      {program(" temp %t: f32[8] {panels=32}\n", ones),
       "%t: f32[8] has no panels of 32: expected two dimensions or more, the last a multiple of 32"},
      {program(" temp %t: f32[8,64] {offset=0, panels=8}\n", rows_of_ones),
       "%t: panels are 8 wide, expected a multiple of 16"},
      {program(half,
               "  axes m=4, n=32\n  %e0: f32 = load %w[m, 2*n]\n  phase (m, n) {\n   map: store %y[m, n] = %e0\n  }\n"),
       "%w lies in panels: its last index is not one axis alone"},
      {program(
           half,
           "  axes m=4, n=32\n  %e0: f32 = load %w[m, n + 32]\n  phase (m, n) {\n   map: store %y[m, n] = %e0\n  }\n"),
       "%w lies in panels: its last index is not one axis alone"},
      {program(" output %y: f32[8]\n outputs %y\n",
               "  axes n=8\n  %e0: f32 = load %w[n, n]\n  phase (n) {\n   map: store %y[n] = %e0\n  }\n"),
       "%w lies in panels: its last index is not one axis alone"},
      {program(z,
               "  axes n=64, k=8\n  %e0: f32 = load %w[k, n]\n  %e1: f32 = constant 0\n"
               "  phase (n) {\n   map: store %y[n] = %e1\n   scatter over k: %y[n] += %e0\n  }\n"),
       "%w lies in panels: a scatter uses it"},
      {program(" output %y: f32[64,4]\n outputs %y\n",
               "  axes m=64, n=4, k=8\n  schedule cpu {mr=4, nr=16}\n"
               "  %e0: f32 = load %w[k, m]\n  %e1: f32 = load %x[n, k]\n  %e2: f32 = accumulator %a0\n"
               "  phase (m, n) {\n   %a0 = contract m=m, n=n over k: %e0 * %e1\n   map: store %y[m, n] = %e2\n  }\n"),
       "%w lies in panels: a contraction has panels along n, or k of its right operand, not along m"},
      {program(" output %y: f32[8,4]\n outputs %y\n",
               "  axes m=8, n=4, k=8\n  schedule cpu {mr=4, nr=16}\n"
               "  %e0: f32 = load %w[m, k]\n  %e1: f32 = load %x[n, k]\n  %e2: f32 = accumulator %a0\n"
               "  phase (m, n) {\n   %a0 = contract m=m, n=n over k: %e0 * %e1\n   map: store %y[m, n] = %e2\n  }\n"),
       "%w lies in panels: a contraction has panels along n, or k of its right operand, not along k"},
  };
  for (const Row& r : rows) {
    INFO(r.text);
    CHECK_THAT(verify_error(r.text), Catch::Matchers::EndsWith(r.message));
  }
}

// Functions that take tensors apart, repeat and rearrange elements, cumulate and contract by the names of axes, on
// small arrays worked out by hand; their gradients, the batch axis, and their mistakes.
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

const std::vector<float> kSix = {1, 5, 2, -4, 3, 6};  // [[1, 5, 2], [-4, 3, 6]]

struct Row {
  const char* name;
  Tensor (*build)(const Tensor&);
  Shape shape;
  std::vector<double> want;
};

/// [1, 2, 2, 4] of 0, 1, …, 15, for blocks of 2.
Tensor blocks() { return reshape(arange(16, f32), {1, 2, 2, 4}); }

// clang-format off
const Row kRows[] = {
    {"split", [](const Tensor& x) { return split(x, 3, 1)[1]; }, {2, 1}, {5, 3}},
    {"split_at", [](const Tensor& x) { return split_at(x, {1, 1}, -1)[2]; }, {2, 2}, {5, 2, 3, 6}},
    {"split_at, an empty part", [](const Tensor& x) { return split_at(x, {1, 1}, -1)[1]; }, {2, 0}, {}},
    {"unstack", [](const Tensor& x) { return unstack(x)[1]; }, {3}, {-4, 3, 6}},
    {"unstack 1", [](const Tensor& x) { return unstack(x, 1)[2]; }, {2}, {2, 6}},
    {"tile", [](const Tensor& x) { return tile(x, {2, 2}); }, {4, 6},
     {1, 5, 2, 1, 5, 2, -4, 3, 6, -4, 3, 6, 1, 5, 2, 1, 5, 2, -4, 3, 6, -4, 3, 6}},
    {"repeat", [](const Tensor& x) { return repeat(x, 2); }, {2, 6}, {1, 1, 5, 5, 2, 2, -4, -4, 3, 3, 6, 6}},
    {"repeat 0", [](const Tensor& x) { return repeat(x, 2, 0); }, {4, 3}, {1, 5, 2, 1, 5, 2, -4, 3, 6, -4, 3, 6}},
    {"roll", [](const Tensor& x) { return roll(x, 1); }, {2, 3}, {2, 1, 5, 6, -4, 3}},
    {"roll back", [](const Tensor& x) { return roll(x, -4, 1); }, {2, 3}, {5, 2, 1, 3, 6, -4}},
    {"roll 0", [](const Tensor& x) { return roll(x, 3, 0); }, {2, 3}, {-4, 3, 6, 1, 5, 2}},
    {"swapaxes", [](const Tensor& x) { return swapaxes(x, 0, -1); }, {3, 2}, {1, -4, 5, 3, 2, 6}},
    {"moveaxis", [](const Tensor& x) { return moveaxis(reshape(x, {1, 2, 3}), 0, -1); }, {2, 3, 1}, {1, 5, 2, -4, 3, 6}},
    {"tril", [](const Tensor& x) { return tril(x); }, {2, 3}, {1, 0, 0, -4, 3, 0}},
    {"tril 1", [](const Tensor& x) { return tril(x, 1); }, {2, 3}, {1, 5, 0, -4, 3, 6}},
    {"triu", [](const Tensor& x) { return triu(x); }, {2, 3}, {1, 5, 2, 0, 3, 6}},
    {"triu of infinities", [](const Tensor& x) { return triu(x * HUGE_VAL, 1); }, {2, 3}, {0, HUGE_VAL, HUGE_VAL, 0, 0, HUGE_VAL}},
    {"triu -1 of i32", [](const Tensor& x) { return triu(astype(x, i32), 2); }, {2, 3}, {0, 0, 2, 0, 0, 0}},
    {"diagonal", [](const Tensor& x) { return diagonal(x); }, {2}, {1, 3}},
    {"diagonal 1", [](const Tensor& x) { return diagonal(x, 1); }, {2}, {5, 6}},
    {"diagonal 2", [](const Tensor& x) { return diagonal(x, 2); }, {1}, {2}},
    {"diagonal -1", [](const Tensor& x) { return diagonal(x, -1); }, {1}, {-4}},
    {"diagonal of other axes", [](const Tensor& x) { return diagonal(reshape(x, {2, 1, 3}), 1, 0, 2); }, {1, 2}, {5, 6}},
    {"trace", [](const Tensor& x) { return trace(x); }, {}, {4}},
    {"diag", [](const Tensor& x) { return diag(slice(reshape(x, {6}), 0, 0, 2)); }, {2, 2}, {1, 0, 0, 5}},
    {"diag 1", [](const Tensor& x) { return diag(slice(reshape(x, {6}), 0, 0, 2), 1); }, {3, 3}, {0, 1, 0, 0, 0, 5, 0, 0, 0}},
    {"diag -1", [](const Tensor& x) { return diag(slice(reshape(x, {6}), 0, 0, 2), -1); }, {3, 3}, {0, 0, 0, 1, 0, 0, 0, 5, 0}},
    {"diag of a matrix", [](const Tensor& x) { return diag(x, 1); }, {2}, {5, 6}},
    {"eye", [](const Tensor&) { return eye(2); }, {2, 2}, {1, 0, 0, 1}},
    {"eye 2 3 1", [](const Tensor&) { return eye(2, 3, 1, i32); }, {2, 3}, {0, 1, 0, 0, 0, 1}},
    {"linspace", [](const Tensor&) { return linspace(-1, 2, 4); }, {4}, {-1, 0, 1, 2}},
    {"linspace of one", [](const Tensor&) { return linspace(3, 5, 1, f64); }, {1}, {3}},
    {"take_along_axis", [](const Tensor& x) { return take_along_axis(x, constant(i({2, 0, 1, 1}, {2, 2}))); }, {2, 2}, {2, 1, 3, 3}},
    {"take_along_axis 0", [](const Tensor& x) { return take_along_axis(x, constant(i({1, 0, 7}, {1, 3})), 0); }, {1, 3}, {-4, 5, 0}},
    {"take_along_axis of bool", [](const Tensor& x) { return take_along_axis(x > 2, astype(constant(i({1, 0}, {2, 1})), u8)); }, {2, 1}, {1, 0}},
    {"depth_to_space", [](const Tensor&) { return depth_to_space(blocks(), 2); }, {1, 4, 4, 1},
     {0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15}},
    {"space_to_depth", [](const Tensor&) { return space_to_depth(depth_to_space(blocks(), 2), 2); }, {1, 2, 2, 4},
     {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    {"resize_nearest", [](const Tensor& x) { return resize_nearest(expand_dims(x, -1), {2}); }, {2, 2, 1}, {1, 2, -4, 6}},
    {"resize_nearest, larger", [](const Tensor& x) { return resize_nearest(expand_dims(x, -1), {5}); }, {2, 5, 1}, {1, 1, 5, 2, 2, -4, -4, 3, 6, 6}},
    {"resize_linear", [](const Tensor& x) { return resize_linear(expand_dims(slice(x, 1, 0, 2), -1), {4}); }, {2, 4, 1},
     {1, 2, 4, 5, -4, -2.25, 1.25, 3}},
    {"resize_linear, smaller", [](const Tensor& x) { return resize_linear(expand_dims(x, -1), {1}); }, {2, 1, 1}, {5, 3}},
    {"resize_linear of two axes", [](const Tensor& x) { return resize_linear(reshape(x, {1, 2, 3, 1}), {1, 3}); }, {1, 1, 3, 1}, {-1.5, 4, 4}},
    {"cumsum", [](const Tensor& x) { return cumsum(x); }, {2, 3}, {1, 6, 8, -4, -1, 5}},
    {"cumsum 0", [](const Tensor& x) { return cumsum(x, 0); }, {2, 3}, {1, 5, 2, -3, 8, 8}},
    {"cumsum of bool", [](const Tensor& x) { return cumsum(reshape(x, {6}) > 2); }, {6}, {0, 1, 1, 1, 2, 3}},
    {"cumsum after inf", [](const Tensor& x) { return cumsum(where(x > 4, HUGE_VAL, x)); }, {2, 3}, {1, HUGE_VAL, HUGE_VAL, -4, -1, HUGE_VAL}},
    {"cumprod", [](const Tensor& x) { return cumprod(reshape(x, {6})); }, {6}, {1, 5, 10, -40, -120, -720}},
    {"any", [](const Tensor& x) { return any(x > 4, 1); }, {2}, {1, 1}},
    {"any keepdims", [](const Tensor& x) { return any(x > 5, 1, true); }, {2, 1}, {0, 1}},
    {"all", [](const Tensor& x) { return all(x > 0, 0); }, {3}, {0, 1, 1}},
    {"all of all", [](const Tensor& x) { return all(x > -5); }, {}, {1}},
    {"stddev", [](const Tensor& x) { return stddev(x, 1, true); }, {2, 1}, {std::sqrt(26.0 / 9), std::sqrt(158.0 / 9)}},
    {"norm", [](const Tensor& x) { return norm(x); }, {}, {std::sqrt(91.0)}},
    {"norm 1", [](const Tensor& x) { return norm(x, 1, 0, true); }, {1, 3}, {5, 8, 8}},
    {"norm inf", [](const Tensor& x) { return norm(x, HUGE_VAL, 1); }, {2}, {5, 6}},
    {"outer", [](const Tensor& x) { return outer(slice(reshape(x, {6}), 0, 0, 2), slice(reshape(x, {6}), 0, 2, 5)); }, {2, 3}, {2, -4, 3, 10, -20, 15}},
    {"isfinite", [](const Tensor& x) { return isfinite(where(x > 4, HUGE_VAL, sqrt(x))); }, {2, 3}, {1, 0, 1, 0, 1, 0}},
    {"isinf", [](const Tensor& x) { return isinf(where(x > 4, -HUGE_VAL, sqrt(x))); }, {2, 3}, {0, 1, 0, 0, 0, 1}},
    {"isfinite of i32", [](const Tensor& x) { return isfinite(astype(x, i32)); }, {2, 3}, {1, 1, 1, 1, 1, 1}},
    {"floor_divide of i32", [](const Tensor& x) { return floor_divide(astype(x, i32), constant(i({-2, 2, 0}, {3}))); }, {2, 3}, {-1, 2, 0, 2, 1, 0}},
    {"floor_mod of i32", [](const Tensor& x) { return floor_mod(astype(x, i32), constant(i({-2, 3, 0}, {3}))); }, {2, 3}, {-1, 2, 2, 0, 0, 6}},
    {"floor_mod by a number", [](const Tensor& x) { return floor_mod(x, 4); }, {2, 3}, {1, 1, 2, 0, 3, 2}},
    {"floor_divide of a number", [](const Tensor& x) { return floor_divide(-7, x); }, {2, 3}, {-7, -2, -4, 1, -3, -2}},
    {"einsum, a product", [](const Tensor& x) { return einsum("ij,kj->ik", {x, x}); }, {2, 2}, {30, 23, 23, 61}},
    {"einsum, implied", [](const Tensor& x) { return einsum("ba", {x}); }, {3, 2}, {1, -4, 5, 3, 2, 6}},
    {"einsum, implied product", [](const Tensor& x) { return einsum("ij,kj", {x, x}); }, {2, 2}, {30, 23, 23, 61}},
    {"einsum, a sum", [](const Tensor& x) { return einsum(" i j -> j ", {x}); }, {3}, {-3, 8, 8}},
    {"einsum, all", [](const Tensor& x) { return einsum("ij->", {x}); }, {}, {13}},
    {"einsum, elementwise", [](const Tensor& x) { return einsum("ij,ij->ji", {x, x}); }, {3, 2}, {1, 16, 25, 9, 4, 36}},
    {"einsum, outer", [](const Tensor& x) { return einsum("i,j->ij", {slice(reshape(x, {6}), 0, 0, 2), slice(reshape(x, {6}), 0, 2, 5)}); }, {2, 3}, {2, -4, 3, 10, -20, 15}},
    {"einsum, a trace", [](const Tensor& x) { return einsum("ii->", {slice(x, 1, 0, 2)}); }, {}, {4}},
    {"einsum, a diagonal", [](const Tensor& x) { return einsum("ii->i", {slice(x, 1, 1, 3)}); }, {2}, {5, 6}},
    {"einsum, three", [](const Tensor& x) { return einsum("i,ij,j->", {constant(f({1, 2}, {2})), x, constant(f({1, 0, -1}, {3}))}); }, {}, {-21}},
    {"einsum, free sums", [](const Tensor& x) { return einsum("ij,kl->i", {x, x}); }, {2}, {104, 65}},
    {"einsum of i32", [](const Tensor& x) { return einsum("ij,kj->ik", {astype(x, i32), astype(x, i32)}); }, {2, 2}, {30, 23, 23, 61}},
};
// clang-format on

}  // namespace

TEST_CASE("functions that rearrange, cumulate and contract", "[functions]") {
  for (const Row& row : kRows) {
    DYNAMIC_SECTION(row.name) {
      GraphScope graph;
      const Tensor x = placeholder(f32, {2, 3}, "x");
      const Array got = run(row.build(x), {f(kSix, {2, 3})}, {x});
      REQUIRE(got.shape() == row.shape);
      require_close(got, row.want, 1e-6);
    }
  }
}

TEST_CASE("their gradients are those of what they move", "[functions]") {
  const auto weighted = [](const Tensor& y) { return sum(y * iota(f32, y.shape(), -1)); };
  const Row rows[] = {
      {"tile",
       [](const Tensor& x) {
         return tile(x, {1, 2});
       },
       {},
       {3, 5, 7, 3, 5, 7}},
      {"repeat", [](const Tensor& x) { return repeat(x, 2); }, {}, {1, 5, 9, 1, 5, 9}},
      {"roll", [](const Tensor& x) { return roll(x, 1); }, {}, {1, 2, 0, 1, 2, 0}},
      {"triu", [](const Tensor& x) { return triu(x); }, {}, {0, 1, 2, 0, 1, 2}},
      {"diagonal", [](const Tensor& x) { return diagonal(x, 1); }, {}, {0, 0, 0, 0, 0, 1}},
      {"diag", [](const Tensor& x) { return diag(reshape(x, {6})); }, {}, {0, 1, 2, 3, 4, 5}},
      {"take_along_axis",
       [](const Tensor& x) {
         return take_along_axis(x, constant(i({2, 0, 2, 1, 1, 0}, {2, 3})));
       },
       {},
       {1, 0, 2, 2, 1, 0}},
      {"resize_nearest",
       [](const Tensor& x) { return squeeze(resize_nearest(expand_dims(x, -1), {6}), -1); },
       {},
       {1, 5, 9, 1, 5, 9}},
      {"resize_linear",
       [](const Tensor& x) { return squeeze(resize_linear(expand_dims(x, -1), {1}), -1); },
       {},
       {0, 0, 0, 0, 0, 0}},
      {"cumsum", [](const Tensor& x) { return cumsum(x); }, {}, {3, 3, 2, 3, 3, 2}},
      {"cumprod", [](const Tensor& x) { return cumprod(x); }, {}, {25, 5, 10, 39, -52, -24}},
      {"einsum",
       [](const Tensor& x) {
         return einsum("ij,ij->ij", {x, x});
       },
       {},
       {0, 10, 8, 0, 6, 24}},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      GraphScope graph;
      const Tensor x = placeholder(f32, {2, 3}, "x");
      require_close(run(grad(weighted(row.build(x)), {x})[0], {f(kSix, {2, 3})}, {x}), row.want, 1e-6);
    }
  }
}

TEST_CASE("the batch axis passes through what leaves it alone, and is refused where its extent is needed",
          "[functions]") {
  GraphScope graph;
  const Tensor x = input(f32, {3}, "x"), image = input(f32, {2, 2, 4}, "image"), k = input(i32, {1}, "k"),
               square = input(f32, {2, 2}, "square");
  const auto shape = [](const Tensor& y) { return y.shape(); };
  CHECK(shape(split(x, 3, 1)[0]) == Shape{kBatch, 1});
  CHECK(shape(unstack(x, 1)[0]) == Shape{kBatch});
  CHECK(shape(tile(x, {1, 2})) == Shape{kBatch, 6});
  CHECK(shape(repeat(x, 2)) == Shape{kBatch, 6});
  CHECK(shape(roll(x, 1)) == Shape{kBatch, 3});
  CHECK(shape(moveaxis(image, 1, -1)) == Shape{kBatch, 2, 4, 2});
  CHECK(shape(triu(x)) == Shape{kBatch, 3});
  CHECK(shape(diagonal(square)) == Shape{kBatch, 2});
  CHECK(shape(trace(square)) == Shape{kBatch});
  CHECK(shape(take_along_axis(x, k)) == Shape{kBatch, 1});
  CHECK(shape(depth_to_space(image, 2)) == Shape{kBatch, 4, 4, 1});
  CHECK(shape(space_to_depth(image, 2)) == Shape{kBatch, 1, 1, 16});
  CHECK(shape(resize_nearest(image, {4, 3})) == Shape{kBatch, 4, 3, 4});
  CHECK(shape(resize_linear(image, {4, 3})) == Shape{kBatch, 4, 3, 4});
  CHECK(shape(cumsum(x)) == Shape{kBatch, 3});
  CHECK(shape(norm(x, 2, -1)) == Shape{kBatch});
  CHECK(shape(einsum("bi,ji->bj", {x, constant(f({1, 2, 3}, {1, 3}))})) == Shape{kBatch, 1});
  CHECK(shape(einsum("bi,bi->b", {x, x})) == Shape{kBatch});
  CHECK(shape(outer(squeeze(k, 1), slice(placeholder(i32, {3}), 0, 0, 2))) == Shape{kBatch, 2});
  const std::vector<Array> three = {f({1, 2, 3, 4, 5, 6, 7, 8, 9}, {3, 3}), i({2, 0, 1}, {3, 1})};
  require_close(run(take_along_axis(x, k), three, {x, k}), {3, 4, 8});
  require_close(run(cumsum(x), three, {x, k}), {1, 3, 6, 4, 9, 15, 7, 15, 24});
  require_close(run(triu(x), three, {x, k}), {1, 2, 3, 0, 5, 6, 0, 0, 9});
  require_close(run(einsum("bi,ci->bc", {x, x}), three, {x, k}), {14, 32, 50, 32, 77, 122, 50, 122, 194});
  const char* unbound = "axis 0 has an unbound extent; expected a known one";
  require_reported({
      MISTAKE(split(x, 2), ": split: ", unbound),
      MISTAKE(split_at(x, {1}), ": split_at: ", unbound),
      MISTAKE(unstack(x), ": unstack: ", unbound),
      MISTAKE(tile(x, {2, 1}), ": tile: ", unbound),
      MISTAKE(repeat(x, 2, 0), ": repeat: ", unbound),
      MISTAKE(roll(x, 1, 0), ": roll: ", unbound),
      MISTAKE(diagonal(x), ": diagonal: ", unbound),
      MISTAKE(take_along_axis(x, k, 0), ": take_along_axis: ", unbound),
      MISTAKE(cumsum(x, 0), ": cumsum: ", unbound),
      MISTAKE(cumprod(x, 0), ": cumprod: ", unbound),
  });
}

TEST_CASE("what does not fit is refused at the line of the call", "[functions]") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2, 3}, "a"), s = placeholder(f32, {}, "s"), k = placeholder(i32, {2, 3}, "k"),
               v = placeholder(f32, {3}, "v"), image = placeholder(f32, {1, 3, 4, 2}, "image");
  require_reported({
      MISTAKE(split(a, 2, 1), ": split: axis 1 has extent 3; expected a multiple of 2"),
      MISTAKE(split(a, 0), ": split: 0 parts; expected at least 1"),
      MISTAKE(split_at(a, {2, 1}, 1), ": split_at: places [2,1] do not ascend from 0 to 3"),
      MISTAKE(split_at(a, {4}, 1), ": split_at: places [4] do not ascend"),
      MISTAKE(unstack(s), ": unstack: axis 0 is out of range: a scalar has no axes"),
      MISTAKE(tile(a, {2}), ": tile: times [2] for rank 2; expected one for each axis"),
      MISTAKE(tile(a, {1, -1}), ": tile: times [1,-1]; expected at least 0 each"),
      MISTAKE(repeat(a, -1), ": repeat: -1 times; expected at least 0"),
      MISTAKE(roll(a, 1, 2), ": roll: axis 2 is out of range; expected -2 … 1"),
      MISTAKE(swapaxes(a, 0, 2), ": swapaxes: axis 2 is out of range"),
      MISTAKE(moveaxis(a, -3, 0), ": moveaxis: axis -3 is out of range"),
      MISTAKE(tril(v), ": tril: rank 1; expected matrices in the last two axes"),
      MISTAKE(triu(s), ": triu: rank 0"),
      MISTAKE(diagonal(a, 3), ": diagonal: there is no diagonal 3 in [2,3]"),
      MISTAKE(diagonal(a, -2), ": diagonal: there is no diagonal -2 in [2,3]"),
      MISTAKE(diagonal(a, 0, 1, -1), ": diagonal: axis 1 is both that of rows and that of columns"),
      MISTAKE(trace(v), ": trace: rank 1"),
      MISTAKE(diag(image), ": diag: rank 4; expected a vector or a matrix"),
      MISTAKE(eye(-1), ": eye: rows is -1; expected at least 0"),
      MISTAKE(linspace(0, 1, 0), ": linspace: count is 0; expected at least 1"),
      MISTAKE(linspace(0, HUGE_VAL, 2), ": linspace: stop is inf; expected a finite value of f32"),
      MISTAKE(linspace(0, 1, 2, i32), ": linspace: the dtype is i32; expected f32 or f64"),
      MISTAKE(take_along_axis(a, a), ": take_along_axis: indices must be integers"),
      MISTAKE(take_along_axis(a, placeholder(i32, {3, 1})),
              ": take_along_axis: expected indices with the extents of x but for axis 1"),
      MISTAKE(depth_to_space(a, 2), ": depth_to_space: rank 2; expected [batch, height, width, channels]"),
      MISTAKE(depth_to_space(image, 2), ": depth_to_space: axis 3 has extent 2; expected a multiple of 4"),
      MISTAKE(depth_to_space(image, 0), ": depth_to_space: block 0; expected at least 1"),
      MISTAKE(space_to_depth(image, 2), ": space_to_depth: axis 1 has extent 3; expected a multiple of 2"),
      MISTAKE(resize_nearest(image, {2}), ": resize_nearest: 1 size for rank 4; expected [batch, …, channels] and"),
      MISTAKE(resize_linear(image, {2, 0}), ": resize_linear: size [2,0]; expected at least 1 each"),
      MISTAKE(any(a), ": any: takes bool; compare first, as in x != 0"),
      MISTAKE(all(k), ": all: takes bool"),
      MISTAKE(norm(a, 3), ": norm: order 3 is none; expected 1, 2 or infinity"),
      MISTAKE(norm(k), ": norm: takes f32, f64 or bool; convert with astype(x, f32)"),
      MISTAKE(stddev(k), ": stddev: takes f32, f64 or bool"),
      MISTAKE(cumsum(s), ": cumsum: axis -1 is out of range"),
      MISTAKE(outer(a, v), ": outer: expected two vectors"),
      MISTAKE(atan2(k, k), ": atan2: does not take i32; it takes f32, f64"),
      MISTAKE(weft::hypot(1, 2), ": hypot: both operands are numbers; expected a Tensor"),
      MISTAKE(floor_divide(a > 0, a > 0), ": floor_divide: does not take bool; convert with astype(x, i32)"),
      MISTAKE(floor_mod(k, 0.5), ": floor_mod: the number 0.5 is not a value of i32"),
      MISTAKE(einsum("ij->i", {}), ": einsum: no operands; expected one or more"),
      MISTAKE(einsum("ij,jk", {a}), ": einsum: in \"ij,jk\", at character 1: 'i' names 2 operands for 1 tensor"),
      MISTAKE(einsum("ij->ik", {a}), ": einsum: in \"ij->ik\", at character 6: 'k' names no axis of an operand"),
      MISTAKE(einsum("ij->ii", {a}), ": einsum: in \"ij->ii\", at character 6: 'i' occurs twice in the result"),
      MISTAKE(einsum("ij,j=>i", {a, v}), ": einsum: in \"ij,j=>i\", at character 5: '=' is out of place"),
      MISTAKE(einsum("ij->i->j", {a}), "at character 6: '-' is out of place; expected letters"),
      MISTAKE(einsum("ij->i,j", {a}), "at character 6: ',' is out of place"),
      MISTAKE(einsum("...j->j", {a}), "at character 1: '.' begins an ellipsis, which is not supported; name the axes"),
      MISTAKE(einsum("i,ijk->k", {v, a}),
              ": einsum: in \"i,ijk->k\", at character 3: 'i' begins 3 letters for operand 1, "
              "which has 2 axes"),
      MISTAKE(einsum("i,ij->j", {v, a}),
              ": einsum: in \"i,ij->j\", at character 3: 'i' has extent 2 in operand 1 and 3 before", "f32[3] from"),
  });
}

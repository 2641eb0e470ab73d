// What a user is told about a mistake: the file and line, the op, the operands with their shapes and lines, what would
// fit.
#include "support.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("a shape error names the user's line, both operands and where they came from") {
  GraphScope graph;
  const Tensor x = input(f32, {784}, "x");
  const std::string x_line = here(-1);
  const Tensor w = parameter({700, 10}, zeros(), "w");
  const std::string w_line = here(-1);
  require_reported({
      MISTAKE(matmul(x, w), "matmul: inner extents differ: 784 and 700", "expected the second operand to be [784, *]",
              "operand 0 is f32[?,784] from", x_line, "operand 1 is f32[700,10] from", w_line),
      MISTAKE(x + w, "add: shapes do not fit together", "? and 700", "f32[?,784] from", x_line, "f32[700,10] from",
              w_line),
  });
}

TEST_CASE("every function reports its mistakes at the line that called it") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2, 3}, "a"), k = placeholder(i32, {4}, "k"), b = placeholder(boolean, {2, 3}, "b");
  const Tensor x = input(f32, {3}, "x"), s = placeholder(f32, {}, "s");
  require_reported({
      MISTAKE(a + k, "add: dtypes differ: f32 and i32; convert one with astype()", "f32[2,3]", "i32[4]"),
      MISTAKE(x + placeholder(f32, {5, 3}),
              "add: shapes do not fit together: axis 2 (from the end) has extents ? and 5"),
      MISTAKE(k + 0.5, "the number 0.5 is not a value of i32; convert the tensor with astype(x, f32)"),
      MISTAKE(astype(k, u8) + 300, "the number 300 is not a value of u8"),
      MISTAKE(k + (std::int64_t{1} << 40), "is not a value of i32; convert the tensor with astype(x, i64)"),
      MISTAKE(astype(k, u8) + 300, "convert the tensor with astype(x, i32)"),
      MISTAKE(a + 1e300, "the number 1e+300 is not a value of f32; convert the tensor with astype(x, f64)"),
      MISTAKE(k + std::copysign(std::nan(""), -1.0), "the number nan is not a value of i32"),
      MISTAKE(pow(k, 65), "pow: 65 is no exponent of i32; expected a whole number from 0 to 64", "i32[4]"),
      MISTAKE(pow(k, 0.5), "pow: 0.5 is no exponent of i32"),
      MISTAKE(pow(k, -1), "pow: -1 is no exponent of i32"),
      MISTAKE(pow(k, -2), "pow: -2 is no exponent of i32"),
      MISTAKE(pad(a, {-1, 0}, {0, 0}), "pad: low=[-1,0] and high=[0,0] must not be negative"),
      MISTAKE(exp(k), "exp: does not take i32; it takes f32, f64", "i32[4]"),
      MISTAKE(~a, "not: does not take f32"),
      MISTAKE(a % a, "rem: does not take f32"),
      MISTAKE(sum(a, 2), "sum: axis 2 is out of range; expected -2 … 1", "f32[2,3]"),
      MISTAKE(max(s, 0), "max: axis 0 is out of range: a scalar has no axes"),
      MISTAKE(mean(a, {0, -2}), "mean: names an axis twice"),
      MISTAKE(mean(k), "mean: takes f32, f64 or bool; convert with astype(x, f32)"),
      MISTAKE(argmax(a, 5), "argmax: axis 5 is out of range"),
      MISTAKE(matmul(a, s), "matmul: a scalar has no rows or columns"),
      MISTAKE(matmul(a, astype(a, f64)), "matmul: dtypes differ: f32 and f64"),
      MISTAKE(matmul(placeholder(f32, {4, 2, 3}), placeholder(f32, {5, 3, 2})),
              "matmul: batch extents differ: 4 and 5"),
      MISTAKE(contract(a, a, {0}, {1}),
              "contract: contracted extents differ: axis 0 of f32[2,3] is 2 and axis 1 of f32[2,3] is 3"),
      MISTAKE(reshape(a, {4, 2}), "reshape: cannot reshape f32[2,3] to [4,2]: 6 elements into 8"),
      MISTAKE(reshape(a, {4, -1}), "reshape: 6 elements do not divide into [4,-1]"),
      MISTAKE(reshape(a, {-1, -1}), "reshape: shape [-1,-1] is not one: at most one extent may be -1"),
      MISTAKE(reshape(x, {3, -1}), "reshape:", "the batch axis must stay in front"),
      MISTAKE(flatten(s), "flatten: a scalar has no batch axis to keep"),
      MISTAKE(transpose(a, {0, 0}), "transpose: perm=[0,0] names axis 0 twice"),
      MISTAKE(transpose(a, {0}), "transpose:", "perm=[0] needs 2 entries, one for each axis"),
      MISTAKE(squeeze(a, 0), "squeeze: axis 0 has extent 2; expected 1"),
      MISTAKE(expand_dims(a, 4), "expand_dims: axis 4 is out of range; expected -3 … 2"),
      MISTAKE(broadcast_to(a, {3, 2}), "broadcast_to: does not repeat to [3,2]"),
      MISTAKE(concat({}), "concat: no operands"),
      MISTAKE(
          concat({a, reshape(a, {3, 2})}, 0),
          "concat: operand 0 is f32[2,3] and operand 1 is f32[3,2]: expected equal dtypes and equal extents off axis "
          "0"),
      MISTAKE(slice(a, 1, 2, 5), "slice:", "do not fit axis 1 of f32[2,3]"),
      MISTAKE(slice(x, 0, 0, 1), "slice: the batch axis cannot be sliced"),
      MISTAKE(pad(a, {-1, 0}, {0, 0}), "pad:", "must not be negative"),
      MISTAKE(pad(k, {1}, {1}, 0.5), "the number 0.5 is not a value of i32"),
      MISTAKE(gather(a, a), "gather: indices must be i32 or i64, found f32[2,3]"),
      MISTAKE(scatter_add(a, k, a), "scatter_add: updates are f32[2,3], expected f32[4,3]"),
      MISTAKE(one_hot(a, 3), "one_hot: labels must be integers"),
      MISTAKE(one_hot(k, 0), "one_hot: 0 classes; expected at least 1"),
      MISTAKE(weft::where(a, a, a), "where: the condition must be bool"),
      MISTAKE(weft::where(b, a, astype(a, f64)), "where: branches differ in dtype: f32 and f64"),
      MISTAKE(clip(a, 1, 0), "clip: low 1 is above high 0"),
      MISTAKE(exp(Tensor()),
              "exp: operand 0 is an empty Tensor; expected one made by input(), parameter() or a function"),
      MISTAKE(a + Tensor(), "add: operand 1 is an empty Tensor"),
      MISTAKE(input(f32, {3}, "a"), "input 'a' exists already"),
      MISTAKE(input(f32, {3}, "\xc0 words"), ": input: ", "is no name: expected text in UTF-8, not empty"),
      MISTAKE(input(bf16, {3}), "bf16 is reserved and not supported yet"),
      MISTAKE(placeholder(f32, {3, -2}), ": placeholder: shape [3,-2] has a negative extent"),
      MISTAKE(input(f32, {-3}), ": input: shape [?,-3] has a negative extent"),
      MISTAKE(maximum(1, 2), ": maximum: both operands are numbers; expected a Tensor"),
      MISTAKE(minimum(a, k), ": minimum: dtypes differ: f32 and i32"),
      MISTAKE(parameter({2}, zeros(), "a"), ": parameter: input 'a' exists already, from ",
              "errors_test.cpp:", "; expected another name, or a GraphScope around each model"),
      MISTAKE(state(f({1}, {1}), "k"), ": state: input 'k' exists already, from "),
      MISTAKE(state(f({1}, {1}), "\xed\xa0\x80"), ": state: ", "is no name: expected text in UTF-8, not empty"),
      MISTAKE(input(bf16, {3}), ": input: input '", "bf16 is reserved and not supported yet"),
      MISTAKE(argmax(b), ": argmax: does not take bool"),
      MISTAKE(square(b), ": square: does not take bool"),
      MISTAKE(variance(a, 7), ": variance: axis 7 is out of range"),
      MISTAKE(layer_norm(a, k), ": layer_norm: dtypes differ"),
      MISTAKE(squeeze(placeholder(f32, {2, 1}), 5), ": squeeze: axis 5 is out of range"),
      MISTAKE(take(a, a), ": take: indices must be i32 or i64"),
      MISTAKE(Dense(1 << 30)(placeholder(f32, {kBatch, 1 << 30})), ": Dense: "),
      MISTAKE(input(f32, {1, 1, 1, 1, 1, 1, 1, 1}), "with the batch axis at most 8 are possible"),
      MISTAKE(placeholder(f32, {1 << 24, 1 << 24}), "placeholder:", "[16777216,16777216]"),
      MISTAKE(parameter({-1, 3}), "parameter: shape [?,3] has an unbound extent"),
      MISTAKE(grad(sum(a, 0), {a}), "grad: the loss is f32[3]", "reduce it to a scalar first"),
      MISTAKE(grad(sum(a), {k}), "grad: cannot differentiate with respect to 'k', which is i32[4]"),
      MISTAKE(substitute({a}, {{a, k}}), "substitute: a tensor is replaced by one of another type"),
  });
}

TEST_CASE("tensors of different graphs do not mix") {
  GraphScope one;
  const Tensor a = placeholder(f32, {2}, "a");
  GraphScope two;
  const Tensor b = placeholder(f32, {2}, "b");
  require_reported({
      MISTAKE(a + b, "add: operands belong to different graphs", "GraphScope", "f32[2] from", "f32[2] from"),
      MISTAKE(compile({a, b}), "compile: operands belong to different graphs"),
      MISTAKE(grad(sum(a), {b}), "grad: operands belong to different graphs"),
      MISTAKE(where(a > 0, a, b), "where: operands belong to different graphs"),
  });
  Dense layer(3);
  layer(input(f32, {2}));
  GraphScope three;
  require_reported(
      {MISTAKE(layer(input(f32, {2})), "Dense: layer 'dense' has its parameters in another graph; make a new layer")});
}

TEST_CASE("tensors say what they are not") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2}, "a");
  require_reported({FAILS((a + a).name(), "is no input, parameter or state, so it has no name")});
  require_reported({FAILS(a.value(), "value: f32[2]", "is no parameter or state")});
  require_reported({FAILS(Tensor().shape(), "an empty Tensor has no type")});
  const Tensor w = parameter({2}, zeros(), "w");
  require_reported({FAILS(w.set_value(f({1, 2, 3}, {3})), "set_value: 'w' is f32[2], the new value is f32[3]")});
}

TEST_CASE("layers report what they were built for") {
  GraphScope graph;
  Dense layer(10);
  layer(input(f32, {784}, "x"));
  const Tensor y = input(f32, {100}, "y");
  require_reported({
      MISTAKE(layer(y), "dense: the layer was built for 784 features and is given 100; expected [.., 784]"),
      MISTAKE(Dense(3)(placeholder(f32, {4})), "expected a batch axis and features"),
      MISTAKE(Dense(3, [](const Tensor& t) { return matmul(t, t); })(y), "matmul: inner extents differ: 3 and ?"),
      MISTAKE(Embedding(5, 2)(y), "takes integers"),
  });
}

TEST_CASE("an element that an array has not is refused") {
  require_reported({FAILS(Array(Type{f32, {2}}).at(2), "at: no element 2 in an array of 2: f32[2]")});
}

// What a user is told about a mistake: the file and line, the op, the operands with their shapes and lines, what would fit.
#include "support.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("a shape error names the user's line, both operands and where they came from") {
  GraphScope graph;
  const Tensor x = input(f32, {784}, "x");
  const std::string x_line = here(-1);
  const Tensor w = parameter({700, 10}, zeros(), "w");
  const std::string w_line = here(-1);
  const std::string product = error_of([&] { matmul(x, w); }), product_line = here();
  require_parts(product, {product_line, "matmul: inner extents differ: 784 and 700", "expected the second operand to be [784, *]",
                          "operand 0 is f32[?,784] from", x_line, "operand 1 is f32[700,10] from", w_line});
  const std::string sum_error = error_of([&] { x + w; }), sum_line = here();
  require_parts(sum_error, {sum_line, "add: shapes do not fit together", "? and 700", "f32[?,784] from", x_line, "f32[700,10] from", w_line});
}

TEST_CASE("every function reports its mistakes at the line that called it") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2, 3}, "a"), k = placeholder(i32, {4}, "k"), b = placeholder(boolean, {2, 3}, "b");
  const Tensor x = input(f32, {3}, "x"), s = placeholder(f32, {}, "s");
  struct Row {
    const char* name;
    std::function<void()> make;
    std::vector<std::string> parts;
    int line;
  };
#define ROW(name, expression, ...) {name, [&] { expression; }, {__VA_ARGS__}, __LINE__}
  const Row rows[] = {
      ROW("dtypes", a + k, "add: dtypes differ: f32 and i32; convert one with astype()", "f32[2,3]", "i32[4]"),
      ROW("batch against known", x + placeholder(f32, {5, 3}), "add: shapes do not fit together: axis 2 (from the end) has extents ? and 5"),
      ROW("number too fine", k + 0.5, "the number 0.5 is not a value of i32; convert the tensor with astype(x, f32)"),
      ROW("number out of range", astype(k, u8) + 300, "the number 300 is not a value of u8"),
      ROW("exp of integers", exp(k), "exp: does not take i32; it takes f32, f64", "i32[4]"),
      ROW("not of float", ~a, "not: does not take f32"),
      ROW("rem of float", a % a, "rem: does not take f32"),
      ROW("axis", sum(a, 2), "sum: axis 2 is out of range; expected -2 … 1", "f32[2,3]"),
      ROW("axis of a scalar", max(s, 0), "max: axis 0 is out of range: a scalar has no axes"),
      ROW("axis twice", mean(a, {0, -2}), "mean: names an axis twice"),
      ROW("mean of integers", mean(k), "mean: takes f32, f64 or bool; convert with astype(x, f32)"),
      ROW("argmax axis", argmax(a, 5), "argmax: axis 5 is out of range"),
      ROW("matmul scalar", matmul(a, s), "matmul: a scalar has no rows or columns"),
      ROW("matmul dtypes", matmul(a, astype(a, f64)), "matmul: dtypes differ: f32 and f64"),
      ROW("matmul batch", matmul(placeholder(f32, {4, 2, 3}), placeholder(f32, {5, 3, 2})), "matmul: batch extents differ: 4 and 5"),
      ROW("contract", contract(a, a, {0}, {1}), "contract: contracted extents differ: axis 0 of f32[2,3] is 2 and axis 1 of f32[2,3] is 3"),
      ROW("reshape", reshape(a, {4, 2}), "reshape: cannot reshape f32[2,3] to [4,2]: 6 elements into 8"),
      ROW("reshape -1", reshape(a, {4, -1}), "reshape: 6 elements do not divide into [4,?]"),
      ROW("reshape two -1", reshape(a, {-1, -1}), "reshape:", "at most one extent may be -1"),
      ROW("reshape batch", reshape(x, {3, -1}), "reshape:", "the batch axis must stay in front"),
      ROW("flatten", flatten(s), "flatten: a scalar has no batch axis to keep"),
      ROW("transpose", transpose(a, {0, 0}), "transpose: perm=[0,0] names axis 0 twice"),
      ROW("transpose rank", transpose(a, {0}), "transpose:", "needs one entry for each of 2 axes"),
      ROW("squeeze", squeeze(a, 0), "squeeze: axis 0 has extent 2; expected 1"),
      ROW("expand_dims", expand_dims(a, 4), "expand_dims: axis 4 is out of range; expected -3 … 2"),
      ROW("broadcast_to", broadcast_to(a, {3, 2}), "broadcast_to: does not repeat to [3,2]"),
      ROW("concat none", concat({}), "concat: no operands"),
      ROW("concat", concat({a, reshape(a, {3, 2})}, 0), "concat: operand 0 is f32[2,3] and operand 1 is f32[3,2]: expected equal dtypes and equal extents off axis 0"),
      ROW("slice", slice(a, 1, 2, 5), "slice:", "do not fit axis 1 of f32[2,3]"),
      ROW("slice batch", slice(x, 0, 0, 1), "slice: the batch axis cannot be sliced"),
      ROW("pad", pad(a, {-1, 0}, {0, 0}), "pad:", "must not be negative"),
      ROW("pad value", pad(k, {1}, {1}, 0.5), "the number 0.5 is not a value of i32"),
      ROW("gather", gather(a, a), "gather: indices must be i32 or i64, found f32[2,3]"),
      ROW("scatter_add", scatter_add(a, k, a), "scatter_add: updates are f32[2,3], expected f32[4,3]"),
      ROW("one_hot", one_hot(a, 3), "one_hot: labels must be integers"),
      ROW("one_hot classes", one_hot(k, 0), "one_hot: 0 classes; expected at least 1"),
      ROW("where", weft::where(a, a, a), "where: the condition must be bool"),
      ROW("where dtypes", weft::where(b, a, astype(a, f64)), "where: branches differ in dtype: f32 and f64"),
      ROW("clip", clip(a, 1, 0), "clip: low 1 is above high 0"),
      ROW("dropout", dropout(a, 1), "dropout: rate 1 is outside [0, 1)"),
      ROW("bernoulli", random_bernoulli({2}, 1.5), "random_bernoulli: probability 1.5 is outside [0, 1]"),
      ROW("uniform", random_uniform({2}, 1, 0), "random_uniform: low 1 is above high 0"),
      ROW("empty", exp(Tensor()), "exp: operand 0 is an empty Tensor; expected one made by input(), parameter() or a function"),
      ROW("empty operand", a + Tensor(), "add: operand 1 is an empty Tensor"),
      ROW("input twice", input(f32, {3}, "a"), "input 'a' exists already"),
      ROW("input name", input(f32, {3}, "two words"), "input name 'two words' is not an identifier"),
      ROW("input dtype", input(bf16, {3}), "bf16 is reserved and not supported yet"),
      ROW("input extent", placeholder(f32, {3, -2}), "has a negative extent"),
      ROW("input rank", input(f32, {1, 1, 1, 1, 1, 1, 1, 1}), "with the batch axis at most 8 are possible"),
      ROW("input size", placeholder(f32, {1 << 24, 1 << 24}), "input:", "[16777216,16777216]"),
      ROW("parameter batch", parameter({-1, 3}), "parameter: shape [?,3] depends on the batch"),
      ROW("grad of a vector", grad(sum(a, 0), {a}), "grad: the loss is f32[3]", "reduce it to a scalar first"),
      ROW("grad of integers", grad(sum(a), {k}), "grad: cannot differentiate with respect to 'k', which is i32[4]"),
      ROW("substitute", substitute({a}, {{a, k}}), "substitute: a tensor is replaced by one of another type"),
  };
#undef ROW
  const std::string file = here().substr(0, here().find(':'));
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const std::string message = error_of(row.make);
      std::vector<std::string> parts = row.parts;
      parts.insert(parts.begin(), fmt::format("{}:{}", file, row.line));
      require_parts(message, parts);
    }
  }
}

TEST_CASE("tensors of different graphs do not mix") {
  GraphScope one;
  const Tensor a = placeholder(f32, {2}, "a");
  GraphScope two;
  const Tensor b = placeholder(f32, {2}, "b");
  const std::string sum_error = error_of([&] { a + b; });
  require_parts(sum_error, {here(-1), "add: operands belong to different graphs", "GraphScope", "f32[2] from", "f32[2] from"});
  require_parts(error_of([&] { compile({a, b}); }), {here(), "compile: operands belong to different graphs"});
  require_parts(error_of([&] { grad(sum(a), {b}); }), {here(), "grad: operands belong to different graphs"});
  require_parts(error_of([&] { where(a > 0, a, b); }), {here(), "where: operands belong to different graphs"});
  Dense layer(3);
  layer(input(f32, {2}));
  GraphScope three;
  require_parts(error_of([&] { layer(input(f32, {2})); }), {here(), "Dense: layer 'dense' has its parameters in another graph; make a new layer"});
}

TEST_CASE("tensors say what they are not") {
  GraphScope graph;
  const Tensor a = placeholder(f32, {2}, "a");
  require_parts(error_of([&] { (a + a).name(); }), {"is no input, parameter or state, so it has no name"});
  require_parts(error_of([&] { a.value(); }), {"value: f32[2]", "is no parameter or state"});
  require_parts(error_of([&] { Tensor().shape(); }), {"an empty Tensor has no type"});
  const Tensor w = parameter({2}, zeros(), "w");
  require_parts(error_of([&] { w.set_value(f({1, 2, 3}, {3})); }), {"set_value: 'w' is f32[2], the new value is f32[3]"});
}

TEST_CASE("layers report what they were built for") {
  GraphScope graph;
  Dense layer(10);
  layer(input(f32, {784}, "x"));
  const Tensor y = input(f32, {100}, "y");
  require_parts(error_of([&] { layer(y); }), {here(), "dense: the layer was built for 784 features and is given 100; expected [.., 784]"});
  require_parts(error_of([&] { Dense(0)(y); }), {here(), "0 units; expected at least 1"});
  require_parts(error_of([&] { Dense(3)(placeholder(f32, {4})); }), {here(), "expected a batch axis and features"});
  require_parts(error_of([&] { Dropout(-0.5)(y); }), {here(), "dropout: rate -0.5 is outside [0, 1)"});
  require_parts(error_of([&] { Embedding(5, 2)(y); }), {here(), "takes integers"});
  require_parts(error_of([&] { Dense(3, [](const Tensor& t) { return matmul(t, t); })(y); }), {here(), "matmul: inner extents differ: 3 and ?"});
}

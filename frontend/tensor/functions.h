// Functions over tensors: elementwise maths, reductions, products, and changes of shape, after NumPy.
//
// Axes may be negative (counted from the end). A trailing source_location is filled in by the compiler.
#pragma once
#include <string_view>

#include <weft/frontend/tensor/here.h>
#include <weft/frontend/tensor/tensor.h>

namespace weft {

/// A set of axes: `2`, `-1`, `{0, 1}`; by default all of them.
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : list_{axis}, all_(false) {}
  Axes(std::initializer_list<int> axes) : list_(axes.begin(), axes.end()), all_(false) {}
  Axes(const std::vector<int>& axes) : list_(axes), all_(false) {}
  /// Sorted, non-negative, distinct. Error on an axis out of range or named twice.
  std::vector<int> resolve(const Tensor& x) const;
  bool all() const { return all_; }  ///< none are named

 private:
  std::vector<int> list_;
  bool all_ = true;
};

// Elementwise. f32 and f64 unless said otherwise.
Tensor abs(const Tensor& x, WEFT_HERE);   ///< any number
Tensor sign(const Tensor& x, WEFT_HERE);  ///< -1, 0 or 1
Tensor floor(const Tensor& x, WEFT_HERE);
Tensor ceil(const Tensor& x, WEFT_HERE);
Tensor round(const Tensor& x, WEFT_HERE);  ///< ties to even
Tensor trunc(const Tensor& x, WEFT_HERE);  ///< towards 0
Tensor sqrt(const Tensor& x, WEFT_HERE);
Tensor rsqrt(const Tensor& x, WEFT_HERE);  ///< 1 / sqrt(x)
Tensor square(const Tensor& x, WEFT_HERE);
Tensor reciprocal(const Tensor& x, WEFT_HERE);
Tensor cbrt(const Tensor& x, WEFT_HERE);
/// sqrt(x^2 + y^2), broadcast, without overflow on the way; inf beside an infinity, with gradient 0 at (0, 0).
Tensor hypot(const Operand& x, const Operand& y, WEFT_HERE);
Tensor exp(const Tensor& x, WEFT_HERE);
Tensor exp2(const Tensor& x, WEFT_HERE);   ///< 2^x
Tensor expm1(const Tensor& x, WEFT_HERE);  ///< e^x - 1, accurate near 0
Tensor log(const Tensor& x, WEFT_HERE);
Tensor log2(const Tensor& x, WEFT_HERE);
Tensor log10(const Tensor& x, WEFT_HERE);
Tensor log1p(const Tensor& x, WEFT_HERE);  ///< log(1 + x), accurate near 0
Tensor sin(const Tensor& x, WEFT_HERE);
Tensor cos(const Tensor& x, WEFT_HERE);
Tensor tan(const Tensor& x, WEFT_HERE);
Tensor asin(const Tensor& x, WEFT_HERE);  ///< in [-pi/2, pi/2]; NaN beyond |x| = 1
Tensor acos(const Tensor& x, WEFT_HERE);  ///< in [0, pi]; NaN beyond |x| = 1
Tensor atan(const Tensor& x, WEFT_HERE);  ///< in [-pi/2, pi/2]
/// The angle of the point (x, y) in [-pi, pi], broadcast, with the zeros and infinities of C99.
Tensor atan2(const Operand& y, const Operand& x, WEFT_HERE);
Tensor sinh(const Tensor& x, WEFT_HERE);
Tensor cosh(const Tensor& x, WEFT_HERE);
Tensor tanh(const Tensor& x, WEFT_HERE);
Tensor asinh(const Tensor& x, WEFT_HERE);
Tensor acosh(const Tensor& x, WEFT_HERE);  ///< NaN below 1
Tensor atanh(const Tensor& x, WEFT_HERE);  ///< NaN beyond |x| = 1
Tensor erf(const Tensor& x, WEFT_HERE);
Tensor isnan(const Tensor& x, WEFT_HERE);     ///< bool
Tensor isinf(const Tensor& x, WEFT_HERE);     ///< bool
Tensor isfinite(const Tensor& x, WEFT_HERE);  ///< bool: neither infinite nor NaN
/// x^y, broadcast, with the special cases of IEEE 754 (docs/numerics.md). The numbers 0 to 4 and -1 are products and a
/// quotient, 0.5 is sqrt(x); an integer x takes the numbers 0 to 64.
Tensor pow(const Tensor& x, const Operand& y, WEFT_HERE);
/// x / y rounded down, of integers and floats, broadcast; of integers by 0 it is 0.
Tensor floor_divide(const Operand& x, const Operand& y, WEFT_HERE);
/// x - floor_divide(x, y) * y, of the sign of y; of an integer x by 0 it is x. Of floats it is exact, or rounded once,
/// where |x / y| is below 2^23 (f64: 2^52); the quotient itself is rounded beyond.
Tensor floor_mod(const Operand& x, const Operand& y, WEFT_HERE);
Tensor maximum(const Operand& a, const Operand& b);
Tensor minimum(const Operand& a, const Operand& b);
/// min(max(x, low), high). Error unless low <= high and both are values of x's dtype.
Tensor clip(const Tensor& x, const Number& low, const Number& high, WEFT_HERE);
/// p ? a : b, broadcast; p is bool.
Tensor where(const Tensor& p, const Operand& a, const Operand& b);
/// a * b + c, rounded once.
Tensor fma(const Tensor& a, const Tensor& b, const Tensor& c, WEFT_HERE);
Tensor astype(const Tensor& x, DType dtype, WEFT_HERE);
Tensor stop_gradient(const Tensor& x, WEFT_HERE);

// Reductions. bool counts as i32 in sum, f32 in mean.
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
Tensor prod(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
/// The population variance: mean((x - mean(x))^2).
Tensor variance(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
/// sqrt(variance(x)), with gradient 0 where all elements are equal.
Tensor stddev(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
/// The norm of the elements along the axes: of order 1 the sum of |x|; 2 the root of the sum of squares, without
/// overflow on the way, with gradient 0 where all are 0; infinity the largest |x|. Error for any other order.
Tensor norm(const Tensor& x, double order = 2, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);
Tensor any(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);  ///< of bool: one is true
Tensor all(const Tensor& x, const Axes& axes = {}, bool keepdims = false, WEFT_HERE);  ///< of bool: none is false
/// y[i] = x[0] + … + x[i] along an axis of known extent; bool counts as i32. The order is that of log2 doublings: s of
/// x[i - 2n + 1 … i] is s of the n elements before plus s of the last n; what lies before x[0] counts as 0.
Tensor cumsum(const Tensor& x, int axis = -1, WEFT_HERE);
Tensor cumprod(const Tensor& x, int axis = -1, WEFT_HERE);  ///< likewise of products
Tensor argmax(const Tensor& x, int axis = -1, WEFT_HERE);  ///< i32, the first of equals
Tensor argmin(const Tensor& x, int axis = -1, WEFT_HERE);
/// The extent of an axis as a scalar of `dtype`; the batch extent is known once compiled.
Tensor extent(const Tensor& x, int axis, DType dtype = f32, WEFT_HERE);

// Products.
/// NumPy's matmul: [m,k]x[k,n], batched over leading axes with broadcasting; a vector on either side is allowed.
Tensor matmul(const Tensor& a, const Tensor& b, WEFT_HERE);
/// Sums a over `lhs` against b over `rhs`, sharing the batch axes: batch axes, then a's free axes, then b's.
Tensor contract(const Tensor& a, const Tensor& b, const Dims& lhs, const Dims& rhs, const Dims& lhs_batch = {},
                const Dims& rhs_batch = {}, WEFT_HERE);
/// z[i, j] = a[i] * b[j].
Tensor outer(const Tensor& a, const Tensor& b, WEFT_HERE);
/// NumPy's einsum: "ij,jk->ik", where each letter names an axis; those that the result lacks are summed, those that an
/// operand names twice are its diagonal. Without "->", the result has the letters that occur once, in alphabetical
/// order. Operands are contracted pairwise from left to right. No ellipsis. Errors show the place in the text.
Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands, WEFT_HERE);

// Shapes.
/// One extent may be -1: it is the batch extent when x has one and the others account for the rest, else it is worked
/// out.
Tensor reshape(const Tensor& x, const Shape& shape, WEFT_HERE);
Tensor flatten(const Tensor& x, WEFT_HERE);                           ///< [a,b,c…] -> [a,b*c*…]
Tensor transpose(const Tensor& x, const Dims& perm = {}, WEFT_HERE);  ///< by default reverses the axes
/// Drops the axes named, which must have extent 1; by default all that have.
Tensor squeeze(const Tensor& x, const Axes& axes = {}, WEFT_HERE);
Tensor expand_dims(const Tensor& x, int axis, WEFT_HERE);
Tensor broadcast_to(const Tensor& x, const Shape& shape, WEFT_HERE);
Tensor concat(const std::vector<Tensor>& xs, int axis = -1, WEFT_HERE);
Tensor stack(const std::vector<Tensor>& xs, int axis = 0, WEFT_HERE);
/// x[start:limit:stride] along one axis; negative indices count from the end (not on the batch axis).
Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t limit, std::int64_t stride = 1, WEFT_HERE);
/// Equal parts along an axis of known extent, one after the other. Error unless the extent divides.
std::vector<Tensor> split(const Tensor& x, std::int64_t parts, int axis = 0, WEFT_HERE);
/// What lies before, between and after the places, which ascend: {2, 5} of 7 elements are [0, 2), [2, 5), [5, 7).
std::vector<Tensor> split_at(const Tensor& x, const Dims& places, int axis = 0, WEFT_HERE);
std::vector<Tensor> unstack(const Tensor& x, int axis = 0, WEFT_HERE);  ///< x[0], x[1], … along an axis, without it
/// x laid end to end with itself, times[i] times along axis i (1 at the batch axis).
Tensor tile(const Tensor& x, const Dims& times, WEFT_HERE);
Tensor repeat(const Tensor& x, std::int64_t times, int axis = -1, WEFT_HERE);  ///< each element `times` times in a row
/// y[(i + shift) mod n] = x[i] along an axis of known extent n.
Tensor roll(const Tensor& x, std::int64_t shift, int axis = -1, WEFT_HERE);
Tensor swapaxes(const Tensor& x, int a, int b, WEFT_HERE);
Tensor moveaxis(const Tensor& x, int from, int to, WEFT_HERE);  ///< the others keep their order
// Of the matrices in the last two axes; diagonal k lies k columns right of the main one.
Tensor tril(const Tensor& x, std::int64_t k = 0, WEFT_HERE);  ///< 0 above diagonal k
Tensor triu(const Tensor& x, std::int64_t k = 0, WEFT_HERE);  ///< 0 below diagonal k
/// Elements [i, i + k] of two axes of known extents, by default the last two, as the last axis of the result.
Tensor diagonal(const Tensor& x, std::int64_t k = 0, int rows = -2, int columns = -1, WEFT_HERE);
Tensor trace(const Tensor& x, std::int64_t k = 0, int rows = -2, int columns = -1, WEFT_HERE);  ///< the diagonal's sum
/// The matrix that has the vector x as its diagonal k and is 0 elsewhere; of a matrix, its diagonal k.
Tensor diag(const Tensor& x, std::int64_t k = 0, WEFT_HERE);
/// [rows, columns] (as many columns by default) with ones on diagonal k.
Tensor eye(std::int64_t rows, std::int64_t columns = -1, std::int64_t k = 0, DType dtype = f32, WEFT_HERE);
/// `count` numbers from start to stop, both included, equally far apart; computed in f64 and rounded to `dtype`.
Tensor linspace(double start, double stop, std::int64_t count, DType dtype = f32, WEFT_HERE);
/// y[…, j, …] = x[…, k[…, j, …], …] along an axis of known extent; 0 where k is out of range. k has x's extents at the
/// other axes. By comparison with every element of the axis: meant for short ones.
Tensor take_along_axis(const Tensor& x, const Tensor& indices, int axis = -1, WEFT_HERE);
/// [batch, h, w, b b c] -> [batch, h b, w b, c]: channel (i b + j) c + k goes to row i and column j of its block.
Tensor depth_to_space(const Tensor& x, std::int64_t block, WEFT_HERE);
Tensor space_to_depth(const Tensor& x, std::int64_t block, WEFT_HERE);  ///< its inverse
/// The axes between the batch and the channels, which come last, resampled to `size`: the element or the linear
/// interpolation at the centre of each new one, x = (i + 1/2) n / size - 1/2, the edge beyond the outermost centres.
Tensor resize_nearest(const Tensor& x, const Dims& size, WEFT_HERE);
Tensor resize_linear(const Tensor& x, const Dims& size, WEFT_HERE);
Tensor pad(const Tensor& x, const Dims& low, const Dims& high, const Number& value = 0, WEFT_HERE);
/// y[a, j, b] = x[a, k[j], b]: rows k of an axis (i32 or i64); 0 where k is out of range (a Model refuses such data).
Tensor gather(const Tensor& x, const Tensor& indices, int axis = 0, WEFT_HERE);
inline Tensor take(const Tensor& x, const Tensor& indices, int axis = 0, WEFT_HERE) {
  const LocScope scope(where);
  return gather(x, indices, axis);
}
/// x with u[a, j, b] added to x[a, k[j], b], for j in order; out-of-range k is dropped.
Tensor scatter_add(const Tensor& x, const Tensor& indices, const Tensor& u, int axis = 0, WEFT_HERE);
/// [..] integers -> [.., classes] of 0 and 1.
Tensor one_hot(const Tensor& labels, std::int64_t classes, DType dtype = f32, WEFT_HERE);

/// (x - mean) / sqrt(variance + epsilon) * scale + offset over the last axis; scale and offset may be undefined.
Tensor layer_norm(const Tensor& x, const Tensor& scale = {}, const Tensor& offset = {}, double epsilon = 1e-3,
                  WEFT_HERE);

}  // namespace weft

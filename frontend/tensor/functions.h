// Functions over tensors: elementwise maths, reductions, products, and changes of shape, after NumPy.
//
// Axes may be negative (counted from the end). A trailing source_location is filled in by the compiler.
#pragma once
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
Tensor sqrt(const Tensor& x, WEFT_HERE);
Tensor rsqrt(const Tensor& x, WEFT_HERE);  ///< 1 / sqrt(x)
Tensor square(const Tensor& x, WEFT_HERE);
Tensor reciprocal(const Tensor& x, WEFT_HERE);
Tensor exp(const Tensor& x, WEFT_HERE);
Tensor expm1(const Tensor& x, WEFT_HERE);  ///< e^x - 1, accurate near 0
Tensor log(const Tensor& x, WEFT_HERE);
Tensor log1p(const Tensor& x, WEFT_HERE);  ///< log(1 + x), accurate near 0
Tensor sin(const Tensor& x, WEFT_HERE);
Tensor cos(const Tensor& x, WEFT_HERE);
Tensor atan(const Tensor& x, WEFT_HERE);  ///< in [-pi/2, pi/2]
Tensor tanh(const Tensor& x, WEFT_HERE);
Tensor erf(const Tensor& x, WEFT_HERE);
Tensor isnan(const Tensor& x, WEFT_HERE);  ///< bool
/// x^y, broadcast, with the special cases of IEEE 754 (docs/numerics.md). The numbers 0 to 4 and -1 are products and a
/// quotient, 0.5 is sqrt(x); an integer x takes the numbers 0 to 64.
Tensor pow(const Tensor& x, const Operand& y, WEFT_HERE);
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

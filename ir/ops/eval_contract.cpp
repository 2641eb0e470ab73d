// Reference semantics of the contraction: z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n].
//
// The order is the contract's: for each chunk of kContractChunk values of k (in row-major order of the summed axes as
// listed), one chain acc = fma(x, y, acc) from 0; then the chunks' results are added in order. All n of a row advance
// together, which changes no chain and keeps memory access sequential.
#include <algorithm>

#include "ir/base/native_fma.h"
#include "ir/base/strided.h"
#include "ir/ops/eval.h"
#include "ir/ops/scalar.h"

namespace weft::eval {
namespace {

/// A copy of x with its axes in the order of the lists, and their extents' products.
Array permuted(const Array& x, const Dims& first, const Dims& second, const Dims& third) {
  const Dims x_strides = row_major_strides(x.shape());
  Dims shape, strides;
  for (const Dims* axes : {&first, &second, &third})
    for (std::int64_t axis : *axes) {
      shape.push_back(x.shape()[static_cast<int>(axis)]);
      strides.push_back(x_strides[static_cast<int>(axis)]);
    }
  return strided_copy(x, shape, 0, strides);
}

/// The axes in neither list, in order.
Dims free_axes(const Shape& shape, const Dims& summed, const Dims& batch) {
  Dims axes;
  for (int i = 0; i < shape.rank(); ++i)
    if (!summed.contains(i) && !batch.contains(i)) axes.push_back(i);
  return axes;
}

std::int64_t extent(const Shape& shape, const Dims& axes) {
  Shape s;
  for (std::int64_t axis : axes) s.push_back(shape[static_cast<int>(axis)]);
  return element_count(s);
}

/// x[B, M, K], y[B, K, N], z[B, M, N].
template <class T>
void contract_rows(const T* x, const T* y, T* z, std::int64_t B, std::int64_t M, std::int64_t N, std::int64_t K) {
  std::vector<T> acc(static_cast<std::size_t>(N));
  for (std::int64_t b = 0; b < B; ++b, y += K * N)
    for (std::int64_t m = 0; m < M; ++m, x += K, z += N)
      for (std::int64_t begin = 0; begin < K; begin += kContractChunk) {
        std::ranges::fill(acc, T{0});
        for (std::int64_t k = begin; k < std::min(begin + kContractChunk, K); ++k)
          for (std::int64_t n = 0; n < N; ++n) {
            T& a = acc[static_cast<std::size_t>(n)];
            a = apply_fma(x[k], y[k * N + n], a);
          }
        for (std::int64_t n = 0; n < N; ++n) {
          const T chunk = acc[static_cast<std::size_t>(n)];
          z[n] = begin == 0 ? chunk : apply_binary(Op::add, z[n], chunk);
        }
      }
}

}  // namespace

Array contract(const EvalArgs& a) {
  const Array &x = a.operands[0], &y = a.operands[1];
  Array z(a.result);
  if (z.size() == 0 || x.size() == 0) return z;  // no term: zeros
  const Dims &lhs = a.attrs.dims[0], &rhs = a.attrs.dims[1], &lhs_batch = a.attrs.dims[2], &rhs_batch = a.attrs.dims[3];
  const Dims lhs_free = free_axes(x.shape(), lhs, lhs_batch), rhs_free = free_axes(y.shape(), rhs, rhs_batch);
  const Array xs = permuted(x, lhs_batch, lhs_free, lhs), ys = permuted(y, rhs_batch, rhs, rhs_free);
  visit_dtype(z.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, std::uint8_t>)
      with_native_fma([&] {
        contract_rows(xs.as<T>().data(), ys.as<T>().data(), z.as<T>().data(), extent(x.shape(), lhs_batch),
                      extent(x.shape(), lhs_free), extent(y.shape(), rhs_free), extent(x.shape(), lhs));
      });
  });
  return z;
}

}  // namespace weft::eval

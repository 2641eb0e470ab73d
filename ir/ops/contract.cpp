// The contraction: z[b, m, n] = sum over k of x[b, m, k] * y[b, k, n].
//
// The order is the contract's: for each chunk of kContractChunk values of k (in row-major order of the summed axes as
// listed), one chain acc = fma(x, y, acc) from 0; then the chunks' results are added in order.
#include <algorithm>

#include "ir/base/native_fma.h"
#include "ir/base/strided.h"
#include "ir/ops/node_builder.h"
#include "ir/ops/rows.h"
#include "ir/ops/scalar.h"
#include "ir/ops/sum_order.h"

namespace weft {
using namespace infer;
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

std::int64_t extent(const Shape& shape, const Dims& axes) {
  Shape s;
  for (std::int64_t axis : axes) s.push_back(shape[static_cast<int>(axis)]);
  return element_count(s);
}

/// x[B, M, K], y[B, K, N], z[B, M, N]. All n of a row advance together, which changes no chain and keeps memory access
/// sequential.
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

Type infer::contract(const InferArgs& a) {
  const Type &x = a.operands[0], &y = a.operands[1];
  const Dims &lhs = a.attrs[Attr::lhs], &rhs = a.attrs[Attr::rhs];
  const Dims &lb = a.attrs[Attr::lhs_batch], &rb = a.attrs[Attr::rhs_batch];
  require_dtype(a, x.dtype);
  if (x.dtype != y.dtype) fail("operands differ in dtype: {} and {}", to_string(x), to_string(y));
  require_axes(a, Attr::lhs, x.shape);
  require_axes(a, Attr::rhs, y.shape);
  require_axes(a, Attr::lhs_batch, x.shape);
  require_axes(a, Attr::rhs_batch, y.shape);
  if (lhs.rank() != rhs.rank() || lb.rank() != rb.rank())
    fail("lhs={} and rhs={}, lhs_batch={} and rhs_batch={} must pair up", to_string(lhs), to_string(rhs), to_string(lb),
         to_string(rb));
  auto pair = [&](const Dims& l, const Dims& r, std::string_view what) {
    for (int i = 0; i < l.rank(); ++i) {
      const std::int64_t p = x.shape[static_cast<int>(l[i])], q = y.shape[static_cast<int>(r[i])];
      if (p != q)
        fail("{} extents differ: axis {} of {} is {} and axis {} of {} is {}", what, l[i], to_string(x),
             p == kBatch ? "the batch" : extent_text(p), r[i], to_string(y),
             q == kBatch ? "the batch" : extent_text(q));
    }
  };
  pair(lhs, rhs, "contracted");
  pair(lb, rb, "batch");
  Type z{x.dtype, {}};
  for (std::int64_t i : lb) {
    if (lhs.contains(i)) fail("axis {} of the left operand is both contracted and batch", i);
    z.shape.push_back(x.shape[static_cast<int>(i)]);
  }
  for (std::int64_t i : rb)
    if (rhs.contains(i)) fail("axis {} of the right operand is both contracted and batch", i);
  for (int i = 0; i < x.shape.rank(); ++i)
    if (!lhs.contains(i) && !lb.contains(i)) z.shape.push_back(x.shape[i]);
  for (int i = 0; i < y.shape.rank(); ++i)
    if (!rhs.contains(i) && !rb.contains(i)) z.shape.push_back(y.shape[i]);
  return checked(z);
}

Array eval::contract(const EvalArgs& a) {
  const Array &x = a.operands[0], &y = a.operands[1];
  Array z(a.result);
  if (z.size() == 0 || x.size() == 0) return z;  // no term: zeros
  const Dims &lhs = a.attrs[Attr::lhs], &rhs = a.attrs[Attr::rhs];
  const Dims &lhs_batch = a.attrs[Attr::lhs_batch], &rhs_batch = a.attrs[Attr::rhs_batch];
  const Dims lhs_free = free_axes(x.shape().rank(), lhs, lhs_batch),
             rhs_free = free_axes(y.shape().rank(), rhs, rhs_batch);
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

/// z[b, m, n] = sum over k of x[b, m, k] y[b, k, n]:
///   dx[b, m, k] = sum over n of g[b, m, n] y[b, k, n],   dy[b, k, n] = sum over m of x[b, m, k] g[b, m, n],
/// each transposed from the axis order of its contraction to that of the operand.
ValueId grad::contract(NodeBuilder& b, const GradientArgs& a, std::size_t i) {
  const Dims &lhs = a.attrs[Attr::lhs], &rhs = a.attrs[Attr::rhs];
  const Dims &lb = a.attrs[Attr::lhs_batch], &rb = a.attrs[Attr::rhs_batch];
  const ValueId x = a.operands[0], y = a.operands[1];
  const Dims m = free_axes(b.type(x).shape.rank(), lhs, lb), n = free_axes(b.type(y).shape.rank(), rhs, rb);
  const int batch = lb.rank();
  Dims g_batch = Dims::iota(batch), g_m, g_n;
  for (int j = 0; j < m.rank(); ++j) g_m.push_back(batch + j);
  for (int j = 0; j < n.rank(); ++j) g_n.push_back(batch + m.rank() + j);

  // order[p]: the operand's axis that axis p of the contraction's result is. The contracted axes of the other operand
  // come out in its own axis order; `mine` and `other` pair them up.
  const bool left = i == 0;
  const Dims &mine = left ? lhs : rhs, &other = left ? rhs : lhs;
  Dims order = left ? lb : rb, k_order;
  for (int axis = 0; axis < kMaxRank; ++axis)
    for (int j = 0; j < other.rank(); ++j)
      if (other[j] == axis) k_order.push_back(mine[j]);
  auto append = [&](const Dims& axes) {
    for (std::int64_t axis : axes) order.push_back(axis);
  };
  ValueId d;
  if (left) {
    d = b.contract(a.g, y, g_n, n, g_batch, rb);
    append(m), append(k_order);
  } else {
    d = b.contract(x, a.g, m, g_m, lb, g_batch);
    append(k_order), append(n);
  }
  Dims perm = order;
  for (int p = 0; p < order.rank(); ++p) perm[static_cast<int>(order[p])] = p;
  return b.transpose(d, perm);
}

}  // namespace weft

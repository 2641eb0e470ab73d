// The order of sums, spelt out a second time from the numerics contract: on data whose sum depends on it.
#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "catch.h"
#include "ir/base/philox.h"
#include "ir/graph/graph.h"
#include "ir/ops/sum_order.h"

using namespace weft;

namespace {

const LocSet kHere = LocSet::of(std::source_location::current());

/// Values of either sign and of sizes from 1e-3 to 1e6, so that every order of summation rounds differently.
template <class T>
std::vector<T> wild(std::int64_t n, std::int64_t key) {
  std::vector<T> v;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t r = random_word(key, 0, i);
    const double size = std::pow(10, r % 10) / 1000;
    v.push_back(static_cast<T>((r >> 31 ? size : -size) * (1 + (r >> 4 & 0xffff) / 65536.0)));
  }
  return v;
}

Attrs contract_axes(const Dims& lhs, const Dims& rhs) {
  return {{Attr::lhs, lhs}, {Attr::rhs, rhs}, {Attr::lhs_batch, {0}}, {Attr::rhs_batch, {0}}};
}

Array run(Op op, const std::vector<Array>& operands, Attrs attrs) {
  Graph g;
  std::vector<ValueId> ids;
  for (const Array& x : operands)
    ids.push_back(g.input(fmt::format("x{}", ids.size()), x.type(), InputKind::data, kHere));
  g.output("y", g.add(op, ids, std::move(attrs), {}, kHere));
  return interpret(g, operands).outputs[0];
}

/// tree(x) = x where there is one, else tree(the first p) + tree(the rest), p the largest power of two below the
/// number.
template <class T>
T tree_sum(const T* x, std::size_t n) {
  if (n == 1) return *x;
  const std::size_t p = std::bit_floor(n - 1);
  return tree_sum(x, p) + tree_sum(x + p, n - p);
}

/// The elements of v from `begin` on, `step` apart, before `end`: a chain of chains of `run`.
template <class T>
T chunk_sum(const std::vector<T>& v, std::size_t begin, std::size_t end, std::size_t step, std::size_t run) {
  T total = 0;
  for (std::size_t r = begin; r < end; r += run * step) {
    T acc = 0;
    for (std::size_t i = r; i < end && i < r + run * step; i += step) acc = acc + v[i];
    total = total + acc;
  }
  return total;
}

template <class T>
T sequential_sum(const std::vector<T>& v) {
  std::vector<T> chunks;
  for (std::size_t c = 0; c < v.size(); c += 256)
    chunks.push_back(chunk_sum(v, c, std::min(v.size(), c + 256), 1, v.size() <= 128 ? 128 : 16));
  return tree_sum(chunks.data(), chunks.size());
}

template <class T>
T striped_sum(const std::vector<T>& v) {
  std::vector<T> chunks;
  for (std::size_t c = 0; c < v.size(); c += 4096) {
    T s[16];
    for (std::size_t i = 0; i < 16; ++i) s[i] = chunk_sum(v, c + i, std::min(v.size(), c + 4096), 16, 16);
    for (int i = 0; i < 8; ++i) s[i] = s[i] + s[i + 8];
    for (int i = 0; i < 4; ++i) s[i] = s[i] + s[i + 4];
    for (int i = 0; i < 2; ++i) s[i] = s[i] + s[i + 2];
    chunks.push_back(s[0] + s[1]);
  }
  return tree_sum(chunks.data(), chunks.size());
}

template <class T>
T dot(const std::vector<T>& x, const std::vector<T>& y) {
  T total = 0;
  for (std::size_t c = 0; c < x.size(); c += 1024) {
    T acc = 0;
    for (std::size_t k = c; k < x.size() && k < c + 1024; ++k) acc = std::fma(x[k], y[k], acc);
    total = c == 0 ? acc : total + acc;
  }
  return total;
}

template <class T>
void check_orders() {
  int order_mattered = 0;
  for (std::int64_t n : {1,
                         2,
                         7,
                         15,
                         16,
                         17,
                         31,
                         33,
                         100,
                         127,
                         128,
                         129,
                         255,
                         256,
                         257,
                         512,
                         513,
                         777,
                         1023,
                         1024,
                         1025,
                         1281,
                         2049,
                         4095,
                         4096,
                         4097,
                         8191,
                         8192,
                         12289,
                         20481,
                         65280,
                         65281,
                         65536,
                         65537,
                         65792,
                         66048,
                         70001,
                         255 * 4096,
                         255 * 4096 + 1,
                         256 * 4096 + 1,
                         257 * 4096 + 1}) {
    INFO(n << " elements of " << name(dtype_of<T>));
    const std::vector<T> v = wild<T>(n, n), w = wild<T>(n, n + 100000);
    const Array x = Array::from(v, {n}), y = Array::from(w, {n});
    const T in_stripes = run(Op::reduce_sum, {x}, Attrs::axis(0)).template item<T>();
    const T in_order = run(Op::reduce_sum, {x.reshaped({n, 1})}, Attrs::axis(0)).template item<T>();
    CHECK(in_stripes == striped_sum(v));
    CHECK(in_order == sequential_sum(v));
    order_mattered += in_stripes != in_order;
    // A middle axis is folded in order too, whatever lies around it.
    const Array middle = run(Op::reduce_sum, {x.reshaped({1, n, 1})}, Attrs::axis(1));
    CHECK(middle.template item<T>() == in_order);
    const T product = run(Op::contract, {x, y}, {{Attr::lhs, {0}}, {Attr::rhs, {0}}}).template item<T>();
    CHECK(product == dot(v, w));
  }
  CHECK(order_mattered > 10);  // else the data is too tame to tell the orders apart
}

}  // namespace

TEST_CASE("sums are formed in the contract's order") {
  const FlushSubnormals flush;
  check_orders<float>();
  check_orders<double>();
}

TEST_CASE("a contraction's order is a function of the summed extent alone") {
  // The same k's in a matrix product, a batched one, and over two summed axes listed in either order.
  const FlushSubnormals flush;
  const std::int64_t B = 2, M = 3, N = 5, K = 2 * 1100;
  const auto xs = wild<float>(B * M * K, 1), ys = wild<float>(B * K * N, 2);
  const Array x = Array::from(xs, {B, M, K}), y = Array::from(ys, {B, K, N});
  const Array z = run(Op::contract, {x, y}, contract_axes({2}, {1}));
  const Array two =
      run(Op::contract, {x.reshaped({B, M, 2, K / 2}), y.reshaped({B, 2, K / 2, N})}, contract_axes({2, 3}, {1, 2}));
  const Array swapped =
      run(Op::contract, {x.reshaped({B, M, 2, K / 2}), y.reshaped({B, 2, K / 2, N})}, contract_axes({3, 2}, {2, 1}));
  bool differs = false;
  for (std::int64_t b = 0; b < B; ++b)
    for (std::int64_t m = 0; m < M; ++m)
      for (std::int64_t n = 0; n < N; ++n) {
        std::vector<float> u, v, u2, v2;
        for (std::int64_t k = 0; k < K; ++k) {
          u.push_back(xs[static_cast<std::size_t>((b * M + m) * K + k)]);
          v.push_back(ys[static_cast<std::size_t>((b * K + k) * N + n)]);
        }
        for (std::int64_t j = 0; j < K / 2; ++j)
          for (std::int64_t i = 0; i < 2; ++i) {
            u2.push_back(u[static_cast<std::size_t>(i * K / 2 + j)]);
            v2.push_back(v[static_cast<std::size_t>(i * K / 2 + j)]);
          }
        const auto at = static_cast<std::size_t>((b * M + m) * N + n);
        CHECK(z.as<float>()[at] == dot(u, v));
        CHECK(two.as<float>()[at] == dot(u, v));
        CHECK(swapped.as<float>()[at] == dot(u2, v2));
        differs |= dot(u, v) != dot(u2, v2);
      }
  CHECK(differs);
}

TEST_CASE("folds of max and min take the later of equal zeros by the contract's rule, and keep NaN") {
  // z = x > y or x is NaN ? x : y lets the later of two equal zeros win, and folds stripes 0 and 8 first.
  const auto fold = [](Op op, std::vector<float> v) {
    const auto n = static_cast<std::int64_t>(v.size());
    return run(op, {Array::from(v, {n})}, Attrs::axis(0)).item<float>();
  };
  CHECK(std::signbit(fold(Op::reduce_max, {0.0f, -0.0f})));
  CHECK(!std::signbit(fold(Op::reduce_max, {-0.0f, 0.0f})));
  std::vector<float> v(17, -1.0f);
  v[0] = 0.0f, v[16] = -0.0f;  // both in stripe 0, in order
  CHECK(std::signbit(fold(Op::reduce_max, v)));
  v[16] = -1.0f, v[8] = -0.0f, v[4] = 0.0f;  // the tree: stripes 0 and 8, then 4
  CHECK(!std::signbit(fold(Op::reduce_max, v)));
  std::vector<float> chunks(4097, -1.0f);
  chunks[0] = 0.0f, chunks[4096] = -0.0f;  // the second chunk's result comes after the first's
  CHECK(std::signbit(fold(Op::reduce_max, chunks)));
  CHECK(fold(Op::reduce_max, {}) == -HUGE_VALF);
  CHECK(fold(Op::reduce_min, {}) == HUGE_VALF);
  for (std::size_t i = 0; i < 20; ++i) {
    std::vector<float> w(20, 1.0f);
    w[i] = NAN;
    CHECK(std::isnan(fold(Op::reduce_max, w)));
    CHECK(std::isnan(fold(Op::reduce_min, w)));
  }
  CHECK(!std::signbit(fold(Op::reduce_sum, {-0.0f})));  // a sum starts from +0
}

TEST_CASE("scatter_add adds in row-major order of the indices") {
  const FlushSubnormals flush;
  const std::int64_t n = 500;
  const std::vector<float> u = wild<float>(n, 3);
  std::vector<std::int32_t> k;
  for (std::int64_t i = 0; i < n; ++i) k.push_back(static_cast<std::int32_t>(random_word(4, 0, i) % 5) - 1);
  const Array z =
      run(Op::scatter_add, {Array::from(std::vector<float>{1, 2, 3}, {3}), Array::from(k, {n}), Array::from(u, {n})},
          Attrs::axis(0));
  std::vector<float> expected = {1, 2, 3};
  for (std::size_t i = 0; i < k.size(); ++i)
    if (k[i] >= 0 && k[i] < 3) expected[static_cast<std::size_t>(k[i])] += u[i];
  CHECK(z.same_bits(Array::from(expected, {3})));
}

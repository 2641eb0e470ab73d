// The attributes of a random node.
#include <algorithm>

#include "random_graph.h"

namespace weft::test {
namespace {

Shape random_reshape(const Shape& shape, Rng& rng) {
  if (rng.chance(0.2)) return shape;
  std::int64_t left = element_count(shape);
  if (left == 0) return rng.chance(0.5) ? Shape{0} : Shape{rng.between(0, 3), 0};
  Shape s;
  while (s.rank() < 4 && (left > 1 || rng.chance(0.2))) {
    std::vector<std::int64_t> divisors;
    for (std::int64_t d = 1; d <= std::min<std::int64_t>(left, 64); ++d)
      if (left % d == 0) divisors.push_back(d);
    const std::int64_t d = s.rank() == 3 || rng.chance(0.2) ? left : rng.pick(divisors);
    s.push_back(d);
    left /= d;
  }
  return left == 1 ? s : shape;
}

Dims random_permutation(int rank, Rng& rng) {
  Dims p = Dims::iota(rank);
  if (rng.chance(0.15)) return p;
  for (int i = rank - 1; i > 0; --i) std::swap(p[i], p[static_cast<int>(rng.below(i + 1))]);
  return p;
}

}  // namespace

ValueId add_random(Graph& g, Op op, std::vector<ValueId> operands, Rng& rng, LocSet locs) {
  const Type x = operands.empty() ? Type{i32, {}} : g[operands[0]].type;
  const int rank = x.shape.rank();
  Attrs attrs;
  std::optional<Type> declared;
  const auto axis = [&](int r) { attrs = Attrs::axis(r > 0 ? rng.below(r) : 0); };
  switch (op) {
    case Op::iota: {
      static const DType kCounted[] = {i32, i64, f32, f64, u8};
      declared = Type{rng.pick(kCounted), random_shape(rng)};
      if (declared->shape.empty()) declared->shape = {rng.between(1, 9)};
      axis(declared->shape.rank());
      break;
    }
    case Op::random: declared = Type{i32, random_shape(rng)}; break;
    case Op::convert: declared = Type{rng.pick(kAllDTypes), x.shape}; break;
    case Op::reshape: declared = Type{x.dtype, random_reshape(x.shape, rng)}; break;
    case Op::broadcast: {
      Shape to = x.shape;
      Dims axes = Dims::iota(rank);
      for (int i = 0; i < rank; ++i)
        if (to[i] == 1 && rng.chance(0.5)) to[i] = rng.between(1, 6);
      for (int added = static_cast<int>(rng.below(3)); added > 0 && to.rank() < 5; --added) {
        const int at = static_cast<int>(rng.below(to.rank() + 1));
        to.insert(at, rng.chance(0.1) ? 1 : rng.between(1, 6));
        for (int i = 0; i < rank; ++i) axes[i] += axes[i] >= at;
      }
      attrs = {{Attr::axes, axes}};
      declared = Type{x.dtype, to};
      break;
    }
    case Op::transpose: attrs = {{Attr::perm, random_permutation(rank, rng)}}; break;
    case Op::slice: {
      Dims start = Dims::filled(rank, 0), limit = x.shape, stride = Dims::filled(rank, 1);
      for (int i = 0; i < rank; ++i) {
        if (rng.chance(0.4)) continue;
        start[i] = rng.between(0, x.shape[i]);
        limit[i] = rng.between(start[i], x.shape[i]);
        if (rng.chance(0.3)) stride[i] = rng.between(1, 3);
      }
      attrs = {{Attr::start, start}, {Attr::limit, limit}, {Attr::stride, stride}};
      break;
    }
    case Op::pad: {
      Dims low = Dims::filled(rank, 0), high = low;
      for (int i = 0; i < rank; ++i) {
        if (rng.chance(0.5)) low[i] = rng.below(3);
        if (rng.chance(0.5)) high[i] = rng.below(3);
      }
      Dims interior;
      for (int i = 0; i < rank && rng.chance(0.3); ++i) interior.push_back(rng.below(3));
      attrs = {{Attr::low, low}, {Attr::high, high}, {Attr::interior, interior.rank() == rank ? interior : Dims{}}};
      break;
    }
    case Op::reverse: {
      Dims axes;
      for (const std::int64_t i : random_permutation(rank, rng))
        if (rng.chance(0.5)) axes.push_back(i);
      attrs = {{Attr::axes, axes}};
      break;
    }
    case Op::window: {
      Dims axes, size, stride, dilation;
      for (const std::int64_t i : random_permutation(rank, rng)) {
        if (axes.rank() + rank >= kMaxRank - 2 || axes.rank() == 2 || rng.chance(0.4)) continue;
        axes.push_back(i);
        size.push_back(rng.between(1, 4)), stride.push_back(rng.between(1, 3)), dilation.push_back(rng.between(1, 2));
        if (rng.chance(0.3)) stride[stride.rank() - 1] = size.back();
      }
      attrs = {{Attr::axes, axes}, {Attr::size, size}, {Attr::stride, stride}, {Attr::dilation, dilation}};
      break;
    }
    case Op::unwindow: {
      const int windows = static_cast<int>(rng.between(rank >= 2, std::min(2, rank / 2)));
      Dims axes, stride, dilation;
      Shape to;
      for (int i = 0; i < rank - windows; ++i) to.push_back(x.shape[i]);
      for (const std::int64_t i : random_permutation(to.rank(), rng)) {
        if (axes.rank() == windows) break;
        const std::int64_t size = x.shape[to.rank() + axes.rank()];
        axes.push_back(i);
        stride.push_back(rng.between(1, 3)), dilation.push_back(rng.between(1, 2));
        std::int64_t& extent = to[static_cast<int>(i)];
        extent = (extent - 1) * stride.back() + (size - 1) * dilation.back() + 1 + rng.below(2);
      }
      attrs = {{Attr::axes, axes}, {Attr::stride, stride}, {Attr::dilation, dilation}};
      declared = Type{x.dtype, to};
      break;
    }
    case Op::concat:
    case Op::gather:
    case Op::scatter_add:
    case Op::size:
    case Op::reduce_sum:
    case Op::reduce_prod:
    case Op::reduce_max:
    case Op::reduce_min:
    case Op::arg_max:
    case Op::arg_min: axis(rank); break;
    case Op::contract: {
      const Shape y = g[operands[1]].type.shape;
      Dims lhs, rhs, lb, rb;
      for (std::int64_t i : random_permutation(rank, rng))
        for (std::int64_t j : random_permutation(y.rank(), rng)) {
          if (x.shape[static_cast<int>(i)] != y[static_cast<int>(j)] || lhs.contains(i) || lb.contains(i) ||
              rhs.contains(j) || rb.contains(j))
            continue;
          if (rng.chance(0.65))
            lhs.push_back(i), rhs.push_back(j);
          else if (rng.chance(0.5))
            lb.push_back(i), rb.push_back(j);
        }
      attrs = {{Attr::lhs, lhs}, {Attr::rhs, rhs}, {Attr::lhs_batch, lb}, {Attr::rhs_batch, rb}};
      break;
    }
    default: ensure(info(op).attrs.size() == 0, "no case picks the attributes of {}", name(op));
  }
  try {
    return g.add(op, std::move(operands), std::move(attrs), declared, locs);
  } catch (const Error&) {
    return kNoValue;
  }
}

}  // namespace weft::test

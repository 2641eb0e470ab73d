// Index arithmetic.
#include "ir/ops/index.h"

namespace weft {

Index scaled(Index x, std::int64_t factor) {
  ensure(factor == 1 || x.indirect == kNone, "an indirect index cannot be scaled");
  if (factor == 0) return {};
  for (auto& [axis, coefficient] : x.terms) coefficient *= factor;
  x.offset *= factor;
  return x;
}

Index sum(const Index& a, const Index& b) {
  ensure(a.indirect == kNone || b.indirect == kNone, "two indirect indices cannot be added");
  Index s;
  s.offset = a.offset + b.offset;
  s.indirect = a.indirect != kNone ? a.indirect : b.indirect;
  auto i = a.terms.begin(), j = b.terms.begin();
  while (i != a.terms.end() || j != b.terms.end()) {
    if (j == b.terms.end() || (i != a.terms.end() && i->first < j->first))
      s.terms.push_back(*i++);
    else if (i == a.terms.end() || j->first < i->first)
      s.terms.push_back(*j++);
    else {
      if (i->second + j->second) s.terms.emplace_back(i->first, i->second + j->second);
      ++i, ++j;
    }
  }
  return s;
}

Index constant_index(std::int64_t value) { return {{}, value, kNone}; }
Index axis_index(AxisId axis) { return {{{axis, 1}}, 0, kNone}; }

std::vector<ReshapeRun> reshape_runs(const Shape& from, const Shape& to) {
  std::vector<ReshapeRun> runs;
  int i = 0, j = 0;
  while (i < from.rank() || j < to.rank()) {
    const int i0 = i, j0 = j;
    std::int64_t p = i < from.rank() ? from[i++] : 1, q = j < to.rank() ? to[j++] : 1;
    while (p != q) {
      if ((p < q && i < from.rank()) || j == to.rank())
        p *= from[i++];
      else
        q *= to[j++];
    }
    runs.push_back({i0, i, j0, j});
  }
  return runs;
}

ExprId ElementBuilder::in_range(ExprId x, std::int64_t extent) {
  return op(Op::bit_and, boolean, {op(Op::ge, boolean, {x, integer(0)}), op(Op::lt, boolean, {x, integer(extent)})});
}

ExprId ElementBuilder::spread(Index& at, std::int64_t step, std::int64_t count) {
  const ExprId place = index_value(at), inside = in_range(place, (count - 1) * step + 1);
  if (step == 1) return inside;
  at = by_number(Op::div, at, step);
  return both(inside, op(Op::eq, boolean, {op(Op::rem, i64, {place, integer(step)}), integer(0)}));
}

ExprId ElementBuilder::both(ExprId p, ExprId q) {
  if (p == kNone || q == kNone) return p == kNone ? q : p;
  return op(Op::bit_and, boolean, {p, q});
}

Index ElementBuilder::times(const Index& x, std::int64_t factor) {
  if (x.indirect == kNone || factor == 1) return scaled(x, factor);
  Index plain = x;
  plain.indirect = kNone;
  Index out = scaled(plain, factor);
  out.indirect = op(Op::mul, i64, {x.indirect, integer(factor)});
  return out;
}

Index ElementBuilder::plus(const Index& x, const Index& y) {
  if (x.indirect == kNone || y.indirect == kNone) return sum(x, y);
  Index plain = y;
  plain.indirect = kNone;
  Index out = sum(x, plain);
  out.indirect = op(Op::add, i64, {x.indirect, y.indirect});
  return out;
}

Index ElementBuilder::by_number(Op o, const Index& x, std::int64_t number) {
  return {{}, 0, op(o, i64, {index_value(x), integer(number)})};
}

std::vector<Index> ElementBuilder::reshaped(const Shape& from, const Shape& to, const std::vector<Index>& index) {
  std::vector<Index> out(static_cast<std::size_t>(from.rank()));
  if (std::ranges::count(from, 0)) return out;
  for (const ReshapeRun& run : reshape_runs(from, to)) {
    Index linear;
    std::int64_t stride = 1;
    for (int j = run.to_end; j-- > run.to; stride *= to[j])
      if (to[j] != 1) linear = plus(times(index[static_cast<std::size_t>(j)], stride), linear);
    // The innermost axes take the remainders, the outermost one what is left.
    std::int64_t left = stride;
    for (int i = run.from_end; i-- > run.from;) {
      if (from[i] == 1) continue;
      left /= from[i];
      out[static_cast<std::size_t>(i)] = left == 1 ? linear : by_number(Op::rem, linear, from[i]);
      if (left > 1) linear = by_number(Op::div, linear, from[i]);
    }
  }
  return out;
}

}  // namespace weft

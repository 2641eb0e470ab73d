// The gradient table. Elementwise rows are text: operands a, b, c, result y, incoming gradient g. Rows prefer y to
// recomputing it from the operands, which keeps operands out of the backward pass. What they give at ties and kinks is
// listed in docs/numerics.md.
#include "passes/graph/gradients.h"

#include <array>

#include "passes/graph/rules.h"

namespace weft {
namespace {

struct GradientRow {
  Op op;
  std::array<std::string_view, 3> text;  // one for each operand; empty: that operand has no gradient
  GradientFn build = nullptr;            // instead of text
};

constexpr GradientRow kRows[] = {
    {Op::neg, {"neg(g)"}},
    {Op::abs, {"mul(g, sign(a))"}},
    {Op::sqrt, {"div(g, mul(2, y))"}},
    {Op::exp, {"mul(g, y)"}},
    {Op::expm1, {"mul(g, exp(a))"}},
    {Op::log, {"div(g, a)"}},
    {Op::log1p, {"div(g, add(1, a))"}},
    {Op::sin, {"mul(g, cos(a))"}},
    {Op::cos, {"neg(mul(g, sin(a)))"}},
    // 1 - y^2 = 4 s (1 - s) with s = sigmoid(-2 |a|): the first cancels where y is near 1, the gradient of the second
    // where it is near 0.
    {Op::tanh,
     {"mul(g, select(lt(abs(a), 0.5), sub(1, mul(y, y)), "
      "mul(4, mul(sigmoid(mul(-2, abs(a))), sub(1, sigmoid(mul(-2, abs(a))))))))"}},
    {Op::sigmoid, {"mul(g, mul(y, sigmoid(neg(a))))"}},
    {Op::softplus, {"mul(g, sigmoid(a))"}},
    {Op::erf, {}, grad::erf},
    {Op::convert, {}, grad::convert},

    {Op::add, {"g", "g"}},
    {Op::sub, {"g", "neg(g)"}},
    {Op::mul, {"mul(g, b)", "mul(g, a)"}},
    {Op::div, {"div(g, b)", "neg(mul(div(g, b), y))"}},
    // To a: 0 where b is 0. To b: 0 where y is 0, or both a and b are. There the products would be 0 * inf; what is
    // selected away is finite, so that this holds for the gradient's gradient too.
    {Op::pow,
     {"mul(g, select(eq(b, 0), 0, mul(b, pow(a, select(eq(b, 0), 0, sub(b, 1))))))",
      "mul(g, mul(y, log(select(or(eq(y, 0), and(eq(a, 0), eq(b, 0))), 1, a))))"}},
    {Op::max,
     {"select(eq(a, b), mul(0.5, g), select(gt(a, b), g, 0))",
      "select(eq(a, b), mul(0.5, g), select(gt(a, b), 0, g))"}},
    {Op::min,
     {"select(eq(a, b), mul(0.5, g), select(lt(a, b), g, 0))",
      "select(eq(a, b), mul(0.5, g), select(lt(a, b), 0, g))"}},
    {Op::select, {"", "select(a, g, 0)", "select(a, 0, g)"}},
    {Op::fma, {"mul(g, b)", "mul(g, a)", "g"}},

    {Op::broadcast, {}, grad::broadcast},
    {Op::reshape, {}, grad::reshape},
    {Op::transpose, {}, grad::transpose},
    {Op::slice, {}, grad::slice},
    {Op::pad, {}, grad::pad},
    {Op::concat, {}, grad::concat},
    {Op::gather, {}, grad::gather},
    {Op::scatter_add, {}, grad::scatter_add},

    {Op::reduce_sum, {}, grad::reduce_sum},
    {Op::reduce_prod, {}, grad::reduce_prod},
    {Op::reduce_max, {}, grad::reduce_extreme},
    {Op::reduce_min, {}, grad::reduce_extreme},
    {Op::contract, {}, grad::contract},
};

/// A row made ready: its text parsed against the names y, g, a, b, c, in this order.
struct Gradient {
  GradientFn build = nullptr;
  std::array<std::optional<Term>, 3> terms;
};

using Table = std::array<Gradient, kOpCount>;

const Table& table() {
  static const Table& rows = *new Table([] {
    Table result;
    for (const GradientRow& row : kRows) {
      Gradient& to = result[static_cast<std::size_t>(row.op)];
      to.build = row.build;
      for (std::size_t i = 0; i < row.text.size(); ++i) {
        std::vector<std::string> names{"y", "g", "a", "b", "c"};
        if (!row.text[i].empty()) to.terms[i] = parse_term(row.text[i], names);
        ensure(names.size() == 5, "gradient of {} uses an unknown name", name(row.op));
      }
    }
    return result;
  }());
  return rows;
}

}  // namespace

bool has_gradient(Op op) {
  const Gradient& row = table()[static_cast<std::size_t>(op)];
  return row.build || row.terms[0] || row.terms[1];
}

ValueId gradient(Op op, Builder& b, const GradientArgs& args, std::size_t i) {
  const Gradient& row = table()[static_cast<std::size_t>(op)];
  if (row.build) return row.build(b, args, i);
  ensure(i < row.terms.size() && row.terms[i], "no gradient of {} with respect to operand {}", name(op), i);
  std::array<ValueId, 5> bound{args.y, args.g};
  std::copy(args.operands.begin(), args.operands.end(), bound.begin() + 2);
  const Type type = b.type(args.operands[i]);
  return build_term(*row.terms[i], b, bound, type);
}

/// 2/sqrt(pi) e^(-a^2) g. The exponential would magnify the rounding error of a square, so that is put back.
ValueId grad::erf(Builder& b, const GradientArgs& args, std::size_t) {
  const ValueId a = args.operands[0];
  const ValueId x = b.op(Op::min, {b.op(Op::abs, {a}), b.like(a, 30)});  // e^-900 is 0, and its square is finite
  const ValueId power = b.neg(b.mul(x, x)), e = b.op(Op::exp, {power});
  const ValueId rest = b.op(Op::stop_gradient, {b.op(Op::fma, {x, x, power})});
  return b.mul(args.g, b.mul(b.like(a, 1.1283791670955126), b.op(Op::fma, {b.neg(rest), e, e})));
}

ValueId grad::convert(Builder& b, const GradientArgs& a, std::size_t) {
  return b.convert(a.g, b.type(a.operands[0]).dtype);
}

}  // namespace weft

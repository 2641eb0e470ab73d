// The gradient table. Elementwise rows are text: operands a, b, c, result y, incoming gradient g. Rows prefer y to
// recomputing it from the operands, which keeps operands out of the backward pass: relu = max(x, 0) needs only y.
#include "passes/gradients.h"

#include <array>

#include "passes/rules.h"

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
    {Op::log, {"div(g, a)"}},
    {Op::sin, {"mul(g, cos(a))"}},
    {Op::cos, {"neg(mul(g, sin(a)))"}},
    {Op::tanh, {"mul(g, sub(1, mul(y, y)))"}},
    {Op::erf, {"mul(g, mul(1.1283791670955126, exp(neg(mul(a, a)))))"}},  // 2 / sqrt(pi)
    {Op::convert, {}, grad::convert},

    {Op::add, {"g", "g"}},
    {Op::sub, {"g", "neg(g)"}},
    {Op::mul, {"mul(g, b)", "mul(g, a)"}},
    {Op::div, {"div(g, b)", "neg(mul(div(g, b), y))"}},
    {Op::max, {"select(gt(y, b), g, 0)", "select(gt(y, b), 0, g)"}},
    {Op::min, {"select(lt(y, b), g, 0)", "select(lt(y, b), 0, g)"}},
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

ValueId grad::convert(Builder& b, const GradientArgs& a, std::size_t) {
  return b.convert(a.g, b.type(a.operands[0]).dtype);
}

}  // namespace weft

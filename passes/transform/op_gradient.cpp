// Gradients of the op table's rows, their text parsed.
#include "passes/transform/op_gradient.h"

#include <array>

#include "passes/graph/rules.h"

namespace weft {
namespace {

/// For each operand, the text of a row parsed against the names y, g, a, b, c, in this order.
using Terms = std::array<std::optional<Term>, 3>;
using Table = std::array<Terms, kOpCount>;

const Table& table() {
  static const Table& rows = *new Table([] {
    Table result;
    for (std::size_t op = 0; op < result.size(); ++op) {
      const OpInfo& row = info(static_cast<Op>(op));
      for (std::size_t i = 0; i < row.gradient.text.size(); ++i) {
        std::vector<std::string> names{"y", "g", "a", "b", "c"};
        if (!row.gradient.text[i].empty()) result[op][i] = parse_term(row.gradient.text[i], names);
        ensure(names.size() == 5, "gradient of {} uses an unknown name", row.name);
      }
    }
    return result;
  }());
  return rows;
}

}  // namespace

ValueId gradient(Op op, Builder& b, const GradientArgs& args, std::size_t i) {
  if (const auto build = info(op).gradient.build) return build(b, args, i);
  const Terms& terms = table()[static_cast<std::size_t>(op)];
  ensure(i < terms.size() && terms[i], "no gradient of {} with respect to operand {}", name(op), i);
  std::array<ValueId, 5> bound{args.y, args.g};
  std::copy(args.operands.begin(), args.operands.end(), bound.begin() + 2);
  const Type type = b.type(args.operands[i]);
  return build_term(*terms[i], b, bound, type);
}

}  // namespace weft

// Central differences against differentiate().
#include "gradient_check.h"

#include <algorithm>
#include <cmath>

#include "ir/graph/build.h"
#include "passes/transform/autodiff.h"

namespace weft::test {
namespace {

std::vector<ValueId> f64_inputs(const Graph& g) {
  std::vector<ValueId> wrt;
  for (const Input& i : g.inputs())
    if (g[i.id].type.dtype == f64) wrt.push_back(i.id);
  return wrt;
}

Graph with_outputs(const Graph& g, const std::vector<ValueId>& values) {
  Graph out = g;
  std::size_t at = 0;
  for (ValueId v : values) out.output("gradient_check" + std::to_string(at++), v);
  return out;
}

}  // namespace

ValueId weighted_sum(Graph& g, ValueId v, LocSet locs) {
  Builder b{g, locs};
  const std::int64_t count = element_count(g[v].type.shape);
  const ValueId flat = b.reshape(v, {count});
  const ValueId index = b.op(Op::iota, {}, Attrs::axis(0), Type{f64, {count}});
  const ValueId weights = b.op(Op::sin, {b.add(index, b.like(index, 1))});
  return b.reduce(Op::reduce_sum, b.mul(flat, weights), 0);
}

std::string check_gradient(const Graph& g, ValueId loss, const std::vector<Array>& inputs, double tolerance) {
  const std::size_t first = g.outputs().size();
  const Graph forward = remove_dead(with_outputs(g, {loss}));
  const auto evaluate = [&] { return interpret(forward, inputs).outputs[first].item<double>(); };

  Graph backward = g;
  const std::vector<ValueId> wrt = f64_inputs(g);
  const std::vector<ValueId> gradients = differentiate(backward, loss, wrt, LocSet::of(Loc{"check", 1, 0}));
  backward = with_outputs(backward, gradients);
  verify(backward);
  const Evaluation found = interpret(backward, inputs);

  std::string worst;
  double worst_error = tolerance;
  for (std::size_t i = 0, at = 0; i < g.inputs().size(); ++i) {
    if (g[g.inputs()[i].id].type.dtype != f64) continue;
    const Array& gradient = found.outputs[first + at++];
    if (!(gradient.type() == inputs[i].type()))
      return "the gradient of " + g.inputs()[i].name + " is " + to_string(gradient.type());
    const std::span<double> x = inputs[i].as<double>();
    for (std::size_t e = 0; e < x.size(); ++e) {
      const double kept = x[e], step = 1e-5 * std::max(1.0, std::abs(kept));
      x[e] = kept + step;
      const double above = evaluate();
      x[e] = kept - step;
      const double below = evaluate();
      x[e] = kept;
      const double expected = (above - below) / (2 * step), actual = gradient.at(static_cast<std::int64_t>(e));
      const double error = std::abs(expected - actual) / std::max({1.0, std::abs(expected), std::abs(actual)});
      if (!(error <= worst_error)) {
        worst_error = error;
        worst = fmt::format("d loss / d {}[{}]: finite difference {}, gradient {}", g.inputs()[i].name, e, expected,
                            actual);
      }
    }
  }
  return worst;
}

std::string check_second_order(Graph g, ValueId loss, const std::vector<Array>& inputs, double tolerance) {
  const LocSet locs = LocSet::of(Loc{"check", 2, 0});
  const std::vector<ValueId> wrt = f64_inputs(g);
  ValueId sum = kNoValue;
  for (ValueId d : differentiate(g, loss, wrt, locs)) {
    const ValueId part = weighted_sum(g, d, locs);
    sum = sum == kNoValue ? part : Builder{g, locs}.add(sum, part);
  }
  return check_gradient(g, sum, inputs, tolerance);
}

}  // namespace weft::test

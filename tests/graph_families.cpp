// The families. Sizes of tensors are small, so that running a graph of 100,000 nodes takes milliseconds.
#include "graph_families.h"

#include <algorithm>
#include <vector>

#include <weft/weft.h>

#include "frontend/executable/extract.h"
#include "random_graph.h"

namespace weft::test {
namespace {

Graph cut_out(const std::vector<NamedTensor>& outputs, const CompileOptions& options, FrontEndTimes& times) {
  return timed(times.extract, [&] { return extract(*current_trace(), outputs, options); });
}

/// A chain of elementwise ops: x = max(x y + 0.5, -y) and so on, one after the other.
Graph chain(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  Tensor x = placeholder(f32, {64}, "x");
  timed(times.trace, [&] {
    const Tensor y = placeholder(f32, {64}, "y");
    for (std::int64_t i = 0; i < nodes / 4; ++i) x = maximum(x * y + 0.5, y - x);
  });
  return cut_out({{"result", x}}, {}, times);
}

/// Independent functions of a dozen nodes, of 16 different shapes.
Graph wide(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  std::vector<NamedTensor> outputs;
  timed(times.trace, [&] {
    for (std::int64_t i = 0; i < std::max<std::int64_t>(1, nodes / 12); ++i) {
      const Tensor x = placeholder(f32, {4, 8 + i % 16}, fmt::format("x{}", i));
      const Tensor centred = x - mean(x, 1, true);
      outputs.push_back({fmt::format("y{}", i), sum(relu(centred * 2 + 1), 1)});
    }
  });
  return cut_out(outputs, {}, times);
}

/// A training step of a deep perceptron: Dense(16, relu) layers, their gradients, and Adam.
Graph mlp(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  CompileOptions options;
  Tensor loss;
  std::vector<Tensor> parameters;
  timed(times.trace, [&] {
    const Tensor x = placeholder(f32, {8, 16}, "x"), target = placeholder(f32, {8, 16}, "target");
    Tensor h = x;
    for (std::int64_t i = 0; i < std::max<std::int64_t>(1, nodes / 66); ++i) {
      Dense layer(16, relu);
      h = layer(h);
      parameters.insert(parameters.end(), layer.parameters().begin(), layer.parameters().end());
    }
    loss = mean(square(h - target));
  });
  const std::vector<Tensor> gradients = timed(times.autodiff, [&] { return grad(loss, parameters); });
  timed(times.trace, [&] {
    OptimizerStep step(state(Array::scalar(1e-3f), "rate"), "adam");
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      step.begin(parameters[i]);
      options.updates.push_back({parameters[i], Adam{}(step, parameters[i], gradients[i])});
    }
    const auto& slots = step.assignments();
    options.updates.insert(options.updates.end(), slots.begin(), slots.end());
  });
  return cut_out({{"loss", loss}}, options, times);
}

/// A recurrent cell, unrolled: h = tanh(h w + x[t] u + b); its gradient summed over all steps, and a step of SGD.
Graph recurrent(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  const std::int64_t steps = std::max<std::int64_t>(1, nodes / 22);
  CompileOptions options;
  Tensor loss;
  std::vector<Tensor> parameters;
  timed(times.trace, [&] {
    const Tensor x = placeholder(f32, {steps, 4, 16}, "x");
    parameters = {parameter({16, 16}), parameter({16, 16}), parameter({16}, zeros())};
    Tensor h = full(f32, {4, 16}, 0);
    for (std::int64_t t = 0; t < steps; ++t) {
      const Tensor now = reshape(slice(x, 0, t, t + 1), {4, 16});
      h = tanh(matmul(h, parameters[0]) + matmul(now, parameters[1]) + parameters[2]);
    }
    loss = mean(square(h));
  });
  const std::vector<Tensor> gradients = timed(times.autodiff, [&] { return grad(loss, parameters); });
  timed(times.trace, [&] {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      options.updates.push_back({parameters[i], parameters[i] - 0.01 * gradients[i]});
  });
  return cut_out({{"loss", loss}}, options, times);
}

/// A balanced tree of sums over inputs.
Graph tree(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  std::vector<Tensor> level;
  timed(times.trace, [&] {
    for (std::int64_t i = 0; i < std::max<std::int64_t>(2, nodes / 2); ++i)
      level.push_back(placeholder(f32, {32}, fmt::format("x{}", i)));
    while (level.size() > 1) {
      std::vector<Tensor> next;
      for (std::size_t i = 0; i + 1 < level.size(); i += 2) next.push_back(level[i] + level[i + 1]);
      if (level.size() % 2) next.push_back(level.back());
      level = std::move(next);
    }
  });
  return cut_out({{"sum", level[0]}}, {}, times);
}

/// One value that thousands of results are computed from, and the gradient with respect to it.
Graph fan_out(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  const std::int64_t readers = std::max<std::int64_t>(1, nodes / 6);
  std::vector<NamedTensor> outputs;
  const Tensor x = placeholder(f32, {64}, "x");
  Tensor total;
  timed(times.trace, [&] {
    const Tensor shared = exp(x);
    for (std::int64_t i = 0; i < readers; ++i) {
      const Tensor y = shared * static_cast<float>(i + 2);
      outputs.push_back({fmt::format("y{}", i), y});
    }
    total = sum(shared);
  });
  timed(times.autodiff, [&] { outputs.push_back({"gradient", grad(total, {x})[0]}); });
  return cut_out(outputs, {}, times);
}

/// One sum and one concatenation of thousands of values, and the gradient of both.
Graph fan_in(std::int64_t nodes, FrontEndTimes& times) {
  GraphScope scope;
  const std::int64_t terms = std::max<std::int64_t>(2, nodes / 10);
  const Tensor x = placeholder(f32, {terms, 8}, "x");
  Tensor joined, loss;
  timed(times.trace, [&] {
    std::vector<Tensor> parts;
    Tensor total;
    for (std::int64_t i = 0; i < terms; ++i) {
      const Tensor row = slice(x, 0, i, i + 1) * 0.5;
      total = total.defined() ? total + row : row;
      parts.push_back(row + 1);
    }
    joined = concat(parts, 0);
    loss = sum(total) + sum(joined);
  });
  const Tensor gradient = timed(times.autodiff, [&] { return grad(loss, {x})[0]; });
  return cut_out({{"joined", joined}, {"loss", loss}, {"gradient", gradient}}, {}, times);
}

/// Random graphs of every op of the table (tests/random_graph.h), side by side in one.
Graph random(std::int64_t nodes, FrontEndTimes&) {
  RandomGraphOptions options;
  options.nodes = 60;
  options.large = 0;
  Graph all;
  for (std::uint64_t seed = 1; all.size() < static_cast<std::size_t>(nodes); ++seed) {
    const Graph g = random_graph(seed, options);
    const auto named = [&](const std::string& name) { return fmt::format("g{}.{}", seed, name); };
    std::vector<ValueId> map(g.size());
    for (const Input& i : g.inputs()) map[i.id] = all.input(named(i.name), g[i.id].type, i.kind, g[i.id].locs);
    for (ValueId v = 0; v < g.size(); ++v) {
      const Node& n = g[v];
      if (n.op == Op::input) continue;
      std::vector<ValueId> operands;
      for (ValueId o : n.operands) operands.push_back(map[o]);
      map[v] = all.add(n.op, std::move(operands), n.attrs, n.type, n.locs);
    }
    for (const Output& o : g.outputs()) all.output(named(o.name), map[o.id]);
    for (const Update& u : g.updates()) all.update(map[u.state], map[u.value]);
  }
  return all;
}

constexpr GraphFamily kFamilies[] = {
    {"chain", "one elementwise op after the other", chain},
    {"wide", "independent small functions", wide},
    {"mlp", "training step of a deep perceptron with Adam", mlp},
    {"recurrent", "an unrolled recurrent cell with its gradient", recurrent},
    {"tree", "a balanced tree of sums", tree},
    {"fan_out", "one value that all results are computed from", fan_out},
    {"fan_in", "a sum and a concatenation of many values, with the gradient", fan_in},
    {"random", "random graphs of every op", random},
};

}  // namespace

std::span<const GraphFamily> graph_families() { return kFamilies; }

const GraphFamily& graph_family(std::string_view name) {
  const auto found = std::ranges::find(kFamilies, name, &GraphFamily::name);
  ensure(found != std::end(kFamilies), "no graph family is called '{}'", name);
  return *found;
}

}  // namespace weft::test

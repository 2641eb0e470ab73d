// The training step that passes, code generation and the runtime are tested on: its graph, built by hand.
#include "mlp_step.h"

#include "ir/graph/build.h"
#include "passes/transform/autodiff.h"

namespace weft {

Graph mlp_step(const MlpStep& m) {
  Graph g;
  g.name = "step";
  Builder b{g, LocSet::of(Loc{"mlp.cpp", 1, 1})};
  auto at = [&](std::uint32_t line) { b.locs = LocSet::of(Loc{"mlp.cpp", line, 3}); };
  auto data = [&](std::string name, const Type& t) { return g.input(std::move(name), t, InputKind::data, b.locs); };
  auto state = [&](std::string name, const Type& t) { return g.input(std::move(name), t, InputKind::state, b.locs); };
  const ValueId images = data("images", {u8, {m.rows, m.widths[0]}}), labels = data("labels", {i32, {m.rows}});
  const ValueId index = data("index", {i32, {m.batch}});

  at(10);
  auto gather = [&](ValueId x) { return b.op(Op::gather, {x, index}, Attrs::axis(0)); };
  ValueId h = b.convert(gather(images), f32);
  h = b.mul(h, b.like(h, 1.0f / 255));
  std::vector<ValueId> params;
  const std::size_t layers = m.widths.size() - 1;
  for (std::size_t l = 0; l < layers; ++l) {
    at(static_cast<std::uint32_t>(20 + l));
    params.push_back(state(fmt::format("w{}", l), {f32, {m.widths[l], m.widths[l + 1]}}));
    params.push_back(state(fmt::format("b{}", l), {f32, {m.widths[l + 1]}}));
    h = b.contract(h, params[2 * l], {1}, {0});
    h = b.add(h, b.broadcast(params[2 * l + 1], b.type(h).shape, {1}));
    if (l + 1 < layers) {  // relu, as the frontend writes it
      const ValueId zero = b.like(h, 0), y = b.op(Op::max, {h, zero});
      h = b.select(b.op(Op::gt, {y, zero}), h, b.op(Op::stop_gradient, {y}));
    }
  }

  at(30);  // loss = mean over rows of log(sum(exp(z - max z))) - (z - max z)[label]
  const Shape shape = b.type(h).shape;
  auto row = [&](ValueId x) { return b.broadcast(x, shape, {0}); };
  const ValueId label = gather(labels);
  const ValueId z = b.sub(h, row(b.op(Op::stop_gradient, {b.reduce(Op::reduce_max, h, 1)})));
  const ValueId log_sum = b.op(Op::log, {b.reduce(Op::reduce_sum, b.op(Op::exp, {z}), 1)});
  const ValueId classes = b.op(Op::iota, {}, Attrs::axis(1), Type{i32, shape});
  const ValueId picked = b.reduce(Op::reduce_sum, b.select(b.op(Op::eq, {classes, row(label)}), z, b.like(z, 0)), 1);
  const ValueId losses = b.sub(log_sum, picked);
  const ValueId scale = b.scalar(f32, 1.0 / static_cast<double>(m.batch));
  const ValueId loss = b.mul(b.reduce(Op::reduce_sum, losses, 0), scale);
  const ValueId right = b.op(Op::eq, {b.op(Op::arg_max, {h}, Attrs::axis(1)), label});
  const ValueId accuracy = b.mul(b.reduce(Op::reduce_sum, b.convert(right, f32), 0), scale);

  at(40);
  const std::vector<ValueId> grads = differentiate(g, loss, params, b.locs);
  const ValueId p1 = state("p1", {f32, {}}), p2 = state("p2", {f32, {}});
  auto f = [&](double v) { return b.scalar(f32, v); };
  const ValueId q1 = b.mul(p1, f(0.9)), q2 = b.mul(p2, f(0.999));
  const ValueId rate = b.div(b.mul(f(1e-3), b.op(Op::sqrt, {b.sub(f(1), q2)})), b.sub(f(1), q1));
  g.update(p1, q1);
  g.update(p2, q2);
  for (std::size_t i = 0; i < params.size(); ++i) {
    const ValueId w = params[i], d = grads[i];
    const Type t = b.type(w);
    const std::string name = fmt::format("{}{}", i % 2 ? "b" : "w", i / 2);
    const ValueId m1 = state(name + ".m", t), v1 = state(name + ".v", t);
    const ValueId m2 = b.add(b.mul(b.like(w, 0.9), m1), b.mul(b.like(w, 0.1), d));
    const ValueId v2 = b.add(b.mul(b.like(w, 0.999), v1), b.mul(b.like(w, 0.001), b.mul(d, d)));
    const ValueId step = b.div(b.mul(b.broadcast(rate, t.shape, {}), m2), b.add(b.op(Op::sqrt, {v2}), b.like(w, 1e-7)));
    g.update(m1, m2);
    g.update(v1, v2);
    g.update(w, b.sub(w, step));
  }
  g.output("loss", loss);
  g.output("accuracy", accuracy);
  return g;
}

std::vector<Array> mlp_inputs(const Graph& g, const MlpStep& m) {
  std::vector<Array> arrays;
  std::uint32_t seed = 12345;
  auto next = [&] { return (seed = seed * 1664525u + 1013904223u) >> 8; };
  for (const Input& i : g.inputs()) {
    Array a(g[i.id].type);
    if (i.name == "images")
      for (auto& x : a.as<std::uint8_t>()) x = static_cast<std::uint8_t>(next() % 3 ? 0 : next());
    else if (i.name == "labels")
      for (auto& x : a.as<std::int32_t>()) x = static_cast<std::int32_t>(next() % 10);
    else if (i.name == "index")
      for (auto& x : a.as<std::int32_t>()) x = static_cast<std::int32_t>(next() % static_cast<std::uint32_t>(m.rows));
    else if (i.name[0] == 'p')
      a.as<float>()[0] = 1;
    else if (i.name.find('.') == std::string::npos)
      for (auto& x : a.as<float>()) x = (static_cast<float>(next() % 2001) - 1000) / 20000;
    arrays.push_back(a);
  }
  return arrays;
}

}  // namespace weft

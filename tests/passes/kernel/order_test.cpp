// The pass `order`: which copies of new states it takes out, where they stay, and that bits are the same with it and
// without it.
#include "passes/kernel/order.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "catch.h"
#include "mlp_step.h"
#include "passes/pipeline.h"
#include "random_graph.h"

using namespace weft;

namespace {

std::vector<std::string> copies_of(const Program& p) {
  std::vector<std::string> names;
  for (const Kernel& k : p.kernels)
    if (k.name.starts_with("copy_")) names.push_back(k.name);
  return names;
}
using Names = std::vector<std::string>;

Program ordered(const std::string& text) {
  Program p = parse_program(text);
  order_kernels(p);
  verify(p);
  const std::string once = print(p);
  order_kernels(p);
  CHECK(print(p) == once);
  return p;
}

/// %w.new = f(%w) in kernel @make, whose load is given, then `between`, then the copy, then `after`.
std::string program(const std::string& load, const std::string& between = "", const std::string& after = "") {
  return "program @p { input %x: f32[4,4] state %w: f32[4,4] temp %w.new: f32[4,4] output %y: f32[4,4] inputs %x, %w "
         "outputs %y updates %w\nkernel @make { axes i=4, j=4 %e0: f32 = " +
         load + " %e1: f32 = load %x[i, j] %e2: f32 = add %e0, %e1 phase (i, j) { map: store %w.new[i, j] = %e2 } }\n" +
         between +
         "kernel @copy_w { axes a=4, b=4 %e0: f32 = load %w.new[a, b] phase (a, b) { map: store %w[a, b] = %e0 } }\n" +
         after + "}";
}
constexpr const char* kReadsOld =
    "kernel @old { axes i=4, j=4 %e0: f32 = load %w[j, i] phase (i, j) { map: store %y[i, j] = %e0 } }\n";
constexpr const char* kReadsNew =
    "kernel @new { axes i=4, j=4 %e0: f32 = load %w.new[j, i] phase (i, j) { map: store %y[i, j] = %e0 } }\n";

std::string kernels_of(const Program& p) {
  std::string names;
  for (const Kernel& k : p.kernels) names += (names.empty() ? "" : " ") + k.name;
  return names;
}

}  // namespace

TEST_CASE("a state is updated in place where nothing needs its old value any more") {
  struct Row {
    const char* why;
    std::string text, kernels;
    Buffer::Kind value;
  };
  const std::string same = "load %w[i, j]";
  const Row rows[] = {
      {"the same place", program(same, "", kReadsOld), "make copy_w old", Buffer::temp},  // which is the new value then
      {"the new value is read", program(same, kReadsNew), "make new", Buffer::view},
      {"the new value is read behind the copy", program(same, "", kReadsNew), "make new", Buffer::view},
      {"who reads the old value goes first", program(same, kReadsOld), "old make", Buffer::view},
      {"its kernel reads other places", program("load %w[j, i]", kReadsNew), "make new copy_w", Buffer::temp},
      {"computed again behind the copy",
       program(same, kReadsNew,
               "kernel @more { axes i=4, j=4 %e0: f32 = load %x[i, j] "
               "phase (i, j) { map: store %w.new[i, j] = %e0 } }\n"),
       "make new copy_w more", Buffer::temp},
      {"stored to besides",
       program(same, kReadsNew,
               "kernel @more { axes i=4, j=4 %e0: f32 = load %x[i, j] phase (i, j) "
               "{ map: store %w[i, j] = %e0 } }\n"),
       "make new copy_w more", Buffer::temp},
  };
  for (const Row& r : rows) {
    INFO(r.why);
    const Program p = ordered(r.text), before = parse_program(r.text);
    CHECK(kernels_of(p) == r.kernels);
    CHECK(p.buffers[2].kind == r.value);
    const std::vector<Array> in = {Array::from<float>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {4, 4}),
                                   Array::from<float>({16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, {4, 4})};
    const Evaluation a = interpret(before, in), b = interpret(p, in);
    CHECK(a.outputs[0].same_bits(b.outputs[0]));
    CHECK(a.states[0].same_bits(b.states[0]));
  }
}

TEST_CASE("a training step copies no state; states that change places copy one") {
  CHECK(copies_of(make_program(optimize(mlp_step()), CpuTarget{})) == Names{});
  const Graph swap = optimize(
      parse_graph("func @f(state %a: f32[3], state %b: f32[3]) { update %a = %b update %b = %a return z = %a }"));
  const Program p = make_program(swap, CpuTarget{}, {.verify = true});
  const std::vector<Array> in = {Array::from<float>({1, 2, 3}, {3}), Array::from<float>({4, 5, 6}, {3})};
  const Evaluation found = interpret(p, in), expected = interpret(swap, in);
  for (std::size_t i = 0; i < 2; ++i) CHECK(found.states[i].same_bits(expected.states[i]));
  CHECK(found.outputs[0].same_bits(expected.outputs[0]));
}

TEST_CASE("programs are right in the order that lowering gives them, too") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Graph g = optimize(test::random_graph(seed, {.nodes = 40}));
    INFO("seed " << seed);
    test::Rng rng(seed);
    std::vector<Array> in;
    for (const Input& i : g.inputs()) in.push_back(test::random_array(g[i.id].type, rng));
    const Evaluation with = interpret(make_program(g, CpuTarget{}, {.verify = true}), in),
                     without = interpret(make_program(g, CpuTarget{}, {.verify = true, .disable = {"order"}}), in);
    for (std::size_t i = 0; i < with.outputs.size(); ++i) CHECK(with.outputs[i].same_bits(without.outputs[i]));
    for (std::size_t i = 0; i < with.states.size(); ++i) CHECK(with.states[i].same_bits(without.states[i]));
  }
}

TEST_CASE("a kernel that loads the old value after it has stored the new one does not store it in place") {
  const struct {
    const char* why;
    const char* phases;
  } rows[] = {
      {"in the next phase", "phase (m, n) { map: store %t[m, n] = %e0 } phase (m, n) { map: store %u[m, n] = %e1 }"},
      {"in the next stage",
       "phase (m) { map over n: store %t[m, n] = %e0 %a0 = reduce_sum over n striped: %e1 map over n: store %u[m, n] = "
       "%e2 }"},
      {"in the next map of a point", "phase (m, n) { map: store %t[m, n] = %e0 map: store %u[m, n] = %e1 }"},
  };
  for (const auto& row : rows) {
    INFO(row.why);
    const std::string text =
        "program @p { input %x: f32[4,8] state %s: f32[4,8] temp %t: f32[4,8] output %u: f32[4,8] inputs %x, %s "
        "outputs %u updates %s\nkernel @a { axes m=4, n=8 %e0: f32 = load %x[m, n] %e1: f32 = load %s[m, n] " +
        std::string(std::string(row.phases).find("%a0") != std::string::npos ? "%e2: f32 = accumulator %a0 " : "") +
        row.phases +
        " }\nkernel @copy_s { axes a=4, b=8 %e0: f32 = load %t[a, b] phase (a, b) { map: store %s[a, b] = %e0 } } }";
    const Program as_written = parse_program(text), p = ordered(text);
    CHECK(copies_of(p) == Names{"copy_s"});
    test::Rng rng(3);
    const std::vector<Array> inputs{test::random_array({f32, {4, 8}}, rng), test::random_array({f32, {4, 8}}, rng)};
    const Evaluation expected = interpret(as_written, inputs), found = interpret(p, inputs);
    CHECK(found.outputs[0].same_bits(expected.outputs[0]));
    CHECK(found.states[0].same_bits(expected.states[0]));
  }
}

TEST_CASE("rows of one buffer that kernels store one after the other are ordered in time in proportion") {
  const auto seconds = [](int n) {
    std::string text = fmt::format("program @p {{ input %x: f32[4] temp %t: f32[{},4] inputs %x\n", n);
    for (int i = 0; i < n; ++i)
      text += fmt::format("kernel @k{} {{ axes i=4 %e0: f32 = load %{} phase (i) {{ map: store %t[{}, i] = %e0 }} }}\n",
                          i, i ? fmt::format("t[{}, i]", i - 1) : "x[i]", i);
    const Program p = parse_program(text + "}");
    double best = HUGE_VAL;  // of CPU time: other processes do not count
    for (int round = 0; round < 3; ++round) {
      Program q = p;
      const auto start = std::clock();
      order_kernels(q);
      best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
      CHECK(kernels_of(q) == kernels_of(p));
    }
    return best;
  };
  CHECK(seconds(4000) < 30 * std::max(seconds(500), 1e-3));  // 8 times the kernels; 64 would be quadratic
}

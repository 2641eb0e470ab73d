// The fuzzer: its corpus, and what a text goes through (tests/fuzz/fuzzer.h).
#include "fuzzer.h"

#include <algorithm>
#include <map>

#include "codegen/codegen.h"
#include "codegen/device.h"
#include "ir/base/at.h"
#include "ir/graph/body.h"
#include "ir/kernel/kernel_walk.h"
#include "ir/kernel/panels.h"
#include "mutate.h"
#include "passes/graph/fuse.h"
#include "passes/kernel/memory.h"
#include "passes/pipeline.h"
#include "passes/schedule/schedule.h"
#include "plain_program.h"
#include "random_graph.h"
#include "runtime/device/device_executor.h"
#include "runtime/emulator/emulator.h"
#include "runtime/host/executor.h"

namespace weft::test {
namespace {

constexpr int kCorpus = 300;
constexpr std::size_t kLongest = 6000;     // bytes of a text that others are made from
constexpr std::int64_t kElements = 4000;   // of a buffer or value, in what is run
constexpr std::int64_t kSteps = 20'000;    // of a program that is run
constexpr std::int64_t kMemory = 1 << 24;  // bytes of an arena, and of scratch space, in what is run

bool is_small(const Type& t) { return is_static(t.shape) && element_count(t.shape) <= kElements; }

bool is_small(const Program& p) {
  if (p.arena_bytes > kMemory) return false;
  for (const Buffer& b : p.buffers)
    if (!is_small(b.type)) return false;
  double steps = 0;
  for (const Kernel& k : p.kernels)
    for (const Phase& phase : k.phases) {
      double points = 1;
      for (AxisId a : phase.parallel) points *= static_cast<double>(at(k.axes, a).extent);
      for (const KernelStage& s : phase.stages) {
        double of_stage = points;
        for (AxisId a : axes_of(s)) of_stage *= static_cast<double>(at(k.axes, a).extent);
        steps += of_stage;
      }
    }
  return steps <= kSteps;
}

std::vector<Array> inputs_of(const Program& p, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Array> inputs;
  for (BufferId id : p.inputs) {
    // Integers may be indices: most of them small.
    Array a = random_array(at(p.buffers, id).type, rng, rng.chance(0.3) ? Values::special : Values::tame);
    inputs.push_back(std::move(a));
  }
  return inputs;
}

Evaluation run_on(ProgramExecutor& executor, const Program& p, const std::vector<Array>& inputs, bool panels) {
  std::map<BufferId, Array> bound;
  const auto width = [&](BufferId id) { return panels ? at(p.buffers, id).panels : 0; };
  for (std::size_t i = 0; i < inputs.size(); ++i)
    executor.bind(i, bound[p.inputs[i]] = to_panels(inputs[i], width(p.inputs[i])));
  executor.run();
  Evaluation e;
  for (std::size_t i = 0; i < p.outputs.size(); ++i) e.outputs.push_back(executor.output(i).clone());
  for (BufferId id : p.updates) e.states.push_back(from_panels(bound.at(id), width(id)));
  return e;
}

Evaluation run_compiled(std::shared_ptr<const Program> p, const std::vector<Array>& inputs, int threads) {
  static const std::shared_ptr<ThreadTeam> teams[] = {std::make_shared<ThreadTeam>(1), std::make_shared<ThreadTeam>(2)};
  CodegenOptions options{.threads = 1, .verify = true};
  Image image = compile(p, host_target(), options);
  for (KernelCode& code : image.code) code.cost = 1e9;  // shared out, however small
  Executor executor(std::move(image), teams[threads - 1]);
  return run_on(executor, *p, inputs, true);
}

Evaluation run_emulated(const Program& program, const std::vector<Array>& inputs, bool checking) {
  static const std::shared_ptr<Device> devices[] = {make_emulator({.threads = 1}),
                                                    make_emulator({.threads = 1, .check = true})};
  auto p = std::make_shared<Program>(program);
  for (Buffer& b : p->buffers) b.panels = 0;  // a CPU's
  complete_schedules(*p, GpuTarget{});
  DeviceExecutor executor(compile_device(p, GpuTarget{}, {}), devices[checking]);
  return run_on(executor, *p, inputs, false);
}

std::string difference_of(const Evaluation& found, const Evaluation& expected) {
  const auto compare = [](const char* what, const std::vector<Array>& a, const std::vector<Array>& b) -> std::string {
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!a[i].same_bits(b[i])) return fmt::format("{} {}: found {}, expected {}", what, i, a[i].str(), b[i].str());
    return "";
  };
  const std::string outputs = compare("output", found.outputs, expected.outputs);
  return outputs.empty() ? compare("state", found.states, expected.states) : outputs;
}

bool has_chunks(const Program& p) {
  return std::ranges::any_of(p.kernels, [](const Kernel& k) {
    return std::ranges::any_of(k.phases, [](const Phase& phase) { return phase.chunk > 0; });
  });
}
bool has_panels(const Program& p) {
  return std::ranges::any_of(p.buffers, [](const Buffer& b) { return b.panels > 0; });
}

std::string execute_program(const std::string& text, std::uint64_t seed, const FuzzShares& shares, FuzzCounts& counts) {
  Program parsed;
  try {
    parsed = parse_program(text);
  } catch (const Error& e) {
    return std::string_view(e.what()).starts_with("<text>:") ? ""
                                                             : fmt::format("an error without a place: {}", e.what());
  }
  ++counts.accepted;
  const std::string once = print(parsed, true);
  if (print(parse_program(once), true) != once) return "print does not parse back to the same text:\n" + once;

  Rng rng(seed ^ 0x9e3779b97f4a7c15u);
  const auto one_in = [&](int n) { return n > 0 && rng.below(n) == 0; };
  if (one_in(shares.generate)) {
    ++counts.generated;
    Program made = parsed;
    if (rng.chance(0.5) || has_chunks(parsed) || has_panels(parsed)) {
      if (rng.chance(0.2)) complete_schedules(made, host_target());
      emit_llvm(made, host_target());
    } else {
      if (rng.chance(0.8)) complete_schedules(made, GpuTarget{});
      device_functions(made, GpuTarget{});
    }
  }
  if (!is_small(parsed)) return "";
  const std::vector<Array> inputs = inputs_of(parsed, seed);
  Evaluation expected;
  bool outside = false;
  try {
    expected = interpret(parsed, inputs);
    ++counts.interpreted;
  } catch (const Error& e) {
    ++counts.refused;
    const std::string what = e.what();
    outside = what.find("is outside") != what.npos;
    if (!outside && what.find("a race at") == what.npos) return "the interpreter: " + what;
    if (!what.starts_with("<text>:") && what.find(": error: kernel @") == what.npos) return "no place: " + what;
    if (!outside) return "";
  }
  if (!one_in(shares.compile)) return "";
  if (parsed.arena_bytes == 0) plan_memory(parsed);
  if (!outside && rng.chance(0.3)) parsed.check_indices = false;  // as if from lowering: nothing is outside
  const bool emulated = !has_chunks(parsed) && !(outside && !parsed.check_indices) && rng.chance(0.4);
  try {
    Evaluation found;
    if (emulated) {
      ++counts.emulated;
      found = run_emulated(parsed, inputs, rng.chance(0.3));
    } else {
      ++counts.compiled;
      found = run_compiled(std::make_shared<const Program>(parsed), inputs, rng.chance(0.5) ? 1 : 2);
    }
    if (outside) return "an index outside its buffer was not found";
    if (const std::string d = difference_of(found, expected); !d.empty())
      return fmt::format("{}: {}", emulated ? "emulated" : "compiled", d);
  } catch (const InternalError& e) {
    // The interpreter ended at the index; what it would have found behind that, the emulator may find before.
    if (!outside || std::string_view(e.what()).find("race on") == std::string_view::npos) throw;
  } catch (const Error& e) {
    if (!outside || std::string_view(e.what()).find("is outside") == std::string_view::npos)
      return fmt::format("{}: {}", emulated ? "emulated" : "compiled", e.what());
  }
  return "";
}

bool is_small(const Graph& g) {
  constexpr std::int64_t kTurns = 16;
  for (ValueId id = 0; id < g.size(); ++id) {
    const Node& n = g[id];
    if (!is_tuple(n.type) && !is_small(n.type)) return false;
    if (n.op == Op::scan && n.attrs.scalar(Attr::length) > kTurns) return false;
    if (!std::ranges::all_of(n.attrs.bodies, [](const BodyRef& body) { return is_small(*body->graph); })) return false;
  }
  return true;
}

std::string execute_graph(const std::string& text, std::uint64_t seed, const FuzzShares& shares, FuzzCounts& counts) {
  Graph parsed;
  try {
    parsed = parse_graph(text);
  } catch (const Error& e) {
    return std::string_view(e.what()).starts_with("<text>:") ? ""
                                                             : fmt::format("an error without a place: {}", e.what());
  }
  ++counts.accepted;
  verify(parsed);
  const std::string once = print(parsed, {.locs = true});
  if (print(parse_graph(once), {.locs = true}) != once) return "print does not parse back to the same text:\n" + once;
  if (!is_small(parsed)) return "";
  const std::vector<Array> inputs = random_inputs(parsed, seed, Values::special);
  const Evaluation expected = interpret(parsed, inputs);
  ++counts.interpreted;
  Rng rng(seed ^ 0x9e3779b97f4a7c15u);
  const auto one_in = [&](int n) { return n > 0 && rng.below(n) == 0; };
  if (!one_in(shares.generate)) return "";
  PipelineOptions options;
  options.verify = true;
  const bool plain = rng.chance(0.5);
  if (plain) options.disable = kCpuPasses;
  const auto program =
      std::make_shared<const Program>(make_program(optimize(without_groups(parsed), options), host_target(), options));
  ++counts.generated;
  const auto check = [&](const char* what, const Evaluation& found) {
    const std::string d = difference_of(found, expected);
    return d.empty() ? "" : fmt::format("{}: {}", what, d);
  };
  if (const std::string d = check("kernels", interpret(*program, inputs)); !d.empty()) return d;
  if (!one_in(std::max(1, shares.compile / std::max(1, shares.generate)))) return "";
  if (plain && rng.chance(0.5)) {
    ++counts.emulated;
    return check("emulated", run_emulated(*program, inputs, rng.chance(0.3)));
  }
  ++counts.compiled;
  return check("compiled", run_compiled(program, inputs, rng.chance(0.5) ? 1 : 2));
}

}  // namespace

FuzzCounts& FuzzCounts::operator+=(const FuzzCounts& o) {
  executions += o.executions, accepted += o.accepted, interpreted += o.interpreted, refused += o.refused;
  generated += o.generated, compiled += o.compiled, emulated += o.emulated;
  return *this;
}

Fuzzer::Fuzzer(Fuzzed what) : what_(what) {
  CpuTarget plain, wide;  // not this machine: the same texts everywhere
  wide.vector_bytes = 64, wide.vector_registers = 32, wide.fma = true;
  for (std::uint64_t seed = 1; corpus_.size() < kCorpus; ++seed) {
    RandomGraphOptions options{.nodes = static_cast<int>(2 + seed % 9), .large = 0, .bodies = seed % 4 == 1};
    if (seed % 3 == 0)  // what schedules, indices and phases are about
      options.ops = {Op::contract,    Op::contract, Op::add,    Op::mul, Op::max,       Op::reduce_sum,
                     Op::scatter_add, Op::gather,   Op::concat, Op::pad, Op::reduce_max};
    Graph g = random_graph(seed, options);
    std::string text;
    if (what == Fuzzed::graphs) {
      text = print(seed % 3 ? g : optimize(g), {.locs = seed % 2 == 0});
    } else {
      PipelineOptions pipeline;
      if (seed % 2 == 1) pipeline.disable = kCpuPasses;
      text = print(make_program(optimize(g),
                                seed % 5 < 2   ? Target(plain)
                                : seed % 5 < 4 ? Target(wide)
                                               : Target(GpuTarget{}),
                                pipeline),
                   seed % 4 == 0);
    }
    if (text.size() <= kLongest) corpus_.push_back(std::move(text));
  }
}

std::string Fuzzer::text(std::uint64_t seed) const {
  Rng rng(seed);
  std::string text = rng.pick(corpus_);
  if (what_ == Fuzzed::programs && rng.chance(0.75)) {
    Program p = parse_program(text);
    mutate(p, rng);
    text = print(p, false);
    if (rng.chance(0.8)) return text;
  }
  return mutate(std::move(text), rng);
}

std::string Fuzzer::execute(const std::string& text, std::uint64_t seed, const FuzzShares& shares,
                            FuzzCounts& counts) const {
  ++counts.executions;
  try {
    return what_ == Fuzzed::graphs ? execute_graph(text, seed, shares, counts)
                                   : execute_program(text, seed, shares, counts);
  } catch (const std::exception& e) {
    return fmt::format("an exception: {}", e.what());
  }
}

}  // namespace weft::test

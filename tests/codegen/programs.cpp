// Programs built by hand, and a minimal runtime.
#include "programs.h"

#include <algorithm>
#include <cstring>

#include "device_under_test.h"
#include "error_of.h"
#include "ir/kernel/kernel_builder.h"
#include "ir/memory/panels.h"
#include "ir/ops/sum_order.h"

namespace weft {

BufferId ProgramBuilder::buffer(Buffer::Kind kind, DType t, const Shape& shape) {
  const auto id = static_cast<BufferId>(p_.buffers.size());
  p_.buffers.push_back({.kind = kind, .name = "b" + std::to_string(id), .type = {t, shape}});
  if (kind == Buffer::input || kind == Buffer::state) p_.inputs.push_back(id);
  if (kind == Buffer::output) p_.outputs.push_back(id);
  if (kind == Buffer::state) p_.updates.push_back(id);
  return id;
}

AxisId HandBuilder::axis(const std::string& name, std::int64_t extent) {
  k_.axes.push_back({name, extent});
  return static_cast<AxisId>(k_.axes.size()) - 1;
}

ExprId HandBuilder::constant(DType t, double v) {
  Expr e{.kind = Expr::constant, .dtype = t};
  const Array a = Array::filled({t, {}}, v);
  std::memcpy(&e.bits, a.data(), a.bytes());
  return add(e);
}

ExprId HandBuilder::load(BufferId b, std::vector<Index> access, ExprId predicate) {
  Expr e{.kind = Expr::load, .dtype = p_.buffers[static_cast<std::size_t>(b)].type.dtype};
  if (predicate != kNone) e.args = {predicate};
  e.buffer = b;
  e.access = std::move(access);
  return add(e);
}

ExprId HandBuilder::add(Expr e) {
  KernelBuilder b(std::move(k_));
  const ExprId id = b.add(std::move(e));
  k_ = std::move(b.kernel);
  return id;
}

KernelStage map_stage(std::vector<Store> stores, AxisId axis) {
  KernelStage s;
  s.axis = axis;
  s.stores = std::move(stores);
  return s;
}

KernelStage reduce_stage(std::int32_t result, Op op, AxisId axis, ExprId value, bool striped) {
  KernelStage s;
  s.kind = KernelStage::reduce;
  s.axis = axis, s.result = result, s.op = op, s.order = striped ? FoldOrder::striped : FoldOrder::sequential,
  s.value = value;
  return s;
}

Array random_array(const Type& type, std::uint32_t seed, bool edges) {
  std::mt19937 gen(seed);
  Array a(type);
  visit_dtype(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    using L = std::numeric_limits<T>;
    for (T& x : a.as<T>()) {
      const std::uint32_t r = gen();
      const bool edge = edges && r % 8 == 0;
      const std::uint32_t pick = r / 8 % 8;
      if constexpr (std::is_same_v<T, bool>) {
        x = r & 1;
      } else if constexpr (std::is_floating_point_v<T>) {
        const T special[] = {
            0,       -T{0}, L::infinity(), -L::infinity(), L::quiet_NaN(), L::denorm_min() * 5, -L::denorm_min() * 5,
            L::max()};
        x = edge ? special[pick] : static_cast<T>(std::normal_distribution<double>(0, 2)(gen));
      } else {
        const T special[] = {0, 1, static_cast<T>(-1), L::min(), L::max(), 31, 32, 64};
        x = edge ? special[pick] : static_cast<T>(static_cast<std::int32_t>(gen()) >> (r / 64 % 31));
      }
    }
  });
  return a;
}

std::vector<Array> random_inputs(const Program& p, std::uint32_t seed, bool edges) {
  std::vector<Array> inputs;
  for (BufferId id : p.inputs)
    inputs.push_back(random_array(p.buffers[static_cast<std::size_t>(id)].type, seed++, edges));
  return inputs;
}

namespace {

/// A program's buffers during one run.
struct Buffers {
  std::vector<Array> memory;
  std::vector<std::byte*> base;
};
Buffers buffers_of(const BufferTable& p, std::span<const Array> inputs) {
  Buffers run;
  run.memory.resize(p.buffers.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto id = static_cast<std::size_t>(p.inputs[i]);
    run.memory[id] = to_panels(inputs[i], p.buffers[id].panels);
  }
  for (std::size_t i = 0; i < p.buffers.size(); ++i) {
    const Buffer& b = p.buffers[i];
    if (b.kind == Buffer::constant) run.memory[i] = *b.literal;
    if (b.kind == Buffer::output || b.kind == Buffer::temp) run.memory[i] = Array(b.type);
    run.base.push_back(b.kind == Buffer::view ? run.base[static_cast<std::size_t>(b.base)] : run.memory[i].data());
  }
  return run;
}

Evaluation results_of(const BufferTable& p, const Buffers& run) {
  Evaluation e;
  for (BufferId id : p.outputs) e.outputs.push_back(run.memory[static_cast<std::size_t>(id)]);
  for (BufferId id : p.updates) {
    const auto i = static_cast<std::size_t>(id);
    e.states.push_back(from_panels(run.memory[i], p.buffers[i].panels));
  }
  return e;
}

}  // namespace

Evaluation run_artifact(const HostArtifact& artifact, std::span<const Array> inputs, const Cuts& cuts) {
  const BufferTable& p = *artifact.memory;
  const Buffers run = buffers_of(p, inputs);
  FlushSubnormals flush;
  for (std::size_t i = 0; i < artifact.launches.size(); ++i) {
    const HostLaunch& l = artifact.launches[i];
    Array scratch(Type{u8, {std::max<std::int64_t>(l.scratch_bytes, 1)}});
    std::memset(scratch.data(), 0xff, scratch.bytes());  // code that reads what it has not written computes with NaN
    std::int64_t begin = 0;
    for (std::int64_t end : cuts ? cuts(l.units) : std::vector{l.units}) {
      artifact.code.functions[i](run.base.data(), begin, end, scratch.data());
      begin = end;
    }
  }
  return results_of(p, run);
}

const std::vector<CpuTarget>& runnable_targets() {
  static const std::vector<CpuTarget> targets = [] {
    std::vector<CpuTarget> t{host_target(), target_for("x86-64-v2")};
    if (host_target().vector_bytes >= 32 && host_target().fma) t.push_back(target_for("x86-64-v3"));
    return t;
  }();
  return targets;
}

const std::vector<CpuTarget>& played_cpus() {
  static const std::vector<CpuTarget> targets = [] {
    const std::string message = error_of([] { target_for("?"); });  // ends in their names
    std::string names = message.substr(message.find("expected one of ") + 16) + ", ";
    std::vector<CpuTarget> t;
    for (std::size_t end; (end = names.find(", ")) != names.npos; names.erase(0, end + 2)) {
      const std::string cpu = names.substr(0, end);
      (void)error_of([&] { t.push_back(target_for(cpu, host_target())); });  // one that cannot run here is left out
    }
    return t;
  }();
  return targets;
}

std::string difference(const Evaluation& found, const Evaluation& expected) {
  auto compare = [](const char* what, const std::vector<Array>& a, const std::vector<Array>& b) -> std::string {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i].same_bits(b[i])) continue;
      for (std::int64_t j = 0; j < a[i].size(); ++j) {
        const Array x = a[i].reshaped({a[i].size()}).rows(j, j + 1), y = b[i].reshaped({a[i].size()}).rows(j, j + 1);
        if (!x.same_bits(y))
          return fmt::format("{} {} {} at {}: found {}, expected {}", what, i, to_string(a[i].type()), j, x.str(),
                             y.str());
      }
    }
    return {};
  };
  const std::string outputs = compare("output", found.outputs, expected.outputs);
  return outputs.empty() ? compare("state", found.states, expected.states) : outputs;
}

std::string check(const Program& program, std::span<const CpuTarget> targets) {
  const Cuts pieces = [](std::int64_t units) {
    std::mt19937 gen(7);
    std::vector<std::int64_t> ends{0};  // the first range is empty
    while (ends.back() < units)
      ends.push_back(std::min<std::int64_t>(units, ends.back() + 1 + gen() % (1 + units / 3)));
    return ends;
  };
  const std::vector<Array> ordinary = random_inputs(program, 1, false), awkward = random_inputs(program, 2, true);
  const std::pair<const std::vector<Array>&, Cuts> runs[] = {{ordinary, pieces}, {awkward, {}}};
  std::vector<Evaluation> expected;
  for (const auto& run : runs) expected.push_back(interpret(program, run.first));
  for (const CpuTarget& target : test::only_device() ? std::span<const CpuTarget>{} : targets) {
    const HostArtifact artifact = compile(program, target, {.threads = 1, .verify = true});
    for (std::size_t i = 0; i < expected.size(); ++i)
      if (const std::string d = difference(run_artifact(artifact, runs[i].first, runs[i].second), expected[i]);
          !d.empty())
        return fmt::format("{}, run {}: {}\n{}", target.cpu, i, d, print(program));
  }
  static std::size_t turn = 0;  // another GPU at each call: callers have loops of their own
  const bool chunks = std::ranges::any_of(program.kernels, [](const Kernel& k) {
    return std::ranges::any_of(k.phases, [](const Phase& phase) { return phase.chunk > 0; });
  });
  if (chunks) return "";  // a CPU's
  const GpuTarget& gpu = test::device_targets()[turn++ % test::device_targets().size()];
  if (const std::string d = difference(test::run_on_device(program, awkward, gpu), expected[1]); !d.empty())
    return fmt::format("{} as if of {} multiprocessors: {}\n{}", test::device_under_test()->name(), gpu.multiprocessors,
                       d, print(program));
  return {};
}

std::string check_next_target(const std::function<Program(const CpuTarget&)>& make) {
  static std::size_t turn = 0;
  const std::size_t n = runnable_targets().size();
  const CpuTarget& target =
      runnable_targets()[(turn + turn / n) % n];  // shifted at each round: callers have loops of their own
  ++turn;
  return check(make(target), {&target, 1});
}

}  // namespace weft

// PTX: every op on every dtype goes through ptxas, and through a list of the instructions that keep the numerics
// contract.
#include <regex>
#include <set>
#include <sstream>

#include "catch.h"
#include "codegen/device.h"
#include "error_of.h"
#include "ir/graph/graph.h"
#include "passes/pipeline.h"
#include "ptxas.h"
#include "random_graph.h"

using namespace weft;

namespace {

using Functions = std::vector<simt::Function>;
constexpr const char* kArchs[] = {"sm_80", "sm_90a"};

/// Adds the device code of a graph, under names that begin with `prefix`.
void add(Functions& all, const Graph& g, const std::string& prefix, const GpuTarget& target,
         const PipelineOptions& options) {
  for (simt::Function& f : device_functions(make_program(optimize(g, options), target, options), target)) {
    f.name = prefix + "_" + f.name;
    all.push_back(std::move(f));
  }
}

/// Whether the graph applies `op` to an operand (a leaf: with a result) of dtype `t`.
bool applies(const Graph& g, Op op, DType t) {
  for (ValueId id = 0; id < g.size(); ++id)
    if (g[id].op == op && (g[id].operands.empty() ? g[id] : g[g[id].operands[0]]).type.dtype == t) return true;
  return false;
}

/// Device code of small random graphs, which no pass simplifies: each op of the table on each of its dtypes, and
/// conversions to every dtype. (`size` is a constant by then.)
Functions op_table(const GpuTarget& target) {
  const PipelineOptions plain{.disable = {"fold", "simplify", "simplify-canonical"}};
  Functions all;
  for (int o = 0; o < kOpCount; ++o) {
    const Op op = static_cast<Op>(o);
    for (DType t : kAllDTypes) {
      if (op == Op::input || op == Op::size || !in_set(t, info(op).dtypes)) continue;
      int found = 0;
      for (std::uint64_t seed = 0; seed < 400 && found < (op == Op::convert ? 8 : 1); ++seed) {
        const Graph g = test::random_graph(
            seed, {.nodes = 3, .ops = {op}, .dtypes = {t}, .large = 0.1, .empty = 0, .layers = false});
        if (!applies(g, op, t)) continue;
        ++found;
        add(all, g, fmt::format("{}_{}", name(op), name(t)), target, plain);
      }
      INFO("no random graph has " << name(op) << " on " << name(t));
      CHECK(found > 0);
    }
  }
  return all;
}

/// Products of square, wide, narrow and odd shapes; f32 in all four layouts.
Functions contractions(const GpuTarget& target) {
  struct Extents {
    int m, n, k;
  };
  Functions all;
  for (const char* t : {"f32", "f64", "i32", "i64"}) {
    const int layouts = std::string(t) == "f32" ? 4 : 1;
    if (layouts == 1 && target.numerics != Numerics::exact) continue;  // f32 alone has tensor cores
    for (auto [m, n, k] : {Extents{1024, 1024, 1024},
                           {128, 512, 784},
                           {784, 512, 128},
                           {128, 10, 256},
                           {17, 33, 65},
                           {1, 512, 784},
                           {2000, 3, 5000}})
      for (int layout = 0; layout < layouts; ++layout) {
        const bool x_t = layout & 1, y_t = layout & 2;
        const std::string text = fmt::format(
            "func @f(%x: {0}[{1}], %y: {0}[{2}]) {{\n  %0 = contract %x, %y {{lhs=[{3}], rhs=[{4}]}} : {0}[{5},{6}]\n  "
            "return %0\n}}\n",
            t, x_t ? fmt::format("{},{}", k, m) : fmt::format("{},{}", m, k),
            y_t ? fmt::format("{},{}", n, k) : fmt::format("{},{}", k, n), x_t ? 0 : 1, y_t ? 1 : 0, m, n);
        add(all, parse_graph(text),
            fmt::format("{}_{}_{}x{}x{}_{}{}", name(target.numerics), t, m, n, k, x_t ? "t" : "n", y_t ? "t" : "n"),
            target, {.numerics = target.numerics});
      }
  }
  return all;
}

/// Assembles the functions, none of which may spill.
void check_assembled(const Functions& functions, const std::string& arch) {
  const PtxModule ptx = emit_ptx(functions, gpu_target(arch));
  CHECK(std::set(ptx.entries.begin(), ptx.entries.end()).size() == functions.size());
  if (test::ptxas().empty()) {
    WARN(test::kNoPtxas);
    return;
  }
  const test::PtxReport report = test::assemble(ptx.text, arch);
  CHECK(report.errors == "");
  CHECK(report.functions.size() == functions.size());
  for (const test::PtxUse& f : report.functions) {
    INFO(arch << " " << f.function);
    CHECK(f.spilled() == 0);
  }
}

}  // namespace

TEST_CASE("GPU targets: names, and an unknown name") {
  CHECK(gpu_target("sm_80").multiprocessors == 108);
  CHECK(gpu_target("sm_90a").shared_bytes == 227 << 10);
  CHECK(error_of([] { gpu_target("sm_12"); }) ==
        "unknown GPU 'sm_12'; expected one of sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a");
}

TEST_CASE("ptxas: every op on every dtype") {
  for (const std::string arch : kArchs) check_assembled(op_table(gpu_target(arch)), arch);
}

TEST_CASE("ptxas: contractions in every numerics") {
  for (const std::string arch : kArchs)
    for (Numerics numerics : {Numerics::exact, Numerics::fast, Numerics::bf16}) {
      GpuTarget target = gpu_target(arch);
      target.numerics = numerics;
      check_assembled(contractions(target), arch);
    }
}

TEST_CASE("float instructions are those that round and flush as the contract says") {
  // f32 flushes in hardware; what has no .ftz moves bits, or starts from integers. f64 has no .ftz: there, the code is.
  const std::regex allowed(
      R"((mov|selp|(ld|st)\.(global|global\.nc|shared|const|param)(\.v[24])?)\.f(32|64))"
      R"(|(add|mul|div|fma|sqrt)\.rn\.ftz\.f32|(neg|abs)\.ftz\.f32|setp\.[a-z]+\.ftz\.f32)"
      R"(|(add|sub|mul|div|fma|sqrt|rcp)\.rn\.f64|(neg|abs)\.f64|setp\.[a-z]+\.f64)"
      R"(|cvt\.rn\.f(32|64)\.[us](8|16|32|64)|cvt\.rzi\.(ftz\.s(32|64)\.f32|s(32|64)\.f64))"
      R"(|cvt\.(rmi|rpi|rni)\.(ftz\.f32\.f32|f64\.f64)|cvt\.rn\.ftz\.f32\.f64|cvt\.ftz\.f64\.f32)");
  const std::regex instruction(R"(^\t(?:@!?%p[0-9]+[ \t]+)?([a-z][a-z0-9_.:]*))"),
      real(R"(\.(f16|bf16|f32|f64|tf32)\b)");
  const PtxModule ptx = emit_ptx(op_table(gpu_target("sm_90a")), gpu_target("sm_90a"));
  std::set<std::string> found, others;
  std::istringstream lines(ptx.text);
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    CHECK(line.find("llvm.") == line.npos);
    if (!std::regex_search(line, match, instruction)) continue;
    const std::string op = match[1];
    CHECK(op.find("call") == op.npos);
    if (std::regex_search(op, real)) (std::regex_match(op, allowed) ? found : others).insert(op);
  }
  CHECK(others == std::set<std::string>{});
  for (const char* op : {"add.rn.ftz.f32", "fma.rn.ftz.f32", "mul.rn.f64", "sqrt.rn.ftz.f32", "cvt.rni.f64.f64"})
    CHECK(found.contains(op));
}

// Inner loops stay off the stack: what a loop of multiply-adds spills, it stores and loads again at every turn.
#include <algorithm>
#include <sstream>

#include "catch.h"
#include "mlp_step.h"
#include "passes/pipeline.h"
#include "passes/schedule/cpu.h"
#include "passes/schedule/schedule.h"
#include "programs.h"

using namespace weft;

namespace {

constexpr const char* kCpus[] = {"znver3", "haswell", "skylake-avx512", "znver4"};  // 16 registers and 32

using Lines = std::vector<std::string>;

/// A loop of assembly: the lines from a label to the last jump back to it, which is conditional but in microkernels.
/// (Elsewhere one that is not may come from rarely executed code and lead to where that left the loop.)
struct Loop {
  std::string function;
  Lines lines;
  bool innermost = true;

  bool any(std::initializer_list<const char*> all_of) const {
    return std::ranges::any_of(lines, [&](const std::string& l) {
      return std::ranges::all_of(all_of, [&](const char* part) { return l.find(part) != l.npos; });
    });
  }
  /// Fused ones, on vectors.
  bool multiplies_and_adds() const {
    return any({"\tvfm", "ps\t"}) || any({"\tvfm", "pd\t"}) || any({"\tvfnm", "ps\t"}) || any({"\tvfnm", "pd\t"});
  }
};

std::vector<Loop> loops_of(const std::string& assembly) {
  std::vector<Loop> loops;
  std::istringstream text(assembly);
  std::string function;
  Lines lines;
  const auto flush = [&] {
    std::vector<std::pair<std::size_t, std::size_t>> found;
    for (std::size_t first = 0; first < lines.size(); ++first) {
      if (lines[first].find(".L") != 0) continue;
      const std::string label = lines[first].substr(0, lines[first].find(':'));
      for (std::size_t last = lines.size(); last-- > first;) {
        const std::string& l = lines[last];
        if (l.find("\tj") != 0 || l.substr(l.find_last_of('\t') + 1) != label) continue;
        if (l.find("\tjmp") == 0 && function.find("_micro") == function.npos) continue;
        found.emplace_back(first, last);
        break;
      }
    }
    for (auto [first, last] : found) {
      Loop l{function, {lines.begin() + static_cast<long>(first), lines.begin() + static_cast<long>(last) + 1}};
      for (auto [f, t] : found) l.innermost &= f <= first || t > last;
      loops.push_back(l);
    }
    lines.clear();
  };
  for (std::string line; std::getline(text, line);) {
    const bool label = !line.empty() && line[0] != '\t' && line[0] != '#';
    if (label && line[0] != '.') {
      flush();
      function = line.substr(0, line.find(':'));
    }
    lines.push_back(line);
  }
  flush();
  return loops;
}

/// The accesses to the stack in loops of microkernels, and in innermost ones of vectors' multiply-adds. `loops` counts
/// those of microkernels.
Lines stack_accesses(const std::string& assembly, int& loops) {
  Lines found;
  for (const Loop& l : loops_of(assembly)) {
    const bool micro = l.function.find("_micro") != l.function.npos;
    if (!micro && !(l.innermost && l.multiplies_and_adds())) continue;
    loops += micro;
    for (const std::string& line : l.lines)
      if (line.find("(%rsp") != line.npos) found.push_back(l.function + " " + l.lines[0] + line);
  }
  return found;
}

/// out = op(x y, …): op's first operand of the type t is the product, the others are loaded.
void add_contraction(ProgramBuilder& p, Op op, DType t, CpuSchedule tile = {}, bool transposed = false) {
  constexpr std::int64_t M = 84, N = 96, K = 64;
  const bool selects = op == Op::select, compares = op >= Op::eq && op <= Op::ge;
  const BufferId x = p.input(t, transposed ? Shape{K, M} : Shape{M, K}), y = p.input(t, {K, N});
  std::vector<BufferId> others;
  for (int i = 1; i < info(op).min_arity; ++i) others.push_back(p.input(selects && i == 1 ? boolean : t, {M, N}));
  const BufferId out = p.output(compares ? boolean : t, {M, N});
  HandBuilder k(p.program(), p.kernel());
  const AxisId m = k.axis("m", M), n = k.axis("n", N), s = k.axis("k", K);
  KernelStage contract;
  contract.kind = KernelStage::contract;
  contract.roles = {.b = {}, .m = {m}, .n = {n}, .k = {s}}, contract.result = 0;
  contract.lhs = k.load(x, transposed ? std::vector{at(s), at(m)} : std::vector{at(m), at(s)});
  contract.rhs = k.load(y, {at(s), at(n)});
  std::vector<ExprId> args{k.accumulator(0, t)};
  for (BufferId b : others) args.push_back(k.load(b, {at(m), at(n)}));
  if (selects) std::swap(args[0], args[1]);
  k.phase({m, n}).stages = {contract, map_stage({{out, {at(m), at(n)}, k.op(op, compares ? boolean : t, args)}})};
  tile.vector_axis = n;
  k.schedule() = tile;
}

}  // namespace

TEST_CASE("no inner loop of a training step touches the stack") {
  for (const char* cpu : kCpus) {
    const CpuTarget target = target_for(cpu);
    const Program p =
        make_program(optimize(mlp_step({.rows = 300, .batch = 128, .widths = {784, 512, 256, 10}})), target);
    int loops = 0;
    INFO(cpu);
    CHECK(stack_accesses(emit_asm(p, target), loops) == Lines{});
    CHECK(loops >= 8);
  }
}

TEST_CASE("no inner loop of a contraction touches the stack, whatever op follows it") {
  for (const char* cpu : kCpus) {
    const CpuTarget target = target_for(cpu);
    ProgramBuilder p;
    for (int o = 0; o < kOpCount; ++o) {
      const Op op = static_cast<Op>(o);
      if (!is_elementwise(op) || op == Op::convert) continue;
      if (op == Op::pow && target.vector_registers == 16) continue;  // holds more values at once than there are
      add_contraction(p, op, op == Op::select || in_set(f32, info(op).dtypes) ? f32 : i32);
    }
    Program program = p.program();
    tile_contractions(program, target);
    int loops = 0;
    INFO(cpu);
    CHECK(stack_accesses(emit_asm(program, target), loops) == Lines{});
    CHECK(loops >= static_cast<int>(program.kernels.size()));
  }
}

TEST_CASE("no tile that the model may choose touches the stack in its loops") {
  for (const char* cpu : kCpus) {
    const CpuTarget target = target_for(cpu);
    ProgramBuilder p;
    for (std::int64_t columns = 1; most_rows(f32, columns, target) >= 1; ++columns) {
      const std::int64_t most = most_rows(f32, columns, target);
      for (const auto& [rows, transposed, packed] : {std::tuple{most, false, false},
                                                     {most, true, false},
                                                     {most, false, true},
                                                     {most - 1, false, false},
                                                     {most / 2 + 2, false, false},
                                                     {most / 2, false, false}}) {
        CpuSchedule s;
        s.mr = static_cast<int>(std::clamp<std::int64_t>(rows, 1, most));
        s.nr = static_cast<int>(columns * lanes_of(f32, target));
        s.pack_lhs = s.pack_rhs = packed, s.split_n = true;
        add_contraction(p, Op::max, f32, s, transposed);
      }
    }
    int loops = 0;
    INFO(cpu);
    CHECK(stack_accesses(emit_asm(p.program(), target), loops) == Lines{});
    CHECK(loops >= static_cast<int>(p.program().kernels.size()));
  }
}

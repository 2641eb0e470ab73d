// Contractions against the interpreter, in bits: shapes around the tile's edges, chunks of k, layouts, schedules,
// prologues and epilogues.
#include <array>
#include <cmath>

#include "catch.h"
#include "device_under_test.h"
#include "programs.h"

using namespace weft;

namespace {

struct Case {
  std::int64_t b = 0, m = 1, n = 1, k = 1;  // b = 0: no batch axis
  DType t = f32;
  bool lhs_transposed = false, rhs_transposed = false, pack_lhs = false, pack_rhs = true, split_n = false;
  int mr = 6, columns = 2;  // nr = columns * lanes of a register
  std::int64_t kc = 0, mc = 0, nc = 0;
  bool prologue = false, epilogue = false;
  bool chunked = false;  // out has the sum of each chunk

  std::string str() const {
    return fmt::format("b{} m{} n{} k{} {} lt{} rt{} pl{} pr{} sn{} {}x{} kc{} pro{} epi{} ch{}", b, m, n, k, name(t),
                       lhs_transposed, rhs_transposed, pack_lhs, pack_rhs, split_n, mr, columns, kc, prologue, epilogue,
                       chunked);
  }
};

/// out = x y. With a prologue, x is gathered by row from a table and scaled, y is masked where j + k is odd; with an
/// epilogue, a state w becomes w - tanh(out) * w, and out is not kept.
Program contraction(const Case& c, const CpuTarget& target) {
  ProgramBuilder p;
  const bool batch = c.b > 0;
  auto shape = [&](std::int64_t i, std::int64_t j, bool swap) {
    Shape s = swap ? Shape{j, i} : Shape{i, j};
    if (batch) s.insert(0, c.b);
    return s;
  };
  const BufferId x = p.input(c.t, shape(c.m, c.k, c.lhs_transposed)),
                 y = p.input(c.t, shape(c.k, c.n, c.rhs_transposed));
  const BufferId rows = c.prologue ? p.input(i64, {c.m}) : kNone;
  Shape results = shape(c.m, c.n, false);
  const std::int64_t chunks = ceil_div(c.k, kContractChunk);
  if (c.chunked) results.insert(0, chunks);
  const BufferId out = c.epilogue ? p.state(c.t, results) : p.output(c.t, results);
  HandBuilder k(p.program(), p.kernel());
  const AxisId ab = batch ? k.axis("b", c.b) : kNone, am = k.axis("m", c.m), an = k.axis("n", c.n),
               ak = k.axis("k", c.k), ac = c.chunked ? k.axis("c", chunks) : kNone;
  auto access = [&](Index i, Index j, bool swap) {
    std::vector<Index> a = swap ? std::vector{j, i} : std::vector{i, j};
    if (batch) a.insert(a.begin(), at(ab));
    return a;
  };
  Index row = at(am);
  ExprId in_table = kNone;
  if (c.prologue) {  // rows[m] modulo the table, rejected when it is negative
    const ExprId r = k.op(Op::rem, i64, {k.load(rows, {at(am)}), k.constant(i64, static_cast<double>(c.m))});
    in_table = k.op(Op::ge, boolean, {r, k.constant(i64, 0)});
    row = {{}, 0, r};
  }
  ExprId lhs = k.load(x, access(row, at(ak), c.lhs_transposed), in_table),
         rhs = k.load(y, access(at(ak), at(an), c.rhs_transposed));
  if (c.prologue) {
    lhs = k.op(Op::mul, c.t, {lhs, k.constant(c.t, 3)});
    const ExprId odd = k.op(Op::bit_and, i64, {k.index({{{an, 1}, {ak, 1}}, 0, kNone}), k.constant(i64, 1)});
    rhs = k.op(Op::select, c.t, {k.op(Op::eq, boolean, {odd, k.constant(i64, 1)}), k.constant(c.t, 0), rhs});
  }
  KernelStage contract;
  contract.kind = KernelStage::contract;
  contract.roles = {{}, {am}, {an}, {ak}}, contract.result = 0, contract.lhs = lhs, contract.rhs = rhs;
  if (batch) contract.roles.b = {ab};
  ExprId value = k.accumulator(0, c.t);
  contract.chunk_axis = ac;
  std::vector<Index> place = access(at(am), at(an), false);
  if (c.chunked) place.insert(place.begin(), at(ac));
  if (c.epilogue) {
    const ExprId w = k.load(out, place), step = is_float(c.t) ? k.op(Op::tanh, c.t, {value}) : value;
    value = k.op(Op::sub, c.t, {w, k.op(Op::mul, c.t, {step, w})});
  }
  std::vector<AxisId> parallel{am, an};
  if (batch) parallel.insert(parallel.begin(), ab);
  if (c.chunked) parallel.insert(parallel.begin(), ac);
  k.phase(parallel).stages = {contract, map_stage({{out, place, value}})};
  CpuSchedule& s = k.schedule();
  s.vector_axis = an;
  s.mr = c.mr, s.nr = c.columns * target.vector_bytes / static_cast<int>(size_of(c.t));
  s.kc = c.kc, s.mc = c.mc, s.nc = c.nc;
  s.split_n = c.split_n, s.pack_lhs = c.pack_lhs, s.pack_rhs = c.pack_rhs;
  return p.program();
}

void check_case(const Case& c) {
  INFO(c.str());
  CHECK(check_next_target([&](const CpuTarget& target) { return contraction(c, target); }) == "");
}

constexpr std::int64_t kSizes[] = {1, 2, 3, 5, 6, 7, 13, 16, 17, 31, 33, 64, 100};

}  // namespace

TEST_CASE("a contraction of every small shape equals the interpreter in bits") {
  for (std::int64_t m : kSizes)
    for (std::int64_t n : kSizes) check_case({.m = m, .n = n, .k = kSizes[(m + n) % std::size(kSizes)]});
}

TEST_CASE("every layout, packing and split of a contraction equals the interpreter in bits") {
  for (int bits = 0; bits < 128; ++bits) {
    Case c{.m = 19, .n = 45, .k = 37};
    c.lhs_transposed = bits & 1, c.rhs_transposed = bits & 2, c.pack_lhs = bits & 4, c.pack_rhs = bits & 8,
    c.split_n = bits & 16;
    c.prologue = bits & 32, c.epilogue = bits & 64;
    c.b = bits % 3 == 0 ? 3 : 0;
    check_case(c);
  }
}

TEST_CASE("long sums are split into chunks, whatever the blocking") {
  for (std::int64_t k : {1024, 1025, 2048, 3000})
    for (std::int64_t kc : {0, 100, 256, 5000})
      for (bool split_n : {false, true}) {
        Case c{.m = 13, .n = 33, .k = k, .split_n = split_n, .kc = kc};
        check_case(c);
        c.mc = c.m, c.nc = c.n;  // one macro tile
        check_case(c);
      }
  check_case({.m = 20, .n = 70, .k = 600, .kc = 128, .mc = 12, .nc = 32});
  for (int bits = 0; bits < 64; ++bits) {
    Case c{.m = 7, .n = 35, .k = 5000};
    if (bits >= 32) c = {.m = 3, .n = 18, .k = 17000};  // so long that operands are packed chunk by chunk
    c.lhs_transposed = bits & 1, c.rhs_transposed = bits & 2, c.pack_lhs = bits & 4, c.pack_rhs = bits & 8,
    c.split_n = bits & 16;
    c.prologue = bits % 5 == 0, c.epilogue = bits % 3 == 0, c.b = bits % 7 == 0 ? 2 : 0, c.kc = bits % 2 ? 300 : 0;
    check_case(c);
  }
}

TEST_CASE("a contraction gives each chunk of its sum by itself, whatever the layout and the schedule") {
  for (int bits = 0; bits < 64; ++bits) {
    Case c{.m = 13, .n = 41, .k = bits % 3 == 0 ? 2048 : 2500, .chunked = true};
    if (bits % 8 == 0) c.k = 700;  // one chunk
    if (bits % 8 == 1) c = {.m = 3, .n = 18, .k = 17000, .chunked = true};
    c.lhs_transposed = bits & 1, c.rhs_transposed = bits & 2, c.pack_lhs = bits & 4, c.pack_rhs = bits & 8,
    c.split_n = bits & 16;
    c.prologue = bits % 5 == 0, c.epilogue = bits % 3 == 0, c.b = bits % 7 == 0 ? 2 : 0, c.kc = bits & 32 ? 300 : 0;
    if (bits % 4 == 0) c.mc = 6, c.nc = 16;
    check_case(c);
  }
}

TEST_CASE("contractions of other dtypes and tiles") {
  for (DType t : {f64, i32, i64})
    for (bool split_n : {false, true})
      for (bool transposed : {false, true})
        check_case({.m = 23,
                    .n = 37,
                    .k = 41,
                    .t = t,
                    .lhs_transposed = transposed,
                    .rhs_transposed = transposed,
                    .split_n = split_n});
  for (auto [mr, columns] : {std::pair{1, 1}, {3, 4}, {4, 3}, {8, 1}, {12, 2}})
    check_case({.m = 30, .n = 61, .k = 20, .mr = mr, .columns = columns});
  check_case({.m = 5, .n = 6, .k = 7, .mr = 0});  // no tile: the points one by one
}

namespace {

/// The same operands without their signs: their product bounds what rounded operands can change.
std::vector<Array> magnitudes(std::span<const Array> inputs) {
  std::vector<Array> all;
  for (const Array& a : inputs) {
    all.push_back(a.clone());
    if (a.dtype() == f32)
      for (float& v : all.back().as<float>()) v = std::fabs(v);
  }
  return all;
}

}  // namespace

TEST_CASE("a contraction over several axes equals the interpreter in bits") {
  for (const auto [k0, k1, k2] : {std::array{2, 3, 5}, {7, 30, 11}, {1030, 1, 2}, {3, 0, 2}}) {
    const Program p = parse_program(fmt::format(
        "program @p {{ input %x: f32[2,9,{0},{1},{2}] input %y: f32[{1},{0},{2},3,20] output %z: f32[2,9,3,20] inputs "
        "%x, %y outputs %z kernel @k {{ axes m0=2, m1=9, n0=3, n1=20, k0={0}, k1={1}, k2={2}\n"
        "%e0: f32 = load %x[m0, m1, k0, k1, k2] %e1: f32 = load %y[k1, k0, k2, n0, n1] %e2: f32 = accumulator %a0\n"
        "phase (m0, m1, n0, n1) {{ %a0 = contract m=(m0, m1), n=(n0, n1) over k0, k1, k2: %e0 * %e1\n"
        "map: store %z[m0, m1, n0, n1] = %e2 }} }} }}",
        k0, k1, k2));
    CHECK(check(p) == "");
  }
}

TEST_CASE(
    "a GPU's tile of any legal size equals the interpreter in bits, and one that a target cannot run is an error") {
  const std::string text =
      "program @p { input %x: f32[37,130] input %w: f32[130,70] output %y: f32[37,70] inputs %x, %w outputs %y\n"
      "kernel @dense { axes m=37, n=70, k=130 %e0: f32 = load %x[m, k] %e1: f32 = load %w[k, n]\n"
      "%e2: f32 = accumulator %a0 phase (m, n) { %a0 = contract m=m, n=n over k: %e0 * %e1\n"
      "map: store %y[m, n] = %e2 } schedule gpu {threads=n, ";
  std::mt19937 random(7);
  const auto power = [&](int least, int most) {
    return 1 << (least + static_cast<int>(random() % (most - least + 1u)));
  };
  int legal = 0;
  for (int i = 0; i < 300 && legal < 40; ++i) {
    const std::string tile = fmt::format("rows={}, cols={}, tm={}, tn={}, k={}, stages={}", power(0, 5), power(0, 5),
                                         power(0, 3), power(0, 3), power(3, 6), power(1, 2));
    INFO(tile);
    Program p;
    try {
      p = parse_program(text + tile + "} } }");
    } catch (const Error& e) {
      CHECK(std::string_view(e.what()).find("schedule: ") != std::string_view::npos);
      continue;
    }
    ++legal;
    p.check_indices = i % 2;
    const auto inputs = random_inputs(p, 3, true);
    CHECK(difference(test::run_on_device(p, inputs, test::device_targets().front()), interpret(p, inputs)) == "");
  }
  CHECK(legal == 40);

  const Program matrices = parse_program(text + "rows=2, cols=2, tm=1, tn=1, k=16, stages=2, matrices} } }", "k.weft");
  CHECK_THROWS_WITH(device_functions(matrices, GpuTarget{}),
                    Catch::Matchers::ContainsSubstring(
                        "k.weft:2:8: error: kernel @dense: schedule: matrices are multiplied on tensor "
                        "cores, which numerics exact does not use"));
  const Program wide = parse_program(text + "rows=16, cols=16, tm=8, tn=8, k=64, stages=2} } }", "k.weft");
  CHECK_THROWS_WITH(
      device_functions(wide, GpuTarget{.name = "small", .shared_bytes = 48 << 10}),
      Catch::Matchers::ContainsSubstring("k.weft:2:8: error: kernel @dense: schedule: 139264 bytes of shared memory; a "
                                         "block of small has 49152"));
}

TEST_CASE("tensor cores come as near to the exact product as their operands' format allows") {
  struct Format {
    Numerics numerics;
    double error;  // relative, of a product of two rounded operands
  };
  for (const Format format : {Format{Numerics::fast, std::ldexp(1, -10)}, Format{Numerics::bf16, std::ldexp(1, -8)}})
    for (int multiprocessors : {1, 132})
      for (int bits = 0; bits < 8; ++bits)
        for (auto [m, n, k] : {std::array{17, 33, 65}, {64, 64, 32}, {128, 10, 256}, {9, 100, 2500}, {1, 1, 3}}) {
          Case c{.m = m, .n = n, .k = k, .lhs_transposed = (bits & 1) != 0, .rhs_transposed = (bits & 2) != 0};
          c.prologue = bits & 4, c.b = k == 32 ? 3 : 0;
          INFO(c.str() << ", " << multiprocessors << " multiprocessors, error " << format.error);
          const Program p = contraction(c, host_target());
          const auto inputs = random_inputs(p, 5, false);
          const Evaluation exact = interpret(p, inputs), bound = interpret(p, magnitudes(inputs));
          const GpuTarget target{.multiprocessors = multiprocessors, .numerics = format.numerics};
          const Evaluation found = test::run_on_device(p, inputs, target);
          double worst = 0;  // error as a fraction of what is allowed
          for (std::int64_t i = 0; i < exact.outputs[0].size(); ++i) {
            const double allowed = 1.05 * format.error * bound.outputs[0].at(i) + 1e-30;
            worst = std::max(worst, std::fabs(found.outputs[0].at(i) - exact.outputs[0].at(i)) / allowed);
          }
          CHECK(worst <= 1);
          CHECK((worst > 0 || k < 10));  // they were used
        }
}

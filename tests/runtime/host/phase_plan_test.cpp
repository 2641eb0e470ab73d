// Where threads must meet and where not: planted hazards, each of which needs a barrier, beside the same without one.
#include "runtime/host/phase_plan.h"

#include <cmath>
#include <ctime>

#include "catch.h"
#include "ir/kernel/footprint.h"
#include "runtime/host/executor.h"
#include "support.h"

using namespace weft;
using namespace weft::test;

namespace {

constexpr double kLarge = 1e6, kSmall = 100;

/// Kernels over buffers: %a, %b, %c are f32[12,4] states, %s f32[12], %y and %z f32[] too; %t and %u f32[12,4]
/// temporaries that overlap by half, %v one that overlaps neither; %flat f32[48] a view of %a.
std::shared_ptr<const Program> program(const std::string& kernels) {
  std::string temps;
  for (const auto& [name, offset] : {std::pair{"t", 0}, {"u", 128}, {"v", 320}})
    if (kernels.find(fmt::format("store %{}[", name)) != kernels.npos)
      temps += fmt::format("  temp %{}: f32[12,4] {{offset={}}}\n", name, offset);
  auto p = std::make_shared<Program>(parse_program(R"(program @p {
  input %x: i32[12]
  state %a: f32[12,4]
  state %b: f32[12,4]
  state %c: f32[12,4]
  state %s: f32[12]
  state %y: f32[]
  state %z: f32[]
  view %flat of %a: f32[48]
)" + temps + R"(  inputs %x, %a, %b, %c, %s, %y, %z
  outputs %z
)" + kernels + "}\n"));
  p->arena_bytes = 512;
  return p;
}

/// to[i, j] = from[i, j] over rows i.
std::string rows(const std::string& from, const std::string& to) {
  return "  kernel @" + from + "_to_" + to + R"( {
    axes i=12, j=4
    %e0: f32 = load %)" +
         from + R"([i, j]
    phase (i, j) {
      map: store %)" +
         to + R"([i, j] = %e0
    }
  }
)";
}

/// The same with `access` in place of from[i, j].
std::string loads(const std::string& from, const std::string& access, const std::string& to) {
  std::string text = rows(from, to);
  text.replace(text.find("[i, j]\n    phase"), 6, access);
  return text;
}

/// A kernel over nothing: to[] = from[] (one unit).
std::string scalar(const std::string& from, const std::string& to) {
  return "  kernel @" + from + "_to_" + to + R"( {
    %e0: f32 = load %)" +
         from + R"([]
    phase () {
      map: store %)" +
         to + R"([] = %e0
    }
  }
)";
}

/// to[i, j] = from[row] over rows i = 3 p + q, where `row` is an index of p and q.
std::string groups_of_rows(const std::string& from, const std::string& row, const std::string& to) {
  return "  kernel @" + from + "_to_" + to + R"( {
    axes p=4, q=3, j=4
    %e0: f32 = load %)" +
         from + "[" + row + R"(, j]
    phase (p, q, j) {
      map: store %)" +
         to + R"([3*p + q, j] = %e0
    }
  }
)";
}

struct Split {
  AxisId axis = kNone;
  UnitSplit values = {};  // but for the extent
};
struct Work {
  std::int64_t units;
  double cycles;
  Split split = {};
};
constexpr Split kRowSplit{0, {.units = 1}};                         // a unit is a row
constexpr Split kPairs{0, {.units = 1, .values = 2}};               // … two rows
constexpr Split kStrips{0, {.units = 1, .values = 5, .fewer = 3}};  // … 4, 4, 4 rows: 5 less one
constexpr Split kQuarters{0, {.units = 4}};                         // … a quarter of a row

/// The launches of a program's kernels, each of one phase.
HostArtifact artifact(const Program& p, const std::vector<Work>& work) {
  HostArtifact a{.memory = std::make_shared<const BufferTable>(p)};
  for (const Work& w : work) {
    const Kernel& k = p.kernels.at(a.launches.size());
    HostLaunch l{.kernel = static_cast<std::int32_t>(a.launches.size()), .name = k.name, .units = w.units};
    l.cycles = w.cycles;
    l.split = w.split.values;
    if (w.split.axis != kNone) l.split.extent = k.axes[static_cast<std::size_t>(w.split.axis)].extent;
    const Footprint touched = footprint(p, k, k.phases[0], w.split.axis);
    l.uses = touched.uses;
    l.bytes = touched.bytes;
    a.launches.push_back(l);
    a.code.functions.push_back([](std::byte* const*, std::int64_t, std::int64_t, std::byte*) {});
  }
  return a;
}
HostArtifact artifact(const std::string& kernels, const std::vector<Work>& work) {
  return artifact(*program(kernels), work);
}

/// "a_to_b 6 12 | b_to_c 0 12": each phase with the ends of the threads' shares, | for a barrier.
std::string text(const HostArtifact& a, int threads = 2) {
  std::string s;
  for (const PlannedPhase& p : plan_phases(a, threads)) {
    s += (s.empty() || s.back() == ' ' ? "" : ", ") + a.launches[p.launch].name;
    for (std::size_t t = 1; t < p.bounds.size(); ++t) s += fmt::format(" {}", p.bounds[t]);
    if (p.barrier) s += " | ";
  }
  return s;
}

}  // namespace

TEST_CASE("barriers stand where bytes cross threads, and nowhere else") {
  const Work shared{12, kLarge, kRowSplit};
  const std::string a_to_b = rows("a", "b");
  const struct {
    const char* what;
    std::string kernels;
    std::vector<Work> work;
    const char* plan;
  } cases[] = {
      {"the same rows", a_to_b + rows("b", "c"), {shared, shared}, "a_to_b 6 12, b_to_c 6 12"},
      {"a column of all rows", a_to_b + loads("b", "[j, 0]", "c"), {shared, shared}, "a_to_b 6 12 | b_to_c 6 12"},
      {"the rows backwards", a_to_b + loads("b", "[-i + 11, j]", "c"), {shared, shared}, "a_to_b 6 12 | b_to_c 6 12"},
      {"one row for all", a_to_b + loads("b", "[0, j]", "c"), {shared, shared}, "a_to_b 6 12 | b_to_c 6 12"},
      {"no rows known", a_to_b + rows("b", "c"), {shared, {12, kLarge}}, "a_to_b 6 12 | b_to_c 6 12"},
      {"the other axis is split",
       a_to_b + rows("b", "c"),
       {shared, {4, kLarge, {1, {.units = 1}}}},
       "a_to_b 6 12 | b_to_c 2 4"},
      {"nothing in common", a_to_b + rows("c", "v"), {shared, {12, kLarge}}, "a_to_b 6 12, c_to_v 6 12"},
      {"both load", a_to_b + loads("a", "[j, 0]", "c"), {shared, shared}, "a_to_b 6 12, a_to_c 6 12"},
      {"write after read", loads("a", "[j, 0]", "b") + rows("c", "a"), {shared, shared}, "a_to_b 6 12 | c_to_a 6 12"},
      {"write after read of the same rows", a_to_b + rows("c", "a"), {shared, shared}, "a_to_b 6 12, c_to_a 6 12"},
      {"write after write", a_to_b + rows("c", "b"), {shared, {12, kLarge}}, "a_to_b 6 12 | c_to_b 6 12"},
      {"through a view of another shape",
       rows("b", "a") + loads("flat", "[4*i + j]", "c"),
       {shared, shared},
       "b_to_a 6 12, flat_to_c 6 12"},
      {"temporaries that share memory", rows("a", "t") + rows("b", "u"), {shared, shared}, "a_to_t 6 12 | b_to_u 6 12"},
      {"temporaries that do not", rows("a", "t") + rows("b", "v"), {shared, shared}, "a_to_t 6 12, b_to_v 6 12"},
      {"not only the phase before",
       a_to_b + rows("c", "v") + loads("b", "[j, 0]", "t"),
       {shared, shared, shared},
       "a_to_b 6 12, c_to_v 6 12 | b_to_t 6 12"},
      // Shares that agree are found.
      {"pairs of rows", a_to_b + rows("b", "c"), {shared, {6, kLarge, kPairs}}, "a_to_b 6 12, b_to_c 3 6"},
      {"strips that start elsewhere",
       a_to_b + rows("b", "c"),
       {shared, {3, kLarge, kStrips}},
       "a_to_b 6 12 | b_to_c 1 3"},
      {"rows cut like strips", a_to_b + rows("b", "c"), {{3, kLarge, kStrips}, shared}, "a_to_b 1 3 | b_to_c 6 12"},
      {"small rows cut like strips",
       a_to_b + rows("b", "c"),
       {{3, kLarge, kStrips}, {12, kSmall, kRowSplit}},
       "a_to_b 1 3, b_to_c 4 12"},
      {"the last row is half the work of others",
       a_to_b,
       {{12, kLarge, {0, {.units = 1, .last = 0.5}}}},
       "a_to_b 5 12"},
      {"units of the last row that are little work",
       a_to_b,
       {{48, kLarge, {0, {.units = 4, .last = 0.125}}}},
       "a_to_b 22 48"},
      {"nothing but a last row", a_to_b, {{4, kLarge, {0, {.units = 4, .last = 0.25}}}}, "a_to_b 2 4"},
      {"quarters of rows", a_to_b + rows("b", "c"), {shared, {48, kLarge, kQuarters}}, "a_to_b 6 12, b_to_c 24 48"},
      {"rows like quarters of rows",
       a_to_b + rows("b", "c"),
       {{48, kLarge, kQuarters}, {6, kSmall, kPairs}},
       "a_to_b 24 48, b_to_c 3 6"},
      {"groups of rows",
       a_to_b + groups_of_rows("b", "3*p + q", "c"),
       {shared, {4, kLarge, kRowSplit}},
       "a_to_b 6 12, b_to_c 2 4"},
      {"groups of rows that overlap",
       a_to_b + groups_of_rows("b", "2*p + q", "c"),
       {shared, {4, kLarge, kRowSplit}},
       "a_to_b 6 12 | b_to_c 2 4"},
      {"groups of rows, each backwards",
       a_to_b + groups_of_rows("b", "3*p - q + 2", "c"),
       {shared, {4, kLarge, kRowSplit}},
       "a_to_b 6 12, b_to_c 2 4"},
      {"groups of rows, the last first",
       a_to_b + groups_of_rows("b", "-3*p + q + 9", "c"),
       {shared, {4, kLarge, kRowSplit}},
       "a_to_b 6 12 | b_to_c 2 4"},
      {"one row of each group",
       a_to_b + groups_of_rows("b", "3*p + 1", "c"),
       {shared, {4, kLarge, kRowSplit}},
       "a_to_b 6 12, b_to_c 2 4"},
      // Small phases: a thread each, together with what they depend on.
      {"small and independent",
       a_to_b + scalar("z", "z") + rows("c", "v"),
       {shared, {1, kSmall}, {12, kSmall}},
       "a_to_b 6 12, z_to_z 1 1, c_to_v 0 12"},
      {"small and dependent",
       a_to_b + scalar("z", "y") + scalar("y", "z"),
       {shared, {1, kSmall}, {1, kSmall}},
       "a_to_b 6 12, z_to_y 1 1, y_to_z 1 1"},
      {"small, of all rows",
       a_to_b + loads("b", "[-i + 11, j]", "c"),
       {shared, {1, kSmall}},
       "a_to_b 6 12 | b_to_c 1 1"},
      {"small, of rows of one thread",
       a_to_b + loads("b", "[j, 0]", "c"),
       {shared, {1, kSmall}},
       "a_to_b 6 12, b_to_c 1 1"},
      {"all small", a_to_b + loads("b", "[j, 0]", "c"), {{12, kSmall}, {12, kSmall}}, "a_to_b 12 12, b_to_c 12 12"},
      // Overtaking: c_to_v does not wait for b_to_a; a_to_t does, because b_to_a stores what it loads.
      {"independent phases go first",
       a_to_b + loads("b", "[j, 0]", "a") + rows("c", "v"),
       {shared, shared, shared},
       "a_to_b 6 12, c_to_v 6 12 | b_to_a 6 12"},
      {"dependent ones keep their place",
       a_to_b + loads("b", "[j, 0]", "a") + rows("a", "t"),
       {shared, shared, shared},
       "a_to_b 6 12 | b_to_a 6 12, a_to_t 6 12"},
      {"a store does not overtake a load",
       a_to_b + loads("b", "[j, 0]", "v") + rows("c", "b"),
       {shared, shared, shared},
       "a_to_b 6 12 | b_to_v 6 12 | c_to_b 6 12"},
  };
  for (const auto& c : cases) {
    INFO(c.what);
    CHECK(text(artifact(c.kernels, c.work)) == c.plan);
  }
}

TEST_CASE("a phase that computes little and moves much is shared") {
  for (const int rows : {16, 1024}) {
    const std::string text_of = fmt::format(R"(program @p {{
  state %a: f32[{0},512]
  state %b: f32[{0},512]
  inputs %a, %b
  outputs %b
  kernel @copy {{
    axes i={0}, j=512
    %e0: f32 = load %a[i, j]
    phase (i, j) {{
      map: store %b[i, j] = %e0
    }}
  }}
}}
)",
                                            rows);
    CHECK(text(artifact(parse_program(text_of), {{rows, kSmall, kRowSplit}})) ==
          (rows == 16 ? "copy 16 16" : "copy 512 1024"));
  }
}

TEST_CASE("plans for other numbers of threads") {
  const Work shared{12, kLarge, kRowSplit};
  const HostArtifact chain = artifact(rows("a", "b") + rows("b", "c"), {shared, shared});
  CHECK(text(chain, 1) == "a_to_b 12, b_to_c 12");
  CHECK(text(chain, 3) == "a_to_b 4 8 12, b_to_c 4 8 12");
  CHECK(text(chain, 16) == "a_to_b 0 1 2 3 3 4 5 6 6 7 8 9 9 10 11 12, b_to_c 0 1 2 3 3 4 5 6 6 7 8 9 9 10 11 12");
  const HostArtifact small =
      artifact(rows("a", "b") + scalar("z", "z") + rows("c", "v"), {shared, {1, 200}, {1, kSmall}});
  CHECK(text(small, 3) == "a_to_b 4 8 12, z_to_z 1 1 1, c_to_v 0 1 1");
}

TEST_CASE("planning takes time in proportion to the number of phases") {
  // Chains of conflicts and phases without any: each would be quadratic without bounds on groups and overtaking.
  const std::string shift = loads("a", "[j, 0]", "a");
  for (const bool conflicts : {true, false}) {
    HostArtifact many = artifact(conflicts ? shift : rows("a", "b"), {{12, kLarge, kRowSplit}});
    const HostLaunch one = many.launches[0];
    auto seconds = [&](std::size_t n) {
      many.launches.assign(n, one);
      double best = HUGE_VAL;  // of CPU time: other processes do not count
      for (int i = 0; i < 3; ++i) {
        const auto start = std::clock();
        CHECK(plan_phases(many, 4).size() == n);
        best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
      }
      return best;
    };
    CHECK(seconds(32'000) < 40 * std::max(seconds(4'000), 1e-3));  // 8 times the phases; 64 would be quadratic
  }
}

TEST_CASE("chains over rows run without barriers and without races") {
  // b = a + 1; c = b + 1; a = c + 1 over rows, then z = sum of a on one thread: ThreadSanitizer watches plain memory.
  enum : std::size_t { x, a, b, c, s, y, z };
  static const auto cells = [](std::byte* const* buffers, std::size_t id) {
    return reinterpret_cast<float*>(buffers[id]);
  };
  const auto add_one = [](auto from, auto to) -> KernelFn {
    return [](std::byte* const* p, std::int64_t begin, std::int64_t end, std::byte*) {
      for (auto i = 4 * begin; i < 4 * end; ++i)
        cells(p, decltype(to)::value)[i] = cells(p, decltype(from)::value)[i] + 1;
    };
  };
  const KernelFn sum = [](std::byte* const* p, std::int64_t, std::int64_t, std::byte*) {
    cells(p, z)[0] = 0;
    for (int i = 0; i < 48; ++i) cells(p, z)[0] += cells(p, a)[i];
  };
  std::string total = loads("a", "[i, j]", "z");
  total.replace(total.find("phase (i, j)"), 12, "phase ()");
  total.replace(total.find("map: store %z[i, j] = %e0"), 25,
                "%a0 = reduce_sum over i: %e1\n      map: store %z[] = %e2");
  total.replace(total.find("[i, j]\n"), 7, "[i, 0]\n    %e1: f32 = mul %e0, %e0\n    %e2: f32 = accumulator %a0\n");
  const Work shared{12, kLarge, kRowSplit};
  HostArtifact made =
      artifact(rows("a", "b") + rows("b", "c") + rows("c", "a") + total, {shared, shared, shared, {1, kSmall}});
  using std::integral_constant;
  const integral_constant<std::size_t, a> ia;
  const integral_constant<std::size_t, b> ib;
  const integral_constant<std::size_t, c> ic;
  made.code.functions[0] = add_one(ia, ib);
  made.code.functions[1] = add_one(ib, ic);
  made.code.functions[2] = add_one(ic, ia);
  made.code.functions[3] = sum;
  for (const int threads : {1, 2, 3, 5}) {
    const auto plan = plan_phases(made, threads);
    CHECK(std::ranges::count_if(plan, [](const PlannedPhase& p) { return p.barrier; }) == (threads > 1));
    Executor exe(made, threads);
    std::vector<Array> bound;
    for (std::size_t i = 0; i < exe.input_count(); ++i)
      exe.bind(i, bound.emplace_back(made.memory->buffers[static_cast<std::size_t>(made.memory->inputs[i])].type));
    for (int round = 1; round <= 300; ++round) {
      exe.run();
      REQUIRE(bound[z].item<float>() == static_cast<float>(48 * 3 * round));
    }
    Array totals(Type{f32, {200}});
    REQUIRE(exe.run_steps(200, {}, std::vector<Array>{totals}) == 200);
    for (int s200 = 0; s200 < 200; ++s200)
      REQUIRE(totals.as<float>()[static_cast<std::size_t>(s200)] == static_cast<float>(48 * 3 * (301 + s200)));
  }
}

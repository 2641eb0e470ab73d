// Tiles of contractions on a GPU: which kernels get one, that the target decides, and that a program's own stays.
#include "passes/schedule/gpu.h"

#include "catch.h"
#include "ir/kernel/verify_kernel.h"
#include "passes/pipeline.h"
#include "passes/schedule/schedule.h"

using namespace weft;

namespace {

Program product(std::int64_t m, std::int64_t n, std::int64_t k, const Target& target) {
  return make_program(optimize(parse_graph(fmt::format(
                          "func @f(%x: f32[{0},{2}], %y: f32[{2},{1}]) {{ %0 = contract %x, %y {{lhs=[1], rhs=[0]}} : "
                          "f32[{0},{1}] return z = %0 }}",
                          m, n, k))),
                      target, {.verify = true});
}

const GpuSchedule& schedule_of(const Program& p) { return std::get<GpuSchedule>(p.kernels.at(0).schedule); }

constexpr const char* kText = R"(program @p {
  input %x: f32[37,130]
  input %w: f32[130,70]
  output %y: f32[37,70]
  output %s: f32[37]
  inputs %x, %w
  outputs %y, %s
  kernel @dense {
    axes m=37, n=70, k=130
    SCHEDULE
    %e0: f32 = load %x[m, k]
    %e1: f32 = load %w[k, n]
    %e2: f32 = accumulator %a0
    phase (m, n) {
      %a0 = contract m=m, n=n over k: %e0 * %e1
      map: store %y[m, n] = %e2
    }
  }
  kernel @row {
    axes m=37, n=70
    %e0: f32 = load %y[m, n]
    %e1: f32 = accumulator %a0
    phase (m) {
      %a0 = reduce_sum over n striped: %e0
      map: store %s[m] = %e1
    }
  }
})";

Program with_schedule(const std::string& schedule) {
  std::string text = kText;
  text.replace(text.find("SCHEDULE"), 8, schedule);
  return parse_program(text);
}

}  // namespace

TEST_CASE("a tile is chosen by the pass, from the target, and is part of the text") {
  const Program p = product(512, 512, 512, GpuTarget{});
  CHECK(schedule_of(p).has_tile());
  CHECK_FALSE(schedule_of(p).matrices);
  CHECK(schedule_of(p).thread_axis == role_axes(p.kernels[0]).n);
  const Program again = parse_program(print(p));
  CHECK(again.kernels[0].schedule == p.kernels[0].schedule);
  CHECK(schedule_of(product(512, 512, 512, GpuTarget{.numerics = Numerics::fast})).matrices);
  GpuTarget small;
  small.multiprocessors = 1;
  CHECK(schedule_of(product(128, 128, 512, small)).m() > schedule_of(product(128, 128, 512, GpuTarget{})).m());
}

TEST_CASE("every tile of the cost model is legal") {
  for (const Numerics numerics : {Numerics::exact, Numerics::fast, Numerics::bf16})
    for (const std::int64_t m : {1, 10, 64, 1000})
      for (const std::int64_t n : {1, 16, 33, 2000})
        for (const std::int64_t k : {1, 100, 5000}) {
          INFO(m << " x " << n << " x " << k);
          product(m, n, k, GpuTarget{.numerics = numerics});  // which verifies
        }
}

TEST_CASE("what has no roles, is empty or is followed by more than maps has no tile") {
  for (const char* over : {"over k", "m=m over k", "m=(m, n) over k"}) {
    std::string text = kText;
    text.replace(text.find("SCHEDULE"), 8, "");
    text.replace(text.find("m=m, n=n over k"), 15, over);
    if (std::string_view(over) == "m=(m, n) over k") text.replace(text.find("load %w[k, n]"), 13, "load %w[k, 0]");
    Program p = parse_program(text);
    tile_contractions(p, GpuTarget{});
    CHECK(gpu_tile(p.kernels[0]) == nullptr);
    complete_schedules(p, CpuTarget{});
    CHECK(cpu_tile(p.kernels[0]) == nullptr);
    verify(p);
  }
}

TEST_CASE("a contraction with several axes in a role is tiled for a CPU, and has lanes along what is parallel") {
  Program p = parse_program(
      "program @p { input %x: f32[2,3,4,5] input %y: f32[2,3,5,6] output %z: f32[2,3,4,6] inputs %x, %y outputs %z\n"
      "kernel @k { axes b=2, c=3, m=4, n=6, k=5 %e0: f32 = load %x[b, c, m, k] %e1: f32 = load %y[b, c, k, n]\n"
      "%e2: f32 = accumulator %a0 phase (b, c, m, n) { %a0 = contract b=(b, c), m=m, n=n over k: %e0 * %e1\n"
      "map: store %z[b, c, m, n] = %e2 } } }");
  for (const Target& target : {Target(CpuTarget{}), Target(GpuTarget{})}) {
    complete_schedules(p, target);
    verify(p);
    CHECK(lane_axis(p.kernels[0]) == 3);
    CHECK((cpu_tile(p.kernels[0]) != nullptr) == std::holds_alternative<CpuTarget>(target));
    CHECK(gpu_tile(p.kernels[0]) == nullptr);
  }
}

TEST_CASE("a schedule that a program has for the machine stays; others get one") {
  const std::string own = "schedule gpu {threads=n, rows=8, cols=8, tm=2, tn=1, k=16, stages=4}";
  Program p = with_schedule(own);
  complete_schedules(p, GpuTarget{});
  verify(p);
  CHECK(print(p).find(own) != std::string::npos);
  CHECK(std::get<GpuSchedule>(p.kernels[1].schedule).thread_axis == 1);

  complete_schedules(p, CpuTarget{});  // a GPU's is none for a CPU
  verify(p);
  REQUIRE(cpu_tile(p.kernels[0]));
  CHECK(lane_axis(p.kernels[1]) == 1);

  const Program plain = product(37, 70, 130, GpuTarget{});
  Program from_cpu = with_schedule("schedule cpu {vector=n, mr=2, nr=8}");
  complete_schedules(from_cpu, GpuTarget{});
  CHECK(std::get<GpuSchedule>(from_cpu.kernels[0].schedule) == schedule_of(plain));
}

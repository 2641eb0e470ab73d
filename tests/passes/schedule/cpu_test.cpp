// What the cost model decides for contractions: which operand is packed, which axis threads split, tiles that fit
// registers.
#include "passes/schedule/cpu.h"

#include "catch.h"
#include "passes/pipeline.h"

using namespace weft;

namespace {

/// An AVX-512 machine.
const CpuTarget kWide{.cpu = "znver4",
                      .vector_bytes = 64,
                      .vector_registers = 32,
                      .fma = true,
                      .l1_bytes = 32 << 10,
                      .l2_bytes = 1 << 20,
                      .l3_bytes = 32 << 20};
const CpuTarget kAvx2{.cpu = "znver3",
                      .vector_bytes = 32,
                      .vector_registers = 16,
                      .fma = true,
                      .l1_bytes = 32 << 10,
                      .l2_bytes = 512 << 10,
                      .l3_bytes = 32 << 20};

CpuSchedule schedule_of(std::int64_t m, std::int64_t n, std::int64_t k, bool lhs_transposed, const CpuTarget& target) {
  const std::string text = fmt::format(
      "func @f(%x: f32[{},{}], %y: f32[{},{}]) {{ %0 = contract %x, %y {{lhs=[{}], rhs=[0]}} : f32[{},{}] return z = "
      "%0 }}",
      lhs_transposed ? k : m, lhs_transposed ? m : k, k, n, lhs_transposed ? 0 : 1, m, n);
  return std::get<CpuSchedule>(make_program(optimize(parse_graph(text)), target).kernels.at(0).schedule);
}

struct Row {
  const char* why;
  std::int64_t m, n, k;
  bool lhs_transposed;
  bool split_n, pack_lhs, pack_rhs;
};

const Row kRows[] = {
    {"rows and columns in place", 128, 512, 784, false, false, false, false},
    {"one row: only columns can be shared", 1, 512, 784, false, true, false, false},
    {"one row, two panels", 1, 256, 512, false, true, false, false},
    {"rows 4 KiB apart evict each other", 128, 512, 1024, false, false, true, false},
    {"columns of a transposed lhs and rows of rhs lie apart: both in place, panels shared", 784, 512, 100, true, true,
     false, false},
    {"columns of a transposed lhs in two sets of the L1: from the L2", 512, 64, 128, true, false, false, false},
    {"columns of a transposed lhs that the L2 cannot hold at once", 1024, 64, 1024, true, false, true, true},
    {"rows of rhs that the L2 cannot hold at once", 784, 1024, 128, true, true, false, true},
    {"a long sum whose rows of rhs come from beyond the L2, however few strips read them", 28, 512, 3584, false, true,
     false, true},
    {"a long sum of a transposed lhs that the L2 does not hold", 128, 512, 3584, true, true, true, true},
    {"few strips of rows: threads share panels", 64, 512, 512, false, true, false, false},
};

}  // namespace

TEST_CASE("contractions are packed and shared out as the cost model says") {
  for (const Row& r : kRows) {
    const CpuSchedule s = schedule_of(r.m, r.n, r.k, r.lhs_transposed, kWide);
    INFO(r.why << ": " << s.mr << "x" << s.nr);
    CHECK(s.split_n == r.split_n);
    CHECK(s.pack_lhs == r.pack_lhs);
    CHECK(s.pack_rhs == r.pack_rhs);
  }
}

TEST_CASE("a transposed lhs is read from the L2 by long steps of k, or for few panels") {
  CHECK_FALSE(schedule_of(512, 512, 128, true, kWide).pack_lhs);
  CHECK(schedule_of(256, 512, 128, true, kAvx2).pack_lhs);
  CHECK_FALSE(schedule_of(256, 256, 128, true, kAvx2).pack_lhs);
}

TEST_CASE("the columns of a weight belong to a thread, forward and when they are updated") {
  const Program p =
      make_program(optimize(parse_graph(R"(func @f(%x: f32[128,64], %g: f32[128,512], state %w: f32[64,512]) {
    %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[128,512]
    %1 = exp %x : f32[128,64]
    %2 = contract %1, %g {lhs=[0], rhs=[0]} : f32[64,512]
    %3 = sub %w, %2 : f32[64,512]
    update %w = %3
    return z = %0
  })")),
                   kWide);
  int contractions = 0;
  for (const Kernel& k : p.kernels) {
    if (!leading_contraction(k)) continue;
    ++contractions;
    CHECK(std::get<CpuSchedule>(k.schedule).split_n);
  }
  CHECK(contractions == 2);
  const Program read = make_program(optimize(parse_graph(R"(func @f(%x: f32[128,64], state %w: f32[64,512]) {
    %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[128,512]
    return z = %0
  })")),
                                    kWide);
  CHECK_FALSE(std::get<CpuSchedule>(read.kernels.at(0).schedule)
                  .split_n);  // nothing is updated: rows need no barrier between layers
}

TEST_CASE("rows that evict each other in a cache of eight ways stay in one of sixteen") {
  CpuTarget sixteen = kWide;
  sixteen.l1_bytes = 2 * kWide.l1_bytes, sixteen.l1_ways = 2 * kWide.l1_ways;  // as many sets
  CHECK(schedule_of(128, 512, 1024, false, kWide).pack_lhs);
  CHECK_FALSE(schedule_of(128, 512, 1024, false, sixteen).pack_lhs);
}

TEST_CASE("a register tile and what feeds it fit the registers, whatever the shape") {
  for (const CpuTarget& target : {kWide, kAvx2})
    for (const std::int64_t m : {1, 2, 5, 13, 17, 100, 1000})
      for (const std::int64_t n : {1, 3, 16, 33, 64, 250, 2000})
        for (const std::int64_t k : {1, 10, 1000}) {
          const CpuSchedule s = schedule_of(m, n, k, false, target);
          if (s.mr == 0) continue;  // no contraction is left of it
          const int lanes = target.vector_bytes / 4, cols = s.nr / lanes;
          INFO(m << "x" << n << "x" << k << " on " << target.cpu << ": " << s.mr << "x" << s.nr);
          CHECK(s.nr % lanes == 0);
          CHECK(s.mr * cols + cols + 1 <= target.vector_registers);
          CHECK(s.mr >= 1);
        }
}

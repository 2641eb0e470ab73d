// What phases are said to touch, by the shapes of their accesses.
#include "ir/kernel/footprint.h"

#include "catch.h"

using namespace weft;

namespace {

/// "load 0:64 by 16" of %x in a kernel that copies x[access] to y, shared out along i.
std::string use_of_x(const std::string& access, AxisId split = 0) {
  const Program p = parse_program(R"(program @p {
  state %x: f32[6,4,4]
  state %y: f32[4,4]
  state %at: i64[4]
  inputs %x, %y, %at
  kernel @k {
    axes i=4, j=4
    %e0: i64 = load %at[i]
    %e1: f32 = load %x[)" + access +
                                  R"(]
    phase (i, j) {
      map: store %y[i, j] = %e1
    }
  }
}
)");
  for (const BufferUse& use : footprint(p, p.kernels[0], p.kernels[0].phases[0], split).uses)
    if (use.buffer == 0)
      return fmt::format("{} {}:{}", use.store ? "store" : "load", use.begin, use.end) +
             (use.row ? fmt::format(" by {}", use.row) : "");
  return "none";
}

}  // namespace

TEST_CASE("a use is told from others by the leading indices of its access") {
  CHECK(use_of_x("i, j, 0") == "load 0:256 by 64");
  CHECK(use_of_x("i + 2, j, 0") == "load 128:384 by 64");
  CHECK(use_of_x("3, i, j") == "load 192:256 by 16");
  CHECK(use_of_x("3, j, i") == "load 192:256");
  CHECK(use_of_x("3, 2, i") == "load 224:240 by 4");
  CHECK(use_of_x("3, 2, 1") == "load 228:232");
  CHECK(use_of_x("j, i, 0") == "load 0:256");
  CHECK(use_of_x("j + 1, i, 0") == "load 64:320");
  CHECK(use_of_x("-i + 3, j, 0") == "load 0:256");
  CHECK(use_of_x("3, %e0, j") == "load 192:256");
  CHECK(use_of_x("%e0, i, j") == "load 0:384");
  CHECK(use_of_x("i, j, 0", kNone) == "load 0:256");
}

TEST_CASE("a use is named once; constants are none; bytes are counted for the axes that an access depends on") {
  const Program p = parse_program(R"(program @p {
  state %x: f32[4]
  state %y: f32[4,8]
  constant %c: f32[4] = [1, 2, 3, 4]
  inputs %x, %y
  kernel @k {
    axes i=4, j=8
    %e0: f32 = load %x[i]
    %e1: f32 = load %c[i]
    %e2: f32 = load %x[3]
    %e3: f32 = add %e0, %e1
    %e4: f32 = add %e3, %e2
    %e5: f32 = load %y[i, j]
    %e6: f32 = add %e4, %e5
    phase (i, j) {
      map: store %y[i, j] = %e6
    }
  }
}
)");
  const Footprint f = footprint(p, p.kernels[0], p.kernels[0].phases[0], 0);
  CHECK(f.uses == std::vector<BufferUse>{
                      {0, false, 0, 16, 4}, {0, false, 12, 16, 0}, {1, false, 0, 128, 32}, {1, true, 0, 128, 32}});
  CHECK(f.bytes == 16 + 4 + 128 + 128);
}

// Which sums down columns are split into chunks of rows, where they are added up, and that their bits stay.
#include "passes/kernel/column_sums.h"

#include <algorithm>

#include "catch.h"
#include "golden.h"
#include "passes/pipeline.h"

using namespace weft;

namespace {

const CpuTarget kSmall{.l1_bytes = 32 << 10, .l2_bytes = 64 << 10, .l3_bytes = 1 << 20};

/// The kernels of a program, those with chunks as "name[folds]".
std::string kernels_of(const Program& p) {
  std::string s;
  for (const Kernel& k : p.kernels) {
    s += (s.empty() ? "" : " ") + k.name;
    if (k.phases.size() == 3 && k.phases[1].chunk) s += fmt::format("[{}]", k.phases[2].stages.size());
  }
  return s;
}

struct Row {
  const char* why;
  std::string text;
  const char* kernels;  // after the split
  int temps;            // temporaries that are left, partial sums included
};

/// A row kernel over %x and %g, f32[4096,16] each: %m, the mean of a row (times 16), and %d = (x - m) * g.
const std::string kRow = R"(func @f(%x: f32[4096,16], %g: f32[4096,16], %v: f32[16]) {
  %m = reduce_sum %x {axis=1} : f32[4096]
  %b = broadcast %m {axes=[0]} : f32[4096,16]
  %s = sub %x, %b : f32[4096,16]
  %d = mul %s, %g : f32[4096,16]
)";

const Row kRows[] = {
    {"of what the row kernel computes, and of what it reads",
     kRow + "%t = reduce_sum %d {axis=1} : f32[4096] %y = reduce_sum %d {axis=0} : f32[16] "
            "%z = reduce_sum %g {axis=0} : f32[16] return t = %t, y = %y, z = %z }",
     "row0[3]", 4},
    {"with more computed from the sums",
     kRow + "%y = reduce_sum %d {axis=0} : f32[16] %w = mul %y, %v : f32[16] return d = %d, w = %w }", "row0[2]", 2},
    {"of rows along two axes, of which the sums see one",
     R"(func @f(%x: f32[64,64,16]) {
       %m = reduce_sum %x {axis=2} : f32[64,64]
       %b = broadcast %m {axes=[0,1]} : f32[64,64,16]
       %s = sub %x, %b : f32[64,64,16]
       %q = exp %s : f32[64,64,16]
       %t = reduce_sum %q {axis=2} : f32[64,64]
       %r = reshape %q : f32[4096,16]
       %y = reduce_sum %r {axis=0} : f32[16]
       return t = %t, y = %y })",
     "row0[2]", 2},
    {"that a state is updated with, whose old value a kernel in between reads",
     R"(func @f(%x: f32[4096,16], %u: f32[16,16], state %v: f32[16]) {
       %m = reduce_sum %x {axis=1} : f32[4096]
       %b = broadcast %m {axes=[0]} : f32[4096,16]
       %s = sub %x, %b : f32[4096,16]
       %t = reduce_sum %s {axis=1} : f32[4096]
       %c = contract %u, %v {lhs=[1], rhs=[0]} : f32[16]
       %y = reduce_sum %s {axis=0} : f32[16]
       update %v = %y
       return t = %t, c = %c })",
     "row0 contract1 column2", 1},
    {"of a state's new values, which the row kernel stores in place of those that it computes them from",
     R"(func @f(%g: f32[4096,16], state %t: f32[4096,16]) {
       %m = reduce_max %t {axis=1} : f32[4096]
       %b = broadcast %m {axes=[0]} : f32[4096,16]
       %s = sub %t, %b : f32[4096,16]
       %d = mul %s, %g : f32[4096,16]
       %y = reduce_sum %d {axis=0} : f32[16]
       update %t = %s
       return d = %d, y = %y })",
     "row0[2]", 2},
    {"the second updates a state, of which the first reads other elements",
     R"(func @f(%x: f32[4096,16], %g: f32[4096,16], state %v: f32[16]) {
       %m = reduce_sum %x {axis=1} : f32[4096]
       %b = broadcast %m {axes=[0]} : f32[4096,16]
       %d = sub %x, %b : f32[4096,16]
       %q = mul %d, %g : f32[4096,16]
       %y = reduce_sum %d {axis=0} : f32[16]
       %0 = iota {axis=0} : i32[16]
       %1 = constant {value=15} : i32[]
       %2 = broadcast %1 : i32[16]
       %3 = sub %2, %0 : i32[16]
       %4 = gather %v, %3 {axis=0} : f32[16]
       %w = mul %y, %4 : f32[16]
       %z = reduce_sum %g {axis=0} : f32[16]
       update %v = %z
       return q = %q, m = %m, w = %w })",
     "row0[2] column1", 2},
    {"a largest value is no sum", kRow + "%y = reduce_max %d {axis=0} : f32[16] return d = %d, y = %y }",
     "row0 column1", 0},
    {"alone: no row kernel reads it",
     "func @f(%x: f32[16384,16]) { %y = reduce_sum %x {axis=0} : f32[16] return y = %y }", "column0[2]", 2},
    {"alone, and in caches", "func @f(%x: f32[4096,16]) { %y = reduce_sum %x {axis=0} : f32[16] return y = %y }",
     "column0", 0},
    {"too few rows", "func @f(%x: f32[4095,1024]) { %y = reduce_sum %x {axis=0} : f32[1024] return y = %y }", "column0",
     0},
    {"too few columns", "func @f(%x: f32[65536,15]) { %y = reduce_sum %x {axis=0} : f32[15] return y = %y }", "column0",
     0},
    {"rows too wide for their sums to stay in the L1",
     "func @f(%x: f32[4096,4097]) { %y = reduce_sum %x {axis=0} : f32[4097] return y = %y }", "column0", 0},
};

/// Equal bits from the graph and from the program.
void check_bits(const Graph& g, const Program& p) {
  std::vector<Array> inputs;
  for (const Input& i : g.inputs()) {
    Array a(g[i.id].type);
    std::uint32_t state = 1;
    for (float& x : a.as<float>()) x = static_cast<float>(state = state * 1664525 + 1013904223) * 1e-9f - 2;
    inputs.push_back(a);
  }
  const Evaluation expected = interpret(g, inputs), found = interpret(p, inputs);
  for (std::size_t i = 0; i < expected.outputs.size(); ++i) CHECK(found.outputs[i].same_bits(expected.outputs[i]));
  for (std::size_t i = 0; i < expected.states.size(); ++i) CHECK(found.states[i].same_bits(expected.states[i]));
}

}  // namespace

TEST_CASE("sums down columns are split where rows are at hand or memory is long") {
  for (const Row& r : kRows) {
    INFO(r.why);
    const Graph g = optimize(parse_graph(r.text));
    const Program p = make_program(g, kSmall, {.verify = true});
    CHECK(kernels_of(p) == r.kernels);
    CHECK(std::ranges::count(p.buffers, Buffer::temp, &Buffer::kind) == r.temps);
    CHECK(kernels_of(make_program(g, GpuTarget{}, {.verify = true})).find('[') == std::string::npos);  // a CPU's
    if (element_count(g[0].type.shape) <= 1 << 18) check_bits(g, p);
  }
}

TEST_CASE("the gradient of a layer norm with scale and shift is one kernel", "[golden]") {
  const Graph g =
      optimize(parse_graph(R"(func @layer_norm_gradient(%x: f32[4096,16], %dy: f32[4096,16], %scale: f32[16]) {
    %0 = constant {value=0.0625} : f32[]
    %1 = broadcast %0 : f32[4096]
    %2 = reduce_sum %x {axis=1} : f32[4096]
    %3 = mul %2, %1 : f32[4096]
    %4 = broadcast %3 {axes=[0]} : f32[4096,16]
    %5 = sub %x, %4 : f32[4096,16]
    %6 = mul %5, %5 : f32[4096,16]
    %7 = reduce_sum %6 {axis=1} : f32[4096]
    %8 = mul %7, %1 : f32[4096]
    %9 = sqrt %8 : f32[4096]
    %10 = broadcast %9 {axes=[0]} : f32[4096,16]
    %11 = div %5, %10 : f32[4096,16]
    %12 = broadcast %scale {axes=[1]} : f32[4096,16]
    %13 = mul %dy, %12 : f32[4096,16]
    %14 = mul %13, %11 : f32[4096,16]
    %15 = reduce_sum %14 {axis=1} : f32[4096]
    %16 = mul %15, %1 : f32[4096]
    %17 = broadcast %16 {axes=[0]} : f32[4096,16]
    %18 = mul %11, %17 : f32[4096,16]
    %19 = sub %13, %18 : f32[4096,16]
    %20 = div %19, %10 : f32[4096,16]
    %21 = mul %dy, %11 : f32[4096,16]
    %22 = reduce_sum %21 {axis=0} : f32[16]
    %23 = reduce_sum %dy {axis=0} : f32[16]
    return dx = %20, dscale = %22, dshift = %23
  })"));
  const Program p = make_program(g, kSmall, {.verify = true});
  check_golden("column_sums/layer_norm_gradient", print(p));
  check_bits(g, p);
}

// Concats that are stored: their pieces are stored to them by the kernels that compute these, and read back from there.
#include "catch.h"
#include "passes/pipeline.h"
#include "programs.h"

using namespace weft;

namespace {

struct Case {
  const char* what;
  const char* text;
  std::size_t kernels;  // all that are needed: none copies pieces that others could store
};
const Case kCases[] = {
    {"pieces side by side, for a product", R"(func @f(%x: f32[5,48], %w: f32[48,9]) {
  %a = slice %x {start=[0,0], limit=[5,16], stride=[1,1]} : f32[5,16]
  %v = slice %w {start=[0,0], limit=[16,9], stride=[1,1]} : f32[16,9]
  %u = contract %a, %v {lhs=[1], rhs=[0]} : f32[5,9]
  %t = tanh %u : f32[5,9]
  %s = sin %u : f32[5,9]
  %j = concat %t, %s {axis=1} : f32[5,18]
  %k = contract %j, %j {lhs=[1], rhs=[1]} : f32[5,5]
  return %k
})",
     2},
    {"pieces of pieces", R"(func @f(%x: f32[3,8], %w: f32[8,8]) {
  %a0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[3,8]
  %a = tanh %a0 : f32[3,8]
  %s = sin %a0 : f32[3,8]
  %j = concat %a, %s {axis=1} : f32[3,16]
  %j1 = reshape %j : f32[1,3,16]
  %b0 = contract %a, %w {lhs=[1], rhs=[0]} : f32[3,8]
  %b = tanh %b0 : f32[3,8]
  %c = sin %b0 : f32[3,8]
  %k = concat %b, %c {axis=1} : f32[3,16]
  %k1 = reshape %k : f32[1,3,16]
  %all = concat %k1, %j1 {axis=0} : f32[2,3,16]
  %flat = reshape %all : f32[6,16]
  %y = contract %flat, %flat {lhs=[0], rhs=[0]} : f32[16,16]
  %z = contract %j, %j {lhs=[1], rhs=[1]} : f32[3,3]
  return %y, %z
})",
     4},
    {"lengths that differ, inputs, constants and the same twice", R"(func @f(%x: f32[4,3], %w: f32[3,7]) {
  %a = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,7]
  %e = exp %a : f32[4,7]
  %one = constant {value=1} : f32[]
  %ones = broadcast %one {axes=[]} : f32[4,2]
  %j = concat %x, %e, %ones, %e, %x {axis=1} : f32[4,22]
  %y = contract %j, %j {lhs=[1], rhs=[1]} : f32[4,4]
  return %y, %j
})",
     5},
    {"many", R"(func @f(%x: f32[2,2], %y: f32[2,2]) {
  %s = add %x, %y : f32[2,2]
  %m = mul %x, %y : f32[2,2]
  %j = concat %s, %m, %x, %y, %s, %m, %x, %y, %s, %m, %x, %y, %s, %m, %x, %y, %s, %m, %x, %y {axis=0} : f32[40,2]
  %r = reduce_sum %j {axis=0} : f32[2]
  return %r
})",
     0},
    {"nothing among them", R"(func @f(%x: f32[2,3], %n: f32[0,3]) {
  %e = exp %x : f32[2,3]
  %z = exp %n : f32[0,3]
  %j = concat %z, %e, %n, %x {axis=0} : f32[4,3]
  %y = contract %j, %j {lhs=[0], rhs=[0]} : f32[3,3]
  return %y
})",
     0},
    {"a piece that another one needs under a shape of fewer axes", R"(func @f(%x: f32[4,6], %w: f32[6,6]) {
  %a = contract %x, %w {lhs=[1], rhs=[0]} : f32[4,6]
  %e = exp %a : f32[4,6]
  %j = concat %e, %x {axis=0} : f32[8,6]
  %y = contract %j, %j {lhs=[0], rhs=[0]} : f32[6,6]
  %flat = reshape %e : f32[24]
  %z = contract %flat, %flat {lhs=[0], rhs=[0]} : f32[]
  return %y, %z
})",
     0},
    {"a piece that is a result, and one that is the new value of a state",
     R"(func @f(%x: f32[4,6], state %s: f32[4,6]) {
  %a = contract %x, %x {lhs=[0], rhs=[0]} : f32[6,6]
  %t = tanh %a : f32[6,6]
  %n = add %s, %x : f32[4,6]
  %j = concat %t, %n {axis=0} : f32[10,6]
  %y = contract %j, %j {lhs=[0], rhs=[0]} : f32[6,6]
  update %s = %n
  return %y, %t
})",
     0},
    {"a state that moves on by a row", R"(func @f(%x: f32[1,6], state %s: f32[4,6]) {
  %e = exp %x : f32[1,6]
  %r = slice %s {start=[1,0], limit=[4,6], stride=[1,1]} : f32[3,6]
  %j = concat %r, %e {axis=0} : f32[4,6]
  update %s = %j
  return %e
})",
     0},
    {"rows, sums and gathered rows", R"(func @f(%x: f32[6,10], %i: i32[3]) {
  %m = reduce_max %x {axis=1} : f32[6]
  %b = broadcast %m {axes=[0]} : f32[6,10]
  %d = sub %x, %b : f32[6,10]
  %e = exp %d : f32[6,10]
  %s = reduce_sum %e {axis=1} : f32[6]
  %sb = broadcast %s {axes=[0]} : f32[6,10]
  %p = div %e, %sb : f32[6,10]
  %g = gather %x, %i {axis=0} : f32[3,10]
  %c = reduce_sum %x {axis=0} : f32[10]
  %c1 = reshape %c : f32[1,10]
  %j = concat %p, %g, %c1 {axis=0} : f32[10,10]
  %y = contract %j, %j {lhs=[1], rhs=[1]} : f32[10,10]
  return %y
})",
     0},
    {"a piece that others read at computed indices, or guarded", R"(func @f(%x: f32[3,8], %u: f32[2], %k: i32[3]) {
  %a = reduce_sum %x {axis=1} : f32[3]
  %b = gather %a, %k {axis=0} : f32[3]
  %c = concat %a, %b {axis=0} : f32[6]
  %m = reduce_max %x {axis=1} : f32[3]
  %n = neg %m : f32[3]
  %z = constant {value=0} : f32[]
  %p = pad %n, %z {low=[2], high=[3]} : f32[8]
  %e = tanh %p : f32[8]
  %d = concat %m, %u {axis=0} : f32[5]
  return %c, %d, %e
})",
     0},
    {"of booleans and numbers", R"(func @f(%x: i64[5]) {
  %t = constant {value=2} : i64[]
  %ts = broadcast %t {axes=[]} : i64[5]
  %l = lt %x, %ts : bool[5]
  %n = not %l : bool[5]
  %j = concat %l, %n {axis=0} : bool[10]
  %q = mul %x, %x : i64[5]
  %k = concat %q, %x, %ts {axis=0} : i64[15]
  return %j, %k
})",
     0},
};

}  // namespace

TEST_CASE("concats that are stored are what the graph says, compiled and on a device") {
  for (const Case& c : kCases) {
    INFO(c.what);
    const Graph g = parse_graph(c.text, "case");
    const Graph fused = optimize(g);
    const Program p = make_program(fused, host_target());
    INFO(print(p));
    if (c.kernels) CHECK(p.kernels.size() == c.kernels);
    const std::vector<Array> inputs = random_inputs(p, 5, false);
    CHECK(difference(interpret(p, inputs), interpret(g, inputs)) == "");
    const CpuTarget host = host_target();
    CHECK(check(p, {&host, 1}) == "");
    CHECK(check(make_program(fused, GpuTarget{}), {}) == "");
  }
}

// The kernel interpreter: every stage against the graph interpreter in bits, predicates, indirect accesses, in-place
// updates, the arena, and the errors that it finds.
#include <array>
#include <cstring>

#include "catch.h"
#include "error_of.h"
#include "ir/base/philox.h"
#include "ir/graph/graph.h"
#include "ir/kernel/kernel.h"
#include "ir/ops/sum_order.h"
#include "random_graph.h"

using namespace weft;

namespace {

std::vector<Array> random_arrays(const Program& p, std::uint64_t seed) {
  test::Rng rng(seed);
  std::vector<Array> arrays;
  for (BufferId id : p.inputs) arrays.push_back(test::random_array(p.buffers[static_cast<std::size_t>(id)].type, rng));
  return arrays;
}

void check_same(const Evaluation& a, const Evaluation& b) {
  REQUIRE(a.outputs.size() == b.outputs.size());
  REQUIRE(a.states.size() == b.states.size());
  for (std::size_t i = 0; i < a.outputs.size(); ++i) {
    INFO("output " << i << ": " << a.outputs[i].str(8) << " and " << b.outputs[i].str(8));
    CHECK(a.outputs[i].same_bits(b.outputs[i]));
  }
  for (std::size_t i = 0; i < a.states.size(); ++i) CHECK(a.states[i].same_bits(b.states[i]));
}

/// The graph and the program compute the same bits from random inputs.
void check_equal(const std::string& graph, const std::string& program) {
  INFO(program);
  const Graph g = parse_graph(graph, "case.weft");
  const Program p = parse_program(program, "case.weft");
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const std::vector<Array> inputs = random_arrays(p, seed);
    check_same(interpret(g, inputs), interpret(p, inputs));
  }
}

std::string interpret_error(const Program& p, const std::vector<Array>& inputs) {
  try {
    interpret(p, inputs);
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

// One kernel on %x: f32[4,5] (axes i=4, j=5), %k: i64[4] and state %s: f32[4,5]; %t: f32[4,5] if it stores to one.
Program on_sample(const std::string& kernel) {
  const bool temp = kernel.find("store %t[") != kernel.npos;
  return parse_program(R"(program @p {
  input %x: f32[4,5]
  input %k: i64[4]
  state %s: f32[4,5]
  )" + std::string(temp ? "temp" : "output") +
                       R"( %t: f32[4,5]

  output %y: f32[4,5]
  inputs %x, %k, %s
  updates %s
  kernel @k {
    axes i=4, j=5
)" + kernel + "  }\n}\n");
}

std::vector<Array> sample_inputs() {
  Array x(Type{f32, {4, 5}}), s(Type{f32, {4, 5}});
  for (int i = 0; i < 20; ++i) x.as<float>()[static_cast<std::size_t>(i)] = static_cast<float>(i);
  return {x, Array::from<std::int64_t>({3, 0, 9, -1}, {4}), s};
}

}  // namespace

TEST_CASE("kernels: reductions fold in the contract's order") {
  // Lengths around the stripes and the chunks; dtypes and ops of the table.
  for (const char* op : {"reduce_sum", "reduce_prod", "reduce_max", "reduce_min"})
    for (const char* dtype : {"f32", "f64", "i32", "i64", "u8"})
      for (const int n : {0,   1,   2,    15,   16,   17,   33,   128,  129,  256,   257,   512,  513,
                          768, 777, 1024, 1281, 2048, 4095, 4096, 4097, 8200, 12289, 20500, 66049}) {
        if (n > 100 && std::string(dtype) != "f32") continue;
        check_equal(
            fmt::format("func @f(%x: {1}[3,{2}], %y: {1}[{2},3]) {{\n  %0 = {0} %x {{axis=1}} : {1}[3]\n"
                        "  %1 = {0} %y {{axis=0}} : {1}[3]\n  return %0, %1\n}}",
                        op, dtype, n),
            fmt::format("program @f {{ input %x: {1}[3,{2}] input %y: {1}[{2},3] output %a: {1}[3] output %b: {1}[3]\n"
                        "inputs %x, %y outputs %a, %b kernel @k {{ axes i=3, n={2}\n"
                        "%e0: {1} = load %x[i, n] %e1: {1} = load %y[n, i] %e2: {1} = accumulator %a0 %e3: {1} = "
                        "accumulator %a1\n"
                        "phase (i) {{ %a0 = {0} over n striped: %e0 map: store %a[i] = %e2\n"
                        "%a1 = {0} over n: %e1 map: store %b[i] = %e3 }} }} }}",
                        op, dtype, n));
      }
}

TEST_CASE("kernels: bool folds") {
  for (const char* op : {"reduce_max", "reduce_min"})
    for (const int n : {0, 1, 40})
      check_equal(fmt::format("func @f(%x: bool[3,{1}]) {{ %0 = {0} %x {{axis=1}} : bool[3] return %0 }}", op, n),
                  fmt::format("program @f {{ input %x: bool[3,{1}] output %a: bool[3] inputs %x outputs %a kernel @k "
                              "{{ axes i=3, n={1}\n"
                              "%e0: bool = load %x[i, n] %e1: bool = accumulator %a0\n"
                              "phase (i) {{ %a0 = {0} over n striped: %e0 map: store %a[i] = %e1 }} }} }}",
                              op, n));
}

TEST_CASE("kernels: arg_max and arg_min find the first") {
  for (const char* op : {"arg_max", "arg_min"})
    for (const char* dtype : {"f32", "i32", "u8"})
      check_equal(fmt::format("func @f(%x: {1}[300,7]) {{ %0 = {0} %x {{axis=1}} : i32[300] return %0 }}", op, dtype),
                  fmt::format("program @f {{ input %x: {1}[300,7] output %a: i32[300] inputs %x outputs %a kernel @k "
                              "{{ axes i=300, n=7\n"
                              "%e0: {1} = load %x[i, n] %e1: i32 = accumulator %a0\n"
                              "phase (i) {{ %a0 = {0} over n: %e0 map: store %a[i] = %e1 }} }} }}",
                              op, dtype));
}

TEST_CASE("kernels: contractions sum in chunks") {
  for (const char* dtype : {"f32", "f64", "i32", "i64"})
    for (const int k : {0, 1, 7, 1023, 1024, 1025, 3000})
      check_equal(
          fmt::format("func @f(%x: {0}[3,{1}], %y: {0}[{1},5]) {{ %0 = contract %x, %y {{lhs=[1], rhs=[0]}} : {0}[3,5] "
                      "return %0 }}",
                      dtype, k),
          fmt::format(
              "program @f {{ input %x: {0}[3,{1}] input %y: {0}[{1},5] output %z: {0}[3,5] inputs %x, %y outputs %z "
              "kernel @k {{\n"
              "axes m=3, n=5, k={1} %e0: {0} = load %x[m, k] %e1: {0} = load %y[k, n] %e2: {0} = accumulator %a0\n"
              "phase (m, n) {{ %a0 = contract over k: %e0 * %e1 map: store %z[m, n] = %e2 }} }} }}",
              dtype, k));
}

TEST_CASE("kernels: the chunks of a contraction, added up as a chain, are the contraction") {
  for (const char* dtype : {"f32", "f64", "i32", "i64"})
    for (const int k : {1, 1023, 1024, 1025, 3000})
      check_equal(
          fmt::format("func @f(%x: {0}[3,{1}], %y: {0}[{1},5]) {{ %0 = contract %x, %y {{lhs=[1], rhs=[0]}} : {0}[3,5] "
                      "return %0 }}",
                      dtype, k),
          fmt::format(
              "program @f {{ input %x: {0}[3,{1}] input %y: {0}[{1},5] output %z: {0}[3,5] temp %t: {0}[{2},3,5] "
              "inputs %x, %y outputs %z kernel @k {{\n"
              "axes m=3, n=5, k={1}, c={2} %e0: {0} = load %x[m, k] %e1: {0} = load %y[k, n] %e2: {0} = accumulator "
              "%a0 %e3: {0} = load %t[c, m, n] %e4: {0} = accumulator %a1\n"
              "phase (m, c, n) {{ %a0 = contract m=m over k chunk c: %e0 * %e1 map: store %t[c, m, n] = %e2 }}\n"
              "phase (m, n) {{ %a1 = reduce_sum over c chain: %e3 map: store %z[m, n] = %e4 }} }} }}",
              dtype, k, (k + 1023) / 1024));
}

TEST_CASE("kernels: a contraction of several axes in each role is the one that counts each role's as one") {
  for (const auto [k0, k1, k2] : {std::array{2, 3, 5}, {7, 30, 11}, {1, 1, 1}, {1030, 1, 2}, {3, 0, 2}, {2, 2, 1025}})
    check_equal(
        fmt::format(
            "func @f(%x: f32[2,3,2,2,{0}], %y: f32[2,3,{0},3,2]) {{ %0 = reshape %x : f32[6,4,{0}] %1 = reshape "
            "%y : f32[6,{0},6] %2 = contract %0, %1 {{lhs=[2], rhs=[1], lhs_batch=[0], rhs_batch=[0]}} : "
            "f32[6,4,6] %3 = reshape %2 : f32[2,3,2,2,3,2] return %3 }}",
            k0 * k1 * k2),
        fmt::format(
            "program @f {{ input %x: f32[2,3,2,2,{0}] input %y: f32[2,3,{0},3,2] output %z: f32[2,3,2,2,3,2] inputs "
            "%x, "
            "%y outputs %z kernel @k {{\n"
            "axes b0=2, b1=3, m0=2, m1=2, n0=3, n1=2, k0={1}, k1={2}, k2={3}\n"
            "%e0: f32 = load %x[b0, b1, m0, m1, {4}*k0 + {3}*k1 + k2] %e1: f32 = load %y[b0, b1, {4}*k0 + {3}*k1 + k2, "
            "n0, n1] %e2: f32 = accumulator %a0\n"
            "phase (b0, b1, m0, m1, n0, n1) {{ %a0 = contract b=(b0, b1), m=(m0, m1), n=(n0, n1) over k0, k1, k2: %e0 "
            "* "
            "%e1 map: store %z[b0, b1, m0, m1, n0, n1] = %e2 }} }} }}",
            k0 * k1 * k2, k0, k1, k2, k1 * k2));
}

TEST_CASE("kernels: a training step with a prologue, row reductions, views, the arena and an update in place") {
  check_equal(R"(func @step(%image: u8[20,12], state %w: f32[12,6]) {
  %0 = convert %image : f32[20,12]
  %1 = constant {value=0.0039215689} : f32[]
  %2 = broadcast %1 : f32[20,12]
  %3 = mul %0, %2 : f32[20,12]
  %4 = contract %3, %w {lhs=[1], rhs=[0]} : f32[20,6]
  %5 = reduce_max %4 {axis=1} : f32[20]
  %6 = broadcast %5 {axes=[0]} : f32[20,6]
  %7 = sub %4, %6 : f32[20,6]
  %8 = exp %7 : f32[20,6]
  %9 = reduce_sum %8 {axis=1} : f32[20]
  %10 = broadcast %9 {axes=[0]} : f32[20,6]
  %11 = div %8, %10 : f32[20,6]
  %12 = reshape %11 : f32[120]
  %13 = reduce_sum %12 {axis=0} : f32[]
  %14 = contract %3, %11 {lhs=[0], rhs=[0]} : f32[12,6]
  %15 = sub %w, %14 : f32[12,6]
  update %w = %15
  return %13, %11
})",
              R"(program @step {
  input %image: u8[20,12]
  state %w: f32[12,6]
  temp %t: f32[20,6] {offset=0}
  output %p: f32[20,6]
  view %v of %p: f32[120]
  output %loss: f32[]
  arena 512
  inputs %image, %w
  outputs %loss, %p
  updates %w
  kernel @dense {
    axes m=20, n=6, k=12
    %e0: u8 = load %image[m, k]
    %e1: f32 = convert %e0
    %e2: f32 = constant 0.0039215689
    %e3: f32 = mul %e1, %e2
    %e4: f32 = load %w[k, n]
    %e5: f32 = accumulator %a0
    phase (m, n) {
      %a0 = contract over k: %e3 * %e4
      map: store %t[m, n] = %e5
    }
  }
  kernel @softmax {
    axes m=20, n=6
    %e0: f32 = load %t[m, n]
    %e1: f32 = accumulator %a0
    %e2: f32 = sub %e0, %e1
    %e3: f32 = exp %e2
    %e4: f32 = accumulator %a1
    %e5: f32 = load %p[m, n]
    %e6: f32 = div %e5, %e4
    phase (m) {
      %a0 = reduce_max over n striped: %e0
      map over n: store %p[m, n] = %e3
      %a1 = reduce_sum over n striped: %e5
      map over n: store %p[m, n] = %e6
    }
  }
  kernel @loss {
    axes i=120
    %e0: f32 = load %v[i]
    %e1: f32 = accumulator %a0
    phase () {
      %a0 = reduce_sum over i striped: %e0
      map: store %loss[] = %e1
    }
  }
  kernel @update {
    axes m=12, n=6, k=20
    %e0: u8 = load %image[k, m]
    %e1: f32 = convert %e0
    %e2: f32 = constant 0.0039215689
    %e3: f32 = mul %e1, %e2
    %e4: f32 = load %p[k, n]
    %e5: f32 = accumulator %a0
    %e6: f32 = load %w[m, n]
    %e7: f32 = sub %e6, %e5
    phase (m, n) {
      %a0 = contract over k: %e3 * %e4
      map: store %w[m, n] = %e7
    }
  }
})");
}

TEST_CASE("kernels: gather, predicated loads and scatter") {
  const char* graph = R"(func @f(%x: f32[7,5], %k: i64[11], %u: f32[11,5], %v: f32[]) {
  %0 = gather %x, %k {axis=0} : f32[11,5]
  %1 = scatter_add %x, %k, %u {axis=0} : f32[7,5]
  %2 = pad %x, %v {low=[2,0], high=[0,3]} : f32[9,8]
  return %0, %1, %2
})";
  const char* program = R"(program @f {
  input %x: f32[7,5]
  input %k: i64[11]
  input %u: f32[11,5]
  input %v: f32[]
  output %g: f32[11,5]
  output %s: f32[7,5]
  output %p: f32[9,8]
  inputs %x, %k, %u, %v
  outputs %g, %s, %p
  kernel @all {
    axes i=11, j=5, m=7, r=9, c=8
    %k: i64 = load %k[i]
    %low: i64 = constant 0
    %high: i64 = constant 7
    %above: bool = ge %k, %low
    %below: bool = lt %k, %high
    %inside: bool = and %above, %below
    %gathered: f32 = load %x[%k, j] if %inside
    %copied: f32 = load %x[m, j]
    %added: f32 = load %u[i, j]
    %row: i64 = index r - 2
    %column: i64 = index c
    %five: i64 = constant 5
    %row_inside: bool = ge %row, %low
    %column_inside: bool = lt %column, %five
    %both: bool = and %row_inside, %column_inside
    %value: f32 = load %x[r - 2, c] if %both
    %fill: f32 = load %v[]
    %padded: f32 = select %both, %value, %fill
    phase (i, j) { map: store %g[i, j] = %gathered }
    phase (m, j) { map: store %s[m, j] = %copied }
    phase (j) { scatter over i: %s[%k, j] += %added if %inside }
    phase () { map over c { } }
    phase (r, c) { map: store %p[r, c] = %padded }
  }
})";
  std::string without_empty = program;
  without_empty.erase(without_empty.find("    phase () { map over c { } }\n"), 32);
  const Graph g = parse_graph(graph);
  const Program p = parse_program(without_empty);
  CHECK_THROWS_AS(parse_program(program), Error);  // a map must store
  std::vector<Array> inputs = random_arrays(p, 5);
  inputs[1] = Array::from<std::int64_t>({0, 6, 3, 3, 3, -1, 7, INT64_MIN, INT64_MAX, 2, 6}, {11});
  check_same(interpret(g, inputs), interpret(p, inputs));
}

TEST_CASE("kernels: random bits depend on key, step and index only") {
  check_equal("func @f(%key: i64[], %step: i64[]) { %0 = random %key, %step : i32[30,20] return %0 }",
              R"(program @f { input %key: i64[] input %step: i64[] output %y: i32[30,20] inputs %key, %step outputs %y
  kernel @k {
    axes i=30, j=20
    %e0: i64 = load %key[]
    %e1: i64 = load %step[]
    %e2: i64 = index 20*i + j
    %e3: i32 = random %e0, %e1, %e2
    phase (i, j) { map: store %y[i, j] = %e3 }
  }
})");
}

TEST_CASE("kernels: subnormals are flushed") {
  const Program p = on_sample(
      "%h: f32 = constant 0.5 %e0: f32 = load %x[i, j] %e1: f32 = mul %e0, %h phase (i, j) { map: store %s[i, j] = %e1 "
      "}\n");
  std::vector<Array> inputs = sample_inputs();
  inputs[0].as<float>()[3] = 1.5e-38f;
  const Evaluation e = interpret(p, inputs);
  CHECK(e.states[0].as<float>()[3] == 0.0f);
  CHECK(e.states[0].as<float>()[4] == 2.0f);
}

TEST_CASE("kernels: the caller's state array is not written, inputs are not copied into results") {
  const Program p = on_sample("%e0: f32 = load %x[i, j] phase (i, j) { map: store %s[i, j] = %e0 }\n");
  const std::vector<Array> inputs = sample_inputs();
  const Evaluation e = interpret(p, inputs);
  CHECK(inputs[2].as<float>()[7] == 0.0f);
  CHECK(e.states[0].as<float>()[7] == 7.0f);
}

TEST_CASE("kernels: inputs that do not fit are named") {
  const Program p = on_sample("%e0: f32 = load %x[i, j] phase (i, j) { map: store %s[i, j] = %e0 }\n");
  std::vector<Array> inputs = sample_inputs();
  inputs[0] = Array(Type{f32, {4, 4}});
  CHECK(interpret_error(p, inputs) == "program @p: input 'x' is f32[4,5], found f32[4,4]");
  inputs.pop_back();
  CHECK(interpret_error(p, inputs) == "program @p takes 3 inputs, found 2");
}

TEST_CASE("kernels: an indirect index outside its buffer is found") {
  CHECK(interpret_error(
            on_sample("%k: i64 = load %k[i] %e: f32 = load %x[%k, j] phase (i, j) { map: store %s[i, j] = %e }\n"),
            sample_inputs()) ==
        "<text>:10:10: error: kernel @k: %e1: f32 = load %x[%e0, j]: at point 10, step 0: index 9 of dimension 0 is "
        "outside [4,5]");
  CHECK(interpret_error(
            on_sample("%k: i64 = load %k[i] %e: f32 = constant 1 phase (j) { scatter over i: %s[%k, j] += %e }\n"),
            sample_inputs()) ==
        "<text>:10:10: error: kernel @k: store %s[%e0, j] = %e1: at point 0, step 2: index 9 of dimension 0 is outside "
        "[4,5]");
}

TEST_CASE("kernels: races between points and steps are found") {
  const auto race = [](const std::string& kernel) {
    const std::string message = interpret_error(on_sample(kernel), sample_inputs());
    INFO(kernel << message);
    return message.find("a race at step") != std::string::npos;
  };
  // Two points store one element; two steps of one point do.
  CHECK(race("%c: f32 = constant 2 phase (i, j) { map: store %s[i, 0] = %c }\n"));
  CHECK(race("%c: f32 = constant 2 phase (i) { map over j: store %s[i, 0] = %c }\n"));
  CHECK_FALSE(race("%c: f32 = constant 2 phase (i, j) { map: store %s[i, j] = %c }\n"));
  CHECK_FALSE(
      race("%c: f32 = constant 2 phase (i) { map over j: store %s[i, j] = %c map over j: store %s[i, j] = %c }\n"));
  // Scatters of one chunk run in order, those of two do not; stores of a map never do.
  CHECK(race("%c: f32 = constant 2 phase (i) chunk=4 { map over j: store %s[0, j] = %c }\n"));
  CHECK_FALSE(race("%c: f32 = constant 2 phase (i) chunk=4 { scatter over j: %s[0, j] += %c }\n"));
  CHECK(race("%c: f32 = constant 2 phase (i) chunk=3 { scatter over j: %s[0, j] += %c }\n"));
  CHECK_FALSE(
      race("%i: i64 = index i %n: i64 = constant 3 %q: i64 = div %i, %n %c: f32 = constant 2 "
           "phase (i) chunk=3 { scatter over j: %s[%q, j] += %c }\n"));
  CHECK(
      race("%i: i64 = index i %n: i64 = constant 2 %q: i64 = div %i, %n %c: f32 = constant 2 "
           "phase (i) chunk=3 { scatter over j: %s[%q, j] += %c }\n"));
  // An element is loaded by another point than the one that stores it, before or after.
  CHECK(race("%e: f32 = load %s[-i + 3, j] phase (i, j) { map: store %s[i, j] = %e }\n"));
  CHECK(race("%e: f32 = load %s[0, j] phase (i, j) { map: store %s[i, j] = %e }\n"));
  CHECK_FALSE(race("%e: f32 = load %s[i, j] phase (i, j) { map: store %s[i, j] = %e }\n"));
  // By another step of the same stage; another stage is free to.
  CHECK(race("%e: f32 = load %s[i, -j + 4] phase (i) { map over j: store %s[i, j] = %e }\n"));
  CHECK(race("%e: f32 = load %s[i, 0] phase (i) { map over j: store %s[i, j] = %e }\n"));
  CHECK_FALSE(race("%e: f32 = load %s[i, j] phase (i) { map over j: store %s[i, j] = %e }\n"));
  CHECK_FALSE(
      race("%e: f32 = load %s[i, j] %f: f32 = accumulator %a0 phase (i) { %a0 = reduce_sum over j striped: %e map over "
           "j: store %s[i, j] = %f }\n"));
  CHECK_FALSE(
      race("%c: f32 = constant 2 %e: f32 = load %s[i, -j + 4] phase (i) { map over j: store %s[i, j] = %c map over j: "
           "store %t[i, j] = %e }\n"));
  // A scatter may hit an element again, but not from another point.
  CHECK_FALSE(race("%c: f32 = constant 2 phase () { scatter over j: %s[0, 0] += %c }\n"));
  CHECK(race("%c: f32 = constant 2 phase (j) { scatter over i: %s[i, 0] += %c }\n"));
  // In the next phase everything is visible.
  CHECK_FALSE(
      race("%c: f32 = constant 2 %e: f32 = load %s[0, j] phase (i, j) { map: store %s[i, j] = %c } phase (i, j) { map: "
           "store %t[i, j] = %e }\n"));
}

TEST_CASE("kernels: elements that nothing has stored are not read") {
  const auto rejected = [](const std::string& kernel) { return error_of([&] { on_sample(kernel); }); };
  const std::string read = "phase (i, j) { map: store %s[i, j] = %e }\n";
  const std::string two = "%c: f32 = constant 2 %e: f32 = load %t[i, j] ", all = "no error";
  const auto missing = [](const char* elements) {
    return fmt::format(
        "<text>:10:10: error: map: store %s[i, j] = %e1: in %e1: f32 = load %t[i, j]: nothing has been "
        "stored yet in the elements {} of %t",
        elements);
  };
  CHECK(rejected(two + read) == missing("[0:4, 0:5]"));
  CHECK(rejected(two + "phase (j) { map: store %t[3, j] = %c } " + read) == missing("[0:3, 0:5]"));
  CHECK(rejected(two + "phase (i) { map: store %t[i, -i + 4] = %c } " + read) == missing("[0:4, 0:5]"));  // no box
  CHECK(rejected(two + "phase (i) { map over j: store %t[i, j] = %c } " + read) == all);
  CHECK(rejected(two + "phase (i) { map over j: store %t[-i + 3, -j + 4] = %c } " + read) == all);
  // Rows by rows, a column apart.
  CHECK(rejected(two + "phase (j) { map { store %t[3, j] = %c store %t[0, j] = %c store %t[1, j] = %c } } " + read) ==
        missing("[2:3, 0:5]"));
  CHECK(rejected(two + "phase (i) { map: store %t[i, 0] = %c } phase (i) { map: store %t[i, 2] = %c } " + read) ==
        missing("[0:4, 1:2]"));
  // Where only a part is read, a part is enough; what is computed may be anywhere.
  CHECK(rejected("%c: f32 = constant 2 %e: f32 = load %t[3, j] phase (j) { map: store %t[3, j] = %c } " + read) == all);
  CHECK(
      rejected(
          "%k: i64 = load %k[i] %c: f32 = constant 2 %e: f32 = load %t[%k, j] phase (j) { map: store %t[3, j] = %c } " +
          read) != all);
}

TEST_CASE("kernels: points beyond one strip of lanes") {
  check_equal(
      "func @f(%x: f32[37,31]) { %0 = transpose %x {perm=[1,0]} : f32[31,37] %1 = exp %0 : f32[31,37] return %1 }",
      "program @f { input %x: f32[37,31] output %y: f32[31,37] inputs %x outputs %y kernel @k { axes a=31, b=37\n"
      "%e0: f32 = load %x[b, a] %e1: f32 = exp %e0 phase (a, b) { map: store %y[a, b] = %e1 } } }");
}

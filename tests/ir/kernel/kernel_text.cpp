// The kernel text form: round trips of every construct, and every message of the parser.
#include "catch.h"
#include "golden.h"
#include "ir/kernel/kernel.h"

using namespace weft;

namespace {

// One of each: buffers, expressions, indices, stages, schedule fields.
const char* kEverything = R"(program @step {
  input %image: f32[8,6]
  input %label: i32[8]
  state %w: f32[6,4]
  temp %t0: f32[8,4] {offset=0}
  temp %t1: i32[8] {offset=128}
  view %v0 of %t0: f32[32]
  output %loss: f32[]
  output %hist: i64[4]
  output %copy: f32[8,4]
  output %noise: i32[8]
  output %sums: i32[8]
  constant %c0: f32[3] = [0.1, -inf, nan(0x7fc00001)]
  constant %c1: bool[] = true
  arena 192
  inputs %image, %label, %w
  outputs %loss, %hist, %copy, %noise, %sums
  updates %w
  kernel @dense_0 {
    axes m=8, n=4, k=6, b=1
    schedule cpu {vector=n, mr=2, nr=4, kc=6, mc=8, nc=4, split_n, pack_lhs, pack_rhs}
    %e0: f32 = load %image[m, k]
    %e1: f32 = load %w[k, n]
    %e2: f32 = accumulator %a0
    %e3: f32 = constant 0
    %e4: f32 = max %e2, %e3
    phase (b, m, n) {
      %a0 = contract b=b, m=m, n=n over k: %e0 * %e1
      map: store %t0[m, n] = %e4
    }
  }
  kernel @row {
    axes m=8, n=4
    schedule gpu {threads=n}
    %e0: f32 = load %t0[m, n]
    %e1: f32 = accumulator %a0
    %e2: i32 = accumulator %a1
    %e3: f32 = div %e0, %e1
    %e4: f32 = accumulator %a2
    %e5: f32 = load %t0[m, 0]
    phase (m) {
      %a0 = reduce_sum over n striped: %e0
      %a1 = arg_max over n: %e0
      map over n {
        store %v0[4*m + n] = %e3
        store %copy[m, n] = %e3
      }
      map: store %t1[m] = %e2
    }
    phase () {
      %a2 = reduce_prod over m: %e5
      map {
        store %loss[] = %e4
      }
    }
  }
  kernel @scatter {
    axes i=8, j=4
    %e0: i32 = load %label[i]
    %e1: i64 = convert %e0
    %e2: i64 = constant 4
    %e3: bool = lt %e1, %e2
    %e4: i64 = constant 1
    %e5: i64 = constant 0
    %e6: i64 = index %e1 + i - 3*j + 5
    %e7: i32 = random %e1, %e4, %e6
    %e8: f32 = load %image[-i + 7, 2*j - 1] if %e3
    %e9: i32 = accumulator %a0
    phase (j) {
      map: store %hist[j] = %e5
    }
    phase (i) {
      map: store %noise[i] = %e0
      scatter over j: %noise[i] += %e7
    }
    phase (i) chunk=3 {
      scatter: %noise[i] += %e0
    }
    phase (i) {
      %a0 = reduce_sum over j tree: %e7
      map: store %sums[i] = %e9
    }
    phase (i) chunk=16 {
      scatter over j: %noise[i] += %e7 into %sums[i]
    }
    phase () {
      scatter over i: %hist[%e1] += %e4 if %e3
    }
    phase (i) {
      map over j: store %t0[i, j] = %e8
    }
  }
}
)";

std::string parse_error(const std::string& text) {
  try {
    parse_program(text, "k.weft");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

struct ErrorCase {
  const char* text;
  const char* message;
};

const ErrorCase kTop[] = {
    {"func", "1:1: error: expected 'program' at the start of a program, found 'func'"},
    {"program step {}", "1:9: error: expected the program's name, such as @step, found 'step'"},
    {"program @step", "1:14: error: expected '{' before the body, found the end of the text"},
    {"program @step {} {", "1:18: error: expected the end of the text after '}', found '{'"},
    {"program @7 {}", "1:9: error: the program's name '7' is not an identifier"},
    {"program @p { loop 2 { } }", "1:14: error: a loop without kernels"},
    {"program @p { loop -1 { } }", "1:19: error: a loop of -1 turns"},
    {"program @p { loop x { } }", "1:19: error: expected how many turns the loop has, found 'x'"},
    {"program @p { loop 2 kernel }", "1:21: error: expected '{' before the kernels of a loop, found 'kernel'"},
    {"program @p { loop 2 { input } }", "1:23: error: expected kernel, loop or '}' in a loop, found 'input'"},
    {"program @p { x }", "1:14: error: expected a buffer, arena, inputs, outputs, updates, kernel, loop or '}', found 'x'"},
    {"program @p { arena x }", "1:20: error: expected the arena's size in bytes, found 'x'"},
    {"program @p { input x }", "1:20: error: expected the name of a buffer, such as %x, found 'x'"},
    {"program @p { input %x f32[2] }", "1:23: error: expected ':' before the type of a buffer, found 'f32'"},
    {"program @p { input %x: f32[?] }", "1:24: error: a buffer cannot have an unbound extent '?'"},
    {"program @p { temp %x: f32[2] {size=1} }",
     "1:31: error: expected offset or panels in the braces of a buffer, found 'size'"},
    {"program @p { state %x: f32[2,32] {offset=0} }",
     "1:35: error: expected panels in the braces of a buffer, found 'offset'"},
    {"program @p { state %x: f32[2,32] {panels=x} }", "1:42: error: expected the width of a panel, found 'x'"},
    {"program @p { temp %x: f32[2] {offset 1} }", "1:38: error: expected '=' after the name of a field, found '1'"},
    {"program @p { temp %x: f32[2] {offset=y} }", "1:38: error: expected an offset in bytes, found 'y'"},
    {"program @p { temp %x: f32[2] {offset=0 }",
     "1:41: error: expected a buffer, arena, inputs, outputs, updates, kernel, loop or '}', found the end of the text"},
    {"program @p { temp %x: f32[2] {offset=0, }",
     "1:41: error: expected offset or panels in the braces of a buffer, found '}'"},
    {"program @p { temp %x: f32[2] {offset=8} }", "1:9: error: temp %x: offset 8 is not a multiple of 64"},
    {"program @p { temp %x: f32[2] }", "1:9: error: temp %x: no kernel stores to it"},
    {"program @p {\n  arena 2147483648\n}",
     "2:9: error: an arena of 2147483648 bytes, where all temps together need 0"},
    {"program @p { view %x: f32[2] }", "1:21: error: expected 'of' after the name of a view, found ':'"},
    {"program @p { view %x of y }", "1:25: error: expected the base of the view, found 'y'"},
    {"program @p { view %x of %y: f32[2] }", "1:25: error: undefined buffer '%y'"},
    {"program @p { constant %c: f32[2] }", "1:34: error: expected '=' before the value of a constant, found '}'"},
    {"program @p { constant %c: f32[2] = [1] }", "1:36: error: a constant of type f32[2] needs 2 elements, found 1"},
    {"program @p { temp %x: f32[2] temp %x: f32[2] }", "1:35: error: '%x' is defined twice"},
    {"program @p { inputs x }", "1:21: error: expected a buffer such as %x, found 'x'"},
    {"program @p { outputs %x }", "1:22: error: undefined buffer '%x'"},
    {"program @p { kernel k {} }", "1:21: error: expected the kernel's name, such as @dense, found 'k'"},
    {"program @p { kernel @k }", "1:24: error: expected '{' before the body of a kernel, found '}'"},
    {"program @p { kernel @k {} kernel @k {} }", "1:34: error: an earlier kernel has the same name"},
};

// Inside kernel @k; messages give line 2.
const char* kKernelHead =
    "program @p { input %x: f32[4] input %g: f32[2,3] output %y: f32[4] inputs %x, %g outputs %y kernel @k {\n";
const ErrorCase kKernels[] = {
    {"x", "2:1: error: expected turns, axes, schedule, an expression such as '%e0: f32 = …', phase or '}', found 'x'"},
    {"axes 1=2", "2:6: error: expected the name of an axis, found '1'"},
    {"axes i 2", "2:8: error: expected '=' after the name of an axis, found '2'"},
    {"axes i=x", "2:8: error: expected the extent of an axis, found 'x'"},
    {"axes i=1, i=2", "2:11: error: 'i' is defined twice"},
    {"axes i=-1 phase (i) {} }}", "1:100: error: axis i: extent -1 is negative or too large"},
    {"schedule (", "2:10: error: expected cpu or gpu, found '('"},
    {"schedule tpu {", "2:10: error: expected the schedule of a cpu or a gpu, found 'tpu'"},
    {"schedule cpu (", "2:14: error: expected '{' before the fields of a schedule, found '('"},
    {"schedule cpu {7", "2:15: error: expected a field of a schedule, found '7'"},
    {"schedule cpu {unroll=4}",
     "2:15: error: such a schedule has no field 'unroll'; it has vector, mr, nr, kc, mc, nc, split_n, pack_lhs, "
     "pack_rhs"},
    {"schedule gpu {mr=4}",
     "2:15: error: such a schedule has no field 'mr'; it has threads, rows, cols, tm, tn, k, stages, matrices"},
    {"schedule cpu {mr 4}", "2:18: error: expected '=' after a field of a schedule, found '4'"},
    {"schedule cpu {mr=n}", "2:18: error: expected a size, found 'n'"},
    {"schedule cpu {mr=-4}", "2:18: error: -4 is out of range for mr"},
    {"schedule cpu {mr=4294967296}", "2:18: error: 4294967296 is out of range for mr"},
    {"schedule cpu {vector=q}", "2:22: error: undefined axis 'q'"},
    {"schedule cpu {mr=4 nr=4}", "2:20: error: expected '}' or ',' after a field of a schedule, found 'nr'"},
    {"axes i=4 schedule cpu {kc=4} %e: f32 = load %x[i] phase (i) { map: store %y[i] = %e } }}",
     "1:100: error: schedule: phase 0 does not start with a contraction, which tiles are of"},
    {"}}", "1:100: error: has no phase"},
    {"phase () {} }}", "1:100: error: a phase has no stage"},
    // Expressions.
    {"%e = ", "2:4: error: expected ':' after the name of an expression, found '='"},
    {"%e: ", "2:5: error: expected a dtype, found the end of the text"},
    {"%e: f16 = constant 1", "2:5: error: 'f16' is not a dtype that expressions can have"},
    {"%e: f32 constant 1", "2:9: error: expected '=' after the dtype of an expression, found 'constant'"},
    {"%e: f32 = %x", "2:11: error: expected constant, index, load, accumulator or an op, found '%x'"},
    {"%e: f32 = constant x", "2:20: error: expected a number of type f32, found 'x'"},
    {"%e: f32 = maxi %e", "2:11: error: 'maxi' is not an elementwise op (did you mean 'max'?)"},
    {"%e: f32 = reduce_sum %e", "2:11: error: 'reduce_sum' is not an elementwise op"},
    {"%e: f32 = neg %e", "2:15: error: undefined expression '%e'"},
    {"%e: f32 = neg e", "2:15: error: expected an expression such as %e0, found 'e'"},
    {"%e: f32 = constant 1 %e: f32 = constant 2", "2:22: error: '%e' is defined twice"},
    {"%e: f32 = accumulator %x", "2:23: error: expected an accumulator such as %a0, found '%x'"},
    {"%e: f32 = accumulator %a01", "2:23: error: expected an accumulator such as %a0, found '%a01'"},
    {"%e: f32 = accumulator %a99999999999", "2:23: error: expected an accumulator such as %a0, found '%a99999999999'"},
    {"%e: f32 = load %z[0]", "2:16: error: undefined buffer '%z'"},
    {"%e: f32 = load %x(0)", "2:18: error: expected '[' before the indices, found '('"},
    {"%e: f32 = load %x[0 0]", "2:21: error: expected ']' or ',' after an index, found '0'"},
    {"%e: f32 = load %x[0, 0]", "2:18: error: 2 indices for a buffer of type f32[4]"},
    {"%e: f32 = load %x[j]", "2:19: error: undefined axis 'j'"},
    {"%e: f32 = load %x[]", "2:18: error: 0 indices for a buffer of type f32[4]"},
    {"%e: f32 = load %x[1.5]", "2:19: error: expected an integer, found '1.5'"},
    {"%e: f32 = load %x[2*3]", "2:21: error: expected an axis, found '3'"},
    {"%e: i64 = constant 1 %f: f32 = load %x[-%e]", "2:41: error: an index takes one expression, added"},
    {"%e: i64 = constant 1 %f: f32 = load %x[%e + %e]", "2:45: error: an index takes one expression, added"},
    {"%e: f32 = load %x[9223372036854775807 + 1]", "2:41: error: the index does not fit 64 bits"},
    {"%e: f32 = load %x[0] %f: f64 = neg %e }}", "1:100: error: %e1: f64 = neg %e0: expected f32"},
    // Phases and stages.
    {"phase {", "2:7: error: expected '(' before the parallel axes of a phase, found '{'"},
    {"phase (i", "2:8: error: undefined axis 'i'"},
    {"axes i=4 phase (i j", "2:19: error: expected ')' or ',' after a parallel axis, found 'j'"},
    {"phase () map", "2:10: error: expected '{' before the stages of a phase, found 'map'"},
    {"phase () chunk {", "2:16: error: expected '=' after chunk, found '{'"},
    {"phase () chunk=x {", "2:16: error: expected the points of a chunk, found 'x'"},
    {"phase () { x", "2:12: error: expected map, scatter, an accumulation such as '%a0 = …' or '}', found 'x'"},
    {"phase () { map over j", "2:21: error: undefined axis 'j'"},
    {"phase () { map store", "2:16: error: expected '{' or ':' before the stores of a map, found 'store'"},
    {"phase () { map: load", "2:17: error: expected 'store' in a map, found 'load'"},
    {"phase () { map: store %y[0] + 1", "2:29: error: expected '=' before the stored value, found '+'"},
    {"phase () { map: store %y[0] = 1", "2:31: error: expected an expression such as %e0, found '1'"},
    {"phase () { scatter over", "2:24: error: expected an axis, found the end of the text"},
    {"phase () { scatter store", "2:20: error: expected ':' before the store of a scatter, found 'store'"},
    {"phase () { scatter: %y[0] = ", "2:27: error: expected '+' before '=' and the added value, found '='"},
    {"phase () { scatter: %y[0] + 1", "2:29: error: expected '=' before the added value, found '1'"},
    {"phase () { %e0 = contract", "2:12: error: expected an accumulator such as %a0, found '%e0'"},
    {"phase () { %a0 : ", "2:16: error: expected '=' after an accumulator, found ':'"},
    {"phase () { %a0 = add", "2:18: error: 'add' is not contract or a reduction"},
    {"phase () { %a0 = contract: ", "2:26: error: expected a role (b, m or n), or 'over', before the axes, found ':'"},
    {"phase () { %a0 = contract x=i",
     "2:27: error: expected each of the roles b, m and n at most once, then 'over', "
     "found 'x'"},
    {"axes i=4 phase (i) { %a0 = contract m=i, m=i",
     "2:42: error: expected each of the roles b, m and n at most once, then 'over', found 'm'"},
    {"phase () { %a0 = contract m over", "2:29: error: expected '=' after a role, found 'over'"},
    {"phase () { %a0 = contract m=(j", "2:30: error: undefined axis 'j'"},
    {"axes i=4 phase (i) { %a0 = contract m=(i over", "2:42: error: expected ')' or ',' after an axis, found 'over'"},
    {"axes i=4 phase (i) { %a0 = contract m=i n=i", "2:41: error: expected 'over' before the axes, found 'n'"},
    {"axes i=4 phase () { %a0 = reduce_sum : ", "2:38: error: expected 'over' before the axis, found ':'"},
    {"axes i=4 phase () { %a0 = reduce_sum over i %x",
     "2:45: error: expected ':' before what is accumulated, found '%x'"},
    {"axes i=4 %e: f32 = load %x[i] phase () { %a0 = contract over i: %e + %e",
     "2:68: error: expected '*' between the factors, found '+'"},
    {"axes i=4 %e: f32 = load %x[i] phase () { %a0 = reduce_sum over i: %e %a0 =",
     "2:70: error: '%a0' is defined twice"},
};

}  // namespace

TEST_CASE("every construct of the kernel text prints and parses", "[golden]") {
  // Equal to the text but for what is canonical: a map of one store has no braces.
  const Program p = parse_program(kEverything, "k.weft");
  const std::string once = print(p);
  check_golden("ir/everything", once);
  const Program again = parse_program(once);
  CHECK(print(again) == once);
  REQUIRE(again.kernels.size() == p.kernels.size());
  for (std::size_t i = 0; i < p.kernels.size(); ++i) {
    CHECK(again.kernels[i].axes == p.kernels[i].axes);
    CHECK(again.kernels[i].exprs == p.kernels[i].exprs);
    CHECK(again.kernels[i].phases == p.kernels[i].phases);
    CHECK(again.kernels[i].schedule == p.kernels[i].schedule);
  }
  CHECK(again.inputs == p.inputs);
  CHECK(again.outputs == p.outputs);
  CHECK(again.updates == p.updates);
}

TEST_CASE("the provenance of kernels prints and parses") {
  Program p = parse_program(kEverything, "k.weft");
  CHECK(p.kernels[0].locs.str() == "k.weft:19:10");
  p.kernels[0].locs = LocSet::of(std::vector<Loc>{{"a.cpp", 1, 2}, {"b c.cpp", 3, 0}});
  const std::string text = print(p, true);
  CHECK(text.find("  kernel @dense_0 { // a.cpp:1:2, b%20c.cpp:3\n") != std::string::npos);
  const Program again = parse_program(text);
  CHECK(again.kernels[0].locs == p.kernels[0].locs);
  CHECK(print(again, true) == text);
}

TEST_CASE("indices are accepted in any order and added up, equal expressions become one") {
  const Program p = parse_program(R"(program @p {
  input %x: f32[64]
  output %y: f32[2,2]
  inputs %x
  outputs %y
  kernel @k {
    axes i=2, j=2
    %one: i64 = constant 1
    %a: f32 = load %x[3 + j + %one + 2 * i - j + 1 * j + 4]
    %b: f32 = load %x[%one + 2*i + j + 7]
    %c: f32 = mul %a, %b
    phase (i, j) { map: store %y[i, j - i + i] = %c }
  }
})");
  const Kernel& k = p.kernels[0];
  REQUIRE(k.exprs.size() == 3);
  CHECK(k.exprs[1].access[0] == Index{{{0, 2}, {1, 1}}, 7, 0});
  CHECK(k.exprs[2].args == std::vector<ExprId>{1, 1});
  CHECK(k.phases[0].stages[0].stores[0].access[1] == Index{{{1, 1}}, 0, kNone});
}

TEST_CASE("kernel text: errors of programs") {
  for (const ErrorCase& c : kTop) {
    INFO(c.text);
    CHECK(parse_error(c.text) == std::string("k.weft:") + c.message);
  }
}

TEST_CASE("kernel text: errors of kernels") {
  for (const ErrorCase& c : kKernels) {
    INFO(c.text);
    CHECK(parse_error(kKernelHead + std::string(c.text)) == std::string("k.weft:") + c.message);
  }
}

// Every message of the graph parser, with its line and column.
#include "catch.h"
#include "ir/graph/graph.h"

using namespace weft;

namespace {

std::string parse_error(const std::string& text) {
  try {
    parse_graph(text, "m.weft");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

struct ErrorCase {
  const char* text;
  const char* message;  // after "m.weft:"
};

const ErrorCase kSyntax[] = {
    {"", "1:1: error: expected 'func' at the start of a graph, found the end of the text"},
    {"fun @f() {}", "1:1: error: expected 'func' at the start of a graph, found 'fun'"},
    {"func f() {}", "1:6: error: expected the graph's name, such as @step, found 'f'"},
    {"func @1f() {}", "1:6: error: '@1f' is not an identifier"},
    {"func @f {", "1:9: error: expected '(' before the inputs, found '{'"},
    {"func @f(x: f32[]) {}", "1:9: error: expected an input such as %x, found 'x'"},
    {"func @f(%0: f32[]) {}",
     "1:9: error: input name '%0' is not an identifier; another name stands in quotes, %\"0\""},
    {"func @f(%\"\": f32[]) {}", "1:9: error: input name '%\"\"' is no name: expected text in UTF-8, not empty"},
    {"func @f(%\"a\\ff\": f32[]) {}",
     "1:9: error: input name '%\"a\xff\"' is no name: expected text in UTF-8, not empty"},
    {"func @f(%\"a: f32[]) {}", "1:9: error: expected an input such as %x, found '%'"},
    {"func @f(%\"a\nb\": f32[]) {}", "1:9: error: expected an input such as %x, found '%'"},
    {"func @f(%\"a\\g0\": f32[]) {}", "1:9: error: expected an input such as %x, found '%'"},
    {"func @f(%\"a b\": f32[], %\"a\\20b\": f32[]) {}",
     "1:24: error: value '%\"a b\"' is defined twice, first in line 1"},
    {"func @\"a b\"() {}", "1:6: error: '@\"a b\"' is not an identifier"},
    {"func @f(%x f32[]) {}", "1:12: error: expected ':' after the name of an input, found 'f32'"},
    {"func @f(%x: f32[] %y: f32[]) {}", "1:19: error: expected ')' or ',' after an input, found '%y'"},
    {"func @f(%x: f32[], %x: f32[]) {}", "1:20: error: value '%x' is defined twice, first in line 1"},
    {"func @f() }", "1:11: error: expected '{' before the body, found '}'"},
    {"func @f() {",
     "1:12: error: expected a node such as '%0 = …', kernel, update, return or '}', found the end of the text"},
    {"func @f() {\n  add", "2:3: error: expected a node such as '%0 = …', kernel, update, return or '}', found 'add'"},
    {"func @f() {} x", "1:14: error: expected another func or the end of the text after '}', found 'x'"},
    {"func @f() {} func", "1:18: error: expected the graph's name, such as @step, found the end of the text"},
    {"func @f(%x: f32[]) { return %x %x }", "1:32: error: expected '}' after the outputs, found '%x'"},
    {"func @f() { \x01 }",
     "1:13: error: expected a node such as '%0 = …', kernel, update, return or '}', found byte 0x01"},
    {"func @f() { % }", "1:13: error: expected a node such as '%0 = …', kernel, update, return or '}', found '%'"},
};

const ErrorCase kTypes[] = {
    {"func @f(%x: 3) {}", "1:13: error: expected a type such as f32[2,3], found '3'"},
    {"func @f(%x: f33[2]) {}", "1:13: error: unknown dtype 'f33' (did you mean 'f32'?)"},
    {"func @f(%x: quaternion[2]) {}", "1:13: error: unknown dtype 'quaternion'"},
    {"func @f(%x: bf16[2]) {}", "1:13: error: dtype bf16 is reserved: no op accepts it yet"},
    {"func @f(%x: f32) {}", "1:16: error: expected '[' after the dtype, found ')'"},
    {"func @f(%x: f32[2) {}", "1:18: error: expected ']' or ',' after an extent, found ')'"},
    {"func @f(%x: f32[a]) {}", "1:17: error: expected an extent or '?', found 'a'"},
    {"func @f(%x: f32[-2]) {}", "1:17: error: extent -2 is negative"},
    {"func @f(%x: f32[99999999999999999999]) {}", "1:17: error: 99999999999999999999 is out of range for i64"},
    {"func @f(%x: f32[2x]) {}", "1:17: error: expected an extent or '?', found '2x'"},
    {"func @f(%x: f32[1,1,1,1,1,1,1,1,1]) {}", "1:33: error: the rank is limited to 8"},
    {"func @f(%x: f32[1000000,1000000,1000000]) {}",
     "1:13: error: a tensor of shape [1000000,1000000,1000000] is too large: more than 2^46 bytes"},
    {"func @f(%x: f32[?,1000000,1000000,1000000]) {}",
     "1:13: error: a tensor of shape [1,1000000,1000000,1000000] is too large: more than 2^46 bytes"},
};

// The body of a function whose inputs are kInputs; messages give line 2.
const char* kInputs = "func @f(%x: f32[2,3], %y: f32[3], %i: i32[2], state %w: f32[2,3], %b: f32[?,3]) {\n";
const ErrorCase kBodies[] = {
    {"%0 add %x", "2:4: error: expected '=' after the name of a value, found 'add'"},
    {"%0 = %x", "2:6: error: expected an op, found '%x'"},
    {"%0 = ad %x, %x : f32[2,3]", "2:6: error: unknown op 'ad' (did you mean 'add'?)"},
    {"%0 = reduce_sun %x {axis=0} : f32[3]", "2:6: error: unknown op 'reduce_sun' (did you mean 'reduce_sum'?)"},
    {"%0 = softmax_cross_entropy %x : f32[3]", "2:6: error: unknown op 'softmax_cross_entropy'"},
    {"%0 = input : f32[3]", "2:6: error: inputs are declared in the head of the func"},
    {"%0 = add %x %x : f32[2,3]", "2:13: error: expected ':' before the result type, found '%x'"},
    {"%0 = add %x, x : f32[2,3]", "2:14: error: expected an operand such as %x, found 'x'"},
    {"%0 = add %x, %z : f32[2,3]", "2:14: error: undefined value '%z'"},
    {"%0 = add %0, %x : f32[2,3]", "2:10: error: undefined value '%0'"},
    {"%0 = neg %x }", "2:13: error: expected ':' before the result type, found '}'"},
    {"%x = neg %x : f32[2,3]", "2:1: error: value '%x' is defined twice, first in line 1"},
    {"%0 = neg %x : f32[2,3]\n%0 = neg %y : f32[3]", "3:1: error: value '%0' is defined twice, first in line 2"},
    {"%0 = add %x : f32[2,3]", "2:6: error: add: takes 2 operands, found 1; operand 0 is f32[2,3] from m.weft:1:9"},
    {"%0 = add %x, %y : f32[2,3]",
     "2:6: error: add: operands differ: f32[2,3] and f32[3]; expected equal shapes and dtypes; operand 0 is f32[2,3] "
     "from "
     "m.weft:1:9, operand 1 is f32[3] from m.weft:1:23"},
    {"%0 = exp %i : i32[2]",
     "2:6: error: exp: does not take i32; it takes f32, f64; operand 0 is i32[2] from m.weft:1:35"},
    {"%0 = neg %x : f32[3,2]", "2:15: error: neg has type f32[2,3], the text says f32[3,2]"},
    {"%0 = reduce_sum %x {axis=2} : f32[2]",
     "2:6: error: reduce_sum: axis 2 is outside rank 2: expected 0 <= axis < 2; operand 0 is f32[2,3] from m.weft:1:9"},
    // Windows.
    {"%0 = window %y {axes=[0], size=[4]} : f32[1]",
     "2:6: error: window: a window of 4 elements does not fit axis 0 of f32[3], which has 3; operand 0 is f32[3] from "
     "m.weft:1:23"},
    {"%0 = window %y {axes=[0], size=[2], dilation=[9223372036854775807]} : f32[1]",
     "2:6: error: window: a window of 2 elements, 9223372036854775807 apart, does not fit axis 0 of f32[3], which has "
     "3; "
     "operand 0 is f32[3] from m.weft:1:23"},
    {"%0 = window %y {axes=[0], size=[0]} : f32[1]",
     "2:6: error: window: size=[0] must be positive; operand 0 is f32[3] from m.weft:1:23"},
    {"%0 = window %y {axes=[0], size=[2], stride=[0]} : f32[1]",
     "2:6: error: window: stride=[0] must be positive; operand 0 is f32[3] from m.weft:1:23"},
    {"%0 = window %y {axes=[0], size=[2], stride=[1,1]} : f32[1]",
     "2:6: error: window: stride=[1,1] needs an entry for each of axes=[0]; operand 0 is f32[3] from m.weft:1:23"},
    {"%0 = window %b {axes=[0], size=[2]} : f32[1]",
     "2:6: error: window: no window along the unbound batch axis of f32[?,3]; operand 0 is f32[?,3] from m.weft:1:67"},
    {"%0 = unwindow %x {axes=[0]} : f32[3]",
     "2:6: error: unwindow: 2 windows 1 apart along axis 0 of f32[3] take more than its 3 elements; operand 0 is "
     "f32[2,3] "
     "from m.weft:1:9"},
    {"%0 = unwindow %x {axes=[0,1]} : f32[3]",
     "2:6: error: unwindow: f32[2,3] has 2 axes; expected those of f32[3] and one for each of axes=[0,1]; operand 0 is "
     "f32[2,3] from m.weft:1:9"},
    {"%0 = reverse %b {axes=[0]} : f32[?,3]",
     "2:6: error: reverse: cannot reverse the unbound batch axis of f32[?,3]; operand 0 is f32[?,3] from m.weft:1:67"},
    {"%s = constant {value=0} : f32[]\n%0 = pad %y, %s {low=[0], high=[0], interior=[9223372036854775807]} : f32[3]",
     "3:6: error: pad: interior=[9223372036854775807] is too large; operand 0 is f32[3] from m.weft:1:23, operand 1 is "
     "f32[] from m.weft:2:1"},
    // Attributes.
    {"%0 = reduce_sum %x : f32[2]", "2:6: error: reduce_sum needs the attribute axis"},
    {"%0 = reduce_sum %x {} : f32[2]", "2:6: error: reduce_sum needs the attribute axis"},
    {"%0 = reduce_sum %x {axis} : f32[2]", "2:25: error: expected '=' after the name of an attribute, found '}'"},
    {"%0 = reduce_sum %x {axis=[1]} : f32[2]", "2:26: error: expected an integer, found '['"},
    {"%0 = reduce_sum %x {axis=1.5} : f32[2]", "2:26: error: expected an integer, found '1.5'"},
    {"%0 = reduce_sum %x {axis=99999999999999999999} : f32[2]",
     "2:26: error: 99999999999999999999 is out of range for i64"},
    {"%0 = reduce_sum %x {axis=1, axis=1} : f32[2]", "2:29: error: attribute 'axis' is given twice"},
    {"%0 = reduce_sum %x {axes=1} : f32[2]", "2:21: error: reduce_sum has no attribute 'axes'; it has axis"},
    {"%0 = neg %x {axis=1} : f32[2,3]", "2:14: error: neg has no attribute 'axis'"},
    {"%0 = reduce_sum %x {axis=1 : f32[2]", "2:28: error: expected '}' or ',' after an attribute, found ':'"},
    {"%0 = transpose %x {perm=1} : f32[3,2]", "2:25: error: expected '[' before a list, found '1'"},
    {"%0 = transpose %x {perm=[1 0]} : f32[3,2]", "2:28: error: expected ']' or ',' after an integer, found '0'"},
    {"%0 = transpose %x {perm=[0,0,0,0,0,0,0,0,0]} : f32[3,2]",
     "2:42: error: more than 8 entries: the rank is limited"},
    {"%0 = transpose %x {0} : f32[3,2]", "2:20: error: expected the name of an attribute, found '0'"},
    // Literals.
    {"%0 = constant : f32[]", "2:6: error: constant needs the attribute value"},
    {"%0 = constant {axis=1} : f32[]", "2:16: error: constant has no attribute 'axis'; it has value"},
    {"%0 = constant {value=1, value=2} : f32[]", "2:25: error: attribute 'value' is given twice"},
    {"%0 = constant {value=%x} : f32[]", "2:22: error: expected a literal, found '%x'"},
    {"%0 = constant {value=[1, 2} : f32[2]", "2:27: error: expected ']' or ',' after an element, found '}'"},
    {"%0 = constant {value=[1, [2]]} : f32[2]", "2:26: error: expected a literal, found '['"},
    {"%0 = constant {value=[1, 2]} : f32[3]", "2:22: error: a constant of type f32[3] needs 3 elements, found 2"},
    {"%0 = constant {value=[1]} : f32[1000000000]",
     "2:22: error: a constant of type f32[1000000000] needs 1000000000 elements, found 1"},
    {"%0 = constant {value=1} : f32[3]", "2:22: error: a constant of type f32[3] needs a list, found '1'"},
    {"%0 = constant {value=[1]} : f32[]", "2:22: error: a constant of type f32[] needs one number, found '['"},
    {"%0 = constant {value=[1]} : f32[?]", "2:22: error: a constant cannot have an unbound extent, as in f32[?]"},
    {"%0 = constant {value=one} : f32[]", "2:22: error: expected a number of type f32, found 'one'"},
    {"%0 = constant {value=1e} : f32[]", "2:22: error: expected a number, found '1e'"},
    {"%0 = constant {value=1e99} : f32[]", "2:22: error: 1e99 is out of range for f32"},
    {"%0 = constant {value=1.5} : i32[]", "2:22: error: expected an integer, found '1.5'"},
    {"%0 = constant {value=[256]} : u8[1]", "2:23: error: 256 is out of range for u8"},
    {"%0 = constant {value=[-1]} : u8[1]", "2:23: error: -1 is out of range for u8"},
    {"%0 = constant {value=2147483648} : i32[]", "2:22: error: 2147483648 is out of range for i32"},
    {"%0 = constant {value=1} : bool[]", "2:22: error: expected true or false, found '1'"},
    {"%0 = constant {value=true} : i32[]", "2:22: error: expected an integer, found 'true'"},
    {"%0 = constant {value=nan(3)} : f32[]", "2:26: error: '3' is not the hexadecimal bits of a f32 NaN"},
    {"%0 = constant {value=nan(0x7f800000)} : f32[]",
     "2:26: error: '0x7f800000' is not the hexadecimal bits of a f32 NaN"},
    {"%0 = constant {value=nan(0x7fc00001} : f32[]", "2:36: error: expected ')' after the bits of a NaN, found '}'"},
    {"%0 = constant {value=nan()} : f32[]", "2:26: error: expected the bits of a NaN, found ')'"},
    // Kernels.
    {"kernel dense {}", "2:8: error: expected the kernel's name, such as @dense, found 'dense'"},
    {"kernel @7 {}", "2:8: error: '@7' is not an identifier"},
    {"kernel @a map [] {}\nkernel @a map [] {}", "3:8: error: kernel '@a' is defined twice"},
    {"kernel @a {}",
     "2:11: error: expected the kind of kernel '@a', one of map, reduce, contract, scatter, concat, scan; found '{'"},
    {"kernel @a mop [] {}",
     "2:11: error: expected the kind of kernel '@a', one of map, reduce, contract, scatter, concat, scan; found 'mop' "
     "(did you "
     "mean 'map'?)"},
    {"kernel @a map {}", "2:15: error: expected '[' before the domain of a kernel, found '{'"},
    {"kernel @a reduce [2] {}", "2:22: error: expected 'over' before the axis that is reduced, found '{'"},
    {"kernel @a reduce [2] over 1 {}", "2:27: error: axis 1 is not one of the 1 of the domain [2]"},
    {"kernel @a map [2,3] { %r = reduce_sum %x {axis=1} : f32[2] }",
     "2:28: error: reduce_sum does not fit kernel @a, a map [2,3]"},
    {"kernel @a reduce [2,3] over 0 { %r = reduce_sum %x {axis=1} : f32[2] }",
     "2:38: error: reduce_sum does not fit kernel @a, a reduce [2,3] over 0"},
    {"kernel @a map [] }", "2:18: error: expected '{' before the nodes of a kernel, found '}'"},
    {"kernel @a map [] { kernel @b {} }", "2:20: error: expected a node or '}' in kernel @a, found 'kernel'"},
    {"kernel @a map [] {", "2:19: error: expected a node or '}' in kernel @a, found the end of the text"},
    // Updates and outputs.
    {"update x = %x", "2:8: error: expected a state input, found 'x'"},
    {"update %x = %x", "2:8: error: '%x' is not a state input: only those are updated"},
    {"%0 = neg %x : f32[2,3] update %0 = %x", "2:31: error: '%0' is not a state input: only those are updated"},
    {"update %w %x", "2:11: error: expected '=' after the state, found '%x'"},
    {"update %w = 1", "2:13: error: expected the new value of the state, found '1'"},
    {"update %w = %y", "2:13: error: state '%w' is f32[2,3], its new value '%y' is f32[3]"},
    {"update %w = %x\nupdate %w = %x", "3:8: error: '%w' is updated twice, first in line 2"},
    {"return", "2:7: error: expected an output, found the end of the text"},
    {"return loss %x", "2:13: error: expected '=' after the name of an output, found '%x'"},
    {"return %nothing", "2:8: error: undefined value '%nothing'"},
    {"return %x, %x", "2:12: error: output 'x' exists already"},
    {"update %w = %x\nreturn w = %x",
     "3:8: error: output 'w' has the name of the state 'w', which is updated: both are results"},
    {"update %w = %x\nreturn %w",
     "3:8: error: output 'w' has the name of the state 'w', which is updated: both are results"},
    {"return out1 = %x, a = %y, out1 = %x", "2:27: error: output 'out1' exists already"},
};

}  // namespace

TEST_CASE("graph text: syntax errors") {
  for (const ErrorCase& c : kSyntax) CHECK(parse_error(c.text) == std::string("m.weft:") + c.message);
}

TEST_CASE("graph text: type errors") {
  for (const ErrorCase& c : kTypes) CHECK(parse_error(c.text) == std::string("m.weft:") + c.message);
}

TEST_CASE("graph text: errors in the body") {
  for (const ErrorCase& c : kBodies) {
    INFO(c.text);
    CHECK(parse_error(kInputs + std::string(c.text)) == std::string("m.weft:") + c.message);
  }
}

TEST_CASE("graph text: a long token is cut in the message") {
  const std::string message = parse_error("func @f() { " + std::string(100'000, 'a'));
  CHECK(message == "m.weft:1:13: error: expected a node such as '%0 = …', kernel, update, return or '}', found '" +
                       std::string(40, 'a') + "…'");
}

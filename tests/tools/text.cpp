// `weft dump`, `weft opt` and `weft run`: text at every stage that reads back, and graphs that run.
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "catch.h"
#include "passes/pipeline.h"
#include "runtime/files/npy.h"
#include "tools/command.h"

using namespace weft::test;
using weft::Array;

namespace {

std::string ok(const Result& r) {
  INFO(r);
  REQUIRE(r.code == 0);
  REQUIRE_FALSE(r.out.empty());
  return r.out;
}

/// x w + b with an exponential moving average of the row sums as state.
const char* const kGraph = R"(func @f(%x: f32[?,2], %w: f32[2,2], state %s: f32[]) {
  %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[?,2]
  %1 = constant {value=0.5} : f32[]
  %2 = reduce_sum %0 {axis=1} : f32[?]
  %3 = reduce_sum %2 {axis=0} : f32[]
  %4 = mul %s, %1 : f32[]
  %5 = add %4, %3 : f32[]
  update %s = %5
  return y = %0
}
)";

void write_inputs(const TempDir& dir) {
  spill(dir.file("f.weft"), kGraph);
  weft::write_npy(dir.file("x.npy"), Array::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}));
  weft::write_npy(dir.file("w.npy"), Array::from<float>({1, 0, 0, 2}, {2, 2}));
  weft::write_npy(dir.file("s.npy"), Array::scalar(8.0f));
}

}  // namespace

TEST_CASE("dump prints every stage") {
  struct Row {
    std::string emit, begins, contains;
  };
  const TempDir dir;
  for (const Row& row : std::vector<Row>{
           {"graph", "func @", "contract"},
           {"optimized", "func @", "kernel @"},
           {"kernels", "program @", "schedule cpu {"},
           {"llvm", "", "define "},
           {"asm", "", ".globl"},
           {"dot", "digraph", "->"},
       }) {
    INFO(row.emit);
    const std::string text = ok(shell("weft dump mlp --emit " + row.emit, dir.path()));
    CHECK(text.starts_with(row.begins));
    CHECK(contains(text, row.contains));
  }
  const std::string znver4 = ok(shell("weft dump mlp --emit asm --target znver4", dir.path()));
  CHECK(contains(znver4, "zmm"));
  CHECK_FALSE(contains(ok(shell("weft dump mlp --emit asm --target znver3", dir.path())), "zmm"));
}

TEST_CASE("every stage reads back and prints the same") {
  const TempDir dir;
  for (const std::string emit : {"graph", "optimized", "kernels"}) {
    INFO(emit);
    const std::string text = ok(shell("weft dump mlp --locs --emit " + emit, dir.path()));
    CHECK(ok(shell("weft opt - --locs --emit " + emit, dir.path(), text)) == text);
  }
  // Compilation continues from the text of any stage as if it had never been text.
  const std::string kernels = ok(shell("weft dump mlp --emit kernels", dir.path()));
  CHECK(ok(shell("weft dump mlp --emit graph | weft opt - --emit kernels", dir.path())) == kernels);
  CHECK(ok(shell("weft dump mlp | weft opt - --emit kernels", dir.path())) == kernels);
  CHECK(ok(shell("weft opt - --emit asm --trust", dir.path(), kernels)) ==
        ok(shell("weft dump mlp --emit asm", dir.path())));
}

TEST_CASE("every value of the training step says which lines it came from") {
  const TempDir dir;
  for (const std::string emit : {"graph", "optimized"}) {
    std::istringstream lines(ok(shell("weft dump mlp --locs --emit " + emit, dir.path())));
    int values = 0;
    for (std::string line; std::getline(lines, line);) {
      if (line.find(" = ") == line.npos || line.find("update ") != line.npos || line.find("return ") != line.npos)
        continue;
      ++values;
      INFO(line);
      CHECK(std::regex_search(line, std::regex(" // .*\\.(cpp|h):[0-9]+")));
    }
    CHECK(values > 50);
  }
}

TEST_CASE("each weight's optimiser runs in the epilogue of its gradient") {
  const TempDir dir;
  const std::string text = ok(shell("weft dump mlp", dir.path()));
  for (const std::string weight : {"dense.weight", "dense_1.weight", "dense_2.weight"}) {
    INFO(weight);
    const std::size_t update = text.find("= sub %" + weight + ",");
    REQUIRE(update != text.npos);
    const std::size_t begin = text.rfind("kernel @", update), end = text.find("\n  }", update);
    const std::string kernel = text.substr(begin, end - begin);
    for (const std::string& part :
         std::vector<std::string>{"= contract ", "sqrt", "%optimizer.m." + weight, "%optimizer.v." + weight})
      CHECK(contains(kernel, part));
  }
}

TEST_CASE("opt runs the passes that it is told to run") {
  const TempDir dir;
  const std::string text = "func @f(%x: f32[4]) {\n  %0 = neg %x : f32[4]\n  %1 = neg %0 : f32[4]\n  return %1\n}\n";
  spill(dir.file("f.weft"), text);
  CHECK(ok(shell("weft opt f.weft --emit graph", dir.path())) == text);
  CHECK(ok(shell("weft opt f.weft --pass dead", dir.path())) == text);
  const std::string simple = ok(shell("weft opt f.weft --pass simplify --pass dead", dir.path()));
  CHECK_FALSE(contains(simple, "neg"));
  CHECK(shell("weft opt f.weft --pass simplify -o out.weft", dir.path()).out.empty());
  CHECK(slurp(dir.file("out.weft")) == simple);

  const Result all = shell("weft opt f.weft --emit kernels --print-after-all --stats", dir.path());
  INFO(all);
  CHECK(all.code == 0);
  for (const weft::PassInfo& pass : weft::passes()) CHECK(contains(all.err, "// after " + std::string(pass.name)));
  CHECK(contains(all.err, "(unchanged)"));
  CHECK(contains(all.err, " ms"));
  CHECK(contains(all.err, "rule "));
  CHECK(contains(ok(shell("weft opt f.weft --disable simplify --disable simplify-canonical", dir.path())), "neg"));

  // Passes of programs, from a graph through lowering and from a text of kernels.
  const std::string kernels = ok(shell("weft opt f.weft --emit kernels", dir.path()));
  std::string by_name, of_programs;
  for (const weft::PassInfo& pass : weft::passes())
    (pass.is_of_graphs() || pass.name == "lower" ? by_name : of_programs) += " --pass " + std::string(pass.name);
  CHECK(ok(shell("weft opt f.weft" + by_name + of_programs, dir.path())) == kernels);
  CHECK(ok(shell("weft opt f.weft" + by_name + " | weft opt -" + of_programs, dir.path())) == kernels);
}

TEST_CASE("opt reports mistakes in the text and in its options") {
  const TempDir dir;
  write_inputs(dir);
  struct Row {
    std::string options, input, message;
  };
  for (const Row& row : std::vector<Row>{
           {"-", "func @f(%x: f32[4]) {\n  %0 = fly %x : f32[4]\n  return %0\n}\n", "<stdin>:2:8: error: "},
           {"-", "func @f(%x: f32[4]) {\n  return %y\n}\n", "<stdin>:2:10: error: "},
           {"-", "", "<stdin>:1:1: error: "},
           {"-", "program @p {\n  ?\n}\n", "<stdin>:2:3: error: "},
           {"f.weft --pass fly", "", "weft: error: no pass is called 'fly'; there are: dead, "},
           {"f.weft --batch 3 --pass lower", "",
            "weft: error: pass 'lower' takes a graph as 'canonicalize', then 'fuse', leave it"},
           {"f.weft --pass canonicalize --pass fuse --pass lower", "", "has an unbound batch extent"},
           {"f.weft --batch 3 --disable fuse", "", "weft: error: pass 'fuse' cannot be disabled"},
           {"f.weft --numerics loose", "", "weft: error: numerics: expected exact, fast or bf16, found 'loose'"},
           {"f.weft --emit kernels", "",
            "input 'x' is f32[?,2]: its unbound extents must be bound before compiling (--batch N, --extent NAME=N)"},
       }) {
    const Result r = shell("weft opt " + row.options, dir.path(), row.input);
    INFO(row.options << "\n" << row.input << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, row.message));
    CHECK(r.out.empty());
  }
  const std::string kernels = ok(shell("weft opt f.weft --batch 3 --emit kernels", dir.path()));
  const Result stage = shell("weft opt - --emit optimized", dir.path(), kernels);
  CHECK(stage.code == 1);
  CHECK(contains(stage.err, "past that stage"));
  const Result pass = shell("weft opt - --pass fold", dir.path(), kernels);
  CHECK(pass.code == 1);
  CHECK(contains(pass.err, "pass 'fold' runs on a graph, and this is a program of kernels"));
}

TEST_CASE("run computes outputs and new states from npy files") {
  const TempDir dir;
  write_inputs(dir);
  const std::string inputs = " --input x=x.npy --input w=w.npy --input s=s.npy";
  const Array y = Array::from<float>({1, 4, 3, 8, 5, 12}, {3, 2}), s = Array::scalar(37.0f);
  spill(dir.file("f.kernels"), ok(shell("weft opt f.weft --batch 3 --emit kernels", dir.path())));
  for (const std::string command : {"run f.weft", "run f.weft --threads 1", "run f.weft --interpret", "run - <f.weft",
                                    "run f.kernels", "run f.kernels --interpret"}) {
    const Result r = shell("rm -rf out; weft " + command + inputs + " --output-dir out", dir.path());
    INFO(command << "\n" << r);
    REQUIRE(r.code == 0);
    CHECK(weft::read_npy(dir.file("out/y.npy")).same_bits(y));
    CHECK(weft::read_npy(dir.file("out/s.npy")).same_bits(s));
    CHECK(ok(shell("weft " + command + inputs, dir.path())) == "y = " + y.str() + "\ns = " + s.str() + "\n");
  }
  CHECK(weft::read_npy(dir.file("s.npy")).item<float>() == 8);  // the files given are only read
}

TEST_CASE("a program in a CPU's storage order is no program of a GPU") {
  const TempDir dir;
  CHECK(shell("weft dump mlp --emit kernels --target znver3 -o step.kernels", dir.path()).code == 0);
  for (const char* stage : {"device", "ptx"}) {
    const Result r = shell(std::string("weft opt step.kernels --emit ") + stage, dir.path());
    INFO(r);
    CHECK(r.code != 0);
    CHECK(contains(r.err, "lies in panels of 16, a CPU's storage order; expected row-major buffers"));
  }
  std::ofstream(dir.file("sum.graph"))
      << "func @f(%x: f32[131072,64]) { %y = reduce_sum %x {axis=0} : f32[64] return y = %y }";
  CHECK(shell("weft opt sum.graph --emit kernels --target znver3 -o sum.kernels", dir.path()).code == 0);
  for (const char* stage : {"device", "ptx"}) {
    CHECK(shell(std::string("weft opt sum.graph --target sm_90a --emit ") + stage, dir.path()).code == 0);
    const Result r = shell(std::string("weft opt sum.kernels --emit ") + stage, dir.path());
    INFO(r);
    CHECK(r.code != 0);
    CHECK(contains(r.err, "kernel @column0 runs points in chunks of 256, which only a CPU's code does"));
  }
}

TEST_CASE("run reports what is wrong with its inputs") {
  const TempDir dir;
  write_inputs(dir);
  weft::write_npy(dir.file("long.npy"), Array::from<float>({1, 2, 3}, {3}));
  weft::write_npy(dir.file("ints.npy"), Array::from<std::int32_t>({1, 0, 0, 2}, {2, 2}));
  spill(dir.file("text.npy"), "not an array");
  const std::string all = "--input x=x.npy --input w=w.npy --input s=s.npy ";
  struct Row {
    std::string options, message;
  };
  for (const Row& row : std::vector<Row>{
           {"--input x=x.npy --input w=w.npy", "input 's' has no value: give --input s=FILE.npy holding f32[]"},
           {"--input w=w.npy --input s=s.npy", "input 'x' has no value: give --input x=FILE.npy holding f32[?,2]"},
           {"--input x=long.npy --input w=w.npy --input s=s.npy", "input 'x': expected f32[?,2], found f32[3]"},
           {"--input x=x.npy --input w=ints.npy --input s=s.npy", "input 'w': expected f32[2,2], found i32[2,2]"},
           {all + "--input z=s.npy", "--input z: there is no such input; there are: x, w, s"},
           {all + "--input s=s.npy", "--input: 's' is given twice"},
           {"--input x", "--input: expected NAME=FILE.npy, found 'x'"},
           {"--input x=text.npy", "text.npy"},
           {"--input x=none.npy", "none.npy"},
           {all + "--output-dir f.weft/out", "cannot make the folder f.weft/out"},
       }) {
    const Result r = shell("weft run f.weft " + row.options, dir.path());
    INFO(row.options << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, "weft: error: "));
    CHECK(contains(r.err, row.message));
    CHECK(r.out.empty());
  }
}

// `weft compile` and `weft verify-object`: what they write, and what they refuse.
#include "catch.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

constexpr const char* kScale =
    "func @scale(%x: f32[?,2], state %w: f32[2]) {\n"
    "  %0 = broadcast %w {axes=[1]} : f32[?,2]\n  %1 = mul %x, %0 : f32[?,2]\n  return y = %1\n}\n";

struct Folder : TempDir {
  Folder() { spill(file("scale.weft"), kScale); }
  Result run(const std::string& command) const { return shell(command, path()); }
};

}  // namespace

TEST_CASE("compile writes an object that needs nothing, its header and a program that runs") {
  const Folder folder;
  Result r = folder.run(
      "weft compile scale.weft --batch 1,4 --target multi -o out.obj --demo main.c --json && weft verify-object "
      "out.obj");
  INFO(r);
  CHECK(r.code == 0);
  CHECK(contains(r.out, "\"undefined\":[]"));
  CHECK(contains(r.out, "defines: model_init, model_read, model_scale_1, model_scale_4, model_supported, model_write"));
  CHECK(contains(r.out, "needs: nothing"));
  r = folder.run(WEFT_CXX " -x c -std=c99 main.c -x none out.obj -o demo && ./demo");
  INFO(r);
  CHECK(contains(r.out, "scale_4 2: y[0] = 0"));
}

TEST_CASE("what compile and verify-object refuse") {
  const Folder folder;
  spill(folder.file("program.c"), "int counter; int f(void) { return ++counter + g(); }");
  folder.run(WEFT_CXX " -x c -c -w program.c -o program.o; head -c 300 program.o > half.o");
  spill(folder.file("common.c"), "int counter;");
  folder.run(WEFT_CXX " -x c -fcommon -c common.c -o common.o");
  spill(folder.file("coff.o"), std::string("\x64\x86", 2) + std::string(18, '\0'));  // no section, no symbol
  const struct {
    std::string command, message;
  } rows[] = {
      {"weft compile scale.weft", "input 'x' is f32[?,2]: its unbound extents must be bound"},
      {"weft compile scale.weft --stream 1",
       "input 'x' is f32[?,2]: only the extent of axis 1 may be unbound in a stream"},
      {"weft compile scale.weft --batch 4 --stream 1",
       "scale.weft:3:3: stream: mul: it takes f32[2] of w, whose values differ"},
      {"weft compile scale.weft --batch 4 --frames 2", "frames are of a stream; expected its axis, too"},
      {"weft compile scale.weft --batch 0", "--batch: expected 1 or more, found 0"},
      {"weft compile scale.weft --batch 4 --train", "--train is for a reference model"},
      {"weft compile scale.weft --batch 4 --seed 1", "--seed is for a reference model"},
      {"weft compile scale.weft --batch 4 --threads 0", "--threads: expected 1 to 256, found 0"},
      {"weft compile scale.weft --batch 4 --threads many", "--threads: expected none, callback or a number"},
      {"weft compile scale.weft --batch 4 --max-memory -5", "--max-memory: expected 1 or more, found -5"},
      {"weft compile scale.weft --batch 4 --max-memory 100", "object: it needs "},
      {"weft compile scale.weft --batch 4 -o a.o --header a.o", "are files of their own; found a.o twice"},
      {"weft compile scale.weft --batch 4 --header scale.weft", "scale.weft would be overwritten"},
      {"weft compile scale.weft --batch 4 -o -", "'-': what compile makes goes to files"},
      {"weft compile scale.weft --batch 4 -o none/a.o", "none/a.o"},
      {"weft compile mlpp", "there is no reference model and no file 'mlpp'; models are mlp, cnn, lstm, vit, gpt"},
      {"weft compile mlp --extent a=3", "--extent is for .weft files"},
      {"weft compile mlp --max-memory 1000", "weft: error: object: it needs "},
      {"weft compile mlp scale.weft", "a reference model is compiled by itself; found scale.weft too"},
      {"weft verify-object program.o", "program.o: it needs g from elsewhere; expected nothing"},
      {"weft verify-object common.o", "common.o: it has 4 bytes of data that change; expected none"},
      {"weft verify-object coff.o", "coff.o: COFF-x86-64; expected an object file in ELF"},
      {"weft verify-object half.o", "half.o: no object file"},
      {"weft verify-object scale.weft", "scale.weft: no object file"},
  };
  for (const auto& row : rows) {
    const Result r = folder.run(row.command);
    INFO(row.command << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, row.message));
  }
  CHECK(slurp(folder.file("scale.weft")) == kScale);
  CHECK(folder.run("ls").out == "coff.o\ncommon.c\ncommon.o\nhalf.o\nprogram.c\nprogram.o\nscale.weft\n");
}

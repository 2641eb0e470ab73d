// Texts that nobody meant well with, through the command: every stage gives its result or an error that names the line.
#include <filesystem>
#include <regex>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

/// A result, or "file:line:col: error: …".
void check_ends_well(const std::string& command, const std::string& directory) {
  const Result r = shell(command, directory);
  INFO(command << "\n" << r.err);
  CHECK((r.code == 0 || r.code == 1));
  if (r.code == 1)
    CHECK(std::regex_search(r.err, std::regex("^([^ ]*\\.weft:[0-9]+:[0-9]+: error: |weft: error: --emit )")));
  CHECK_FALSE(contains(r.err, "bug in weft"));
}

std::string error_of_run(const TempDir& dir, const std::string& text, const std::string& options = "") {
  spill(dir.file("p.weft"), text);
  const Result r = shell("weft run p.weft " + options, dir.path());
  INFO(r);
  CHECK(r.code == 1);
  return r.err;
}

}  // namespace

TEST_CASE("texts that crashed the compiler give a result or an error with a place, at every stage") {
  const TempDir dir;
  int files = 0;
  for (const char* folder : {"programs", "graphs"})
    for (const auto& entry :
         std::filesystem::directory_iterator(WEFT_SOURCE_DIR "/tests/fuzz/" + std::string(folder))) {
      ++files;
      for (const char* stage : {"graph", "optimized", "kernels", "llvm", "asm", "ptx", "dot", "device"})
        check_ends_well("weft opt " + entry.path().string() + " --emit " + stage, dir.path());
      for (const char* way : {"", " --interpret", " --device emulator", " --device emulator --check"}) {
        const Result r = shell("weft run " + entry.path().string() + way, dir.path());
        INFO(entry.path() << way << r);
        CHECK((r.code == 0 || r.code == 1));
        CHECK_FALSE(contains(r.err, "bug in weft"));
      }
    }
  CHECK(files >= 7);
}

TEST_CASE("a race in kernels that somebody wrote is his, and every checker says so") {
  const TempDir dir;
  const std::string text =
      "program @race { output %y: f32[4] outputs %y kernel @k { axes i=4 %n: i64 = index i %e: f32 = convert %n\n"
      "phase (i) { map: store %y[0] = %e }\nphase (i) { map: store %y[i] = %e } } }";
  CHECK(contains(error_of_run(dir, text, "--interpret"), "a race at step"));
  const std::string checked = error_of_run(dir, text, "--device emulator --check");
  CHECK(contains(checked, "race on global %y[0]"));
  CHECK_FALSE(contains(checked, "internal error"));
}

TEST_CASE("a program that needs more memory than there is gets an error before any is allocated") {
  const TempDir dir;
  // What a text declares and does not use is refused.
  const std::pair<const char*, const char*> declared[] = {
      {"output %y: f32[1000000000000]", "output %y: no kernel stores its elements [8:1000000000000]"},
      {"output %y: f32[8] arena 2000000000",
       ".weft:1:40: error: an arena of 2000000000 bytes, where all temps together need 0"},
      {"output %y: f32[8] temp %t: f32[500000000]", "temp %t: no kernel stores to it"},
      {"output %y: f32[8] temp %t: f32[500000000] {offset=0} arena 2000000000", "temp %t: no kernel stores to it"},
  };
  for (const auto& [buffers, message] : declared)
    for (const char* way : {"", "--interpret", "--device emulator"}) {
      const std::string error = error_of_run(
          dir,
          "program @big { " + std::string(buffers) +
              " outputs %y kernel @k { axes i=8 %e: f32 = constant 1 phase (i) { map: store %y[i] = %e } } }",
          way);
      INFO(error);
      CHECK(contains(error, message));
    }
  const std::string rows =
      "program @big { output %y: f32[1000000,1000000] outputs %y kernel @k { axes i=1000000, j=1000000\n"
      "%e: f32 = constant 1 phase (i, j) { map: store %y[i, j] = %e } } }";
  for (const char* way : {"", "--interpret", "--device emulator"})
    CHECK(contains(error_of_run(dir, rows, way), "needs 3.6 TiB of memory, more than the "));
  CHECK(contains(error_of_run(dir, "func @f() { %0 = iota {axis=0} : i64[1000000000000]\n return y = %0 }"),
                 "needs 7.3 TiB of memory"));
}

TEST_CASE("long texts and long lines take time in proportion") {
  const TempDir dir;
  std::string line =
      "program @p { output %y: f32[1] outputs %y kernel @k { axes i=1 %c: f32 = constant 1 %e0: f32 = add %c, %c";
  for (int i = 1; i < 9000; ++i) line += " %e" + std::to_string(i) + ": f32 = neg %e" + std::to_string(i - 1);
  CHECK(contains(error_of_run(dir, line + " phase (i) { map: store %y[i] = %e8999 } } }"),
                 "expressions, more than 8192"));
  CHECK(contains(error_of_run(dir, std::string(20'000'000, 'x')), "error: expected 'func'"));
  CHECK(contains(error_of_run(dir, "program @p { " + std::string(20'000'000, '{')), "error: expected a buffer"));
  std::string sum =
      "program @p { output %y: f32[1] outputs %y kernel @k { axes i=1 %e: f32 = constant 1 phase (i) { map: store %y[0";
  for (int i = 0; i < 1'000'000; ++i) sum += "+ i ";
  spill(dir.file("sum.weft"), sum + "] = %e } } }");
  const Result r = shell("weft run sum.weft", dir.path());
  INFO(r);
  CHECK(r.out == "y = f32[1] {1}\n");
}

// The command line: help everywhere, and for every mistake a message on stderr and a non-zero exit code.
#include <string>
#include <vector>

#include "catch.h"
#include "tools/command.h"

using weft::test::contains;
using weft::test::Result;
using weft::test::shell;
using weft::test::TempDir;

TEST_CASE("every subcommand explains itself") {
  const TempDir dir;
  for (const std::string command :
       {"", "train", "bench", "dump", "opt", "run", "tune", "import", "compile", "generate", "cache", "devices"}) {
    const Result r = shell("weft " + command + " --help", dir.path());
    INFO(command << "\n" << r);
    CHECK(r.code == 0);
    CHECK(contains(r.out, "Usage: weft " + command));
    CHECK(r.err.empty());
  }
  const Result version = shell("weft --version", dir.path());
  CHECK(version.code == 0);
  CHECK(version.out.starts_with("weft "));
}

TEST_CASE("what is no text, and what has no end, is refused by every reader") {
  const TempDir dir;
  struct Row {
    std::string command, message;
  };
  const std::string data = "weft run f.weft --input x=", schedules = "weft opt f.weft --emit kernels --schedules ";
  weft::test::spill(dir.file("f.weft"), "func @f(%x: f32[4]) { %0 = neg %x : f32[4] return y = %0 }");
  const Result made = shell(
      "mkfifo fifo; ln -s loop loop; head -c 3000 /dev/urandom > random; truncate -s 1T huge; mkdir d", dir.path());
  REQUIRE(made.code == 0);
  std::vector<Row> rows = {
      {"weft opt /dev/zero", "cannot read /dev/zero: byte 0 is 0; expected text"},
      {"weft run /dev/zero", "cannot read /dev/zero: byte 0 is 0; expected text"},
      {"weft tune /dev/zero -o s", "cannot read /dev/zero: byte 0 is 0; expected text"},
      {"weft opt - </dev/zero", "cannot read <stdin>: byte 0 is 0; expected text"},
      {"weft opt huge", "cannot read huge: byte 0 is 0; expected text"},
      {"yes | weft opt -", "cannot read <stdin>: it has more than 268435456 bytes"},
      {"yes >fifo & weft opt fifo", "cannot read fifo: it has more than 268435456 bytes"},
      {"weft opt loop", "cannot open loop: Too many levels of symbolic links"},
      {"weft opt d", "cannot read d: Is a directory"},
      {"weft opt /proc/self/maps", "/proc/self/maps:1:"},
  };
  for (const std::string& reader : {data, schedules})
    for (const auto& [path, message] : std::vector<std::pair<std::string, std::string>>{
             {"/dev/zero", "cannot read '/dev/zero': not a regular file"},
             {"fifo", "cannot read 'fifo': not a regular file"},
             {"loop", "cannot open 'loop': Too many levels of symbolic links"},
             {"d", "cannot read 'd': it is a folder"},
             {"/proc/self/maps", "cannot read '/proc/self/maps': it has no size, as files have"},
             {"huge",
              reader == data ? "cannot read 'huge' as .npy: it does not begin with" : "'huge' has 1099511627776 bytes"},
             {"random",
              reader == data ? "cannot read 'random' as .npy: it does not begin with" : "random:1:1: error: "},
         })
      rows.push_back({reader + path, message});
  for (const Row& row : rows) {
#ifdef WEFT_SANITIZE  // which takes all addresses there are
    const std::string limit;
#else
    const std::string limit = "ulimit -v 4000000; ";
#endif
    const Result r = shell(limit + row.command, dir.path());
    INFO(row.command << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, row.message));
    CHECK(r.out.empty());
  }
}

TEST_CASE("mistakes on the command line") {
  struct Row {
    std::string command;
    int code;
    std::string message;
  };
  const std::vector<Row> rows = {
      {"weft", 2, "weft: error: A subcommand is required"},
      {"weft fly", 2,
       "weft: error: there is no command 'fly'; there are: train, bench, dump, opt, run, tune, import, compile, "
       "verify-object, generate, cache, "
       "devices"},
      {"weft train", 2, "weft: error: WHAT is required"},
      {"weft train mnist --epochs 0", 2, "--epochs"},
      {"weft train mnist --epochs many", 2, "--epochs"},
      {"weft train mnist --batch-size -1", 2, "--batch-size"},
      {"weft train mnist --wings 2", 2, "--wings"},
      {"weft bench mlp --threads 0", 2, "--threads"},
      {"weft bench mlp --steps 0", 2, "--steps"},
      {"weft cache", 2, "weft: error: A subcommand is required"},
      {"weft cache burn", 2, "weft: error: A subcommand is required"},
      {"weft cache verify --threads 0", 2, "--threads"},
      {"weft cache clear", 1, "weft: error: the object cache is off"},
      {"weft train cifar", 1, "weft: error: train: expected mnist or gpt, found 'cifar'"},
      {"weft train lstm", 1,
       "weft: error: train: expected mnist or gpt, found 'lstm'; a model is an option: weft train mnist --model "
       "lstm"},
      {"weft train mnist --data nowhere", 1, "nowhere"},
      {"weft train mnist --device tpu", 1, "--device: expected cpu, cuda, emulator or auto, found 'tpu'"},
      {"weft train mnist --model resnet", 1, "resnet"},
      {"weft bench resnet", 1, "resnet"},
      {"weft dump mlp --emit machine", 1,
       "--emit: expected graph, optimized, kernels, llvm, asm, device, ptx, artifact or dot, found 'machine'"},
      {"weft dump mlp --emit ptx --target sm_12", 1,
       "unknown GPU 'sm_12'; expected one of sm_80, sm_86, sm_87, sm_89, sm_90, sm_90a"},
      {"weft dump mlp --emit ptx --target znver4", 1,
       "--emit ptx is for a GPU, such as --target sm_90a; found 'znver4'"},
      {"weft dump mlp --emit asm --target sm_80", 1, "--emit asm is for a CPU, and --target sm_80 is a GPU"},
      {"weft dump mlp --target vax", 1, "vax"},
      {"weft dump mlp --emit asm --cpu haswell --target haswell", 1,
       "--cpu haswell and --target haswell: expected one of them"},
      {"weft dump mlp --emit ptx --cpu haswell", 1, "--emit ptx is for a GPU, and --cpu haswell is none"},
      {"weft dump mlp --cpu znver33", 1, "unknown cpu 'znver33' (did you mean 'znver3'?); expected one of "},
      {"weft train mnist --cpu vaxstation", 1, "unknown cpu 'vaxstation'; expected one of "},
      {"weft bench mlp --cpu vaxstation", 1, "unknown cpu 'vaxstation'; expected one of "},
      {"weft run x.weft --cpu vaxstation", 1, "unknown cpu 'vaxstation'; expected one of "},
      {"weft tune mlp -o s.txt --cpu vaxstation", 1, "unknown cpu 'vaxstation'; expected one of "},
      {"weft bench mlp --cpu haswell --device emulator", 1, "--cpu is for --device cpu"},
      {"weft dump mlp -o no/such/folder/x", 1, "cannot open no/such/folder/x for writing: No such file or directory"},
      {"weft opt missing.weft", 1, "cannot open missing.weft: No such file or directory"},
      {"weft opt .", 1, "cannot read .: Is a directory"},
      {"weft run missing.weft", 1, "cannot open missing.weft: No such file or directory"},
  };
  const TempDir dir;
  for (const Row& row : rows) {
    const Result r = shell(row.command, dir.path());
    INFO(row.command << "\n" << r);
    CHECK(r.code == row.code);
    CHECK(contains(r.err, row.message));
    CHECK(r.out.empty());
  }
}

TEST_CASE("what later releases bring is refused clearly") {
  const TempDir dir;
  weft::test::spill(dir.file("m.onnx"), "x");
  for (const std::string command : {"weft run m.onnx", "weft import m.onnx -o m.weft", "weft compile m.onnx -o m.o"}) {
    const Result r = shell(command, dir.path());
    INFO(command << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, "not yet built in"));
    CHECK(r.out.empty());
  }
}

TEST_CASE("a full disk is an error") {
  const TempDir dir;
  const Result r = shell("weft dump mlp >/dev/full", dir.path());
  INFO(r);
  CHECK(r.code == 1);
  CHECK(contains(r.err, "cannot write stdout: No space left on device"));
}

// scripts/gpu-check.sh without a GPU: its dry run on the emulator, and what it says when something is missing or fails.
#include <string>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

const std::string kScript = "WEFT_GPU=" WEFT_GPU_BIN " " WEFT_SOURCE_DIR "/scripts/gpu-check.sh ";

}  // namespace

TEST_CASE("gpu-check.sh: the dry run on the emulator passes and writes its report") {
  const TempDir dir;
  const Result r = shell(kScript + "--device emulator --quick --report r.md", dir.path());
  const std::string report = slurp(dir.file("r.md"));
  INFO(r << report);
  CHECK(r.code == 0);
  CHECK(contains(r.err, "gpu-check: all passed; report: r.md"));
  for (const char* part :
       {"# weft on a GPU: report\n", "| date | 20", "| device | emulator |", "## Devices\n", "\nemulator  emulator, ",
        "## Tests on emulator\n", "All tests passed", "## compute-sanitizer: memcheck\n\nnot run: ",
        "## Training steps\n", "| mlp | 128 | ", "| mlp | 128 | --persistent | ", "## What the device can do at best\n",
        "with a grid barrier", "## Single functions beside that\n", "of a copy", "## Result\n\nall passed\n"})
    CHECK(contains(report, part));
}

TEST_CASE("gpu-check.sh: what is missing or fails is said, and is its exit code") {
  const TempDir dir;
  const struct {
    std::string command;
    int code;
    std::string message;
  } rows[] = {
      {kScript + "--device tpu", 2, "--device: expected cuda or emulator, found 'tpu'"},
      {kScript + "--fast", 2, "unknown option --fast"},
      {kScript + "--steps", 2, "--steps needs a value"},
      {"WEFT_GPU=/nowhere/weft-gpu " WEFT_SOURCE_DIR "/scripts/gpu-check.sh", 1, "/nowhere/weft-gpu is missing"},
      {"WEFT_CUDA_LIBRARY=/nowhere/libcuda.so " + kScript, 1, "cuda      none: no driver: /nowhere/libcuda.so"},
      {"WEFT_GPU=/bin/false " WEFT_SOURCE_DIR "/scripts/gpu-check.sh --device emulator", 1, "Tests on emulator FAILED"},
  };
  for (const auto& row : rows) {
    const Result r = shell(row.command, dir.path());
    INFO(row.command << "\n" << r);
    CHECK(r.code == row.code);
    CHECK(contains(r.err, row.message));
  }
  CHECK(contains(slurp(dir.file("gpu-check-report.md")), "failed\n"));
}

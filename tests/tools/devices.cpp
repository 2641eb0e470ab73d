// `weft devices` and `--device`: what there is, why there is no GPU, and training on the emulator. The driver is one of
// the tests' own, or none.
#include <nlohmann/json.hpp>
#include <string>

#include "catch.h"
#include "tools/command.h"

using namespace weft::test;
using nlohmann::json;

namespace {

const std::string kFake = "WEFT_CUDA_LIBRARY=" WEFT_FAKE_CUDA " ", kNone = "WEFT_CUDA_LIBRARY=/nowhere/libcuda.so ";
const char* const kWhyNone =
    "no driver: /nowhere/libcuda.so: cannot open shared object file: No such file or directory";

}  // namespace

TEST_CASE("weft devices lists what there is, and why there is no GPU") {
  const TempDir dir;
  const struct {
    std::string environment, expected;
  } rows[] = {
      {kFake, "cuda      Fake GPU, sm_90, 16 multiprocessors, 1.0 GiB, driver 12.8\n"},
      {kFake + "FAKE_CUDA_DEVICES=2 ",
       "cuda      Fake GPU, sm_90, 16 multiprocessors, 1.0 GiB, driver 12.8 (weft uses the first; "
       "CUDA_VISIBLE_DEVICES says which that is)\n"},
      {kFake + "FAKE_CUDA_DEVICES=0 ", "cuda      none: the driver is there, but no device\n"},
      {kFake + "FAKE_CUDA_FAIL=cuInit:100 ",
       "cuda      none: cannot start the driver: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected), "
       "from cuInit\n"},
      {"WEFT_CUDA_LIBRARY=" WEFT_OLD_CUDA " ", "the driver is too old; weft needs one for CUDA 12.0 or newer\n"},
      {kNone, std::string("cuda      none: ") + kWhyNone}};
  for (const auto& row : rows) {
    const Result r = shell(row.environment + "weft devices", dir.path());
    INFO(r);
    CHECK(r.code == 0);
    CHECK(contains(r.out, row.expected));
    CHECK(contains(r.out, "cpu       "));
    CHECK(contains(r.out, "emulator  "));
  }
  const Result there = shell(kFake + "weft devices --json", dir.path());
  const json one = json::parse(there.out);
  CHECK(one["cuda"][0]["name"] == "Fake GPU");
  CHECK(one["cuda"][0]["memory_bytes"] == 1 << 30);
  CHECK_FALSE(one.contains("why_no_cuda"));
  const json none = json::parse(shell(kNone + "weft devices --json", dir.path()).out);
  CHECK(none["cuda"].empty());
  CHECK(contains(none["why_no_cuda"].get<std::string>(), kWhyNone));
  CHECK(none["cpu"]["threads"].get<int>() >= 1);
}

TEST_CASE("a GPU that is not there is an error that says why; --check belongs to the emulator") {
  const TempDir dir;
  for (const std::string command : {"train mnist", "bench mlp", "run x.weft"}) {
    const Result r = shell(kNone + "weft " + command + " --device cuda", dir.path());
    INFO(command << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, std::string("weft: error: --device cuda: ") + kWhyNone));
    const Result check = shell("weft " + command + " --check", dir.path());
    CHECK(check.code == 1);
    CHECK(contains(check.err, "--check is for --device emulator"));
  }
  const Result r = shell("weft bench mlp --device emulator --report", dir.path());
  CHECK(r.code == 1);
  CHECK(contains(r.err, "--report is for --device cpu"));
}

TEST_CASE("training on the emulator gives the CPU's bits; --device auto says what it chose") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 100, 30);
  const std::string command = "weft train mnist --data tiny --epochs 2 --batch-size 32 --json ";
  const Result cpu = shell(kNone + command + "--device auto --save cpu.safetensors", dir.path()),
               emulator = shell(command + "--device emulator --check --save emulator.safetensors", dir.path());
  INFO(cpu << emulator);
  REQUIRE(cpu.code == 0);
  REQUIRE(emulator.code == 0);
  CHECK(contains(cpu.err, "weft: device: cpu\n"));
  const json a = json::parse(cpu.out), b = json::parse(emulator.out);
  CHECK(a["device"] == "cpu");
  CHECK(b["device"] == "emulator");
  for (const char* key : {"train_loss", "val_accuracy", "test_accuracy"}) CHECK(a[key] == b[key]);
  CHECK(slurp(dir.file("cpu.safetensors")) == slurp(dir.file("emulator.safetensors")));
}

TEST_CASE("bench and run take --device emulator") {
  const TempDir dir;
  const Result bench = shell("weft bench mlp --device emulator --batch-size 4 --steps 2 --json", dir.path());
  INFO(bench);
  REQUIRE(bench.code == 0);
  const json line = json::parse(bench.out);
  CHECK(line["device"] == "emulator");
  CHECK(line["step_ms"].get<double>() > 0);
  CHECK_FALSE(line.contains("peak_fraction"));
  CHECK(line["loss"] == json::parse(shell("weft bench mlp --batch-size 4 --steps 2 --json", dir.path()).out)["loss"]);
  const std::string run =
      "weft run " WEFT_SOURCE_DIR "/examples/dense.weft --input x=" WEFT_SOURCE_DIR "/examples/x.npy";
  const Result cpu = shell(run, dir.path()), emulator = shell(run + " --device emulator --check", dir.path());
  INFO(emulator);
  CHECK(emulator.code == 0);
  CHECK(cpu.out == emulator.out);
}

// `weft train` and `weft bench`: they learn, they print what they promise, and they repeat themselves to the bit.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "catch.h"
#include "codegen/codegen.h"
#include "error_of.h"
#include "runtime/files/npy.h"
#include "runtime/files/safetensors.h"
#include "tools/command.h"

using namespace weft::test;
using nlohmann::json;

namespace {

std::vector<std::string> keys(const json& object) {
  std::vector<std::string> names;
  for (const auto& [key, value] : object.items()) names.push_back(key);
  std::sort(names.begin(), names.end());
  return names;
}

json only_line(const Result& r) {
  INFO(r);
  REQUIRE(r.code == 0);
  REQUIRE(std::count(r.out.begin(), r.out.end(), '\n') == 1);
  return json::parse(r.out);
}

}  // namespace

TEST_CASE("train learns the tiny data set and says so in JSON") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 500, 100);
  const json line = only_line(shell("weft train mnist --data tiny --epochs 3 --batch-size 32 --json", dir.path()));
  CHECK(keys(line) == std::vector<std::string>{"compile_s", "cpu", "data", "device", "epoch_s", "epochs", "model",
                                               "step_ms", "test_accuracy", "train_loss", "val_accuracy"});
  CHECK(line["model"] == "mlp");
  CHECK(line["device"] == "cpu");
  CHECK(line["epochs"] == 3);
  CHECK(line["data"].get<std::string>().find("tiny") != std::string::npos);
  CHECK(line["test_accuracy"] == 1.0);
  CHECK(line["val_accuracy"] == 1.0);
  CHECK(line["train_loss"].get<double>() < 0.1);
  CHECK(line["compile_s"].get<double>() > 0);
  CHECK(line["step_ms"].get<double>() > 0);
}

TEST_CASE("train is the same to the bit for any number of threads") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  const std::string command = "weft train mnist --data tiny --epochs 1 --batch-size 32 --seed 7 --json";
  const json one = only_line(shell(command + " --threads 1 --save one.safetensors", dir.path()));
  const json two = only_line(shell(command + " --threads 2 --save two.safetensors", dir.path()));
  CHECK(one["train_loss"] == two["train_loss"]);
  const weft::Checkpoint a = weft::load_safetensors(dir.file("one.safetensors"));
  const weft::Checkpoint b = weft::load_safetensors(dir.file("two.safetensors"));
  REQUIRE(a.arrays.size() == b.arrays.size());
  REQUIRE(a.arrays.size() >= 6);
  for (const auto& [name, value] : a.arrays) {
    INFO(name);
    REQUIRE(b.find(name) != nullptr);
    CHECK(value.same_bits(*b.find(name)));
  }
}

TEST_CASE("train speaks to people too") {
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 300, 50);  // ./data is found without --data
  const Result r = shell("unset WEFT_DATA; weft train mnist --epochs 1 --batch-size 32", dir.path());
  INFO(r);
  CHECK(r.code == 0);
  for (const char* text : {"model: mlp", "data: ", "Dense", "accuracy", "test loss: ", "ms a step"})
    CHECK(contains(r.out + r.err, text));
}

TEST_CASE("train reports what is wrong with the data or the output") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  write_tiny_mnist(dir.file("cut"), 300, 50);
  const std::string images = slurp(dir.file("cut/train-images-idx3-ubyte"));
  spill(dir.file("cut/train-images-idx3-ubyte"), images.substr(0, images.size() / 2));
  struct Row {
    std::string options, message;
  };
  for (const Row& row : std::vector<Row>{
           {"--data cut", "train-images-idx3-ubyte"},
           {"--data tiny --batch-size 4096", "batch"},
       }) {
    const Result r = shell("weft train mnist --json " + row.options, dir.path());
    INFO(row.options << "\n" << r);
    CHECK(r.code == 1);
    CHECK(contains(r.err, "weft: error: "));
    CHECK(contains(r.err, row.message));
    CHECK(r.out.empty());
  }
}

TEST_CASE("a model that cannot be saved is not trained") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  spill(dir.file("file"), "old");
  spill(dir.file("full"), "old");
  struct Row {
    std::string before, path, reason;
  };
  std::vector<Row> rows = {
      {"", "no/such/folder/m", "No such file or directory"},
      {"", "tiny", "it is a folder"},
      {"", "tiny/", "it is a folder"},
      {"", "file/m", "Not a directory"},
      {"", "/dev/null", "not a regular file"},
      {"trap '' XFSZ; ulimit -f 100; ", "new", "File too large"},
      {"trap '' XFSZ; ulimit -f 100; ", "file", "File too large; the old file is as it was"},
  };
  if (shell("unshare -rm mount -t tmpfs -o size=256k none tiny", dir.path()).code == 0) {  // where a user may mount
    const std::string mounted = "exec unshare -rm bash -c 'mount -t tmpfs -o size=256k$0 none no-room && exec \"$@\"' ";
    std::filesystem::create_directory(dir.file("no-room"));
    rows.push_back({mounted + "'' ", "no-room/m", "No space left on device"});
    rows.push_back({mounted + "',ro' ", "no-room/m", "Read-only file system"});
  }
  for (const Row& row : rows) {
    const Result r =
        shell(row.before + "weft train mnist --data tiny --epochs 1000000 --json --save " + row.path, dir.path());
    INFO(row.before << row.path << "\n" << r);
    CHECK(r.code == 1);
    CHECK(r.err == "weft: error: cannot write '" + row.path + "': " + row.reason + "\n");
    CHECK(r.out.empty());
  }
  CHECK(slurp(dir.file("file")) == "old");
  CHECK(shell("ls -A", dir.path()).out.find(".tmp") == std::string::npos);
}

TEST_CASE("a disk that is full when training ends keeps the old file and says so") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  std::filesystem::create_directory(dir.file("disk"));
  if (shell("unshare -rm mount -t tmpfs -o size=256k none disk", dir.path()).code != 0) return;
  const Result r = shell(R"(exec unshare -rm bash -c '
    mount -t tmpfs -o size=16m none disk
    echo old > disk/m
    weft train mnist --data tiny --epochs 1000000 --batch-size 32 --save disk/m >log 2>err &
    until grep -q "Epoch 2/" log; do kill -0 $! || break; sleep 0.02; done
    head -c 14m /dev/zero > disk/other
    kill -TERM $!
    wait $!
    code=$?
    cat err disk/m
    ls -A disk
    exit $code')",
                         dir.path());
  INFO(r);
  CHECK(r.code == 1);
  CHECK(r.out ==
        "weft: error: cannot write 'disk/m': No space left on device; the old file is as it was\nold\nm\nother\n");
}

TEST_CASE("a signal ends training and keeps the weights, and so do two") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  const struct {
    std::string signals;
    int code;
    std::string reason;
  } rows[] = {
      {"INT", 130, "interrupted"},
      {"TERM", 143, "interrupted by SIGTERM"},
      {"HUP", 129, "interrupted by SIGHUP"},
      {"INT INT", 130, "interrupted"},
      {"TERM HUP", 143, "interrupted by SIGTERM"},  // or the other way round: either may be handled first
  };
  for (const auto& row : rows) {
    spill(dir.file("m.safetensors"), "old");
    const Result r = shell(R"(set -m
      rm -f log
      weft train mnist --data tiny --epochs 1000000 --batch-size 32 --save m.safetensors >log &
      until grep -qs 'Epoch 2/' log; do kill -0 $! || break; sleep 0.02; done
      for s in )" + row.signals +
                               R"(; do kill -$s $!; done
      wait $!
      code=$?
      cat log
      exit $code)",
                           dir.path());
    INFO(row.signals << r);
    const bool hung_up = row.signals == "TERM HUP" && r.code == 129;
    CHECK(r.code == (hung_up ? 129 : row.code));
    CHECK(contains(r.out, "stopped: " + (hung_up ? "interrupted by SIGHUP" : row.reason) + "\n"));
    CHECK(contains(r.out, "test loss: "));
    CHECK(weft::load_safetensors(dir.file("m.safetensors")).arrays.size() >= 6);
  }
}

TEST_CASE("three signals within a second end training at once, and the old file stays") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  spill(dir.file("m.safetensors"), "old");
  const Result r = shell(R"(set -m
    weft train mnist --data tiny --epochs 1000000 --batch-size 32 --save m.safetensors >log &
    until grep -qs 'Epoch 2/' log; do kill -0 $! || break; sleep 0.02; done
    kill -STOP $!
    kill -INT $!; kill -TERM $!; kill -HUP $!
    kill -CONT $!
    wait -f $!
    exit $?)",
                         dir.path());
  INFO(r);
  CHECK((r.code == 129 || r.code == 130 || r.code == 143));  // whichever is delivered last
  CHECK_FALSE(contains(slurp(dir.file("log")), "stopped"));
  CHECK(slurp(dir.file("m.safetensors")) == "old");
}

TEST_CASE("an ignored signal stays ignored, as under nohup") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  const Result r = shell(R"(set -m
    (trap '' HUP; exec weft train mnist --data tiny --epochs 1000000 --batch-size 32 >log) &
    until grep -qs 'Epoch 2/' log; do kill -0 $! || break; sleep 0.02; done
    kill -HUP $!
    n=$(grep -c Epoch log)
    until [ $(grep -c Epoch log) -gt $((n + 3)) ]; do kill -0 $! || break; sleep 0.02; done
    kill -TERM $!
    wait $!
    exit $?)",
                         dir.path());
  INFO(r);
  CHECK(r.code == 143);
}

TEST_CASE("a model is saved beside what another process of the same number left") {
  const TempDir dir;
  write_tiny_mnist(dir.file("tiny"), 300, 50);
  if (shell("unshare -rpf true", dir.path()).code != 0) return;
  const Result r = shell(R"(for n in 0 1 2 3; do touch m.1-$n.tmp m.2-$n.tmp; done
    unshare -rpf weft train mnist --data tiny --epochs 1 --batch-size 32 --save m)",
                         dir.path());
  INFO(r);
  CHECK(r.code == 0);
  CHECK(weft::load_safetensors(dir.file("m")).arrays.size() >= 6);
}

TEST_CASE("bench times a step") {
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 300, 50);
  const json line = only_line(shell("unset WEFT_DATA; weft bench mlp --steps 20 --threads 1 --json", dir.path()));
  CHECK(keys(line) == std::vector<std::string>{"cached_compile_s", "compile_s", "cpu", "device", "gflops", "loss",
                                               "model", "peak_fraction", "step_ms", "threads"});
  CHECK(line["cpu"] == weft::host_target().cpu);
  CHECK(line["model"] == "mlp");
  CHECK(line["threads"] == 1);
  CHECK(line["loss"].get<double>() > 0);
  CHECK(line["compile_s"].get<double>() > 0);
  CHECK(line["cached_compile_s"].get<double>() < line["compile_s"].get<double>() / 2);
  const double gflop = line["gflops"].get<double>() * line["step_ms"].get<double>() * 1e-3;
  // Forward: 2*128*(784*512 + 512*256 + 256*10); backward the same again for each weight, and for each layer's input
  // but the first.
  const double forward = 2.0 * 128 * (784 * 512 + 512 * 256 + 256 * 10), inputs = 2.0 * 128 * (512 * 256 + 256 * 10);
  CHECK(std::abs(gflop - (2 * forward + inputs) * 1e-9) < 1e-6);
  CHECK(line["peak_fraction"].get<double>() > 0);
#ifndef WEFT_SANITIZE  // which slows down the loop that the peak is measured by
  CHECK(line["peak_fraction"].get<double>() < 1.1);
#endif
}

TEST_CASE("bench times forward passes, other batches, and takes the same steps in calls of any length") {
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 300, 50);
  const std::string bench = "unset WEFT_DATA; weft bench mlp --threads 2 --json ";
  const json one = only_line(shell(bench + "--inference --batch-size 1 --steps 20", dir.path()));
  CHECK(keys(one) == std::vector<std::string>{"batch_size", "cached_compile_s", "compile_s", "cpu", "device", "gflops",
                                              "model", "peak_fraction", "step_ms", "threads"});
  CHECK(one["batch_size"] == 1);
  const double gflop = one["gflops"].get<double>() * one["step_ms"].get<double>() * 1e-3;
  CHECK(std::abs(gflop - 2e-9 * (784 * 512 + 512 * 256 + 256 * 10)) < 1e-9);
  // 7 does not divide the steps: the last call has fewer.
  const json single = only_line(shell(bench + "--batch-size 32 --steps 20 --steps-per-call 1", dir.path()));
  const json many = only_line(shell(bench + "--batch-size 32 --steps 20 --steps-per-call 7", dir.path()));
  CHECK(single["loss"] == many["loss"]);
  CHECK(contains(shell("weft bench mlp --batch-size 0", dir.path()).err, "--batch-size"));
  CHECK(contains(shell("weft bench mlp --steps-per-call 0", dir.path()).err, "--steps-per-call"));
}

TEST_CASE("train, bench and run take --cpu: the same bits, and they say for which") {
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 100, 30);
  const std::string train = "weft train mnist --data data --epochs 1 --batch-size 32 --json --save ";
  const json own = only_line(shell(train + "own.safetensors", dir.path()));
  std::string losses;
  for (const char* cpu : {"x86-64-v2", "haswell", "znver3", "skylake-avx512"}) {
    INFO(cpu);
    if (weft::error_of([&] { weft::target_for(cpu, weft::host_target()); }) != "no error") continue;
    const std::string option = fmt::format("{0}.safetensors --cpu {0}", cpu);
    const json line = only_line(shell(train + option, dir.path()));
    CHECK(line["cpu"] == cpu);
    CHECK(line["train_loss"] == own["train_loss"]);
    CHECK(slurp(dir.file(fmt::format("{}.safetensors", cpu))) == slurp(dir.file("own.safetensors")));
    const json bench =
        only_line(shell(fmt::format("weft bench mlp --batch-size 4 --steps 2 --json --cpu {}", cpu), dir.path()));
    CHECK(bench["cpu"] == cpu);
    if (losses.empty()) losses = bench["loss"].dump();
    CHECK(bench["loss"].dump() == losses);
  }
  spill(dir.file("f.weft"), "func @f(%x: f32[4]) { %0 = exp %x : f32[4] return y = %0 }");
  weft::write_npy(dir.file("x.npy"), weft::Array::from<float>({-1, 0, 1, 2}, {4}));
  const std::string run = "weft run f.weft --input x=x.npy";
  CHECK(shell(run + " --cpu x86-64-v2", dir.path()).out == shell(run + " --interpret", dir.path()).out);
  const Result report = shell("weft bench mlp --batch-size 4 --steps 2 --report --cpu x86-64-v2", dir.path());
  INFO(report);
  CHECK(contains(report.out, " threads, x86-64-v2\n"));
  CHECK(contains(report.out, "(mul and add of 4 f32)\n"));
  CHECK(contains(report.out, "code for x86-64-v2; roofs, measured on "));
}

TEST_CASE("bench reports on each kernel") {
  const TempDir dir;
  write_tiny_mnist(dir.file("data"), 300, 50);
  const Result r = shell("unset WEFT_DATA; weft bench mlp --steps 2 --report", dir.path());
  INFO(r);
  CHECK(r.code == 0);
  for (const char* text : {"ms a step", "GFLOP/s", "kernel", "bytes", "of roof", "roofs, measured on", ".cpp:"})
    CHECK(contains(r.out, text));
  CHECK((contains(r.out, "% fma") || contains(r.out, "% copy")));  // which roof is lower is for the machine to say
  const Result forward = shell("unset WEFT_DATA; weft bench mlp --steps 2 --inference --report", dir.path());
  CHECK(forward.code == 0);
  for (const char* text : {"ms a forward pass", "kernel", ".cpp:"}) CHECK(contains(forward.out, text));
}

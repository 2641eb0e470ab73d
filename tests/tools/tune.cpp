// `weft tune`, and its files where they are used: --schedules, WEFT_SCHEDULES, CompileOptions::schedules.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "catch.h"
#include "codegen/codegen.h"
#include "compiler/stored_schedules.h"
#include "error_of.h"
#include "frontend/executable/compile.h"
#include "frontend/tensor/initializers.h"
#include "passes/pipeline.h"
#include "passes/schedule/cpu.h"
#include "tools/command.h"

using namespace weft::test;

namespace {

const char* const kLayer = R"(func @layer(%x: f32[?,70], %w: f32[70,45], %b: f32[45]) {
  %0 = contract %x, %w {lhs=[1], rhs=[0]} : f32[?,45]
  %1 = broadcast %b {axes=[1]} : f32[?,45]
  %2 = add %0, %1 : f32[?,45]
  return y = %2
}
)";

/// An odd but legal schedule for every contraction of the layer at a batch of 37.
weft::ScheduleTable odd_schedules(const weft::CpuTarget& target = weft::host_target()) {
  const weft::Program p = weft::make_program(weft::optimize(weft::bind_batch(weft::parse_graph(kLayer), 37)), target);
  weft::ScheduleTable table;
  for (const weft::Kernel& k : p.kernels) {
    if (!weft::is_tiled_contraction(k)) continue;
    const weft::Contraction c = weft::contraction_of(p, k);
    const int lanes = static_cast<int>(weft::lanes_of(c.dtype, target));
    const weft::CpuSchedule odd{
        .mr = 3, .nr = lanes, .kc = 33, .mc = 9, .nc = lanes, .split_n = true, .pack_lhs = true, .pack_rhs = true};
    table.set({weft::schedule_signature(p, k), c, weft::TargetKey::of(target), odd, "by hand", ""});
  }
  return table;
}

}  // namespace

TEST_CASE("tune writes a file that opt takes") {
  const TempDir dir;
  spill(dir.file("f.weft"), kLayer);
  const Result text = shell("weft tune f.weft --batch 37 -o s.txt --seconds 1 --threads 1", dir.path());
  INFO(text);
  REQUIRE(text.code == 0);
  CHECK(contains(text.out, "1x37x45x70"));
  CHECK(contains(text.out, "the whole: "));
  CHECK(contains(text.err, "weft: tuning kernel @"));
  CHECK(slurp(dir.file("s.txt")).starts_with("schedules 1\n"));
  CHECK(shell("weft opt f.weft --batch 37 --emit kernels --schedules s.txt", dir.path()).code == 0);

  // A second run keeps the rows of other kernels and machines.
  const std::string other =
      "kernel 0x0000000000000001 f32 b=1 m=1 n=1 k=1 cpu=x86-64-v9 features=0x0000000000000002 l1=1 l2=2 l3=3 mr=1 "
      "nr=1 kc=1 "
      "mc=1 nc=1 split_n=0 pack_lhs=0 pack_rhs=0  // of another machine\n";
  spill(dir.file("s.txt"), "schedules 1\n" + other);
  const Result json = shell("weft tune - --batch 37 -o s.txt --seconds 0.5 --threads 1 --json", dir.path(), kLayer);
  INFO(json);
  REQUIRE(json.code == 0);
  CHECK(contains(slurp(dir.file("s.txt")), other));
  std::istringstream lines(json.out);
  std::string line;
  REQUIRE(std::getline(lines, line));
  const auto kernel = nlohmann::json::parse(line);
  CHECK(kernel["extents"] == nlohmann::json{1, 37, 45, 70});
  CHECK(kernel["tried"].get<int>() > 1);
  CHECK(kernel["best_us"].get<double>() <= kernel["default_us"].get<double>());
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line)["kernels"] == 1);
}

TEST_CASE("opt, dump and WEFT_SCHEDULES use a file of schedules") {
  const TempDir dir;
  spill(dir.file("f.weft"), kLayer);
  spill(dir.file("s.txt"), odd_schedules().str());
  const std::string command = "weft opt f.weft --batch 37 --emit kernels";
  const std::string own = shell(command, dir.path()).out, odd = shell(command + " --schedules s.txt", dir.path()).out;
  CHECK_FALSE(contains(own, "kc=33"));
  CHECK(contains(odd, "mr=3, "));
  CHECK(contains(odd, "kc=33, mc=9"));
  CHECK(shell("WEFT_SCHEDULES=s.txt " + command, dir.path()).out == odd);
  spill(dir.file("empty.txt"), "schedules 1\n");
  CHECK(shell(command + " --schedules s.txt:empty.txt", dir.path()).out == odd);
  CHECK(shell(command + " --schedules s.txt --target x86-64-v2", dir.path()).out ==
        shell(command + " --target x86-64-v2", dir.path()).out);
}

TEST_CASE("what was tuned for one cpu is used for that one alone") {
  const TempDir dir;
  spill(dir.file("f.weft"), kLayer);
  const auto kernels = [&](const std::string& options) {
    return shell("weft opt f.weft --batch 37 --emit kernels --cpu " + options, dir.path()).out;
  };
  const std::vector<std::string> cpus = {"native", "x86-64-v2", "x86-64"};  // any machine can run these
  for (const std::string& cpu : cpus)
    spill(dir.file(cpu), odd_schedules(weft::target_for(cpu, weft::host_target())).str());
  for (const std::string& cpu : cpus)
    for (const std::string& tuned : cpus) {
      INFO(cpu << " by schedules of " << tuned);
      CHECK(contains(kernels(cpu + " --schedules " + tuned), "kc=33") == (cpu == tuned));
    }
  CHECK(contains(kernels("x86-64 --schedules native:x86-64:x86-64-v2"), "kc=33"));
  const Result tuned =
      shell("weft tune f.weft --batch 37 -o s.txt --seconds 0.2 --threads 1 --cpu x86-64 --json", dir.path());
  INFO(tuned);
  CHECK(tuned.code == 0);
  CHECK(contains(tuned.out, R"("cpu":"x86-64")"));
}

TEST_CASE("a compiled function has the same bits under an odd table of schedules") {
  const TempDir dir;
  spill(dir.file("s.txt"), odd_schedules().str());
  auto run = [](const std::string& schedules, weft::Backend backend = weft::Backend::cpu) {
    weft::GraphScope graph;
    const weft::Tensor x = weft::input(weft::f32, {70}, "x");
    const weft::Tensor w = weft::placeholder(weft::f32, {70, 45}, "w"), b = weft::placeholder(weft::f32, {45}, "b");
    weft::CompileOptions options;
    options.backend = backend, options.schedules = schedules;
    const weft::Executable layer = weft::compile({{"y", weft::matmul(x, w) + b}}, options);
    auto values = [](const weft::Shape& shape, int step) {
      weft::Array a(weft::Type{weft::f32, shape});
      int i = 0;
      for (float& v : a.as<float>()) v = static_cast<float>((++i * step) % 97) / 31 - 1;
      return a;
    };
    const std::vector<weft::Array> y = layer({values({37, 70}, 7), values({70, 45}, 11), values({45}, 5)});
    const bool odd = backend == weft::Backend::cpu && weft::test::contains(layer.dump(weft::Stage::kernels), "kc=33");
    return std::pair{y[0], odd};
  };
  const auto expected = run("", weft::Backend::interpreter), own = run(""), odd = run(dir.file("s.txt"));
  CHECK_FALSE(own.second);
  CHECK(odd.second);  // the table was used
  CHECK(own.first.same_bits(expected.first));
  CHECK(odd.first.same_bits(expected.first));
}

TEST_CASE("rows that processes and threads add to one file at once are all there") {
  const TempDir dir;
  const std::string path = dir.file("s.txt");
  const weft::CpuTarget target = weft::host_target();
  constexpr std::uint64_t kRows = 20, kWriters = 4;
  const auto add = [&](std::uint64_t writer) {
    for (std::uint64_t i = 0; i < kRows; ++i) {
      weft::ScheduleTable one;
      one.set({writer * kRows + i, {.b = 1, .m = 1, .n = 1, .k = 1}, {.cpu = "another"}, {.mr = 1, .nr = 1}, "", ""});
      weft::add_schedules(path, one, target);
    }
  };
  std::vector<pid_t> children;
  for (std::uint64_t w : {0, 1}) {
    const pid_t child = fork();
    if (child == 0) {
      const std::string error = weft::error_of([&] { add(w); });
      _exit(error == "no error" ? 0 : 1);
    }
    children.push_back(child);
  }
  std::vector<std::thread> threads;
  for (std::uint64_t w : {2, 3}) threads.emplace_back([&, w] { add(w); });
  for (std::thread& t : threads) t.join();
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  const auto all = weft::read_schedules(path, target);
  CHECK(all->size() == kRows * kWriters);
  CHECK(dir.entries() == 1);  // neither a lock nor a temporary file is left
}

TEST_CASE("mistakes around tune and its files") {
  const TempDir dir;
  spill(dir.file("f.weft"), kLayer);
  spill(dir.file("bad.txt"), "schedules 1\nkernel twelve\n");
  spill(dir.file("sum.weft"), "func @f(%x: f32[4]) { %0 = neg %x : f32[4] return y = %0 }");
  spill(dir.file("p.weft"), shell("weft opt f.weft --batch 2 --emit kernels", dir.path()).out);
  struct Row {
    std::string command;
    int code;
    std::string message;
  };
  for (const Row& row : std::vector<Row>{
           {"weft opt f.weft --batch 37 --emit kernels --schedules bad.txt", 1,
            "bad.txt:2:8: error: expected the kernel's signature (0x and up to 16 hexadecimal digits), found 'twelve'"},
           {"WEFT_SCHEDULES=bad.txt weft dump mlp", 1, "bad.txt:2:8: error: "},
           {"weft bench mlp --schedules missing.txt", 1, "cannot open 'missing.txt': No such file or directory"},
           {"weft run f.weft --schedules .", 1, "input 'x' has no value"},
           {"weft tune f.weft -o s.txt", 1,
            "its unbound extents must be bound before compiling (--batch N, --extent NAME=N)"},
           {"weft tune f.weft --batch 2", 2, "--output is required"},
           {"weft tune -o s.txt", 2, "FILE is required"},
           {"weft tune f.weft --batch 2 -o bad.txt", 1, "bad.txt:2:8: error: "},
           {"weft tune f.weft --batch 2 -o no/folder/s.txt", 1,
            "cannot write 'no/folder/s.txt': No such file or directory"},
           {"weft tune missing.weft -o s.txt", 1, "cannot open missing.weft: No such file or directory"},
           {"weft tune sum.weft -o s.txt", 1, "sum.weft: there is no contraction to tune"},
           {"weft tune p.weft -o s.txt", 1, "p.weft: schedules are tuned for graphs, and this is a program of kernels"},
           {"weft tune f.weft -o s.txt --seconds 0", 2, "--seconds"},
       }) {
    const Result r = shell(row.command, dir.path());
    INFO(row.command << "\n" << r);
    CHECK(r.code == row.code);
    CHECK(contains(r.err, row.message));
  }
}

// What holds for compiled code as such: its pages, its inner loops, its targets, its texts.
#include "codegen/codegen.h"

#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "catch.h"
#include "error_of.h"
#include "programs.h"

using namespace weft;

namespace {

/// x[m, k] y[k, n] of the reference model's first layer, with the register tile (mr, columns * lanes); y in panels, if
/// any.
Program layer(const CpuTarget& target, int mr, int columns, bool pack, std::int64_t panels = 0) {
  constexpr std::int64_t M = 128, N = 512, K = 784;
  ProgramBuilder p;
  const BufferId x = p.input(f32, {M, K}), y = p.state(f32, {K, N}), out = p.output(f32, {M, N});
  p.set_panels(y, panels);
  HandBuilder k(p.program(), p.kernel());
  const AxisId m = k.axis("m", M), n = k.axis("n", N), s = k.axis("k", K);
  KernelStage contract;
  contract.kind = KernelStage::contract;
  contract.roles = {{}, {m}, {n}, {s}}, contract.result = 0, contract.lhs = k.load(x, {at(m), at(s)}),
  contract.rhs = k.load(y, {at(s), at(n)});
  k.phase({m, n}).stages = {contract, map_stage({{out, {at(m), at(n)}, k.accumulator(0, f32)}})};
  CpuSchedule& schedule = k.schedule();
  schedule.vector_axis = n, schedule.mr = mr;
  schedule.nr = columns * target.vector_bytes / 4, schedule.pack_lhs = schedule.pack_rhs = pack;
  return p.program();
}

Program identity(std::int64_t n) {
  ProgramBuilder p;
  const BufferId x = p.input(f32, {n}), y = p.output(f32, {n});
  HandBuilder k(p.program(), p.kernel());
  const AxisId i = k.axis("i", n);
  k.phase({i}).stages = {map_stage({{y, {at(i)}, k.load(x, {at(i)})}})};
  k.schedule().vector_axis = i;
  return p.program();
}

}  // namespace

TEST_CASE("the microkernels keep every sum in a register") {
  struct Tile {
    const char* cpu;
    int mr, columns;
  };
  for (const Tile& tile : {Tile{"znver3", 6, 2},
                           {"znver3", 4, 3},
                           {"skylake", 6, 2},
                           {"znver4", 14, 2},
                           {"znver4", 12, 2},
                           {"znver4", 9, 3},
                           {"znver4", 6, 4}})
    for (const auto& [pack, panels] : {std::pair{false, 0}, {true, 0}, {false, 16}, {false, 32}}) {
      const CpuTarget target = target_for(tile.cpu);
      const int nr = tile.columns * target.vector_bytes / 4;
      if (panels && nr % panels != 0 && panels % nr != 0) continue;  // such a tile is packed
      // The innermost loops of the microkernels: from a label to the jump back to it.
      std::istringstream text(emit_asm(layer(target, tile.mr, tile.columns, pack, panels), target));
      bool micro = false;
      int loops = 0;
      std::string label, body;
      for (std::string line; std::getline(text, line);) {
        if (line[0] == 'k') micro = line.find("micro") != std::string::npos;
        if (line[0] != '\t' && line.find(':') != std::string::npos)
          label = line.substr(0, line.find(':')), body.clear();
        body += line + "\n";
        if (!micro || label.empty() || line.find("\tj") != 0 || line.find(label) == std::string::npos) continue;
        const auto count = [&](const char* what) {
          int n = 0;
          for (auto at = body.find(what); at != std::string::npos; at = body.find(what, at + 1)) ++n;
          return n;
        };
        if (count("vfmadd") == 0) continue;
        ++loops;
        INFO(tile.cpu << " " << tile.mr << "x" << tile.columns << " pack " << pack << " panels " << panels << ":\n"
                      << body);
        CHECK(count("vfmadd") >= (tile.mr - 2) * tile.columns);
        CHECK(count("(%rsp") + count("(%rbp") == 0);
      }
      CHECK(loops >= 1);
    }
}

TEST_CASE("code pages are executable and not writable, and none is both") {
  const Image image = compile(std::make_shared<Program>(layer(host_target(), 6, 1, true)), host_target());
  const auto address = reinterpret_cast<std::uintptr_t>(image.code.at(0).fn);
  std::ifstream maps("/proc/self/maps");
  std::string found;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char permissions[5] = {};
    REQUIRE(std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, permissions) == 3);
    INFO(line);
    CHECK_FALSE((permissions[1] == 'w' && permissions[2] == 'x'));
    if (begin <= address && address < end) found = permissions;
  }
  CHECK(found == "r-xp");
}

TEST_CASE("a sanitized build checks what compiled code touches") {
  if (kSanitizer != Sanitizer::address) return;
  const Image image = compile(std::make_shared<Program>(identity(100)), host_target());
  const Array x(Type{f32, {100}});
  const pid_t child = fork();
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);  // the sanitizer's report
    std::vector<float> y(99);
    std::byte* buffers[] = {x.data(), reinterpret_cast<std::byte*>(y.data())};
    image.code[0].fn(buffers, 0, image.code[0].units, nullptr);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status != 0);
}

TEST_CASE("a build for the thread sanitizer sees races of compiled code") {
  if (kSanitizer != Sanitizer::thread) return;
  const Image image = compile(std::make_shared<Program>(identity(100)), host_target());
  const Array x(Type{f32, {100}}), y(Type{f32, {100}}), z(Type{f32, {100}});
  for (const bool race : {false, true}) {
    std::fflush(nullptr);  // or the child's exit writes it once more
    const pid_t child = fork();
    if (child == 0) {
      std::freopen("/dev/null", "w", stderr);  // the sanitizer's report
      const auto copy = [&](const Array& to) {
        std::byte* buffers[] = {x.data(), to.data()};
        image.code[0].fn(buffers, 0, image.code[0].units, nullptr);
      };
      std::thread other([&] { copy(y); });
      copy(race ? y : z);
      other.join();
      std::exit(0);  // as the sanitizer decides
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK((status != 0) == race);
  }
}

TEST_CASE("the code outlives the session that made it as long as its image does") {
  const std::vector<Array> inputs{Array::from<float>({1, 2, 3}, {3})};
  Image copy;
  {
    const Image image = compile(std::make_shared<Program>(identity(3)), host_target());
    copy = image;
  }
  CHECK(run_image(copy, inputs).outputs[0].same_bits(inputs[0]));
}

TEST_CASE("programs without work compile") {
  const Image none = compile(std::make_shared<Program>(), host_target());
  CHECK(none.code.empty());
  const Image empty = compile(std::make_shared<Program>(identity(0)), host_target());
  REQUIRE(empty.code.size() == 1);
  CHECK(empty.code[0].units == 0);
  empty.code[0].fn(std::vector<std::byte*>(2).data(), 0, 0, nullptr);
}

TEST_CASE("a kernel with more buffers than a page of addresses holds") {
  constexpr int kBuffers = 700;
  ProgramBuilder p;
  std::vector<BufferId> x;
  for (int i = 0; i < kBuffers; ++i) x.push_back(p.input(f32, {2}));
  const BufferId y = p.output(f32, {2});
  HandBuilder k(p.program(), p.kernel());
  const AxisId i = k.axis("i", 2);
  ExprId sum = k.load(x.back(), {at(i)});
  for (int b = kBuffers - 1; b-- > 0;) sum = k.op(Op::add, f32, {sum, k.load(x[static_cast<std::size_t>(b)], {at(i)})});
  k.phase({i}).stages = {map_stage({{y, {at(i)}, sum}})};
  const CpuTarget host = host_target();
  CHECK(check(p.program(), {&host, 1}) == "");
}

TEST_CASE("units are enough for several threads and cost what they cost") {
  const Image image = compile(std::make_shared<Program>(identity(1 << 20)), host_target());
  CHECK(image.code[0].units >= 16);
  CHECK(image.code[0].cost > 1e4);
  const Image small = compile(std::make_shared<Program>(identity(64)), host_target());
  CHECK(small.code[0].cost < 1e3);
}

TEST_CASE("targets: the host, names, and an unknown name") {
  CHECK(host_target().vector_bytes >= 16);
  CHECK(target_for("znver4").vector_bytes == 64);
  CHECK(target_for("znver4").vector_registers == 32);
  CHECK(target_for("x86-64-v3").vector_bytes == 32);
  CHECK(target_for("x86-64-v3").fma);
  CHECK(target_for("x86-64-v2").vector_bytes == 16);
  CHECK_FALSE(target_for("x86-64-v2").fma);
  const std::string message = error_of([] { target_for("pentium9"); });
  CHECK(message.find("unknown cpu 'pentium9'; expected one of ") == 0);
  CHECK(message.find(" znver4,") != std::string::npos);
  CHECK(message.find(" i386,") == std::string::npos);
}

TEST_CASE("targets: another cpu on a machine") {
  CpuTarget zen3 = target_for("znver3"), haswell = target_for("haswell"), zen4 = target_for("znver4");
  zen3.l1_bytes = 1 << 14, zen3.l1_ways = 3, zen3.l2_bytes = 1 << 21, zen3.l3_bytes = 1 << 25;
  CHECK(target_for("", zen3) == zen3);
  CHECK(target_for("native", zen3) == zen3);
  struct Row {
    const char* cpu;
    CpuTarget machine;
    std::string feature, without;  // one that it leaves out; what it cannot do without
  };
  for (const Row& row : std::vector<Row>{
           {"x86-64-v2", zen3, "", ""},
           {"x86-64-v3", zen3, "", ""},
           {"haswell", zen3, "", ""},
           {"skylake-avx512", zen3, "", "avx512bw, avx512dq, avx512f, avx512vl"},
           {"znver4", zen3, "", "avx512bw, avx512dq, avx512f, avx512vl"},
           {"znver3", haswell, "-sse4a", ""},
           {"bdver4", haswell, "-fma4", ""},
           {"haswell", target_for("sandybridge"), "", "avx2, fma"},
           {"haswell", target_for("bdver2"), "", "avx2"},
           {"x86-64-v2", target_for("x86-64"), "", "sse4.1"},
           {"znver3", target_for("skylake-avx512"), "-sse4a", ""},
           {"sapphirerapids", target_for("skylake-avx512"), "-avx512fp16", ""},
           {"skylake-avx512", zen4, "", ""},
       }) {
    INFO(row.cpu << " on " << row.machine.cpu);
    if (!row.without.empty()) {
      CHECK(error_of([&] { target_for(row.cpu, row.machine); }) ==
            fmt::format("this machine ({}) cannot run code for '{}': it has no {}", row.machine.cpu, row.cpu,
                        row.without));
      CHECK(target_for(row.cpu, row.machine, /*to_run=*/false).features.empty());
      continue;
    }
    const CpuTarget found = target_for(row.cpu, row.machine), own = target_for(row.cpu);
    CHECK(found.cpu == row.cpu);
    CHECK((found.features + ",").find(row.feature + ",") != std::string::npos);
    CHECK(found.vector_bytes == own.vector_bytes);
    CHECK(found.vector_registers == own.vector_registers);
    CHECK(found.fma == own.fma);
    CHECK(found.l1_bytes == row.machine.l1_bytes);
    CHECK(found.l1_ways == row.machine.l1_ways);
    CHECK(found.l2_bytes == row.machine.l2_bytes);
    CHECK(found.l3_bytes == row.machine.l3_bytes);
  }
  CHECK(error_of([&] { target_for("znver33", zen3); }).find("unknown cpu 'znver33' (did you mean 'znver3'?); ") == 0);
}

TEST_CASE("the texts name their kernels") {
  CHECK(emit_llvm(identity(5), target_for("x86-64-v3")).find("; kernel @k0\n") == 0);
  const std::string text = emit_asm(identity(5), target_for("x86-64-v3"));
  CHECK(text.find("# kernel @k0\n") == 0);
  CHECK(text.find("vmaskmovps") != std::string::npos);
}

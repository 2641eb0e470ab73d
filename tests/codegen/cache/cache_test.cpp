// The object cache: a start from it gives the same code without compiling, and nothing in its directory can do harm.
#include "codegen/cache/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "catch.h"
#include "codegen/cache/cache_entry.h"
#include "codegen/cache/canonical.h"
#include "codegen/cache/kernel_key.h"
#include "error_of.h"
#include "mlp_step.h"
#include "passes/pipeline.h"
#include "plain_program.h"
#include "programs.h"
#include "runtime/support.h"

using namespace weft;
using codegen::CacheEntry;
using test::slurp;
using test::spill;
using test::TempDir;
namespace fs = std::filesystem;

namespace {

constexpr double kAddend = 1.7320508, kPlanted = 2.2360680;  // as f32, bytes that code has no other reason to hold

/// y = x + addend over n elements, among `unused` buffers that it does not touch.
Program add(std::int64_t n, double addend = kAddend, int unused = 0, const std::string& axis = "i") {
  ProgramBuilder p;
  for (int i = 0; i < unused; ++i) p.input(f32, {1});
  const BufferId x = p.input(f32, {n}), y = p.output(f32, {n});
  HandBuilder k(p.program(), p.kernel());
  const AxisId i = k.axis(axis, n);
  k.phase({i}).stages = {map_stage({{y, {at(i)}, k.op(Op::add, f32, {k.load(x, {at(i)}), k.constant(f32, addend)})}})};
  k.schedule().vector_axis = i;
  return p.program();
}

struct Run {
  CacheStatistics cache;
  Evaluation result;
};
Run run(const Program& p, const CacheOptions& cache, int threads, std::span<const Array> inputs) {
  Run r;
  const Image image = compile(std::make_shared<Program>(p), host_target(),
                              {.threads = threads, .cache = cache, .statistics = &r.cache});
  r.result = run_image(image, inputs);
  return r;
}
Run run(const Program& p, const CacheOptions& cache) { return run(p, cache, 1, random_inputs(p, 3)); }

/// The training step of a small MLP.
Run run_mlp(const CacheOptions& cache, int threads = 1) {
  const MlpStep size{64, 16, {20, 17, 10}};
  const Graph g = mlp_step(size);
  return run(make_program(optimize(g), host_target(), {.disable = test::kCpuPasses}), cache, threads,
             mlp_inputs(g, size));
}

std::string counts(const CacheStatistics& s) {
  return fmt::format("{} hits, {} misses, {} damaged", s.hits, s.misses, s.damaged);
}

/// Compiles `p` with the cache; "" when the counts are as expected and the results are right.
std::string outcome(const Program& p, const CacheOptions& cache, const std::string& expected) {
  const Run r = run(p, cache);
  if (counts(r.cache) != expected) return counts(r.cache);
  return difference(r.result, interpret(p, random_inputs(p, 3)));
}

const std::string kHit = "1 hits, 0 misses, 0 damaged", kMiss = "0 hits, 1 misses, 0 damaged",
                  kDamaged = "0 hits, 0 misses, 1 damaged", kOff = "0 hits, 0 misses, 0 damaged";

std::map<std::string, std::string> entries(const std::string& directory) {
  std::map<std::string, std::string> all;
  for (const auto& e : fs::directory_iterator(directory))
    if (const std::string name = e.path().filename(); name != "usage") all[name] = slurp(e.path());
  return all;
}
/// The path of the one entry.
std::string only_entry(const std::string& directory) {
  const auto all = entries(directory);
  REQUIRE(all.size() == 1);
  return directory + "/" + all.begin()->first;
}

/// The entry of add(n) changed to one that adds kPlanted, under a checksum that is right.
void plant_difference(const std::string& path) {
  const std::string bytes = slurp(path);
  CacheEntry e;
  REQUIRE(codegen::decode(bytes, e) == "");
  std::string object(e.object);
  const float from = kAddend, to = kPlanted;
  bool changed = false;
  for (std::size_t i = 0; i + sizeof from <= object.size(); ++i)
    if (std::memcmp(object.data() + i, &from, sizeof from) == 0)
      std::memcpy(object.data() + i, &to, sizeof to), changed = true;
  REQUIRE(changed);
  e.object = object;
  spill(path, codegen::encode(e));
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace

TEST_CASE("cache: the second compilation compiles nothing and gives the same bits", "[cache]") {
  const TempDir dir;
  const CacheOptions cache{dir.file("new/cache")};
  const Run first = run_mlp(cache, 2), second = run_mlp(cache), without = run_mlp({});
  CHECK(first.cache.hits == 0);
  CHECK(first.cache.misses > 4);
  CHECK(second.cache.hits == first.cache.misses);
  CHECK(second.cache.misses + second.cache.damaged == 0);
  CHECK(counts(without.cache) == kOff);
  CHECK(difference(second.result, first.result) == "");
  CHECK(difference(second.result, without.result) == "");
  CHECK(entries(cache.directory).size() == static_cast<std::size_t>(first.cache.misses));
  struct stat s {};
  REQUIRE(stat(cache.directory.c_str(), &s) == 0);
  CHECK((s.st_mode & 0777) == 0700);
  for (const auto& [name, bytes] : entries(cache.directory)) {
    REQUIRE(stat((cache.directory + "/" + name).c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);
  }
}

TEST_CASE("cache: what runs is what the entry holds", "[cache]") {
  const TempDir dir;
  const CacheOptions cache{dir.path()};
  CHECK(outcome(add(5), cache, kMiss) == "");
  plant_difference(only_entry(dir.path()));
  const Run planted = run(add(5), cache);
  CHECK(counts(planted.cache) == kHit);
  CHECK(difference(planted.result, interpret(add(5, kPlanted), random_inputs(add(5, kPlanted), 3))) == "");
}

TEST_CASE("cache: what was made for one cpu is not used for another", "[cache]") {
  const TempDir dir;
  const auto program = std::make_shared<const Program>(add(5));
  std::int64_t made = 0;
  for (const CpuTarget& target : played_cpus()) {
    CacheStatistics s;
    for (int i = 0; i < 2; ++i)
      compile(program, target, {.threads = 1, .cache = CacheOptions{dir.path()}, .statistics = &s});
    CHECK(counts(s) == "1 hits, 1 misses, 0 damaged");
    CHECK(static_cast<std::int64_t>(entries(dir.path()).size()) == ++made);
  }
  CHECK(verify_cache(CacheOptions{dir.path()}, 2).verified == made);
}

TEST_CASE("cache: verifying modules compiles them", "[cache]") {
  const TempDir dir;
  const CacheOptions cache{dir.path()};
  CacheStatistics s;
  compile(std::make_shared<Program>(add(5)), host_target(), {.verify = true, .cache = cache, .statistics = &s});
  CHECK(counts(s) == kOff);
  CHECK(entries(dir.path()).empty());
}

TEST_CASE("cache: object code is the same in every compilation", "[cache]") {
  const TempDir one, two;
  run_mlp({one.path()}, 1);
  std::vector<std::unique_ptr<int>> moved;  // other addresses for what follows
  for (int i = 0; i < 1000; ++i) moved.push_back(std::make_unique<int>(i));
  run_mlp({two.path()}, 3);
  const bool same = entries(one.path()) == entries(two.path());
  CHECK(same);
}

TEST_CASE("cache: a key depends on what determines the code, and on nothing else", "[cache]") {
  const auto digest = [](const Program& p, const CpuTarget& t = {}, Sanitizer sanitizer = Sanitizer::none) {
    return codegen::KeyMaker(t, sanitizer)(codegen::canonical(p, p.kernels.back()).program).digest;
  };
  const std::string plain = digest(add(8));
  CHECK(digest(add(8, kAddend, 3)) == plain);         // other numbers for the buffers
  CHECK(digest(add(8, kAddend, 0, "row")) == plain);  // another name
  Program twice = add(8);
  twice.kernels.push_back(twice.kernels[0]);
  twice.kernels[1].name = "again";
  CHECK(digest(twice) == plain);

  std::set<std::string> digests{plain};
  std::size_t expected = 1;
  const auto differs = [&](const Program& p, const CpuTarget& t = {}, Sanitizer sanitizer = Sanitizer::none) {
    digests.insert(digest(p, t, sanitizer));
    CHECK(digests.size() == ++expected);
  };
  void (*const changes[])(CpuTarget&) = {
      [](CpuTarget& t) { t.cpu = "znver4"; },    [](CpuTarget& t) { t.features = "+avx"; },
      [](CpuTarget& t) { t.vector_bytes = 32; }, [](CpuTarget& t) { t.vector_registers = 32; },
      [](CpuTarget& t) { t.fma = true; },        [](CpuTarget& t) { ++t.l1_bytes; },
      [](CpuTarget& t) { ++t.l1_ways; },         [](CpuTarget& t) { ++t.l2_bytes; },
      [](CpuTarget& t) { ++t.l3_bytes; },
  };
  for (const auto& change : changes) {
    CpuTarget t;
    change(t);
    differs(add(8), t);
  }
  for (const Sanitizer s : {Sanitizer::address, Sanitizer::thread}) differs(add(8), {}, s);
  differs(add(9));
  differs(add(8, 3));
  Program p = add(8);
  p.kernels[0].schedule = CpuSchedule{};
  differs(p);
  p = add(8);
  p.kernels[0].exprs.back().op = Op::mul;
  differs(p);
  p = add(8);
  p.buffers[0].type.shape = {16};
  differs(p);
}

TEST_CASE("cache: keys can be read back", "[cache]") {
  for (const CpuTarget& target : {host_target(), CpuTarget{}}) {
    const codegen::KeyMaker make(target, Sanitizer::thread);
    const Program p = make_program(optimize(mlp_step()), target);
    for (const Kernel& k : p.kernels) {
      const codegen::KernelKey key = make(codegen::canonical(p, k).program);
      const codegen::KeyParts parts = codegen::parse_key(key.text);
      CHECK(parts.target == target);
      CHECK(parts.sanitizer == Sanitizer::thread);
      CHECK(make(parts.program).text == key.text);
    }
  }
  CHECK(error_of([] { codegen::parse_key("weft"); }) == "the key ends in its header");
  CHECK(error_of([] { codegen::parse_key("weft\nsanitizer x\n"); }) ==
        "expected none, address or thread in the key, found 'x'");
  CHECK(error_of([] { codegen::parse_key("weft\ncpu y\n"); }) == "expected 'sanitizer …' in the key, found 'cpu y'");
}

TEST_CASE("cache: every byte and every length of an entry counts", "[cache]") {
  const std::string good = codegen::encode({"key", {{7, 64, 1.5}, {8, 0, 2}}, "object"});
  CacheEntry e;
  REQUIRE(codegen::decode(good, e) == "");
  CHECK(e.key == "key");
  CHECK(e.object == "object");
  REQUIRE(e.phases.size() == 2);
  CHECK(e.phases[0].scratch_bytes == 64);
  CHECK(e.phases[1].cost == 2);
  for (std::size_t n = 0; n < good.size(); ++n) CHECK(codegen::decode(good.substr(0, n), e) != "");
  CHECK(codegen::decode(good + '\0', e) != "");
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 1 << bit);
      CHECK(codegen::decode(bad, e) != "");
    }
}

TEST_CASE("cache: a damaged entry is compiled again and replaced", "[cache]") {
  const TempDir dir, other;
  const CacheOptions cache{dir.path()};
  REQUIRE(outcome(add(5), cache, kMiss) == "");
  REQUIRE(outcome(add(6), {other.path()}, kMiss) == "");
  const std::string path = only_entry(dir.path()), good = slurp(path), foreign = slurp(only_entry(other.path()));
  const auto with = [&](const std::string& bytes) {
    return [&path, bytes] { spill(path, bytes), chmod(path.c_str(), 0600); };
  };
  const auto flipped = [&](std::size_t at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    return bytes;
  };
  const auto remove = [&] { fs::remove_all(path); };
  struct Row {
    const char* what;
    std::function<void()> damage;
  };
  const Row rows[] = {
      {"empty", with("")},
      {"one byte", with(good.substr(0, 1))},
      {"cut in the checksum", with(good.substr(0, 20))},
      {"cut in the key", with(good.substr(0, 200))},
      {"cut in the object", with(good.substr(0, good.size() - 100))},
      {"a byte too few", with(good.substr(0, good.size() - 1))},
      {"a byte too many", with(good + "x")},
      {"twice", with(good + good)},
      {"zeros", with(std::string(good.size(), '\0'))},
      {"magic", with(flipped(0))},
      {"checksum", with(flipped(8))},
      {"sizes", with(flipped(41))},
      {"key", with(flipped(100))},
      {"object", with(flipped(good.size() - 1))},
      {"another kernel's", with(foreign)},
      {"writable by others", [&] { chmod(path.c_str(), 0620); }},
      {"a directory", [&] { remove(), fs::create_directory(path); }},
      {"a pipe", [&] { remove(), mkfifo(path.c_str(), 0600); }},
      {"a link to a good one", [&] { spill(dir.file("x"), good), remove(), fs::create_symlink(dir.file("x"), path); }},
      {"a link to itself", [&] { remove(), fs::create_symlink(path, path); }},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    row.damage();
    CHECK(outcome(add(5), cache, kDamaged) == "");
    CHECK(outcome(add(5), cache, kHit) == "");
    CHECK(slurp(path) == good);
  }
  fs::remove(path);
  fs::create_directories(path + "/full");  // cannot be replaced
  for (int i = 0; i < 2; ++i) CHECK(outcome(add(5), cache, kDamaged) == "");
}

TEST_CASE("cache: a directory that cannot be used is no error", "[cache]") {
  const TempDir dir;
  spill(dir.file("file"), "");
  fs::create_directory(dir.file("shared"));
  chmod(dir.file("shared").c_str(), 0770);
  struct Row {
    std::string directory, counts;
  };
  for (const Row& row : {Row{"", kOff}, Row{dir.file("file"), kOff}, Row{dir.file("file/below"), kOff},
                         Row{dir.file("shared"), kOff}, Row{"/proc/weft/cache", kMiss}, Row{"/proc/weft", kMiss}}) {
    INFO(row.directory);
    for (int i = 0; i < 2; ++i) CHECK(outcome(add(5), {row.directory}, row.counts) == "");
  }
  CHECK(cache_info({dir.file("shared")}).unusable == "other users may write to it");
  CHECK(cache_info({dir.file("file")}).unusable == "Not a directory");
  CHECK(error_of([&] { clear_cache({dir.file("shared")}); }) ==
        dir.file("shared") + " is not used as an object cache: other users may write to it");
  if (geteuid() == 0) {  // only root can give a directory away
    fs::create_directory(dir.file("given"));
    REQUIRE(chown(dir.file("given").c_str(), 65534, 65534) == 0);
    CHECK(outcome(add(5), {dir.file("given")}, kOff) == "");
    CHECK(cache_info({dir.file("given")}).unusable == "it belongs to another user");
  } else {  // and only root may write where permissions forbid it
    fs::create_directory(dir.file("closed"));
    chmod(dir.file("closed").c_str(), 0500);
    CHECK(outcome(add(5), {dir.file("closed")}, kMiss) == "");
    CHECK(outcome(add(5), {dir.file("closed")}, kMiss) == "");
  }
}

TEST_CASE("cache: threads and processes at once", "[cache]") {
  const TempDir dir;
  const CacheOptions cache{dir.file("cache")};
  const Evaluation expected = run_mlp({}).result;
  const auto once = [&] { return difference(run_mlp(cache, 2).result, expected).empty(); };
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i)
    if (const pid_t child = fork(); child == 0)
      _exit(once() ? 0 : 1);
    else
      children.push_back(child);
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&] { right += once(); });
  }
  CHECK(right == 3);
  for (pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  const CacheStatistics after = run_mlp(cache).cache;
  CHECK(after.hits > 0);
  CHECK(after.misses + after.damaged == 0);
  for (const auto& [name, bytes] : entries(cache.directory)) CHECK(name.size() == 64);  // no temporary file is left
}

TEST_CASE("cache: the entries that were used least recently make room", "[cache]") {
  const TempDir dir;
  CacheOptions cache{dir.path()};
  std::vector<std::string> paths;
  std::int64_t bytes = 0;
  for (int i = 0; i < 4; ++i) {
    run(add(10 + i), cache);
    for (const auto& [name, content] : entries(dir.path()))
      if (const std::string path = dir.file(name); std::ranges::find(paths, path) == paths.end()) {
        paths.push_back(path);
        bytes += static_cast<std::int64_t>(content.size());
        const timespec used{1'000'000 + i, 0}, times[] = {used, used};
        REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
      }
  }
  REQUIRE(paths.size() == 4);
  CHECK(outcome(add(10), cache, kHit) == "");  // the first is now the one used last
  cache.limit_bytes = bytes;
  run(add(20), cache);  // five entries; two have to go until an eighth is free
  const auto exists = [&](int i) { return fs::exists(paths[static_cast<std::size_t>(i)]); };
  CHECK(exists(0));
  CHECK_FALSE(exists(1));
  CHECK_FALSE(exists(2));
  CHECK(exists(3));
  CHECK(cache_info(cache).entries == 3);
  CHECK(cache_info(cache).bytes <= cache.limit_bytes);
  CHECK(outcome(add(20), cache, kHit) == "");
  cache.limit_bytes = 100;  // nothing fits: nothing is stored, and nothing is lost
  CHECK(outcome(add(30), cache, kMiss) == "");
  CHECK(outcome(add(20), cache, kHit) == "");
}

TEST_CASE("cache: verify finds what is wrong and removes it", "[cache]") {
  const TempDir dir;
  const CacheOptions cache{dir.path()};
  CHECK(verify_cache({dir.file("absent")}).verified == 0);
  CHECK(error_of([] { verify_cache({}); }) == "the object cache is off");
  for (int n : {5, 6, 7, 8}) run(add(n), cache);
  run_mlp(cache);
  const auto total = static_cast<std::int64_t>(entries(dir.path()).size());
  CHECK(verify_cache(cache).problems.empty());
  CHECK(verify_cache(cache).verified == total);

  const auto path = [&](int n) {
    const Program p = add(n);
    const codegen::KeyMaker make(host_target(), CodegenOptions{}.sanitizer);
    return dir.file(make(codegen::canonical(p, p.kernels[0]).program).digest);
  };
  plant_difference(path(5));
  spill(path(6), slurp(path(7)));
  chmod(path(6).c_str(), 0600);
  fs::resize_file(path(7), 0);
  const std::string sound = slurp(path(8));
  CacheEntry e;  // a sound entry of another build
  REQUIRE(codegen::decode(sound, e) == "");
  const std::string key = "generator of old\n" + std::string(e.key);
  e.key = key;
  spill(dir.file(codegen::digest(key)), codegen::encode(e));
  chmod(dir.file(codegen::digest(key)).c_str(), 0600);

  const CacheVerification v = verify_cache(cache, 2);
  std::map<std::string, std::string> found;
  for (const CacheProblem& p : v.problems) found[p.file] = p.found;
  CHECK(found == std::map<std::string, std::string>{{path(5), "it differs from what compiling its kernel gives"},
                                                    {path(6), "it holds the code of another key"},
                                                    {path(7), "0 bytes are too few for an entry"}});
  CHECK(v.verified == total - 3);
  CHECK(v.unchecked == 1);
  CHECK(verify_cache(cache).problems.empty());
  CHECK(cache_info(cache).entries == total - 3 + 1);
  CHECK(clear_cache(cache) == total - 3 + 1);
  CHECK(cache_info(cache).entries == 0);
  CHECK(outcome(add(5), cache, kMiss) == "");
}

TEST_CASE("cache: the environment says where it is, and how large", "[cache]") {
  const char* const names[] = {"WEFT_CACHE", "WEFT_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "WEFT_CACHE_LIMIT"};
  std::map<std::string, std::string> before;
  for (const char* name : names)
    if (const char* value = std::getenv(name)) before[name] = value;
  const auto with = [&](const std::map<std::string, std::string>& values) {
    for (const char* name : names) unsetenv(name);
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  };
  const auto directory = [&](const std::map<std::string, std::string>& values) {
    with(values);
    return cache_from_environment().directory;
  };
  CHECK(directory({{"HOME", "/h"}}) == "/h/.cache/weft");
  CHECK(directory({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}) == "/x/weft");
  CHECK(directory({{"HOME", "/h"}, {"XDG_CACHE_HOME", "relative"}}) == "/h/.cache/weft");
  CHECK(directory({{"XDG_CACHE_HOME", "/x"}, {"WEFT_CACHE_DIR", "/d"}}) == "/d");
  CHECK(directory({{"WEFT_CACHE_DIR", "/d"}, {"WEFT_CACHE", "0"}}) == "");
  CHECK(directory({{"WEFT_CACHE_DIR", "/d"}, {"WEFT_CACHE", ""}}) == "/d");
  CHECK(directory({}) == "");
  const std::pair<const char*, std::int64_t> limits[] = {
      {"0", 0}, {"1000", 1000}, {"64K", 64 << 10}, {"3M", 3 << 20}, {"2G", std::int64_t{2} << 30}};
  for (const auto& [text, bytes] : limits) {
    with({{"WEFT_CACHE_LIMIT", text}});
    CHECK(cache_from_environment().limit_bytes == bytes);
  }
  for (const char* text : {"x", "-1", "1T", "1MB", "M", "99999999999G", " 1", "1.5G"}) {
    with({{"WEFT_CACHE_LIMIT", text}});
    CHECK(error_of([] { cache_from_environment(); }) ==
          fmt::format("WEFT_CACHE_LIMIT: expected a number of bytes such as 64M, found '{}'", text));
  }
  with(before);
}

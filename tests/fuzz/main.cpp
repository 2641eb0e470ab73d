// weft-fuzz: runs the fuzzer over a range of seeds, in processes that may crash or hang: what they do with a seed is a
// finding, and the range goes on behind it.
//
//   weft-fuzz programs|graphs FIRST LAST [--jobs N] [--generate N] [--compile N] [--out FOLDER]
//   weft-fuzz programs|graphs FILE …          runs texts, all the way
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "fuzzer.h"

using namespace weft::test;

namespace {

constexpr double kHangSeconds = 120;  // of its processor, with a seed: the machine may be busy with others
constexpr std::chrono::minutes kStuck{30};
constexpr int kFinding = 77;  // exit status

struct Shared {  // with the process that runs the seeds
  volatile std::uint64_t seed = 0;
  FuzzCounts counts;
  char what[4000] = {};
};

struct Options {
  Fuzzed what = Fuzzed::programs;
  std::uint64_t first = 1, last = 0;
  unsigned jobs = 1;
  FuzzShares shares;
  std::string out = ".";
};

struct Job {
  std::uint64_t next = 0, last = 0;
  Shared* shared = nullptr;
  pid_t pid = 0;
  std::uint64_t seen = 0;
  std::chrono::steady_clock::time_point since;
  double cpu_since = 0;
};

/// Processor seconds that a process has used.
double cpu_seconds(pid_t pid) {
  clockid_t clock;
  timespec t{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0) return 0;
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void start(const Fuzzer& fuzzer, const Options& o, Job& job) {
  std::fflush(nullptr);
  job.shared->what[0] = 0;
  job.since = std::chrono::steady_clock::now();
  job.cpu_since = 0;
  job.pid = fork();
  if (job.pid != 0) return;
  for (std::uint64_t seed = job.next; seed <= job.last; ++seed) {
    job.shared->seed = seed;
    const std::string what = fuzzer.execute(fuzzer.text(seed), seed, o.shares, job.shared->counts);
    if (what.empty()) continue;
    std::strncpy(job.shared->what, what.c_str(), sizeof job.shared->what - 1);
    _exit(kFinding);
  }
  job.shared->seed = job.last + 1;
  _exit(0);
}

/// Waits for the process to end, or ends it when it hangs; "" or what it found. Nothing while it runs.
std::optional<std::string> look_at(Job& job) {
  int status = 0;
  if (waitpid(job.pid, &status, WNOHANG) == 0) {
    const auto now = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds(job.pid);
    if (job.shared->seed != job.seen) job.seen = job.shared->seed, job.since = now, job.cpu_since = cpu;
    if (cpu - job.cpu_since < kHangSeconds && now - job.since < kStuck) return {};
    kill(job.pid, SIGKILL);
    waitpid(job.pid, &status, 0);
    return "it hangs";
  }
  if (WIFSIGNALED(status)) return fmt::format("signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) == kFinding) return std::string(job.shared->what);
  return WEXITSTATUS(status) == 0 ? "" : fmt::format("exit status {}: see the sanitizer's report", WEXITSTATUS(status));
}

int run_seeds(const Options& o) {
  const Fuzzer fuzzer(o.what);
  std::vector<Job> jobs;
  for (unsigned i = 0; i < o.jobs; ++i) {
    const std::uint64_t all = o.last - o.first + 1;
    Job& job = jobs.emplace_back();
    job.next = o.first + all * i / o.jobs, job.last = o.first + all * (i + 1) / o.jobs - 1;
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 2;
    job.shared = new (memory) Shared;
    start(fuzzer, o, job);
  }
  std::uint64_t findings = 0;
  const auto report = [&] {
    FuzzCounts c;
    for (const Job& job : jobs) c += job.shared->counts;
    fmt::print(
        "{} executions: {} accepted, {} interpreted, {} refused, {} generated, {} compiled, {} emulated; {} findings\n",
        c.executions, c.accepted, c.interpreted, c.refused, c.generated, c.compiled, c.emulated, findings);
    std::fflush(stdout);
  };
  auto told = std::chrono::steady_clock::now();
  for (bool running = true; running;) {
    running = false;
    for (Job& job : jobs) {
      if (job.pid == 0) continue;
      running = true;
      const std::optional<std::string> end = look_at(job);
      if (!end) continue;
      job.pid = 0;
      if (end->empty()) continue;
      const std::uint64_t seed = job.shared->seed;
      const std::string file = fmt::format("{}/seed-{}.weft", o.out, seed);
      std::ofstream(file) << fuzzer.text(seed);
      fmt::print("seed {}: {}\n  the text is in {}\n", seed, *end, file);
      ++findings;
      job.next = seed + 1;
      if (job.next <= job.last) start(fuzzer, o, job);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (std::chrono::steady_clock::now() - told < std::chrono::seconds(60)) continue;
    told = std::chrono::steady_clock::now();
    report();
  }
  report();
  return findings ? 1 : 0;
}

int run_files(Fuzzed what, int count, char** files) {
  const Fuzzer fuzzer(what);
  FuzzCounts counts;
  int findings = 0;
  for (int i = 0; i < count; ++i) {
    std::ifstream file(files[i]);
    std::ostringstream text;
    text << file.rdbuf();
    for (std::uint64_t seed = 1; seed <= 8; ++seed)
      if (const std::string found = fuzzer.execute(text.str(), seed, {1, 1}, counts); !found.empty()) {
        fmt::print("{}: {}\n", files[i], found);
        ++findings;
        break;
      }
  }
  return findings ? 1 : 0;
}

int usage() {
  fmt::print(stderr,
             "usage: weft-fuzz programs|graphs FIRST LAST [--jobs N] [--generate N] [--compile N] [--out FOLDER]\n"
             "       weft-fuzz programs|graphs FILE …\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return usage();
  Options o;
  const std::string what = argv[1];
  if (what != "programs" && what != "graphs") return usage();
  o.what = what == "graphs" ? Fuzzed::graphs : Fuzzed::programs;
  const auto number = [](const char* s) { return std::strtoull(s, nullptr, 10); };
  if (argc < 4 || number(argv[2]) == 0) return run_files(o.what, argc - 2, argv + 2);
  o.first = number(argv[2]), o.last = number(argv[3]);
  for (int i = 4; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--jobs")
      o.jobs = static_cast<unsigned>(number(argv[i + 1]));
    else if (option == "--generate")
      o.shares.generate = static_cast<int>(number(argv[i + 1]));
    else if (option == "--compile")
      o.shares.compile = static_cast<int>(number(argv[i + 1]));
    else if (option == "--out")
      o.out = argv[i + 1];
    else
      return usage();
  }
  return o.last < o.first || o.jobs == 0 ? usage() : run_seeds(o);
}

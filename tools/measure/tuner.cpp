// Searches by coordinates: each move changes one part of the schedule around the best so far. The candidates of a move
// race: rounds of runs in turn, in which the slower half drops out, so that noise meets all alike and time goes to the
// fastest. Before every run a sweep over memory leaves the caches as a whole training step would: full of other data.
#include "tools/measure/tuner.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "codegen/codegen.h"
#include "passes/schedule/cpu.h"
#include "passes/schedule/schedule_space.h"
#include "runtime/host/executor.h"
#include "tools/measure/lone_kernel.h"

namespace weft::tools {
namespace {

using Clock = std::chrono::steady_clock;
using Team = std::shared_ptr<ThreadTeam>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Overwrites more memory than the second-level caches hold, on all threads.
class Sweep {
 public:
  Sweep(const CpuTarget& target, const Team& team) : executor_(artifact(target, team->size()), team) {
    executor_.bind(0, Array(executor_.artifact().memory->buffers[0].type));
  }
  void run() { executor_.run(); }

 private:
  static HostArtifact artifact(const CpuTarget& target, int threads) {
    const std::int64_t elements = 2 * target.l2_bytes * threads / static_cast<std::int64_t>(size_of(f32));
    Program p = parse_program(fmt::format(R"(program @sweep {{
        state %b: f32[{0}]
        inputs %b
        updates %b
        kernel @k {{
          axes i={0}
          schedule cpu {{vector=i}}
          %e0: f32 = load %b[i]
          %e1: f32 = constant 1
          %e2: f32 = add %e0, %e1
          phase (i) {{
            map: store %b[i] = %e2
          }}
        }}
      }})",
                                          elements));
    return compile(p, target);
  }
  Executor executor_;
};

/// A time that is neither the luckiest nor, on a machine that does other work besides, one that says more of that work.
double quartile(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 4);
  std::ranges::nth_element(values, at);
  return *at;
}

struct Runner {
  CpuSchedule schedule;
  std::unique_ptr<Executor> executor;
  std::vector<double> times;
  double best() const { return *std::ranges::min_element(times); }
};

void time_once(Runner& r, Sweep& sweep) {
  sweep.run();
  const std::vector<double> parts = r.executor->run_profiled();
  r.times.push_back(std::accumulate(parts.begin(), parts.end(), 0.0));
}

class Tuner {
 public:
  Tuner(const Program& lone, const CpuTarget& target, const Team& team, double seconds)
      : lone_(lone),
        target_(target),
        team_(team),
        seconds_(seconds),
        sweep_(target, team),
        values_(random_values(lone)) {
    for (const Array& v : values_) memory_.push_back(v.clone());
  }

  TuneResult run() {
    const CpuSchedule first = std::get<CpuSchedule>(lone_.kernels[0].schedule);
    add(first);
    Kernel k = lone_.kernels[0];
    const std::vector<CpuSchedule> tiles = tile_candidates(lone_, k, target_);
    explore(0.25, tiles, [&](const CpuSchedule& s) { return s.mr == first.mr && s.nr == first.nr; });
    const CpuSchedule packed = best().schedule;
    explore(0.55, tiles, [&](const CpuSchedule& s) {
      return s.split_n == packed.split_n && s.pack_lhs == packed.pack_lhs && s.pack_rhs == packed.pack_rhs;
    });
    k.schedule = best().schedule;
    explore(0.75, block_candidates(lone_, k, target_), [](const CpuSchedule&) { return true; });
    return duel();
  }

 private:
  /// Compiles the schedule and checks that its results have the bits of the first one's.
  void add(const CpuSchedule& s) {
    Program p = lone_;
    p.kernels[0].schedule = s;
    Runner r{s, std::make_unique<Executor>(compile(p, target_), team_), {}};
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      std::copy_n(values_[i].data(), memory_[i].bytes(), memory_[i].data());
      r.executor->bind(i, memory_[i]);
    }
    r.executor->run();
    const bool is_first = runners_.empty();
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      if (is_first) expected_.push_back(memory_[i].clone());
      ensure(memory_[i].same_bits(expected_[i]), "the result {} of kernel @{} depends on its schedule: {}", i,
             lone_.kernels[0].name, print(p));
    }
    runners_.push_back(std::move(r));
  }

  Runner& best() {
    return *std::ranges::min_element(runners_, {}, [](const Runner& r) { return score(r); });
  }
  static double score(const Runner& r) { return r.times.empty() ? 1e9 : r.best(); }

  /// Races those of the candidates that `fits`, as many as can be compiled in two thirds of the time to `until` (a
  /// share of all), against the best so far.
  template <class F>
  void explore(double until, const std::vector<CpuSchedule>& candidates, F fits) {
    const double now = seconds_since(start_), end = until * seconds_;
    const double compile_until = now + (end - now) * 2 / 3;
    std::vector<std::size_t> racing{static_cast<std::size_t>(&best() - runners_.data())};
    for (const CpuSchedule& s : candidates) {
      if (seconds_since(start_) > compile_until) break;
      if (!fits(s)) continue;
      add(s);
      racing.push_back(runners_.size() - 1);
    }
    for (int runs = 3; !racing.empty(); runs *= 2) {
      for (int i = 0; i < runs && (i == 0 || seconds_since(start_) < end); ++i)
        for (std::size_t r : racing) time_once(runners_[r], sweep_);
      std::ranges::sort(racing, {}, [&](std::size_t r) { return score(runners_[r]); });
      if (racing.size() <= 2 || seconds_since(start_) >= end) break;
      racing.resize((racing.size() + 1) / 2);
    }
  }

  /// The best against the first, measured afresh: it must win by more than 3 % in the least time and in the first
  /// quartile.
  TuneResult duel() {
    constexpr std::size_t kFewest = 15, kMost = 400;
    Runner &first = runners_[0], &other = best();
    TuneResult r{first.schedule, other.schedule, 0, 0, static_cast<int>(runners_.size()), false};
    first.times.clear(), other.times.clear();
    while (first.times.size() < kFewest || (seconds_since(start_) < seconds_ && first.times.size() < kMost)) {
      time_once(first, sweep_);
      if (&other != &first) time_once(other, sweep_);
    }
    r.before_s = first.best(), r.after_s = other.best();
    r.faster = r.after_s < kNoise * r.before_s && quartile(other.times) < kNoise * quartile(first.times);
    if (!r.faster) r.after = r.before, r.after_s = r.before_s;
    return r;
  }

  const Program& lone_;
  const CpuTarget& target_;
  Team team_;
  double seconds_;
  Clock::time_point start_ = Clock::now();
  Sweep sweep_;
  std::vector<Array> values_, memory_, expected_;  // before a run; what runs work on; after the first schedule's run
  std::vector<Runner> runners_;
};

}  // namespace

TuneResult tune(const Program& lone, const CpuTarget& target, const Team& team, double seconds) {
  return Tuner(lone, target, team, seconds).run();
}

std::array<ProgramTimes, 2> race(const std::array<std::shared_ptr<const Program>, 2>& programs, const CpuTarget& target,
                                 const Team& team, double seconds) {
  constexpr int kFewest = 15;
  const Clock::time_point start = Clock::now();
  const std::vector<Array> values = random_values(*programs[0]);
  std::array<ProgramTimes, 2> times;
  std::vector<std::unique_ptr<Executor>> executors;
  for (std::size_t p = 0; p < 2; ++p) {
    executors.push_back(std::make_unique<Executor>(compile(*programs[p], target), team));
    for (std::size_t i = 0; i < values.size(); ++i) executors[p]->bind(i, values[i]);
    times[p].kernels.resize(programs[p]->kernels.size());
    executors[p]->run();
  }
  for (int round = 0; round < kFewest || seconds_since(start) < seconds; ++round)
    for (std::size_t p = 0; p < 2; ++p) {
      const std::vector<double> parts = executors[p]->run_profiled();
      for (auto& kernel : times[p].kernels) kernel.push_back(0);
      for (std::size_t c = 0; c < parts.size(); ++c)
        times[p].kernels[static_cast<std::size_t>(executors[p]->artifact().launches[c].kernel)].back() += parts[c];
    }
  return times;
}

bool ProgramTimes::beat(const ProgramTimes& other, const std::vector<std::size_t>& which, double noise) const {
  auto quartiles = [&](const ProgramTimes& t) {
    return std::accumulate(which.begin(), which.end(), 0.0,
                           [&](double sum, std::size_t k) { return sum + quartile(t.kernels[k]); });
  };
  return least(which) < noise * other.least(which) && quartiles(*this) < noise * quartiles(other);
}

double ProgramTimes::least(const std::vector<std::size_t>& which) const {
  return std::accumulate(which.begin(), which.end(), 0.0,
                         [&](double sum, std::size_t k) { return sum + std::ranges::min(kernels[k]); });
}

}  // namespace weft::tools

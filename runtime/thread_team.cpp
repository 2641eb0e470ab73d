// Waiting is the whole difficulty. A wait is short when the machine is ours (spin), long when it is not (yield, then
// sleep in the kernel), and every hand-over is one sequentially consistent read-modify-write of the word that the
// waiters watch. Whose machine it is shows in the waits themselves: one that outlasts its spinning halves what the
// thread spins the next time, one that does not restores it.
#include "runtime/thread_team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "ir/error.h"
#include "ir/eval.h"

namespace weft {
namespace {

// A pause is 40 (Zen) to 140 (Skylake and later) cycles, so this is 15 to 50 microseconds: longer than the waits of a
// balanced step, shorter than a scheduler's time slice.
constexpr int kSpins = 1000, kFewestSpins = 16;
// A yield is about 1 microsecond when nobody else wants the CPU, and hands it over when somebody does.
constexpr int kYields = 50;
// After so few yields nobody else has had the CPU: spinning would have done.
constexpr int kQuickYields = 4;

struct BarrierBroken {};  // ends a thread's share of a run that another thread has failed

thread_local const ThreadTeam* current_team = nullptr;  // the team whose run() this thread is in
thread_local int current_thread = 0;                    // its number there

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

std::vector<int> affinity() {
  std::vector<int> cpus;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

bool pin(std::thread& thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  return pthread_setaffinity_np(thread.native_handle(), sizeof set, &set) == 0;
}

/// Signals are for the caller's threads: a worker that ran a Ctrl-C handler would stall the team.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }

 private:
  sigset_t saved_;
};

int checked_size(int threads) {
  if (threads < 0 || threads > kMaxThreads)
    fail("cannot use {} threads: expected 1 to {}, or 0 for one per CPU", threads, kMaxThreads);
  return threads == 0 ? std::min(usable_cpus(), kMaxThreads) : threads;
}

}  // namespace

int usable_cpus() {
  const auto cpus = affinity();
  if (!cpus.empty()) return static_cast<int>(cpus.size());
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));  // more CPUs than cpu_set_t can name
}

ThreadTeam::ThreadTeam(int threads) : size_(checked_size(threads)) {
  const auto cpus = affinity();
  const auto n = static_cast<std::size_t>(size_);
  if (n <= cpus.size()) cpus_.assign(cpus.begin(), cpus.begin() + size_);
  max_spins_ = size_ <= usable_cpus() ? kSpins : 0;
  patience_.assign(n, {max_spins_, max_spins_});
  BlockSignals block;
  try {
    workers_.reserve(n - 1);
    for (int t = 1; t < size_; ++t) {
      workers_.emplace_back([this, t] { work(t); });
      pthread_setname_np(workers_.back().native_handle(), fmt::format("weft-{}", t).c_str());
      // Pinning is an optimisation: where it is refused, threads float.
      if (!cpus_.empty() && !pin(workers_.back(), cpus_[static_cast<std::size_t>(t)])) cpus_.clear();
    }
  } catch (const std::system_error& e) {
    stop();
    fail("cannot start {} threads: thread {}: {}", size_, workers_.size(), e.code().message());
  }
}

ThreadTeam::~ThreadTeam() { stop(); }

void ThreadTeam::stop() noexcept {
  stopping_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (auto& worker : workers_)
    if (worker.joinable()) worker.join();
}

void ThreadTeam::await_change(const std::atomic<std::uint32_t>& word, std::uint32_t old, int& spins) const noexcept {
  for (int i = 0; i < spins; ++i, pause())
    if (word.load(std::memory_order_acquire) != old) {
      spins = std::min(max_spins_, spins + kFewestSpins);
      return;
    }
  spins = std::min(spins, std::max(spins / 2, kFewestSpins));
  for (int i = 0; i < kYields; ++i, sched_yield())
    if (word.load(std::memory_order_acquire) != old) {
      if (i < kQuickYields) spins = max_spins_;
      return;
    }
  word.wait(old, std::memory_order_acquire);
}

/// The caller floats. Where the scheduler has put it on a worker's CPU, that worker moves to the one it left: two
/// threads on one CPU would take turns at every barrier.
void ThreadTeam::make_room() {
  if (cpus_.empty()) return;
  const auto taken = std::find(cpus_.begin(), cpus_.end(), sched_getcpu());
  if (taken == cpus_.begin() || taken == cpus_.end()) return;
  if (pin(workers_[static_cast<std::size_t>(taken - cpus_.begin() - 1)], cpus_[0])) std::swap(cpus_[0], *taken);
}

void ThreadTeam::work(int thread) {
  FlushSubnormals flush;
  std::uint32_t epoch = 0;
  for (;; ++epoch) {
    await_change(epoch_, epoch, patience_[static_cast<std::size_t>(thread)].start);
    if (stopping_) return;
    call(thread);
    if (pending_.fetch_sub(1) == 1) pending_.notify_one();
  }
}

void ThreadTeam::call(int thread) noexcept {
  current_team = this;
  current_thread = thread;
  try {
    job_(fn_, thread);
  } catch (const BarrierBroken&) {  // the exception that broke it is in failure_
  } catch (...) {
    {
      std::lock_guard lock(failure_lock_);
      if (!failure_) failure_ = std::current_exception();
    }
    broken_.store(true);
    generation_.fetch_add(1);  // releases those who wait at a barrier that this thread will never reach
    generation_.notify_all();
  }
  current_team = nullptr;
}

void ThreadTeam::run_erased(Job job, void* fn) {
  ensure(current_team == nullptr, "ThreadTeam::run inside ThreadTeam::run");
  std::lock_guard turn(caller_);
  FlushSubnormals flush;
  job_ = job;
  fn_ = fn;
  if (size_ > 1) {
    make_room();
    pending_.store(static_cast<std::uint32_t>(size_ - 1), std::memory_order_relaxed);
    epoch_.fetch_add(1);
    epoch_.notify_all();
  }
  call(0);
  while (const auto left = pending_.load(std::memory_order_acquire)) await_change(pending_, left, patience_[0].barrier);
  if (!failure_) return;
  arrived_.store(0, std::memory_order_relaxed);
  broken_.store(false, std::memory_order_relaxed);
  std::rethrow_exception(std::exchange(failure_, nullptr));
}

// Sense reversal: `generation_` is the sense. A thread reads it before it arrives, and the last to arrive changes it.
// It is read before `broken_`: whoever sees the generation from before a failure will see it change, and whoever sees
// the one after it sees `broken_` too.
void ThreadTeam::barrier_erased(Completion completion, void* fn) {
  if (size_ == 1) {
    if (completion) completion(fn);
    return;
  }
  const auto generation = generation_.load(std::memory_order_acquire);
  if (broken_.load(std::memory_order_acquire)) throw BarrierBroken{};
  if (arrived_.fetch_add(1) + 1 == static_cast<std::uint32_t>(size_)) {
    if (completion) completion(fn);
    arrived_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1);
    generation_.notify_all();
    return;
  }
  await_change(generation_, generation, patience_[static_cast<std::size_t>(current_thread)].barrier);
  if (broken_.load(std::memory_order_acquire)) throw BarrierBroken{};
}

}  // namespace weft

// Waiting is the whole difficulty. A wait is short when the machine is ours (spin), long when it is not (yield, then
// sleep in the kernel), and every hand-over is one sequentially consistent read-modify-write of the word that the
// waiters watch. Whose machine it is shows in the waits themselves: one that outlasts its spinning halves what the
// thread spins the next time, one that does not restores it.
#include "runtime/host/thread_team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

#include "ir/base/cache_line.h"
#include "ir/base/error.h"
#include "ir/base/float_environment.h"
#include "ir/base/fork.h"

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

thread_local bool in_run = false;     // of any team
thread_local int current_thread = 0;  // its number there

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

bool pin(pthread_t thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  return pthread_setaffinity_np(thread, sizeof set, &set) == 0;
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

}  // namespace

class ThreadTeam::Crew {
 public:
  /// Starts workers, as many as it can.
  Crew(int threads, Pinning);
  /// Ends them. Those of the parent of this process are not there.
  ~Crew();

  int size() const { return size_; }
  int error() const { return error_; }  ///< why there are no more
  std::uint32_t generation() const { return generation_of_process_; }
  void run(Job, void* fn);
  void barrier(Completion, void* fn);

 private:
  /// Pauses before a waiting thread offers its CPU to others, adapted to how long its waits take.
  struct alignas(kCacheLine) Patience {
    int start = 0, barrier = 0;  // for a run to begin; for the others at a barrier or at the end of a run
  };
  struct Worker {
    Crew* crew;
    int thread;
    pthread_t handle;
  };

  void work(int thread);
  void call(int thread) noexcept;
  void await_change(const std::atomic<std::uint32_t>& word, std::uint32_t old, int& spins) const noexcept;
  void make_room();

  const std::uint32_t generation_of_process_ = fork_generation();
  int size_ = 1, error_ = 0, max_spins_ = 0;
  std::vector<Patience> patience_;  // by thread
  std::vector<int> cpus_;           // by thread: where workers are pinned, and where the caller was; empty: not pinned
  std::vector<Worker> workers_;
  std::mutex caller_;  // held by the thread that is in run()

  // Written by the caller before it bumps `epoch_`, read by workers after.
  Job job_ = nullptr;
  void* fn_ = nullptr;
  bool stopping_ = false;

  std::mutex failure_lock_;
  std::exception_ptr failure_;  // the first exception of this run

  // Each on its own cache line: they are what threads spin on.
  alignas(kCacheLine) std::atomic<std::uint32_t> epoch_{0};       // one more for each run
  alignas(kCacheLine) std::atomic<std::uint32_t> pending_{0};     // workers that have not finished this run
  alignas(kCacheLine) std::atomic<std::uint32_t> arrived_{0};     // threads at the barrier
  alignas(kCacheLine) std::atomic<std::uint32_t> generation_{0};  // barriers passed: the sense that waiters watch
  std::atomic<bool> broken_{false};  // a thread has thrown: nobody waits at a barrier any more
};

ThreadTeam::Crew::Crew(int threads, Pinning pinning) {
  const auto n = static_cast<std::size_t>(threads);
  const auto cpus = affinity();
  if (pinning == Pinning::each_to_a_cpu && n <= cpus.size()) cpus_.assign(cpus.begin(), cpus.begin() + threads);
  max_spins_ = threads <= usable_cpus() ? kSpins : 0;
  patience_.assign(n, {max_spins_, max_spins_});
  workers_.reserve(n);  // workers hold addresses of it
  BlockSignals block;
  for (; size_ < threads; ++size_) {
    Worker& w = workers_.emplace_back(Worker{this, size_, {}});
    error_ = pthread_create(
        &w.handle, nullptr,
        [](void* p) -> void* {
          static_cast<Worker*>(p)->crew->work(static_cast<Worker*>(p)->thread);
          return nullptr;
        },
        &w);
    if (error_ != 0) {
      workers_.pop_back();
      break;
    }
    pthread_setname_np(w.handle, fmt::format("weft-{}", size_).c_str());
    // Pinning is an optimisation: where it is refused, threads float.
    if (!cpus_.empty() && !pin(w.handle, cpus_[static_cast<std::size_t>(size_)])) cpus_.clear();
  }
}

ThreadTeam::Crew::~Crew() {
  if (generation_of_process_ != weft::fork_generation()) return;
  stopping_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (const Worker& w : workers_) pthread_join(w.handle, nullptr);
}

void ThreadTeam::Crew::await_change(const std::atomic<std::uint32_t>& word, std::uint32_t old,
                                    int& spins) const noexcept {
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
void ThreadTeam::Crew::make_room() {
  if (cpus_.empty()) return;
  const auto taken = std::find(cpus_.begin(), cpus_.end(), sched_getcpu());
  if (taken == cpus_.begin() || taken == cpus_.end()) return;
  if (pin(workers_[static_cast<std::size_t>(taken - cpus_.begin() - 1)].handle, cpus_[0])) std::swap(cpus_[0], *taken);
}

void ThreadTeam::Crew::work(int thread) {
  FlushSubnormals flush;
  std::uint32_t epoch = 0;
  for (;; ++epoch) {
    await_change(epoch_, epoch, patience_[static_cast<std::size_t>(thread)].start);
    if (stopping_) return;
    call(thread);
    if (pending_.fetch_sub(1) == 1) pending_.notify_one();
  }
}

void ThreadTeam::Crew::call(int thread) noexcept {
  in_run = true;
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
  in_run = false;
}

void ThreadTeam::Crew::run(Job job, void* fn) {
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
void ThreadTeam::Crew::barrier(Completion completion, void* fn) {
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

ThreadTeam::ThreadTeam(int threads, Pinning pinning) : pinning_(pinning) {
  if (threads < 0 || threads > kMaxThreads)
    fail("cannot use {} threads: expected 1 to {}, or 0 for one per CPU", threads, kMaxThreads);
  const ForkGuard guard;
  auto crew = std::make_unique<Crew>(threads == 0 ? std::min(usable_cpus(), kMaxThreads) : threads, pinning);
  if (threads != 0 && crew->size() < threads)
    fail("cannot start {} threads: thread {}: {}", threads, crew->size(), std::strerror(crew->error()));
  size_ = crew->size();
  crew_ = crew.release();
}

ThreadTeam::~ThreadTeam() { delete crew_.load(); }

ThreadTeam::Crew& ThreadTeam::crew() {
  Crew* crew = crew_.load(std::memory_order_acquire);
  if (crew->generation() == fork_generation()) return *crew;
  static std::mutex mutex;
  const ForkGuard guard;
  std::lock_guard lock(mutex);
  crew = crew_.load();
  if (crew->generation() == fork_generation()) return *crew;
  auto own = std::make_unique<Crew>(size_, pinning_);
  if (own->size() < size_)
    fail("cannot start {} threads in this child process: thread {}: {}", size_, own->size(),
         std::strerror(own->error()));
  delete crew;
  crew_ = own.get();
  return *own.release();
}

void ThreadTeam::run_erased(Job job, void* fn) {
  ensure(!in_run, "ThreadTeam::run inside ThreadTeam::run");
  crew().run(job, fn);
}

void ThreadTeam::barrier_erased(Completion completion, void* fn) {
  crew_.load(std::memory_order_relaxed)->barrier(completion, fn);
}

}  // namespace weft

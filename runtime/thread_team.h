// A team of threads that run one function together and meet at barriers: what a compiled step is executed by.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

#include <weft/ir/cache_line.h>

namespace weft {

inline constexpr int kMaxThreads = 1024;

/// The number of CPUs that this thread may run on (its affinity mask), at least 1.
int usable_cpus();

/// N threads: the caller of run() is thread 0, N-1 workers live as long as the team. Workers are pinned, one to a CPU
/// and none to the one that the caller was on last, when the process may use at least N of them. While no run() is
/// under way they spin for at most some tens of microseconds, then sleep. A wait gives up its CPU when it gets long,
/// and spins less the next time, so more threads than CPUs (of this process or of others) cost time, never a stall.
class ThreadTeam {
 public:
  /// 0 threads: one for each usable CPU. Throws Error outside 0..kMaxThreads, or when a thread cannot be started.
  explicit ThreadTeam(int threads = 0);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return size_; }

  /// Calls fn(thread index) once on each thread, with subnormals flushed, and returns when all have returned. If any
  /// throw, the others leave at their next barrier, and the first exception is thrown here. Callers on different
  /// threads take turns; a call from inside fn is an InternalError.
  template <class F>
  void run(F&& fn) {
    run_erased([](void* f, int thread) { (*static_cast<std::remove_reference_t<F>*>(f))(thread); },
               const_cast<void*>(static_cast<const void*>(std::addressof(fn))));
  }

  /// Inside run() only, the same number of times on every thread: returns when all have arrived, and everything that
  /// any thread wrote before is visible to all after. Throws a private type when another thread has left with an
  /// exception.
  void barrier() { barrier_erased(nullptr, nullptr); }
  /// The same; the last thread to arrive calls `completion` before any is released.
  template <class F>
  void barrier(F&& completion) {
    barrier_erased([](void* f) { (*static_cast<std::remove_reference_t<F>*>(f))(); },
                   const_cast<void*>(static_cast<const void*>(std::addressof(completion))));
  }

 private:
  using Job = void (*)(void* fn, int thread);
  using Completion = void (*)(void* fn);
  void run_erased(Job, void* fn);
  void barrier_erased(Completion, void* fn);
  void work(int thread);
  void call(int thread) noexcept;
  void stop() noexcept;
  /// Pauses before a waiting thread offers its CPU to others, adapted to how long its waits take.
  struct alignas(kCacheLine) Patience {
    int start = 0, barrier = 0;  // for a run to begin; for the others at a barrier or at the end of a run
  };
  void await_change(const std::atomic<std::uint32_t>& word, std::uint32_t old, int& spins) const noexcept;
  void make_room();

  const int size_;
  int max_spins_ = 0;
  std::vector<Patience> patience_;  // by thread
  std::vector<int> cpus_;           // by thread: where workers are pinned, and where the caller was; empty: not pinned
  std::vector<std::thread> workers_;
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

}  // namespace weft

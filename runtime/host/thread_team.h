// A team of threads that run one function together and meet at barriers: what a compiled step is executed by.
#pragma once
#include <atomic>
#include <memory>
#include <type_traits>

#include <weft/runtime/host/cpus.h>

namespace weft {

inline constexpr int kMaxThreads = 1024;

enum class Pinning : bool { none, each_to_a_cpu };

/// N threads: the caller of run() is thread 0, N-1 workers live as long as the team. While no run() is under way they
/// spin for at most some tens of microseconds, then sleep. A wait gives up its CPU when it gets long, and spins less
/// the next time, so more threads than CPUs (of this process or of others) cost time, never a stall.
///
/// Workers float; pinned, each stays on a CPU of its own, and none on the one that the caller was on last, where the
/// process may use at least N CPUs. That helps where nobody else runs on them, and hurts where somebody does.
///
/// A child process that fork() made has a team of the same size: its threads are started by the first run() there.
class ThreadTeam {
 public:
  /// 0 threads: usable_cpus() of them, or as many of them as can be started. Throws Error outside 0..kMaxThreads, or
  /// when a thread cannot be started.
  explicit ThreadTeam(int threads = 0, Pinning = Pinning::none);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return size_; }

  /// Calls fn(thread index) once on each thread, with subnormals flushed (ir/base/float_environment.h), and returns when all
  /// have returned. If any throw, the others leave at their next barrier, and the first exception is thrown here.
  /// Callers on different threads take turns; a call from inside fn is an InternalError. In a child of fork() an Error
  /// when a thread cannot be started.
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
  class Crew;  // the threads, and what they watch

  void run_erased(Job, void* fn);
  void barrier_erased(Completion, void* fn);
  Crew& crew();

  Pinning pinning_;
  int size_ = 1;
  std::atomic<Crew*> crew_{nullptr};
};

}  // namespace weft

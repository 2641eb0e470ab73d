// Locks that serve in order of arrival.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>

namespace weft {

/// As std::shared_mutex, but neither readers nor writers can be kept waiting by others that come later, and a child
/// process that fork() made finds it free, whoever of the parent's threads held it. Readers that meet no writer do one
/// atomic operation.
class FairMutex {
 public:
  void lock();
  bool try_lock();
  void unlock();
  void lock_shared();
  void unlock_shared();

 private:
  void enter();
  void leave();
  void revive();

  static constexpr std::uint32_t kWriter = 1u << 31;
  std::atomic<std::uint32_t> word_{0};               // readers; kWriter: a writer holds it, or waits for them to leave
  std::atomic<std::uint32_t> next_{0}, serving_{0};  // tickets of the queue, whose head a writer keeps while it writes
  std::atomic<std::uint32_t> process_{0};            // the fork_generation() that the rest is of
};

/// As std::recursive_mutex, with the same promises: a thread that locks it again and again lets each of the others in
/// between. What a thread held when it forked, it no longer holds in the child.
class FairRecursiveMutex {
 public:
  void lock();
  bool try_lock();
  void unlock();

 private:
  bool is_mine() const;
  void taken();

  FairMutex mutex_;
  std::atomic<std::thread::id> owner_{};
  std::atomic<std::uint32_t> process_{0};  // of the owner
  int depth_ = 0;                          // of the owner's locks
};

}  // namespace weft

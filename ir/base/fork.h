// What fork() must not interrupt. A child process has only the thread that forked: a lock that another thread held
// stays locked there, and a table that it was changing stays half changed.
#pragma once
#include <atomic>
#include <cstdint>

namespace weft {

/// While one lives, fork() on other threads waits. To be held wherever a lock of the whole process is held or LLVM is
/// at work; the locks are taken inside. Guards nest. A thread that forks under its own guard waits for nobody.
class ForkGuard {
 public:
  ForkGuard();
  /// On a thread that works for one that has a guard, and is waited for under it: enters even while a fork waits.
  enum Joined : bool { joined };
  explicit ForkGuard(Joined);
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
};

namespace internal {
extern std::atomic<std::uint32_t> fork_generation;
}
/// One more in a child than in its parent. What was made under another number has threads and holders of locks that
/// do not exist here. Async-signal-safe, and no system call.
inline std::uint32_t fork_generation() { return internal::fork_generation.load(std::memory_order_relaxed); }

}  // namespace weft

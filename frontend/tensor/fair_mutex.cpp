// Writers, and readers that meet one, stand in a queue of tickets; other readers only count themselves.
#include "frontend/tensor/fair_mutex.h"

#include <mutex>

#include "ir/base/fork.h"

namespace weft {

void FairMutex::revive() {
  static std::mutex mutex;
  const ForkGuard guard;
  const std::lock_guard lock(mutex);
  if (process_.load() == fork_generation()) return;
  word_ = next_ = serving_ = 0;
  process_.store(fork_generation(), std::memory_order_release);
}

void FairMutex::enter() {
  const std::uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
  for (std::uint32_t now; (now = serving_.load(std::memory_order_acquire)) != ticket;) serving_.wait(now);
}

void FairMutex::leave() {
  serving_.fetch_add(1);
  serving_.notify_all();
}

void FairMutex::lock() {
  if (process_.load(std::memory_order_acquire) != fork_generation()) revive();
  enter();
  for (std::uint32_t word = word_.fetch_or(kWriter) | kWriter; word != kWriter; word = word_.load()) word_.wait(word);
}

bool FairMutex::try_lock() {
  if (process_.load(std::memory_order_acquire) != fork_generation()) revive();
  std::uint32_t ticket = serving_.load(std::memory_order_acquire);
  if (!next_.compare_exchange_strong(ticket, ticket + 1)) return false;  // somebody holds it, or waits
  std::uint32_t readers = 0;
  if (word_.compare_exchange_strong(readers, kWriter)) return true;
  leave();
  return false;
}

void FairMutex::unlock() {
  word_.store(0, std::memory_order_release);  // nobody counts itself while there is a writer
  leave();
}

void FairMutex::lock_shared() {
  if (process_.load(std::memory_order_acquire) != fork_generation()) revive();
  for (std::uint32_t word = word_.load(std::memory_order_relaxed); !(word & kWriter);)
    if (word_.compare_exchange_weak(word, word + 1, std::memory_order_acquire, std::memory_order_relaxed)) return;
  enter();
  word_.fetch_add(1, std::memory_order_acquire);
  leave();
}

void FairMutex::unlock_shared() {
  if (word_.fetch_sub(1) == (kWriter | 1)) word_.notify_all();
}

bool FairRecursiveMutex::is_mine() const {
  return owner_.load(std::memory_order_relaxed) == std::this_thread::get_id() &&
         process_.load(std::memory_order_relaxed) == fork_generation();
}

void FairRecursiveMutex::taken() {
  owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  process_.store(fork_generation(), std::memory_order_relaxed);
  depth_ = 1;
}

void FairRecursiveMutex::lock() {
  if (is_mine()) return static_cast<void>(++depth_);
  mutex_.lock();
  taken();
}

bool FairRecursiveMutex::try_lock() {
  if (is_mine()) return ++depth_, true;
  if (!mutex_.try_lock()) return false;
  taken();
  return true;
}

void FairRecursiveMutex::unlock() {
  if (!is_mine() || --depth_ > 0) return;
  owner_.store({}, std::memory_order_relaxed);
  mutex_.unlock();
}

}  // namespace weft

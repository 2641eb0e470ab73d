// A gate that threads pass freely, and that a fork closes until nobody is inside.
#include "ir/base/fork.h"

#include <pthread.h>

namespace weft {

constinit std::atomic<std::uint32_t> internal::fork_generation{0};

namespace {

constinit std::atomic<std::uint32_t> inside{0};  // threads under a guard
constinit std::atomic<std::uint32_t> forks{0};   // under way
thread_local int depth = 0;                      // of this thread's guards

void leave() {
  inside.fetch_sub(1);
  if (forks.load() != 0) inside.notify_all();
}

void before_fork() {
  forks.fetch_add(1);
  if (depth > 0) return;  // others may be waiting for this thread
  while (const auto threads = inside.load()) inside.wait(threads);
}

void after_in_parent() {
  forks.fetch_sub(1);
  forks.notify_all();
}

void after_in_child() {
  forks.store(0);
  inside.store(depth > 0);
  internal::fork_generation.fetch_add(1);
}

/// Before anything is under a guard.
void watch_forks() {
  [[maybe_unused]] static const int registered = pthread_atfork(before_fork, after_in_parent, after_in_child);
}

}  // namespace

ForkGuard::ForkGuard() {
  watch_forks();
  if (depth++ > 0) return;
  for (;;) {
    inside.fetch_add(1);
    const auto under_way = forks.load();
    if (under_way == 0) return;
    leave();
    forks.wait(under_way);
  }
}

ForkGuard::ForkGuard(Joined) {
  if (depth++ == 0) inside.fetch_add(1);
}

ForkGuard::~ForkGuard() {
  if (--depth == 0) leave();
}

}  // namespace weft
